package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse/internal/httpx"
)

// health answers the server's own addresses: "/", /healthz, /readyz and /metrics.
type health struct {
	ping func(context.Context) error // of the catalog
	// degraded tells what is wrong that a person should look at, "" for nothing.
	degraded func() string
	metrics  http.Handler
	version  string
	address  func(*http.Request) string
	iam      http.Handler // answers POST /

	stopping atomic.Bool
}

// pingTimeout bounds the readiness check of the catalog.
const pingTimeout = 2 * time.Second

type healthAnswer struct {
	Status  string `json:"status"` // "ok", "ready", "not ready", "degraded"
	Reason  string `json:"reason,omitempty"`
	Version string `json:"version"`
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body := http.StatusOK, healthAnswer{Status: "ok", Version: h.version}
	switch strings.TrimLeft(httpx.RequestPath(r), "/") {
	case "metrics":
		h.metrics.ServeHTTP(w, r)
		return
	case "":
		h.greet(w, r)
		return
	case "healthz":
		if why := h.degraded(); why != "" {
			body.Status, body.Reason = "degraded", why
		}
	case "readyz":
		body.Status = "ready"
		ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
		defer cancel()
		if h.stopping.Load() {
			status, body.Status, body.Reason = http.StatusServiceUnavailable, "not ready", "the server is stopping"
		} else if err := h.ping(ctx); err != nil {
			httpx.RecordOf(r.Context()).Err = err
			status, body.Status, body.Reason = http.StatusServiceUnavailable, "not ready", "the database does not answer"
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	_ = httpx.WriteJSON(w, status, body) // the client is gone
}

// greet answers "/": three lines for a browser, JSON for programs (addresses.md 5).
func (h *health) greet(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	if r.Method == http.MethodPost {
		h.iam.ServeHTTP(w, r)
		return
	}
	rec.Door, rec.Op = "server", "root"
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, POST")
		_ = httpx.WriteJSON(w, http.StatusMethodNotAllowed, map[string]string{"message": "This address does not take that method."})
		return
	}
	w.Header().Set("Vary", "Accept")
	address := h.address(r)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// The address is one of a closed list, and the type is plain text.
		text := "Packhouse " + h.version + " serves packages here.\n" +
			"The CodeArtifact API is at " + address + "/v1/; repositories are at " + address + "/FORMAT/DOMAIN/REPOSITORY/.\n" +
			"To set up a client: packhouse login CLIENT --domain DOMAIN --repository REPOSITORY\n"
		_, _ = io.WriteString(w, text) //nolint:gosec // see above
		return
	}
	_ = httpx.WriteJSON(w, http.StatusOK, map[string]string{ // the client is gone
		"name": "packhouse", "version": h.version, "codeartifact_url": address, "health_url": address + "/healthz"})
}

// fixed answers what browsers and crawlers ask for by themselves.
func fixed(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	rec.Door, rec.Op = "server", "fixed"
	if httpx.RequestPath(r) == "/robots.txt" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
		return
	}
	_ = httpx.WriteJSON(w, http.StatusNotFound, map[string]string{"message": "There is nothing at this address."})
}

// reservedOCI tells how container clients write names here.
func reservedOCI(w http.ResponseWriter, r *http.Request) {
	httpx.RecordOf(r.Context()).Door = "server"
	_ = httpx.WriteJSON(w, http.StatusNotFound, map[string]string{
		"message": "Container images are addressed as HOST/DOMAIN/REPOSITORY/IMAGE; their API is at /v2/."})
}
