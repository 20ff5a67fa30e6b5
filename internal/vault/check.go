package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
)

// OnDamage makes the vault tell of each kept blob that a read found to be damaged, with
// ErrDamaged in the chain, or gone, with blob.ErrNotFound. tell must not block; it may be
// called many times for one blob, and from several goroutines. OnDamage must be called
// before the vault is used.
func (v *Vault) OnDamage(tell func(r packhouse.BlobRef, err error)) { v.damaged = tell }

// tell tells of an error if it is damage, and returns it. Bytes that are not kept yet have
// no vault to tell.
func (v *Vault) tell(r packhouse.BlobRef, err error) error {
	if v != nil && v.damaged != nil && (errors.Is(err, ErrDamaged) || errors.Is(err, blob.ErrNotFound)) {
		v.damaged(r, err)
	}
	return err
}

// Check reads a kept blob where it is stored, past everything that is kept in memory:
// every chunk authenticates, and together they have size and digest of r. paced, where not
// nil, is called with the bytes of each read and may wait; its error ends the check.
// Errors: as of Open; those of paced.
func (v *Vault) Check(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef, paced func(bytes int) error) error {
	c, err := v.openSealed(ctx, k, r)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer func() { _ = c.Close() }()
	sum := sha256.New()
	buf := getPackage()
	defer putPackage(buf)
	for off := int64(0); off < r.Size; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("check blob %s: %w", r.Digest, err)
		}
		n, err := c.ReadAt(buf[:min(int64(len(buf)), r.Size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("check blob %s: %w", r.Digest, err)
		}
		sum.Write(buf[:n]) // a hash never fails
		off += int64(n)
		if paced != nil {
			if err := paced(n); err != nil {
				return fmt.Errorf("check blob %s: %w", r.Digest, err)
			}
		}
	}
	if digest := packhouse.Digest(sum.Sum(nil)); digest != r.Digest {
		return v.tell(r, fmt.Errorf("check blob %s: digest is %s: %w", r.Digest, digest, ErrDamaged))
	}
	return nil
}

// Present opens a kept blob where it is stored and reads none of it: the object is there
// with the right length, and its key opens. Errors: as of Open.
func (v *Vault) Present(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef) error {
	c, err := v.openSealed(ctx, k, r)
	if err != nil {
		return err
	}
	return c.Close()
}
