package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/vault"
)

// failingVault is the house's vault over a disk that fails.
func failingVault(t *testing.T, h *house) *vault.Vault {
	t.Helper()
	return vault.New(failingStore{h.blobs}, h.keys)
}

type failingStore struct{ blob.Store }

func (failingStore) Open(context.Context, blob.Key) (blob.Object, error) { return nil, syscall.EIO }

// R14, R16: of several nodes over one database one works at a time, and another goes on
// when it is gone.
func TestOneNodeWorks(t *testing.T) {
	engines(t, func(t *testing.T, open func() *catalog.DB) {
		var working, runs atomic.Int64
		release := make(chan struct{})
		w := Work{
			Name: "work",
			Due:  func(context.Context) (time.Time, error) { return time.Now(), nil },
			Do: func(ctx context.Context, l *Lease) error {
				if working.Add(1) > 1 {
					t.Error("two nodes work at the same time")
				}
				defer working.Add(-1)
				runs.Add(1)
				select {
				case <-release:
				case <-ctx.Done():
				}
				return l.Update(context.WithoutCancel(ctx), func(*catalog.Tx) error { return nil })
			},
		}
		one, two := NewRunner(open(), slog.Default()), NewRunner(open(), slog.Default())
		ctx, stop := context.WithCancel(t.Context())
		first := make(chan struct{})
		go func() { defer close(first); one.Run(ctx, w) }()
		eventually(t, "the first node to work", func() bool { return working.Load() == 1 })
		for range 5 {
			if wait := two.turn(t.Context(), w); wait != retryWait {
				t.Errorf("the second node comes again after %v", wait)
			}
		}
		if runs.Load() != 1 {
			t.Errorf("the work began %d times", runs.Load())
		}
		stop()
		<-first
		close(release)
		if err := two.once(t.Context(), w); err != nil || runs.Load() != 2 {
			t.Errorf("after the first stopped: %v, the work began %d times", err, runs.Load())
		}
	})
}

// R14: a node that was away for longer than its lease lasts writes nothing any more.
func TestLateNodeWritesNothing(t *testing.T) {
	engines(t, func(t *testing.T, open func() *catalog.DB) {
		a, b := open(), open()
		one, two := NewRunner(a, nil), NewRunner(b, nil)
		one.life = time.Hour // it never renews
		wrote := false
		err := one.once(t.Context(), Work{Name: "work", Do: func(ctx context.Context, l *Lease) error {
			// As if its hour had passed.
			if err := a.Update(ctx, func(tx *catalog.Tx) error { return tx.KeepLease(ctx, l.row, time.Now().Add(-time.Second)) }); err != nil {
				return err
			}
			if err := two.once(ctx, Work{Name: "work", Do: func(ctx context.Context, l *Lease) error {
				return l.Update(ctx, func(*catalog.Tx) error { return nil })
			}}); err != nil {
				t.Errorf("the other node: %v", err)
			}
			return l.Update(ctx, func(*catalog.Tx) error { wrote = true; return nil })
		}})
		if !errors.Is(err, ErrLost) || wrote {
			t.Errorf("the late node ended with %v, wrote %v", err, wrote)
		}
	})
}

// R14: a lease is kept for as long as the work lasts, and the work is ended when it is lost.
func TestLeaseIsKeptAndItsLossEndsTheWork(t *testing.T) {
	db, began := newHouse(t).Catalog, time.Now()
	r := NewRunner(db, nil)
	r.life = 300 * time.Millisecond
	err := r.once(t.Context(), Work{Name: "work", Do: func(ctx context.Context, l *Lease) error {
		eventually(t, "two lives of the lease to pass", func() bool { return time.Since(began) > 2*r.life })
		if err := l.Update(ctx, func(tx *catalog.Tx) error {
			_, err := tx.TakeLease(ctx, "work", "another", time.Now().Add(time.Hour))
			if !errors.Is(err, catalog.ErrExists) {
				t.Errorf("another takes a lease that is kept: %v", err)
			}
			return nil
		}); err != nil {
			return err
		}
		// Somebody takes it all the same, as after a pause of the whole machine.
		if err := db.Update(ctx, func(tx *catalog.Tx) error { return tx.DropLease(ctx, l.row) }); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(30 * time.Second):
			return errors.New("the work was not ended")
		}
	}})
	if !errors.Is(err, ErrLost) {
		t.Errorf("it ended with %v", err)
	}
}

// R18: work that is not due writes nothing.
func TestNothingIsWrittenWhileNothingIsDue(t *testing.T) {
	h := newHouse(t)
	h.Catalog.Refuse(errors.New("a write"))
	w := Work{Name: "work", Do: func(context.Context, *Lease) error { t.Error("it was done"); return nil }}
	for name, tt := range map[string]struct {
		due  time.Time
		most time.Duration
	}{
		"in a minute": {time.Now().Add(time.Minute), time.Minute},
		"in a year":   {time.Now().AddDate(1, 0, 0), longestWait},
		"unknown":     {time.Time{}, longestWait},
	} {
		w.Due = func(context.Context) (time.Time, error) { return tt.due, nil }
		if wait := NewRunner(h.Catalog, h.Log).turn(t.Context(), w); wait <= 0 || wait > tt.most {
			t.Errorf("due %s: the next turn is after %v", name, wait)
		}
	}
	if h.log.String() != "" {
		t.Errorf("the log says\n%s", h.log)
	}
}
