package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// UploadRow is an upload that takes several requests (reliability.md R12).
type UploadRow struct {
	ID           string
	RepositoryID int64
	Package      packhouse.PackageName
	PrincipalID  int64
	Offset       int64  // bytes that are durable, from the start
	About        []byte // its maker's own
	Expires      time.Time
}

// InsertUpload begins an upload at offset 0. Errors: ErrExists.
func (tx *Tx) InsertUpload(ctx context.Context, u UploadRow) error {
	const q = `INSERT INTO uploads (uuid, repository_id, format, namespace, name, principal_id, position, staging_key, declared, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, 0, '', $7, $8) ON CONFLICT DO NOTHING`
	n, err := tx.exec(ctx, q, u.ID, u.RepositoryID, u.Package.Format, u.Package.Namespace, u.Package.Name, u.PrincipalID, u.About, micros(u.Expires))
	if err == nil && n == 0 {
		return ErrExists
	}
	return err
}

// Upload returns an upload that has not expired. Errors: ErrNotFound.
func (tx *Tx) Upload(ctx context.Context, id string) (u UploadRow, err error) {
	const q = `SELECT uuid, repository_id, format, namespace, name, principal_id, position, declared, expires_at
		FROM uploads WHERE uuid = $1 AND expires_at > $2`
	err = tx.one(ctx, q, []any{id, micros(tx.db.now())}, &u.ID, &u.RepositoryID, &u.Package.Format, &u.Package.Namespace, &u.Package.Name,
		&u.PrincipalID, &u.Offset, &u.About, moment{&u.Expires})
	return u, err
}

// CountUploads returns how many uploads a principal has begun whose bytes are not gone
// yet.
func (tx *Tx) CountUploads(ctx context.Context, principalID int64) (n int, err error) {
	const q = `SELECT count(*) FROM uploads WHERE principal_id = $1`
	err = tx.one(ctx, q, []any{principalID}, &n)
	return n, err
}

// AppendPart adds a part that begins at offset from to an upload. Errors: ErrNotFound
// when the upload has expired or does not end there any more.
func (tx *Tx) AppendPart(ctx context.Context, id string, from int64, part packhouse.BlobRef, expires time.Time) error {
	const advance = `UPDATE uploads SET position = position + $3, expires_at = $4 WHERE uuid = $1 AND position = $2 AND expires_at > $5`
	const insert = `INSERT INTO upload_parts (upload, position, sha256, size, object, wrapped_key, key_id) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	if err := tx.execOne(ctx, advance, id, from, part.Size, micros(expires), micros(tx.db.now())); err != nil {
		return err
	}
	_, err := tx.exec(ctx, insert, id, from, part.Digest[:], part.Size, part.Object, part.WrappedKey, part.KeyID)
	return err
}

// UploadParts returns an upload's parts in their order. Their generation is
// PartGeneration.
func (tx *Tx) UploadParts(ctx context.Context, id string) ([]packhouse.BlobRef, error) {
	const q = `SELECT sha256, size, object, wrapped_key, key_id FROM upload_parts WHERE upload = $1 ORDER BY position`
	return list(ctx, tx, q, []any{id}, func(rows *sql.Rows) (packhouse.BlobRef, error) {
		var digest []byte
		part := packhouse.BlobRef{Generation: PartGeneration}
		err := rows.Scan(&digest, &part.Size, &part.Object, &part.WrappedKey, &part.KeyID)
		copy(part.Digest[:], digest)
		return part, err
	})
}

// PartGeneration is the generation of every part: none is ever found by its digest.
const PartGeneration = 1

// KeepUpload lets an upload that has not expired live until expires. Errors: ErrNotFound.
func (tx *Tx) KeepUpload(ctx context.Context, id string, expires time.Time) error {
	const q = `UPDATE uploads SET expires_at = $2 WHERE uuid = $1 AND expires_at > $3`
	return tx.execOne(ctx, q, id, micros(expires), micros(tx.db.now()))
}

// EndUpload lets an upload expire now. Errors: ErrNotFound.
func (tx *Tx) EndUpload(ctx context.Context, id string) error {
	const q = `UPDATE uploads SET expires_at = $2 WHERE uuid = $1 AND expires_at > $2`
	return tx.execOne(ctx, q, id, micros(tx.db.now()))
}

// ExpiredUploads returns the ids of uploads that have expired, at most limit.
func (tx *Tx) ExpiredUploads(ctx context.Context, limit int) ([]string, error) {
	const q = `SELECT uuid FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2`
	return list(ctx, tx, q, []any{micros(tx.db.now()), limit}, func(rows *sql.Rows) (id string, err error) {
		return id, rows.Scan(&id)
	})
}

// DeleteUpload forgets an expired upload and its parts. Their bytes must be gone before,
// because nothing else knows of them. Errors: ErrNotFound.
func (tx *Tx) DeleteUpload(ctx context.Context, id string) error {
	const expired = `SELECT uuid FROM uploads WHERE uuid = $1 AND expires_at <= $2`
	if err := tx.one(ctx, expired, []any{id, micros(tx.db.now())}, &id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM upload_parts WHERE upload = $1`, id); err != nil {
		return err
	}
	return tx.execOne(ctx, `DELETE FROM uploads WHERE uuid = $1`, id)
}
