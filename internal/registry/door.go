package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/limits"
)

// Name is the door's name in the ledger and in logs.
const Name = "registry"

// Identity finds out whose token a request carries. *identity.Service is one.
type Identity interface {
	// Token returns the principal behind a bearer token. Errors: Unauthenticated
	// "invalid_token" or "expired_token".
	Token(ctx context.Context, token string) (packhouse.Principal, error)
	// ProveSecondFactor compares a one-time code with what who still owes, and returns
	// who with the outcome in its scope. Errors: Throttled.
	ProveSecondFactor(ctx context.Context, who packhouse.Principal, code, client string) (packhouse.Principal, error)
}

// Address is the address that a request came in on.
type Address struct {
	// Base is scheme and authority: "https://packages.example.com".
	Base string
	// Domain is set on a domain host, which serves that domain only.
	Domain packhouse.DomainRef
}

// Options are what New needs.
type Options struct {
	Formats []format.Format
	// ServiceIDs are formats that the public service has. Below their addresses a
	// format without a room answers 404, after authentication.
	ServiceIDs []packhouse.FormatID
	House      format.House
	Identity   Identity
	// Account owns the domains of the short form.
	Account packhouse.AccountID
	// Address returns the address that a request came in on.
	Address func(*http.Request) Address
	// PerPrincipal bounds the requests of one identity at the same time; 0 means 128
	// (reliability.md A8).
	PerPrincipal int
	Rates        *limits.Limiter // nil limits nothing
	Log          *slog.Logger    // nil discards
}

// Door serves the paths whose first segment is a format. It is safe for concurrent use.
type Door struct {
	Options
	rooms map[string]*room
	busy  *gauge
}

// room is a format with its routes.
type room struct {
	format format.Format
	id     string
	routes httpx.Router[*format.Route]
	// writeError is the format's own, nil without one.
	writeError func(http.ResponseWriter, *http.Request, error)
	// hosted is what paths of the shape that hostedSegment begins lack before them, nil
	// where the format has no such addresses.
	hosted []string
	// oneTimeCode reads the code of a second factor, nil where clients send none.
	oneTimeCode func(*http.Request) string
}

// New mounts the formats. Errors: a mistake in a format's route table, such as two
// rows that answer the same requests.
func New(o Options) (*Door, error) {
	if o.PerPrincipal == 0 {
		o.PerPrincipal = 128
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{Options: o, rooms: map[string]*room{}, busy: newGauge(o.PerPrincipal)}
	for _, f := range o.Formats {
		r := &room{format: f, id: string(f.Spec().ID)}
		if d.rooms[r.id] != nil {
			return nil, fmt.Errorf("two formats are called %q", r.id)
		}
		routes := f.Routes(o.House)
		for i := range routes {
			rt := &routes[i]
			if err := r.routes.Add(rt.Methods, rt.Pattern, rt); err != nil {
				return nil, fmt.Errorf("format %s, route %s: %w", r.id, rt.Name, err)
			}
		}
		if ew, ok := f.(format.ErrorWriter); ok {
			r.writeError = ew.WriteError
		}
		if c, ok := f.(format.OneTimeCodes); ok {
			r.oneTimeCode = c.OneTimeCode
		}
		if h, ok := f.(format.Hosted); ok {
			r.hosted = h.HostedPath()
		}
		d.rooms[r.id] = r
	}
	for _, id := range o.ServiceIDs {
		if d.rooms[string(id)] == nil {
			d.rooms[string(id)] = &room{id: string(id)}
		}
	}
	return d, nil
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	rec.Door = Name
	segs, err := httpx.SplitPath(httpx.RequestPath(r))
	rm := d.room(segs)
	switch {
	case err != nil:
		rm = d.roomOfBadPath(httpx.RequestPath(r))
	case rm == nil && isHosted(segs):
		err = packhouse.NotFoundf("path", "", "There is nothing at this address yet.")
	default:
		err = d.serve(w, r, rec, rm, segs)
	}
	if err != nil {
		rec.Err = err
		d.writeError(w, r, rm, err)
	}
}

// serve finds out who asks, and for what, in this order: a stranger learns nothing of
// what exists.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, rec *httpx.Record, rm *room, segs []httpx.Segment) error {
	who, authErr := d.authenticate(r)
	if packhouse.KindOf(authErr) != packhouse.KindUnauthenticated && authErr != nil {
		return authErr
	}
	if d.Rates != nil {
		if err := d.limit(r, who, rec.Client); err != nil {
			return err
		}
	}
	rec.Principal = who.ARN
	var m httpx.Match[*format.Route]
	var allow []string
	var known bool
	at, found := place{}, false
	if rm != nil && rm.format != nil {
		rec.Format = rm.id
		if isHosted(segs) {
			at, found = locateHosted(d.Address(r), d.Account, segs, rm.hosted)
		} else {
			at, found = locate(d.Address(r), d.Account, segs)
		}
		if found {
			m, allow, known = rm.routes.Find(r.Method, at.rest)
		}
	}
	anonymous := known && (m.Value.Anonymous || m.Value.Linked && isLinked(r))
	switch {
	case authErr != nil && !anonymous:
		return authErr
	case who.IsAnonymous() && !anonymous:
		return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "missing_token",
			Message: "Sign in first: this repository needs a token."}
	case rm == nil || rm.format == nil:
		return packhouse.NotFoundf("path", "", "This server has no packages of that format yet.")
	case !found && isHosted(segs):
		return packhouse.NotFoundf("path", "", "An address of this shape begins /%s/packages/DOMAIN.REPOSITORY/%s/.", hostedSegment, rm.id)
	case !found:
		return packhouse.NotFoundf("path", "", "An address of a repository has the form /%s/DOMAIN/REPOSITORY/.", rm.id)
	case !known && len(allow) > 0:
		w.Header().Set("Allow", strings.Join(allow, ", "))
		return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: reasonMethod,
			Message: "This address does not take " + methodWord(r.Method) + "."}
	case !known:
		return packhouse.NotFoundf("path", "", "There is nothing at this address.")
	}

	if !who.IsAnonymous() {
		if !d.busy.enter(who.ID) {
			return &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "too_many_requests", RetryAfter: time.Second,
				Message: "Too many requests of this identity at the same time."}
		}
		defer d.busy.leave(who.ID)
	}
	if who.Scope.SecondFactor == packhouse.FactorOwed && rm.oneTimeCode != nil && changes(r.Method) {
		if who, authErr = d.Identity.ProveSecondFactor(r.Context(), who, rm.oneTimeCode(r), rec.Client); authErr != nil {
			return authErr
		}
	}
	rec.Op, rec.Domain, rec.Repo = m.Value.Name, at.repo.Domain.Name, at.repo.Name
	return m.Value.Serve(w, &format.Request{
		Request: r,
		Who:     who,
		Repo:    at.repo,
		Base:    at.base,
		Vars:    m.Vars(),
		Door:    Name,
		Issued:  time.Now().UTC(),
	})
}

