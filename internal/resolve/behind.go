package resolve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
)

const (
	// maxBehind bounds the retentions that go on behind their clients; what is pulled
	// beyond it is retained before its clients see the end.
	maxBehind = 64
	// settleTime bounds how long a reader waits for them. A disk that takes longer makes
	// a retention late, which is no more than the service that this is like promises
	// (codeartifact.md 3.2).
	settleTime = 10 * time.Second
)

// behind is the retentions that go on after their clients have the bytes. Nobody sees a
// gap between the two: who reads records waits for those that it may find.
type behind struct {
	count atomic.Int32 // of the table, so that readers pay nothing while it is empty

	mu    sync.Mutex
	table map[*retention]struct{}
}

// retention is one of them. done is closed by its pull when it is committed or never
// will be.
type retention struct {
	domain  int64
	name    packhouse.PackageName
	version string // key
	done    chan struct{}
}

// begin enters a retention; nil when there are enough of them.
func (b *behind) begin(domain int64, n packhouse.PackageName, versionKey string) *retention {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.table) >= maxBehind {
		return nil
	}
	if b.table == nil {
		b.table = make(map[*retention]struct{}, maxBehind)
	}
	t := &retention{domain: domain, name: n, version: versionKey, done: make(chan struct{})}
	b.table[t] = struct{}{}
	b.count.Add(1)
	return t
}

// end ends a retention, nil included.
func (b *behind) end(t *retention) {
	if t == nil {
		return
	}
	b.mu.Lock()
	delete(b.table, t)
	b.count.Add(-1)
	b.mu.Unlock()
	close(t.done)
}

// wait waits for those retentions that are under way now and that match. Errors: that of
// ctx.
func (b *behind) wait(ctx context.Context, match func(*retention) bool) error {
	if b.count.Load() == 0 {
		return nil
	}
	var found []*retention
	b.mu.Lock()
	for t := range b.table {
		if match(t) {
			found = append(found, t)
		}
	}
	b.mu.Unlock()
	if len(found) == 0 {
		return nil
	}
	late := time.NewTimer(settleTime)
	defer late.Stop()
	for _, t := range found {
		select {
		case <-t.done:
		case <-late.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Settle waits until the records of everything that clients have pulled so far are
// committed, ten seconds at most: whoever reads or changes records in a transaction of his
// own calls it first, and outside of any transaction. While nothing is under way it costs
// one atomic load. Errors: that of ctx.
func (r *Resolver) Settle(ctx context.Context) error {
	return r.behind.wait(ctx, func(*retention) bool { return true })
}

// settlePackage is Settle for one package; versionKey "" stands for all of its versions.
func (r *Resolver) settlePackage(ctx context.Context, domain int64, n packhouse.PackageName, versionKey string) error {
	return r.behind.wait(ctx, func(t *retention) bool {
		return t.domain == domain && t.name == n && (versionKey == "" || t.version == versionKey)
	})
}
