package server

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
)

// browser opens pages of a server.
type browser struct {
	t    *testing.T
	base string
}

func (b browser) send(method, path, body string, header ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(text)
}

// beginLogin starts a login as a package client does and returns its page and where its
// token will be.
func (b browser) beginLogin() (page, done string) {
	b.t.Helper()
	_, text := b.send("POST", "/npm/main/team/-/v1/login", "{}")
	m := regexp.MustCompile(`"doneUrl":"([^"]+)","loginUrl":"([^"]+)"`).FindStringSubmatch(text)
	if m == nil {
		b.t.Fatalf("the login begins with %s", text)
	}
	return strings.TrimPrefix(m[2], b.base), strings.TrimPrefix(m[1], b.base)
}

func fillForm(page string, fields ...string) string {
	form := url.Values{}
	if m := regexp.MustCompile(`name="form_token" value="([0-9a-f]{64})"`).FindStringSubmatch(page); m != nil {
		form.Set("form_token", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form.Encode()
}

// reliability.md S10, S34: the page of a login, in every state, with its headers, and
// who may not send its form.
func TestLoginPage(t *testing.T) {
	const password = "correct horse battery"
	log := &buffer{}
	s, _ := start(t, testConfig(t, nil), slog.New(slog.NewJSONHandler(log, nil)))
	b := browser{t, s.URL}
	for _, err := range []error{
		func() error {
			_, err := identity.CreateUser(t.Context(), s.store.Catalog, packhouse.Principal{}, identity.NewUser{Account: s.Account(), Name: "dana"})
			return err
		}(),
		identity.SetPassword(t.Context(), s.store.Catalog, packhouse.Principal{}, s.Account(), "dana", password),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	page, done := b.beginLogin()
	if !strings.HasPrefix(page, ops.LoginPages) || !strings.HasPrefix(done, "/npm/main/team/-/v1/done/") {
		t.Fatalf("the login is at %s and %s", page, done)
	}
	resp, text := b.send("GET", page, "", "Cookie", "session=1")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
			"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
		"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Set-Cookie": "", "Access-Control-Allow-Origin": "", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q (S34)", name, got, want)
		}
	}
	for _, want := range []string{"main/team", "127.0.0.1", "Go on only if you started this yourself", `lang="en"`, `<label for="password">`} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "style=") {
		t.Error("the page has scripts or inline styles")
	}
	right := fillForm(text, "action", "approve", "name", "dana", "password", password)
	for _, row := range []struct {
		name, body string
		header     []string
		status     int
		shows      string
	}{
		{"no origin at all", right, nil, 403, "not sent from a page"},
		{"another origin", right, []string{"Origin", "http://evil.example"}, 403, "not sent from a page"},
		{"an opaque origin", right, []string{"Origin", "null"}, 403, "not sent from a page"},
		{"another site, by the browser's word", right, []string{"Origin", s.URL, "Sec-Fetch-Site", "cross-site"}, 403, "not sent from a page"},
		{"no form token", "action=approve&name=dana&password=" + url.QueryEscape(password), []string{"Origin", s.URL}, 400, "not from this page"},
		{"a token of the package protocols (S10)", right, []string{"Origin", s.URL, "Authorization", "Bearer x"}, 400, "take no tokens"},
		{"no action", fillForm(text, "name", "dana"), []string{"Origin", s.URL}, 400, "not complete"},
		{"another type", right, []string{"Origin", s.URL, "Content-Type", "text/plain"}, 400, "wrong type"},
		{"an endless form", right + "&x=" + strings.Repeat("x", 1<<16), []string{"Origin", s.URL}, 413, ""},
		{"a wrong password, with a name that wants to be HTML", fillForm(text, "action", "approve", "name", `"><b>`, "password", "wrong password"), []string{"Origin", s.URL}, 403, "name or the password is wrong"},
	} {
		resp, got := b.send("POST", page, row.body, row.header...)
		if resp.StatusCode != row.status || !strings.Contains(got, row.shows) || strings.Contains(got, "<b>") {
			t.Errorf("%s: %d %.300s, want %d with %q", row.name, resp.StatusCode, got, row.status, row.shows)
		}
	}
	if resp, _ := b.send("GET", done, ""); resp.StatusCode != http.StatusAccepted || resp.Header.Get("Retry-After") == "" {
		t.Errorf("before anybody approved: %d, want 202 with Retry-After", resp.StatusCode)
	}
	if resp, got := b.send("POST", page, right, "Sec-Fetch-Site", "same-origin", "Origin", "null"); resp.StatusCode != 200 || !strings.Contains(got, "Go back to your terminal") {
		t.Fatalf("the right form: %d %s", resp.StatusCode, got)
	}
	if _, got := b.send("GET", page, ""); !strings.Contains(got, "Go back to your terminal") {
		t.Errorf("the approved page again: %s", got)
	}
	resp, token := b.send("GET", done, "")
	if resp.StatusCode != 200 || !strings.Contains(token, `"token":"phr_`) || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the token: %d, %s", resp.StatusCode, resp.Header.Get("Cache-Control"))
	}
	if resp, _ := b.send("GET", done, ""); resp.StatusCode != 404 {
		t.Errorf("the token again: %d, want 404", resp.StatusCode)
	}
	if resp, got := b.send("GET", page, ""); resp.StatusCode != 410 || !strings.Contains(got, "is finished") {
		t.Errorf("the page afterwards: %d", resp.StatusCode)
	}

	denied, done := b.beginLogin()
	_, text = b.send("GET", denied, "")
	if resp, got := b.send("POST", denied, fillForm(text, "action", "deny"), "Origin", s.URL); resp.StatusCode != 200 || !strings.Contains(got, "Login denied") {
		t.Errorf("denied: %d", resp.StatusCode)
	}
	if resp, _ := b.send("GET", done, ""); resp.StatusCode != 403 {
		t.Errorf("the token of a denied login: %d, want 403", resp.StatusCode)
	}
	if resp, got := b.send("GET", ops.LoginPages+strings.Repeat("a", 52), ""); resp.StatusCode != 410 || !strings.Contains(got, "has expired") {
		t.Errorf("an unknown login: %d", resp.StatusCode)
	}
	for path, status := range map[string]int{"/ui": 200, "/ui/": 200, "/ui/static/style.css": 200, "/ui/static/other.css": 404, "/ui/nothing": 404, "/ui/login/": 404} {
		if resp, _ := b.send("GET", path, ""); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
	}
	if resp, _ := b.send("POST", "/ui/", "x=1", "Origin", s.URL); resp.StatusCode != 405 {
		t.Errorf("POST of a page that takes none: %d, want 405", resp.StatusCode)
	}
	// S38: of all this the log holds no secret.
	for _, secret := range []string{password, page, done[strings.LastIndexByte(done, '/')+1:], "phr_", "phs_"} {
		if bytes.Contains([]byte(log.String()), []byte(secret)) {
			t.Errorf("the log holds %.8s...", secret)
		}
	}
}

