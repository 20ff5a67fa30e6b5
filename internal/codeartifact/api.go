package codeartifact

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/limits"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// Name is the door's name in logs and in the ledger.
const Name = "codeartifact"

// defaultMaxBody bounds the JSON body of an operation, in bytes (reliability.md A8).
const defaultMaxBody = 1 << 20

// Service is the part of the engine that this door calls, family by family.
// *ops.Service is one.
type Service interface {
	domainService
	repositoryService
	accessService
	policyService
	packageService
	groupService
	versionService
	assetService
	batchService
	tagService
}

// Identity finds signing keys and seals page tokens. *identity.Service is one.
type Identity interface {
	// AccessKey returns the key behind an access key id; ok is false for none.
	AccessKey(ctx context.Context, id, sessionToken string) (key sigv4.Key, ok bool, err error)
	// Used notes that a key was used for a service.
	Used(id, service string)
	// SealPage makes a page token that only the same principal and query can open.
	SealPage(who packhouse.Principal, query, cursor string) string
	// OpenPage opens what SealPage made. Errors: Invalid "invalid_page_token".
	OpenPage(who packhouse.Principal, query, token string) (cursor string, err error)
}

// Options are what New needs; every field is required unless it says otherwise.
type Options struct {
	Service  Service
	Identity Identity
	Replays  sigv4.Replays
	Region   string
	// Formats are the values of PackageFormat that requests may name, the formats of
	// the public service first, whether or not a room serves them yet.
	Formats []packhouse.FormatID
	// Address returns the scheme and authority that a request came in on, for
	// GetRepositoryEndpoint.
	Address func(*http.Request) string
	// Secure reports whether a request came over TLS; nil means r.TLS != nil.
	Secure func(*http.Request) bool
	// MaxBody bounds the JSON body of an operation, in bytes; 0 means 1 MiB.
	MaxBody int64
	Rates   *limits.Limiter  // nil limits nothing
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil means slog.Default()
}

// API serves the paths below /v1/. It is safe for concurrent use.
type API struct {
	Options
	verifier sigv4.Verifier
	rows     map[route]*row
}

// route is what a request is matched by: there are no path parameters.
type route struct{ method, path string }

// New makes the door.
func New(o Options) *API {
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &API{
		Options: o,
		verifier: sigv4.Verifier{
			Region:  o.Region,
			Service: "codeartifact",
			Now:     o.Now,
			Secure:  o.Secure,
			Lookup: func(r *http.Request, id, sessionToken string) (sigv4.Key, bool, error) {
				return o.Identity.AccessKey(r.Context(), id, sessionToken)
			},
		},
	}
	table, shapes := operations(), newShapes(o.Formats)
	a.rows = make(map[route]*row, len(table))
	for _, op := range table {
		a.rows[route{op.method, op.path}] = newRow(op, shapes)
	}
	return a
}

// ServeHTTP answers one call.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// An old container client asks for this path; it must not see our errors
	// (addresses.md 5).
	path := r.URL.EscapedPath()
	if r.Method == http.MethodGet && path == "/v1/search" {
		http.NotFound(w, r)
		return
	}
	ctx := r.Context()
	rec := httpx.RecordOf(ctx)
	id := httpx.RequestID(ctx)
	if id == "" { // served without an edge in front
		id = uuid.NewString()
		ctx = httpx.WithRequestID(ctx, id)
	}
	w.Header().Set("X-Amzn-Requestid", id)
	rec.Door = Name

	row := a.rows[route{r.Method, path}]
	operation := ""
	if row != nil {
		operation = row.name
		rec.Op = operation
	}
	if err := a.serve(w, r.WithContext(httpx.WithDoor(ctx, Name)), row); err != nil {
		rec.Err = err
		writeError(w, operation, err)
	}
}

// serve keeps the order of codeartifact.md 1.2: signature, then parse and constraints;
// authorisation, existence and state are the engine's.
func (a *API) serve(w http.ResponseWriter, r *http.Request, row *row) error {
	signed, body, err := a.authenticate(r, row)
	if a.Rates != nil {
		if lerr := a.limit(r, row, signed.Principal); lerr != nil {
			return lerr
		}
	}
	if err != nil {
		return err
	}
	return a.answer(w, r, row, signed, body)
}

// answer is serve for a caller who is known.
func (a *API) answer(w http.ResponseWriter, r *http.Request, row *row, signed sigv4.Result, body []byte) (err error) {
	rec := httpx.RecordOf(r.Context())
	rec.Principal = signed.Principal.ARN
	a.Identity.Used(signed.KeyID, Name)
	if row == nil {
		return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "unknown_operation",
			Message: "There is no operation with this method and path."}
	}
	c := &call{api: a, row: row, who: signed.Principal, request: r}
	in := reflect.New(row.input)
	if c.query, err = row.plan().decode(r, body, in.Elem()); err != nil {
		return err
	}
	rec.Domain, rec.Repo, rec.Format = c.query.get("domain"), c.query.get("repository"), c.query.get("format")
	rec.Version = c.query.get("version")
	var out any
	run := func() (err error) {
		out, err = row.run(r.Context(), c, in.Interface())
		return err
	}
	if row.changes && signed.Hash != [32]byte{} { // tokens may be used again, signatures may not
		err = a.once(r.Context(), signed.Hash, run)
	} else {
		err = run()
	}
	if err != nil {
		return err
	}
	return respond(w, r, out)
}

// call is one authenticated, decoded call; a row's function gets it beside its input.
type call struct {
	api     *API
	row     *row
	who     packhouse.Principal
	request *http.Request
	query   queryValues
}

// domain returns the domain that a call names; without an owner it is the caller's.
func (c *call) domain(m domainMembers) packhouse.DomainRef {
	return packhouse.DomainRef{Owner: c.owner(m.DomainOwner), Name: m.Domain}
}

func (c *call) owner(named string) packhouse.AccountID {
	if named == "" {
		return c.who.Account
	}
	return packhouse.AccountID(named)
}

func (c *call) repository(m repositoryMembers) packhouse.RepoRef {
	return packhouse.RepoRef{Domain: c.domain(m.domainMembers), Name: m.Repository}
}

// packageRef returns the package in its canonical name.
func (c *call) packageRef(m packageMembers) (packhouse.PackageRef, error) {
	name, err := c.api.Service.CanonicalPackage(packhouse.FormatID(m.Format), m.Namespace, m.Package)
	if err != nil {
		return packhouse.PackageRef{}, err
	}
	return packhouse.PackageRef{Repo: c.repository(m.repositoryMembers), Package: name}, nil
}

func (c *call) versionRef(m versionMembers) (packhouse.VersionRef, error) {
	pkg, err := c.packageRef(m.packageMembers)
	if err != nil {
		return packhouse.VersionRef{}, err
	}
	return pkg.At(m.PackageVersion), nil
}
