package registry_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/registry"
)

// hostedBox is a box with addresses of the shape /api/packages/{owner}/box/.
type hostedBox struct{ box }

func (hostedBox) HostedPath() []string { return []string{"-"} }

func (b hostedBox) Routes(h format.House) []format.Route {
	routes := b.box.Routes(h)
	return append(routes, format.Route{Name: "file", Methods: []string{"GET", "PUT"}, Pattern: "/-/{name}/{path...}", Action: "x:Read", Serve: routes[0].Serve})
}

// unhosted is a box of another name without such addresses.
type unhosted struct{ box }

func (unhosted) Spec() format.Spec { return format.Spec{ID: "crate"} }

// generic.md 1, addresses.md 5: an owner is DOMAIN.REPOSITORY, and what is below is what
// the routes answer behind the format's own beginning.
func TestHostedAddresses(t *testing.T) {
	host := packhouse.DomainRef{Owner: "123456789012", Name: "acme"}
	for _, tt := range []struct {
		name, path string
		domainHost bool
		repo, base string // repo "" means 404
		owner      packhouse.AccountID
	}{
		{name: "a repository", path: "/api/packages/acme.team/box/f/1/a", repo: "acme/team", owner: "000000000000", base: "http://h/box/d/acme-000000000000/team/"},
		{name: "a repository with dots", path: "/api/packages/acme.a.b/box/f/1/a", repo: "acme/a.b", owner: "000000000000", base: "http://h/box/d/acme-000000000000/a.b/"},
		{name: "a domain of another account", path: "/api/packages/acme-123456789012.team/box/f/1/a", repo: "acme/team", owner: "123456789012", base: "http://h/box/d/acme-123456789012/team/"},
		{name: "an owner without a repository", path: "/api/packages/acme/box/f/1/a"},
		{name: "an owner without a domain", path: "/api/packages/.team/box/f/1/a"},
		{name: "an owner with an encoded slash", path: "/api/packages/acme.te%2fam/box/f/1/a"},
		{name: "a domain host has none", path: "/api/packages/acme.team/box/f/1/a", domainHost: true},
		{name: "a format without them", path: "/api/packages/acme.team/crate/f"},
		{name: "another word for packages", path: "/api/v1/acme.team/box/f/1/a"},
		{name: "nothing behind the owner", path: "/api/packages/acme.team"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := registry.Address{Base: "http://h"}
			if tt.domainHost {
				at.Domain = host
			}
			d, err := registry.New(registry.Options{Formats: []format.Format{hostedBox{}, unhosted{}}, Account: "000000000000",
				Identity: tokens{"good": {ID: 1, Name: "dana"}}, Address: func(*http.Request) registry.Address { return at }})
			if err != nil {
				t.Fatal(err)
			}
			w := ask(d, "PUT", tt.path, "Bearer good")
			if tt.repo == "" {
				if w.Code != http.StatusNotFound {
					t.Errorf("%d %s, want 404", w.Code, w.Body)
				}
				return
			}
			var got struct {
				Repo, Base string
				Owner      packhouse.AccountID
				Vars       map[string]string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got.Repo != tt.repo || got.Base != tt.base || got.Owner != tt.owner || got.Vars["name"] != "f" || got.Vars["path"] != "1/a" {
				t.Errorf("got %+v", got)
			}
			if w := ask(d, "PUT", tt.path, "token good"); w.Code != http.StatusOK {
				t.Errorf("with the word of Gitea's clients before the token: %d %s", w.Code, w.Body)
			}
			for _, none := range []string{"token", "token wrong", "tokens good"} {
				if w := ask(d, "PUT", tt.path, none); w.Code != http.StatusUnauthorized {
					t.Errorf("with %q: %d, want 401", none, w.Code)
				}
			}
			if w := ask(d, "PUT", tt.path); w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("without credentials: %d, want 401 with a challenge", w.Code)
			}
		})
	}
}

// Errors about a path that cannot be decoded have the format's own body there, too.
func TestHostedErrors(t *testing.T) {
	d, err := registry.New(registry.Options{Formats: []format.Format{hostedBox{}}, Identity: tokens{}, Address: func(*http.Request) registry.Address { return registry.Address{} }})
	if err != nil {
		t.Fatal(err)
	}
	if w := ask(d, "GET", "/api/packages/acme.team/box/a//b"); w.Code != http.StatusBadRequest || w.Body.String()[:7] != `{"box":` {
		t.Errorf("%d %s, want the format's 400", w.Code, w.Body)
	}
	if w := ask(d, "GET", "/api/v3/user"); w.Code != http.StatusNotFound {
		t.Errorf("what nobody owns: %d, want 404 without a challenge", w.Code)
	}
}
