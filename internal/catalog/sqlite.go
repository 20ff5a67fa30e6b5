package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog/migrations"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// readers is how many read transactions run at once; pages of a read that is
	// repeated are in the operating system's cache anyway, so each keeps few itself.
	readers = 4
	// poolWait bounds how long a View waits for a reader (reliability.md A8).
	poolWait = time.Second
	// minSQLite has the fix of the checkpoint race that can corrupt a database
	// (reliability.md R5). 3.52.0 was withdrawn.
	minSQLite       = "3.51.3"
	withdrawnSQLite = "3.52.0"
)

// The settings of each connection (reliability.md R5). Page caches are in KiB. The log is
// copied into the database every 4,000 pages: in a large catalog, where writers touch
// pages far apart, every 1,000 would write a third more.
var (
	writerSettings = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
		"cache_size(-4096)", "wal_autocheckpoint(4000)", "temp_store(MEMORY)", "mmap_size(0)", "journal_size_limit(67108864)"}
	readerSettings = []string{"busy_timeout(5000)", "foreign_keys(ON)", "cache_size(-1024)", "temp_store(MEMORY)",
		"mmap_size(0)", "query_only(ON)"}
)

var sqliteDialect = dialect{
	name:    migrations.SQLite,
	lock:    func(q, _ string) string { return q },    // the writer has the database to itself
	branch:  func(q, _, _ string) string { return q }, // branches in order are merged
	settled: selectChanges + ` WHERE id > $1 ORDER BY id LIMIT $2`,
	latest:  `SELECT c.id FROM changes c ORDER BY c.id DESC LIMIT 1`,
	explain: func(err error) error {
		var e *sqlite.Error
		if !errors.As(err, &e) {
			return err
		}
		switch e.Code() {
		case sqlite3.SQLITE_CONSTRAINT_CHECK: // only identity keys have CHECK constraints
			return fmt.Errorf("%w: %w", ErrExhausted, err)
		case sqlite3.SQLITE_FULL:
			return full(err)
		}
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return failing(err)
		}
		return err
	},
	retryable: func(err error) bool {
		var e *sqlite.Error
		return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
	},
}

// sqliteEngine is one writer and a few readers over one file.
type sqliteEngine struct {
	db      *DB
	writes  *sql.DB
	reads   *sql.DB
	writer  *session
	group   *group
	scratch string // directory of a ":memory:" database, "" for files

	reading chan struct{} // room for each reader in use
	mu      sync.Mutex    // guards idle
	idle    []*session    // open readers that nobody uses, the last used at the end
}

