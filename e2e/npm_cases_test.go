package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// Where each acceptance case of npm.md 8 is tested, with real clients unless it says
// otherwise. Scripts are those of testdata/script.
//
//	 1  npm_publish.txtar; TestNPMClientMatrix reads time, _rev, sum and tarball address
//	 2  npm_publish.txtar; TestNPMRefusalsNameCauseAndRemedy for each client;
//	    TestNPMRepeatedPublish
//	 3  TestNPMClientMatrix
//	 4  TestNPMClientMatrix
//	 5  TestNPMAsksConditionally
//	 6  TestNPMTamperedBytes, TestScrubFindsDamageByItself
//	 7  npm_publish.txtar
//	 8  npm_publish.txtar, TestNPMDeprecation
//	 9  npm_publish.txtar, TestNPMUnpublish
//	10  npm_login.txtar, npm_login_legacy.txtar
//	11  npm_login_legacy.txtar
//	12  who_may.txtar, TestNPMRefusalsNameCauseAndRemedy
//	13  pull_through.txtar, npm_signatures.txtar
//	14  pull_through.txtar, TestUpstreamFaultsOfAnIndex, TestNPMRefusalsNameCauseAndRemedy
//	15  private_names.txtar
//	16  TestHostileArchives, TestHostileDocuments, raw, because no client sends such things
//	17  TestMemoryOfAnEnormousPackument, raw, because fifty clients would measure themselves
//	18  TestNPMClientMatrix
//	19  TestNPMLockFilesOfAnotherRegistry
//	20  lifecycle.txtar, TestNPMStatuses
//
// And the complaints of npm.md 7:
//
//	No time field                           TestNPMClientMatrix; pull_through.txtar for pulled ones
//	dist.signatures on the version endpoint TestNPMVersionDocument
//	304 of the upstream                     TestUpstreamCaches
//	New versions invisible                  TestMissingVersionIsAskedForOnceMore in internal/resolve
//	No prefer-cache mode                    tests of stale answers in internal/index and internal/resolve
//	unpublish of scoped packages            npm_publish.txtar, TestNPMUnpublish
//	author: ""                              TestNPMVersionDocument
//	login writes always-auth, workspaces    TestPackhouseLoginOfEachClient, TestAlwaysAuthIsForYarn1 in internal/format/npm
//	Full documents differ from short ones   TestNPMVersionDocument
//	Supply-chain delay                      cooldown.txtar, TestCooldown in internal/resolve

// The list above names only what is there.
func TestNPMCaseListIsTrue(t *testing.T) { caseListIsTrue(t, "npm_cases_test.go", 20) }

// npmRepository is a server with one repository, its base and a token.
func npmRepository(t *testing.T, packages ...npmPackage) (s *server, base, token string) {
	t.Helper()
	s = startServer(t)
	makeStore(t, s, "main", "store")
	base, token = s.base("npm", "main", "store"), s.token("main")
	for _, p := range packages {
		s.publish(t, base, token, p)
	}
	return s, base, token
}

// setStatus sets the status of a version of @acme/foo.
func (s *server) setStatus(t *testing.T, version string, status types.PackageVersionStatus) {
	t.Helper()
	out, err := s.sdk().UpdatePackageVersionsStatus(context.Background(), &codeartifact.UpdatePackageVersionsStatusInput{
		Domain: aws.String("main"), Repository: aws.String("store"), Format: types.PackageFormatNpm, Namespace: aws.String("acme"),
		Package: aws.String("foo"), Versions: []string{version}, TargetStatus: status})
	if err != nil || len(out.FailedVersions) > 0 {
		t.Fatalf("set %s to %s: %v, %v", version, status, err, out)
	}
}

// npm.md case 2: identical bytes again change nothing, and other bytes are refused.
func TestNPMRepeatedPublish(t *testing.T) {
	p := npmPackage{Name: "@acme/foo", Version: "1.0.0"}
	s, base, token := npmRepository(t, p)
	_, before := do(t, http.MethodGet, base+"@acme%2ffoo", token, nil)
	s.publish(t, base, token, p)
	if _, after := do(t, http.MethodGet, base+"@acme%2ffoo", token, nil); !bytes.Equal(before, after) {
		t.Errorf("identical bytes again changed the packument from\n%s\nto\n%s", before, after)
	}
	p.Files = map[string]string{"other.js": "other"}
	if status, body := do(t, http.MethodPut, base+"@acme%2ffoo", token, p.publishDoc(t, p.tarball(t))); status != http.StatusConflict {
		t.Errorf("other bytes: %d %s, want 409", status, body)
	}
}

