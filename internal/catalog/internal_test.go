package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog/migrations"
)

func TestCursor(t *testing.T) {
	for _, fields := range [][]string{{"", "", ""}, {"a", "b", "c"}, {"1:2", ":", "3:"}, {"é\x00", "12", "-1"}} {
		got, begin, err := parseCursor(cursor(fields...), 3)
		if err != nil || begin || !slices.Equal(got, fields) {
			t.Errorf("%q came back as %q, begin %v, %v", fields, got, begin, err)
		}
	}
	if got, begin, err := parseCursor("", 2); err != nil || !begin || len(got) != 2 {
		t.Errorf("the beginning: %q, %v, %v", got, begin, err)
	}
	for name, bad := range map[string]string{
		"a field too few": cursor("a"), "a field too many": cursor("a", "b", "c"), "no length": "abc", "cut": "2:a", "a sign": "+1:a1:b",
		"a leading zero": "01:a1:b", "below zero": "-1:1:b", "huge": strings.Repeat("1:a", maxCursor), "a number that overflows": "99999999999999999999:a",
	} {
		if _, _, err := parseCursor(bad, 2); packhouse.ReasonOf(err) != "invalid_page_token" || packhouse.KindOf(err) != packhouse.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "1:a", "0:0:", cursor("a", "1:b", "3"), "9:x", "-1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fields, begin, err := parseCursor(s, 3)
		if err == nil && !begin && cursor(fields...) != s {
			t.Errorf("%q is read as %q, which is another cursor", s, fields)
		}
	})
}

func TestSuccessor(t *testing.T) {
	for prefix, want := range map[string]string{"": "\U0010FFFF", "a": "b", "az": "a{", "a\U0010FFFF": "b", "\uD7FF": "\uE000", "é": "ê"} {
		if got := successor(prefix); got != want {
			t.Errorf("successor(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestSQLiteVersions(t *testing.T) {
	for version, want := range map[string]bool{"3.51.2": false, "3.51.3": true, "3.52.0": false, "3.53": true, "4.0.0": true, "3.9.9": false, "": false, "x.y.z": false} {
		if got := goodSQLite(version); got != want {
			t.Errorf("%q is good: %v, want %v (R5)", version, got, want)
		}
	}
}

// plain seals nothing.
type plain struct{}

func (plain) Seal(_ context.Context, _ packhouse.KeyRef, _ string, b []byte) ([]byte, error) {
	return b, nil
}
func (plain) Unseal(_ context.Context, _ packhouse.KeyRef, _ string, b []byte) ([]byte, error) {
	return slices.Clone(b), nil
}
func (plain) Blind(_ context.Context, _ packhouse.KeyRef, text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	return sum[:], nil
}

func openFile(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), Options{DSN: path, Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestOpen(t *testing.T) {
	ctx := t.Context()
	t.Run("files are the owner's alone, and a clean stop leaves one (S39)", func(t *testing.T) {
		dir := t.TempDir()
		db := openFile(t, filepath.Join(dir, "odd ?#%name.db"))
		if err := db.Update(ctx, func(tx *Tx) error { return tx.PutSetting(ctx, "a", "b", "c") }); err != nil {
			t.Fatal(err)
		}
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", f.Name(), info.Mode())
			}
		}
		if len(files) < 2 {
			t.Errorf("no log beside the database: %v", files)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if files, _ := os.ReadDir(dir); len(files) != 1 || files[0].Name() != "odd ?#%name.db" {
			t.Errorf("after the stop there is %v", files)
		}
		if err := db.View(ctx, func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed catalog: %v", err)
		}
	})
	t.Run("a file that everybody may read is refused (S39)", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c.db")
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, Options{DSN: path, Sealer: plain{}}); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no sealer is refused (S36)", func(t *testing.T) {
		if _, err := Open(ctx, Options{DSN: ":memory:"}); err == nil {
			t.Error("opened")
		}
	})
	t.Run("a newer schema is refused and left alone (R20)", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c.db")
		db := openFile(t, path)
		e := db.engine.(*sqliteEngine)
		if _, err := e.writer.conn.ExecContext(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
		if _, err := Open(ctx, Options{DSN: path, Sealer: plain{}}); !errors.Is(err, ErrNewerSchema) {
			t.Errorf("%v", err)
		}
	})
	t.Run("what is no database is refused", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "c.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, Options{DSN: path, Sealer: plain{}}); err == nil {
			t.Error("opened")
		}
	})
	t.Run("two private databases are apart", func(t *testing.T) {
		one, two := openFile(t, ":memory:"), openFile(t, ":memory:")
		if err := one.Update(ctx, func(tx *Tx) error { return tx.PutSetting(ctx, "a", "b", "c") }); err != nil {
			t.Fatal(err)
		}
		if err := two.View(ctx, func(tx *Tx) error { _, err := tx.Setting(ctx, "a", "b"); return err }); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(one.engine.(*sqliteEngine).scratch); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a private database has left its directory: %v", err)
		}
	})
}

