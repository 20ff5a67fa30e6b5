package catalog

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"modernc.org/sqlite"
)

// Explain runs fn in a read transaction and returns the plan of every query that it
// made, in the engine's own words.
func Explain(ctx context.Context, db *DB, fn func(*Tx) error) (plans []string, err error) {
	return explain(ctx, db, db.View, fn)
}

// ExplainWrite is Explain for a transaction that writes.
func ExplainWrite(ctx context.Context, db *DB, fn func(*Tx) error) (plans []string, err error) {
	return explain(ctx, db, db.Update, fn)
}

func explain(ctx context.Context, db *DB, run func(context.Context, func(*Tx) error) error, fn func(*Tx) error) (plans []string, err error) {
	err = run(ctx, func(tx *Tx) error {
		e := &explaining{runner: tx.run, db: db}
		tx.run = e
		err := fn(tx)
		plans = e.plans
		return err
	})
	return plans, err
}

type explaining struct {
	runner
	db    *DB
	plans []string
}

func (e *explaining) query(ctx context.Context, q string, args []any) (*sql.Rows, error) {
	explain, column := "EXPLAIN QUERY PLAN ", 3
	if e.db.dialect.concurrent() {
		explain, column = "EXPLAIN ", 0
	}
	rows, err := e.runner.query(ctx, explain+q, args)
	if err != nil {
		return nil, err
	}
	var lines []string
	for rows.Next() {
		columns, _ := rows.Columns()
		dest := make([]any, len(columns))
		for i := range dest {
			dest[i] = new(any)
		}
		dest[column] = new(string)
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		lines = append(lines, *dest[column].(*string))
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	e.plans = append(e.plans, q+"\n\n"+strings.Join(lines, "\n"))
	return e.runner.query(ctx, q, args)
}

// PostgresSetting returns a setting of the connections that transactions get.
func PostgresSetting(t *testing.T, db *DB, name string) (value string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *Tx) error {
		return tx.one(t.Context(), "SELECT current_setting($1)", []any{name}, &value)
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// PagesTouched runs fn in a read transaction on SQLite and returns how many pages of the
// database its statements looked at, a page as often as they did: what it costs, whatever
// the machine does beside.
func PagesTouched(ctx context.Context, db *DB, fn func(*Tx) error) (pages int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		before, err := pagesTouched(tx)
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		after, err := pagesTouched(tx)
		pages = after - before
		return err
	})
	return pages, err
}

func pagesTouched(tx *Tx) (pages int, err error) {
	err = tx.run.(*session).conn.Raw(func(conn any) error {
		for _, op := range []sqlite.DBStatusOp{sqlite.DBStatusCacheHit, sqlite.DBStatusCacheMiss} {
			n, _, err := conn.(sqlite.DBStatus).Status(op, false)
			if err != nil {
				return err
			}
			pages += n
		}
		return nil
	})
	return pages, err
}
