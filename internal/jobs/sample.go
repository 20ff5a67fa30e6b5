package jobs

import (
	"context"
	"log/slog"
	"math/rand/v2"

	"github.com/packhouse/packhouse/internal/catalog"
)

// Sample looks at most at n blobs, drawn at random: each is there with its length, and its
// key opens (reliability.md R17). What is not is marked as a read would have marked it. It
// reads no bytes, so that it takes little time after a start.
func (s *Store) Sample(ctx context.Context, n int) {
	seen := map[int64]bool{}
	for range n {
		b, ok, err := s.draw(ctx)
		if err == nil && ok && !seen[b.ID] {
			seen[b.ID] = true
			if cause := s.Vault.Present(ctx, b.Key, b.BlobRef); cause != nil && ctx.Err() == nil {
				_, err = s.settle(ctx, s.Catalog.Update, b.BlobRow, diagnose(cause), cause)
			}
		}
		if ctx.Err() != nil || !ok && err == nil {
			return
		}
		if err != nil {
			s.Log.LogAttrs(ctx, slog.LevelWarn, "stored bytes not looked at", slog.Any("error", err))
			return
		}
	}
}

// draw returns a blob; ok is false where there is none.
func (s *Store) draw(ctx context.Context) (b catalog.StoredBlob, ok bool, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		newest, err := tx.NewestBlob(ctx)
		if err != nil || newest == 0 {
			return err
		}
		// The one behind a random id; there may be none behind the last ones.
		for _, after := range []int64{rand.Int64N(newest), 0} { //nolint:gosec // nobody gains by guessing it
			blobs, err := tx.StoredBlobs(ctx, catalog.BlobFilter{AfterID: after, Limit: 1})
			if err != nil {
				return err
			}
			if len(blobs) > 0 {
				b, ok = blobs[0], true
				return nil
			}
		}
		return nil
	})
	return b, ok, err
}
