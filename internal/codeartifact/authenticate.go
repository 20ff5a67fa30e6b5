package codeartifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// maxAsset bounds the body that is read, hashed and dropped to find out who signed it,
// in bytes (reliability.md A8).
const maxAsset = 5 << 30

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

// once is sigv4.Once with the door's memory.
func (a *API) once(ctx context.Context, hash [32]byte, change func() error) error {
	return sigv4.Once(ctx, a.Replays, hash, a.Now(), a.Log, change)
}