// isLinked reports whether a request has a signed link in the place of credentials.
func isLinked(r *http.Request) bool {
	return len(r.Header["Authorization"]) == 0 && r.URL.RawQuery != "" && r.URL.Query().Has("sig")
}

// changes reports whether a request may change something. Clients send their code with
// reads too, and a code is good only once.
func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// place is a repository and what follows it in a path.
type place struct {
	repo packhouse.RepoRef
	base string
	rest []httpx.Segment
}

// locate reads the repository out of a path whose first segment is a format, in the
// three forms of addresses.md 2. Nothing is decided by what exists.
func locate(a Address, account packhouse.AccountID, segs []httpx.Segment) (place, bool) {
	var p place
	used := 0
	switch {
	case a.Domain.Name != "":
		if len(segs) < 2 {
			return place{}, false
		}
		p.repo.Domain, used = a.Domain, 2
	case len(segs) >= 4 && segs[1].Text == "d":
		domain, ok := packhouse.ParseDomainLabel(segs[2].Text)
		if !ok {
			return place{}, false
		}
		p.repo.Domain, used = domain, 4
	case len(segs) >= 3 && segs[1].Text != "d":
		domain, ok := packhouse.ParseDomainLabel(segs[1].Text)
		if !ok {
			domain = packhouse.DomainRef{Owner: account, Name: segs[1].Text}
		}
		p.repo.Domain, used = domain, 3
	default:
		return place{}, false
	}
	for _, s := range segs[:used] {
		if s.HasSlash || s.Text == "" {
			return place{}, false
		}
	}
	p.repo.Name = segs[used-1].Text
	p.rest = segs[used:]
	if len(p.rest) == 1 && p.rest[0].Text == "" {
		p.rest = nil // the base, with its trailing slash
	}
	p.base = baseURL(a.Base, segs[:used])
	return p, true
}

// baseURL repeats the form of the request, in one spelling: clients attach credentials
// by path prefix and kept documents are per base.
func baseURL(base string, segs []httpx.Segment) string {
	n := len(base) + 1
	for _, s := range segs {
		n += len(s.Text) + 1
	}
	var b strings.Builder
	b.Grow(n)
	b.WriteString(base)
	for _, s := range segs {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s.Text))
	}
	b.WriteByte('/')
	return b.String()
}
