package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/httpx"
)

// edge is what every request passes, in this order: a record for the log, panic
// containment, the table of first segments, the closed list of addresses, limits, the
// door. It answers no redirect and uses no mux, because those clean paths.
type edge struct {
	addresses *addresses
	rows      map[string]Row
	doors     map[Owner]http.Handler
	limits    config.Limits
	metrics   *metrics
	log       *slog.Logger
	panics    panicCount
	audit     *auditor // nil records nothing
	noSpace   func()   // called after a request that found the disk full; nil for nothing

	busyWrites func() error // refuses what carries a package; nil for never

	requests, writes chan struct{} // slots
}

func newEdge(a *addresses, doors map[Owner]http.Handler, l config.Limits, m *metrics, log *slog.Logger) *edge {
	e := &edge{addresses: a, doors: doors, limits: l, metrics: m, log: log, rows: map[string]Row{},
		requests: make(chan struct{}, l.Requests), writes: make(chan struct{}, l.Writes)}
	for _, row := range Segments() {
		e.rows[row.Segment] = row
	}
	return e
}

// ServeHTTP answers one request and tells of it once.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := &httpx.Record{RequestID: e.requestID(r), Client: e.addresses.client(r), Secure: e.addresses.secure(r)}
	h := w.Header()
	h["X-Request-Id"] = []string{rec.RequestID}
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// Should somebody before us have gone by a length, or HTTP/1.0 by chunks, what
		// follows is no request (reliability.md S4).
		h["Connection"] = []string{"close"}
	}
	out := &answer{ResponseWriter: w}
	// The server's own request keeps its own body: net/http must recognise it to end a
	// refused upload at once instead of waiting for more of it.
	r = r.WithContext(httpx.WithRecord(r.Context(), rec))
	if hasBody(r) {
		out.body = newPacedBody(w, r.Body, e.limits)
		r.Body = out.body
	}

	e.metrics.inFlight.Inc()
	defer func() {
		e.metrics.inFlight.Dec()
		failure := recover()
		aborted := false
		switch failure {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			aborted = e.contain(out, r, rec, failure)
		}
		e.tell(r, rec, out, time.Since(began), aborted)
		e.countReset(r)
		if aborted {
			panic(http.ErrAbortHandler)
		}
	}()
	e.dispatch(out, r, rec)
}

// dispatch finds who answers (addresses.md 5).
func (e *edge) dispatch(w *answer, r *http.Request, rec *httpx.Record) {
	if r.Method == http.MethodTrace || r.Method == http.MethodConnect {
		e.refuse(w, rec, http.StatusMethodNotAllowed, "This server does not take that method.")
		return
	}
	if c := connOf(r.Context()); c != nil && c.beyond {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close")
		e.refuse(w, rec, http.StatusTooManyRequests, "Your address has too many connections open; use fewer, or keep them and send more requests on each.")
		return
	}
	if e.manyHeaders(r.Header) {
		e.refuse(w, rec, http.StatusRequestHeaderFieldsTooLarge, "The request has too many headers.")
		return
	}
	segment, _, deeper := strings.Cut(strings.TrimLeft(httpx.RequestPath(r), "/"), "/")
	row, known := e.rows[segment]
	if known && row.Owner == OwnerServer && segment != "" && !deeper {
		rec.Door, rec.Op = "server", segment
		e.answerWith(row, w, r, rec)
		return
	}
	at, ok := e.addresses.find(r)
	if !ok {
		e.refuse(w, rec, http.StatusMisdirectedRequest,
			"This server does not know itself by that host name; set public_url (--public-url) to the address that clients use.")
		return
	}
	if !known || at.Domain.Name != "" && row.Owner != OwnerRegistry && row.Owner != OwnerPages || segment != "" && row.Owner == OwnerServer {
		e.refuse(w, rec, http.StatusNotFound, "There is nothing at this address.")
		return
	}
	if !take(e.requests) {
		w.Header().Set("Retry-After", "1")
		e.refuse(w, rec, http.StatusServiceUnavailable, "The server has too many requests at the moment.")
		return
	}
	defer release(e.requests)
	if carriesPackage(row, r) {
		if e.busyWrites != nil && e.busyWrites() != nil {
			w.Header().Set("Retry-After", "5")
			e.refuse(w, rec, http.StatusServiceUnavailable, "The server is short of memory and takes in no packages at the moment.")
			return
		}
		if !take(e.writes) {
			w.Header().Set("Retry-After", "1")
			e.refuse(w, rec, http.StatusServiceUnavailable, "The server takes in too many packages at the moment.")
			return
		}
		defer release(e.writes)
	}
	e.answerWith(row, w, r, rec)
}

// manyHeaders counts the header lines of a request beside Host; how long they are is
// net/http's to check (reliability.md A8).
func (e *edge) manyHeaders(h http.Header) bool {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	return n > e.limits.Headers
}

// countReset closes a connection whose client keeps cancelling what it asks for
// (reliability.md A8, CVE-2023-39325). Streams that are cancelled before they begin are
// net/http's to count.
func (e *edge) countReset(r *http.Request) {
	if r.ProtoMajor != 2 || r.Context().Err() == nil {
		return
	}
	if c := connOf(r.Context()); c != nil && c.resets.tooMany(time.Now(), e.limits.StreamResets) {
		_ = c.Close() // closing is what was wanted
	}
}

