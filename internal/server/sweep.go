package server

import (
	"context"
	"log/slog"
	"time"
)

// sweepEvery is how often staging is swept after the start (reliability.md R11).
const sweepEvery = time.Hour

// sweep removes uploads that have expired and what those of dead processes left in staging, once the server answers
// and then every hour until ctx ends.
func (s *Server) sweep(ctx context.Context) {
	once := func(ctx context.Context) {
		s.engine.SweepUploads(ctx)
		n, err := s.store.Blobs.SweepStaging(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "staging not swept to its end", slog.Int("files", n), slog.Any("error", err))
		case n > 0:
			s.log.LogAttrs(ctx, slog.LevelInfo, "unfinished uploads of earlier processes removed", slog.Int("files", n))
		}
	}
	once(ctx)
	every(ctx, sweepEvery, once)
}
