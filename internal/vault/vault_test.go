package vault_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/fileblob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/keys"
	"github.com/packhouse/packhouse/internal/vault"
	"github.com/packhouse/packhouse/internal/vault/vaulttest"
)

// Sizes at which packages, lanes and their borders behave differently.
var sizes = []int{0, 1, 100, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 200_000, 256 << 10, 256<<10 + 1, 1<<20 + 12345}

// bytesOf returns size bytes that are the same for the same size.
func bytesOf(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}).Read(b)
	return b
}

// hashesOf computes the four hashes by other means than the vault.
func hashesOf(b []byte) packhouse.Hashes {
	m, s1, s256, s512 := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
	return packhouse.Hashes{MD5: hex.EncodeToString(m[:]), SHA1: hex.EncodeToString(s1[:]),
		SHA256: hex.EncodeToString(s256[:]), SHA512: hex.EncodeToString(s512[:])}
}

// house is a vault with two domains and what lies below it.
type house struct {
	*vault.Vault
	store    *memblob.Store
	provider keys.Provider
	domain   packhouse.KeyRef
	other    packhouse.KeyRef
}

func newHouse(t testing.TB) house {
	t.Helper()
	v, store, provider := vaulttest.NewParts(t)
	return house{Vault: v, store: store, provider: provider,
		domain: vaulttest.KeyRef(t, v, provider, 1), other: vaulttest.KeyRef(t, v, provider, 2)}
}

// stage stages and finishes b.
func (h house) stage(t testing.TB, k packhouse.KeyRef, b []byte) *vault.Staging {
	t.Helper()
	s, err := h.Stage(t.Context(), k, int64(len(b)), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Discard)
	if n, err := s.Write(b); n != len(b) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	return s
}

// keep stages and keeps b.
func (h house) keep(t testing.TB, k packhouse.KeyRef, b []byte) packhouse.BlobRef {
	t.Helper()
	s := h.stage(t, k, b)
	defer s.Discard()
	ref, err := s.Keep(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// read opens a blob and reads all of it in pieces.
func (h house) read(t testing.TB, k packhouse.KeyRef, ref packhouse.BlobRef, piece int) ([]byte, error) {
	t.Helper()
	c, err := h.Open(t.Context(), k, ref)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{io.NewSectionReader(c, 0, c.Size())}, make([]byte, piece))
	return got.Bytes(), err
}

// houses runs a test over each driver of blobs.
func houses(t *testing.T, test func(t *testing.T, h house)) {
	t.Run("memblob", func(t *testing.T) { test(t, newHouse(t)) })
	t.Run("fileblob", func(t *testing.T) {
		h := newHouse(t)
		dir := filepath.Join(t.TempDir(), "blobs")
		store, err := fileblob.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			staged, err := filepath.Glob(filepath.Join(dir, "staging", "*", "*"))
			if err != nil || len(staged) != 0 {
				t.Errorf("left in staging: %v, error %v", staged, err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		h.Vault = vault.New(store, h.provider)
		test(t, h)
	})
}

func TestKeptBlobsReadBack(t *testing.T) { houses(t, keptBlobsReadBack) }

func keptBlobsReadBack(t *testing.T, h house) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			want := bytesOf(size)
			s := h.stage(t, h.domain, want)
			if got := s.Hashes(); got != hashesOf(want) {
				t.Errorf("Hashes = %+v, want %+v", got, hashesOf(want))
			}
			if s.Digest() != sha256.Sum256(want) || s.Size() != int64(size) {
				t.Errorf("Digest, Size = %s, %d", s.Digest(), s.Size())
			}
			inspected, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
			if err != nil || !bytes.Equal(inspected, want) {
				t.Errorf("staged bytes differ, error %v", err)
			}
			ref, err := s.Keep(t.Context(), 7)
			if err != nil {
				t.Fatal(err)
			}
			if ref.Digest != s.Digest() || ref.Size != int64(size) || ref.Generation != 7 || ref.KeyID != h.domain.KeyID {
				t.Errorf("ref = %+v", ref)
			}
			for _, piece := range []int{1000, 32 << 10, 64 << 10, 300_000} {
				got, err := h.read(t, h.domain, ref, piece)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("in pieces of %d: bytes differ, error %v", piece, err)
				}
			}
			all, err := h.CompleteHashes(t.Context(), h.domain, ref)
			if err != nil || all != hashesOf(want) {
				t.Errorf("CompleteHashes = %+v, %v", all, err)
			}
		})
	}
}

