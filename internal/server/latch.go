package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
)

// How many failed commits within how long close the store, and how often a closed one
// is tried again (reliability.md R4).
const (
	latchFailures = 3
	latchWindow   = time.Minute
	probeEvery    = 5 * time.Second
)

// latch closes a blob store for writing when its disk fails to keep what it is given,
// until a probe is kept. A disk that is merely full does not count: the guard before it
// answers for that (R21). Reading goes on.
type latch struct {
	blob.Store
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	failures []time.Time // within the window, oldest first
	closed   bool
}

func newLatch(s blob.Store, log *slog.Logger) *latch {
	return &latch{Store: s, log: log, now: time.Now}
}

// Stage refuses while the store is closed.
func (l *latch) Stage(ctx context.Context) (blob.Staged, error) {
	if l.isClosed() {
		return nil, &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "read_only", RetryAfter: time.Minute,
			Message: "The server's disk fails to keep what is written, so it takes in no packages until a test write succeeds."}
	}
	st, err := l.Store.Stage(ctx)
	if err != nil {
		return nil, err
	}
	return latchedStaged{st, l}, nil
}

// latchedStaged tells the latch what becomes of a commit.
type latchedStaged struct {
	blob.Staged
	latch *latch
}

func (s latchedStaged) Commit(ctx context.Context, key blob.Key) error {
	err := s.Staged.Commit(ctx, key)
	if err != nil && ctx.Err() == nil && !errors.Is(err, blob.ErrExists) && !errors.Is(err, blob.ErrClosed) &&
		!errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		s.latch.failed(ctx, err)
	}
	return err
}

func (l *latch) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// failed counts a failed commit and closes the store at the third.
func (l *latch) failed(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for len(l.failures) > 0 && now.Sub(l.failures[0]) > latchWindow {
		l.failures = l.failures[1:]
	}
	l.failures = append(l.failures, now)
	l.log.LogAttrs(ctx, slog.LevelError, "blob not kept", slog.Any("error", err))
	if len(l.failures) >= latchFailures && !l.closed {
		l.closed = true
		l.log.LogAttrs(ctx, slog.LevelError, "store is read-only until a test write succeeds", slog.Int("failures", len(l.failures)))
	}
}

// run probes a closed store until ctx ends.
func (l *latch) run(ctx context.Context) { every(ctx, probeEvery, l.tryAgain) }

// tryAgain opens a closed store if a probe is kept and taken away again.
func (l *latch) tryAgain(ctx context.Context) {
	if !l.isClosed() {
		return
	}
	if err := l.probe(ctx); err != nil {
		l.log.LogAttrs(ctx, slog.LevelWarn, "test write failed, store stays read-only", slog.Any("error", err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.failures = false, nil
	l.log.LogAttrs(ctx, slog.LevelInfo, "store takes writes again")
}

func (l *latch) probe(ctx context.Context) error {
	st, err := l.Store.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Discard() }()
	if _, err := st.Write([]byte("probe")); err != nil {
		return fmt.Errorf("write probe: %w", err)
	}
	var name [16]byte
	_, _ = rand.Read(name[:]) // never fails
	key := blob.Key(hex.EncodeToString(name[:]))
	if err := st.Commit(ctx, key); err != nil {
		return err
	}
	return l.Delete(ctx, key)
}
