package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/identity"
)

// otherAccount has users of its own, and no policy of the first account names it.
const otherAccount packhouse.AccountID = "444455556666"

// stranger makes a user of another account with a policy, "" for none, and returns its
// access key and a long-lived token.
func (m *matrix) stranger(name, document string) (client.Config, string) {
	m.t.Helper()
	made, err := identity.CreateUser(m.t.Context(), m.store.Catalog, packhouse.Principal{}, identity.NewUser{Account: otherAccount, Name: name, Document: document})
	if err != nil {
		m.t.Fatal(err)
	}
	token, err := identity.CreateToken(m.t.Context(), m.store.Catalog, packhouse.Principal{}, otherAccount, name, identity.NewToken{Name: "ci", Kind: identity.TokenAutomation})
	if err != nil {
		m.t.Fatal(err)
	}
	return client.Config{Endpoint: m.URL, Region: "us-east-1", AccessKeyID: made.KeyID, Secret: made.Secret}, token
}

// spot is a package somewhere; there is one that exists, and others of which the domain,
// the repository or the package does not.
type spot struct{ domain, repo, pkg string }

var (
	existing = spot{"acme", "team", "box"}
	absent   = map[string]spot{"domain": {"absentdomain", "team", "box"}, "repository": {"acme", "absentrepo", "box"}, "package": {"acme", "team", "absentbox"}}
)

// renamed gives an answer about an absent spot the existing one's names.
func renamed(answer string, from spot) string {
	return strings.NewReplacer(from.domain, existing.domain, from.repo, existing.repo, from.pkg, existing.pkg).Replace(answer)
}

// A second account without grants gets the same answer, up to the names that it gave
// itself, whether a domain, a repository or a package exists or not: of all operations and
// of all routes of the package protocols, also where its own policies allow everything
// (reliability.md S12, S16).
func TestStrangersLearnNothing(t *testing.T) {
	m := newMatrix(t)
	err := m.store.Catalog.Update(t.Context(), func(tx *catalog.Tx) error { return tx.InsertAccount(t.Context(), otherAccount, "other") })
	if err != nil {
		t.Fatal(err)
	}
	m.publish(t, m.tokens["publish"]["domain token"], existing.pkg, "1.0.0")
	query, body := members("CreatePackageGroup", existing.domain, existing.repo, existing.pkg)
	c, err := client.New(m.keys["admin"])
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []struct{ method, path string }{{"POST", "/v1/package-group"}, {"PUT", "/v1/repository/permissions/policy"}} {
		body["policyDocument"] = `{"Statement":{"Effect":"Deny","Principal":"*","Action":"codeartifact:DescribePackage","Resource":"*"}}`
		if err := c.Call(t.Context(), call.method, call.path, query, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, document := range map[string]string{"nobody": "", "chief": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`} {
		key, token := m.stranger(name, document)
		t.Run("operations as "+name, func(t *testing.T) { m.strangerCalls(t, key) })
		t.Run("package protocols as "+name, func(t *testing.T) { m.strangerPulls(t, token) })
	}
}

// ofOwnAccount are the operations about the caller's own account: they name nobody
// else's domain.
var ofOwnAccount = map[string]bool{"CreateDomain": true, "ListDomains": true, "ListRepositories": true}

func (m *matrix) strangerCalls(t *testing.T, key client.Config) {
	c, err := client.New(key)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(row []string, at spot) (status int, kind, body string) {
		query, members := members(row[0], at.domain, at.repo, at.pkg)
		header := http.Header{"Content-Type": {"application/json"}}
		content, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if row[0] == "PublishPackageVersion" {
			query.Set("format", "generic")
			query.Set("namespace", "space")
			sum := sha256.Sum256(content)
			header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		}
		query.Set("domain-owner", firstAccount)
		if row[0] == "PutDomainPermissionsPolicy" {
			members["domainOwner"] = firstAccount
			if content, err = json.Marshal(members); err != nil {
				t.Fatal(err)
			}
		}
		answer, err := c.Send(t.Context(), row[1], row[2], query, header, content)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status, answer.Header.Get("X-Amzn-Errortype"), string(answer.Body)
	}
	for _, row := range operationRows(t) {
		if ofOwnAccount[row[0]] {
			continue
		}
		status, kind, body := ask(row, existing)
		if status != http.StatusForbidden || kind != "AccessDeniedException" {
			t.Errorf("%s of what exists: %d %s %s, want 403 AccessDeniedException", row[0], status, kind, body)
		}
		for what, at := range absent {
			s, k, b := ask(row, at)
			if b = renamed(b, at); s != status || k != kind || b != body {
				t.Errorf("%s of an absent %s: %d %s %s\nof one that exists: %d %s %s", row[0], what, s, k, b, status, kind, body)
			}
		}
	}
}

func (m *matrix) strangerPulls(t *testing.T, token string) {
	for _, f := range formats.All() {
		id := f.Spec().ID
		ask := func(base, method, below, body string) (int, string) {
			r, err := http.NewRequestWithContext(t.Context(), method, base+below+"?action=publish", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(answer)
		}
		base := func(at spot) string {
			return m.URL + path.Join("/", string(id), "d", at.domain+"-"+firstAccount, url.PathEscape(at.repo))
		}
		for _, rt := range f.Routes(nil) {
			if rt.Anonymous {
				continue
			}
			for _, method := range rt.Methods {
				below, content := fillRoute(id, rt, method, existing.pkg)
				status, body := ask(base(existing), method, below, content)
				required, exception := needs[string(id)+" "+rt.Name]
				if asks := !exception || len(required) > 0; asks && status != http.StatusForbidden {
					t.Errorf("%s %s (%s) of what exists: %d %s, want 403", id, rt.Name, method, status, body)
				}
				for what, at := range absent {
					below, content := fillRoute(id, rt, method, at.pkg)
					s, b := ask(base(at), method, below, content)
					if b = renamed(b, at); s != status || b != body {
						t.Errorf("%s %s (%s) of an absent %s: %d %s\nof one that exists: %d %s", id, rt.Name, method, what, s, b, status, body)
					}
				}
			}
		}
	}
}
