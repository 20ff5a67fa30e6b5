package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/vault"
)

const sealedPackage = 16 + 64<<10 + 16

// R15: one random bit of a stored object is flipped; no read completes with wrong bytes.
func TestFlippedBitNeverReadsAsContent(t *testing.T) {
	h := newHouse(t)
	random := rand.New(rand.NewPCG(3, 4))
	var refs []packhouse.BlobRef
	var contents [][]byte
	for _, size := range []int{1, 3000, 64 << 10, 150_000} {
		contents = append(contents, bytesOf(size))
		refs = append(refs, h.keep(t, h.domain, contents[len(contents)-1]))
	}
	for i := range 1000 {
		which := i % len(refs)
		ref, want := refs[which], contents[which]
		bit := 0
		flip := func(b []byte) []byte {
			b[bit/8] ^= 1 << (bit % 8)
			return b
		}
		info, err := h.store.Stat(t.Context(), blob.Key(ref.Object))
		if err != nil {
			t.Fatal(err)
		}
		bit = random.IntN(int(info.Size) * 8)
		if i%4 == 0 {
			bit = random.IntN(32 * 8) // headers are few and deserve as much
		}
		if err := h.store.Corrupt(blob.Key(ref.Object), flip); err != nil {
			t.Fatal(err)
		}
		got, err := h.read(t, h.domain, ref, []int{1000, 32 << 10, 64 << 10, 200_000}[random.IntN(4)])
		if !errors.Is(err, vault.ErrDamaged) || !bytes.HasPrefix(want, got) {
			t.Fatalf("bit %d of %d bytes: read %d bytes, right so far %v, error %v", bit, info.Size, len(got), bytes.HasPrefix(want, got), err)
		}
		if _, err := h.CompleteHashes(t.Context(), h.domain, ref); !errors.Is(err, vault.ErrDamaged) {
			t.Fatalf("CompleteHashes = %v, want ErrDamaged", err)
		}
		// Random access: each byte comes right or not at all.
		if c, err := h.Open(t.Context(), h.domain, ref); err == nil {
			p := make([]byte, 1+random.IntN(len(want)))
			off := random.IntN(len(want))
			n, err := c.ReadAt(p, int64(off))
			if !bytes.Equal(p[:n], want[off:off+n]) || err == nil && n < len(p) {
				t.Fatalf("bit %d: ReadAt(%d, %d) = %d, %v with wrong bytes", bit, len(p), off, n, err)
			}
			_ = c.Close()
		}
		if err := h.store.Corrupt(blob.Key(ref.Object), flip); err != nil { // mend it
			t.Fatal(err)
		}
	}
	for i, ref := range refs {
		if got, err := h.read(t, h.domain, ref, 32<<10); err != nil || !bytes.Equal(got, contents[i]) {
			t.Errorf("mended blob of %d bytes does not read: %v", len(contents[i]), err)
		}
	}
}

