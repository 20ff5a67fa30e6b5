package codeartifact

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

// ledger is an EventService with events that are only numbers. Of webhooks it has none.
type ledger struct {
	EventService
	mu    sync.Mutex
	last  int64
	rung  chan struct{}
	query ops.EventQuery
	good  map[string]bool // tokens
}

func newLedger() *ledger {
	return &ledger{rung: make(chan struct{}), good: map[string]bool{"good": true}}
}

func (l *ledger) add(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last += n
	close(l.rung)
	l.rung = make(chan struct{})
}

func (l *ledger) wait() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rung
}

func (l *ledger) token(_ context.Context, token string) (packhouse.Principal, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.good[token] {
		return packhouse.Principal{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_token", Message: "no"}
	}
	return packhouse.Principal{ID: 1, Account: "111122223333", ARN: "arn"}, nil
}

// Events gives at most three at a time, so that pages are followed.
func (l *ledger) Events(_ context.Context, _ packhouse.Principal, q ops.EventQuery) (list []ops.PlacedEvent, next int64, more bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.query = q
	if q.Domain.Name == "denied" {
		return nil, 0, false, packhouse.Deniedf("access_denied", "no")
	}
	for next = q.After; next < l.last && len(list) < 3; {
		next++
		list = append(list, ops.PlacedEvent{Place: next, JSON: fmt.Appendf(nil, `{"n":%d}`, next)})
	}
	return list, next, next < l.last, nil
}

func (l *ledger) EventPlace(_ context.Context, _ packhouse.Principal, _ packhouse.DomainRef, since time.Time) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since.IsZero() {
		return l.last, nil
	}
	return 0, nil
}

// streams is a server of the ledger's events.
func streams(t *testing.T, l *ledger, adjust func(*EventOptions)) (*httptest.Server, *Events) {
	o := EventOptions{API: &API{Options: Options{MaxBody: defaultMaxBody}}, Service: l, Token: l.token, Wait: l.wait}
	if adjust != nil {
		adjust(&o)
	}
	e := NewEvents(o)
	srv := httptest.NewServer(e)
	t.Cleanup(srv.Close)
	t.Cleanup(e.Close) // first, else the server would wait for its streams
	return srv, e
}

// watcher reads a stream.
type watcher struct {
	t     *testing.T
	lines *bufio.Scanner
	end   context.CancelFunc
}

func watch(t *testing.T, srv *httptest.Server, query, last string) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	resp := ask(t, ctx, srv, query, last, "good")
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %v", resp.StatusCode, resp.Header)
	}
	return &watcher{t, bufio.NewScanner(resp.Body), cancel}
}

func ask(t *testing.T, ctx context.Context, srv *httptest.Server, query, last, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/events?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// next returns the next event as "id data", or "place id" for a sign of life, "end" at
// the end.
func (w *watcher) next() string {
	w.t.Helper()
	id, data := "", ""
	for w.lines.Scan() {
		switch field, value, _ := strings.Cut(w.lines.Text(), ": "); {
		case w.lines.Text() == "" && data != "":
			return id + " " + data
		case w.lines.Text() == "":
			return "place " + id
		case field == "id":
			id = value
		case field == "data":
			data = value
		}
	}
	if err := w.lines.Err(); err != nil {
		w.t.Errorf("the stream broke: %v", err)
	}
	return "end"
}

func (w *watcher) want(list ...string) {
	w.t.Helper()
	for _, want := range list {
		if got := w.next(); got != want {
			w.t.Fatalf("the stream has %q, want %q", got, want)
		}
	}
}

func TestStreamTellsFromNowOnAndResumes(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.add(2)
	srv, _ := streams(t, l, nil)
	w := watch(t, srv, "", "")
	w.want("place 2")
	l.add(1)
	w.want(`3 {"n":3}`)
	w.end()
	l.add(4)
	w = watch(t, srv, "domain=acme&repository=team", "3")
	w.want("place 3", `4 {"n":4}`, `5 {"n":5}`, `6 {"n":6}`, `7 {"n":7}`)
	l.add(1)
	w.want(`8 {"n":8}`)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.query.Domain != (packhouse.DomainRef{Owner: "111122223333", Name: "acme"}) || l.query.Repo != "team" {
		t.Errorf("asked for %+v, want the caller's own domain and the repository", l.query)
	}
}

func TestStreamEndsWhenAllIsSent(t *testing.T) {
	t.Parallel()
	l := newLedger()
	l.add(4)
	srv, _ := streams(t, l, nil)
	watch(t, srv, "follow=false&since=2026-01-31T12:00:00Z", "").want("place 0", `1 {"n":1}`, `2 {"n":2}`, `3 {"n":3}`, `4 {"n":4}`, "end")
}

func TestSilentStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	srv, _ := streams(t, newLedger(), func(o *EventOptions) { o.Heartbeat = 20 * time.Millisecond })
	watch(t, srv, "", "").want("place 0", "place 0", "place 0")
}

// S9: a stream ends once its token is no longer good, and when the server stops.
func TestStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	l := newLedger()
	srv, e := streams(t, l, nil)
	w, other := watch(t, srv, "", ""), watch(t, srv, "", "")
	w.want("place 0")
	other.want("place 0")
	l.mu.Lock()
	l.good["good"] = false
	l.mu.Unlock()
	w.want("end")
	l.mu.Lock()
	l.good["good"] = true
	l.mu.Unlock()
	w = watch(t, srv, "", "")
	w.want("place 0")
	e.Close()
	w.want("end")
}

func TestStreamsAreRefused(t *testing.T) {
	t.Parallel()
	srv, _ := streams(t, newLedger(), func(o *EventOptions) { o.Streams = 1 })
	for _, tt := range []struct {
		name, query, last, token string
		status                   int
	}{
		{"bad token", "", "", "bad", http.StatusForbidden},
		{"no right", "domain=denied", "", "good", http.StatusForbidden},
		{"unknown parameter", "topic=x", "", "good", http.StatusBadRequest},
		{"repository without domain", "repository=team", "", "good", http.StatusBadRequest},
		{"owner that is none", "domain=acme&domain-owner=x", "", "good", http.StatusBadRequest},
		{"time that is none", "since=yesterday", "", "good", http.StatusBadRequest},
		{"place that is none", "", "x", "good", http.StatusBadRequest},
		{"negative place", "", "-1", "good", http.StatusBadRequest},
		{"follow that is neither", "follow=maybe", "", "good", http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := ask(t, t.Context(), srv, tt.query, tt.last, tt.token)
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != tt.status || resp.Header.Get("X-Amzn-Errortype") == "" {
				t.Errorf("status %d, %v; want %d", resp.StatusCode, resp.Header, tt.status)
			}
		})
	}
	watch(t, srv, "", "").want("place 0")
	resp := ask(t, t.Context(), srv, "", "", "good")
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "5" {
		t.Errorf("a second stream where one is allowed: %d, Retry-After %q; want 429 and 5", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}