// npm.md case 5: what a client has it asks for conditionally, and gets 304.
func TestNPMAsksConditionally(t *testing.T) {
	tools := installedTools(t)
	s, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0"})
	for _, c := range tools {
		if !strings.HasPrefix(c.name, "npm") {
			continue
		}
		home := toolHome(t, base, token)
		for _, more := range []bool{false, true} {
			had := strings.Count(s.log.String(), `"status":304`)
			c.must(t, home, home, "view", "@acme/foo", "version", "--prefer-online")
			eventually(t, "the request to be logged", func() bool { return strings.Contains(s.log.String(), `"op":"packument"`) })
			if got := strings.Count(s.log.String(), `"status":304`) - had; (got > 0) != more {
				t.Errorf("%s view got %d answers of 304; with something kept: %v", c.name, got, more)
			}
		}
	}
}

// npm.md case 6: bytes that changed on the way are found by the client, bytes that changed
// in the store by the server, which then sends none of them.
func TestNPMTamperedBytes(t *testing.T) {
	s, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0"})

	t.Run("on the way", func(t *testing.T) {
		var proxy *httptest.Server
		target, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy = httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target) // and the server's own Host
				r.Out.Header.Del("Accept-Encoding")
			},
			ModifyResponse: func(resp *http.Response) error {
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					return err
				}
				if strings.HasSuffix(resp.Request.URL.Path, ".tgz") {
					body[len(body)/2] ^= 1
				} else {
					body = bytes.ReplaceAll(body, []byte(s.URL), []byte(proxy.URL))
				}
				resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
				return nil
			},
		})
		t.Cleanup(proxy.Close)
		refusal{client: "npm", home: toolHome(t, strings.Replace(base, s.URL, proxy.URL, 1), token), dir: app(t, nil),
			args: []string{"install", "@acme/foo"}, says: []string{"EINTEGRITY"}}.check(t)
	})

	t.Run("in the store", s.damaged)
}

// npm.md case 8: a deprecation is shown to who installs, until it is taken back.
func TestNPMDeprecation(t *testing.T) {
	tools := installedTools(t)
	_, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0"})
	for _, text := range []string{"use bar instead", ""} {
		home := toolHome(t, base, token)
		tool(t, "npm").must(t, home, home, "deprecate", "@acme/foo@1.0.0", text)
		t.Run("deprecated: "+text, func(t *testing.T) {
			for _, c := range tools {
				if c.name == "bun" || c.name == "yarn4" {
					continue // show no deprecations while they install
				}
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					out := c.must(t, toolHome(t, base, token), app(t, map[string]string{"@acme/foo": "1.0.0"}), c.install...)
					if got := strings.Contains(out, "use bar instead") || strings.Contains(out, "deprecated @acme/foo"); got != (text != "") {
						t.Errorf("deprecated with %q, %s printed\n%s", text, c.name, out)
					}
				})
			}
		})
	}
}

// npm.md case 9: what was unpublished is gone, archive too, and its number stays taken.
func TestNPMUnpublish(t *testing.T) {
	tools := installedTools(t)
	var packages []npmPackage
	for _, c := range tools {
		packages = append(packages, npmPackage{Name: "@acme/" + c.name, Version: "1.0.0"}, npmPackage{Name: "@acme/" + c.name, Version: "1.1.0"})
	}
	_, base, token := npmRepository(t, packages...)
	for _, c := range tools {
		if !strings.HasPrefix(c.name, "npm") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := toolHome(t, base, token)
			c.must(t, home, home, "unpublish", "@acme/"+c.name+"@1.0.0")
			for version, want := range map[string]int{"1.0.0": http.StatusNotFound, "1.1.0": http.StatusOK} {
				if status, _ := do(t, http.MethodGet, base+"@acme/"+c.name+"/-/"+c.name+"-"+version+".tgz", token, nil); status != want {
					t.Errorf("archive of %s: %d, want %d", version, status, want)
				}
			}
			p := npmPackage{Name: "@acme/" + c.name, Version: "1.0.0", Files: map[string]string{"new.js": "1"}}
			if status, body := do(t, http.MethodPut, base+"@acme%2f"+c.name, token, p.publishDoc(t, p.tarball(t))); status != http.StatusConflict {
				t.Errorf("publishing 1.0.0 again: %d %s, want 409", status, body)
			}
			c.must(t, home, home, "unpublish", "--force", "@acme/"+c.name)
			if status, _ := do(t, http.MethodGet, base+"@acme%2f"+c.name, token, nil); status != http.StatusNotFound {
				t.Errorf("packument after unpublishing all: %d, want 404", status)
			}
		})
	}
}

