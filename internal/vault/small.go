package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
)

// smallBlobs keeps the plain bytes of small blobs in memory. For a package of a few
// kilobytes unwrapping its key and opening its file cost more than sending it.
//
// An entry's name is that of the stored object, which no other content ever gets
// (docs/design/003-object-names.md), so that what is kept is never out of date. Whether a
// blob may be read at all was decided before; of one that was removed nobody asks any more.
type smallBlobs struct {
	kept *cache.Cache[smallKey, []byte]
}

type smallKey struct {
	domain int64
	digest packhouse.Digest
	object string
}

// KeepSmall makes the vault keep up to maxBytes of plain small blobs (64 KiB and less)
// in memory. It must be called before the vault is used. Without it nothing is kept.
func (v *Vault) KeepSmall(maxBytes int64) {
	const allowance = 160 // of a key and its place in the cache, in bytes
	v.small = smallBlobs{cache.NewWeighted(maxBytes, func(_ smallKey, b []byte) int64 { return int64(len(b)) + allowance })}
}

// openSmall opens a small blob out of memory, or through open and keeps what it read.
// All of it is authenticated before any of it is given. took is false for blobs that are
// not kept in memory: nothing was opened then.
func (s smallBlobs) openSmall(ctx context.Context, k packhouse.KeyRef, r packhouse.BlobRef,
	open func(context.Context, packhouse.KeyRef, packhouse.BlobRef) (Content, error)) (c Content, took bool, err error) {
	if s.kept == nil || r.Size > packageSize {
		return nil, false, nil
	}
	key := smallKey{k.DomainID, r.Digest, r.Object}
	if b, ok := s.kept.Get(key); ok {
		return plainContent{bytes.NewReader(b)}, true, nil
	}
	sealed, err := open(ctx, k, r)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = sealed.Close() }() // read to its end
	b := make([]byte, r.Size)
	if n, err := sealed.ReadAt(b, 0); int64(n) != r.Size {
		return nil, true, fmt.Errorf("open blob %s: %w", r.Digest, err)
	}
	s.kept.Set(key, b)
	return plainContent{bytes.NewReader(b)}, true, nil
}

// plainContent is a blob's plain bytes in memory.
type plainContent struct{ *bytes.Reader }

var _ io.ReaderAt = plainContent{}

// Close does nothing: the bytes belong to the cache and are never changed.
func (plainContent) Close() error { return nil }
