package ops

import (
	"fmt"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
)

// Case 001-5.
func TestRepositoryLife(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	ref := packhouse.RepoRef{Domain: d, Name: "Team.Repo_1"}
	made, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: ref, Description: "first"})
	e.must(err)
	if made.Ref != ref || made.Description != "first" || made.Administrator != ours || len(made.Upstreams)+len(made.Connections) != 0 {
		t.Errorf("made %+v", made)
	}
	_, err = e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: ref})
	e.wantError(err, packhouse.KindConflict, "repository_exists")
	text := "second"
	_, err = e.s.UpdateRepository(e.ctx, e.admin, ref, &text, nil)
	e.must(err)
	seen, err := e.s.Repository(e.ctx, e.admin, ref)
	e.must(err)
	if seen.Description != "second" || seen.ID != made.ID || !seen.Created.Equal(made.Created) {
		t.Errorf("described %+v", seen)
	}
	e.publish(in(ref, "lib"), "1.0.0", "some bytes")
	if e.size(d) != 10 {
		t.Errorf("domain holds %d bytes, want 10", e.size(d))
	}
	gone, err := e.s.DeleteRepository(e.ctx, e.admin, ref)
	e.must(err)
	if gone.Description != "second" {
		t.Errorf("deleted %+v", gone)
	}
	_, err = e.s.Repository(e.ctx, e.admin, ref)
	e.wantError(err, packhouse.KindNotFound, "repository_not_found")
	if e.size(d) != 0 {
		t.Errorf("domain holds %d bytes after its only repository is gone", e.size(d))
	}
	e.repo(d, ref.Name)
	list, _, err := e.s.Packages(e.ctx, e.admin, ref, PackageQuery{}, Page{})
	e.must(err)
	if len(list) != 0 {
		t.Errorf("a new repository of the same name starts with %v", list)
	}
}

func TestUpstreamRules(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	e.repo(d, "base")
	e.repo(d, "middle", "base")
	top := e.repo(d, "top", "middle")
	for sentence, row := range map[string]struct {
		repo      string
		upstreams []string
		kind      packhouse.Kind
		reason    string
	}{
		"an upstream that does not exist": {"base", []string{"absent"}, packhouse.KindNotFound, "repository_not_found"},
		"itself":                          {"base", []string{"base"}, packhouse.KindInvalid, "upstream_self"},
		"one upstream twice":              {"top", []string{"base", "base"}, packhouse.KindInvalid, "upstream_duplicate"},
		"a circle of two":                 {"base", []string{"middle"}, packhouse.KindInvalid, "upstream_cycle"},
		"a circle of three":               {"base", []string{"top"}, packhouse.KindInvalid, "upstream_cycle"},
		"eleven upstreams":                {"top", []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "aa"}, packhouse.KindQuotaExceeded, "direct_upstreams"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := e.s.UpdateRepository(e.ctx, e.admin, packhouse.RepoRef{Domain: d, Name: row.repo}, nil, &row.upstreams)
			e.wantError(err, row.kind, row.reason)
		})
	}
	_, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "new"}, Upstreams: []string{"absent"}})
	e.wantError(err, packhouse.KindNotFound, "repository_not_found")
	_, err = e.s.Repository(e.ctx, e.admin, packhouse.RepoRef{Domain: d, Name: "new"})
	e.wantError(err, packhouse.KindNotFound, "") // nothing of it was made

	updated, err := e.s.UpdateRepository(e.ctx, e.admin, top, nil, &[]string{"base", "middle"})
	e.must(err)
	if !slices.Equal(updated.Upstreams, []string{"base", "middle"}) {
		t.Errorf("upstreams %v, want them replaced, in order", updated.Upstreams)
	}
	text := "kept"
	updated, err = e.s.UpdateRepository(e.ctx, e.admin, top, &text, nil)
	e.must(err)
	if len(updated.Upstreams) != 2 {
		t.Errorf("upstreams %v after an update without them", updated.Upstreams)
	}
	updated, err = e.s.UpdateRepository(e.ctx, e.admin, top, nil, &[]string{})
	e.must(err)
	if len(updated.Upstreams) != 0 || updated.Description != "kept" {
		t.Errorf("updated %+v, want no upstreams and the old description", updated)
	}
}