// TestCrash opens a copy of the files of a running database, as a crash leaves them.
func TestCrash(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	db := openFile(t, filepath.Join(dir, "c.db"))
	if err := db.Update(ctx, func(tx *Tx) error { return tx.PutSetting(ctx, "a", "b", "kept") }); err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	for _, name := range []string{"c.db", "c.db-wal"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := openFile(t, filepath.Join(crashed, "c.db"))
	if err := again.View(ctx, func(tx *Tx) error {
		v, err := tx.Setting(ctx, "a", "b")
		if v != "kept" {
			t.Errorf("an acknowledged write is %q after the crash (R1)", v)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestMigration brings a database to a later schema: it is copied first, and the
// second try does nothing (R20).
func TestMigration(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "c.db")
	db := openFile(t, path)
	e := db.engine.(*sqliteEngine)
	known, err := migrations.Known()
	if err != nil {
		t.Fatal(err)
	}
	later := func() (fs.FS, error) {
		files, err := migrations.For(migrations.SQLite)
		files.(fstest.MapFS)["9998_later.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later (id BIGINT);\n")}
		return files, err
	}
	tx := &Tx{db: db, run: e.writer}
	backups := 0
	v := schemaVersion{current: func() (int64, error) { return sqliteSchema(ctx, tx) }, backup: func(version int64) error {
		backups++
		if version != known {
			t.Errorf("copied at schema %d, want %d", version, known)
		}
		return e.backup(tx, path)(version)
	}}
	for range 2 {
		if err := migrateTo(ctx, migrations.SQLite, e.writes, v, 9998, later); err != nil {
			t.Fatal(err)
		}
	}
	if backups != 1 {
		t.Errorf("copied %d times, want 1", backups)
	}
	if _, err := tx.exec(ctx, `INSERT INTO later (id) VALUES (1)`); err != nil {
		t.Errorf("the later table: %v", err)
	}
	old := openFile(t, path+".schema-2")
	if err := old.Ping(ctx); err != nil {
		t.Errorf("the copy: %v", err)
	}
}

// TestReadersOpenWhenNeeded: Views one after the other share one reader; those at the same
// time have one each, and keep it for later.
func TestReadersOpenWhenNeeded(t *testing.T) {
	ctx := t.Context()
	db := openFile(t, filepath.Join(t.TempDir(), "catalog.db"))
	e := db.engine.(*sqliteEngine)
	for range 5 {
		if err := db.View(ctx, func(*Tx) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.idle) != 1 {
		t.Errorf("%d readers are open after Views one after the other, want 1", len(e.idle))
	}
	if err := db.View(ctx, func(*Tx) error { return db.View(ctx, func(*Tx) error { return nil }) }); err != nil {
		t.Fatal(err)
	}
	if len(e.idle) != 2 {
		t.Errorf("%d readers are open after two Views at once, want 2", len(e.idle))
	}
}

// TestPoolWait: a View that finds all readers taken is told so, in bounded time.
func TestPoolWait(t *testing.T) {
	db := openFile(t, ":memory:")
	ctx := t.Context()
	var nest func(depth int) error
	nest = func(depth int) error {
		return db.View(ctx, func(*Tx) error {
			if depth == readers {
				return nil
			}
			return nest(depth + 1)
		})
	}
	if err := nest(0); packhouse.KindOf(err) != packhouse.KindUnavailable {
		t.Errorf("with all readers taken: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	<-short.Done()
	if err := db.View(short, func(tx *Tx) error { _, err := tx.Setting(short, "a", "b"); return err }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller who has left: %v", err)
	}
}

func TestMigrationFiles(t *testing.T) {
	for _, d := range []migrations.Dialect{migrations.SQLite, migrations.Postgres} {
		files, err := migrations.For(d)
		if err != nil {
			t.Fatal(err)
		}
		names, _ := fs.Glob(files, "*")
		for i, name := range names { // each number once, whichever engine it is for
			if want := fmt.Sprintf("%04d_", i+1); !strings.HasPrefix(name, want) {
				t.Errorf("%s sees %s, want %s...", d, name, want)
			}
		}
		if len(names) < 3 {
			t.Errorf("%s sees %v", d, names)
		}
	}
}
