package vault_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/vault"
)

// flipped damages a stored object.
func (h house) flipped(t *testing.T, object string) {
	t.Helper()
	if err := h.store.Corrupt(blob.Key(object), func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}); err != nil {
		t.Fatal(err)
	}
}

// A small blob is read from the store once, and authenticated before it is kept (R15).
func TestSmallBlobsStayInMemory(t *testing.T) {
	h := newHouse(t)
	h.KeepSmall(1 << 20)
	small, large := bytesOf(64<<10), bytesOf(64<<10+1)
	read := func(b []byte, damage func(object string)) error {
		t.Helper()
		ref := h.keep(t, h.domain, b)
		for _, second := range []bool{false, true} {
			if second {
				damage(ref.Object)
			}
			c, err := h.Open(t.Context(), h.domain, ref)
			if err != nil {
				return err
			}
			got := make([]byte, len(b))
			_, err = c.ReadAt(got, 0)
			_ = c.Close()
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if !bytes.Equal(got, b) {
				t.Fatal("wrong bytes")
			}
		}
		return nil
	}
	if err := read(small, func(o string) { h.flipped(t, o) }); err != nil {
		t.Errorf("a small blob is read from the store again: %v", err)
	}
	if err := read(large, func(o string) { h.flipped(t, o) }); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("a large blob that was damaged after its first reading: %v, want ErrDamaged", err)
	}

	ref := h.keep(t, h.domain, bytesOf(1000))
	h.flipped(t, ref.Object)
	if _, err := h.Open(t.Context(), h.domain, ref); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("a damaged small blob opens: %v", err)
	}
}

// What one domain has read is not there for another's key (S17), nor under another
// digest, and the pass that completes hashes reads what is stored.
func TestSmallBlobsKeepTheirBindings(t *testing.T) {
	h := newHouse(t)
	h.KeepSmall(1 << 20)
	ref := h.keep(t, h.domain, bytesOf(1000))
	c, err := h.Open(t.Context(), h.domain, ref)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()

	if _, err := h.Open(t.Context(), h.other, ref); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("with the other domain's key: %v, want ErrDamaged", err)
	}
	renamed := ref
	renamed.Digest[0] ^= 1
	if _, err := h.Open(t.Context(), h.domain, renamed); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("under another digest: %v, want ErrDamaged", err)
	}
	h.flipped(t, ref.Object)
	if _, err := h.CompleteHashes(t.Context(), h.domain, ref); !errors.Is(err, vault.ErrDamaged) {
		t.Errorf("CompleteHashes of a damaged object: %v, want ErrDamaged", err)
	}
}
