package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/packhouse/packhouse/internal/catalog"
)

// Scrub reads all stored bytes, one pass per cycle, and marks those that are damaged
// (reliability.md R16).
type Scrub struct {
	Store
	// Cycle is the time from the beginning of one pass to that of the next.
	Cycle time.Duration
	// Rate bounds what is read, in bytes per second. It must be above 0.
	Rate int64

	saved time.Duration // 0 means scrubSaved
}

const (
	scrubName = "scrub"
	// scrubSaved is how often the place of a pass is kept: what is read between two is what
	// a killed process has read for nothing.
	scrubSaved = 5 * time.Second
	// scrubObject is what opening an object counts for, in bytes, so that many small ones
	// do not keep the disk busy either.
	scrubObject = 16 << 10
	// scrubBurst is how much may be read at once; more than one read and one opening.
	scrubBurst = 256 << 10
	// scrubFailures is after how many blobs in a row that cannot be read a pass is left,
	// to go on later: it is not the blobs that fail.
	scrubFailures = 10
)

// Work returns the scrub for a Runner.
func (s *Scrub) Work() Work { return Work{Name: scrubName, Due: s.due, Do: s.run} }

func (s *Scrub) pass(ctx context.Context) (p catalog.PassRow, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = tx.Pass(ctx, scrubName)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return catalog.PassRow{Name: scrubName}, nil
	}
	return p, err
}

// due returns when the pass that is next, or under way, is due.
func (s *Scrub) due(ctx context.Context) (time.Time, error) {
	p, err := s.pass(ctx)
	if err != nil || p.Ended.IsZero() {
		return time.Now(), err
	}
	return p.Begun.Add(s.Cycle), nil
}

// run goes on with the pass that is under way, or begins one if it is due.
func (s *Scrub) run(ctx context.Context, l *Lease) error {
	p, err := s.pass(ctx)
	if err != nil {
		return err
	}
	switch {
	case p.Begun.IsZero(), !p.Ended.IsZero() && time.Since(p.Begun) >= s.Cycle:
		p = catalog.PassRow{Name: scrubName, Begun: time.Now()}
	case !p.Ended.IsZero():
		return nil // another process was quicker
	}
	save := func() error {
		return l.Update(ctx, func(tx *catalog.Tx) error { return tx.PutPass(ctx, p) })
	}
	limiter := rate.NewLimiter(rate.Limit(s.Rate), scrubBurst)
	paced := func(n int) error { return limiter.WaitN(ctx, n) }
	saved, failures, problems := time.Now(), 0, 0
	for {
		blobs, err := s.blobs(ctx, catalog.BlobFilter{AfterID: p.Place, Limit: page})
		if err != nil {
			return err
		}
		for _, b := range blobs {
			if err := paced(scrubObject); err != nil {
				return err
			}
			problem, cause, err := s.examine(ctx, b, paced)
			if err != nil {
				return err
			}
			if failures++; problem != Unreadable {
				failures = 0
			}
			if failures == scrubFailures {
				return fmt.Errorf("%d stored blobs in a row cannot be read: %w", failures, cause)
			}
			if problem != "" {
				problems++
			}
			if _, err := s.settle(ctx, l.Update, b.BlobRow, problem, cause); err != nil {
				return err
			}
			p.Place = b.ID
			if time.Since(saved) >= cmp.Or(s.saved, scrubSaved) {
				if err := save(); err != nil {
					return err
				}
				saved = time.Now()
			}
		}
		if len(blobs) < page {
			break
		}
	}
	p.Ended = time.Now()
	if err := save(); err != nil {
		return err
	}
	if p.Place == 0 {
		return nil // nothing is stored: a new server need not tell
	}
	s.Log.LogAttrs(ctx, slog.LevelInfo, "all stored bytes were read", slog.Int("problems", problems), slog.Time("begun", p.Begun))
	return nil
}
