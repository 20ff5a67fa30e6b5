package ops

import (
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// found searches as somebody and returns "name@version" of the hits.
func (e *env) found(who packhouse.Principal, r packhouse.RepoRef, text string) (hits []string) {
	e.t.Helper()
	got, err := e.s.Search(e.ctx, who, format.Query{Repo: r, Format: tagFormat, Text: text, Size: 20})
	e.must(err)
	for _, h := range got.List {
		hits = append(hits, h.Package.Name+"@"+h.Version.Ref.Version)
	}
	return hits
}

// What a search shows is what a View of the repository shows (codeartifact.md 3.1, 3.7),
// and a statement that denies a package hides it (reliability.md S20).
func TestSearchShowsWhatTheRepositoryShows(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	shared := e.repo(d, "shared")
	team := e.repo(d, "team", "shared")
	e.publish(in(shared, "lib-one"), "1.0.0", "one")
	e.publish(in(shared, "lib-two"), "1.0.0", "two")
	e.publish(in(team, "lib-own"), "1.0.0", "own")
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: found %q, want %q", what, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: found %q, want %q", what, got, want)
			}
		}
	}
	want("own repository first, then upstreams", e.found(e.admin, team, "lib"), "lib-own@1.0.0", "lib-one@1.0.0", "lib-two@1.0.0")
	want("nothing of downstreams", e.found(e.admin, shared, "lib"), "lib-one@1.0.0", "lib-two@1.0.0")

	// The own record is closed to upstreams: what lies there does not count.
	_, err := e.s.PutControls(e.ctx, e.admin, in(team, "lib-one"), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	e.must(err)
	want("a closed package", e.found(e.admin, team, "one"))
	want("where it lies it is found", e.found(e.admin, shared, "one"), "lib-one@1.0.0")

	// A nearer record of the same version decides, also by hiding it.
	_, err = e.s.CopyVersions(e.ctx, e.admin, CopyVersions{Domain: d, Source: "shared", Destination: "team", Package: in(shared, "lib-two").Package, Versions: []string{"1.0.0"}})
	e.must(err)
	want("one hit of a name", e.found(e.admin, team, "two"), "lib-two@1.0.0")
	e.must(e.s.Amend(e.ctx, e.admin, in(team, "lib-two"), format.Amendments{Versions: []format.Amendment{{Version: "1.0.0", Status: packhouse.Archived}}}))
	want("hidden by the nearer record", e.found(e.admin, team, "two"))

	reader := e.allowed("reader", `{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"codeartifact:*","Resource":"arn:aws:codeartifact:*:*:package/main/shared/*lib-two"}`)
	want("a denied package", e.found(reader, shared, "lib"), "lib-one@1.0.0")

	_, err = e.s.Search(e.ctx, e.admin, format.Query{Repo: team, Format: tagFormat, Text: "x", From: 990, Size: 20})
	e.wantError(err, packhouse.KindInvalid, "invalid_search")
	_, err = e.s.Search(e.ctx, e.admin, format.Query{Repo: packhouse.RepoRef{Domain: d, Name: "absent"}, Format: tagFormat, Text: "x", Size: 20})
	e.wantError(err, packhouse.KindNotFound, "")
}

func TestStars(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	pkg := in(r, "lib")
	e.publish(pkg, "1.0.0", "bytes")
	reader := e.allowed("reader", `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	e.must(e.s.Star(e.ctx, reader, pkg, true))
	names, err := e.s.Starred(e.ctx, e.admin, r, tagFormat, "reader")
	if e.must(err); len(names) != 1 || names[0] != pkg.Package {
		t.Errorf("stars of reader: %v", names)
	}
	readOnly := reader
	readOnly.Scope.ReadOnly = true
	e.wantError(e.s.Star(e.ctx, readOnly, pkg, false), packhouse.KindDenied, "read_only_credential")
	e.wantError(e.s.Star(e.ctx, reader, in(r, "absent"), true), packhouse.KindNotFound, "")
	e.must(e.s.Star(e.ctx, reader, pkg, false))
	if names, err = e.s.Starred(e.ctx, reader, r, tagFormat, ""); err != nil || len(names) != 0 {
		t.Errorf("stars after taking back: %v, %v", names, err)
	}
}