func TestDeletedUpstreamLeavesTheLists(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	base := e.repo(d, "base")
	top := e.repo(d, "top", "base")
	_, err := e.s.Repository(e.ctx, e.admin, top) // warm
	e.must(err)
	_, err = e.s.DeleteRepository(e.ctx, e.admin, base)
	e.must(err)
	seen, err := e.s.Repository(e.ctx, e.admin, top)
	e.must(err)
	if len(seen.Upstreams) != 0 {
		t.Errorf("upstreams %v after the upstream is gone", seen.Upstreams)
	}
}

func TestCreateRepositoryNeedsRights(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	e.repo(d, "base")
	const create = `{"Effect":"Allow","Action":"codeartifact:CreateRepository","Resource":"*"}`
	tags := []packhouse.ResourceTag{{Key: "team", Value: "a"}}
	for sentence, row := range map[string]struct {
		who  packhouse.Principal
		in   CreateRepository
		kind packhouse.Kind // KindInternal for success
	}{
		"the right on the domain's ARN is enough": {e.allowed("u1", `{"Effect":"Allow","Action":"codeartifact:CreateRepository","Resource":"arn:aws:codeartifact:us-west-2:111122223333:domain/main"}`), CreateRepository{}, packhouse.KindInternal},
		"the right on the repository's ARN too":   {e.allowed("u2", `{"Effect":"Allow","Action":"codeartifact:CreateRepository","Resource":"arn:aws:codeartifact:us-west-2:111122223333:repository/main/new-*"}`), CreateRepository{}, packhouse.KindInternal},
		"an explicit deny of the name is final": {e.allowed("u3", create, `{"Effect":"Deny","Action":"*","Resource":"arn:aws:codeartifact:us-west-2:111122223333:repository/main/new-*"}`),
			CreateRepository{}, packhouse.KindDenied},
		"tags need TagResource": {e.allowed("u4", create), CreateRepository{Tags: tags}, packhouse.KindDenied},
		"tags with TagResource": {e.allowed("u5", create, `{"Effect":"Allow","Action":"codeartifact:TagResource","Resource":"*"}`), CreateRepository{Tags: tags}, packhouse.KindInternal},
		"upstreams need a right on the upstream": {e.allowed("u6", create, `{"Effect":"Allow","Action":"codeartifact:AssociateWithDownstreamRepository","Resource":"arn:aws:codeartifact:us-west-2:111122223333:repository/main/other"}`),
			CreateRepository{Upstreams: []string{"base"}}, packhouse.KindDenied},
		"upstreams with the right on the upstream": {e.allowed("u7", create, `{"Effect":"Allow","Action":"codeartifact:AssociateWithDownstreamRepository","Resource":"arn:aws:codeartifact:us-west-2:111122223333:repository/main/base"}`),
			CreateRepository{Upstreams: []string{"base"}}, packhouse.KindInternal},
	} {
		t.Run(sentence, func(t *testing.T) {
			row.in.Ref = packhouse.RepoRef{Domain: d, Name: "new-" + row.who.Name}
			_, err := e.s.CreateRepository(e.ctx, row.who, row.in)
			if row.kind == packhouse.KindInternal {
				e.must(err)
				return
			}
			e.wantError(err, row.kind, "")
		})
	}
}

