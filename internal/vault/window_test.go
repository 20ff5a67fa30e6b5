package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/vault"
)

// countingStore counts how often what is staged is read.
type countingStore struct {
	blob.Store
	reads atomic.Int64
}

func (s *countingStore) Stage(ctx context.Context) (blob.Staged, error) {
	st, err := s.Store.Stage(ctx)
	return countingStaged{st, &s.reads}, err
}

type countingStaged struct {
	blob.Staged
	reads *atomic.Int64
}

func (s countingStaged) ReadAt(p []byte, off int64) (int, error) {
	s.reads.Add(1)
	return s.Staged.ReadAt(p, off)
}

func counted(t *testing.T) (house, *countingStore) {
	h := newHouse(t)
	store := &countingStore{Store: h.store}
	h.Vault = vault.New(store, h.provider)
	return h, store
}

const chunk = 64 << 10

func finish(t *testing.T, s *vault.Staging) {
	t.Helper()
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	s.Settle()
}

// Performance row 17: a follower close behind the writer opens nothing.
func TestFollowersTakeWhatTheWriterHasInHand(t *testing.T) {
	h, store := counted(t)
	want := bytesOf(20*chunk + 1)
	s := h.begin(t, int64(len(want)))
	r := s.Follow(t.Context())
	defer func() { _ = r.Close() }()
	var got []byte
	p := make([]byte, chunk)
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 50_000)
		if _, err := s.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		// What is in sight: every package but the one that the writer holds back.
		for len(got)+chunk < len(want)-len(rest) {
			n, err := io.ReadFull(r, p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p[:n]...)
		}
	}
	finish(t, s)
	end, err := io.ReadAll(r)
	if got = append(got, end...); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes of %d, %v", len(got), len(want), err)
	}
	if n := store.reads.Load(); n != 0 {
		t.Errorf("the store was read %d times, want 0", n)
	}
}

// Performance row 17: those who are far behind the writer open a package once for all.
func TestFollowersShareWhatOneOpens(t *testing.T) {
	const packages, followers = 300, 8
	h, store := counted(t)
	want := bytesOf(packages * chunk)
	s := h.begin(t, int64(len(want)))
	if _, err := s.Write(want); err != nil {
		t.Fatal(err)
	}
	finish(t, s)
	var readers []io.ReadCloser
	for range followers {
		readers = append(readers, s.Follow(t.Context()))
	}
	p := make([]byte, chunk)
	for i := range packages {
		for k, r := range readers {
			if _, err := io.ReadFull(r, p); err != nil || !bytes.Equal(p, want[i*chunk:(i+1)*chunk]) {
				t.Fatalf("package %d of follower %d: %v", i, k, err)
			}
		}
	}
	for _, r := range readers {
		if n, err := r.Read(p); n != 0 || err != io.EOF {
			t.Errorf("%d bytes after the end, %v", n, err)
		}
		_ = r.Close()
	}
	// The first package costs more than one read, for its reader is opened.
	if n := store.reads.Load(); n > 2*packages {
		t.Errorf("the store was read %d times for %d packages and %d followers", n, packages, followers)
	}
}

// R27: what was opened before a transfer failed is not given after it.
func TestWindowEndsWithAFailure(t *testing.T) {
	h, _ := counted(t)
	want := bytesOf(10 * chunk)
	s := h.begin(t, int64(len(want)))
	fast, slow := s.Follow(t.Context()), s.Follow(t.Context())
	defer func() { _, _ = fast.Close(), slow.Close() }()
	if _, err := s.Write(want); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(fast, make([]byte, 9*chunk)); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("the digest is wrong")
	s.Fail(wrong)
	if n, err := slow.Read(make([]byte, chunk)); n != 0 || !errors.Is(err, wrong) {
		t.Errorf("%d bytes after the failure, %v", n, err)
	}
}

// Performance row 17: windows of many transfers together stay below their bound, and what
// finds no room there is read all the same.
func TestWindowsAreBounded(t *testing.T) {
	const transfers = 20
	h := newHouse(t)
	want := bytesOf(64 * chunk)
	var all sync.WaitGroup
	var stagings []*vault.Staging
	var readers []io.ReadCloser
	for range transfers {
		s := h.begin(t, int64(len(want)))
		stagings, readers = append(stagings, s), append(readers, s.Follow(t.Context()))
	}
	for _, s := range stagings {
		for rest := want; len(rest) > 0; rest = rest[chunk:] {
			if _, err := s.Write(rest[:chunk]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, s := range stagings {
		finish(t, s)
		all.Go(func() {
			got, err := io.ReadAll(readers[i])
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("transfer %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	all.Wait()
	if n := h.Windowed(); n != vault.MaxWindowed {
		t.Errorf("%d packages are held, want all %d that may be", n, vault.MaxWindowed)
	}
	for i, s := range stagings {
		_ = readers[i].Close()
		s.Discard()
	}
	if n := h.Windowed(); n != 0 {
		t.Errorf("%d packages are still held", n)
	}
}
