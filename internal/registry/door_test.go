package registry_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/registry"
)

// box is a format with the routes that the tests need. Serve answers what it was given.
type box struct {
	format.Format
	gate chan struct{} // when set, "slow" waits for it
	in   chan struct{} // and says that it is in
}

func (b box) Spec() format.Spec { return format.Spec{ID: "box"} }

func (b box) Routes(format.House) []format.Route {
	echo := func(w http.ResponseWriter, r *format.Request) error {
		return httpx.WriteJSON(w, 200, map[string]any{"repo": r.Repo.String(), "owner": r.Repo.Domain.Owner, "base": r.Base,
			"vars": r.Vars, "who": r.Who.Name, "door": r.Door})
	}
	return []format.Route{
		{Name: "base", Methods: []string{"GET"}, Pattern: "/", Action: "x:Read", Serve: echo},
		{Name: "login", Methods: []string{"PUT"}, Pattern: "/-/login", Anonymous: true, Serve: echo},
		{Name: "index", Methods: []string{"GET", "PUT"}, Pattern: "/{@name}", Action: "x:Read", Serve: echo},
		{Name: "slow", Methods: []string{"GET"}, Pattern: "/-/slow", Action: "x:Read", Serve: func(w http.ResponseWriter, r *format.Request) error {
			b.in <- struct{}{}
			<-b.gate
			return echo(w, r)
		}},
		{Name: "fails", Methods: []string{"GET"}, Pattern: "/-/fails", Action: "x:Read", Serve: func(http.ResponseWriter, *format.Request) error {
			return packhouse.Deniedf("denied", "no statement allows it")
		}},
	}
}

// WriteError writes 404 for what a box does not support, as some formats do.
func (b box) WriteError(w http.ResponseWriter, _ *http.Request, err error) {
	status := httpx.Status(err)
	if packhouse.KindOf(err) == packhouse.KindUnsupported {
		status = 404
	}
	_ = httpx.WriteJSON(w, status, map[string]string{"box": httpx.Message(err)})
}

type tokens map[string]packhouse.Principal

