package codeartifact

import (
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// limit counts a call for its account and operation, or for the client's address where
// the signature was not good (codeartifact.md 2.5); row is nil for an unknown operation.
// Errors: Throttled.
func (a *API) limit(r *http.Request, row *row, who packhouse.Principal) error {
	if who.IsAnonymous() {
		return a.Rates.Address(httpx.RecordOf(r.Context()).Client)
	}
	if err := a.Rates.Account(who.Account, row != nil && row.changes); err != nil || row == nil {
		return err
	}
	return a.Rates.Operation(who.Account, row.name)
}
