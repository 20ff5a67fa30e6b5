package codeartifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
)

// EventService is the part of the engine that the events' address calls. *ops.Service is
// one.
type EventService interface {
	Events(ctx context.Context, who packhouse.Principal, q ops.EventQuery) (list []ops.PlacedEvent, next int64, more bool, err error)
	EventPlace(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, since time.Time) (int64, error)
	webhookService
}

// EventOptions are what NewEvents needs; every field is required unless it says
// otherwise.
type EventOptions struct {
	// API is whose signatures are good.
	API     *API
	Service EventService
	// Token returns the principal behind a bearer token. Errors: Unauthenticated.
	Token func(ctx context.Context, token string) (packhouse.Principal, error)
	// Wait returns a channel that is closed when there may be something new; it is taken
	// before looking.
	Wait func() <-chan struct{}
	// Streams bounds the streams that are open at the same time; 0 means 64.
	Streams int
	// Heartbeat is how often a silent stream shows that it lives; 0 means 15 s.
	Heartbeat time.Duration
}

// Events serves /events: the stream of events, and the webhooks below it. It is safe for
// concurrent use.
type Events struct {
	EventOptions
	open   atomic.Int64
	closed chan struct{} // closed by Close
	once   sync.Once
}

const (
	defaultStreams   = 64
	defaultHeartbeat = 15 * time.Second
	// lookEvery is how often a stream looks for what other processes changed, restEvery
	// how long it rests between two looks, whatever happens.
	lookEvery = time.Second
	restEvery = 50 * time.Millisecond
)

// NewEvents makes the handler.
func NewEvents(o EventOptions) *Events {
	if o.Streams == 0 {
		o.Streams = defaultStreams
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	return &Events{EventOptions: o, closed: make(chan struct{})}
}

// Close ends all streams, so that a server can stop. Clients come back and go on where
// they were.
func (e *Events) Close() { e.once.Do(func() { close(e.closed) }) }

// Open returns how many streams are open.
func (e *Events) Open() int64 { return e.open.Load() }

// ServeHTTP answers one request.
func (e *Events) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	rec.Door = Name
	w.Header().Set("X-Amzn-Requestid", httpx.RequestID(r.Context()))
	w.Header().Set("Cache-Control", "no-store")
	r = r.WithContext(httpx.WithDoor(r.Context(), Name))
	if err := e.serve(w, r, rec); err != nil {
		rec.Err = err
		writeError(w, "", err)
	}
}

func (e *Events) serve(w http.ResponseWriter, r *http.Request, rec *httpx.Record) error {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/events")
	rec.Op = e.operation(r.Method, path) // of who is not known, too
	c, err := e.API.caller(r, e.Token)
	if err != nil {
		return err
	}
	rec.Principal = c.who.ARN
	switch {
	case path == "" && r.Method == http.MethodGet:
		return e.stream(w, r, c)
	case strings.HasPrefix(path, "/webhooks"):
		return e.webhooks(w, r, c, strings.TrimPrefix(path, "/webhooks"))
	}
	return unknownAddress()
}

// operation names what a method asks for at a path below /events, "" for nothing.
func (e *Events) operation(method, path string) string {
	switch method + " " + path {
	case "GET ":
		return "StreamEvents"
	case "GET /webhooks":
		return "ListWebhooks"
	case "POST /webhooks":
		return "CreateWebhook"
	}
	rest, found := strings.CutPrefix(path, "/webhooks/")
	if !found {
		return ""
	}
	_, verb, _ := strings.Cut(rest, "/")
	_, op, _ := e.webhookVerb(method, verb)
	return op
}

// tail is a stream that was asked for.
type tail struct {
	ops.EventQuery
	follow bool
}

