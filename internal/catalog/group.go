package catalog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
)

// A group is bounded so that its first member does not wait for long.
const (
	maxGroup     = 64
	maxGroupTime = 10 * time.Millisecond
	groupQueue   = 64
)

// group is SQLite's one writer: a goroutine that runs the closures that wait, one
// after the other, in one transaction, and commits them with one sync. Each has a
// savepoint, except where nothing is in the transaction that a failure could take along.
type group struct {
	db       *DB
	session  *session
	onCommit func([]packhouse.Change)
	maxTime  time.Duration // a group that has run for longer takes no more members
	queue    chan *update  // closed by close, after the last sender has left
	ended    chan struct{} // closed by the writer when it has emptied the queue

	// The state of the transaction, the writer's own.
	members []*update
	kept    int // members whose writes are in the transaction
	changes []packhouse.Change
	lost    error // why the whole transaction is gone
}

// update is one waiting closure.
type update struct {
	ctx  context.Context // the caller's, for skipping a closure that nobody waits for
	fn   func(*Tx) error
	once atomic.Bool // set by who takes it: the writer to run it, its caller to leave

	done   chan struct{} // closed by the writer when the outcome is set
	err    error
	panics *closurePanic
	exited bool // the closure ended its goroutine (runtime.Goexit)
}

// closurePanic carries a panic from the writer to the caller whose closure it was.
type closurePanic struct {
	value any
	stack []byte
}

func (p *closurePanic) String() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

func newGroup(db *DB, s *session, onCommit func([]packhouse.Change)) *group {
	g := &group{db: db, session: s, onCommit: onCommit, maxTime: maxGroupTime,
		queue: make(chan *update, groupQueue), ended: make(chan struct{})}
	go g.write()
	return g
}

// close waits for the writer. No update may be on its way.
func (g *group) close() {
	close(g.queue)
	<-g.ended
}

// update hands fn to the writer and waits for its outcome.
func (g *group) update(ctx context.Context, fn func(*Tx) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case g.queue <- u:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-u.done:
	case <-ctx.Done():
		if u.once.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-u.done // it is running: only its outcome is the truth
	}
	switch {
	case u.panics != nil:
		panic(u.panics)
	case u.exited:
		runtime.Goexit()
	}
	return u.err
}

// write is the writer goroutine.
func (g *group) write() {
	orderly := false
	defer func() {
		if !orderly {
			// A closure ended this goroutine, as t.FailNow does. Its group goes on, and
			// so does another writer.
			g.commit()
			go g.write()
		}
	}()
	for first := range g.queue {
		g.begin(first)
		g.gather(first)
		g.commit()
	}
	orderly = true
	close(g.ended)
}

func (g *group) begin(first *update) {
	g.members, g.changes, g.kept, g.lost = nil, nil, 0, nil
	for attempt := 1; ; attempt++ {
		err := g.session.command("BEGIN IMMEDIATE")
		if err == nil {
			return
		}
		if !g.db.dialect.again(first.ctx, attempt, err) {
			g.lost = busy(fmt.Errorf("begin: %w", err))
			return
		}
	}
}

// gather runs first and whoever waits behind it.
func (g *group) gather(first *update) {
	start := time.Now()
	for u := first; ; {
		if u.once.CompareAndSwap(false, true) {
			g.members = append(g.members, u)
			g.apply(u)
		}
		if g.lost != nil || len(g.members) >= maxGroup || time.Since(start) > g.maxTime {
			return
		}
		select {
		case next, ok := <-g.queue:
			if !ok {
				return
			}
			u = next
		default:
			return
		}
	}
}

// apply runs one closure. What it wrote stays only if it returns nil.
func (g *group) apply(u *update) {
	if g.lost != nil {
		return
	}
	if u.err = u.ctx.Err(); u.err != nil {
		return
	}
	if g.kept > 0 {
		if err := g.session.command("SAVEPOINT member"); err != nil {
			g.lost = fmt.Errorf("savepoint: %w", err)
			return
		}
	}
	tx := &Tx{db: g.db, run: g.session}
	kept := false
	u.exited = true
	defer func() {
		// Runs after a return, a panic and a runtime.Goexit alike.
		if v := recover(); v != nil {
			u.panics, u.exited = &closurePanic{v, debug.Stack()}, false
		}
		tx.end()
		if !kept {
			g.undo(u)
		}
	}()
	u.err = u.fn(tx)
	u.exited = false
	if u.err == nil {
		u.err = tx.finish(u.ctx)
	}
	if u.err != nil {
		return
	}
	if g.kept > 0 {
		if err := g.session.command("RELEASE member"); err != nil {
			u.err = fmt.Errorf("release: %w", err)
			return
		}
	}
	kept = true
	g.kept++
	g.changes = append(g.changes, tx.changes...)
}

// undo takes back one member. Some errors (disk full, I/O) make SQLite undo the whole
// transaction by itself: then there is nothing left to undo and all members must know.
func (g *group) undo(u *update) {
	steps := []string{"ROLLBACK TO member", "RELEASE member"}
	if g.kept == 0 {
		steps = []string{"ROLLBACK", "BEGIN IMMEDIATE"}
	}
	for _, q := range steps {
		if err := g.session.command(q); err != nil {
			g.lost = errors.Join(u.err, fmt.Errorf("undo one member: %w", err))
			return
		}
	}
}

// commit makes the group durable and answers every member. If that fails nothing is
// acknowledged.
func (g *group) commit() {
	err := g.lost
	if err == nil {
		if err = g.session.command("COMMIT"); err != nil {
			err = fmt.Errorf("%w: %w", ErrInDoubt, g.db.dialect.explain(err))
		}
	}
	if err != nil {
		// Fails where the engine has undone the transaction already.
		_ = g.session.command("ROLLBACK")
	} else if len(g.changes) > 0 {
		g.onCommit(g.changes)
	}
	for _, u := range g.members {
		if u.err == nil {
			u.err = err
		}
		close(u.done)
	}
	g.members, g.changes = nil, nil
}