func (e *edge) answerWith(row Row, w *answer, r *http.Request, rec *httpx.Record) {
	if row.Methods != nil && !slices.Contains(row.Methods, r.Method) {
		w.Header().Set("Allow", strings.Join(row.Methods, ", "))
		e.refuse(w, rec, http.StatusMethodNotAllowed, "This address does not take that method.")
		return
	}
	door := e.doors[row.Owner]
	if door == nil {
		e.refuse(w, rec, http.StatusNotFound, "There is nothing at this address yet.")
		return
	}
	door.ServeHTTP(w, r)
}

// carriesPackage reports requests whose body may be a package: they have slots of their
// own, so that uploads cannot starve reads.
func carriesPackage(row Row, r *http.Request) bool {
	return hasBody(r) &&
		(row.Owner == OwnerRegistry || row.Owner == OwnerCodeArtifact && r.ContentLength > 1<<20)
}

// hasBody reports whether something follows the headers. HTTP/2 gives every request a
// body, so that only its length tells.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func release(slots chan struct{}) { <-slots }

// refuse answers what no door is asked about.
func (e *edge) refuse(w http.ResponseWriter, rec *httpx.Record, status int, text string) {
	if rec.Door == "" {
		rec.Door = "server"
	}
	_ = httpx.WriteJSON(w, status, map[string]string{"message": text}) // the client is gone
}

// requestID makes a request's id; one that a trusted proxy sent is kept.
func (e *edge) requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 && e.addresses.fromProxy(r) && plainID(id) {
		return id
	}
	return uuid.NewString()
}

func plainID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// contain turns a panic into a 500, or into a broken connection when the answer has
// begun (reliability.md S50). It reports which.
func (e *edge) contain(w *answer, r *http.Request, rec *httpx.Record, failure any) (aborted bool) {
	e.metrics.panics.Inc()
	// The value may hold what the client sent, so only its type is told.
	e.log.LogAttrs(r.Context(), slog.LevelError, "request handler panicked",
		slog.String("request_id", rec.RequestID), slog.String("door", rec.Door), slog.String("op", rec.Op),
		slog.String("kind", panicKind(failure)), slog.String("stack", string(debug.Stack())))
	if e.panics.alarming(rec.Door+" "+rec.Op, time.Now()) {
		e.log.LogAttrs(r.Context(), slog.LevelError, "a route panics repeatedly, please report it",
			slog.String("door", rec.Door), slog.String("op", rec.Op))
	}
	rec.Err = errors.New("panic")
	if w.status != 0 {
		return true
	}
	e.refuse(w, rec, http.StatusInternalServerError, "internal error")
	return false
}

func panicKind(failure any) string {
	if err, ok := failure.(interface{ RuntimeError() }); ok {
		return err.(error).Error()
	}
	return "panic"
}

// panicCount notices three panics of one route within a minute.
type panicCount struct {
	mu   sync.Mutex
	last map[string][3]time.Time
}

func (p *panicCount) alarming(route string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[string][3]time.Time{}
	}
	t := p.last[route]
	t[0], t[1], t[2] = t[1], t[2], now
	p.last[route] = t
	return !t[0].IsZero() && now.Sub(t[0]) < time.Minute
}

// tell writes the access log's line and counts.
func (e *edge) tell(r *http.Request, rec *httpx.Record, w *answer, took time.Duration, aborted bool) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	if aborted {
		status = 499 // the answer was cut off; nobody saw a clean end
	}
	e.metrics.request(rec, status, took)
	e.audit.tell(r, rec, status)
	if e.noSpace != nil && packhouse.ReasonOf(rec.Err) == "disk_full" {
		e.noSpace()
	}
	level := slog.LevelInfo
	switch {
	case rec.Door == "server" && status < 400:
		level = slog.LevelDebug // probes and scrapes
	case status == http.StatusInternalServerError:
		level = slog.LevelError
	case status >= 500:
		level = slog.LevelWarn
	}
	ctx := context.WithoutCancel(r.Context())
	if !e.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 18)
	attrs = append(attrs,
		slog.String("request_id", rec.RequestID),
		slog.String("client", rec.Client),
		slog.String("method", logMethod(r.Method)),
		slog.String("path", logPath(httpx.RequestPath(r))),
		slog.Int("status", status),
		slog.Int64("bytes", w.bytes),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000))
	for _, a := range [...]struct{ key, value string }{{"door", rec.Door}, {"op", rec.Op}, {"principal", rec.Principal},
		{"domain", rec.Domain}, {"repo", rec.Repo}, {"format", rec.Format}} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	if rec.Err != nil {
		attrs = append(attrs, slog.String("kind", packhouse.KindOf(rec.Err).String()),
			slog.String("reason", packhouse.ReasonOf(rec.Err)), slog.String("error", rec.Err.Error()))
	}
	e.log.LogAttrs(ctx, level, "request", attrs...)
}
