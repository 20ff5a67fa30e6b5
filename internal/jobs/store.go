package jobs

import (
	"context"
	"errors"
	"log/slog"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/vault"
)

// Store is where the bytes lie that are looked after.
type Store struct {
	Catalog *catalog.DB
	Vault   *vault.Vault
	Log     *slog.Logger
	// Marked, where not nil, is called when a mark was set or taken off. It must not block.
	Marked func()
}

// Problem is what is wrong with the stored bytes of a blob.
type Problem string

// The problems.
const (
	// Damaged bytes are not those that were kept.
	Damaged Problem = "damaged"
	// Missing bytes are gone.
	Missing Problem = "missing"
	// Unreadable bytes could not be read; whether they are good is not known.
	Unreadable Problem = "unreadable"
)

// update is how marks are written.
type update func(ctx context.Context, fn func(tx *catalog.Tx) error) error

// page is how many rows are read at a time.
const page = 200

// diagnose tells what an error of the vault says about stored bytes.
func diagnose(err error) Problem {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, vault.ErrDamaged):
		return Damaged
	case errors.Is(err, blob.ErrNotFound):
		return Missing
	}
	return Unreadable
}

// examine reads a blob. paced is as of vault.Check. cause is that of the problem; err tells
// that ctx has ended.
func (s *Store) examine(ctx context.Context, b catalog.StoredBlob, paced func(int) error) (p Problem, cause, err error) {
	cause = s.Vault.Check(ctx, b.Key, b.BlobRef, paced)
	if ctx.Err() != nil {
		return "", nil, context.Cause(ctx)
	}
	return diagnose(cause), cause, nil
}

// settle makes a blob's mark agree with what was found, and tells of it. It reports whether
// the finding stands: the blob may have been dropped or stored anew while it was read.
func (s *Store) settle(ctx context.Context, write update, b catalog.BlobRow, p Problem, cause error) (stands bool, err error) {
	switch {
	case p == "" && b.Quarantined.IsZero():
		return true, nil
	case p == Unreadable:
		s.Log.LogAttrs(ctx, slog.LevelWarn, "stored bytes cannot be read", slog.String("digest", b.Digest.Hex()), slog.Any("error", cause))
		return true, nil
	case p != "" && !b.Quarantined.IsZero():
		return true, nil // told when it was marked
	}
	err = write(ctx, func(tx *catalog.Tx) error {
		if p == "" {
			return tx.ReleaseBlob(ctx, b, "reads well again")
		}
		return tx.QuarantineBlob(ctx, b, string(p))
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	if s.Marked != nil && err == nil {
		s.Marked()
	}
	if p == "" && err == nil {
		s.Log.LogAttrs(ctx, slog.LevelInfo, "stored bytes read well again", slog.String("digest", b.Digest.Hex()))
	} else if p != "" {
		s.Log.LogAttrs(ctx, slog.LevelError, "stored bytes are "+string(p)+", the blob is quarantined; restore it from a backup and run packhouse verify",
			slog.String("digest", b.Digest.Hex()), slog.String("object", b.Object), slog.Any("versions", s.names(ctx, b.ID)), slog.Any("error", errors.Join(cause, err)))
	}
	return true, err
}

// toldNames is how many files a line of the log names.
const toldNames = 10

// names returns some of the files that a blob is.
func (s *Store) names(ctx context.Context, blobID int64) []string {
	uses, err := s.uses(ctx, blobID, toldNames)
	if err != nil {
		return []string{"unknown: " + err.Error()}
	}
	names := make([]string, len(uses))
	for i, u := range uses {
		names[i] = u.Asset.String()
	}
	return names
}

func (s *Store) uses(ctx context.Context, blobID int64, limit int) (uses []catalog.BlobUse, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		uses, err = tx.BlobUses(ctx, blobID, limit)
		return err
	})
	return uses, err
}

// blobs reads what a filter selects.
func (s *Store) blobs(ctx context.Context, f catalog.BlobFilter) (blobs []catalog.StoredBlob, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		blobs, err = tx.StoredBlobs(ctx, f)
		return err
	})
	return blobs, err
}
