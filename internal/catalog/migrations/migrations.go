// Package migrations holds the schema of the catalog: one SQL text for both engines.
// Words in double braces stand for what the engines spell differently; the few files
// that differ as a whole carry the engine's name. It is part of the catalog. Start
// reading with For and 0001_foundation.sql.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing/fstest"
)

//go:embed *.sql
var files embed.FS

// Dialect names an engine as file names spell it.
type Dialect string

// The engines.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

var dialects = []Dialect{SQLite, Postgres}

// words returns what each word in double braces stands for.
func (d Dialect) words() *strings.Replacer {
	if d == Postgres {
		return strings.NewReplacer(
			"{{id}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
			"{{text}}", `TEXT COLLATE "C"`,
			"{{bytes}}", "BYTEA",
			"{{by_key}}", "",
			"{{transaction}}", "xid8 NOT NULL DEFAULT pg_current_xact_id()",
		)
	}
	return strings.NewReplacer(
		"{{id}}", "INTEGER PRIMARY KEY AUTOINCREMENT",
		"{{text}}", "TEXT",
		"{{bytes}}", "BLOB",
		"{{by_key}}", "WITHOUT ROWID",
		"{{transaction}}", "BIGINT NOT NULL DEFAULT 0",
	)
}

// For returns the engine's migrations, named "0001_subject.sql", with all words
// expanded. An unknown word is an error.
func For(d Dialect) (fs.FS, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	words := d.words()
	out := fstest.MapFS{}
	for _, e := range entries {
		name, ok := d.own(e.Name())
		if !ok {
			continue
		}
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		expanded := words.Replace(string(text))
		if i := strings.Index(expanded, "{{"); i >= 0 {
			return nil, fmt.Errorf("migration %s: unknown word at %.20q", e.Name(), expanded[i:])
		}
		out[name] = &fstest.MapFile{Data: []byte(expanded), Mode: 0o444}
	}
	return out, nil
}

// own returns the name under which d sees a file, and whether it sees it.
func (d Dialect) own(file string) (string, bool) {
	base := strings.TrimSuffix(file, ".sql")
	for _, other := range dialects {
		if stem, ok := strings.CutSuffix(base, "."+string(other)); ok {
			return stem + ".sql", other == d
		}
	}
	return file, true
}

// Newest returns the version of the newest migration in fsys.
func Newest(fsys fs.FS) (int64, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	var newest int64
	for _, name := range names {
		digits, _, _ := strings.Cut(name, "_")
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s: name begins with no number: %w", name, err)
		}
		newest = max(newest, n)
	}
	return newest, nil
}

// Known returns the version of the newest embedded migration without expanding any.
func Known() (int64, error) { return Newest(files) }
