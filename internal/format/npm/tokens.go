package npm

import (
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// tokenRoutes are `npm token` and `npm profile`, by npm.md 1.
func (p protocol) tokenRoutes() []format.Route {
	const read = packhouse.ActionReadFromRepository
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	return []format.Route{
		{Name: "tokens", Methods: get, Pattern: "/-/npm/v1/tokens", Action: read, Serve: p.tokens},
		{Name: "token-create", Methods: post, Pattern: "/-/npm/v1/tokens", Action: read, Serve: p.createToken},
		{Name: "token-revoke", Methods: []string{http.MethodDelete}, Pattern: "/-/npm/v1/tokens/token/{key}", Action: read, Serve: p.revokeToken},
		{Name: "profile", Methods: get, Pattern: "/-/npm/v1/user", Action: read, Serve: p.profile},
		{Name: "profile-set", Methods: post, Pattern: "/-/npm/v1/user", Action: read, Serve: refuseProfile},
	}
}

// tokenObject is a token as npm shows it. Token is the token itself right after it was
// made, and how it begins ever after.
type tokenObject struct {
	Token      string   `json:"token"`
	Key        string   `json:"key"`
	Name       string   `json:"name"`
	CIDR       []string `json:"cidr_whitelist"` // always null: tokens are not bound to addresses
	ReadOnly   bool     `json:"readonly"`
	Automation bool     `json:"automation"`
	Created    string   `json:"created"`
	Updated    string   `json:"updated"`
	Expires    string   `json:"expires,omitempty"`
}

func tokenShown(text string, t format.Token) tokenObject {
	created := isoTime(t.Created)
	o := tokenObject{Token: text, Key: t.Key, Name: t.Name, ReadOnly: t.ReadOnly, Automation: t.Automation, Created: created, Updated: created}
	if !t.Expires.IsZero() {
		o.Expires = isoTime(t.Expires)
	}
	return o
}

// isoTime is a time as JavaScript writes it.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (p protocol) tokens(w http.ResponseWriter, r *format.Request) error {
	list, err := p.house.Tokens(r.Context(), r.Who, r.Repo)
	if err != nil {
		return err
	}
	objects := make([]tokenObject, len(list))
	for i, t := range list {
		objects[i] = tokenShown(t.Prefix, t)
	}
	noStore(w)
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"objects": objects, "total": len(objects), "urls": struct{}{}})
}

// newToken is the body of POST -/npm/v1/tokens: readonly as npm up to 10 and pnpm send
// it, the rest as npm 11 and later do.
type newToken struct {
	Password    string   `json:"password"`
	Name        string   `json:"name"`
	ReadOnly    bool     `json:"readonly"`
	CIDR        []string `json:"cidr_whitelist"`
	ExpireDays  int      `json:"expires"`
	Packages    []string `json:"packages"`
	Scopes      []string `json:"scopes"`
	Orgs        []string `json:"orgs"`
	Permission  string   `json:"packages_and_scopes_permission"`
	BypassCodes bool     `json:"bypass_2fa"`
}

// maxTokenDays bounds how long a token may be asked to live.
const maxTokenDays = 3650

// check refuses what a token here cannot be limited to: a client that was told of
// success would rely on it.
func (t *newToken) check() error {
	switch {
	case len(t.CIDR) > 0:
		return packhouse.Invalidf("not_supported", "tokens cannot be limited to addresses here; leave out --cidr")
	case len(t.Packages)+len(t.Scopes)+len(t.Orgs) > 0:
		return packhouse.Invalidf("not_supported", "tokens cannot be limited to packages, scopes or organisations here; they may do what their user may do")
	case t.Permission != "" && t.Permission != "read-only" && t.Permission != "read-write":
		return packhouse.Invalidf("not_supported", "permission %.40q is not offered here; there are read-only and read-write", t.Permission)
	case t.ExpireDays < 0 || t.ExpireDays > maxTokenDays:
		return packhouse.Invalidf("invalid_expiry", "a token lasts 1 to %d days", maxTokenDays)
	}
	return nil
}

func (p protocol) createToken(w http.ResponseWriter, r *format.Request) error {
	var in newToken
	if err := readLogin(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	token, made, err := p.house.CreateToken(r.Context(), r.Who, r.Repo, format.NewToken{Password: in.Password, Name: in.Name,
		ReadOnly: in.ReadOnly || in.Permission == "read-only", Automation: in.BypassCodes,
		Life: time.Duration(in.ExpireDays) * 24 * time.Hour, Client: httpx.Client(r.Context())})
	if err != nil {
		return err
	}
	noStore(w)
	return httpx.WriteJSON(w, http.StatusOK, tokenShown(token, made))
}

func (p protocol) revokeToken(w http.ResponseWriter, r *format.Request) error {
	key := r.Var("key")
	if !plainKey(key) {
		return packhouse.NotFoundf("token", "", "no such token")
	}
	if err := p.house.RevokeToken(r.Context(), r.Who, r.Repo, key); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}

func (p protocol) profile(w http.ResponseWriter, r *format.Request) error {
	user, err := p.house.Profile(r.Context(), r.Who, r.Repo)
	if err != nil {
		return err
	}
	var factor any = false
	if user.SecondFactor {
		factor = map[string]any{"pending": false, "mode": "auth-and-writes"}
	}
	created := isoTime(user.Created)
	noStore(w)
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"name": user.Name, "email": "", "email_verified": false,
		"tfa": factor, "created": created, "updated": created, "cidr_whitelist": nil})
}

// refuseProfile answers `npm profile set` and `npm profile enable-2fa`.
func refuseProfile(http.ResponseWriter, *format.Request) error {
	return packhouse.Invalidf("not_kept", "profiles cannot be changed here; whoever runs this server sets passwords and second factors with: packhouse user password NAME, packhouse user otp NAME")
}