// npm.md case 20: what is Unlisted is not chosen and goes on working where a lock file has
// it; what is Archived does not, and the client says why.
func TestNPMStatuses(t *testing.T) {
	tools := installedTools(t)
	s, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0"}, npmPackage{Name: "@acme/foo", Version: "1.1.0"})
	locked := map[string]string{}
	for _, c := range tools {
		if strings.HasPrefix(c.name, "npm") {
			locked[c.name] = app(t, map[string]string{"@acme/foo": "^1.0.0"})
			c.must(t, toolHome(t, base, token), locked[c.name], "install")
		}
	}
	s.setStatus(t, "1.1.0", types.PackageVersionStatusUnlisted)
	t.Run("Unlisted", func(t *testing.T) {
		for _, c := range tools {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				dir := app(t, map[string]string{"@acme/foo": "^1.0.0"})
				c.must(t, toolHome(t, base, token), dir, c.install...)
				if got := installedVersion(t, dir); got != "1.0.0" {
					t.Errorf("a fresh install chose %s, want 1.0.0", got)
				}
				if dir := locked[c.name]; dir != "" {
					c.must(t, toolHome(t, base, token), dir, "ci")
					if got := installedVersion(t, dir); got != "1.1.0" {
						t.Errorf("npm ci installed %s, want the locked 1.1.0", got)
					}
				}
			})
		}
	})
	s.setStatus(t, "1.1.0", types.PackageVersionStatusArchived)
	t.Run("Archived", func(t *testing.T) {
		for name, dir := range locked {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				refusal{client: name, home: toolHome(t, base, token), dir: dir, args: []string{"ci"},
					says: []string{"E404", "version 1.1.0 of package @acme/foo is Archived"}}.check(t)
			})
		}
	})
}

func installedVersion(t *testing.T, dir string) string {
	t.Helper()
	return decode[struct{ Version string }](t, []byte(readFile(t, dir, "node_modules", "@acme", "foo", "package.json"))).Version
}

// npm.md case 19: a lock file that was made against another registry, whose address has
// no path before the names, leads to this repository, which has one. npm does so for the
// public registry by itself, and for any other when it is told its host.
func TestNPMLockFilesOfAnotherRegistry(t *testing.T) {
	tools := installedTools(t)
	_, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0"}, npmPackage{Name: "plain", Version: "1.0.0"})
	for _, c := range tools {
		if !strings.HasPrefix(c.name, "npm") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home, dir := toolHome(t, base, token), app(t, map[string]string{"@acme/foo": "1.0.0", "plain": "1.0.0"})
			c.must(t, home, dir, "install", "--package-lock-only")
			lock := readFile(t, dir, c.lock)
			if n := strings.Count(lock, base); n < 2 {
				t.Fatalf("the lock file has %d addresses below %s:\n%s", n, base, lock)
			}
			writeFiles(t, dir, map[string]string{c.lock: strings.ReplaceAll(lock, base, "http://registry.example/")})
			c.must(t, toolHome(t, base, token), dir, "ci", "--replace-registry-host=registry.example")
			if got := installedVersion(t, dir); got != "1.0.0" {
				t.Errorf("installed %s, want 1.0.0", got)
			}
		})
	}
}

// npm.md 7: the manifest of a version says the same at its own address, in the packument
// and in the short form; odd fields that clients send do not stop a publish.
func TestNPMVersionDocument(t *testing.T) {
	odd := map[string]any{"author": "", "keywords": "one", "license": map[string]any{"type": "MIT"}, "bugs": 7,
		"dependencies": map[string]string{"bar": "^1.0.0"}, "libc": []string{"glibc"}, "scripts": map[string]string{"install": "true"}}
	_, base, token := npmRepository(t, npmPackage{Name: "@acme/foo", Version: "1.0.0", Manifest: odd})
	get := func(path, accept string) map[string]any {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s, %v", path, resp.StatusCode, b, err)
		}
		return decode[map[string]any](t, b)
	}
	version := func(doc map[string]any) map[string]any {
		return doc["versions"].(map[string]any)["1.0.0"].(map[string]any)
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	own, full := get("@acme%2ffoo/1.0.0", "application/json"), get("@acme%2ffoo", "application/json")
	short := get("@acme%2ffoo", "application/vnd.npm.install-v1+json")
	if text(own) != text(version(full)) {
		t.Errorf("the version's own document differs from the packument's:\n%s\n%s", text(own), text(version(full)))
	}
	for key, value := range version(short) {
		if key != "hasInstallScript" && text(value) != text(own[key]) {
			t.Errorf("%s is %s in the short form and %s in the full one", key, text(value), text(own[key]))
		}
	}
	for _, key := range []string{"dist", "dependencies", "libc", "hasInstallScript"} {
		if version(short)[key] == nil {
			t.Errorf("the short form lacks %s: %s", key, text(version(short)))
		}
	}
	if text(short["time"]) != text(full["time"]) {
		t.Errorf("time is %s in the short form and %s in the full one", text(short["time"]), text(full["time"]))
	}
}
