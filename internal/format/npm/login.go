package npm

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

const (
	// maxLoginBody bounds the documents about users and tokens, in bytes.
	maxLoginBody = 64 << 10
	// userPrefix begins the id of a user's document.
	userPrefix = "org.couchdb.user:"
	// pollSeconds is how long a client waits between two looks at a login.
	pollSeconds = "1"
	// reasonNoUsers marks the answer to a client that wants to make a user.
	reasonNoUsers = "users_by_operator"
)

// OneTimeCode reads the code that npm sends with --otp or asks for (npm.md 3).
func (Format) OneTimeCode(r *http.Request) string { return r.Header.Get("Npm-Otp") }

// loginRoutes are signing in and out, by npm.md 1 and 3.
func (p protocol) loginRoutes() []format.Route {
	const read = packhouse.ActionReadFromRepository
	put, del, post := []string{http.MethodPut}, []string{http.MethodDelete}, []string{http.MethodPost}
	get := []string{http.MethodGet, http.MethodHead}
	return []format.Route{
		{Name: "login-start", Methods: post, Pattern: "/-/v1/login", Action: read, Anonymous: true, Serve: p.beginLogin},
		{Name: "login-done", Methods: get, Pattern: "/-/v1/done/{secret}", Action: read, Anonymous: true, Serve: p.endLogin},
		{Name: "login", Methods: put, Pattern: "/-/user/{user}", Action: read, Anonymous: true, Serve: p.login},
		{Name: "login", Methods: put, Pattern: "/-/user/{user}/-rev/{rev}", Action: read, Anonymous: true, Serve: p.login},
		{Name: "login", Methods: get, Pattern: "/-/user/{user}", Action: read, Anonymous: true, Serve: p.user},
		{Name: "logout", Methods: del, Pattern: "/-/user/token/{token}", Action: read, Anonymous: true, Serve: p.logout},
	}
}

// readLogin reads a document about a user or a token.
func readLogin(r *format.Request, into any) error {
	body, err := httpx.ReadAll(r.Body, maxLoginBody)
	if err != nil {
		return err
	}
	if len(body) > 0 && json.Unmarshal(body, into) != nil {
		return invalidDocument("document is not valid JSON for this endpoint")
	}
	return nil
}

// noStore keeps answers with tokens out of every cache.
func noStore(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

// noUsersHere refuses to make a user. npm would ask for a name and a password at 4xx and
// 500 before it shows the text, so WriteError makes it 501 where that matters.
func noUsersHere() error {
	return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: reasonNoUsers,
		Message: "users are made by whoever runs this server (packhouse user create); if you have one, sign in with: npm login"}
}

// beginLogin serves POST -/v1/login: where to sign in, and where to wait for the token.
func (p protocol) beginLogin(w http.ResponseWriter, r *format.Request) error {
	var in struct {
		Create bool `json:"create"`
	}
	if err := readLogin(r, &in); err != nil {
		return err
	}
	if in.Create {
		return noUsersHere()
	}
	ticket, err := p.house.BeginLogin(r.Context(), format.LoginRequest{Repo: r.Repo, Client: httpx.Client(r.Context()), Agent: r.UserAgent()})
	if err != nil {
		return err
	}
	noStore(w)
	return httpx.WriteJSON(w, http.StatusOK, map[string]string{
		"loginUrl": originOf(r.Base) + ticket.Page, "doneUrl": r.Base + "-/v1/done/" + ticket.Secret})
}

// originOf cuts a base URL behind its authority.
func originOf(base string) string {
	scheme, rest, _ := strings.Cut(base, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// endLogin serves the doneUrl: 202 until somebody has decided, then the token, once.
func (p protocol) endLogin(w http.ResponseWriter, r *format.Request) error {
	noStore(w)
	if r.Method == http.MethodHead {
		return notServed(w, r) // it would take the token and drop it
	}
	secret := r.Var("secret")
	if !plainKey(secret) {
		return packhouse.NotFoundf("login", "", "no such login")
	}
	token, err := p.house.EndLogin(r.Context(), secret)
	if err != nil {
		return err
	}
	if token == "" {
		w.Header().Set("Retry-After", pollSeconds)
		return httpx.WriteJSON(w, http.StatusAccepted, struct{}{})
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]string{"token": token})
}

// plainKey reports what a secret or a token's key may look like.
func plainKey(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// login serves PUT -/user/org.couchdb.user:NAME, also with a revision, which changes
// nothing: there is no document behind it. Only adduser sends an email.
func (p protocol) login(w http.ResponseWriter, r *format.Request) error {
	name, ok := strings.CutPrefix(r.Var("user"), userPrefix)
	if !ok || name == "" {
		return packhouse.NotFoundf("user", "", "a user's document is called %sNAME", userPrefix)
	}
	var in struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Email    string `json:"email"`
	}
	if err := readLogin(r, &in); err != nil {
		return err
	}
	if in.Email != "" {
		return noUsersHere()
	}
	if in.Name != name {
		return invalidDocument("name in the document is not the one in the address")
	}
	token, err := p.house.SignIn(r.Context(), format.Credentials{Name: name, Password: in.Password,
		Code: p.OneTimeCode(r.Request), Client: httpx.Client(r.Context())})
	if err != nil {
		return err
	}
	noStore(w)
	return httpx.WriteJSON(w, http.StatusCreated, map[string]any{"ok": true, "id": userPrefix + name, "rev": "1-0", "token": token})
}

// user serves GET of a user's document, which old clients read before they sign in
// again. It says the same of every name.
func (p protocol) user(w http.ResponseWriter, r *format.Request) error {
	name, ok := strings.CutPrefix(r.Var("user"), userPrefix)
	if !ok || name == "" {
		return packhouse.NotFoundf("user", "", "a user's document is called %sNAME", userPrefix)
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]any{"_id": userPrefix + name, "_rev": "1-0", "name": name, "type": "user", "roles": []string{}})
}

// logout serves DELETE -/user/token/{token}. The token is the credential.
func (p protocol) logout(w http.ResponseWriter, r *format.Request) error {
	if err := p.house.SignOut(r.Context(), r.Var("token")); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}
