package npm

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// desk is a house that signs people in: "dana" with "right", and the code "123456" where
// there is one.
type desk struct {
	*house
	wait    bool // nobody has approved the login
	made    format.NewToken
	signed  format.Credentials
	ended   []string
	begun   format.LoginRequest
	revoked string
}

func (d *desk) SignIn(_ context.Context, c format.Credentials) (string, error) {
	d.signed = c
	switch {
	case c.Name != "dana" || c.Password != "right":
		return "", &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: format.ReasonWrongPassword, Message: "The name or the password is wrong."}
	case c.Code != "123456":
		return "", &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: format.ReasonSecondFactor, Message: "This needs a one-time password."}
	}
	return "token of dana", nil
}

func (d *desk) BeginLogin(_ context.Context, r format.LoginRequest) (format.LoginTicket, error) {
	d.begun = r
	return format.LoginTicket{Page: "/ui/login/page", Secret: "phs_secret"}, nil
}

func (d *desk) EndLogin(_ context.Context, secret string) (string, error) {
	switch {
	case secret != "phs_secret":
		return "", packhouse.NotFoundf("login", "", "There is no such login.")
	case d.wait:
		return "", nil
	}
	return "token of dana", nil
}

func (d *desk) SignOut(_ context.Context, token string) error {
	d.ended = append(d.ended, token)
	return nil
}

func (d *desk) Profile(context.Context, packhouse.Principal, packhouse.RepoRef) (format.Profile, error) {
	return format.Profile{Name: "dana", Created: time.Unix(1e9, 0), SecondFactor: true}, nil
}

func (d *desk) Tokens(context.Context, packhouse.Principal, packhouse.RepoRef) ([]format.Token, error) {
	return []format.Token{{Key: "abc", Prefix: "phr_abc", Name: "login", Created: time.Unix(1e9, 0)}}, nil
}

func (d *desk) CreateToken(_ context.Context, _ packhouse.Principal, _ packhouse.RepoRef, t format.NewToken) (string, format.Token, error) {
	d.made = t
	return "phr_abc_secret", format.Token{Key: "abc", Prefix: "phr_abc", Name: t.Name, ReadOnly: t.ReadOnly, Automation: t.Automation, Expires: time.Unix(2e9, 0)}, nil
}

func (d *desk) RevokeToken(_ context.Context, _ packhouse.Principal, _ packhouse.RepoRef, key string) error {
	d.revoked = key
	return nil
}

