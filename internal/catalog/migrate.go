package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/packhouse/packhouse/internal/catalog/migrations"
	"github.com/pressly/goose/v3"
)

// selectSchema reads the schema's version where there is a table of migrations.
const selectSchema = `SELECT max(version_id) FROM goose_db_version`

// schemaVersion is what migrate must know and do on an engine.
type schemaVersion struct {
	current func() (int64, error)     // 0 for an empty database
	backup  func(version int64) error // copies a database of an older schema aside
	options []goose.ProviderOption
}

// migrate brings the schema up to date. When it is, as at almost every start, that
// costs two small queries.
func migrate(ctx context.Context, d migrations.Dialect, pool *sql.DB, v schemaVersion) error {
	known, err := migrations.Known()
	if err != nil {
		return err
	}
	return migrateTo(ctx, d, pool, v, known, func() (fs.FS, error) { return migrations.For(d) })
}

func migrateTo(ctx context.Context, d migrations.Dialect, pool *sql.DB, v schemaVersion, known int64, files func() (fs.FS, error)) error {
	current, err := v.current()
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	switch {
	case current == known:
		return nil
	case current > known:
		return fmt.Errorf("%w: it has schema %d, this release knows %d; start the release that made it, or a later one", ErrNewerSchema, current, known)
	case current > 0:
		if err := v.backup(current); err != nil {
			return fmt.Errorf("copy the database before migrating: %w", err)
		}
	}
	fsys, err := files()
	if err != nil {
		return err
	}
	engine := goose.DialectSQLite3
	if d == migrations.Postgres {
		engine = goose.DialectPostgres
	}
	options := append([]goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}, v.options...)
	provider, err := goose.NewProvider(engine, pool, fsys, options...)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