// stream sends events as server-sent events: "id" is the place to resume from, "data" the
// event's JSON. It reads the ledger no faster than the client takes what it sends, so
// nothing is kept in memory for a slow one, and one that takes nothing is cut off by the
// server's time for that.
func (e *Events) stream(w http.ResponseWriter, r *http.Request, c requester) error {
	ctx := r.Context()
	if e.open.Add(1) > int64(e.Streams) {
		e.open.Add(-1)
		return &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "too_many_streams", RetryAfter: 5 * time.Second,
			Message: fmt.Sprintf("There are %d streams of events open; no more are allowed at the same time.", e.Streams)}
	}
	defer e.open.Add(-1)
	t, err := e.begin(r, c)
	if err != nil {
		return err
	}
	// What decides access is asked before the first byte, so that a refusal has a status.
	rung := e.Wait()
	list, next, more, err := e.Service.Events(ctx, c.who, t.EventQuery)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // proxies hold answers back otherwise
	w.WriteHeader(http.StatusOK)
	s := sender{w: w, control: http.NewResponseController(w)}
	s.place(t.After)
	beat := time.NewTicker(e.Heartbeat)
	defer beat.Stop()
	for {
		s.events(list)
		t.After = next
		if s.flush() != nil || !more && !t.follow {
			return nil // the client is gone, or has all
		}
		if !more && !e.rest(ctx, rung, beat.C, &s, next) {
			return nil
		}
		if c.current(ctx) != nil {
			return nil // the client comes back, and gets the reason
		}
		rung = e.Wait()
		if list, next, more, err = e.Service.Events(ctx, c.who, t.EventQuery); err != nil {
			return nil //nolint:nilerr // as above: the answer has begun
		}
	}
}

// rest waits until there may be something new, with a sign of life meanwhile. It reports
// false when the stream is to end.
func (e *Events) rest(ctx context.Context, rung <-chan struct{}, beat <-chan time.Time, s *sender, place int64) bool {
	pause := time.NewTimer(restEvery)
	defer pause.Stop()
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	var after <-chan struct{} // rung, once the pause is over
	for {
		select {
		case <-ctx.Done():
			return false
		case <-e.closed:
			return false
		case <-pause.C:
			after = rung
		case <-after:
			return true
		case <-look.C:
			return true
		case <-beat:
			s.place(place)
			if s.flush() != nil {
				return false
			}
		}
	}
}

// begin reads what is asked for, and finds the place to begin at: behind Last-Event-ID,
// at a time, or now.
func (e *Events) begin(r *http.Request, c requester) (t tail, err error) {
	q := r.URL.Query()
	for name := range q {
		switch name {
		case "domain", "domain-owner", "repository", "since", "follow":
		default:
			if !strings.HasPrefix(name, "X-Amz-") { // of a signature in the address
				return t, invalidMember("%q is not known; allowed: domain, domain-owner, repository, since, follow", name)
			}
		}
	}
	t.Domain = packhouse.DomainRef{Name: q.Get("domain")}
	if t.Domain.Name != "" {
		t.Domain.Owner = packhouse.AccountID(q.Get("domain-owner"))
		if t.Domain.Owner == "" {
			t.Domain.Owner = c.who.Account
		} else if !packhouse.ValidAccountID(string(t.Domain.Owner)) {
			return t, invalidMember("domain-owner %q is not an account of 12 digits", t.Domain.Owner)
		}
	}
	t.Repo = q.Get("repository")
	if t.Repo != "" && t.Domain.Name == "" {
		return t, invalidMember("repository needs domain")
	}
	switch q.Get("follow") {
	case "", "true":
		t.follow = true
	case "false":
	default:
		return t, invalidMember("follow is true or false")
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		t.After, err = strconv.ParseInt(last, 10, 64)
		if err != nil || t.After < 0 {
			return t, invalidMember("Last-Event-ID %q is not the id of an event", last)
		}
		return t, nil
	}
	if since := q.Get("since"); since != "" {
		if t.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return t, invalidMember("since %q is not a time; write 2026-01-31T12:00:00Z", since)
		}
	}
	t.After, err = e.Service.EventPlace(r.Context(), c.who, t.Domain, t.Since)
	return t, err
}

// sender writes server-sent events. The first error stays.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

// place is a sign of life, a comment, and tells where to go on from without an event.
func (s *sender) place(at int64) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, ":\nid: %d\n\n", at)
	}
}

func (s *sender) events(list []ops.PlacedEvent) {
	for _, ev := range list {
		if s.err != nil {
			return
		}
		_, s.err = fmt.Fprintf(s.w, "id: %d\nevent: change\ndata: %s\n\n", ev.Place, ev.JSON)
	}
}

func (s *sender) flush() error {
	if s.err == nil {
		if s.err = s.control.Flush(); errors.Is(s.err, http.ErrNotSupported) {
			s.err = nil
		}
	}
	return s.err
}

// pathName decodes one segment of a path.
func pathName(escaped string) (string, error) {
	name, err := url.PathUnescape(escaped)
	if err != nil || name == "" || strings.Contains(escaped, "/") {
		return "", unknownAddress()
	}
	return name, nil
}