func TestReadAtAnyPlace(t *testing.T) {
	h := newHouse(t)
	want := bytesOf(300_000)
	ref := h.keep(t, h.domain, want)
	c, err := h.Open(t.Context(), h.domain, ref)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		off, length := random.IntN(len(want)+10), random.IntN(150_000)
		p := make([]byte, length)
		n, err := c.ReadAt(p, int64(off))
		expect := want[min(off, len(want)):min(off+length, len(want))]
		if !bytes.Equal(p[:n], expect) {
			t.Fatalf("ReadAt(%d, %d) gave %d other bytes", off, length, n)
		}
		if end := errors.Is(err, io.EOF); end != (n < length) || err != nil && !end {
			t.Fatalf("ReadAt(%d, %d) = %d, %v", off, length, n, err)
		}
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("negative offset: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadAt(make([]byte, 1), 0); !errors.Is(err, blob.ErrClosed) {
		t.Errorf("after Close: %v, want blob.ErrClosed", err)
	}
}

// R7, S3: names reveal nothing, and leftovers never stand in the way.
func TestObjectNamesAreNewEachTime(t *testing.T) {
	h := newHouse(t)
	content := bytesOf(1000)
	seen := map[string]bool{}
	for generation := range int64(3) {
		for range 3 {
			for _, k := range []packhouse.KeyRef{h.domain, h.other} {
				s := h.stage(t, k, content)
				ref, err := s.Keep(t.Context(), generation)
				if err != nil {
					t.Fatal(err)
				}
				if seen[ref.Object] || !blob.Key(ref.Object).Valid() || strings.Contains(ref.Object, ref.Digest.Hex()[:16]) {
					t.Errorf("object %q", ref.Object)
				}
				seen[ref.Object] = true
				if want := fmt.Sprintf("-%d-", generation); !strings.Contains(ref.Object, want) {
					t.Errorf("R14: object %q lacks its generation", ref.Object)
				}
			}
		}
	}
}

func TestRemove(t *testing.T) {
	h := newHouse(t)
	ref := h.keep(t, h.domain, bytesOf(100))
	for range 2 {
		if err := h.Remove(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Open(t.Context(), h.domain, ref); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open = %v, want blob.ErrNotFound", err)
	}
}

func TestSealedValues(t *testing.T) {
	h := newHouse(t)
	plain := []byte("a column")
	sealed, err := h.Seal(t.Context(), h.domain, "versions/1/readme", plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, plain) {
		t.Error("the value is not sealed")
	}
	again, err := h.Seal(t.Context(), h.domain, "versions/1/readme", plain)
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealing twice gives the same bytes, error %v", err)
	}
	restarted := vault.New(h.store, h.provider)
	got, err := restarted.Unseal(t.Context(), h.domain, "versions/1/readme", sealed)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("Unseal = %q, %v", got, err)
	}
	if empty, err := h.Seal(t.Context(), h.domain, "", nil); err != nil {
		t.Error(err)
	} else if got, err := h.Unseal(t.Context(), h.domain, "", empty); err != nil || len(got) != 0 {
		t.Errorf("empty value: %q, %v", got, err)
	}
	// The same keyset in another domain's row: what an attacker who can write the
	// database might try.
	moved := h.domain
	moved.DomainID = 3
	foreign := bytes.Clone(sealed)
	foreign[len(foreign)-1] ^= 1
	for _, tt := range []struct {
		name   string
		key    packhouse.KeyRef
		aad    string
		sealed []byte
	}{
		{"another place", h.domain, "versions/2/readme", sealed},
		{"another domain's keyset", h.other, "versions/1/readme", sealed},
		{"the keyset under another domain", moved, "versions/1/readme", sealed},
		{"a changed byte", h.domain, "versions/1/readme", foreign},
		{"cut short", h.domain, "versions/1/readme", sealed[:10]},
		{"nothing", h.domain, "versions/1/readme", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := h.Unseal(t.Context(), tt.key, tt.aad, tt.sealed); !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("Unseal = %q, %v, want ErrDamaged", got, err)
			}
		})
	}
}

func TestLostMasterKeyIsToldApart(t *testing.T) {
	h := newHouse(t)
	ref := h.keep(t, h.domain, bytesOf(10))
	restored := vault.New(h.store, vaulttest.Keys(t)) // a backup without its keys
	if _, err := restored.Open(t.Context(), h.domain, ref); !errors.Is(err, keys.ErrUnknownKey) {
		t.Errorf("Open = %v, want keys.ErrUnknownKey", err)
	}
	if _, err := restored.NewKeyset(t.Context(), h.domain.KeyID); !errors.Is(err, keys.ErrUnknownKey) {
		t.Errorf("NewKeyset = %v, want keys.ErrUnknownKey", err)
	}
}
