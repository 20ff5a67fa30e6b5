package httpx_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/httpx"
)

func router(t testing.TB, rows ...string) *httpx.Router[string] {
	t.Helper()
	var r httpx.Router[string]
	for _, row := range rows {
		method, pattern, _ := strings.Cut(row, " ")
		if err := r.Add([]string{method}, pattern, row); err != nil {
			t.Fatal(err)
		}
	}
	return &r
}

func TestRouterFind(t *testing.T) {
	r := router(t, "GET /", "GET /-/ping", "GET /{@name}", "PUT /{@name}", "GET /{@name}/{version}", "GET /{@name}/-/{file}",
		"GET /{@name}/-/extra/{path...}", "GET /simple/", "GET /v2/{image...}/manifests/{ref}", "GET /v2/{image...}/tags/list",
		"GET /gen/{ns}/latest/{path...}", "PUT /gen/{ns}/{version}/{path...}")
	type vars = map[string]string
	for _, tt := range []struct {
		name, method, path string
		want               string // row; "" for none
		vars               vars
		allow              string
	}{
		{name: "the base", method: "GET", path: "/", want: "GET /"},
		{name: "HEAD goes where GET goes", method: "HEAD", path: "/-/ping", want: "GET /-/ping"},
		{name: "a literal beats a variable", method: "GET", path: "/-/ping", want: "GET /-/ping"},
		{name: "a plain name", method: "GET", path: "/box", want: "GET /{@name}", vars: vars{"name": "box"}},
		{name: "a scoped name, slash encoded", method: "GET", path: "/@a%2fbox", want: "GET /{@name}", vars: vars{"name": "@a/box"}},
		{name: "a scoped name, at sign encoded too", method: "GET", path: "/%40a%2Fbox", want: "GET /{@name}", vars: vars{"name": "@a/box"}},
		{name: "a scoped name in two segments", method: "GET", path: "/@a/box", want: "GET /{@name}", vars: vars{"name": "@a/box"}},
		{name: "a scoped name and a version", method: "GET", path: "/@a/box/1.0.0", want: "GET /{@name}/{version}", vars: vars{"name": "@a/box", "version": "1.0.0"}},
		{name: "a tarball", method: "GET", path: "/@a%2fbox/-/box-1.tgz", want: "GET /{@name}/-/{file}", vars: vars{"name": "@a/box", "file": "box-1.tgz"}},
		{name: "many segments at the end", method: "GET", path: "/box/-/extra/a/b/c", want: "GET /{@name}/-/extra/{path...}", vars: vars{"name": "box", "path": "a/b/c"}},
		{name: "many segments before a literal", method: "GET", path: "/v2/a/b/c/manifests/sha256:00", want: "GET /v2/{image...}/manifests/{ref}", vars: vars{"image": "a/b/c", "ref": "sha256:00"}},
		{name: "the end decides between open patterns", method: "GET", path: "/v2/manifests/tags/list", want: "GET /v2/{image...}/tags/list", vars: vars{"image": "manifests"}},
		{name: "a trailing slash is part of a pattern", method: "GET", path: "/simple/", want: "GET /simple/"},
		{name: "a known path and another method", method: "DELETE", path: "/box", allow: "GET HEAD PUT"},
		{name: "a method that only a less specific row takes", method: "PUT", path: "/gen/n/latest/f", want: "PUT /gen/{ns}/{version}/{path...}", vars: vars{"ns": "n", "version": "latest", "path": "f"}},
		{name: "an unknown path", method: "GET", path: "/box/1/2/3"},
		{name: "a scope alone is no name", method: "GET", path: "/@a"},
		{name: "an encoded slash in a plain name", method: "GET", path: "/a%2fbox"},
		{name: "an encoded slash in a file", method: "GET", path: "/box/-/a%2fb"},
		{name: "two encoded slashes in a name", method: "GET", path: "/@a%2fb%2fc"},
		{name: "an encoded slash in an open variable", method: "GET", path: "/gen/n/latest/a%2fb"},
		{name: "a variable is never empty", method: "GET", path: "/box/"},
		{name: "an open variable does not end in a slash", method: "GET", path: "/gen/n/latest/f/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			segs, err := httpx.SplitPath(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			m, allow, ok := r.Find(tt.method, segs)
			if m.Value != tt.want || ok != (tt.want != "") || strings.Join(allow, " ") != tt.allow {
				t.Fatalf("Find = %q, allow %v, %v; want %q, allow %q", m.Value, allow, ok, tt.want, tt.allow)
			}
			if ok && !maps.Equal(m.Vars(), tt.vars) {
				t.Fatalf("variables %v, want %v", m.Vars(), tt.vars)
			}
		})
	}
}

func TestRouterRefusesBadRows(t *testing.T) {
	for _, tt := range []struct{ name, first, second string }{
		{"the same shape under other names", "GET /{a}/{b}", "GET /{x}/{y}"},
		{"GET and HEAD are one", "GET /a", "HEAD /a"},
		{"no slash at the start", "GET a", ""},
		{"text mixed with a variable", "GET /a{b}", ""},
		{"two open variables", "GET /{a...}/x/{b...}", ""},
		{"a scoped name behind an open variable", "GET /{a...}/{@b}", ""},
		{"one name twice", "GET /{a}/{a}", ""},
		{"an empty segment", "GET /a//b", ""},
		{"an unclosed variable", "GET /{a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r httpx.Router[int]
			var err error
			for _, row := range []string{tt.first, tt.second} {
				if method, pattern, ok := strings.Cut(row, " "); ok && err == nil {
					err = r.Add([]string{method}, pattern, 0)
				}
			}
			if err == nil {
				t.Fatal("taken")
			}
		})
	}
}

// FuzzRouter: what a pattern matched, put back into the pattern, is the path again.
func FuzzRouter(f *testing.F) {
	for _, p := range []string{"/", "/@a%2fb/-/c.tgz", "/@a/b", "/x/manifests/y", "/gen/a/b/c/d", "/simple/"} {
		f.Add(p)
	}
	r := router(f, "GET /", "GET /{@name}", "GET /{@name}/-/{file}", "GET /{a...}/manifests/{ref}", "GET /gen/{ns}/{path...}", "GET /simple/")
	f.Fuzz(func(t *testing.T, path string) {
		segs, err := httpx.SplitPath(path)
		if err != nil {
			return
		}
		m, _, ok := r.Find("GET", segs)
		if !ok {
			return
		}
		_, pattern, _ := strings.Cut(m.Value, " ")
		for name, v := range m.Vars() {
			if v == "" {
				t.Fatalf("%s of %q is empty", name, path)
			}
			for _, form := range []string{"{" + name + "}", "{@" + name + "}", "{" + name + "...}"} {
				pattern = strings.Replace(pattern, form, v, 1)
			}
		}
		var texts []string
		for _, s := range segs {
			texts = append(texts, s.Text)
		}
		if want := "/" + strings.Join(texts, "/"); pattern != want {
			t.Fatalf("%q put back is %q, want %q", path, pattern, want)
		}
	})
}
