package codeartifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// maxAsset bounds the body that is read, hashed and dropped to find out who signed it,
// in bytes (reliability.md A8).
const maxAsset = 5 << 30

// replayMemory is how long a signature is remembered: twice the clock skew that sigv4
// accepts, and a margin (reliability.md S7).
const replayMemory = 10*time.Minute + 30*time.Second

// forgetTimeout bounds taking a signature back after its call failed.
const forgetTimeout = 5 * time.Second

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

// authenticate verifies the signature, for unknown operations (row is nil) too. It
// returns the body, except for operations that stream theirs: r.Body then yields it and
// fails at its end if it is not what was signed.
//
// A publish whose declared hash does not match the signature is read and dropped to
// find out who sent it. Nothing of it can be stored: the body is not the declared one,
// which the verifier refuses, or nothing was declared, which the decoder refuses.
func (a *API) authenticate(r *http.Request, row *row) (sigv4.Result, []byte, error) {
	if row != nil && row.plan().stream != nil {
		res, _, err := a.verifier.VerifyStream(r, func() (string, error) { return hashAndDrop(r.Body) })
		return res, nil, err
	}
	body, err := httpx.ReadAll(r.Body, a.MaxBody)
	if packhouse.KindOf(err) == packhouse.KindTooLarge {
		return sigv4.Result{}, nil, err
	}
	if err != nil {
		return sigv4.Result{}, nil, incomplete(err)
	}
	res, err := a.verifier.Verify(r, body)
	return res, body, err
}

// hashAndDrop returns the SHA-256 of a body, in hex. Nothing is kept: until the caller
// is known there is no right to store, and plain bytes never touch the disk.
func hashAndDrop(body io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(body, maxAsset+1))
	if err != nil {
		return "", incomplete(err)
	}
	if n > maxAsset {
		return "", &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "body_too_large", Message: "The asset is larger than 5 GiB."}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func incomplete(err error) error {
	return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: "body_incomplete",
		Message: "The body ended before all of it was read.", Err: err}
}

// once runs a change unless its signature was used already (reliability.md S7). The
// signature is taken before the change begins, by a unique insert, and given back when
// it fails.
func (a *API) once(ctx context.Context, hash [32]byte, change func() error) error {
	fresh, err := a.Replays.Remember(ctx, hash, a.Now().Add(replayMemory))
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
		if ferr := a.Replays.Forget(ctx, hash); ferr != nil {
			a.Log.WarnContext(ctx, "signature of a failed call not given back, its exact retry will be refused", "error", ferr)
		}
		return err
	}
	return nil
}
