package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// Tags returns a package's tags, tag to version text.
func (tx *Tx) Tags(ctx context.Context, packageID int64) (map[string]string, error) {
	const q = `SELECT t.name, v.version FROM tags t JOIN versions v ON v.id = t.version_id
		WHERE t.package_id = $1 AND v.deleted_at IS NULL`
	tags := make(map[string]string)
	err := tx.each(ctx, q, []any{packageID}, func(rows *sql.Rows) (bool, error) {
		var tag, version string
		err := rows.Scan(&tag, &version)
		tags[tag] = version
		return true, err
	})
	return tags, err
}

// SetTag points a tag at a version of the same package, moving it if there is one.
// Errors: ErrNotFound when the version is not a live one of the package; ErrExhausted.
func (tx *Tx) SetTag(ctx context.Context, packageID int64, tag string, versionID int64, at time.Time) error {
	// Not an upsert: PostgreSQL would use up an identifier for each move.
	const move = `UPDATE tags SET version_id = $3, pushed_at = $4 WHERE package_id = $1 AND name = $2
		AND EXISTS (SELECT 1 FROM versions v WHERE v.id = $3 AND v.package_id = $1 AND v.deleted_at IS NULL)`
	const insert = `INSERT INTO tags (package_id, name, version_id, pushed_at)
		SELECT v.package_id, $2, v.id, CAST($4 AS BIGINT) FROM versions v
		WHERE v.id = $3 AND v.package_id = $1 AND v.deleted_at IS NULL ON CONFLICT DO NOTHING`
	args := []any{packageID, tag, versionID, micros(at)}
	if tx.wrote.packages[packageID] { // it has hardly any tags yet
		if n, err := tx.exec(ctx, insert, args...); err != nil || n > 0 {
			return err
		}
	}
	if n, err := tx.exec(ctx, move, args...); err != nil || n > 0 {
		return err
	}
	return tx.execOne(ctx, insert, args...)
}

// RemoveTag removes a tag. Errors: ErrNotFound.
func (tx *Tx) RemoveTag(ctx context.Context, packageID int64, tag string) error {
	return tx.execOne(ctx, `DELETE FROM tags WHERE package_id = $1 AND name = $2`, packageID, tag)
}

// The kinds of resource that carry ResourceTags.
const (
	TaggedDomain     = "domain"
	TaggedRepository = "repository"
)

// ResourceTags returns the tags of a resource by key; kind is "domain" or "repository".
func (tx *Tx) ResourceTags(ctx context.Context, kind string, id int64) ([]packhouse.ResourceTag, error) {
	const q = `SELECT key, value FROM resource_tags WHERE kind = $1 AND resource_id = $2 ORDER BY key`
	return list(ctx, tx, q, []any{kind, id}, func(rows *sql.Rows) (t packhouse.ResourceTag, err error) {
		return t, rows.Scan(&t.Key, &t.Value)
	})
}

// RepositoryTag is a resource tag of a repository.
type RepositoryTag struct {
	RepoID int64
	packhouse.ResourceTag
}

// RepositoryTags returns the tags of a domain's repositories whose keys begin with prefix,
// by repository and key.
func (tx *Tx) RepositoryTags(ctx context.Context, domainID int64, prefix string) ([]RepositoryTag, error) {
	const q = `SELECT t.resource_id, t.key, t.value FROM repositories r JOIN resource_tags t ON t.kind = 'repository' AND t.resource_id = r.id
		WHERE r.domain_id = $1 AND r.deleted_at IS NULL AND t.key >= $2 AND t.key < $3 ORDER BY t.resource_id, t.key`
	return list(ctx, tx, q, []any{domainID, prefix, prefix + "\U0010FFFF"}, func(rows *sql.Rows) (t RepositoryTag, err error) {
		return t, rows.Scan(&t.RepoID, &t.Key, &t.Value)
	})
}

// PutResourceTags adds tags and overwrites those with equal keys. Keys are distinct.
func (tx *Tx) PutResourceTags(ctx context.Context, kind string, id int64, tags []packhouse.ResourceTag) error {
	if len(tags) == 0 {
		return nil
	}
	var args []any
	for _, t := range tags {
		args = append(args, kind, id, t.Key, t.Value)
	}
	q := `INSERT INTO resource_tags (kind, resource_id, key, value) VALUES ` + tuples(len(tags), 4) + `
		ON CONFLICT (kind, resource_id, key) DO UPDATE SET value = excluded.value`
	_, err := tx.execOnce(ctx, q, args...)
	return err
}

// RemoveResourceTags removes tags by key; absent ones are no error.
func (tx *Tx) RemoveResourceTags(ctx context.Context, kind string, id int64, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	set, args := in(3, keys)
	_, err := tx.exec(ctx, `DELETE FROM resource_tags WHERE kind = $1 AND resource_id = $2 AND key IN `+set, append([]any{kind, id}, args...)...)
	return err
}
