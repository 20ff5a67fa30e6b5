package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog/migrations"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// maxPostgresConns bounds the connections of one process.
const maxPostgresConns = 16

// What every connection is set to (reliability.md R5, R20, A8), in milliseconds where a
// number is a time. A migration may run for long, but must not queue up everybody else
// behind a lock that it waits for.
var (
	sessionSettings   = map[string]string{"synchronous_commit": "on", "idle_in_transaction_session_timeout": "10000", "statement_timeout": "5000"}
	migrationSettings = map[string]string{"synchronous_commit": "on", "lock_timeout": "2000"}
)

// The conditions that PostgreSQL tells by code.
const (
	pgSerialization = "40001"
	pgDeadlock      = "40P01"
	pgCheck         = "23514"
	pgDiskFull      = "53100"
	pgTimeout       = "57014" // statement_timeout; a caller who leaves is told by its context
)

var postgresDialect = dialect{
	name: migrations.Postgres,
	lock: func(q, alias string) string { return q + " FOR UPDATE OF " + alias },
	branch: func(q, order, limit string) string {
		return "(" + q + " ORDER BY " + order + " LIMIT " + limit + ")" // else each is read whole and sorted
	},
	// A lower id may commit after a higher one, so changes settle in the order of
	// their transactions: those below the oldest running one are all finished.
	settled: selectChanges + ` WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())
		AND (transaction_id, id) > (coalesce((SELECT b.transaction_id FROM changes b WHERE b.id <= $1 ORDER BY b.id DESC LIMIT 1), '0'::xid8), $1)
		ORDER BY transaction_id, id LIMIT $2`,
	latest: `SELECT c.id FROM changes c WHERE c.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
		ORDER BY c.transaction_id DESC, c.id DESC LIMIT 1`,
	explain: func(err error) error {
		switch pgCode(err) {
		case pgCheck: // only identity keys have CHECK constraints
			return fmt.Errorf("%w: %w", ErrExhausted, err)
		case pgDiskFull:
			return full(err)
		case pgTimeout:
			return busy(err)
		}
		return err
	},
	retryable: func(err error) bool {
		code := pgCode(err)
		return code == pgSerialization || code == pgDeadlock
	},
}

func pgCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// postgresEngine gives each transaction a connection of its own.
type postgresEngine struct {
	db       *DB
	pool     *sql.DB
	onCommit func([]packhouse.Change)
	turns    [turns]chan struct{} // of capacity one, see inTurn
}

// openPostgres connects, checks the server (reliability.md R5) and migrates.
func (db *DB) openPostgres(ctx context.Context, dsn string, onCommit func([]packhouse.Change)) (err error) {
	pool, err := postgresPool(dsn, sessionSettings)
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(maxPostgresConns)
	pool.SetMaxIdleConns(maxPostgresConns)
	pool.SetConnMaxIdleTime(time.Minute)
	e := &postgresEngine{db: db, pool: pool, onCommit: onCommit}
	for i := range e.turns {
		e.turns[i] = make(chan struct{}, 1)
	}
	db.dialect, db.engine = postgresDialect, e
	defer func() {
		if err != nil {
			_ = pool.Close()
		}
	}()
	var fsync string
	if err := pool.QueryRowContext(ctx, "SHOW fsync").Scan(&fsync); err != nil {
		return err
	}
	if fsync != "on" {
		return errors.New("the PostgreSQL server runs with fsync off and would lose acknowledged writes: turn it on")
	}
	return migratePostgres(ctx, dsn)
}

// postgresPool prepares connections with settings of their own.
func postgresPool(dsn string, settings map[string]string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	maps.Copy(config.RuntimeParams, settings)
	return stdlib.OpenDB(*config), nil
}

func migratePostgres(ctx context.Context, dsn string) (err error) {
	pool, err := postgresPool(dsn, migrationSettings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	return migrate(ctx, migrations.Postgres, pool, schemaVersion{
		current: func() (version int64, err error) {
			var exists bool
			err = pool.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&exists)
			if err == nil && exists {
				err = pool.QueryRowContext(ctx, selectSchema).Scan(&version)
			}
			return version, err
		},
		backup:  func(int64) error { return nil }, // the operator's own
		options: []goose.ProviderOption{goose.WithSessionLocker(locker)},
	})
}

func (e *postgresEngine) view(ctx context.Context, fn func(*Tx) error) error {
	_, err := e.transact(ctx, true, fn)
	return err
}

func (e *postgresEngine) update(ctx context.Context, fn func(*Tx) error) error {
	changes, err := e.transact(ctx, false, fn)
	if err == nil && len(changes) > 0 {
		e.onCommit(changes)
	}
	return err
}

