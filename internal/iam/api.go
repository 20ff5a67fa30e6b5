package iam

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// Name is the door's name in logs and in the ledger.
const Name = "iam"

const (
	// maxBody bounds the form of a call, in bytes, maxParameters its members.
	maxBody       = 64 << 10
	maxParameters = 500

	// globalRegion is what clients sign IAM calls with, wherever they are.
	globalRegion = "us-east-1"
)

// Identity finds signing keys and seals page tokens. *identity.Service is one.
type Identity interface {
	// AccessKey returns the key behind an access key id; ok is false for none.
	AccessKey(ctx context.Context, id, sessionToken string) (key sigv4.Key, ok bool, err error)
	// Used notes that a key was used for a service.
	Used(id, service string)
	// UserID returns the identifier of a principal.
	UserID(ctx context.Context, who packhouse.Principal) (string, error)
	// SealPage makes a page token that only the same principal and query can open.
	SealPage(who packhouse.Principal, query, cursor string) string
	// OpenPage opens what SealPage made. Errors: Invalid "invalid_page_token".
	OpenPage(who packhouse.Principal, query, token string) (cursor string, err error)
}

// Options are what New needs; every field is required unless it says otherwise.
type Options struct {
	Service  *ops.Service
	Identity Identity
	Replays  sigv4.Replays
	Region   string
	// Secure reports whether a request came over TLS; nil means r.TLS != nil.
	Secure func(*http.Request) bool
	Now    func() time.Time // nil means time.Now
	Log    *slog.Logger     // nil means slog.Default()
}

// API answers POST /. It is safe for concurrent use.
type API struct {
	Options
	rows map[string]*operation
}

// New makes the door.
func New(o Options) *API {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &API{Options: o, rows: map[string]*operation{}}
	for _, op := range operations() {
		a.rows[op.name] = &op
	}
	return a
}

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	rec := httpx.RecordOf(ctx)
	rec.Door = Name
	id := httpx.RequestID(ctx)
	if id == "" { // served without an edge in front
		id = uuid.NewString()
		ctx = httpx.WithRequestID(ctx, id)
	}
	w.Header().Set("X-Amzn-Requestid", id)
	row, out, err := a.serve(r.WithContext(httpx.WithDoor(ctx, Name)), rec)
	if err != nil {
		rec.Err = err
		writeError(w, row, id, err)
		return
	}
	writeAnswer(w, row, id, out)
}

// serve keeps the order of codeartifact.md 1.2: signature, then parse and constraints;
// authorisation, existence and state are the engine's.
func (a *API) serve(r *http.Request, rec *httpx.Record) (*operation, any, error) {
	body, err := httpx.ReadAll(r.Body, maxBody)
	if packhouse.KindOf(err) == packhouse.KindTooLarge {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, &packhouse.Error{Kind: packhouse.KindInvalid, Reason: reasonParse,
			Message: "The body ended before all of it was read.", Err: err}
	}
	form, malformed := parseForm(string(body))
	row := a.rows[form["Action"]]
	if row != nil {
		rec.Op = row.name
	}
	c := &call{api: a, row: row}
	var signed sigv4.Result
	if row == nil || !row.unsigned {
		if signed, err = a.authenticate(r, row, body); err != nil {
			return row, nil, err
		}
		c.who = signed.Principal
		rec.Principal = c.who.ARN
	}
	switch {
	case malformed != nil:
		return row, nil, malformed
	case row == nil, form["Version"] != "" && form["Version"] != row.service.version:
		return row, nil, &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "unknown_operation",
			Message: "Could not find operation " + shown(form["Action"]) + " for version " + shown(form["Version"])}
	}
	in := reflect.New(row.input)
	if err := decode(form, in.Elem()); err != nil {
		return row, nil, err
	}
	var out any
	run := func() (err error) {
		out, err = row.run(r.Context(), c, in.Interface())
		return err
	}
	if row.changes {
		err = sigv4.Once(r.Context(), a.Replays, signed.Hash, a.Now(), a.Log, run)
	} else {
		err = run()
	}
	return row, out, err
}

// authenticate verifies the signature, for unknown actions (row is nil) too. IAM calls
// are signed for us-east-1 by tools that know one IAM only.
func (a *API) authenticate(r *http.Request, row *operation, body []byte) (sigv4.Result, error) {
	scope := r.Header.Get("Authorization")
	service := iamService
	if row != nil {
		service = row.service
	} else if strings.Contains(scope, "/"+stsService.name+"/") {
		service = stsService
	}
	region := a.Region
	if service == iamService && strings.Contains(scope, "/"+globalRegion+"/"+iamService.name+"/") {
		region = globalRegion
	}
	v := sigv4.Verifier{Region: region, Service: service.name, Now: a.Now, Secure: a.Secure,
		Lookup: func(r *http.Request, id, sessionToken string) (sigv4.Key, bool, error) {
			return a.Identity.AccessKey(r.Context(), id, sessionToken)
		}}
	res, err := v.Verify(r, body)
	if err == nil {
		a.Identity.Used(res.KeyID, service.name)
	}
	return res, err
}

// call is one authenticated call; a row's function gets it beside its input.
type call struct {
	api *API
	row *operation
	who packhouse.Principal
}

// ref names an identity of the caller's account.
func (c *call) ref(kind packhouse.PrincipalKind, name string) packhouse.IdentityRef {
	return packhouse.IdentityRef{Account: c.who.Account, Kind: kind, Name: name}
}

// at names an identity that is to be made; "" is the root path.
func (c *call) at(kind packhouse.PrincipalKind, path, name string) packhouse.IdentityRef {
	ref := c.ref(kind, name)
	ref.Path = path
	return ref
}

// user is the user that a call names, or the caller itself where it names none.
func (c *call) user(name string) (packhouse.IdentityRef, error) {
	if name == "" {
		if c.who.Kind != packhouse.KindUser {
			return packhouse.IdentityRef{}, packhouse.Invalidf(reasonConstraint, "Must specify userName when calling with non-User credentials")
		}
		name = c.who.Name
	}
	return c.ref(packhouse.KindUser, name), nil
}
