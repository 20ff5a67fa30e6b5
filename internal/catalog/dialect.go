package catalog

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/packhouse/packhouse/internal/catalog/migrations"
)

// dialect is what the engines spell or say differently.
type dialect struct {
	name migrations.Dialect
	// lock adds the clause that locks the rows of a table alias until the end of the
	// transaction.
	lock func(q, alias string) string
	// branch prepares a query for a UNION ALL that is in the same order and has the same
	// limit: of each branch only as many rows are read as are needed.
	branch func(q, order, limit string) string
	// settled selects changes that come after change $1, at most $2: every change that
	// commits later comes after them.
	settled string
	// latest selects the id of the last settled change.
	latest string
	// explain turns what the driver returns into this package's sentinels where one fits.
	explain func(error) error
	// retryable reports whether the whole transaction should be run again.
	retryable func(error) bool
}

// concurrent reports whether several write transactions run at once.
func (d *dialect) concurrent() bool { return d.name == migrations.Postgres }

// maxAttempts is how often a transaction is begun (reliability.md R6).
const maxAttempts = 6

// again reports whether attempt (1, 2, ...) that failed with err should be followed by
// another, after waiting a moment with jitter.
func (d *dialect) again(ctx context.Context, attempt int, err error) bool {
	if err == nil || attempt >= maxAttempts || !d.retryable(err) {
		return false
	}
	pause := time.Duration(1+rand.IntN(4<<attempt)) * time.Millisecond //nolint:gosec // nobody gains by guessing a pause
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}
