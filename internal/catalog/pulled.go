package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/packhouse/packhouse"
)

// Receiver is a repository that is about to get a version.
type Receiver struct {
	RepoID    int64
	PackageID int64 // 0 where it has no record of the package
	Has       bool  // it has the version already
}

// Receivers returns those of the repositories that exist, by id, and what they have of a
// package. One statement; nothing is locked.
func (tx *Tx) Receivers(ctx context.Context, repoIDs []int64, n packhouse.PackageName, versionKey string) ([]Receiver, error) {
	const q = `SELECT r.id, coalesce(p.id, 0), v.id IS NOT NULL FROM repositories r
		LEFT JOIN packages p ON p.repository_id = r.id AND p.format = $1 AND p.namespace = $2 AND p.name = $3 AND p.deleted_at IS NULL
		LEFT JOIN versions v ON v.package_id = p.id AND v.version_key = $4 AND v.deleted_at IS NULL
		WHERE r.deleted_at IS NULL AND r.id IN `
	if len(repoIDs) == 0 {
		return nil, nil
	}
	set, ids := in(5, repoIDs)
	out, err := list(ctx, tx, q+set+` ORDER BY r.id`, append([]any{n.Format, n.Namespace, n.Name, versionKey}, ids...),
		func(rows *sql.Rows) (r Receiver, err error) { return r, rows.Scan(&r.RepoID, &r.PackageID, &r.Has) })
	if err != nil {
		return nil, fmt.Errorf("look for receivers of %s: %w", n, err)
	}
	return out, nil
}

// PulledAsset is an asset of a version that a repository has from a connection.
type PulledAsset struct {
	RepoID              int64
	Version, VersionKey string
	Name                string
	Hashes              packhouse.Hashes
}

// PulledAssets returns what the repositories hold of a package from one connection,
// order unspecified. Disposed versions have no assets. One statement.
func (tx *Tx) PulledAssets(ctx context.Context, repoIDs []int64, n packhouse.PackageName, connection string) ([]PulledAsset, error) {
	const q = `SELECT p.repository_id, v.version, v.version_key, a.name, ` + blobColumns + ` FROM packages p
		JOIN versions v ON v.package_id = p.id AND v.deleted_at IS NULL AND v.origin_connection = $4 AND v.status <> 'Disposed'
		JOIN assets a ON a.revision_id = v.revision_id AND a.kind <> $5
		JOIN blobs b ON b.id = a.blob_id` + ofPackage
	if len(repoIDs) == 0 {
		return nil, nil
	}
	set, ids := in(6, repoIDs)
	var out []PulledAsset
	err := tx.each(ctx, q+set, append([]any{n.Format, n.Namespace, n.Name, connection, kindSide}, ids...), func(rows *sql.Rows) (bool, error) {
		var a PulledAsset
		var b scannedBlob
		if err := rows.Scan(append([]any{&a.RepoID, &a.Version, &a.VersionKey, &a.Name}, b.dest()...)...); err != nil {
			return false, err
		}
		a.Hashes = b.row().Hashes
		out = append(out, a)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what was pulled of %s from %s: %w", n, connection, err)
	}
	return out, nil
}
