package events

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// maxAttempts and giveUpAfter bound how long a delivery is tried (reliability.md A8).
	maxAttempts = 8
	giveUpAfter = 24 * time.Hour
	// firstPause follows the first failed attempt, each further pause is four times the
	// one before: 15 s, 1 min, 4 min, ... 17 h, together 22 h 45 min.
	firstPause = 15 * time.Second
	// claim is how long nobody else sends what one process has begun to send. It is
	// longer than an attempt may take.
	claim = 20 * time.Second
	// AttemptTime bounds one attempt (reliability.md A8).
	AttemptTime = 10 * time.Second

	lookEvery   = time.Second // for changes of other processes, and for what is due again
	atOnce      = 8           // deliveries of one webhook on their way at the same time
	maxRead     = 256         // changes read at once
	maxWaiting  = 10_000      // deliveries of one webhook; beyond, changes wait in the ledger
	maxUnmoved  = 4096        // changes that a restart may read again
	maxWebhooks = 256         // that are served at the same time
	keepEnded   = 14 * 24 * time.Hour
	pruneEvery  = time.Hour
	maxPruned   = 1000
	writeTime   = 5 * time.Second // for writing outcomes while the server stops
)

// Options are what NewDispatcher needs.
type Options struct {
	Catalog *catalog.DB
	Sender  Sender
	Region  string
	Bell    *Bell
	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
}

// Dispatcher delivers events to webhooks, at least once, those of one package in one
// repository in order. Everything it knows is in the catalog: a place in the ledger per
// webhook and a row per delivery, so that a restart loses nothing and several processes
// may run one each.
type Dispatcher struct {
	o Options
}

// NewDispatcher makes a dispatcher; Run does the work.
func NewDispatcher(o Options) *Dispatcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Dispatcher{o: o}
}

// Run serves every enabled webhook, each by a goroutine of its own so that a slow
// receiver delays nobody else, until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	running := map[int64]context.CancelFunc{}
	var workers sync.WaitGroup
	defer workers.Wait()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	failing := false
	for {
		ids, err := d.enabled(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			d.o.Log.LogAttrs(ctx, slog.LevelWarn, "webhooks cannot be read", slog.Any("error", err))
		}
		failing = err != nil
		if err == nil {
			for id := range running {
				if !ids[id] {
					running[id]()
					delete(running, id)
				}
			}
			for id := range ids {
				if running[id] == nil {
					work, stop := context.WithCancel(ctx)
					running[id] = stop
					workers.Go(func() { (&worker{Options: d.o, id: id}).run(work) })
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *Dispatcher) enabled(ctx context.Context) (map[int64]bool, error) {
	ids := map[int64]bool{}
	err := d.o.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list, err := tx.EnabledWebhooks(ctx, maxWebhooks)
		for _, id := range list {
			ids[id] = true
		}
		return err
	})
	return ids, err
}

// worker serves one webhook.
type worker struct {
	Options
	id     int64
	read   int64 // the last change looked at; what lies behind the stored place was none of the webhook's business
	pruned time.Time
}

func (w *worker) run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	failing := false
	for {
		rung := w.Bell.Wait()
		busy, err := w.round(ctx)
		if ctx.Err() != nil || errors.Is(err, catalog.ErrNotFound) && !w.lives(ctx) {
			return
		}
		if err != nil && !failing {
			w.Log.LogAttrs(ctx, slog.LevelWarn, "deliveries to a webhook wait", slog.Int64("webhook", w.id), slog.Any("error", err))
		}
		failing = err != nil
		if busy && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-rung:
		case <-ticker.C:
		}
	}
}

func (w *worker) lives(ctx context.Context) bool {
	err := w.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.WebhookByID(ctx, w.id)
		return err
	})
	return !errors.Is(err, catalog.ErrNotFound)
}

// found is what one look finds to do.
type found struct {
	hook  catalog.WebhookRow
	fresh []catalog.NewDelivery // of changes not seen so far
	to    int64                 // the last of these changes
	due   bool                  // something waits that may be sent now
}

// round turns new changes into deliveries and sends what is due. It reports whether
// there may be more to do at once.
func (w *worker) round(ctx context.Context) (busy bool, err error) {
	f, more, err := w.look(ctx)
	if err != nil {
		return false, err
	}
	prune := w.Now().Sub(w.pruned) >= pruneEvery
	if len(f.fresh) == 0 && !f.due && f.to-f.hook.Seen < maxUnmoved && !prune {
		return more, nil
	}
	var claimed []catalog.DeliveryRow
	now := w.Now().UTC()
	err = w.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if len(f.fresh) > 0 || f.to-f.hook.Seen >= maxUnmoved {
			if err := tx.MoveWebhook(ctx, w.id, f.hook.Seen, f.to); err != nil {
				return err // another process was quicker, or it is gone
			}
			if err := tx.InsertDeliveries(ctx, w.id, f.fresh, now); err != nil {
				return err
			}
		}
		if prune {
			if _, err := tx.PruneDeliveries(ctx, w.id, now.Add(-keepEnded), maxPruned); err != nil {
				return err
			}
		}
		claimed, err = w.claim(ctx, tx, now)
		return err
	})
	if err != nil {
		return false, err
	}
	if prune {
		w.pruned = now
	}
	w.sendAll(ctx, &f.hook, claimed)
	return more || len(claimed) > 0, w.write(ctx, claimed)
}

