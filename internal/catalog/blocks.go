package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

// BlockRow is a block as stored: of a package, of one of its versions, or of bytes.
type BlockRow struct {
	packhouse.BlockEntry
	Name       packhouse.PackageName // zero for bytes
	VersionKey string                // "" for all versions
	Digest     packhouse.Digest      // zero for names
	// Revisions are those that have the bytes; only Blocks fills them in.
	Revisions []int64
}

// InsertBlock adds a block to a domain. Errors: ErrExists.
func (tx *Tx) InsertBlock(ctx context.Context, domainID int64, b BlockRow) error {
	const q = `INSERT INTO blocks (domain_id, format, namespace, name, version_key, sha256, target, reason, principal, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id`
	var digest []byte
	if b.Digest != (packhouse.Digest{}) {
		digest = b.Digest[:]
	}
	_, err := tx.insert(ctx, q, domainID, b.Name.Format, b.Name.Namespace, b.Name.Name, b.VersionKey, digest, b.Target, b.Reason, b.Principal, micros(b.Created))
	return err
}

// DeleteBlock removes a block from a domain. Errors: ErrNotFound.
func (tx *Tx) DeleteBlock(ctx context.Context, domainID int64, target string) error {
	return tx.execOne(ctx, `DELETE FROM blocks WHERE domain_id = $1 AND target = $2`, domainID, target)
}

// CountBlocks returns how many blocks a domain has.
func (tx *Tx) CountBlocks(ctx context.Context, domainID int64) (n int, err error) {
	return n, tx.one(ctx, `SELECT count(*) FROM blocks WHERE domain_id = $1`, []any{domainID}, &n)
}

// Blocks returns the blocks of a domain by target.
func (tx *Tx) Blocks(ctx context.Context, domainID int64) ([]BlockRow, error) {
	const q = `SELECT k.format, k.namespace, k.name, k.version_key, k.sha256, k.target, k.reason, k.principal, k.created_at
		FROM blocks k WHERE k.domain_id = $1 ORDER BY k.target`
	const revisions = `SELECT DISTINCT k.target, a.revision_id FROM blocks k JOIN blobs b ON b.domain_id = k.domain_id AND b.sha256 = k.sha256
		JOIN assets a ON a.blob_id = b.id WHERE k.domain_id = $1 AND k.sha256 IS NOT NULL`
	rows, err := list(ctx, tx, q, []any{domainID}, func(rows *sql.Rows) (b BlockRow, err error) {
		var digest []byte
		err = rows.Scan(&b.Name.Format, &b.Name.Namespace, &b.Name.Name, &b.VersionKey, &digest, &b.Target, &b.Reason, &b.Principal, moment{&b.Created})
		copy(b.Digest[:], digest)
		return b, err
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	byTarget := make(map[string]*BlockRow, len(rows))
	for i := range rows {
		byTarget[rows[i].Target] = &rows[i]
	}
	return rows, tx.each(ctx, revisions, []any{domainID}, func(r *sql.Rows) (bool, error) {
		var target string
		var id int64
		err := r.Scan(&target, &id)
		if b := byTarget[target]; b != nil {
			b.Revisions = append(b.Revisions, id)
		}
		return true, err
	})
}
