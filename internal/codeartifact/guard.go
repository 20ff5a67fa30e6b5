package codeartifact

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
)

// GuardService is the part of the engine that Guard calls. *ops.Service is one.
type GuardService interface {
	Cooldowns(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) ([]ops.RepositoryCooldown, error)
	Withheld(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, named string) ([]format.Withheld, error)
	Blocks(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) ([]packhouse.BlockEntry, error)
	CreateBlock(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, target, reason string) (packhouse.BlockEntry, error)
	DeleteBlock(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, target string) error
}

// Guard serves /guard, what keeps versions from being shown:
//
//	GET    /cooldowns    ?domain=                        the cooldowns of repositories
//	GET    /withheld     ?domain=&repository=&package=   which versions are held back, and why
//
//	GET    /blocks       ?domain=                        what is blocked
//	POST   /blocks       ?domain=                        block {"target", "reason"}
//	DELETE /blocks       ?domain=&target=                release
//
// Everything takes domain-owner, which is the caller's account where it is not given.
type Guard struct {
	API     *API // whose signatures are good
	Service GuardService
	// Token returns the principal behind a bearer token. Errors: Unauthenticated.
	Token func(ctx context.Context, token string) (packhouse.Principal, error)
}

// ServeHTTP answers one request.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	rec.Door = Name
	w.Header().Set("X-Amzn-Requestid", httpx.RequestID(r.Context()))
	w.Header().Set("Cache-Control", "no-store")
	r = r.WithContext(httpx.WithDoor(r.Context(), Name))
	if err := g.serve(w, r, rec); err != nil {
		rec.Err = err
		writeError(w, "", err)
	}
}

// guardOperations names what a method asks for at a path below /guard.
var guardOperations = map[string]string{"GET /cooldowns": "ListCooldowns", "GET /withheld": "ListWithheldVersions",
	"GET /blocks": "ListBlocks", "POST /blocks": "CreateBlock", "DELETE /blocks": "DeleteBlock"}

func (g *Guard) serve(w http.ResponseWriter, r *http.Request, rec *httpx.Record) error {
	rec.Op = guardOperations[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/guard")] // of who is not known, too
	c, err := g.API.caller(r, g.Token)
	if err != nil {
		return err
	}
	rec.Principal = c.who.ARN
	switch rec.Op {
	case "ListCooldowns":
		return g.cooldowns(w, r, c)
	case "ListWithheldVersions":
		return g.withheld(w, r, c)
	case "ListBlocks":
		return g.blocks(w, r, c)
	case "CreateBlock":
		return g.change(r, c, func() error { return g.createBlock(w, r, c) })
	case "DeleteBlock":
		return g.change(r, c, func() error { return g.deleteBlock(w, r, c) })
	}
	return unknownAddress()
}

// change runs something that a signature may ask for once (reliability.md S7).
func (g *Guard) change(r *http.Request, c requester, run func() error) error {
	if c.hash == [32]byte{} {
		return run()
	}
	return g.API.once(r.Context(), c.hash, run)
}

// guardedDomain is the domain that a query names.
func guardedDomain(q url.Values, who packhouse.Principal) (packhouse.DomainRef, error) {
	d := packhouse.DomainRef{Owner: packhouse.AccountID(q.Get("domain-owner")), Name: q.Get("domain")}
	if d.Name == "" {
		return d, invalidMember("domain is missing")
	}
	if d.Owner == "" {
		d.Owner = who.Account
	} else if !packhouse.ValidAccountID(string(d.Owner)) {
		return d, invalidMember("domain-owner %q is not an account of 12 digits", d.Owner)
	}
	return d, nil
}

// CooldownJSON is a repository's cooldown on the wire.
type CooldownJSON struct {
	Repository  string   `json:"repository"`
	Connections []string `json:"externalConnections"`
	Age         string   `json:"age"`
	Own         bool     `json:"own"` // else the server's setting holds
	Allow       string   `json:"allow,omitempty"`
}

func (g *Guard) cooldowns(w http.ResponseWriter, r *http.Request, c requester) error {
	d, err := guardedDomain(r.URL.Query(), c.who)
	if err != nil {
		return err
	}
	list, err := g.Service.Cooldowns(r.Context(), c.who, d)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"cooldowns": each(list, func(x ops.RepositoryCooldown) CooldownJSON {
		return CooldownJSON{Repository: x.Repository, Connections: append([]string{}, x.Connections...), Age: x.Age.String(), Own: x.Own, Allow: x.Allow}
	})})
}

// WithheldJSON is a version that is held back on the wire.
type WithheldJSON struct {
	Version string `json:"version"`
	Reason  string `json:"reason"`
	Why     string `json:"why"` // goes on behind the version
}

func (g *Guard) withheld(w http.ResponseWriter, r *http.Request, c requester) error {
	q := r.URL.Query()
	d, err := guardedDomain(q, c.who)
	if err != nil {
		return err
	}
	list, err := g.Service.Withheld(r.Context(), c.who, packhouse.RepoRef{Domain: d, Name: q.Get("repository")}, q.Get("package"))
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"versions": each(list, func(h format.Withheld) WithheldJSON { return WithheldJSON(h) })})
}

// BlockJSON is a block on the wire.
type BlockJSON struct {
	Target    string     `json:"target"`
	Reason    string     `json:"reason,omitempty"`
	Principal string     `json:"principal,omitempty"`
	Created   *time.Time `json:"createdTime,omitempty"`
}

func describeBlock(b packhouse.BlockEntry) BlockJSON {
	return BlockJSON{Target: b.Target, Reason: b.Reason, Principal: b.Principal, Created: &b.Created}
}

func (g *Guard) blocks(w http.ResponseWriter, r *http.Request, c requester) error {
	d, err := guardedDomain(r.URL.Query(), c.who)
	if err != nil {
		return err
	}
	list, err := g.Service.Blocks(r.Context(), c.who, d)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"blocks": each(list, describeBlock)})
}

func (g *Guard) createBlock(w http.ResponseWriter, r *http.Request, c requester) error {
	d, err := guardedDomain(r.URL.Query(), c.who)
	if err != nil {
		return err
	}
	var in struct {
		Target string `json:"target"`
		Reason string `json:"reason"`
	}
	dec := json.NewDecoder(bytes.NewReader(c.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: reasonParse, Err: err, Message: "The body is not a JSON object with target and reason."}
	}
	b, err := g.Service.CreateBlock(r.Context(), c.who, d, in.Target, in.Reason)
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, describeBlock(b))
}

func (g *Guard) deleteBlock(w http.ResponseWriter, r *http.Request, c requester) error {
	q := r.URL.Query()
	d, err := guardedDomain(q, c.who)
	if err != nil {
		return err
	}
	if err := g.Service.DeleteBlock(r.Context(), c.who, d, q.Get("target")); err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, struct{}{})
}