// R15, S17: objects, packages and keys only open in their own place.
func TestMovedBytesDoNotOpen(t *testing.T) {
	h := newHouse(t)
	// Four packages of the same size, so that lengths give nothing away.
	one, two := bytesOf(4*64<<10), bytesOf(4*64<<10-1)
	two = append(two, 1)
	first, second, foreign := h.keep(t, h.domain, one), h.keep(t, h.domain, two), h.keep(t, h.other, one)

	stored := func(ref packhouse.BlobRef) []byte {
		t.Helper()
		o, err := h.store.Open(t.Context(), blob.Key(ref.Object))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// renumber moves package from into place to and gives its header the nonce with
	// which it opens there: the header's nonce is not authenticated by itself.
	renumber := func(b []byte, from, to int) []byte {
		p := slices.Clone(b[from*sealedPackage : (from+1)*sealedPackage])
		p[12] ^= byte(from ^ to)
		return p
	}
	change := func(ref packhouse.BlobRef, alter func(r *packhouse.BlobRef)) packhouse.BlobRef {
		alter(&ref)
		return ref
	}
	original := stored(first)
	for _, tt := range []struct {
		name  string
		key   packhouse.KeyRef
		ref   packhouse.BlobRef
		bytes []byte // what to store under first's name; nil for what is there
	}{
		{"another blob's object of the domain", h.domain, first, stored(second)},
		{"another domain's object of the same content", h.domain, first, stored(foreign)},
		{"cut by a byte", h.domain, first, original[:len(original)-1]},
		{"cut by a package", h.domain, first, original[:3*sealedPackage]},
		{"cut by a package, and the size in its row too", h.domain, change(first, func(r *packhouse.BlobRef) { r.Size = 3 * 64 << 10 }), original[:3*sealedPackage]},
		{"a byte more", h.domain, first, append(slices.Clone(original), 0)},
		{"empty", h.domain, first, []byte{}},
		{"two packages exchanged", h.domain, first, slices.Concat(original[sealedPackage:2*sealedPackage], original[:sealedPackage], original[2*sealedPackage:])},
		{"two packages exchanged with nonces that fit", h.domain, first, slices.Concat(renumber(original, 1, 0), renumber(original, 0, 1), original[2*sealedPackage:])},
		{"a package repeated with a nonce that fits", h.domain, first, slices.Concat(original[:sealedPackage], renumber(original, 0, 1), original[2*sealedPackage:])},
		{"another blob's wrapped key", h.domain, change(first, func(r *packhouse.BlobRef) { r.WrappedKey = second.WrappedKey }), nil},
		{"another blob's object name", h.domain, change(first, func(r *packhouse.BlobRef) { r.Object = second.Object }), nil},
		{"another digest", h.domain, change(first, func(r *packhouse.BlobRef) { r.Digest = second.Digest }), nil},
		{"another generation", h.domain, change(first, func(r *packhouse.BlobRef) { r.Generation++ }), nil},
		{"another key id", h.domain, change(first, func(r *packhouse.BlobRef) { r.KeyID = "x" }), nil},
		{"a smaller size", h.domain, change(first, func(r *packhouse.BlobRef) { r.Size-- }), nil},
		{"a negative size", h.domain, change(first, func(r *packhouse.BlobRef) { r.Size = -1 }), nil},
		{"size 0", h.domain, change(first, func(r *packhouse.BlobRef) { r.Size = 0 }), nil},
		{"another domain", h.other, first, nil},
		{"no key", h.domain, change(first, func(r *packhouse.BlobRef) { r.WrappedKey = nil }), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.bytes != nil {
				if err := h.store.Corrupt(blob.Key(first.Object), func([]byte) []byte { return tt.bytes }); err != nil {
					t.Fatal(err)
				}
				defer func() {
					_ = h.store.Corrupt(blob.Key(first.Object), func([]byte) []byte { return original })
				}()
			}
			got, err := h.read(t, tt.key, tt.ref, 32<<10)
			if !errors.Is(err, vault.ErrDamaged) || !bytes.HasPrefix(one, got) {
				t.Errorf("read %d bytes, error %v, want ErrDamaged", len(got), err)
			}
			c, err := h.Open(t.Context(), tt.key, tt.ref)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			for number := range 4 { // from the middle, with no package read before
				p := make([]byte, 100)
				if n, _ := c.ReadAt(p, int64(number*64<<10+7)); !bytes.Equal(p[:n], one[number*64<<10+7:][:n]) {
					t.Errorf("package %d opens with wrong bytes", number)
				}
				_ = c.Close()
				if c, err = h.Open(t.Context(), tt.key, tt.ref); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A store that cannot be read proves no damage: nobody should quarantine for it.
func TestReadErrorIsNotDamage(t *testing.T) {
	h := newHouse(t)
	ref := h.keep(t, h.domain, bytesOf(100_000))
	broken := errors.New("input/output error")
	v := vault.New(brokenStore{h.store, broken}, h.provider)
	c, err := v.Open(t.Context(), h.domain, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.ReadAt(make([]byte, 10), 70_000); !errors.Is(err, broken) || errors.Is(err, vault.ErrDamaged) {
		t.Errorf("ReadAt = %v, want the store's own error", err)
	}
}

func FuzzDamagedObject(f *testing.F) {
	h := newHouse(f)
	want := bytesOf(70_000)
	ref := h.keep(f, h.domain, want)
	f.Add(uint32(0), []byte{0x10}, uint32(5))
	f.Add(uint32(sealedPackage), []byte{0x20, 0, 0xff, 0xff, 0x80}, uint32(65<<10))
	f.Add(uint32(4), bytes.Repeat([]byte{1}, 12), uint32(0))
	var original []byte
	if err := h.store.Corrupt(blob.Key(ref.Object), func(b []byte) []byte { original = slices.Clone(b); return b }); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, off uint32) {
		if err := h.store.Corrupt(blob.Key(ref.Object), func([]byte) []byte {
			b := slices.Clone(original)
			copy(b[int(at)%len(b):], patch)
			return b
		}); err != nil {
			t.Fatal(err)
		}
		c, err := h.Open(t.Context(), h.domain, ref)
		if err != nil {
			t.Fatal(fmt.Errorf("the length is right: %w", err))
		}
		defer func() { _ = c.Close() }()
		start := int(off) % len(want)
		p := make([]byte, len(want)-start)
		if n, _ := c.ReadAt(p, int64(start)); !bytes.Equal(p[:n], want[start:start+n]) {
			t.Errorf("wrong bytes from %d", start)
		}
	})
}