// look reads on in the ledger and finds out whether anything is due.
func (w *worker) look(ctx context.Context) (f found, more bool, err error) {
	err = w.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		f, more = found{}, false
		if f.hook, err = tx.WebhookByID(ctx, w.id); err != nil {
			return err
		}
		due, err := tx.DueDeliveries(ctx, w.id, w.Now().UTC(), 1)
		if err != nil {
			return err
		}
		f.due = len(due) > 0
		f.to = max(w.read, f.hook.Seen)
		waiting, err := tx.CountWaiting(ctx, w.id)
		if err != nil || waiting >= maxWaiting {
			return err
		}
		changes, err := tx.Changes(ctx, f.to, maxRead)
		if err != nil || len(changes) == 0 {
			return err
		}
		for i := range changes {
			if c := &changes[i]; w.wants(&f.hook, c) {
				f.fresh = append(f.fresh, catalog.NewDelivery{ChangeID: c.ID, Line: line(c)})
			}
		}
		f.to = changes[len(changes)-1].ID
		more = len(changes) == maxRead
		return nil
	})
	if err == nil && len(f.fresh) == 0 {
		w.read = f.to
	}
	return f, more, err
}

func (w *worker) wants(h *catalog.WebhookRow, c *packhouse.Change) bool {
	if !Tells(c) || !Selects(&h.Filter, c) {
		return false
	}
	for _, a := range Accounts(c) {
		if a == h.Account {
			return true
		}
	}
	return false
}

// line names the package in one repository.
func line(c *packhouse.Change) string {
	return packhouse.PackageARN("", packhouse.PackageRef{Repo: packhouse.RepoRef{Domain: c.Domain, Name: c.Repo}, Package: c.Package})
}

// claim takes what is due, so that no other process sends it too while this one does.
func (w *worker) claim(ctx context.Context, tx *catalog.Tx, now time.Time) ([]catalog.DeliveryRow, error) {
	due, err := tx.DueDeliveries(ctx, w.id, now, atOnce)
	if err != nil {
		return nil, err
	}
	for i := range due {
		due[i].Next = now.Add(claim)
		if err := tx.PutDelivery(ctx, due[i]); err != nil {
			return nil, err
		}
	}
	return due, nil
}

// sendAll makes one attempt for each of the claimed deliveries, all at the same time:
// no two are of one line.
func (w *worker) sendAll(ctx context.Context, h *catalog.WebhookRow, claimed []catalog.DeliveryRow) {
	var sending sync.WaitGroup
	for i := range claimed {
		sending.Go(func() { w.attempt(ctx, h, &claimed[i]) })
	}
	sending.Wait()
}

func (w *worker) attempt(ctx context.Context, h *catalog.WebhookRow, d *catalog.DeliveryRow) {
	attemptCtx, cancel := context.WithTimeout(ctx, AttemptTime)
	defer cancel()
	out := send(attemptCtx, w.Sender, h.URL, h.Secret, Of(&d.Change, w.Region, h.Account), d.Attempts+1, w.Now())
	now := w.Now().UTC()
	if !out.Delivered && ctx.Err() != nil {
		d.Next = now // the server stops: not the receiver's failure
		return
	}
	d.Attempts++
	d.Status, d.Error = out.Status, out.Error
	pause := pauseAfter(d.Attempts)
	switch {
	case out.Delivered:
		d.State, d.Ended = packhouse.DeliveryDelivered, now
	case d.Attempts >= maxAttempts, now.Add(pause).After(d.Created.Add(giveUpAfter)):
		d.State, d.Ended = packhouse.DeliveryDead, now
		w.Log.LogAttrs(ctx, slog.LevelWarn, "delivery to a webhook given up", slog.String("webhook", h.Name), slog.Int64("delivery", d.ID),
			slog.Int("attempts", d.Attempts), slog.Int("status", d.Status))
	default:
		d.Next = now.Add(pause)
	}
}

// pauseAfter returns how long to wait after a number of failed attempts, five per cent
// more or less so that many do not come back together.
func pauseAfter(attempts int) time.Duration {
	pause := firstPause << (2 * (attempts - 1))
	return pause + time.Duration((rand.Float64()-0.5)*0.1*float64(pause)) //nolint:gosec // nobody gains by guessing a pause
}

// write keeps the outcomes, also while the server stops: else every delivery on its way
// would be repeated after the claim has run out.
func (w *worker) write(ctx context.Context, done []catalog.DeliveryRow) error {
	if len(done) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	return w.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, d := range done {
			if err := tx.PutDelivery(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
}
