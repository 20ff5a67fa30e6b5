package registry

import (
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// writeError answers with an error in the format's own body, or {"message": ...}. The
// Basic challenge is what most clients need; a format that needs another one replaces
// it (codeartifact.md 3.10).
func (d *Door) writeError(w http.ResponseWriter, r *http.Request, rm *room, err error) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if packhouse.KindOf(err) == packhouse.KindUnauthenticated {
		h.Set("WWW-Authenticate", `Basic realm="packhouse"`)
	}
	httpx.SetRetryAfter(h, err)
	if rm != nil && rm.writeError != nil {
		if packhouse.ReasonOf(err) == reasonMethod {
			w = methodNotAllowed{w}
		}
		rm.writeError(w, r, err)
		return
	}
	_ = httpx.WriteJSON(w, httpx.Status(err), message{httpx.Message(err)}) // the client is gone
}

// reasonMethod marks errors about a known path and a method that it does not take.
const reasonMethod = "method_not_allowed"

// methodNotAllowed answers 405 whatever a format makes of unsupported things: with
// Allow beside it, no other status would be true.
type methodNotAllowed struct{ http.ResponseWriter }

// WriteHeader writes 405.
func (w methodNotAllowed) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusMethodNotAllowed) }

type message struct {
	Message string `json:"message"`
}

// methodWord keeps odd methods out of our messages.
func methodWord(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "that method"
}
