package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/packhouse/packhouse"
)

// BlobState is where a blob row stands in reliability.md R14.
type BlobState string

// The states of a blob row.
const (
	BlobLive      BlobState = "live"
	BlobCondemned BlobState = "condemned"
	BlobDeleting  BlobState = "deleting"
)

// BlobRow is a stored blob.
type BlobRow struct {
	packhouse.BlobRef
	ID       int64
	DomainID int64
	Hashes   packhouse.Hashes // SHA256 always; others once computed
	State    BlobState
	// Quarantined is when the stored bytes were found to be damaged or gone; zero while
	// they are good (reliability.md R15).
	Quarantined time.Time
	// Body is the sealed bytes of a small blob whose row is to be written: they are stored
	// beside it. nil for one that lies in the blob store, and in every row that is returned.
	Body []byte
}

const blobColumns = `b.id, b.domain_id, b.sha256, b.size, b.md5, b.sha1, b.sha512, b.generation, b.object, b.state, b.wrapped_key, b.key_id, b.quarantined_at`

const selectBlobs = `SELECT ` + blobColumns + ` FROM blobs b`

// scannedBlob is a blob row as the database has it; all fields may be absent, for
// outer joins.
type scannedBlob struct {
	id, domainID, size, generation, quarantined sql.NullInt64
	sha256, md5, sha1, sha512, wrapped          []byte
	object, state, keyID                        sql.NullString
}

// dest returns the destinations of blobColumns.
func (s *scannedBlob) dest() []any {
	return []any{&s.id, &s.domainID, &s.sha256, &s.size, &s.md5, &s.sha1, &s.sha512, &s.generation, &s.object, &s.state, &s.wrapped, &s.keyID, &s.quarantined}
}

func (s *scannedBlob) row() BlobRow {
	b := BlobRow{ID: s.id.Int64, DomainID: s.domainID.Int64, State: BlobState(s.state.String)}
	copy(b.Digest[:], s.sha256)
	b.Size, b.Generation, b.Object, b.WrappedKey, b.KeyID = s.size.Int64, s.generation.Int64, s.object.String, s.wrapped, s.keyID.String
	b.Hashes = packhouse.Hashes{MD5: hex.EncodeToString(s.md5), SHA1: hex.EncodeToString(s.sha1), SHA256: b.Digest.Hex(), SHA512: hex.EncodeToString(s.sha512)}
	if s.quarantined.Valid {
		b.Quarantined = fromMicros(s.quarantined.Int64)
	}
	return b
}

func (tx *Tx) blobs(ctx context.Context, q string, args ...any) ([]BlobRow, error) {
	return list(ctx, tx, q, args, func(rows *sql.Rows) (BlobRow, error) {
		var s scannedBlob
		err := rows.Scan(s.dest()...)
		return s.row(), err
	})
}

const currentBlob = selectBlobs + ` WHERE b.domain_id = $1 AND b.sha256 = $2 AND b.state <> 'deleting'`

// FindBlob returns the blob row of a digest that is not being deleted. Errors:
// ErrNotFound.
func (tx *Tx) FindBlob(ctx context.Context, domainID int64, d packhouse.Digest) (BlobRow, error) {
	return tx.findBlob(ctx, currentBlob, domainID, d)
}

// BlobToKeep returns the blob row of a digest whose bytes are good and not being deleted,
// or, where there is none, the generation to keep the digest's bytes for: see
// NextGeneration. It is 0 where there is a row.
func (tx *Tx) BlobToKeep(ctx context.Context, domainID int64, d packhouse.Digest) (row BlobRow, generation int64, err error) {
	const q = selectBlobs + ` WHERE b.domain_id = $1 AND b.sha256 = $2 ORDER BY b.generation DESC`
	rows, err := tx.blobs(ctx, q, domainID, d[:])
	if err != nil {
		return BlobRow{}, 0, err
	}
	for _, row := range rows {
		if row.State != BlobDeleting && row.Quarantined.IsZero() {
			return row, 0, nil
		}
	}
	if len(rows) > 0 {
		generation = rows[0].Generation
	}
	return BlobRow{}, generation + 1, nil
}

func (tx *Tx) findBlob(ctx context.Context, q string, domainID int64, d packhouse.Digest) (BlobRow, error) {
	rows, err := tx.blobs(ctx, q, domainID, d[:])
	if err != nil {
		return BlobRow{}, err
	}
	if len(rows) == 0 {
		return BlobRow{}, ErrNotFound
	}
	return rows[0], nil
}

// NextGeneration returns the generation to keep a digest's bytes for: 1, or one more
// than any row of the digest has had (reliability.md R14).
func (tx *Tx) NextGeneration(ctx context.Context, domainID int64, d packhouse.Digest) (int64, error) {
	const q = `SELECT coalesce(max(generation), 0) + 1 FROM blobs WHERE domain_id = $1 AND sha256 = $2`
	var next int64
	err := tx.one(ctx, q, []any{domainID, d[:]}, &next)
	return next, err
}

