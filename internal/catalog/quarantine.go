package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
)

// StoredBlob is a blob row with the keyset that its bytes are sealed under.
type StoredBlob struct {
	BlobRow
	Key packhouse.KeyRef
}

// BlobFilter selects blobs that are not being deleted, of domains that live.
type BlobFilter struct {
	DomainID     int64 // 0 for all
	RepositoryID int64 // those that its versions have; 0 for all
	Quarantined  bool  // only those
	AfterID      int64
	Limit        int
}

// StoredBlobs returns the blobs that a filter selects, by id.
func (tx *Tx) StoredBlobs(ctx context.Context, f BlobFilter) ([]StoredBlob, error) {
	const all = `SELECT ` + blobColumns + `, d.key_id, d.keyset FROM blobs b JOIN domains d ON d.id = b.domain_id
		WHERE b.id > $1 AND b.state <> 'deleting' AND d.deleted_at IS NULL`
	const ordered = ` ORDER BY b.id LIMIT $2`
	q, args := all, []any{f.AfterID, f.Limit}
	switch {
	case f.RepositoryID != 0:
		q += ` AND EXISTS (SELECT 1 FROM assets a JOIN versions v ON v.revision_id = a.revision_id JOIN packages p ON p.id = v.package_id
			WHERE a.blob_id = b.id AND v.deleted_at IS NULL AND v.status <> 'Disposed' AND p.repository_id = $3)`
		args = append(args, f.RepositoryID)
	case f.DomainID != 0:
		q += ` AND b.domain_id = $3`
		args = append(args, f.DomainID)
	}
	if f.Quarantined {
		q += ` AND b.quarantined_at IS NOT NULL`
	}
	return list(ctx, tx, q+ordered, args, func(rows *sql.Rows) (StoredBlob, error) {
		var s scannedBlob
		var b StoredBlob
		err := rows.Scan(append(s.dest(), &b.Key.KeyID, &b.Key.Keyset)...)
		b.BlobRow = s.row()
		b.Key.DomainID = b.DomainID
		return b, err
	})
}

// NewestBlob returns the highest id of a blob, 0 where there is none.
func (tx *Tx) NewestBlob(ctx context.Context) (id int64, err error) {
	err = tx.one(ctx, `SELECT coalesce(max(id), 0) FROM blobs`, nil, &id)
	return id, err
}

// BlobOfObject returns the blob whose bytes are a stored object. Errors: ErrNotFound.
func (tx *Tx) BlobOfObject(ctx context.Context, object string) (BlobRow, error) {
	rows, err := tx.blobs(ctx, selectBlobs+` WHERE b.object = $1`, object)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return BlobRow{}, err
	}
	return rows[0], nil
}

// KnownObjects returns which of some stored objects are the bytes of a blob or of a part of
// an upload.
func (tx *Tx) KnownObjects(ctx context.Context, objects []string) (map[string]bool, error) {
	known := make(map[string]bool, len(objects))
	if len(objects) == 0 {
		return known, nil
	}
	set, args := in(1, objects)
	for _, q := range []string{`SELECT object FROM blobs WHERE object IN `, `SELECT object FROM upload_parts WHERE object IN `} {
		err := tx.each(ctx, q+set, args, func(rows *sql.Rows) (bool, error) {
			var object string
			err := rows.Scan(&object)
			known[object] = true
			return true, err
		})
		if err != nil || len(known) == len(objects) {
			return known, err
		}
	}
	return known, nil
}

// CountQuarantined returns how many blobs are quarantined.
func (tx *Tx) CountQuarantined(ctx context.Context) (n int64, err error) {
	err = tx.one(ctx, `SELECT count(*) FROM blobs WHERE quarantined_at IS NOT NULL`, nil, &n)
	return n, err
}

// BlobUse is a file of a version whose bytes are a blob.
type BlobUse struct {
	Asset  packhouse.AssetRef
	RepoID int64
	Status packhouse.Status
	Origin packhouse.Origin
}

// BlobUses returns the files whose bytes are a blob, at most limit, those of Disposed
// versions left out.
func (tx *Tx) BlobUses(ctx context.Context, blobID int64, limit int) ([]BlobUse, error) {
	const q = `SELECT d.account_id, d.name, r.id, r.name, p.format, p.namespace, p.name, v.version, a.name, v.status, v.origin_type, v.origin_repository, v.origin_connection
		FROM assets a JOIN versions v ON v.revision_id = a.revision_id JOIN packages p ON p.id = v.package_id
		JOIN repositories r ON r.id = p.repository_id JOIN domains d ON d.id = r.domain_id
		WHERE a.blob_id = $1 AND v.deleted_at IS NULL AND v.status <> 'Disposed'
		ORDER BY r.name, p.format, p.namespace, p.name, v.version, a.name LIMIT $2`
	return list(ctx, tx, q, []any{blobID, limit}, func(rows *sql.Rows) (u BlobUse, err error) {
		a := &u.Asset
		return u, rows.Scan(&a.Repo.Domain.Owner, &a.Repo.Domain.Name, &u.RepoID, &a.Repo.Name, &a.Package.Format, &a.Package.Namespace, &a.Package.Name,
			&a.Version, &a.Asset, &u.Status, &u.Origin.Type, &u.Origin.Repository, &u.Origin.Connection)
	})
}