// reliability.md S38.
func TestLogPathHidesSecrets(t *testing.T) {
	for path, want := range map[string]string{
		"/npm/d/r/left-pad":                             "/npm/d/r/left-pad",
		"/npm/d/r/-/user/token/anything":                "/npm/d/r/-/user/token/[redacted]",
		"/npm/d/r/-/npm/v1/tokens/token/phr_abc":        "/npm/d/r/-/npm/v1/tokens/token/[redacted]",
		"/npm/d/r/-/npm/v1/tokens/token/abc":            "/npm/d/r/-/npm/v1/tokens/token/[redacted]",
		"/npm/d/r/-/v1/done/phs_abc":                    "/npm/d/r/-/v1/done/[redacted]",
		"/npm/d/r/-/v1/login":                           "/npm/d/r/-/v1/login",
		"/npm/d/r/v4.local.abc":                         "/npm/d/r/[redacted]",
		"/ui/login/abc":                                 "/ui/login/[redacted]",
		"/npm/d/r/-/user/org.couchdb.user:dana":         "/npm/d/r/-/user/org.couchdb.user:dana",
		"/npm/d/r/" + strings.Repeat("phr_", 100) + "/": "/npm/d/r/[redacted]",
	} {
		if got := logPath(path); got != want {
			t.Errorf("logPath(%.60s) = %s, want %s", path, got, want)
		}
	}
}