// UseBlob is the "use" step of reliability.md R14. It returns the row to refer to and
// whether b's own object is the one kept; if not, the caller removes that object after
// the commit. b is a row that was found, or one without an ID for bytes that were kept;
// Generation 0 leaves that choice to the catalog. Bytes that were kept take the place of
// those of a quarantined row. Errors: ErrGeneration when b was kept for a generation that
// is in use already, or is a row that is being deleted.
func (tx *Tx) UseBlob(ctx context.Context, b BlobRow) (row BlobRow, kept bool, err error) {
	const revive = `UPDATE blobs SET state = 'live', unreferenced_since = $2, marked_round = NULL WHERE id = $1`
	if b.ID == 0 && b.Generation > 0 { // bytes that were new a moment ago
		if row, kept, err = tx.insertBlob(ctx, b); !errors.Is(err, ErrGeneration) {
			return row, kept, err
		}
	}
	row, err = tx.findBlob(ctx, tx.db.dialect.lock(currentBlob, "b"), b.DomainID, b.Digest)
	switch {
	case errors.Is(err, ErrNotFound) && b.ID != 0: // its bytes may be gone with it
		return BlobRow{}, false, ErrGeneration
	case errors.Is(err, ErrNotFound):
		return tx.insertBlob(ctx, b)
	case err != nil:
		return BlobRow{}, false, err
	case row.State == BlobCondemned:
		if err := tx.execOne(ctx, revive, row.ID, micros(tx.db.now())); err != nil {
			return BlobRow{}, false, err
		}
		row.State = BlobLive
	}
	if !row.Quarantined.IsZero() && b.ID == 0 && b.Generation > row.Generation {
		err := tx.ReplaceBlob(ctx, row, b)
		row.BlobRef, row.Quarantined = b.BlobRef, time.Time{}
		return row, true, err
	}
	return row, row.Object == b.Object, nil
}

// insertBlob adds a row that is referenced: most are, a moment later, and finish corrects
// the others. Errors: ErrGeneration, also when there is a row that is not being deleted.
func (tx *Tx) insertBlob(ctx context.Context, b BlobRow) (row BlobRow, kept bool, err error) {
	const q = `INSERT INTO blobs (domain_id, sha256, size, md5, sha1, sha512, hashed, generation, object, state, wrapped_key, key_id, created_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 'live', $11, $12, $10
		WHERE NOT EXISTS (SELECT 1 FROM blobs g WHERE g.domain_id = $1 AND g.sha256 = $2 AND g.generation >= $8) ON CONFLICT DO NOTHING RETURNING id`
	if b.Generation == 0 {
		if b.Generation, err = tx.NextGeneration(ctx, b.DomainID, b.Digest); err != nil {
			return BlobRow{}, false, err
		}
	}
	b.Hashes.SHA256, b.State = b.Digest.Hex(), BlobLive
	h := b.Hashes
	b.ID, err = tx.insert(ctx, q, b.DomainID, b.Digest[:], b.Size, unhex(h.MD5), unhex(h.SHA1), unhex(h.SHA512), flag(h.Complete()),
		b.Generation, b.Object, micros(tx.db.now()), b.WrappedKey, b.KeyID)
	if errors.Is(err, ErrExists) {
		err = ErrGeneration
	}
	if err != nil {
		return BlobRow{}, false, err
	}
	put(&tx.wrote.blobs, b.ID, unreferencedBlob{b.DomainID, b.Size})
	if b.Body != nil {
		err = tx.insertBody(ctx, b.ID, b.Body)
		b.Body = nil
	}
	return b, true, err
}

// FillHashes adds the hashes that were computed after the blob was kept; empty ones
// change nothing. Errors: ErrNotFound.
func (tx *Tx) FillHashes(ctx context.Context, blobID int64, h packhouse.Hashes) error {
	const q = `UPDATE blobs SET md5 = coalesce($2, md5), sha1 = coalesce($3, sha1), sha512 = coalesce($4, sha512),
			hashed = CASE WHEN coalesce($2, md5) IS NULL OR coalesce($3, sha1) IS NULL OR coalesce($4, sha512) IS NULL THEN 0 ELSE 1 END
		WHERE id = $1`
	return tx.execOne(ctx, q, blobID, unhex(h.MD5), unhex(h.SHA1), unhex(h.SHA512))
}

// BlobsWithoutHashes returns blobs of which a hash is missing, oldest first, for
// recovery at start.
func (tx *Tx) BlobsWithoutHashes(ctx context.Context, limit int) ([]BlobRow, error) {
	return tx.blobs(ctx, selectBlobs+` WHERE b.hashed = 0 AND b.state <> 'deleting' ORDER BY b.id LIMIT $1`, limit)
}