func (t tokens) Token(_ context.Context, token string) (packhouse.Principal, error) {
	if who, ok := t[token]; ok {
		return who, nil
	}
	return packhouse.Principal{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_token", Message: "The token is not good."}
}

// ProveSecondFactor takes the code "right".
func (t tokens) ProveSecondFactor(_ context.Context, who packhouse.Principal, code, _ string) (packhouse.Principal, error) {
	if code == "right" {
		who.Scope.SecondFactor = packhouse.FactorProved
	}
	return who, nil
}

func door(t *testing.T, b box, at registry.Address) *registry.Door {
	t.Helper()
	if at.Base == "" {
		at.Base = "http://h"
	}
	d, err := registry.New(registry.Options{Formats: []format.Format{b}, ServiceIDs: []packhouse.FormatID{"box", "crate"},
		Identity: tokens{"good": {ID: 1, Name: "dana", ARN: "arn:dana"}, "other": {ID: 2, Name: "omar"}},
		Account:  "000000000000", Address: func(*http.Request) registry.Address { return at }, PerPrincipal: 1})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ask(d http.Handler, method, target string, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestAddressForms(t *testing.T) {
	host := registry.Address{Base: "https://acme-123456789012.d.example.com", Domain: packhouse.DomainRef{Owner: "123456789012", Name: "acme"}}
	for _, tt := range []struct {
		name, path string
		at         registry.Address
		owner      string
		repo, base string // repo "" means 404
		pkg        string
	}{
		{name: "path form", path: "/box/d/acme-123456789012/team/@s%2fx", owner: "123456789012", repo: "acme/team", base: "http://h/box/d/acme-123456789012/team/", pkg: "@s/x"},
		{name: "path form of a domain with a hyphen", path: "/box/d/a-b-123456789012/team/x", owner: "123456789012", repo: "a-b/team", base: "http://h/box/d/a-b-123456789012/team/", pkg: "x"},
		{name: "short form", path: "/box/acme/team/x", owner: "000000000000", repo: "acme/team", base: "http://h/box/acme/team/", pkg: "x"},
		{name: "short form with an owner", path: "/box/acme-123456789012/team/x", owner: "123456789012", repo: "acme/team", base: "http://h/box/acme-123456789012/team/", pkg: "x"},
		{name: "host form", path: "/box/team/x", at: host, owner: "123456789012", repo: "acme/team", base: "https://acme-123456789012.d.example.com/box/team/", pkg: "x"},
		{name: "the base with its slash", path: "/box/acme/team/", owner: "000000000000", repo: "acme/team", base: "http://h/box/acme/team/"},
		{name: "the base without its slash", path: "/box/acme/team", owner: "000000000000", repo: "acme/team", base: "http://h/box/acme/team/"},
		{name: "slashes at the very start", path: "//box/acme/team/x", owner: "000000000000", repo: "acme/team", base: "http://h/box/acme/team/", pkg: "x"},
		{name: "another spelling has the same base", path: "/box/%61cme/team/x", owner: "000000000000", repo: "acme/team", base: "http://h/box/acme/team/", pkg: "x"},
		{name: "a path form without an owner", path: "/box/d/acme/team/x"},
		{name: "no repository", path: "/box/acme"},
		{name: "a domain with an encoded slash", path: "/box/@a%2fb/team/x"},
		{name: "an empty repository", path: "/box/acme/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(door(t, box{}, tt.at), "GET", tt.path, "Bearer good")
			if tt.repo == "" {
				if w.Code != 404 || !strings.Contains(w.Body.String(), `"box"`) {
					t.Fatalf("got %d %s, want the format's 404", w.Code, w.Body)
				}
				return
			}
			var got struct {
				Repo, Owner, Base string
				Vars              map[string]string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if got.Repo != tt.repo || got.Owner != tt.owner || got.Base != tt.base || got.Vars["name"] != tt.pkg {
				t.Errorf("got %+v, want %s of %s at %s, %q", got, tt.repo, tt.owner, tt.base, tt.pkg)
			}
		})
	}
}

// TestCredentials holds the table of codeartifact.md 3.10 and reliability.md S11.
func TestCredentials(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"bearer", []string{"Bearer good"}, 200},
		{"bearer in another case", []string{"bearer good"}, 200},
		{"basic, user aws", []string{basic("aws", "good")}, 200},
		{"basic, user token", []string{basic("token", "good")}, 200},
		{"basic, any user", []string{basic("anybody", "good")}, 200},
		{"the token alone, as cargo sends it", []string{"good"}, 200},
		{"the token alone with white space behind it", []string{"good \r"}, 200},
		{"the same token twice", []string{"Bearer good", basic("aws", "good")}, 200},
		{"two different credentials", []string{"Bearer good", "Bearer other"}, 400},
		{"nothing", nil, 401},
		{"an unknown token", []string{"Bearer bad"}, 401},
		{"the token as user", []string{basic("good", "")}, 401},
		{"broken base64", []string{"Basic ???"}, 401},
		{"an empty bearer", []string{"Bearer "}, 401},
		{"another scheme", []string{"Digest good"}, 401},
		{"a list", []string{"Bearer good, Bearer other"}, 401},
		{"a signature of the control plane", []string{"AWS4-HMAC-SHA256 Credential=x"}, 401},
		{"a header without end", []string{"Bearer " + strings.Repeat("a", 9000)}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(door(t, box{}, registry.Address{}), "GET", "/box/acme/team/x", tt.header...)
			if w.Code != tt.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, tt.status)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
				t.Errorf("challenge %q with %d", challenge, tt.status)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name, method, path string
		header             []string
		status             int
		body, allow        string
	}{
		{name: "an error of the room in the room's shape", method: "GET", path: "/box/acme/team/-/fails", header: []string{"Bearer good"}, status: 403, body: `{"box":"no statement allows it"}`},
		{name: "an unknown path below a base", method: "GET", path: "/box/acme/team/a/b/c", header: []string{"Bearer good"}, status: 404, body: `"box"`},
		{name: "another method is 405 whatever the format makes of it", method: "DELETE", path: "/box/acme/team/x", header: []string{"Bearer good"}, status: 405, body: `"box"`, allow: "GET, HEAD, PUT"},
		{name: "a stranger learns nothing of paths", method: "GET", path: "/box/acme/team/a/b/c", status: 401, body: `"box"`},
		{name: "a stranger learns nothing of methods", method: "DELETE", path: "/box/acme/team/x", status: 401, body: `"box"`},
		{name: "a format without a room, signed in", method: "GET", path: "/crate/acme/team/x", header: []string{"Bearer good"}, status: 404, body: `"message"`},
		{name: "a format without a room, stranger", method: "GET", path: "/crate/acme/team/x", status: 401, body: `"message"`},
		{name: "an open route for a stranger", method: "PUT", path: "/box/acme/team/-/login", status: 200, body: `"who":""`},
		{name: "an open route with an old token", method: "PUT", path: "/box/acme/team/-/login", header: []string{"Bearer bad"}, status: 200, body: `"who":""`},
		{name: "an open route with a good token", method: "PUT", path: "/box/acme/team/-/login", header: []string{"Bearer good"}, status: 200, body: `"who":"dana"`},
		{name: "a hostile path, in the format's shape (S1)", method: "GET", path: "/box/acme/team/..%2fx", header: []string{"Bearer good"}, status: 400, body: `"box"`},
		{name: "a hostile path before the repository (S1)", method: "GET", path: "/box/acme/%2e%2e/x", status: 400, body: `"box"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(door(t, box{}, registry.Address{}), tt.method, tt.path, tt.header...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.body) || w.Header().Get("Allow") != tt.allow {
				t.Errorf("got %d %s, Allow %q; want %d %s, Allow %q", w.Code, w.Body, w.Header().Get("Allow"), tt.status, tt.body, tt.allow)
			}
		})
	}
}

func TestRequestsOfOnePrincipalAreBounded(t *testing.T) {
	b := box{gate: make(chan struct{}), in: make(chan struct{})}
	d := door(t, b, registry.Address{})
	first := make(chan int)
	go func() { first <- ask(d, "GET", "/box/acme/team/-/slow", "Bearer good").Code }()
	<-b.in
	w := ask(d, "GET", "/box/acme/team/x", "Bearer good")
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("the second request got %d, Retry-After %q (reliability.md A8)", w.Code, w.Header().Get("Retry-After"))
	}
	if w := ask(d, "GET", "/box/acme/team/x", "Bearer other"); w.Code != 200 {
		t.Errorf("another principal got %d", w.Code)
	}
	close(b.gate)
	if code := <-first; code != 200 {
		t.Errorf("the first request got %d", code)
	}
	if w := ask(d, "GET", "/box/acme/team/x", "Bearer good"); w.Code != 200 {
		t.Errorf("afterwards the principal got %d", w.Code)
	}
}

// FuzzDoor: whatever a client sends below a format, the answer is one of the protocol's
// and never a 5xx, and nobody without a good token gets through.
func FuzzDoor(f *testing.F) {
	for _, s := range [][2]string{{"/box/acme/team/x", "Bearer good"}, {"/box/d/acme-123456789012/t/@a%2fb", ""}, {"//box/../", basic("a", "b")}, {"/box/%00", "x"}} {
		f.Add(s[0], s[1])
	}
	d, err := registry.New(registry.Options{Formats: []format.Format{box{}}, Identity: tokens{"good": {ID: 1, Name: "dana"}},
		Account: "000000000000", Address: func(*http.Request) registry.Address { return registry.Address{Base: "http://h"} }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, authorization string) {
		if strings.Contains(path, "slow") {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = "/" + path
		r.Header["Authorization"] = []string{authorization}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%q answered %d", path, w.Code)
		}
		if w.Code == 200 && !strings.Contains(authorization, "good") && !strings.Contains(authorization, "Z29vZ") && !strings.Contains(strings.ToLower(authorization), "basic") {
			t.Fatalf("%q got through with %q", path, authorization)
		}
	})
}

func BenchmarkDoor(b *testing.B) {
	d, err := registry.New(registry.Options{Formats: []format.Format{silent{}}, Identity: tokens{"good": {ID: 1, Name: "dana"}},
		Account: "000000000000", Address: func(*http.Request) registry.Address { return registry.Address{Base: "http://h"} }})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/box/d/acme-123456789012/team/@acme%2fbox", nil)
	r.Header.Set("Authorization", "Bearer good")
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		d.ServeHTTP(w, r)
	}
}

// silent is a box that answers nothing, for measuring the way to a room.
type silent struct{ box }

func (silent) Routes(format.House) []format.Route {
	return []format.Route{{Name: "index", Methods: []string{"GET"}, Pattern: "/{@name}", Action: "x:Read",
		Serve: func(http.ResponseWriter, *format.Request) error { return nil }}}
}
