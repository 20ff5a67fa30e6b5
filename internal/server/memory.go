package server

import (
	"context"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
)

// memoryCheckEvery is how often the process's memory is looked at.
const memoryCheckEvery = time.Second

// What a memoryGuard refuses.
const (
	shedNothing = iota
	shedPublishes
	shedMisses // and publishes
)

// memoryGuard refuses work that takes memory while the process has more than its soft
// limit: publishes first, and then, when that was not enough, what would have to be
// fetched. What is here already goes on being served (reliability.md A8).
type memoryGuard struct {
	limit   int64
	percent int // garbage, of live memory
	paced   int // what was last set; of pace
	used    func() int64
	log     *slog.Logger
	level   atomic.Int32
}

// newMemoryGuard makes a guard and the collector keep the process below the soft limit:
// the setting, or 80 % of what the system allows the process where that is less. The
// operator's own GOGC and GOMEMLIMIT win.
func newMemoryGuard(m config.Memory, log *slog.Logger) *memoryGuard {
	limit := int64(m.Limit)
	if allowed := cgroupMemory("/sys/fs/cgroup", "/proc/self/cgroup"); allowed > 0 {
		limit = min(limit, allowed/10*8)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	} else if own := debug.SetMemoryLimit(-1); own < math.MaxInt64 {
		limit = own
	}
	return &memoryGuard{limit: limit, percent: m.GCPercent, used: usedMemory, log: log}
}

// usedMemory is what the runtime holds of the system's memory: what its own soft limit
// counts.
func usedMemory() int64 {
	s := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64()) //nolint:gosec // the second is part of the first
}

// check looks once. Above the limit it refuses one thing more than before, so that
// misses are refused when a second without publishes did not help; back to normal is at
// nine tenths of the limit, so that it does not flap.
func (g *memoryGuard) check(ctx context.Context) {
	used, was := g.used(), g.level.Load()
	now := was
	switch {
	case used > g.limit:
		now = min(was+1, shedMisses)
	case used < g.limit/10*9:
		now = shedNothing
	}
	if now == was {
		return
	}
	g.level.Store(now)
	attrs := []slog.Attr{slog.Int64("used_bytes", used), slog.Int64("limit_bytes", g.limit)}
	switch now {
	case shedNothing:
		g.log.LogAttrs(ctx, slog.LevelInfo, "memory is enough again", attrs...)
	case shedPublishes:
		g.log.LogAttrs(ctx, slog.LevelWarn, "memory is above its soft limit, refusing publishes", attrs...)
	default:
		g.log.LogAttrs(ctx, slog.LevelError, "memory is still above its soft limit, refusing pulls too", attrs...)
	}
}

// run looks until ctx ends, and keeps the collector's pace unless the operator sets it.
func (g *memoryGuard) run(ctx context.Context) {
	look := g.check
	if os.Getenv("GOGC") == "" {
		g.pace(ctx)
		back := newGiveBack()
		look = func(ctx context.Context) { g.check(ctx); back.look(ctx) }
	}
	every(ctx, memoryCheckEvery, look)
}

// pace sets how much garbage may gather, now and after each collection until ctx ends: a
// burst must not grow at the pace of the small heap that it found.
func (g *memoryGuard) pace(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	if percent := g.percentFor(liveMemory()); percent != g.paced {
		debug.SetGCPercent(percent)
		g.paced = percent
	}
	// The cleanup of what nobody holds runs once, behind the next collection.
	runtime.AddCleanup(new([64]byte), func(g *memoryGuard) { g.pace(ctx) }, g)
}

// How much garbage may gather whatever is configured, and in percent of live memory. A
// server that answers small requests has one or two megabytes of live memory; to collect
// whenever half as much has gathered takes a third of its time.
const (
	leastGarbage = 8 << 20
	mostPercent  = 200
)

// percentFor is how much garbage, in percent of so many live bytes, may gather, in steps
// that keep it from changing all the time.
func (g *memoryGuard) percentFor(live uint64) int {
	const step = 25
	least := mostPercent
	if live > 0 {
		least = int(min(leastGarbage*100/live, mostPercent)) / step * step
	}
	return max(g.percent, least)
}

// liveMemory is what the last collection found in use; 0 before the first.
func liveMemory() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}

// refusePublishes is the error that publishes get at the moment; nil for none.
func (g *memoryGuard) refusePublishes() error { return g.refuse(shedPublishes) }

// refuseMisses is the error that pulls get at the moment; nil for none.
func (g *memoryGuard) refuseMisses() error { return g.refuse(shedMisses) }

func (g *memoryGuard) refuse(from int32) error {
	if g.level.Load() < from {
		return nil
	}
	return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "memory_low", RetryAfter: 5 * time.Second,
		Message: "the server is short of memory at the moment; try again"}
}

// cgroupMemory reads how much memory the process's control group, or one above it, may
// have; 0 where that is unknown or without bound.
func cgroupMemory(root, self string) int64 {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	least := int64(0)
	take := func(file string) {
		b, err := os.ReadFile(file)
		n, perr := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		// The first version of control groups writes a huge number for "no bound".
		if err == nil && perr == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) {
			least = n
		}
	}
	for line := range strings.Lines(string(text)) {
		// hierarchy:controllers:path; the second version has no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		if parts[1] != "" {
			if parts[1] != "memory" {
				continue
			}
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for path := filepath.Clean("/" + parts[2]); ; path = filepath.Dir(path) {
			take(filepath.Join(dir, path, file))
			if path == "/" {
				break
			}
		}
	}
	return least
}
