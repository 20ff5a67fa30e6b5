package server

import (
	"context"
	"log/slog"
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
	dir   string
	marks config.Disk
	space func(dir string) (free, total uint64, err error)
	log   *slog.Logger
	low   atomic.Bool
	latch *latch // set by wrap
}

// check looks once. Normal again is at twice the mark, so that it does not flap.
func (g *diskGuard) check(ctx context.Context) {
	free, total, err := g.space(g.dir)
	if err != nil {
		g.log.LogAttrs(ctx, slog.LevelWarn, "free disk space unknown", slog.Any("error", err))
		return
	}
	mark := lowMark(g.marks, total)
	was := g.low.Load()
	if was {
		mark *= 2
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

// run looks until ctx ends.
func (g *diskGuard) run(ctx context.Context) { every(ctx, diskCheckEvery, g.check) }

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

// Stage refuses while the disk is low.
func (s guardedStore) Stage(ctx context.Context) (blob.Staged, error) {
	if s.guard.low.Load() {
		return nil, &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_low", RetryAfter: time.Minute,
			Message: "The server's disk is nearly full, so it takes in no packages at the moment."}
	}
	return s.Store.Stage(ctx)
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
