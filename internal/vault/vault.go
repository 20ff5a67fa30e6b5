package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/keys"
)

// ErrDamaged tells that stored bytes are not what was kept: they fail to authenticate,
// belong to another blob, or are too few or too many.
var ErrDamaged = errors.New("vault: damaged")

// Vault seals and opens. Its methods may be used from several goroutines.
type Vault struct {
	store   blob.Store
	rows    blob.RowStore // store, where it reads objects out of rows; nil where it does not
	keysets *keysets
	small   smallBlobs
	// windowed counts the packages in windows of stagings.
	windowed atomic.Int64
	damaged  func(packhouse.BlobRef, error) // of OnDamage; nil for none
}

// New makes a vault over a blob store and a key provider. Small blobs can lie in rows if
// the store is a blob.RowStore: see KeepForRow.
func New(store blob.Store, provider keys.Provider) *Vault {
	rows, _ := store.(blob.RowStore)
	return &Vault{store: store, rows: rows, keysets: newKeysets(provider)}
}

// NewKeyset makes a keyset for a new domain (or the installation), wrapped by keyID.
// Errors: keys.ErrUnknownKey.
func (v *Vault) NewKeyset(ctx context.Context, keyID string) ([]byte, error) {
	return v.keysets.create(ctx, keyID)
}

// Seal seals a small value under a keyset; aad binds it to its place. Unseal opens it.
// Errors: keys.ErrUnknownKey if the provider has lost the master key.
func (v *Vault) Seal(ctx context.Context, k packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	ks, err := v.keysets.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("seal value: %w", err)
	}
	sealed, err := ks.aead.Encrypt(plain, valuePlace(k.DomainID, aad))
	if err != nil {
		return nil, fmt.Errorf("seal value: %w", err)
	}
	return sealed, nil
}

// Unseal opens what Seal made with the same keyset and aad.
// Errors: ErrDamaged if it was made with others, or is not what Seal made;
// keys.ErrUnknownKey.
func (v *Vault) Unseal(ctx context.Context, k packhouse.KeyRef, aad string, sealed []byte) ([]byte, error) {
	ks, err := v.keysets.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("unseal value: %w", err)
	}
	plain, err := ks.aead.Decrypt(sealed, valuePlace(k.DomainID, aad))
	if err != nil {
		return nil, fmt.Errorf("unseal value: %w: %w", ErrDamaged, err)
	}
	return plain, nil
}

// Open gives random access to a kept blob's plain bytes. A chunk that fails to
// authenticate makes ReadAt fail with ErrDamaged, before any byte of it is given; of a
// small blob that KeepSmall concerns, Open itself. The caller closes what it gets.
// Errors: blob.ErrNotFound if the object is gone; ErrDamaged if k or r are not those
// under which it was kept or its length is wrong; keys.ErrUnknownKey.
func (v *Vault) Open(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef) (Content, error) {
	if c, took, err := v.small.openSmall(ctx, k, r, v.openSealed); took {
		return c, err
	}
	return v.openSealed(ctx, k, r)
}

// openSealed opens a blob where it is stored.
func (v *Vault) openSealed(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef) (Content, error) {
	ks, err := v.keysets.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", r.Digest, err)
	}
	key, err := ks.aead.Decrypt(r.WrappedKey, blobPlace(k.DomainID, r))
	if err != nil {
		return nil, v.tell(r, fmt.Errorf("open blob %s: key: %w: %w", r.Digest, ErrDamaged, err))
	}
	object, err := v.store.Open(ctx, blob.Key(r.Object))
	if err != nil {
		return nil, v.tell(r, fmt.Errorf("open blob %s: %w", r.Digest, err))
	}
	c := newContent(object, key, r.Size)
	c.vault, c.ref = v, r
	if want, err := sealedSize(r.Size); err != nil || object.Size() != want {
		return nil, v.tell(r, errors.Join(fmt.Errorf("open blob %s: %d bytes stored for %d plain: %w",
			r.Digest, object.Size(), r.Size, ErrDamaged), c.Close()))
	}
	return c, nil
}

// Remove deletes the physical object of a ref, for a blob that lost a race or was
// swept. Absent is not an error.
func (v *Vault) Remove(ctx context.Context, r packhouse.BlobRef) error {
	if err := v.store.Delete(ctx, blob.Key(r.Object)); err != nil {
		return fmt.Errorf("remove blob %s: %w", r.Digest, err)
	}
	return nil
}

// CompleteHashes reads a kept blob and computes all four hashes, for the pass that
// follows an answer (R2 step 3). Errors: as of Open; ErrDamaged if the bytes do not
// have the digest of r.
func (v *Vault) CompleteHashes(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef) (packhouse.Hashes, error) {
	c, err := v.openSealed(ctx, k, r)
	if err != nil {
		return packhouse.Hashes{}, fmt.Errorf("hash: %w", err)
	}
	defer func() { _ = c.Close() }()
	h := newHasher(true)
	defer h.stop()
	buf := getPackage()
	defer putPackage(buf)
	for off := int64(0); off < r.Size; {
		if err := ctx.Err(); err != nil {
			return packhouse.Hashes{}, fmt.Errorf("hash blob %s: %w", r.Digest, err)
		}
		n, err := c.ReadAt(buf[:min(int64(len(buf)), r.Size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return packhouse.Hashes{}, fmt.Errorf("hash blob %s: %w", r.Digest, err)
		}
		h.write(buf[:n])
		off += int64(n)
	}
	hashes, digest := h.finish()
	if digest != r.Digest {
		return packhouse.Hashes{}, fmt.Errorf("hash blob %s: digest is %s: %w", r.Digest, digest, ErrDamaged)
	}
	return hashes, nil
}

// Content is an open blob. Reads may come from several goroutines; those that go on
// where the last one ended are the cheap ones, because 64 KiB are opened at a time.
type Content interface {
	io.ReaderAt
	io.Closer
	Size() int64 // bytes, plain
}

// valuePlace and blobPlace say what a sealed thing is and where it belongs. Their
// first words keep one from being passed off as the other; a NUL, which neither
// numbers nor key ids hold, ends each part.
func valuePlace(domainID int64, aad string) []byte {
	b := append([]byte("packhouse/value\x00"), strconv.FormatInt(domainID, 10)...)
	return append(append(b, 0), aad...)
}

func blobPlace(domainID int64, r packhouse.BlobRef) []byte {
	b := append([]byte("packhouse/blob-key\x00"), strconv.FormatInt(domainID, 10)...)
	b = append(append(b, 0), r.Digest[:]...)
	b = strconv.AppendInt(b, r.Generation, 10)
	b = strconv.AppendInt(append(b, 0), r.Size, 10) // so that a shortened blob does not pass with a shortened row
	return append(append(b, 0), r.KeyID...)
}