// transact runs fn until it is committed or fails for good.
func (e *postgresEngine) transact(ctx context.Context, readOnly bool, fn func(*Tx) error) (changes []packhouse.Change, err error) {
	conn, err := e.connection(ctx)
	if err != nil {
		return nil, err
	}
	m := manner{readOnly: readOnly}
	changes, err = e.attempt(ctx, conn, &m, fn)
	_ = conn.Close() // gives it back
	if !e.db.dialect.again(ctx, 1, err) {
		return changes, err
	}
	err = e.inTurn(ctx, m.contended, func(conn *sql.Conn) error {
		for attempt := 2; ; attempt++ {
			var err error
			changes, err = e.attempt(ctx, conn, &m, fn)
			if e.db.dialect.again(ctx, attempt, err) {
				continue
			}
			if err != nil && ctx.Err() == nil && e.db.dialect.retryable(err) {
				err = busy(err)
			}
			return err
		}
	})
	return changes, err
}

// manner is how the attempts of a transaction are made, and what they learn.
type manner struct {
	readOnly     bool
	serializable bool
	contended    uint64 // the package it was about, 0 for none
}

// errSerialize ends an attempt that has to be made again as a serializable one.
var errSerialize = errors.New("catalog: needs a serializable transaction")

// serialize is called first by writes whose condition others may make untrue by writing
// different rows: a package needs a repository that is not being deleted, and a deletion
// must see every package. On SQLite, where writers are alone, it does nothing.
func (tx *Tx) serialize() error {
	if tx.serializable || !tx.db.dialect.concurrent() {
		return nil
	}
	tx.unfit = true
	return errSerialize
}

// turns is how many turns of one process there are. Rows that share one only wait for
// each other.
const turns = 64

// inTurn runs what failed because others wrote the same rows, one after the other for
// what they contend for, on all nodes: a transaction that waits for a row inside has an
// old snapshot when its time comes, and would fail as often as there are others before
// it. In a process one connection at most waits for each turn.
func (e *postgresEngine) inTurn(ctx context.Context, contended uint64, fn func(*sql.Conn) error) (err error) {
	turn := contended % turns
	select {
	case e.turns[turn] <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.turns[turn] }()
	conn, err := e.connection(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const take, leave = `SELECT pg_advisory_lock($1)`, `SELECT pg_advisory_unlock($1)`
	key := int64(contended) //nolint:gosec // any number is a key
	if _, err := conn.ExecContext(ctx, take, key); err != nil {
		return e.db.dialect.explain(err)
	}
	defer func() {
		// The lock ends with its connection too: one that did not give it back is closed.
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), leave, key); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	return fn(conn)
}

// attempt runs fn in one transaction, and again where fn turns out to need another kind.
func (e *postgresEngine) attempt(ctx context.Context, conn *sql.Conn, m *manner, fn func(*Tx) error) ([]packhouse.Change, error) {
	changes, err := e.once(ctx, conn, m, fn)
	if !errors.Is(err, errSerialize) {
		return changes, err
	}
	m.serializable = true
	return e.once(ctx, conn, m, fn)
}

func (e *postgresEngine) once(ctx context.Context, conn *sql.Conn, m *manner, fn func(*Tx) error) ([]packhouse.Change, error) {
	isolation := sql.LevelRepeatableRead
	if m.serializable {
		isolation = sql.LevelSerializable
	}
	sqlTx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: isolation, ReadOnly: m.readOnly})
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // does nothing after a commit
	tx := &Tx{db: e.db, run: postgresRunner{sqlTx}, readOnly: m.readOnly, serializable: m.serializable}
	defer tx.end()
	err = fn(tx)
	m.contended = tx.contended
	if tx.unfit { // whatever fn made of it
		return nil, errSerialize
	}
	if err != nil {
		return nil, err
	}
	if err := tx.finish(ctx); err != nil {
		return nil, err
	}
	switch err := sqlTx.Commit(); {
	case err == nil || m.readOnly: // what was read is right, whatever became of the end
		return tx.changes, nil
	case e.db.dialect.retryable(err):
		return nil, fmt.Errorf("commit: %w", err) // the server says that it was undone
	default:
		return nil, fmt.Errorf("%w: %w", ErrInDoubt, e.db.dialect.explain(err))
	}
}

// connection takes a connection, waiting for one if all are in use, but not for long
// (reliability.md R22).
func (e *postgresEngine) connection(ctx context.Context) (*sql.Conn, error) {
	waiting, cancel := context.WithTimeout(ctx, poolWait)
	defer cancel()
	conn, err := e.pool.Conn(waiting)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case waiting.Err() != nil:
		return nil, busy(fmt.Errorf("no connection became free: %w", err))
	}
	return nil, fmt.Errorf("connect: %w", err)
}

func (e *postgresEngine) ping(ctx context.Context) error { return e.pool.PingContext(ctx) }

func (e *postgresEngine) close() error { return e.pool.Close() }

// postgresRunner runs statements in a transaction. The driver itself keeps them
// prepared.
type postgresRunner struct{ tx *sql.Tx }

func (r postgresRunner) exec(ctx context.Context, q string, args []any) (sql.Result, error) {
	return r.tx.ExecContext(ctx, q, args...)
}

func (r postgresRunner) execOnce(ctx context.Context, q string, args []any) (sql.Result, error) {
	return r.tx.ExecContext(ctx, q, append([]any{pgx.QueryExecModeExec}, args...)...)
}

func (r postgresRunner) query(ctx context.Context, q string, args []any) (*sql.Rows, error) {
	return r.tx.QueryContext(ctx, q, args...)
}
