package registry

import (
	"net/http"

	"github.com/packhouse/packhouse"
)

// limit counts a request: one with a good token for the token and its account, any other
// for the client's address (codeartifact.md 2.5). Errors: Throttled.
func (d *Door) limit(r *http.Request, who packhouse.Principal, client string) error {
	if who.IsAnonymous() {
		return d.Rates.Address(client)
	}
	token, _ := tokenOf(r.Header["Authorization"][0]) // authenticate has read it
	if err := d.Rates.Token(token); err != nil {
		return err
	}
	return d.Rates.Account(who.Account, changes(r.Method))
}
