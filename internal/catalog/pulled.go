package catalog

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/packhouse/packhouse"
)

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