// QuarantineBlob marks a blob whose stored object was found to be damaged or gone, and
// records that for each version that it belongs to; why goes into the record. Errors:
// ErrNotFound when the row has another object by now, is being deleted or is marked already.
func (tx *Tx) QuarantineBlob(ctx context.Context, b BlobRow, why string) error {
	const q = `UPDATE blobs SET quarantined_at = $3 WHERE id = $1 AND object = $2 AND quarantined_at IS NULL AND state <> 'deleting'`
	if err := tx.execOne(ctx, q, b.ID, b.Object, micros(tx.db.now())); err != nil {
		return err
	}
	return tx.recordBlob(ctx, packhouse.ChangeAssetDamaged, b, why)
}

// ReleaseBlob takes the mark off a blob whose stored object reads well again, and records
// that. Errors: ErrNotFound when the row has another object by now or is not marked.
func (tx *Tx) ReleaseBlob(ctx context.Context, b BlobRow, why string) error {
	const q = `UPDATE blobs SET quarantined_at = NULL WHERE id = $1 AND object = $2 AND quarantined_at IS NOT NULL`
	if err := tx.execOne(ctx, q, b.ID, b.Object); err != nil {
		return err
	}
	return tx.recordBlob(ctx, packhouse.ChangeAssetRestored, b, why)
}

// ReplaceBlob gives a quarantined blob another object that holds the same bytes, kept for
// a later generation, and records that: fresh is a row as UseBlob takes it. The caller
// removes the old object after the commit.
// Errors: ErrNotFound when the row has another object by now or is not marked.
func (tx *Tx) ReplaceBlob(ctx context.Context, b, fresh BlobRow) error {
	const q = `UPDATE blobs SET object = $3, generation = $4, wrapped_key = $5, key_id = $6, quarantined_at = NULL
		WHERE id = $1 AND object = $2 AND generation < $4 AND quarantined_at IS NOT NULL AND state <> 'deleting'`
	if fresh.Digest != b.Digest || fresh.Size != b.Size {
		return fmt.Errorf("replace blob %s: %d bytes of %s are not it", b.Digest, fresh.Size, fresh.Digest)
	}
	if err := tx.execOne(ctx, q, b.ID, b.Object, fresh.Object, fresh.Generation, fresh.WrappedKey, fresh.KeyID); err != nil {
		return err
	}
	if err := tx.replaceBody(ctx, b.ID, fresh.Body); err != nil {
		return err
	}
	return tx.recordBlob(ctx, packhouse.ChangeAssetRestored, b, "stored anew")
}

// recordedUses bounds the changes that one blob's mark records, and so the transaction.
const recordedUses = 1000

// recordBlob records a change of each file whose bytes are a blob; of the domain where
// there is none.
func (tx *Tx) recordBlob(ctx context.Context, kind packhouse.ChangeKind, b BlobRow, why string) error {
	uses, err := tx.BlobUses(ctx, b.ID, recordedUses)
	if err != nil {
		return err
	}
	about := packhouse.Change{At: tx.db.now().UTC(), Kind: kind, DomainID: b.DomainID, Detail: "sha256:" + b.Digest.Hex() + ": " + why}
	if len(uses) == 0 {
		d, err := tx.DomainByID(ctx, b.DomainID)
		if errors.Is(err, ErrNotFound) {
			return nil // nothing is left that it could concern
		}
		if err != nil {
			return err
		}
		about.Domain, about.DedupID = d.Ref, uuid.NewString()
		return tx.Record(ctx, about)
	}
	changes := make([]packhouse.Change, len(uses))
	for i, u := range uses {
		c := about
		c.Domain, c.Repo, c.RepoID, c.Package, c.Version = u.Asset.Repo.Domain, u.Asset.Repo.Name, u.RepoID, u.Asset.Package, u.Asset.Version
		c.Detail, c.DedupID = u.Asset.Asset+" "+c.Detail, uuid.NewString()
		changes[i] = c
	}
	return tx.Record(ctx, changes...)
}
