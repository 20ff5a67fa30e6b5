package codeartifact

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// Caller is somebody whose credentials were checked already, for another door that calls
// operations for them.
type Caller struct {
	Principal packhouse.Principal
	// Signature identifies the signature that proved it, so that it counts for one change
	// only (reliability.md S7); zero for a token.
	Signature [32]byte
}

// Verify checks the signature of a request that is no operation itself, given its whole
// body. Errors: those of sigv4.Verifier.Verify.
func (a *API) Verify(r *http.Request, body []byte) (Caller, error) {
	res, err := a.verifier.Verify(r, body)
	return Caller{res.Principal, res.Hash}, err
}

// ServeAs answers one call for a caller who is known, exactly as ServeHTTP answers it
// once the signature is checked. body is the whole body; r.Body must yield it, too.
func (a *API) ServeAs(w http.ResponseWriter, r *http.Request, c Caller, body []byte) {
	ctx := r.Context()
	id := httpx.RequestID(ctx)
	if id == "" {
		id = uuid.NewString()
		ctx = httpx.WithRequestID(ctx, id)
	}
	w.Header().Set("X-Amzn-Requestid", id)
	row, operation := a.rows[route{r.Method, r.URL.Path}], ""
	if row != nil {
		operation = row.name
	}
	rec := httpx.RecordOf(ctx)
	rec.Op = operation
	r = r.WithContext(httpx.WithDoor(ctx, Name))
	var err error
	if a.Rates != nil {
		err = a.limit(r, row, c.Principal)
	}
	if err == nil {
		err = a.answer(w, r, row, sigv4.Result{Principal: c.Principal, Hash: c.Signature}, body)
	}
	if err != nil {
		rec.Err = err
		writeError(w, operation, err)
	}
}
