package catalog_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	_ "modernc.org/sqlite"
)

func TestSQLite(t *testing.T) {
	catalogtest.Run(t, openSQLite)
}

func TestPostgres(t *testing.T) {
	server := catalogtest.PostgresServer(t)
	catalogtest.Run(t, func(t testing.TB, o catalog.Options) catalogtest.Opened { return openPostgres(t, server, o) })
}

// TestPostgresSettings looks at what connections are set to (reliability.md R5, A8).
func TestPostgresSettings(t *testing.T) {
	o := openPostgres(t, catalogtest.PostgresServer(t), catalog.Options{})
	for setting, want := range map[string]string{"synchronous_commit": "on", "statement_timeout": "5s", "idle_in_transaction_session_timeout": "10s"} {
		if got := catalog.PostgresSetting(t, o.DB, setting); got != want {
			t.Errorf("%s is %s, want %s", setting, got, want)
		}
	}
}

func openSQLite(t testing.TB, o catalog.Options) catalogtest.Opened {
	o.DSN = filepath.Join(t.TempDir(), "catalog.db")
	db := catalogtest.OpenWith(t, o)
	raw := openRaw(t, "sqlite", "file:"+o.DSN+"?_pragma=busy_timeout(5000)")
	return catalogtest.Opened{DB: db, Raw: raw, SetNextID: func(table string, id int64) {
		mustExec(t, raw, `UPDATE sqlite_sequence SET seq = `+fmt.Sprint(id-1)+` WHERE name = '`+table+`'`)
		if id > 1<<31-1 {
			mustExec(t, raw, `INSERT INTO sqlite_sequence (name, seq) SELECT '`+table+`', `+fmt.Sprint(id-1)+
				` WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '`+table+`')`)
		}
	}}
}

// openPostgres makes a schema of its own on the server and drops it at the end.
func openPostgres(t testing.TB, server string, o catalog.Options) catalogtest.Opened {
	o.DSN = catalogtest.Schema(t, server)
	db := catalogtest.OpenWith(t, o)
	raw := openRaw(t, "pgx", o.DSN)
	return catalogtest.Opened{DB: db, Raw: raw, SetNextID: func(table string, id int64) {
		mustExec(t, raw, `ALTER TABLE `+table+` ALTER COLUMN id RESTART WITH `+fmt.Sprint(id))
	}}
}

func openRaw(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

// mustExec also runs in clean-ups, when the test's context has ended.
func mustExec(t testing.TB, raw *sql.DB, q string) {
	t.Helper()
	if _, err := raw.ExecContext(context.WithoutCancel(t.Context()), q); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
}
