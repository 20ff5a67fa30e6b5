package identity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// noteUsesEvery is how often uses of access keys are written down, all in one
	// transaction: a request waits for no write.
	noteUsesEvery = time.Minute
	maxUses       = cacheEntries
)

// uses are the last uses of access keys that are not written down yet.
type uses struct {
	mu   sync.Mutex
	last map[string]use // by access key id
}

type use struct {
	at      time.Time
	service string
}

// Used notes that a request with a good signature of an access key was made to a
// service. It costs a map access. Temporary keys leave no trace.
func (s *Service) Used(id, service string) {
	if !isAccessKeyID(id) {
		return
	}
	s.used.mu.Lock()
	defer s.used.mu.Unlock()
	if _, known := s.used.last[id]; known || len(s.used.last) < maxUses {
		s.used.last[id] = use{s.now().UTC(), service}
	}
}

// LastUse returns a use that is not written down yet; ok is false for none.
func (s *Service) LastUse(id string) (at time.Time, service string, ok bool) {
	s.used.mu.Lock()
	defer s.used.mu.Unlock()
	last, ok := s.used.last[id]
	return last.at, last.service, ok
}

// noteUses writes the uses down. What cannot be written is forgotten: a date that is a
// minute old is no loss.
func (s *Service) noteUses(ctx context.Context) {
	s.used.mu.Lock()
	last := s.used.last
	s.used.last = map[string]use{}
	s.used.mu.Unlock()
	if len(last) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxStale)
	defer cancel()
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		for id, u := range last {
			if err := tx.AccessKeyUsed(ctx, id, u.service, u.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelDebug, "uses of access keys not written down", slog.Any("error", err))
	}
}
