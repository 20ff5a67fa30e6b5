package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
)

// failingStore fails every commit with err, if that is set.
type failingStore struct {
	blob.Store
	err error
}

func (s *failingStore) Stage(ctx context.Context) (blob.Staged, error) {
	st, err := s.Store.Stage(ctx)
	return failingStaged{st, s}, err
}

type failingStaged struct {
	blob.Staged
	store *failingStore
}

func (s failingStaged) Commit(ctx context.Context, key blob.Key) error {
	if s.store.err != nil {
		return fmt.Errorf("sync: %w", s.store.err)
	}
	return s.Staged.Commit(ctx, key)
}

// R4: three commits that the disk fails to keep within a minute close the store; a probe
// that is kept opens it.
func TestLatch(t *testing.T) {
	mem := memblob.New()
	disk := &failingStore{Store: mem}
	l := newLatch(disk, slog.New(slog.DiscardHandler))
	now := time.Unix(1_000_000, 0)
	l.now = func() time.Time { return now }
	next := 0
	write := func() error {
		st, err := l.Stage(t.Context())
		if err != nil {
			return err
		}
		defer func() { _ = st.Discard() }()
		next++
		return st.Commit(t.Context(), blob.Key(fmt.Sprintf("%032x", next)))
	}
	readOnly := func() bool { return packhouse.ReasonOf(write()) == "read_only" }

	disk.err = syscall.ENOSPC
	for range 5 {
		_ = write()
	}
	disk.err = syscall.EIO
	_, _ = write(), write()
	now = now.Add(2 * time.Minute) // those two no longer count
	_, _ = write(), write()
	if err := write(); packhouse.ReasonOf(err) == "read_only" || !errors.Is(err, syscall.EIO) {
		t.Fatalf("the third failure within a minute got %v", err)
	}
	if !readOnly() {
		t.Error("three failures within a minute did not close the store")
	}
	l.tryAgain(t.Context())
	if !readOnly() {
		t.Error("a failed probe opened the store")
	}
	disk.err = nil
	l.tryAgain(t.Context())
	if err := write(); err != nil {
		t.Errorf("after a good probe: %v", err)
	}
	left := 0
	if err := mem.List(t.Context(), "", func(blob.Info) error { left++; return nil }); err != nil {
		t.Fatal(err)
	}
	if left != 1 {
		t.Errorf("%d objects are stored, want the one written: probes go again", left)
	}
}
