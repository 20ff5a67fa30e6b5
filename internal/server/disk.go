package server

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/config"
)

// diskCheckEvery is how often free space is looked at.
const diskCheckEvery = 5 * time.Second

// diskGuard refuses to stage blobs while the disk is nearly full; reading, deleting and
// everything that lives in the database goes on (reliability.md R21).
type diskGuard struct {
	dir     string
	marks   config.Disk
	space   func(dir string) (free, total uint64, err error)
	log     *slog.Logger
	low     atomic.Bool
	ballast ballast       // of run's goroutine
	full    chan struct{} // room for one: a write found no space
	latch   *latch        // set by wrap
	off     *readOnly     // nil for none
}

func newDiskGuard(dir string, marks config.Disk, log *slog.Logger) *diskGuard {
	return &diskGuard{dir: dir, marks: marks, space: freeSpace, log: log, full: make(chan struct{}, 1),
		ballast: ballast{path: filepath.Join(dir, ballastFile), now: time.Now}}
}

// check looks once. Normal again is at twice the mark, so that it does not flap, with
// the ballast in its place.
func (g *diskGuard) check(ctx context.Context) {
	free, total, err := g.space(g.dir)
	if err != nil {
		g.log.LogAttrs(ctx, slog.LevelWarn, "free disk space unknown", slog.Any("error", err))
		return
	}
	mark := lowMark(g.marks, total)
	was := g.low.Load()
	if was {
		mark = 2*mark + g.ballast.owed
	}
	now := free < mark
	if now == was {
		return
	}
	g.low.Store(now)
	if now {
		g.log.LogAttrs(ctx, slog.LevelError, "disk is nearly full, refusing publishes and caching",
			slog.Uint64("free_bytes", free), slog.Uint64("mark_bytes", mark))
	} else {
		g.log.LogAttrs(ctx, slog.LevelInfo, "disk has room again", slog.Uint64("free_bytes", free))
	}
}

// noSpace tells that a write found the disk full, or a quota used up: the ballast goes
// at once, and the space is looked at without waiting.
func (g *diskGuard) noSpace() {
	select {
	case g.full <- struct{}{}:
	default: // told already
	}
}

// run looks until ctx ends, and keeps the ballast.
func (g *diskGuard) run(ctx context.Context) {
	t := time.NewTicker(diskCheckEvery)
	defer t.Stop()
	for {
		full := false
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-g.full:
			full = true
		}
		g.check(ctx)
		g.weigh(ctx, full)
	}
}

// weigh releases the ballast when the disk is low or full, and takes it on again when
// there is room for it beside what publishes need.
func (g *diskGuard) weigh(ctx context.Context, full bool) {
	if full || g.low.Load() {
		if released, err := g.ballast.release(); err != nil {
			g.log.LogAttrs(ctx, slog.LevelError, "ballast not released", slog.Any("error", err))
		} else if released {
			g.log.LogAttrs(ctx, slog.LevelWarn, "ballast released, so that deletes and checkpoints can run", slog.Uint64("bytes", ballastBytes))
		}
		return
	}
	if free, total, err := g.space(g.dir); err == nil && free >= 2*lowMark(g.marks, total)+ballastBytes {
		if err := g.ballast.take(); err != nil {
			g.log.LogAttrs(ctx, slog.LevelWarn, "no ballast", slog.Any("error", err))
		}
	}
}

// every does something again and again until ctx ends, first after one interval.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do(ctx)
		}
	}
}

// wrap puts the guard, and behind it the latch, before a blob store.
func (g *diskGuard) wrap(s blob.Store) blob.Store {
	g.latch = newLatch(s, g.log)
	return guardedStore{g.latch, g}
}

type guardedStore struct {
	blob.Store
	guard *diskGuard
}

// Stage refuses while writes are switched off, and while the disk is low.
func (s guardedStore) Stage(ctx context.Context) (blob.Staged, error) {
	if err := s.guard.off.refusal(); err != nil {
		return nil, err
	}
	if s.guard.low.Load() {
		return nil, &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_low", RetryAfter: time.Minute,
			Message: "The server's disk is nearly full, so it takes in no packages at the moment."}
	}
	return s.Store.Stage(ctx)
}

// degraded tells why publishes are refused, "" when they are not.
func (g *diskGuard) degraded() string {
	switch {
	case g.off.refusal() != nil:
		return "writes are switched off"
	case g.low.Load():
		return "the disk is nearly full; publishes are refused"
	case g.latch.isClosed():
		return "the disk fails to keep what is written; publishes are refused"
	}
	return ""
}

// lowMark is the free space below which a disk of total bytes is low.
func lowMark(d config.Disk, total uint64) uint64 {
	return max(total/100*uint64(d.LowPercent), uint64(d.LowBytes)) //nolint:gosec // both are checked not to be negative
}

// FreeSpace returns the free bytes of the data directory's disk, and the mark below
// which publishes are refused.
func FreeSpace(c *config.Config) (free, mark uint64, err error) {
	free, total, err := freeSpace(c.DataDir)
	return free, lowMark(c.Disk, total), err
}
