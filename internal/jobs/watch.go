package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// watchEvery is how often the quarantined blobs are counted: other processes mark and
	// release too.
	watchEvery = 30 * time.Second
	// watchReports is how many reports of reads may wait. One that finds no room is
	// dropped: the next read of the blob reports again.
	watchReports = 64
	// repairPause is how long a blob is left alone that could not be repaired.
	repairPause = time.Hour
)

// Watch marks what reads find damaged, knows how many blobs are quarantined, and repairs
// those that it can (reliability.md R15). Make one with NewWatch.
type Watch struct {
	Store
	restore func(context.Context, catalog.StoredBlob, catalog.BlobUse) error
	reports chan report
	marked  chan struct{} // somebody of this process marked or released; room for one
	counts  sync.Mutex    // one counts after the other, so that the last count stays
	count   atomic.Int64
	wake    chan struct{}       // of the repair; room for one
	tried   map[int64]time.Time // of the repair: when a blob was tried last
}

type report struct {
	object string
	cause  error
}

// NewWatch makes a watch. restore fetches the bytes of a blob from where a version got them
// and puts them in the place of what is stored if they are the same; its error tells why it
// did not. nil restores nothing.
func NewWatch(s Store, restore func(context.Context, catalog.StoredBlob, catalog.BlobUse) error) *Watch {
	return &Watch{Store: s, restore: restore, reports: make(chan report, watchReports), marked: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), tried: map[int64]time.Time{}}
}

// Report takes in what a read found, for vault.Vault.OnDamage. It never waits.
func (w *Watch) Report(r packhouse.BlobRef, cause error) {
	select {
	case w.reports <- report{r.Object, cause}:
	default:
	}
}

// Recount has the quarantined blobs counted at once, for Store.Marked. It never waits.
func (w *Watch) Recount() { ring(w.marked) }

// ring tells a channel with room for one.
func ring(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // told already
	}
}

// Quarantined returns how many blobs were quarantined when they were counted last.
func (w *Watch) Quarantined() int64 { return w.count.Load() }

// Run marks and counts until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	w.recount(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.marked:
		case r := <-w.reports:
			w.mark(ctx, r)
		}
		w.recount(ctx)
	}
}

// mark quarantines the blob that a stored object belongs to. Parts of uploads are nobody's.
func (w *Watch) mark(ctx context.Context, r report) {
	var b catalog.BlobRow
	err := w.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		b, err = tx.BlobOfObject(ctx, r.object)
		return err
	})
	if err == nil {
		_, err = w.settle(ctx, w.Catalog.Update, b, diagnose(r.cause), r.cause)
	}
	if err != nil && !errors.Is(err, catalog.ErrNotFound) && ctx.Err() == nil {
		w.Log.LogAttrs(ctx, slog.LevelWarn, "damaged bytes are not marked, the next read tells of them again", slog.Any("error", err))
	}
}

// recount counts what is quarantined, and wakes the repair when that is more than before.
func (w *Watch) recount(ctx context.Context) {
	w.counts.Lock()
	defer w.counts.Unlock()
	var n int64
	err := w.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		n, err = tx.CountQuarantined(ctx)
		return err
	})
	if err != nil {
		return // the count stays; who asks the database for more tells of its failure
	}
	if n > w.count.Swap(n) {
		ring(w.wake)
	}
}

// Repair returns the repair for a Runner: each quarantined blob is read again, and released
// if it is good; else those that came from an upstream are fetched anew.
func (w *Watch) Repair() Work {
	return Work{Name: "repair", Due: w.repairDue, Do: w.repair, Wake: w.wake}
}

func (w *Watch) repairDue(ctx context.Context) (due time.Time, err error) {
	f := catalog.BlobFilter{Quarantined: true, Limit: page}
	for {
		blobs, err := w.blobs(ctx, f)
		if err != nil {
			return due, err
		}
		for _, b := range blobs {
			if next := w.tried[b.ID].Add(repairPause); due.IsZero() || next.Before(due) {
				due = next
			}
			f.AfterID = b.ID
		}
		if len(blobs) < page {
			return due, nil
		}
	}
}

func (w *Watch) repair(ctx context.Context, l *Lease) error {
	tried := map[int64]time.Time{}
	f := catalog.BlobFilter{Quarantined: true, Limit: page}
	for {
		blobs, err := w.blobs(ctx, f)
		if err != nil {
			return err
		}
		for _, b := range blobs {
			if err := w.repairBlob(ctx, l, b); err != nil {
				return err
			}
			tried[b.ID], f.AfterID = time.Now(), b.ID
		}
		if len(blobs) < page {
			break
		}
	}
	w.tried = tried
	w.recount(ctx)
	return nil
}

func (w *Watch) repairBlob(ctx context.Context, l *Lease, b catalog.StoredBlob) error {
	problem, cause, err := w.examine(ctx, b, nil)
	if err != nil {
		return err
	}
	if problem == "" {
		_, err := w.settle(ctx, l.Update, b.BlobRow, problem, cause)
		return err
	}
	if w.restore == nil {
		return nil
	}
	uses, err := w.uses(ctx, b.ID, page)
	if err != nil {
		return err
	}
	for _, u := range uses {
		if u.Origin.Type != packhouse.OriginExternal {
			continue
		}
		err := w.restore(ctx, b, u)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			w.Log.LogAttrs(ctx, slog.LevelInfo, "damaged bytes were fetched from the upstream again", slog.String("digest", b.Digest.Hex()), slog.String("asset", u.Asset.String()))
			return nil
		}
		w.Log.LogAttrs(ctx, slog.LevelWarn, "damaged bytes could not be fetched from the upstream again", slog.String("digest", b.Digest.Hex()),
			slog.String("asset", u.Asset.String()), slog.Any("error", err))
	}
	return nil
}
