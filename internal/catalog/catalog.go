package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
)

// The sentinels of this package; the engine turns them into kinds.
var (
	// ErrNotFound tells that no live row has the coordinates.
	ErrNotFound = errors.New("catalog: not found")
	// ErrExists tells that a live row has the coordinates already.
	ErrExists = errors.New("catalog: exists")
	// ErrFull tells that as many rows as allowed are there.
	ErrFull = errors.New("catalog: full")
	// ErrExhausted tells that an identity key passed 2^31.
	ErrExhausted = errors.New("catalog: identifiers exhausted")
	// ErrGeneration tells that a blob was sealed for a generation that another row of
	// the digest has had: keep it anew for NextGeneration (reliability.md R14).
	ErrGeneration = errors.New("catalog: blob generation is taken")
	// ErrInDoubt tells that a commit failed: the writes may have become durable all the
	// same. After every other error of Update they have not.
	ErrInDoubt = errors.New("catalog: the outcome of a commit is not known")
	// ErrClosed tells that the catalog was closed.
	ErrClosed = errors.New("catalog: closed")
	// ErrNewerSchema tells that a newer release has migrated the database.
	ErrNewerSchema = errors.New("catalog: the database was migrated by a newer release")
)

// Sealer seals columns under a domain's keyset, or the installation's for the zero
// KeyRef. The associated data binds a value to its table, column and row name.
type Sealer interface {
	Seal(ctx context.Context, key packhouse.KeyRef, aad string, plain []byte) ([]byte, error)
	Unseal(ctx context.Context, key packhouse.KeyRef, aad string, sealed []byte) ([]byte, error)
	// Blind returns a keyed hash of a text, at least 16 bytes: what a column holds that
	// is searched by whole values and must not be read.
	Blind(ctx context.Context, key packhouse.KeyRef, text string) ([]byte, error)
}

// Options are what Open needs.
type Options struct {
	// DSN is a path of a SQLite file, ":memory:" for a private database that is gone
	// when it is closed, or a postgres:// URL.
	DSN    string
	Sealer Sealer           // required
	Log    *slog.Logger     // nil discards
	Now    func() time.Time // nil means time.Now
	// OnCommit is called after each commit, before Update returns, with the changes
	// that the transaction recorded; on PostgreSQL from several goroutines at once. It
	// must not block.
	OnCommit func([]packhouse.Change)
}

// DB is the catalog.
type DB struct {
	engine     engine
	dialect    dialect
	sealer     Sealer
	log        *slog.Logger
	now        func() time.Time
	statements atomic.Int64
	replays    sweeper

	keys sync.Map // domain id to packhouse.KeyRef, from committed rows only

	refusal atomic.Pointer[error] // of updates; nil for none

	mu      sync.RWMutex // guards closed against running.Add
	closed  bool
	running sync.WaitGroup // transactions that Close waits for
}

// engine runs transactions on one kind of database.
type engine interface {
	view(ctx context.Context, fn func(*Tx) error) error
	update(ctx context.Context, fn func(*Tx) error) error
	ping(ctx context.Context) error
	close() error
}

// Open opens the catalog, checks the engine (reliability.md R5) and migrates it.
// Errors: ErrNewerSchema; anything else says which setting of the engine is wrong.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Sealer == nil {
		return nil, errors.New("open catalog: a sealer is required")
	}
	db := &DB{sealer: o.Sealer, log: o.Log, now: o.Now}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.now == nil {
		db.now = time.Now
	}
	onCommit := o.OnCommit
	if onCommit == nil {
		onCommit = func([]packhouse.Change) {}
	}
	var err error
	switch {
	case strings.HasPrefix(o.DSN, "postgres://"), strings.HasPrefix(o.DSN, "postgresql://"):
		err = db.openPostgres(ctx, o.DSN, onCommit)
	case o.DSN == "":
		err = errors.New("no database named")
	default:
		err = db.openSQLite(ctx, o.DSN, onCommit)
	}
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	if err := db.foldPaths(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog: fold paths: %w", err), db.Close())
	}
	return db, nil
}

// Close waits for running transactions and checkpoints. Later calls of any method
// return ErrClosed.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	db.running.Wait()
	return db.engine.close()
}

// View runs fn in a read transaction on one snapshot. fn may run again. Errors: what
// fn returns; Unavailable "catalog_busy" when no connection becomes free in time.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	return db.engine.view(ctx, fn)
}

// Update runs fn in a write transaction and returns once it is durable. Waiting
// updates are committed together; an fn that fails undoes only its own writes. fn may
// run again, so it has no effects outside. Errors: what fn returns, ErrInDoubt,
// Unavailable "catalog_busy", DiskLow "disk_full", what Refuse was told. Only after ErrInDoubt may anything
// have been written.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	if why := db.refusal.Load(); why != nil {
		return *why
	}
	return db.engine.update(ctx, fn)
}

// Refuse makes every later Update return why, and nothing else; nil ends that. Updates
// that run already finish.
func (db *DB) Refuse(why error) {
	if why == nil {
		db.refusal.Store(nil)
		return
	}
	db.refusal.Store(&why)
}

func (db *DB) enter() error {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return ErrClosed
	}
	db.running.Add(1)
	return nil
}

// Statements returns how many SQL statements have run, for tests that count them.
// Those that only begin and end transactions are not counted.
func (db *DB) Statements() int64 { return db.statements.Load() }

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.running.Done()
	return db.engine.ping(ctx)
}

// busy is what callers get when the database has no room for them now.
func busy(cause error) error {
	return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "catalog_busy", RetryAfter: time.Second,
		Message: "the server is busy, please try again", Err: cause}
}

// failing is what callers get when the database's disk fails (reliability.md R4).
func failing(cause error) error {
	return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "store_failing", RetryAfter: time.Minute,
		Message: "the server's disk fails at the moment", Err: cause}
}

// full is what callers get when the database's disk has no room left (reliability.md
// R21).
func full(cause error) error {
	return &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_full", RetryAfter: time.Minute,
		Message: "the server's disk is full, so nothing can be stored at the moment", Err: cause}
}
