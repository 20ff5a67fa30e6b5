package catalogtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that schemas are made with
)

// The environment of tests that need PostgreSQL.
const (
	// ServerVariable holds the address of a server, as scripts/postgres.sh prints it.
	ServerVariable = "PACKHOUSE_TEST_POSTGRES"
	// EngineVariable is "postgres" where every catalog that Open makes is to lie on that
	// server instead of in memory.
	EngineVariable = "PACKHOUSE_TEST_ENGINE"
)

// PostgresServer returns the address of the server that tests may use. Without one it
// skips the test, or fails it where nothing may be skipped.
func PostgresServer(t testing.TB) string {
	t.Helper()
	server := os.Getenv(ServerVariable)
	if server == "" {
		const reason = ServerVariable + " names no server (scripts/postgres.sh starts one)"
		if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	return server
}

// Schema makes an empty schema on a server, drops it when the test ends, and returns the
// address of a database that sees nothing else.
func Schema(t testing.TB, server string) (dsn string) {
	t.Helper()
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	admin.SetMaxIdleConns(0) // tests are many, the server's connections few
	name := "packhouse_" + strings.ToLower(rand.Text())
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		if _, err := admin.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+name+` CASCADE`); err != nil {
			t.Errorf("drop schema: %v", err)
		}
		_ = admin.Close()
	})
	if _, err := admin.ExecContext(ctx, `CREATE SCHEMA `+name); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	return u.String()
}

// PrivateDSN returns where OpenWith keeps a catalog when nobody says: in memory, or in a
// schema of its own.
func PrivateDSN(t testing.TB) string {
	t.Helper()
	if OnPostgres() {
		return Schema(t, PostgresServer(t))
	}
	return ":memory:"
}

// OnPostgres reports whether catalogs lie on PostgreSQL unless a test says otherwise.
func OnPostgres() bool { return os.Getenv(EngineVariable) == "postgres" }