// Source: npm.md 1 and 3, cases 8.10 and 8.11.
func TestLoginProtocol(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		shows, hides             string
		challenge                string // WWW-Authenticate
		wait                     bool
	}{
		{name: "a login begins", method: "POST", path: "/-/v1/login", body: `{}`, status: 200,
			shows: `"doneUrl":"http://x/-/v1/done/phs_secret","loginUrl":"http://x/ui/login/page"`},
		{name: "with the host name of older clients", method: "POST", path: "/-/v1/login", body: `{"hostname":"h"}`, status: 200, shows: "doneUrl"},
		{name: "adduser is refused at once", method: "POST", path: "/-/v1/login", body: `{"create":true}`, status: 501, shows: "packhouse user create"},
		{name: "a login that waits", method: "GET", path: "/-/v1/done/phs_secret", status: 202, hides: "token", wait: true},
		{name: "a login that is approved", method: "GET", path: "/-/v1/done/phs_secret", status: 200, shows: `{"token":"token of dana"}`},
		{name: "HEAD does not take the token", method: "HEAD", path: "/-/v1/done/phs_secret", status: 404},
		{name: "an unknown login", method: "GET", path: "/-/v1/done/other", status: 404, shows: "no such login"},
		{name: "legacy login", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `{"name":"dana","password":"right","type":"user"}`,
			header: []string{"npm-otp", "123456"}, status: 201, shows: `"token":"token of dana"`},
		{name: "legacy login with a revision", method: "PUT", path: "/-/user/org.couchdb.user:dana/-rev/1-0", body: `{"name":"dana","password":"right"}`,
			header: []string{"npm-otp", "123456"}, status: 201, shows: `"ok":true`},
		{name: "without the code that is needed", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `{"name":"dana","password":"right"}`,
			status: 401, shows: "one-time pass", challenge: "OTP"},
		{name: "with a wrong password", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `{"name":"dana","password":"wrong"}`,
			status: 401, shows: `{"error":"The name or the password is wrong`, hides: "one-time pass"},
		{name: "legacy adduser", method: "PUT", path: "/-/user/org.couchdb.user:eve", body: `{"name":"eve","password":"x","email":"e@x"}`, status: 404, shows: "packhouse user create"},
		{name: "another name in the document", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `{"name":"eve","password":"right"}`, status: 400, shows: "name in the document"},
		{name: "no document", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `[`, status: 400, shows: "not valid JSON"},
		{name: "a huge document", method: "PUT", path: "/-/user/org.couchdb.user:dana", body: `{"name":"` + strings.Repeat("x", maxLoginBody) + `"}`, status: 413},
		{name: "no user's document", method: "PUT", path: "/-/user/dana", body: `{}`, status: 404},
		{name: "a user's document tells nothing", method: "GET", path: "/-/user/org.couchdb.user:anybody?write=true", status: 200, shows: `"_rev":"1-0"`, hides: "mail"},
		{name: "logout", method: "DELETE", path: "/-/user/token/phr_abc", status: 200, shows: `"ok":true`},
		{name: "logout with a sealed token, which is longer than a segment", method: "DELETE", path: "/-/user/token/v4.local." + strings.Repeat("a", 600), status: 200},
		{name: "tokens", method: "GET", path: "/-/npm/v1/tokens", status: 200, shows: `"token":"phr_abc","key":"abc"`},
		{name: "a token is ended", method: "DELETE", path: "/-/npm/v1/tokens/token/abc", status: 200},
		{name: "a profile", method: "GET", path: "/-/npm/v1/user", status: 200, shows: `"mode":"auth-and-writes"`},
		{name: "a profile stays as it is", method: "POST", path: "/-/npm/v1/user", body: `{"fullname":"x"}`, status: 400, shows: "packhouse user password"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{house: newHouse(t), wait: tt.wait}
			w := d.doWith(d, tt.method, tt.path, tt.body, tt.header...)
			body := w.Body.String()
			if w.Code != tt.status || !strings.Contains(body, tt.shows) || tt.hides != "" && strings.Contains(body, tt.hides) {
				t.Errorf("%d %.300s, want %d with %q and without %q", w.Code, body, tt.status, tt.shows, tt.hides)
			}
			if got := w.Header().Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("challenge %q, want %q", got, tt.challenge)
			}
			if wait := w.Header().Get("Retry-After"); (wait != "") != tt.wait {
				t.Errorf("Retry-After %q", wait)
			}
			if strings.Contains(body, "token of dana") && w.Header().Get("Cache-Control") != "no-store" {
				t.Error("a token may be kept by a cache")
			}
		})
	}
}

// What npm 8 to 12 send to make a token, and what cannot be promised here.
func TestCreateToken(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       format.NewToken // zero for a refusal
	}{
		{"npm 11 and later", `{"name":"ci","password":"p","expires":2,"packages_and_scopes_permission":"read-only","bypass_2fa":true}`,
			format.NewToken{Password: "p", Name: "ci", ReadOnly: true, Automation: true, Life: 48 * time.Hour}},
		{"npm up to 10", `{"password":"p","readonly":true,"cidr_whitelist":[]}`, format.NewToken{Password: "p", ReadOnly: true}},
		{"no wishes", `{"name":null,"password":"p"}`, format.NewToken{Password: "p"}},
		{"only from some addresses", `{"password":"p","cidr_whitelist":["192.0.2.0/24"]}`, format.NewToken{}},
		{"only some packages", `{"password":"p","packages":["a"]}`, format.NewToken{}},
		{"only some scopes", `{"password":"p","scopes":["@a"]}`, format.NewToken{}},
		{"a permission that is not offered", `{"password":"p","packages_and_scopes_permission":"read-write-stage-only"}`, format.NewToken{}},
		{"for too long", `{"password":"p","expires":100000}`, format.NewToken{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{house: newHouse(t)}
			w := d.doWith(d, http.MethodPost, "/-/npm/v1/tokens", tt.body)
			if d.made != tt.want {
				t.Errorf("asked for %+v, want %+v", d.made, tt.want)
			}
			if made := tt.want != (format.NewToken{}); made != (w.Code == 200) || made && !strings.Contains(w.Body.String(), `"token":"phr_abc_secret"`) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
