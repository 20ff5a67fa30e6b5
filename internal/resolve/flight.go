package resolve

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
)

// budgetBytes bounds the large index documents that are in memory at one time, from when
// they are fetched to when what was made of them is rendered (npm.md 5). One that is
// larger than all of it goes alone. Documents below smallIndex are not counted.
const (
	budgetBytes = 32 << 20
	smallIndex  = 512 << 10
)

// indexFlight is a reading of an index that is shared by all who wait for it, and the
// memory of the index for as long as one of them uses it.
type indexFlight struct {
	c      *remoteIndexes
	done   chan struct{} // closed by the flight when index, or err, is set
	index  *remoteIndex
	err    error
	behind bool  // nobody waits for it
	held   int64 // bytes of the budget; the flight's own until done, then under mu
	users  int   // the flight itself and who joined; under mu

	// hurry is closed when somebody joins who holds memory himself: to wait for memory
	// might be to wait for him.
	hurry   chan struct{}
	hurried sync.Once
}

// holding is in the context of who may hold memory of the budget.
type holding struct{}

// join joins the flight of a key or begins it. mine tells that this call began it.
// Errors: Unavailable when the resolver is closed.
func (c *remoteIndexes) join(ctx context.Context, k remoteKey, fly func(context.Context, *indexFlight) (*remoteIndex, error)) (f *indexFlight, mine bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, running := c.flights[k]
	if !running {
		detached, end, err := c.r.detach(ctx, refreshTime)
		if err != nil {
			return nil, false, err
		}
		f = &indexFlight{c: c, done: make(chan struct{}), hurry: make(chan struct{}), users: 1}
		c.flights[k] = f
		go func() {
			defer end()
			f.index, f.err = fly(detached, f)
			c.mu.Lock()
			delete(c.flights, k)
			c.mu.Unlock()
			close(f.done)
			c.leave(f)
		}()
	}
	f.users++
	if ctx.Value(holding{}) != nil {
		f.hurried.Do(func() { close(f.hurry) })
	}
	return f, !running, nil
}

// leave ends one use of a flight. The last one gives its memory back.
func (c *remoteIndexes) leave(f *indexFlight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.users--; f.users > 0 || f.held == 0 {
		return
	}
	f.index = nil
	if f.held < budgetBytes/2 {
		c.budget.Release(f.held)
		return
	}
	// The next one must not come on top of what this one left behind.
	go func() {
		runtime.GC()
		c.budget.Release(f.held)
	}()
}

// leaveAfter ends one use of a flight that is done when ctx ends.
func (c *remoteIndexes) leaveAfter(ctx context.Context, f *indexFlight) {
	if f.held == 0 {
		c.leave(f)
		return
	}
	context.AfterFunc(ctx, func() { c.leave(f) })
}

// admit takes memory for a document of so many bytes, and waits for it. It may be called
// again with more. Errors: Unavailable "busy" when it does not come in time.
func (f *indexFlight) admit(ctx context.Context, size int64) error {
	size = min(size, budgetBytes)
	if size < smallIndex || size <= f.held {
		return nil
	}
	if f.held > 0 { // never wait while holding: two that want more would wait for each other
		f.c.budget.Release(f.held)
		f.held = 0
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-f.hurry:
			stop()
		case <-waiting.Done():
		}
	}()
	if err := f.c.budget.Acquire(waiting, size); err == nil {
		f.held = size
		return nil
	}
	if ctx.Err() == nil {
		return nil // hurried: goes without
	}
	return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "busy", RetryAfter: time.Second, Err: context.Cause(ctx),
		Message: "the server is reading too many large packages at the moment; try again"}
}

// tolerateFor is how long an index that is asked for behind its users is used without
// looking again.
const tolerateFor = time.Second

// tolerable reports whether an index that is not fresh may be used while the registry is
// asked (Options.RevalidateFor).
func (c *remoteIndexes) tolerable(i *remoteIndex) bool {
	now := c.r.now()
	return i.failed == nil && !i.row.Absent && now.Before(i.row.FreshUntil.Add(c.r.o.RevalidateFor)) &&
		!i.row.FreshUntil.After(now) // a clock that was set back (R25)
}

// tolerate returns an index to use now and sees to it that the registry is asked.
func (c *remoteIndexes) tolerate(ctx context.Context, k remoteKey, domain packhouse.KeyRef, conn fetch.Connection, kept *remoteIndex) *remoteIndex {
	shown := *kept
	shown.retryAt = c.r.now().Add(tolerateFor)
	c.memory.Set(k, &shown)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind[k] {
		return &shown
	}
	ctx, end, err := c.r.detach(ctx, refreshTime)
	if err != nil {
		return &shown // closing
	}
	c.behind[k] = true
	go func() {
		defer end()
		f := &indexFlight{c: c, behind: true, hurry: make(chan struct{}), users: 1}
		if _, err := c.load(ctx, f, k, domain, conn, time.Time{}); err != nil {
			c.r.log.LogAttrs(ctx, slog.LevelWarn, "upstream index not refreshed", slog.String("upstream", conn.Name),
				slog.String("package", k.name.String()), slog.Any("error", err))
		}
		c.leave(f)
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.behind, k)
	}()
	return &shown
}
