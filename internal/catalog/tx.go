package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
)

// Tx is one transaction; it is valid inside the closure only, in one goroutine.
type Tx struct {
	db       *DB
	run      runner // nil once the closure has returned
	readOnly bool
	changes  []packhouse.Change // recorded so far
	key      packhouse.KeyRef   // the last domain's, see domainKey
	// What only engines with concurrent writers need: whether the transaction is a
	// serializable one, whether it would have to be and is not, and which package it locked
	// last, 0 for none.
	serializable, unfit bool
	contended           uint64

	wrote written
}

// runner runs statements inside a transaction.
type runner interface {
	// exec and query may keep q prepared; execOnce does not, for texts that vary.
	exec(ctx context.Context, q string, args []any) (sql.Result, error)
	execOnce(ctx context.Context, q string, args []any) (sql.Result, error)
	query(ctx context.Context, q string, args []any) (*sql.Rows, error)
}

var errOver = errors.New("catalog: transaction used outside its closure")

func (tx *Tx) end() { tx.run = nil }

// exec runs a statement and returns how many rows it touched.
func (tx *Tx) exec(ctx context.Context, q string, args ...any) (int64, error) {
	if tx.run == nil {
		return 0, errOver
	}
	tx.db.statements.Add(1)
	return tx.affected(tx.run.exec(ctx, q, args))
}

// execOnce is exec for a text whose length depends on its input.
func (tx *Tx) execOnce(ctx context.Context, q string, args ...any) (int64, error) {
	if tx.run == nil {
		return 0, errOver
	}
	tx.db.statements.Add(1)
	return tx.affected(tx.run.execOnce(ctx, q, args))
}

func (tx *Tx) affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, tx.db.dialect.explain(err)
	}
	return res.RowsAffected()
}

// execOne is exec for a statement that must touch a row, else ErrNotFound.
func (tx *Tx) execOne(ctx context.Context, q string, args ...any) error {
	n, err := tx.exec(ctx, q, args...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// insert runs an INSERT ... ON CONFLICT DO NOTHING RETURNING id: no row means
// ErrExists. A conflict never spoils the transaction, so the closure may go on.
func (tx *Tx) insert(ctx context.Context, q string, args ...any) (id int64, err error) {
	err = tx.one(ctx, q, args, &id)
	if errors.Is(err, ErrNotFound) {
		return 0, ErrExists
	}
	return id, err
}

// one scans the first row into dest, or returns ErrNotFound.
func (tx *Tx) one(ctx context.Context, q string, args []any, dest ...any) error {
	found := false
	err := tx.each(ctx, q, args, func(rows *sql.Rows) (bool, error) {
		found = true
		return false, rows.Scan(dest...)
	})
	if err == nil && !found {
		return ErrNotFound
	}
	return err
}

// each calls scan for every row until it returns false.
func (tx *Tx) each(ctx context.Context, q string, args []any, scan func(*sql.Rows) (more bool, err error)) (err error) {
	if tx.run == nil {
		return errOver
	}
	tx.db.statements.Add(1)
	rows, err := tx.run.query(ctx, q, args)
	if err != nil {
		return tx.db.dialect.explain(err)
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for rows.Next() {
		more, err := scan(rows)
		if err != nil || !more {
			return err
		}
	}
	return tx.db.dialect.explain(rows.Err())
}

// list collects all rows; no row is an empty list.
func list[T any](ctx context.Context, tx *Tx, q string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	var out []T
	err := tx.each(ctx, q, args, func(rows *sql.Rows) (bool, error) {
		v, err := scan(rows)
		out = append(out, v)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func scanID(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) }

// seal seals a column; an empty value stays absent.
func (tx *Tx) seal(ctx context.Context, key packhouse.KeyRef, column, row string, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return nil, nil
	}
	sealed, err := tx.db.sealer.Seal(ctx, key, column+":"+row, plain)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", column, err)
	}
	return sealed, nil
}

// unseal opens what seal made. The result never shares memory with sealed.
func (tx *Tx) unseal(ctx context.Context, key packhouse.KeyRef, column, row string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	plain, err := tx.db.sealer.Unseal(ctx, key, column+":"+row, sealed)
	if err != nil {
		return nil, fmt.Errorf("unseal %s: %w", column, err)
	}
	return plain, nil
}

const selectDomainKey = `SELECT key_id, keyset FROM domains WHERE id = $1`

// domainKey returns the keyset of a domain. Beyond the transaction it is remembered
// only by read transactions: what a write transaction sees may still be undone.
func (tx *Tx) domainKey(ctx context.Context, domainID int64) (packhouse.KeyRef, error) {
	if tx.key.DomainID == domainID {
		return tx.key, nil
	}
	if k, ok := tx.db.keys.Load(domainID); ok {
		return k.(packhouse.KeyRef), nil
	}
	k := packhouse.KeyRef{DomainID: domainID}
	if err := tx.one(ctx, selectDomainKey, []any{domainID}, &k.KeyID, &k.Keyset); err != nil {
		return k, fmt.Errorf("key of domain %d: %w", domainID, err)
	}
	tx.key = k
	if tx.readOnly {
		tx.db.keys.Store(domainID, k)
	}
	return k, nil
}

// in returns a list of placeholders beginning at $first for values, and the values.
// Lengths are rounded up to a power of two by repeating the last value, so that few
// texts need preparing. values must not be empty.
func in[T any](first int, values []T) (string, []any) {
	n := 1
	for n < len(values) {
		n *= 2
	}
	args := make([]any, n)
	for i := range args {
		args[i] = values[min(i, len(values)-1)]
	}
	return "(" + placeholders(first, n) + ")", args
}

// placeholders returns "$first, $first+1, ..." with n members.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(first + i))
	}
	return b.String()
}

// tuples returns n lists of width placeholders each: "($1, $2), ($3, $4)".
func tuples(n, width int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + placeholders(1+i*width, width) + ")")
	}
	return b.String()
}
