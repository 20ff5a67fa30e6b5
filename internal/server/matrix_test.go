package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/identity"
)

// rights are what the matrix's principals may do, and in one repository only: acme/team.
var rights = map[string][]string{
	"nothing": nil,
	"read":    {"codeartifact:ReadFromRepository", "codeartifact:Describe*", "codeartifact:List*", "codeartifact:Get*"},
	"publish": {"codeartifact:PublishPackageVersion", "codeartifact:PutPackageMetadata"},
	"delete":  {"codeartifact:DeletePackage*", "codeartifact:DisposePackageVersions", "codeartifact:UpdatePackageVersionsStatus"},
	"admin":   {"codeartifact:*"},
}

// places are the repositories that each cell asks for; rights reach the first alone.
var places = []struct{ domain, repo string }{{"acme", "team"}, {"acme", "other"}, {"else", "team"}}

// needs names what a route asks for, any of it, where that is not its declared action.
// nil: nothing of a repository, being signed in is enough.
var needs = map[string][]string{
	"npm whoami": nil, "npm unknown": nil,
	"npm profile-set": nil, // refuses everybody
	// The package is absent here, which is all that readers are told; what they may do to
	// one that is there, the engine's own tests have.
	"npm rewrite": {"codeartifact:ReadFromRepository"},
	// Whoever uploads may look at what is there already.
	"generic versions": readOrPublish, "generic files": readOrPublish, "generic latest": readOrPublish, "generic latest-file": readOrPublish,
	// Absent here too.
	"generic publish-version": readOrPublish,
}

var readOrPublish = []string{"codeartifact:ReadFromRepository", "codeartifact:PublishPackageVersion"}

// own are routes about the caller's own account, which refuse with 403 for reasons of
// their own, such as a missing password: who lacks the declared action is refused too.
var own = map[string]bool{"npm tokens": true, "npm token-create": true, "npm token-revoke": true, "npm profile": true}

const canary = "canary5f1e9b27c4"

// matrix is a server with the principals and repositories of reliability.md S12's test.
type matrix struct {
	*Server
	t       *testing.T
	log     *buffer
	keys    map[string]client.Config
	secrets []string
	tokens  map[string]map[string]string // by right and kind
	serial  int
}

