package catalog

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// sweepEvery and sweepAtMost bound the work of forgetting expired signatures.
	sweepEvery  = time.Second
	sweepAtMost = 1000
)

// sweeper says when expired rows are to be removed: now and then, by whoever passes.
type sweeper struct{ next atomic.Int64 } // micros

// due reports whether it is the caller's turn.
func (s *sweeper) due(now time.Time) bool {
	next := s.next.Load()
	return micros(now) >= next && s.next.CompareAndSwap(next, micros(now.Add(sweepEvery)))
}

// RememberSignature stores the hash of a state-changing request's signature. Errors:
// ErrExists when it is known and not expired (reliability.md S7).
func (tx *Tx) RememberSignature(ctx context.Context, hash []byte, expires time.Time) error {
	const sweep = `DELETE FROM replays WHERE hash IN (SELECT hash FROM replays WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	const q = `INSERT INTO replays (hash, expires_at) VALUES ($1, $2)
		ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE replays.expires_at <= $3`
	now := tx.db.now()
	if tx.db.replays.due(now) {
		if _, err := tx.exec(ctx, sweep, micros(now), sweepAtMost); err != nil {
			return err
		}
	}
	n, err := tx.exec(ctx, q, hash, micros(expires), micros(now))
	if err == nil && n == 0 {
		return ErrExists
	}
	return err
}

// ForgetSignature gives a signature back, so that its request may be sent again; one
// that is not remembered is no error.
func (tx *Tx) ForgetSignature(ctx context.Context, hash []byte) error {
	const q = `DELETE FROM replays WHERE hash = $1`
	_, err := tx.exec(ctx, q, hash)
	return err
}