// openSQLite opens or creates the file, or a private database for ":memory:".
func (db *DB) openSQLite(ctx context.Context, path string, onCommit func([]packhouse.Change)) (err error) {
	e := &sqliteEngine{db: db}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	db.dialect, db.engine = sqliteDialect, e
	settings := writerSettings
	if path == ":memory:" {
		if e.scratch, err = os.MkdirTemp("", "packhouse-catalog-"); err != nil {
			return err
		}
		path = filepath.Join(e.scratch, "catalog.db")
		settings = append(settings[:len(settings):len(settings)], "synchronous(OFF)")
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	crashed, err := prepareFile(path)
	if err != nil {
		return err
	}
	if e.writes, err = sql.Open("sqlite", sqliteDSN(path, settings)); err != nil {
		return err
	}
	if e.reads, err = sql.Open("sqlite", sqliteDSN(path, readerSettings)); err != nil {
		return err
	}
	// Sessions keep their connections; what migrations and checks used is closed.
	e.writes.SetMaxIdleConns(-1)
	e.reads.SetMaxIdleConns(-1)
	if e.writer, err = newSession(ctx, e.writes); err != nil {
		return err
	}
	if err = e.check(ctx, crashed); err != nil {
		return err
	}
	if err = e.migrate(ctx, path); err != nil {
		return err
	}
	e.reading = make(chan struct{}, readers)
	if e.scratch != "" { // those of files are opened when first needed
		for range readers {
			s, err := newSession(ctx, e.reads)
			if err != nil {
				return err
			}
			e.idle = append(e.idle, s)
			if err := s.command("SELECT name FROM epochs"); err != nil {
				return err
			}
		}
		// All connections are open, so the names are not needed any more: whatever
		// becomes of this process, nothing is left behind. Where open files keep their
		// names, close removes them.
		_ = os.RemoveAll(e.scratch)
	}
	e.group = newGroup(db, e.writer, onCommit)
	return nil
}

// sqliteDSN is an URI, so that any path is taken as it is.
func sqliteDSN(path string, settings []string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": settings}.Encode()}
	return u.String()
}

// prepareFile checks the place of the database and creates an empty file that only
// its owner may read; SQLite gives its other files the same mode. crashed tells that
// the last process did not close it.
func prepareFile(path string) (crashed bool, err error) {
	switch network, err := onNetwork(filepath.Dir(path)); {
	case err != nil:
		return false, fmt.Errorf("look at the filesystem of %s: %w", path, err)
	case network != "":
		return false, fmt.Errorf("%s is on a network filesystem (%s), where locks are not reliable: use a local disk", path, network)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return false, fmt.Errorf("%s may be read by everybody (mode %04o): set it to 0600", path, info.Mode().Perm())
	}
	wal, err := os.Stat(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && wal.Size() > 0, err
}

// check refuses an engine or settings that could lose data (reliability.md R5), and
// after a crash a damaged file (R18).
func (e *sqliteEngine) check(ctx context.Context, crashed bool) error {
	tx := &Tx{db: e.db, run: e.writer}
	defer tx.end()
	var version, journal string
	var synchronous, foreignKeys int
	for q, dest := range map[string]any{
		"SELECT sqlite_version()": &version,
		"PRAGMA journal_mode":     &journal,
		"PRAGMA synchronous":      &synchronous,
		"PRAGMA foreign_keys":     &foreignKeys,
	} {
		if err := tx.one(ctx, q, nil, dest); err != nil {
			return err
		}
	}
	durable := synchronous == 2 || e.scratch != ""
	switch {
	case !goodSQLite(version):
		return fmt.Errorf("SQLite %s may corrupt a database: %s or later is needed", version, minSQLite)
	case journal != "wal" || !durable || foreignKeys != 1:
		return fmt.Errorf("SQLite did not take its settings: journal_mode %s, synchronous %d, foreign_keys %d", journal, synchronous, foreignKeys)
	case !crashed:
		return nil
	}
	return e.quickCheck(ctx)
}

// quickCheck looks for damage for at most five seconds. It has a connection of its
// own, because one that is interrupted is not used again.
func (e *sqliteEngine) quickCheck(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var verdict string
	err := e.reads.QueryRowContext(limited, "PRAGMA quick_check(1)").Scan(&verdict)
	switch {
	case limited.Err() != nil:
		return ctx.Err() // no damage found in the time there is
	case err != nil:
		return fmt.Errorf("check after a crash: %w", err)
	case verdict != "ok":
		return fmt.Errorf("the database is damaged: %s", verdict)
	}
	return nil
}

// goodSQLite reports whether an engine version is safe.
func goodSQLite(version string) bool {
	return version != withdrawnSQLite && versionNumber(version) >= versionNumber(minSQLite)
}

// versionNumber orders versions of up to three numbers below a thousand.
func versionNumber(version string) int {
	parts := strings.SplitN(version+".0.0", ".", 4)
	total := 0
	for _, p := range parts[:3] {
		n, err := strconv.Atoi(p)
		if err != nil {
			return 0
		}
		total = total*1000 + n
	}
	return total
}

// migrate brings the schema up to date. An older one is copied aside first
// (reliability.md R20).
func (e *sqliteEngine) migrate(ctx context.Context, path string) error {
	tx := &Tx{db: e.db, run: e.writer}
	defer tx.end()
	return migrate(ctx, migrations.SQLite, e.writes, schemaVersion{
		current: func() (int64, error) { return sqliteSchema(ctx, tx) },
		backup:  e.backup(tx, path),
	})
}

// sqliteSchema returns the schema's version, 0 for an empty database. It asks on the
// session that is open: each further one would read the whole schema first.
func sqliteSchema(ctx context.Context, tx *Tx) (version int64, err error) {
	err = tx.one(ctx, "SELECT 1 FROM sqlite_schema WHERE name = 'goose_db_version'", nil, &version)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err == nil {
		err = tx.one(ctx, selectSchema, nil, &version)
	}
	return version, err
}

// backup returns what copies the database aside, beside itself.
func (e *sqliteEngine) backup(tx *Tx, path string) func(version int64) error {
	return func(version int64) error {
		copied := fmt.Sprintf("%s.schema-%d", path, version)
		if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		// Made before SQLite writes it, so that nobody else may ever read it.
		if err := os.WriteFile(copied, nil, 0o600); err != nil {
			return err
		}
		_, err := tx.execOnce(context.Background(), "VACUUM INTO $1", copied)
		return err
	}
}

func (e *sqliteEngine) update(ctx context.Context, fn func(*Tx) error) error {
	return e.group.update(ctx, fn)
}

func (e *sqliteEngine) view(ctx context.Context, fn func(*Tx) error) error {
	s, err := e.reader(ctx)
	if err != nil {
		return err
	}
	tx := &Tx{db: e.db, run: s, readOnly: true}
	defer func() {
		// Also after a panic: a reader that cannot end its transaction is not used again.
		tx.end()
		if err := s.command("ROLLBACK"); err != nil {
			_ = s.close()
			s = nil
		}
		e.giveBack(s)
	}()
	if err := s.command("BEGIN"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return fn(tx)
}

// reader takes a reader, waiting if as many as allowed are in use: the one used last,
// whose pages are the warmest, or a new one if none is idle. Each costs a parse of the
// schema and memory, so that no more are open than were ever needed at once.
func (e *sqliteEngine) reader(ctx context.Context) (*session, error) {
	select {
	case e.reading <- struct{}{}:
	default:
		timeout := time.NewTimer(poolWait)
		defer timeout.Stop()
		select {
		case e.reading <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timeout.C:
			return nil, busy(errors.New("no reader became free"))
		}
	}
	if s := e.lastIdle(); s != nil {
		return s, nil
	}
	s, err := newSession(ctx, e.reads)
	if err != nil {
		e.giveBack(nil)
		return nil, fmt.Errorf("open reader: %w", err)
	}
	return s, nil
}

// lastIdle takes the idle reader that was used last, nil if there is none.
func (e *sqliteEngine) lastIdle() *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.idle)
	if n == 0 {
		return nil
	}
	s := e.idle[n-1]
	e.idle = e.idle[:n-1]
	return s
}

// giveBack ends the use of a reader; nil is one that is not open any more.
func (e *sqliteEngine) giveBack(s *session) {
	if s != nil {
		e.mu.Lock()
		e.idle = append(e.idle, s)
		e.mu.Unlock()
	}
	<-e.reading
}

func (e *sqliteEngine) ping(ctx context.Context) error {
	return e.view(ctx, func(tx *Tx) error { return tx.one(ctx, "SELECT 1", nil, new(int)) })
}

// close ends the writer, checkpoints and closes; it copes with what Open left half done.
func (e *sqliteEngine) close() error {
	var errs []error
	if e.group != nil {
		e.group.close()
	}
	for s := e.lastIdle(); s != nil; s = e.lastIdle() {
		errs = append(errs, s.close())
	}
	if e.reads != nil {
		errs = append(errs, e.reads.Close())
	}
	if e.writer != nil {
		// The last connection to close also checkpoints, but would not tell of an error.
		errs = append(errs, e.writer.command("PRAGMA wal_checkpoint(TRUNCATE)"), e.writer.close())
	}
	if e.writes != nil {
		errs = append(errs, e.writes.Close())
	}
	if e.scratch != "" {
		errs = append(errs, os.RemoveAll(e.scratch))
	}
	return errors.Join(errs...)
}
