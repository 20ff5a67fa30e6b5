package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/packhouse/packhouse"
)

// Revision is an immutable revision to insert or find.
type Revision struct {
	Domain packhouse.KeyRef
	Name   string // content name, 44 characters
	Format packhouse.FormatID
	Facts  packhouse.Facts
	Assets []RevisionAsset
	Size   int64 // sum of asset sizes
}

// RevisionAsset is one file of a revision.
type RevisionAsset struct {
	Name      string
	BlobID    int64
	MediaType string
	Side      bool // side file: not listed, not counted
}

// AssetRow is a file of a revision with its blob.
type AssetRow struct {
	packhouse.Asset
	MediaType string
	Side      bool
	Blob      BlobRow
}

// The kinds of file of a revision.
const (
	kindAsset = "asset"
	kindSide  = "side"
)

// assetBatch is how many files one statement inserts.
const assetBatch = 500

// EnsureRevision inserts the revision or finds the equal one of the domain. A found
// one takes over r's blobs where its own are being deleted, and r's fragment where
// that has a newer encoding.
func (tx *Tx) EnsureRevision(ctx context.Context, r Revision) (id int64, err error) {
	const insert = `INSERT INTO revisions (domain_id, revision, format, manifest, facts, fragment, fragment_version, size, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id`
	plain, err := json.Marshal(r.Facts)
	if err != nil {
		return 0, fmt.Errorf("encode facts: %w", err)
	}
	var sealed [3][]byte
	for i, part := range []struct {
		column string
		plain  []byte
	}{{"revisions.manifest", r.Facts.Manifest}, {"revisions.facts", plain}, {"revisions.fragment", r.Facts.Fragment}} {
		if sealed[i], err = tx.seal(ctx, r.Domain, part.column, r.Name, part.plain); err != nil {
			return 0, err
		}
	}
	tx.key = r.Domain
	wrote := writtenRevision{name: r.Name, facts: r.Facts}
	id, err = tx.insert(ctx, insert, r.Domain.DomainID, r.Name, r.Format, sealed[0], sealed[1], sealed[2], r.Facts.FragmentVersion, r.Size, micros(tx.db.now()))
	switch {
	case err == nil:
		for _, a := range r.Assets {
			wrote.blobs = append(wrote.blobs, a.BlobID)
		}
	case errors.Is(err, ErrExists):
		id, err = tx.findRevision(ctx, r, sealed[2])
	}
	if err != nil {
		return 0, err
	}
	put(&tx.wrote.revisions, id, wrote)
	return id, tx.putAssets(ctx, id, r.Assets)
}

// findRevision finds the revision equal to r and gives it r's fragment if that is newer.
func (tx *Tx) findRevision(ctx context.Context, r Revision, fragment []byte) (id int64, err error) {
	const find = `SELECT id, fragment_version FROM revisions WHERE domain_id = $1 AND revision = $2`
	const refresh = `UPDATE revisions SET fragment = $2, fragment_version = $3 WHERE id = $1`
	var fragmentVersion int
	if err := tx.one(ctx, find, []any{r.Domain.DomainID, r.Name}, &id, &fragmentVersion); err != nil {
		return 0, err
	}
	if fragmentVersion < r.Facts.FragmentVersion {
		_, err = tx.exec(ctx, refresh, id, fragment, r.Facts.FragmentVersion)
	}
	return id, err
}

// putAssets writes the files of a revision, and touches none that is right already.
func (tx *Tx) putAssets(ctx context.Context, revisionID int64, assets []RevisionAsset) error {
	for len(assets) > 0 {
		batch := assets[:min(len(assets), assetBatch)]
		assets = assets[len(batch):]
		args := make([]any, 0, 5*len(batch))
		for _, a := range batch {
			kind := kindAsset
			if a.Side {
				kind = kindSide
			}
			args = append(args, revisionID, a.Name, a.BlobID, a.MediaType, kind)
		}
		q := `INSERT INTO assets (revision_id, name, blob_id, media_type, kind) VALUES ` + tuples(len(batch), 5) + `
			ON CONFLICT (revision_id, name) DO UPDATE SET blob_id = excluded.blob_id WHERE assets.blob_id <> excluded.blob_id`
		run := tx.execOnce
		if len(batch) <= 2 {
			run = tx.exec // the common sizes are worth keeping prepared
		}
		if _, err := run(ctx, q, args...); err != nil {
			return err
		}
	}
	return nil
}

// Facts returns what a revision says of itself, Manifest and Fragment too. Errors:
// ErrNotFound.
func (tx *Tx) Facts(ctx context.Context, revisionID int64) (packhouse.Facts, error) {
	const q = `SELECT domain_id, revision, facts, manifest, fragment, fragment_version FROM revisions WHERE id = $1`
	var f packhouse.Facts
	var domainID int64
	var name string
	var facts, manifest, fragment []byte
	if err := tx.one(ctx, q, []any{revisionID}, &domainID, &name, &facts, &manifest, &fragment, &f.FragmentVersion); err != nil {
		return f, err
	}
	key, err := tx.domainKey(ctx, domainID)
	if err != nil {
		return f, err
	}
	plain, err := tx.unseal(ctx, key, "revisions.facts", name, facts)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(plain, &f); err != nil {
		return f, fmt.Errorf("decode facts: %w", err)
	}
	if f.Manifest, err = tx.unseal(ctx, key, "revisions.manifest", name, manifest); err != nil {
		return f, err
	}
	f.Fragment, err = tx.unseal(ctx, key, "revisions.fragment", name, fragment)
	return f, err
}

const selectAssets = `SELECT a.name, a.media_type, a.kind = 'side', ` + blobColumns + `
	FROM assets a JOIN blobs b ON b.id = a.blob_id WHERE a.revision_id = $1`

// Assets returns the files of a revision with their blobs, by name.
func (tx *Tx) Assets(ctx context.Context, revisionID int64) ([]AssetRow, error) {
	return list(ctx, tx, selectAssets+` ORDER BY a.name`, []any{revisionID}, scanAsset)
}

// AssetsFrom returns at most limit files of a revision with their blobs, by name: the one
// with a name and those behind it. Side files are left out.
func (tx *Tx) AssetsFrom(ctx context.Context, revisionID int64, name string, limit int) ([]AssetRow, error) {
	const q = selectAssets + ` AND a.name >= $2 AND a.kind = 'asset' ORDER BY a.name LIMIT $3`
	return list(ctx, tx, q, []any{revisionID, name, limit}, scanAsset)
}

func scanAsset(rows *sql.Rows) (a AssetRow, err error) {
	var b scannedBlob
	if err := rows.Scan(append([]any{&a.Name, &a.MediaType, &a.Side}, b.dest()...)...); err != nil {
		return a, err
	}
	a.fill(b.row())
	return a, nil
}

// fill completes an asset from its blob.
func (a *AssetRow) fill(b BlobRow) {
	a.Blob = b
	a.Asset.MediaType, a.Digest, a.Size, a.Hashes = a.MediaType, b.Digest, b.Size, b.Hashes
}
