package sigv4

import (
	"context"
	"log/slog"
	"time"

	"github.com/packhouse/packhouse"
)

const (
	// replayMemory is how long a signature is remembered: twice the clock skew that is
	// accepted, and a margin (reliability.md S7).
	replayMemory = 2*MaxSkew + 30*time.Second
	// forgetTimeout bounds taking a signature back after its call failed.
	forgetTimeout = 5 * time.Second
)

// Replays remembers the signatures of calls that changed something, for all processes
// of an installation.
type Replays interface {
	// Remember stores hash until expires and reports whether it was unknown. It is one
	// unique insert: of two concurrent callers one gets true.
	Remember(ctx context.Context, hash [32]byte, expires time.Time) (fresh bool, err error)
	// Forget drops hash, so that an honest client may retry a call that failed. An
	// absent one is no error.
	Forget(ctx context.Context, hash [32]byte) error
}

// Once runs a change unless its signature was used already (reliability.md S7). The
// signature is taken before the change begins, by a unique insert, and given back when
// it fails. Errors: Throttled "signature_used"; those of change and of memory.
func Once(ctx context.Context, memory Replays, hash [32]byte, now time.Time, log *slog.Logger, change func() error) error {
	fresh, err := memory.Remember(ctx, hash, now.Add(replayMemory))
	if err != nil {
		return err
	}
	if !fresh {
		// Signatures count in whole seconds, so two honest calls that ask for the same
		// within one second look like a replay (the AWS CLI from a script). Clients
		// answer throttling by signing anew, and then get what is so by then.
		return &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "signature_used", RetryAfter: time.Second,
			Message: "This signed request was used already; sign it again."}
	}
	if err := change(); err != nil {
		// The client may be gone already, and it is then that it retries.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
		defer cancel()
		if ferr := memory.Forget(ctx, hash); ferr != nil {
			log.WarnContext(ctx, "signature of a failed call not given back, its exact retry will be refused", "error", ferr)
		}
		return err
	}
	return nil
}
