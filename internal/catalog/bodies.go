package catalog

import (
	"context"
	"database/sql"
	"errors"
)

// Body is a small blob's sealed bytes that lie beside its row instead of in the blob store
// (docs/design/029-small-bodies.md). It is written with the row and goes with it.

// maxListed is how many bodies are listed in one transaction.
const maxListed = 1000

// Body returns the bytes of a blob's object. Errors: ErrNotFound, also where they lie in the
// blob store.
func (tx *Tx) Body(ctx context.Context, object string) (body []byte, err error) {
	const q = `SELECT y.body FROM blobs b JOIN blob_bodies y ON y.blob_id = b.id WHERE b.object = $1`
	return body, tx.one(ctx, q, []any{object}, &body)
}

// BodySize is the object of a blob that has a body, and the size of that in bytes.
type BodySize struct {
	Object string
	Size   int64
}

// Bodies returns at most limit objects after one, in their order.
func (tx *Tx) Bodies(ctx context.Context, after string, limit int) ([]BodySize, error) {
	const q = `SELECT b.object, length(y.body) FROM blobs b JOIN blob_bodies y ON y.blob_id = b.id WHERE b.object > $1 ORDER BY b.object LIMIT $2`
	return list(ctx, tx, q, []any{after, limit}, func(rows *sql.Rows) (s BodySize, err error) { return s, rows.Scan(&s.Object, &s.Size) })
}

// insertBody writes the body of a blob that was just inserted.
func (tx *Tx) insertBody(ctx context.Context, blobID int64, body []byte) error {
	_, err := tx.exec(ctx, `INSERT INTO blob_bodies (blob_id, body) VALUES ($1, $2)`, blobID, body)
	return err
}

// replaceBody writes the body of a blob whose object is another one now: nil for none.
func (tx *Tx) replaceBody(ctx context.Context, blobID int64, body []byte) error {
	_, err := tx.exec(ctx, `DELETE FROM blob_bodies WHERE blob_id = $1`, blobID)
	if err == nil && body != nil {
		err = tx.insertBody(ctx, blobID, body)
	}
	return err
}

// Body returns the bytes of an object that lies in a row, nil if there is none.
func (db *DB) Body(ctx context.Context, object string) (body []byte, err error) {
	err = db.View(ctx, func(tx *Tx) (err error) {
		body, err = tx.Body(ctx, object)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return body, err
}

// Bodies calls fn for each object that lies in a row, after one and in their order, outside
// of any transaction.
func (db *DB) Bodies(ctx context.Context, after string, fn func(object string, size int64) error) error {
	for {
		var page []BodySize
		err := db.View(ctx, func(tx *Tx) (err error) {
			page, err = tx.Bodies(ctx, after, maxListed)
			return err
		})
		if err != nil {
			return err
		}
		for _, s := range page {
			if err := fn(s.Object, s.Size); err != nil {
				return err
			}
			after = s.Object
		}
		if len(page) < maxListed {
			return nil
		}
	}
}
