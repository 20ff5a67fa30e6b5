package server

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/packhouse/packhouse/internal/jobs"
)

// startSample is how many stored blobs are looked at after a start (reliability.md R17).
const startSample = 100

// watchBytes has the reads of stored bytes watched, and shows what is found.
func (s *Server) watchBytes(m *metrics) {
	s.watch = jobs.NewWatch(s.store.jobs(s.log), s.resolver.Restore)
	s.store.Vault.OnDamage(s.watch.Report)
	m.shows("packhouse_blobs_quarantined", "Stored blobs that are damaged or gone.", func() float64 { return float64(s.watch.Quarantined()) })
	s.health.degraded = s.degraded
}

// runJobs looks after stored bytes until ctx ends.
func (s *Server) runJobs(ctx context.Context) {
	runner := jobs.NewRunner(s.store.Catalog, s.log)
	stored := s.store.jobs(s.log)
	stored.Marked = s.watch.Recount
	var running sync.WaitGroup
	running.Go(func() { s.watch.Run(ctx) })
	running.Go(func() { runner.Run(ctx, s.watch.Repair()) })
	running.Go(func() {
		stored.Sample(ctx, startSample)
		if c := s.config.Scrub; c.Rate > 0 {
			scrub := &jobs.Scrub{Store: stored, Cycle: c.Cycle, Rate: int64(c.Rate)}
			runner.Run(ctx, scrub.Work())
		}
	})
	running.Wait()
}

// degraded tells what is wrong that a person should look at, "" for nothing.
func (s *Server) degraded() string {
	var why []string
	if text := s.disk.degraded(); text != "" {
		why = append(why, text)
	}
	if n := s.watch.Quarantined(); n > 0 {
		why = append(why, fmt.Sprintf("the stored bytes of %d file(s) are damaged; `packhouse verify` names the packages", n))
	}
	return strings.Join(why, "; ")
}
