package npm

import (
	"errors"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// remedies say, by an error's reason, what its reader can do: npm prints one sentence, so
// it has to hold the cause and the way out (user-experience.md 5).
var remedies = map[string]string{
	"invalid_token":        signInAgain,
	"expired_token":        signInAgain,
	"access_not_allowed":   askForPolicy,
	"access_denied":        askForPolicy,
	"asset_too_large":      makeSmaller,
	"body_too_large":       makeSmaller,
	"disk_low":             makeRoom,
	"disk_full":            makeRoom,
	"upstream_unreachable": tryLater,
	"upstream_broken_off":  tryLater,
	"upstream_failed":      tryLater,
	"upstream_timeout":     tryLater,
	"upstream_paused":      tryLater,
	"upstream_busy":        tryLater,
}

const (
	signInAgain  = "sign in again with npm login, packhouse login npm or aws codeartifact login --tool npm"
	askForPolicy = "ask an administrator for a policy that allows it, or use another token"
	makeSmaller  = "leave out what the package does not need; npm pack --dry-run lists its files"
	makeRoom     = "its operator has to make room; what it has can be installed as before"
	tryLater     = "try again later"
)

// withRemedy is an error's text with what can be done about it.
func withRemedy(err error) string {
	text := httpx.Message(err)
	if remedy := remedies[packhouse.ReasonOf(err)]; remedy != "" {
		text = strings.TrimSuffix(text, ".") + "; " + remedy
	}
	return text
}

// spelled gives the errors of all routes the package's name as npm spells it: the engine
// does not know how. It changes the routes it is given.
func spelled(routes []format.Route) []format.Route {
	for i := range routes {
		serve := routes[i].Serve
		routes[i].Serve = func(w http.ResponseWriter, r *format.Request) error {
			if err := serve(w, r); err != nil {
				return spelledError(err, r.Var("name"))
			}
			return nil
		}
	}
	return routes
}

// spelledError is err with npm's spelling of the package that a path names.
func spelledError(err error, full string) error {
	var e *packhouse.Error
	name, wrong := Format{}.canonicalFull(full)
	if wrong != nil || !errors.As(err, &e) || !strings.Contains(e.Message, name.String()) {
		return err
	}
	told := *e
	told.Message, told.Err = strings.ReplaceAll(e.Message, name.String(), fullName(name)), err
	return &told
}
