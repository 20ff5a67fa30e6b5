package catalog

import (
	"bytes"
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

// NewVersion is a version pointer to insert.
type NewVersion struct {
	PackageID  int64
	Version    string // first spelling
	VersionKey string // identity
	RevisionID int64
	Status     packhouse.Status
	Origin     packhouse.Origin
	Published  time.Time
	Recorded   time.Time
	Overlay    []byte
}

// Methods that add or drop a reference keep blobs.unreferenced_since and domain_usage
// exact in the same transaction: a version refers to its revision's blobs unless its
// status is Disposed.

// InsertVersion adds a version. Errors: ErrExists; ErrExhausted; ErrNotFound when a
// blob of the revision is being deleted, so that its bytes must be stored anew.
func (tx *Tx) InsertVersion(ctx context.Context, v NewVersion) (VersionRow, error) {
	const q = `INSERT INTO versions (package_id, version, version_key, revision_id, status, origin_type, origin_repository, origin_connection,
			published_at, recorded_at, overlay)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id`
	overlay, err := tx.sealOverlay(ctx, v.PackageID, v.VersionKey, v.Overlay)
	if err != nil {
		return VersionRow{}, err
	}
	id, err := tx.insert(ctx, q, v.PackageID, v.Version, v.VersionKey, v.RevisionID, v.Status, v.Origin.Type, v.Origin.Repository, v.Origin.Connection,
		micros(v.Published), micros(v.Recorded), overlay)
	if err != nil {
		return VersionRow{}, err
	}
	put(&tx.wrote.versions, id, v.RevisionID)
	if v.Status != packhouse.Disposed {
		if err := tx.addReferences(ctx, v.RevisionID); err != nil {
			return VersionRow{}, err
		}
	}
	n, ok := tx.wrote.revisions[v.RevisionID]
	if !ok {
		return tx.Version(ctx, v.PackageID, v.VersionKey)
	}
	row := VersionRow{PackageID: v.PackageID, VersionKey: v.VersionKey}
	row.ID, row.Ref.Version, row.RevisionID, row.Revision, row.Status = id, v.Version, v.RevisionID, n.name, v.Status
	row.Origin, row.Published, row.Recorded, row.Overlay = v.Origin, stored(v.Published), stored(v.Recorded), bytes.Clone(v.Overlay)
	return row, nil
}

func (tx *Tx) sealOverlay(ctx context.Context, packageID int64, versionKey string, overlay []byte) ([]byte, error) {
	if len(overlay) == 0 {
		return nil, nil
	}
	const q = `SELECT domain_id FROM packages WHERE id = $1 AND deleted_at IS NULL`
	var domainID int64
	if err := tx.one(ctx, q, []any{packageID}, &domainID); err != nil {
		return nil, err
	}
	key, err := tx.domainKey(ctx, domainID)
	if err != nil {
		return nil, err
	}
	return tx.seal(ctx, key, overlayColumn, overlayName(packageID, versionKey), overlay)
}

// RepointVersion moves a version to another revision and status. Errors: ErrNotFound,
// also as InsertVersion.
func (tx *Tx) RepointVersion(ctx context.Context, versionID, revisionID int64, status packhouse.Status) error {
	was, err := tx.pointer(ctx, versionID)
	if err != nil {
		return err
	}
	return tx.move(ctx, versionID, was, revisionID, status)
}

// move sets a version's pointer and moves its references along.
func (tx *Tx) move(ctx context.Context, versionID int64, was pointer, revisionID int64, status packhouse.Status) error {
	const q = `UPDATE versions SET revision_id = $2, status = $3 WHERE id = $1 AND deleted_at IS NULL`
	if err := tx.execOne(ctx, q, versionID, revisionID, status); err != nil {
		return err
	}
	put(&tx.wrote.versions, versionID, revisionID)
	referred, refers := was.status != packhouse.Disposed, status != packhouse.Disposed
	if was.revisionID == revisionID && referred == refers {
		return nil
	}
	if refers {
		if err := tx.addReferences(ctx, revisionID); err != nil {
			return err
		}
	}
	if referred {
		return tx.dropReferences(ctx, blobsOfRevision, was.revisionID)
	}
	return nil
}

// SetStatus sets a version's status; Disposed drops its references. Errors:
// ErrNotFound, also as InsertVersion.
func (tx *Tx) SetStatus(ctx context.Context, versionID int64, s packhouse.Status) error {
	was, err := tx.pointer(ctx, versionID)
	if err != nil {
		return err
	}
	return tx.move(ctx, versionID, was, was.revisionID, s)
}

// SetOverlay replaces a version's overlay; an empty one removes it. Errors: ErrNotFound.
func (tx *Tx) SetOverlay(ctx context.Context, versionID int64, overlay []byte) error {
	const q = `UPDATE versions SET overlay = $2 WHERE id = $1 AND deleted_at IS NULL`
	v, err := tx.pointer(ctx, versionID)
	if err != nil {
		return err
	}
	sealed, err := tx.sealOverlay(ctx, v.packageID, v.versionKey, overlay)
	if err != nil {
		return err
	}
	return tx.execOne(ctx, q, versionID, sealed)
}

// SetOrigin replaces where a version came from and when it was published, for copies
// that overwrite. Errors: ErrNotFound.
func (tx *Tx) SetOrigin(ctx context.Context, versionID int64, o packhouse.Origin, published time.Time) error {
	const q = `UPDATE versions SET origin_type = $2, origin_repository = $3, origin_connection = $4, published_at = $5
		WHERE id = $1 AND deleted_at IS NULL`
	return tx.execOne(ctx, q, versionID, o.Type, o.Repository, o.Connection, micros(published))
}

// DeleteVersion buries a version; its tags go. Errors: ErrNotFound.
func (tx *Tx) DeleteVersion(ctx context.Context, versionID int64) error {
	const bury = `UPDATE versions SET deleted_at = $2, purge_after = $2, delete_batch = $3
		WHERE id = $1 AND deleted_at IS NULL RETURNING revision_id`
	const tags = `DELETE FROM tags WHERE version_id = $1`
	grave := tx.grave()
	var revisionID int64
	if err := tx.one(ctx, bury, []any{versionID, grave.at, grave.batch}, &revisionID); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, tags, versionID); err != nil {
		return err
	}
	return tx.dropReferences(ctx, blobsOfRevision, revisionID)
}
