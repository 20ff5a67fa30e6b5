package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// leaseLife is how long a lease outlives a process that died with it.
	leaseLife = time.Minute
	// longestWait is how long work is left alone that says that it is due later: another
	// process may have made it due since.
	longestWait = time.Hour
	// shortestWait keeps work that is always due from spinning.
	shortestWait = time.Second
	// retryWait is how long work waits that failed, or that somebody else does.
	retryWait = time.Minute
)

// ErrLost tells that the lease was taken by another process, or could not be kept.
var ErrLost = errors.New("jobs: the lease is lost")

// Work is one kind of background work.
type Work struct {
	// Name is that of its lease.
	Name string
	// Due returns when there is something to do, the zero time for not before Wake. It only
	// reads: while nothing is due, nothing is written.
	Due func(ctx context.Context) (time.Time, error)
	// Do does it, from where it was left, until it is done or ctx ends. It may end at any
	// point without notice. What it writes it writes with Lease.Update.
	Do func(ctx context.Context, l *Lease) error
	// Wake, where not nil, has Due asked at once.
	Wake <-chan struct{}
}

// Runner runs work in one process.
type Runner struct {
	catalog *catalog.DB
	log     *slog.Logger
	holder  string
	life    time.Duration // of leases
}

// NewRunner makes a runner. log may be nil.
func NewRunner(db *catalog.DB, log *slog.Logger) *Runner {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Runner{catalog: db, log: log, holder: uuid.NewString(), life: leaseLife}
}

// Run does work whenever it is due and no other process does it, until ctx ends.
func (r *Runner) Run(ctx context.Context, w Work) {
	for {
		timer := time.NewTimer(r.turn(ctx, w))
		select {
		case <-timer.C:
		case <-w.Wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// turn does the work if it is due, and returns how long to wait for the next turn.
func (r *Runner) turn(ctx context.Context, w Work) time.Duration {
	due, err := w.Due(ctx)
	if err == nil {
		wait := longestWait
		if !due.IsZero() {
			wait = min(time.Until(due), longestWait)
		}
		if wait > 0 {
			return wait
		}
		if err = r.once(ctx, w); err == nil {
			return shortestWait
		}
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, catalog.ErrExists), packhouse.ReasonOf(err) == "read_only":
	default:
		r.log.LogAttrs(ctx, slog.LevelWarn, "background work failed, it will be tried again", slog.String("work", w.Name), slog.Any("error", err))
	}
	return retryWait
}

// once does the work if its lease is free. Errors: catalog.ErrExists if it is not; ErrLost;
// those of the work.
func (r *Runner) once(ctx context.Context, w Work) error {
	l := &Lease{catalog: r.catalog}
	err := r.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		l.row, err = tx.TakeLease(ctx, w.Name, r.holder, time.Now().Add(r.life))
		return err
	})
	if err != nil {
		return err
	}
	work, stop := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { r.keep(work, l.row, stop) })
	err = w.Do(work, l)
	lost := errors.Is(context.Cause(work), ErrLost)
	stop(nil)
	keeping.Wait()
	if lost {
		return errors.Join(ErrLost, err)
	}
	// Also when the process stops: the next one need not wait for the lease to expire.
	drop, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.life)
	defer cancel()
	if dropErr := r.catalog.Update(drop, func(tx *catalog.Tx) error { return tx.DropLease(drop, l.row) }); err == nil {
		err = dropErr
	}
	return err
}

// keep makes the lease expire later, again and again, until ctx ends; it ends the work
// when that is not possible any more.
func (r *Runner) keep(ctx context.Context, l catalog.Lease, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(r.life / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		expires := time.Now().Add(r.life)
		err := r.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.KeepLease(ctx, l, expires) })
		switch {
		case err == nil:
			l.Expires = expires
		case errors.Is(err, catalog.ErrNotFound), time.Now().After(l.Expires):
			stop(ErrLost)
			return
		}
	}
}

// Lease is the right to do some work at the moment.
type Lease struct {
	catalog *catalog.DB
	row     catalog.Lease
}

// Update is catalog.DB.Update for as long as the lease is held: a process that lost it
// without noticing writes nothing any more. Errors: ErrLost; as there.
func (l *Lease) Update(ctx context.Context, fn func(tx *catalog.Tx) error) error {
	return l.catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.HoldLease(ctx, l.row); errors.Is(err, catalog.ErrNotFound) {
			return ErrLost
		} else if err != nil {
			return err
		}
		return fn(tx)
	})
}