func newMatrix(t *testing.T) *matrix {
	m := &matrix{t: t, log: &buffer{}, keys: map[string]client.Config{}, tokens: map[string]map[string]string{}}
	c := testConfig(t, nil)
	m.Server, _ = start(t, c, slog.New(slog.NewJSONHandler(m.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	admin, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{"acme", "else"} {
		m.call(admin, "POST", "/v1/domain", url.Values{"domain": {domain}})
		for _, repo := range []string{"team", "other"} {
			m.call(admin, "POST", "/v1/repository", url.Values{"domain": {domain}, "repository": {repo}})
		}
	}
	for name, actions := range rights {
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:GetServiceBearerToken","Resource":"*"},` +
			`{"Effect":"Allow","Action":"codeartifact:GetAuthorizationToken","Resource":"*"}]}`
		if len(actions) > 0 {
			list, err := json.Marshal(actions)
			if err != nil {
				t.Fatal(err)
			}
			prefix := "arn:aws:codeartifact:us-east-1:000000000000:"
			policy = strings.TrimSuffix(policy, "]}") + fmt.Sprintf(`,{"Effect":"Allow","Action":%s,"Resource":["%sdomain/acme","%srepository/acme/team","%spackage/acme/team/*","%spackage-group/acme/*"]}]}`,
				list, prefix, prefix, prefix, prefix)
		}
		made, err := identity.CreateUser(t.Context(), m.store.Catalog, packhouse.Principal{}, identity.NewUser{Account: m.Account(), Name: "may-" + name, Document: policy})
		if err != nil {
			t.Fatal(err)
		}
		m.keys[name] = client.Config{Endpoint: m.URL, Region: "us-east-1", AccessKeyID: made.KeyID, Secret: made.Secret}
		m.secrets = append(m.secrets, made.Secret)
		m.tokens[name] = map[string]string{}
		for kind, readOnly := range map[string]bool{"long-lived": false, "read-only": true} {
			token, err := identity.CreateToken(t.Context(), m.store.Catalog, packhouse.Principal{}, m.Account(), "may-"+name,
				identity.NewToken{Name: kind, Kind: identity.TokenAutomation, ReadOnly: readOnly})
			if err != nil {
				t.Fatal(err)
			}
			m.tokens[name][kind] = token
			m.secrets = append(m.secrets, token)
		}
		var out struct{ AuthorizationToken string }
		c, err := client.New(m.keys[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Call(t.Context(), "POST", "/v1/authorization-token", url.Values{"domain": {"acme"}}, nil, &out); err != nil {
			t.Fatal(err)
		}
		m.tokens[name]["domain token"] = out.AuthorizationToken
		m.secrets = append(m.secrets, out.AuthorizationToken)
	}
	return m
}

func (m *matrix) call(as client.Config, method, path string, query url.Values) {
	m.t.Helper()
	c, err := client.New(as)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := c.Call(m.t.Context(), method, path, query, nil, nil); err != nil {
		m.t.Fatal(err)
	}
}

// may computes a cell: whether a right reaches an action at a place. It is no more than
// prefixes, written apart from package authz.
func may(right, action string) bool {
	return slices.ContainsFunc(rights[right], func(pattern string) bool {
		prefix, star := strings.CutSuffix(pattern, "*")
		return star && strings.HasPrefix(action, prefix) || pattern == action
	})
}

// writes reports actions that a read-only token must not reach.
func writes(action string) bool { return !may("read", action) }

// request asks for a route with canaries wherever a client could put a secret, and
// returns the status. No answer may repeat a credential.
func (m *matrix) request(method, target, token, body string) int {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, target+"?token="+canary+"&_authToken="+canary+"&action=publish", strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, name := range []string{"Cookie", "Referer", "Npm-Otp", "X-Api-Key", "X-Request-Id", "X-Amz-Security-Token", "Proxy-Authorization"} {
		r.Header.Set(name, canary)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if token != "" && strings.Contains(string(answer), token) || strings.Contains(string(answer), canary) && resp.StatusCode >= 400 {
		m.t.Errorf("%s %s: the answer repeats a credential: %.300s", method, target, answer)
	}
	return resp.StatusCode
}

// fill puts a package of its own into a route's pattern, and makes a body that gets as
// far as the decision.
func (m *matrix) fill(f packhouse.FormatID, rt format.Route, method string) (below, body string) {
	m.serial++
	return fillRoute(f, rt, method, fmt.Sprintf("cell-%d", m.serial))
}

// fillRoute is fill for a package by name.
func fillRoute(f packhouse.FormatID, rt format.Route, method, name string) (below, body string) {
	file := name + "-1.0.0.tgz"
	switch {
	case !strings.Contains(rt.Pattern, "{@name}"):
		file = "--1.0.0.tgz" // of the package "-"
	case strings.Contains(rt.Pattern, "/attestations/"):
		name += "@1.0.0"
	}
	below = strings.NewReplacer("{@name}", name, "{name}", name, "{ns}", "space", "{version}", "1.0.0", "{@file}", file, "{file}", file,
		"{rev}", "1", "{tag}", "beta", "{path...}", "file.bin", "{user}", "org.couchdb.user:"+name, "{token}", canary).Replace(rt.Pattern)
	// What other variables stand for is the route's own; any text will do.
	below = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(below, "x1")
	switch {
	case strings.HasPrefix(rt.Name, "dist-tag"):
		body = `"1.0.0"`
	case method == http.MethodPut && rt.Name == "publish":
		body = fmt.Sprintf(`{"name":%q,"versions":{"1.0.0":{"name":%q,"version":"1.0.0"}},"_attachments":{"%s-1.0.0.tgz":{"data":"AAAA"}}}`, name, name, name)
	case method != http.MethodGet && method != http.MethodHead && method != http.MethodDelete:
		body = fmt.Sprintf(`{"name":%q,"versions":{}}`, name)
	}
	return below, body
}

// TestAccessMatrix is reliability.md S12: every route of the package protocols, by every
// method, kind of credential and right, in the repository that the right is for, in
// another one and in another domain; then every operation of the API. Each cell's value
// is computed from the route's declared action, the rights and needs. S38: what went
// through all of them is in no log line, no metric and no error.
func TestAccessMatrix(t *testing.T) {
	m := newMatrix(t)
	cells := 0
	for _, f := range formats.All() {
		id := f.Spec().ID
		for _, rt := range f.Routes(nil) {
			required, exception := needs[string(id)+" "+rt.Name]
			if !exception {
				required = []string{string(rt.Action)}
			}
			for _, method := range rt.Methods {
				for _, place := range places {
					base := m.URL + path.Join("/", string(id), place.domain, place.repo)
					what := fmt.Sprintf("%s %s (%s %s) at %s/%s", id, rt.Name, method, rt.Pattern, place.domain, place.repo)
					for kind, token := range map[string]string{"no token": "", "a wrong token": "phr_" + canary} {
						below, body := m.fill(id, rt, method)
						cells++
						if got := m.request(method, base+below, token, body); got != http.StatusUnauthorized && !rt.Anonymous {
							t.Errorf("%s with %s: %d, want 401", what, kind, got)
						}
					}
					if rt.Anonymous {
						continue
					}
					for right := range rights {
						for kind, token := range m.tokens[right] {
							want := len(required) == 0 || place == places[0] && slices.ContainsFunc(required, func(a string) bool {
								return may(right, a) && (kind != "read-only" || !writes(a))
							})
							below, body := m.fill(id, rt, method)
							got := m.request(method, base+below, token, body)
							cells++
							if own[string(id)+" "+rt.Name] {
								want = want && got != http.StatusForbidden
							}
							if allowed := got != http.StatusForbidden && got != http.StatusUnauthorized; allowed != want || got >= 500 {
								t.Errorf("%s with the right to %s by a %s token: %d, want allowed %v", what, right, kind, got, want)
							}
						}
					}
				}
			}
		}
	}
	if cells < 1000 {
		t.Errorf("only %d cells", cells)
	}
	m.operations()
	m.noSecrets()
}

var operationRow = regexp.MustCompile(`(?:op|change)\("(\w+)", "(\w+)", "([^"]+)"`)

// elsewhere are operations whose right is not the action of their own name on what the
// query names: on the account, or on something that the request names besides. Publishing
// streams, which the client of these tests does not; who may publish is asked above.
var elsewhere = map[string]bool{"CreateDomain": true, "ListDomains": true, "ListRepositories": true, "CopyPackageVersions": true,
	"GetAuthorizationToken": true, "PublishPackageVersion": true}

// operationRows are name, method and path of every row of the API's table, the ones that
// delete last, or nothing is left for the others.
func operationRows(t *testing.T) [][]string {
	t.Helper()
	source, err := os.ReadFile("../codeartifact/operations.go")
	if err != nil {
		t.Fatal(err)
	}
	var rows, deleting [][]string
	for _, row := range operationRow.FindAllStringSubmatch(string(source), -1) {
		if strings.HasPrefix(row[1], "Delete") {
			deleting = append(deleting, row[1:])
		} else {
			rows = append(rows, row[1:])
		}
	}
	if rows = append(rows, deleting...); len(rows) != 48 {
		t.Fatalf("%d operations found, want 48", len(rows))
	}
	return rows
}

const firstAccount = "000000000000"

// members are a query and a body that are well-formed for every operation, about a
// package at a place.
func members(operation, domain, repo, pkg string) (url.Values, map[string]any) {
	query := url.Values{"domain": {domain}, "repository": {repo}, "format": {"npm"}, "package": {pkg}, "version": {"1.0.0"},
		"asset": {"package.tgz"}, "external-connection": {"public:npmjs"}, "package-group": {"/npm//" + pkg + "$"}, "originRestrictionType": {"PUBLISH"},
		"source-repository": {repo}, "destination-repository": {repo},
		"resourceArn": {"arn:aws:codeartifact:us-east-1:" + firstAccount + ":repository/" + domain + "/" + repo}}
	body := map[string]any{"versions": []string{"1.0.0"}, "targetStatus": "Archived", "restrictions": map[string]string{"publish": "ALLOW", "upstream": "ALLOW"},
		"tags": []map[string]string{{"key": "a", "value": "b"}}, "tagKeys": []string{"a"}, "packageGroup": "/npm//" + pkg + "$",
		"policyDocument": `{"Statement":{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"codeartifact:ReadFromRepository","Resource":"*"}}`}
	switch operation {
	case "PutDomainPermissionsPolicy": // has its domain in the body (codeartifact.md 1.1, rule 4)
		query.Del("domain")
		body["domain"] = domain
	case "UpdatePackageGroupOriginConfiguration":
		body["restrictions"] = map[string]string{"PUBLISH": "ALLOW"}
	}
	return query, body
}

// operations asks for every row of the API's table as every right, at every place.
func (m *matrix) operations() {
	t := m.t
	for _, row := range operationRows(t) {
		name, method, path := row[0], row[1], row[2]
		if elsewhere[name] {
			continue
		}
		// What is about package groups is about the domain, and so is what is below /domain,
		// whichever repository is named.
		aboutDomain := strings.Contains(path, "/domain") || strings.Contains(path, "package-group") || name == "ListAssociatedPackages"
		for _, place := range places {
			query, body := members(name, place.domain, place.repo, "cell")
			for right := range rights {
				want := may(right, "codeartifact:"+name) && (place == places[0] || aboutDomain && place.domain == places[0].domain)
				c, err := client.New(m.keys[right])
				if err != nil {
					t.Fatal(err)
				}
				err = c.Call(t.Context(), method, path, query, body, nil)
				var answered *client.Error
				if err != nil && !errors.As(err, &answered) {
					t.Fatalf("%s: %v", name, err)
				}
				switch {
				case answered != nil && (answered.Status >= 500 || answered.Type == "ValidationException" && !want):
					t.Errorf("%s at %s/%s with the right to %s: %v", name, place.domain, place.repo, right, err)
				case (answered == nil || answered.Type != "AccessDeniedException") != want:
					t.Errorf("%s at %s/%s with the right to %s: %v, want allowed %v", name, place.domain, place.repo, right, err, want)
				}
			}
		}
	}
}

// noSecrets looks for everything secret that the cells carried.
func (m *matrix) noSecrets() {
	_, metrics, err := send(m.t, "GET", m.URL+"/metrics", "", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	for where, text := range map[string]string{"log": m.log.String(), "metrics": metrics} {
		for _, secret := range append(m.secrets, canary) {
			if i := strings.Index(text, secret); i >= 0 {
				m.t.Errorf("a secret is in the %s: %.300s", where, text[max(0, i-200):])
			}
		}
	}
	if strings.Count(m.log.String(), `"msg":"request"`) < 1000 {
		m.t.Error("the log does not hold the requests")
	}
}
