package vault_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/rowblob"
	"github.com/packhouse/packhouse/internal/vault"
)

// rows are the bodies that a catalog would hold, by key.
type rows map[string][]byte

func (r rows) Body(_ context.Context, key string) ([]byte, error) { return slices.Clone(r[key]), nil }

func (rows) Bodies(context.Context, string, func(string, int64) error) error { return nil }

// withRows makes the house's small blobs lie in rows.
func (h *house) withRows() rows {
	r := rows{}
	store := rowblob.New(h.store)
	store.Attach(r)
	h.Vault = vault.New(store, h.provider)
	return r
}

// keepForRow stages and keeps b, and puts its body, if any, in a row.
func (h house) keepForRow(t testing.TB, r rows, b []byte) (ref packhouse.BlobRef, body []byte) {
	t.Helper()
	s := h.stage(t, h.domain, b)
	defer s.Discard()
	ref, body, err := s.KeepForRow(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r[ref.Object] = body
	}
	return ref, body
}

// R2, R14: bytes of one package are the row's to keep, and leave nothing in the store; all
// others are durable there. Either reads back.
func TestKeepForRow(t *testing.T) {
	h := newHouse(t)
	r := h.withRows()
	for _, size := range sizes {
		want := bytesOf(size)
		ref, body := h.keepForRow(t, r, want)
		_, err := h.store.Stat(t.Context(), blob.Key(ref.Object))
		small := size > 0 && size <= 64<<10
		if (body != nil) != small || blob.Key(ref.Object).InRow() != small || errors.Is(err, blob.ErrNotFound) != small {
			t.Errorf("%d bytes: %d in a row under %s, in the store: %v", size, len(body), ref.Object, err)
		}
		if small && !strings.Contains(ref.Object, "-1-") {
			t.Errorf("key %s does not hold generation 1", ref.Object)
		}
		if got, err := h.read(t, h.domain, ref, 10_000); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		if hashes, err := h.CompleteHashes(t.Context(), h.domain, ref); err != nil || hashes != hashesOf(want) {
			t.Errorf("%d bytes: CompleteHashes = %+v, %v", size, hashes, err)
		}
	}
}

// Without a store that reads out of rows nothing is left to a row.
func TestKeepForRowWithoutRows(t *testing.T) {
	h := newHouse(t)
	ref, body := h.keepForRow(t, nil, []byte("small"))
	if got, err := h.read(t, h.domain, ref, 10); body != nil || err != nil || string(got) != "small" {
		t.Errorf("body %q, read %q, %v", body, got, err)
	}
}

func TestKeepForRowComesOnceAndOnlyForFinishedBytes(t *testing.T) {
	h := newHouse(t)
	h.withRows()
	s := h.begin(t, 10)
	if _, _, err := s.KeepForRow(t.Context(), 1); err == nil {
		t.Error("KeepForRow before Finish succeeds")
	}
	s = h.stage(t, h.domain, []byte("x"))
	if _, _, err := s.KeepForRow(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if _, _, err := s.KeepForRow(t.Context(), 1); err == nil {
		t.Error("second KeepForRow succeeds")
	}
	for _, end := range []func(*vault.Staging){func(s *vault.Staging) { s.Fail(errors.New("wrong digest")) }, (*vault.Staging).Discard} {
		s := h.stage(t, h.domain, []byte("x"))
		end(s)
		if _, _, err := s.KeepForRow(t.Context(), 1); err == nil {
			t.Error("KeepForRow after Fail or Discard succeeds")
		}
	}
}

// R15: a body that was changed, cut, or taken from another blob is never read as content.
func TestDamagedBodies(t *testing.T) {
	h := newHouse(t)
	r := h.withRows()
	want := bytesOf(3000)
	ref, body := h.keepForRow(t, r, want)
	_, other := h.keepForRow(t, r, bytesOf(3001)[1:])
	flipped := func(at int) []byte {
		b := bytes.Clone(body)
		b[at] ^= 1
		return b
	}
	for name, b := range map[string][]byte{
		"another blob's": other, "cut": body[:len(body)-1], "longer": append(bytes.Clone(body), 0), "empty": {},
		"a bit of the header flipped": flipped(5), "a bit of the content flipped": flipped(500), "a bit of the tag flipped": flipped(len(body) - 1),
	} {
		r[ref.Object] = b
		if got, err := h.read(t, h.domain, ref, 1000); !errors.Is(err, vault.ErrDamaged) || len(got) > 0 {
			t.Errorf("%s: read %d bytes, %v, want ErrDamaged", name, len(got), err)
		}
	}
	delete(r, ref.Object)
	if _, err := h.read(t, h.domain, ref, 1000); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("a body that is gone: %v, want ErrNotFound", err)
	}
}
