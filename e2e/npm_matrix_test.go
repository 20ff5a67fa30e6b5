package e2e

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// npm.md cases 1, 3, 4 and 18: every client publishes a scoped package, and every client
// installs what all of them published. Lock files hold the sum of the very bytes that
// were published, and each spelling of a scoped name leads to the same.
func TestNPMClientMatrix(t *testing.T) {
	tools := installedTools(t)
	s := startServer(t)
	makeStore(t, s, "main", "store")
	base, token := s.base("npm", "main", "store"), s.token("main")

	t.Run("publish", func(t *testing.T) {
		for _, c := range tools {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				home := toolHome(t, base, token)
				dir := project(t, map[string]any{"name": "@matrix/from-" + c.name, "version": "1.0.0", "license": "MIT"},
					map[string]string{"index.js": "module.exports = " + fmt.Sprintf("%q", c.name)})
				for _, args := range c.publish {
					c.must(t, home, dir, args...)
				}
			})
		}
	})
	if t.Failed() {
		return
	}

	dependencies, integrity := map[string]string{}, map[string]string{}
	for _, c := range tools {
		name := "@matrix/from-" + c.name
		dependencies[name] = "^1.0.0"
		integrity[c.name] = published100(t, base, token, name)
	}
	t.Run("install", func(t *testing.T) {
		for _, c := range tools {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				dir := app(t, dependencies)
				c.must(t, toolHome(t, base, token), dir, c.install...)
				lock := readFile(t, dir, c.lock)
				for publisher, sum := range integrity {
					if got := readFile(t, dir, "node_modules/@matrix/from-"+publisher, "index.js"); got != fmt.Sprintf("module.exports = %q", publisher) {
						t.Errorf("what %s published reads %q", publisher, got)
					}
					if c.plain && !strings.Contains(lock, sum) {
						t.Errorf("the lock file lacks %s of what %s published:\n%s", sum, publisher, lock)
					}
				}
			})
		}
	})
}

// published100 checks the documents of version 1.0.0 of a scoped package in every
// spelling, and returns the integrity of its archive.
func published100(t *testing.T, base, token, name string) string {
	t.Helper()
	scope, unscoped, _ := strings.Cut(name, "/")
	file := unscoped + "-1.0.0.tgz"
	same := func(paths ...string) []byte {
		t.Helper()
		var first []byte
		for i, p := range paths {
			status, body := do(t, http.MethodGet, base+p, token, nil)
			if i == 0 {
				first = body
			}
			if status != http.StatusOK || string(body) != string(first) {
				t.Fatalf("%s: status %d, %d bytes; want 200 and the %d bytes of %s", p, status, len(body), len(first), paths[0])
			}
		}
		return first
	}
	tgz := same(name+"/-/"+file, scope+"%2f"+unscoped+"/-/"+file, scope+"%2F"+unscoped+"/-/"+file,
		name+"/-/"+scope+"/"+file, name+"/-/"+scope+"%2f"+file)
	same(name+"/1.0.0", scope+"%2f"+unscoped+"/1.0.0", scope+"%2F"+unscoped+"/latest")
	doc := decode[struct {
		Rev      string `json:"_rev"`
		Time     map[string]string
		Versions map[string]struct {
			Dist struct{ Tarball, Integrity string }
		}
	}](t, same(name, scope+"%2f"+unscoped, scope+"%2F"+unscoped))
	sum := sha512.Sum512(tgz)
	want := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	d := doc.Versions["1.0.0"].Dist
	if d.Integrity != want || d.Tarball != base+name+"/-/"+file || doc.Rev == "" ||
		doc.Time["1.0.0"] == "" || doc.Time["created"] == "" || doc.Time["modified"] == "" {
		t.Errorf("packument of %s: %+v, want integrity %s and the tarball below %s", name, doc, want, base)
	}
	return want
}