// Cases 001-6 and lists in pages.
func TestListRepositories(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.RepositoriesPerDomain = 4 })
	d, other := e.domain("main"), e.domain("other")
	for i := range 4 {
		e.repo(d, fmt.Sprintf("repo-%d", i))
	}
	e.repo(other, "repo-4")
	_, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "one-more"}})
	e.wantError(err, packhouse.KindQuotaExceeded, "repositories_per_domain")

	collect := func(list func(Page) ([]packhouse.Repository, string, error)) (names []string) {
		p := Page{Limit: 2}
		for {
			rows, next, err := list(p)
			e.must(err)
			for _, r := range rows {
				names = append(names, r.Ref.Name)
			}
			if next == "" {
				return names
			}
			p.After = next
		}
	}
	got := collect(func(p Page) ([]packhouse.Repository, string, error) {
		return e.s.Repositories(e.ctx, e.admin, "repo-", p)
	})
	if !slices.Equal(got, []string{"repo-0", "repo-1", "repo-2", "repo-3", "repo-4"}) {
		t.Errorf("the account's repositories: %v", got)
	}
	got = collect(func(p Page) ([]packhouse.Repository, string, error) {
		return e.s.RepositoriesInDomain(e.ctx, e.admin, d, ours, "", p)
	})
	if !slices.Equal(got, []string{"repo-0", "repo-1", "repo-2", "repo-3"}) {
		t.Errorf("the domain's repositories: %v", got)
	}
	for sentence, list := range map[string]func(Page) ([]packhouse.Repository, string, error){
		"another account administers nothing": func(p Page) ([]packhouse.Repository, string, error) {
			return e.s.Repositories(e.ctx, e.stranger, "", p)
		},
		"a prefix is case-sensitive": func(p Page) ([]packhouse.Repository, string, error) {
			return e.s.RepositoriesInDomain(e.ctx, e.admin, d, "", "Repo", p)
		},
		"nothing is administered by another account": func(p Page) ([]packhouse.Repository, string, error) {
			return e.s.RepositoriesInDomain(e.ctx, e.admin, d, theirs, "", p)
		},
	} {
		if got := collect(list); len(got) != 0 {
			t.Errorf("%s: listed %v", sentence, got)
		}
	}
}

// Case 001-8.
func TestOneConnectionPerRepository(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "store")
	out, err := e.s.AssociateConnection(e.ctx, e.admin, r, "public:first")
	e.must(err)
	if want := []packhouse.RepositoryConnection{{Name: "public:first", Format: tagFormat}}; !slices.Equal(out.Connections, want) {
		t.Errorf("connections %v, want %v", out.Connections, want)
	}
	_, err = e.s.AssociateConnection(e.ctx, e.admin, r, "public:first")
	e.wantError(err, packhouse.KindConflict, "connection_exists")
	_, err = e.s.AssociateConnection(e.ctx, e.admin, r, "public:second")
	e.wantError(err, packhouse.KindQuotaExceeded, "connection_limit")
	_, err = e.s.AssociateConnection(e.ctx, e.admin, r, "public:nowhere")
	e.wantError(err, packhouse.KindNotFound, "connection_not_found")
	_, err = e.s.DisassociateConnection(e.ctx, e.admin, r, "public:second")
	e.wantError(err, packhouse.KindNotFound, "connection_not_found")
	out, err = e.s.DisassociateConnection(e.ctx, e.admin, r, "public:first")
	e.must(err)
	if len(out.Connections) != 0 {
		t.Errorf("connections %v after the only one is gone", out.Connections)
	}
	seen, err := e.s.Repository(e.ctx, e.admin, r)
	e.must(err)
	if len(seen.Connections) != 0 {
		t.Errorf("described connections %v after the only one is gone", seen.Connections)
	}
}

// A look-up by name costs no SQL when warm and never shows what is no longer so.
func TestRepositoryLookup(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	first, _, err := e.s.repository(e.ctx, r)
	e.must(err)
	before := e.db.Statements()
	for range 10 {
		_, _, err := e.s.repository(e.ctx, r)
		e.must(err)
	}
	if n := e.db.Statements() - before; n != 0 {
		t.Errorf("10 warm look-ups ran %d statements", n)
	}
	_, err = e.s.DeleteRepository(e.ctx, e.admin, r)
	e.must(err)
	_, _, err = e.s.repository(e.ctx, r)
	e.wantError(err, packhouse.KindNotFound, "repository_not_found")
	e.repo(r.Domain, r.Name)
	second, _, err := e.s.repository(e.ctx, r)
	e.must(err)
	if second.ID == first.ID {
		t.Errorf("the look-up still gives the deleted repository")
	}
}

func BenchmarkRepositoryLookup(b *testing.B) {
	e := newEnv(b)
	r := e.repo(e.domain("main"), "team")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := e.s.repository(e.ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	e := newEnv(b)
	r := e.repo(e.domain("main"), "team")
	b.ReportAllocs()
	for b.Loop() {
		if err := e.s.allowRepository(e.ctx, e.admin, packhouse.ActionReadFromRepository, r); err != nil {
			b.Fatal(err)
		}
	}
}
