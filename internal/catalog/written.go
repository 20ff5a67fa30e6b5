package catalog

import (
	"context"

	"github.com/packhouse/packhouse"
)

// written is what a transaction knows without asking because it wrote it itself.
type written struct {
	packages  map[int64]bool             // inserted
	versions  map[int64]int64            // pointed at these revisions
	revisions map[int64]writtenRevision  // inserted or found equal
	blobs     map[int64]unreferencedBlob // inserted, and nothing refers to them so far
}

// writtenRevision is a revision in written.
type writtenRevision struct {
	name  string
	facts packhouse.Facts
	blobs []int64 // all of it, nil where it was there before
}

// unreferencedBlob is a blob in written.
type unreferencedBlob struct{ domainID, size int64 }

// put adds to a map that is made when it is first needed.
func put[V any](m *map[int64]V, id int64, v V) {
	if *m == nil {
		*m = make(map[int64]V)
	}
	(*m)[id] = v
}

// firstReferences counts the blobs of a revision if this transaction inserted it and all
// of them, and nothing refers to them yet: nobody else can have seen their rows, which
// say already that they are referenced.
func (w *written) firstReferences(revisionID int64) (gained usage, all bool) {
	ids := w.revisions[revisionID].blobs
	for _, id := range ids {
		if _, ok := w.blobs[id]; !ok {
			return usage{}, false
		}
	}
	for _, id := range ids {
		if b, ok := w.blobs[id]; ok { // once, however many files have its bytes
			gained.add(b.domainID, id, b.size, 1)
			delete(w.blobs, id)
		}
	}
	return gained, len(ids) > 0
}

// finish writes which of the blobs that were inserted nothing refers to so far. It runs
// before rows are asked for references, and before the commit.
func (tx *Tx) finish(ctx context.Context) error {
	const q = `UPDATE blobs SET unreferenced_since = $2 WHERE id = $1`
	for id := range tx.wrote.blobs {
		if err := tx.execOne(ctx, q, id, micros(tx.db.now())); err != nil {
			return err
		}
		delete(tx.wrote.blobs, id)
	}
	return nil
}
