package ops

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// group makes a package group.
func (e *env) group(d packhouse.DomainRef, pattern string) packhouse.PackageGroupRef {
	e.t.Helper()
	g, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: packhouse.PackageGroupRef{Domain: d, Pattern: pattern}})
	e.must(err)
	return g.Ref
}

// origin sets modes and lists of a package group.
func (e *env) origin(d packhouse.DomainRef, pattern string, in UpdateGroupOrigin) packhouse.PackageGroup {
	e.t.Helper()
	in.Group = packhouse.PackageGroupRef{Domain: d, Pattern: pattern}
	g, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, in)
	e.must(err)
	return g
}

type modes = map[packhouse.RestrictionType]packhouse.RestrictionMode

// publishNew publishes a version that holds its own name.
func (e *env) publishNew(pkg packhouse.PackageRef, version string) error {
	e.t.Helper()
	staged, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(pkg.String()+version), 0)
	e.must(err)
	_, err = e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: version, Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}}})
	return err
}

// pull downloads a version.
func (e *env) pull(pkg packhouse.PackageRef, version string) error {
	e.t.Helper()
	_, content, err := e.s.Asset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At(version), Asset: "package.tgz"})
	if err == nil {
		err = content.Close()
	}
	return err
}

func (e *env) controls(pkg packhouse.PackageRef) packhouse.OriginControls {
	e.t.Helper()
	p, err := e.s.Package(e.ctx, e.admin, pkg)
	e.must(err)
	return p.Controls
}

func TestPackageGroupLifeCycle(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	ref := packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/acme/*"}
	root, err := e.s.PackageGroup(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/*"})
	e.must(err)
	if root.Parent != "" || root.Restrictions[packhouse.RestrictPublish] != (packhouse.GroupRestriction{Mode: packhouse.ModeAllow, Effective: packhouse.ModeAllow}) {
		t.Errorf("a new domain's root is %+v", root)
	}
	e.recorded()
	made, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: ref, Contact: "ann", Description: "ours", Tags: []packhouse.ResourceTag{{Key: "team", Value: "blue"}}})
	e.must(err)
	inherited := packhouse.GroupRestriction{Mode: packhouse.ModeInherit, Effective: packhouse.ModeAllow, InheritedFrom: "/*"}
	for _, r := range packhouse.RestrictionTypes {
		if made.Restrictions[r] != inherited {
			t.Errorf("a new group's %s is %+v", r, made.Restrictions[r])
		}
	}
	if made.Parent != "/*" || made.Contact != "ann" || made.Description != "ours" || made.Created.IsZero() {
		t.Errorf("made %+v", made)
	}
	if c := e.recorded(); len(c) != 1 || c[0].Kind != packhouse.ChangePackageGroupCreated || c[0].Detail != ref.Pattern || c[0].Principal != e.admin.ARN {
		t.Errorf("recorded %+v", c)
	}
	_, err = e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: ref})
	e.wantError(err, packhouse.KindConflict, "package_group_exists")
	tags, err := e.s.ResourceTags(e.ctx, e.admin, packhouse.PackageGroupARN(testRegion, ref))
	e.must(err)
	if len(tags) != 1 || tags[0].Value != "blue" {
		t.Errorf("tags %v", tags)
	}
	e.must(e.s.TagResource(e.ctx, e.admin, packhouse.PackageGroupARN(testRegion, ref), []packhouse.ResourceTag{{Key: "cost", Value: "1"}}))

	bob := "bob"
	e.recorded()
	changed, err := e.s.UpdatePackageGroup(e.ctx, e.admin, UpdatePackageGroup{Group: ref, Contact: &bob})
	e.must(err)
	if changed.Contact != "bob" || changed.Description != "ours" {
		t.Errorf("changed %+v", changed)
	}
	_, err = e.s.UpdatePackageGroup(e.ctx, e.admin, UpdatePackageGroup{Group: ref, Contact: &bob})
	e.must(err)
	if c := e.recorded(); len(c) != 1 || c[0].Kind != packhouse.ChangePackageGroupUpdated {
		t.Errorf("recorded %+v, want one change", c)
	}

	gone, err := e.s.DeletePackageGroup(e.ctx, e.admin, ref)
	e.must(err)
	if gone.Contact != "bob" || gone.Parent != "/*" {
		t.Errorf("deleted %+v", gone)
	}
	_, err = e.s.PackageGroup(e.ctx, e.admin, ref)
	e.wantError(err, packhouse.KindNotFound, "package-group_not_found")
	_, err = e.s.DeletePackageGroup(e.ctx, e.admin, ref)
	e.wantError(err, packhouse.KindNotFound, "package-group_not_found")
	_, err = e.s.ResourceTags(e.ctx, e.admin, packhouse.PackageGroupARN(testRegion, ref))
	e.wantError(err, packhouse.KindNotFound, "package-group_not_found")
	e.group(d, ref.Pattern)
	if tags, err := e.s.ResourceTags(e.ctx, e.admin, packhouse.PackageGroupARN(testRegion, ref)); err != nil || len(tags) > 0 {
		t.Errorf("a group of the same name has the tags %v, %v", tags, err)
	}
	_, err = e.s.DeleteDomain(e.ctx, e.admin, d)
	e.must(err)
	e.domain("main")
	_, err = e.s.PackageGroup(e.ctx, e.admin, ref)
	e.wantError(err, packhouse.KindNotFound, "package-group_not_found")
}

func TestPackageGroupsRefuse(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	e.group(d, "/tagged/*")
	g := func(pattern string) packhouse.PackageGroupRef {
		return packhouse.PackageGroupRef{Domain: d, Pattern: pattern}
	}
	allow := func(name string, kind packhouse.RestrictionType) []AllowedRepository {
		return []AllowedRepository{{Type: kind, Name: name}}
	}
	for sentence, row := range map[string]struct {
		err    func() error
		kind   packhouse.Kind
		reason string
	}{
		"a pattern of an unknown format": {func() error {
			_, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: g("/rpm/*")})
			return err
		}, packhouse.KindInvalid, "invalid_pattern"},
		"a namespace where the room has none": {func() error {
			_, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: g("/plain/acme/*")})
			return err
		}, packhouse.KindInvalid, "invalid_pattern"},
		"a domain that is not there": {func() error {
			_, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: packhouse.PackageGroupRef{Domain: packhouse.DomainRef{Owner: ours, Name: "absent"}, Pattern: "/tagged/*"}})
			return err
		}, packhouse.KindNotFound, "domain_not_found"},
		"a reserved tag": {func() error {
			_, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: g("/plain/*"), Tags: []packhouse.ResourceTag{{Key: "aws:x"}}})
			return err
		}, packhouse.KindInvalid, "reserved_tag"},
		"describing what is no pattern": {func() error {
			_, err := e.s.PackageGroup(e.ctx, e.admin, g("/tagged"))
			return err
		}, packhouse.KindInvalid, "invalid_pattern"},
		"deleting the root": {func() error {
			_, err := e.s.DeletePackageGroup(e.ctx, e.admin, g("/*"))
			return err
		}, packhouse.KindInvalid, "root_package_group"},
		"a root that inherits": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/*"), Modes: modes{packhouse.RestrictPublish: packhouse.ModeInherit}})
			return err
		}, packhouse.KindInvalid, "root_package_group"},
		"an unknown mode": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/*"), Modes: modes{packhouse.RestrictPublish: "MAYBE"}})
			return err
		}, packhouse.KindInvalid, "invalid_restriction"},
		"an unknown type": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/*"), Modes: modes{"READ": packhouse.ModeBlock}})
			return err
		}, packhouse.KindInvalid, "invalid_restriction"},
		"an allowed repository without a type": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/*"), Add: allow(r.Name, "")})
			return err
		}, packhouse.KindInvalid, "invalid_restriction"},
		"a type without an allowed repository": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/*"), Remove: allow("", packhouse.RestrictPublish)})
			return err
		}, packhouse.KindInvalid, "invalid_restriction"},
		"a list of a mode without one": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/tagged/*"), Add: allow(r.Name, packhouse.RestrictPublish)})
			return err
		}, packhouse.KindInvalid, "no_allowed_list"},
		"a list of a mode that goes in the same call": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/tagged/*"), Modes: modes{packhouse.RestrictPublish: packhouse.ModeBlock}, Remove: allow(r.Name, packhouse.RestrictPublish)})
			return err
		}, packhouse.KindInvalid, "no_allowed_list"},
		"a repository that is not there": {func() error {
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: g("/tagged/*"), Modes: modes{packhouse.RestrictPublish: packhouse.ModeAllowSpecific}, Add: allow("absent", packhouse.RestrictPublish)})
			return err
		}, packhouse.KindNotFound, "repository_not_found"},
		"a group that is not there": {func() error {
			_, _, err := e.s.AllowedRepositories(e.ctx, e.admin, g("/plain/*"), packhouse.RestrictPublish, Page{})
			return err
		}, packhouse.KindNotFound, "package-group_not_found"},
		"packages of a group that is not there": {func() error {
			_, _, err := e.s.AssociatedPackages(e.ctx, e.admin, g("/plain/*"), false, Page{})
			return err
		}, packhouse.KindNotFound, "package-group_not_found"},
		"a page that no list made": {func() error {
			_, _, err := e.s.PackageGroups(e.ctx, e.admin, d, "", Page{After: "x"})
			return err
		}, packhouse.KindInvalid, "invalid_page_token"},
	} {
		t.Run(sentence, func(t *testing.T) { e.wantError(row.err(), row.kind, row.reason) })
	}
	e.recorded()
	e.origin(d, "/tagged/*", UpdateGroupOrigin{Modes: modes{packhouse.RestrictPublish: packhouse.ModeInherit}})
	if c := e.recorded(); len(c) != 0 {
		t.Errorf("a change of nothing left %v", c)
	}
}

// Lists of allowed repositories (codeartifact.md 3.7): adds before removes, real changes
// only, inherited lists, and a list that goes with its mode.
func TestAllowedRepositories(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	for _, name := range []string{"aa", "bb", "cc"} {
		e.repo(d, name)
	}
	e.group(d, "/tagged/*")
	e.group(d, "/tagged/acme/*")
	pub := func(names ...string) (list []AllowedRepository) {
		for _, n := range names {
			list = append(list, AllowedRepository{packhouse.RestrictPublish, n})
		}
		return list
	}
	ref := packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/*"}
	g, updates, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: ref, Modes: modes{packhouse.RestrictPublish: packhouse.ModeAllowSpecific}, Add: pub("bb", "aa", "cc", "aa"), Remove: pub("cc")})
	e.must(err)
	if u := updates[packhouse.RestrictPublish]; len(updates) != 1 || !slices.Equal(u.Added, []string{"bb", "aa", "cc"}) || !slices.Equal(u.Removed, []string{"cc"}) {
		t.Errorf("updates %v", updates)
	}
	if r := g.Restrictions[packhouse.RestrictPublish]; r.Repositories != 2 || r.Mode != packhouse.ModeAllowSpecific {
		t.Errorf("restriction %+v", r)
	}
	_, updates, err = e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: ref, Add: pub("aa"), Remove: pub("cc")})
	e.must(err)
	if len(updates) != 0 {
		t.Errorf("what changes nothing is told as %v", updates)
	}
	child, err := e.s.PackageGroup(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/acme/*"})
	e.must(err)
	if r := child.Restrictions[packhouse.RestrictPublish]; r != (packhouse.GroupRestriction{Mode: packhouse.ModeInherit, Effective: packhouse.ModeAllowSpecific, InheritedFrom: "/tagged/*", Repositories: 2}) {
		t.Errorf("the child has %+v", r)
	}
	list := func(pattern string, p Page) string {
		names, next, err := e.s.AllowedRepositories(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: pattern}, packhouse.RestrictPublish, p)
		e.must(err)
		return fmt.Sprint(names, next)
	}
	for page, want := range map[Page]string{{}: "[aa bb]", {Limit: 1}: "[aa]aa", {Limit: 1, After: "aa"}: "[bb]"} {
		if got := list("/tagged/acme/*", page); got != want {
			t.Errorf("page %+v of the inherited list: %s, want %s", page, got, want)
		}
	}
	_, err = e.s.DeleteRepository(e.ctx, e.admin, packhouse.RepoRef{Domain: d, Name: "aa"})
	e.must(err)
	if got := list("/tagged/*", Page{}); got != "[bb]" {
		t.Errorf("after a repository went: %s", got)
	}
	g, updates, err = e.s.UpdateGroupOrigin(e.ctx, e.admin, UpdateGroupOrigin{Group: ref, Modes: modes{packhouse.RestrictPublish: packhouse.ModeBlock}})
	e.must(err)
	if u := updates[packhouse.RestrictPublish]; g.Restrictions[packhouse.RestrictPublish].Repositories != 0 || !slices.Equal(u.Removed, []string{"bb"}) || list("/tagged/*", Page{}) != "[]" {
		t.Errorf("after another mode: %+v, %v", g, updates)
	}
	e.origin(d, "/tagged/*", UpdateGroupOrigin{Modes: modes{packhouse.RestrictPublish: packhouse.ModeAllowSpecific}})
	if got := list("/tagged/*", Page{}); got != "[]" {
		t.Errorf("the list came back: %s", got)
	}
}

// Groups decide where a package is published, at once and through every variant of its name
// (codeartifact.md 3.7; case 5.4.5).
func TestGroupsGuardPublishing(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	a, b := e.repo(d, "repo-a"), e.repo(d, "repo-b")
	e.must(e.publishNew(in(a, "spicy-client"), "1.0.0"))
	e.group(d, "/tagged/*")
	e.origin(d, "/tagged/*", UpdateGroupOrigin{Modes: modes{packhouse.RestrictPublish: packhouse.ModeBlock}})
	e.wantError(e.publishNew(in(a, "spicy-client"), "1.0.1"), packhouse.KindDenied, "publish_blocked")
	e.wantError(e.publishNew(in(a, "other"), "1.0.0"), packhouse.KindDenied, "publish_blocked")
	e.group(d, "/tagged//spicy-client$")
	e.origin(d, "/tagged//spicy-client$", UpdateGroupOrigin{Modes: modes{packhouse.RestrictPublish: packhouse.ModeAllowSpecific},
		Add: []AllowedRepository{{packhouse.RestrictPublish, "repo-a"}}})
	e.must(e.publishNew(in(a, "spicy-client"), "1.0.1"))
	e.wantError(e.publishNew(in(b, "spicy-client"), "1.0.1"), packhouse.KindDenied, "publish_blocked")
	for _, variant := range []string{"Spicy-client", "spicy.client", "spicy__client", "sрicy-client"} {
		e.wantError(e.publishNew(in(a, variant), "1.0.0"), packhouse.KindDenied, "publish_blocked")
		g, association, err := e.s.AssociatedPackageGroup(e.ctx, e.admin, d, in(a, variant).Package)
		e.must(err)
		if g.Ref.Pattern != "/tagged//spicy-client$" || association != packhouse.AssociationWeak {
			t.Errorf("%s belongs to %s %s", variant, g.Ref.Pattern, association)
		}
	}
	e.group(d, "/tagged//spicy.client$") // frees one variant
	e.wantError(e.publishNew(in(a, "spicy.client"), "1.0.0"), packhouse.KindDenied, "publish_blocked")
	e.origin(d, "/tagged//spicy.client$", UpdateGroupOrigin{Modes: modes{packhouse.RestrictPublish: packhouse.ModeAllow}})
	e.must(e.publishNew(in(a, "spicy.client"), "1.0.0"))
	_, err := e.s.DeletePackageGroup(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged//spicy-client$"})
	e.must(err)
	e.wantError(e.publishNew(in(a, "spicy-client"), "1.0.2"), packhouse.KindDenied, "publish_blocked")
	e.must(e.pull(in(a, "spicy-client"), "1.0.1")) // what is there stays usable
}

// A repository takes in from others what its groups allow; version lists leave out the rest;
// copies are exempt (codeartifact.md 3.5, 3.7).
func TestGroupsGuardUpstreams(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	up := e.repo(d, "up")
	e.repo(d, "middle", "up")
	down, other := e.repo(d, "down", "middle"), e.repo(d, "other", "middle")
	e.publish(in(up, "lib"), "1.0.0", "one")
	e.publish(in(up, "lib"), "2.0.0", "two")
	seen := func(r packhouse.RepoRef) string {
		v, _, err := e.s.resolver.View(e.ctx, in(r, "lib"), false)
		if err != nil {
			return packhouse.ReasonOf(err)
		}
		var versions []string
		for _, x := range v.Entries {
			versions = append(versions, x.Version)
		}
		return strings.Join(versions, " ")
	}
	if got := seen(down); got != "1.0.0 2.0.0" {
		t.Fatalf("before groups: %s", got)
	}
	e.must(e.pull(in(down, "lib"), "1.0.0"))
	e.group(d, "/tagged//lib$")
	e.origin(d, "/tagged//lib$", UpdateGroupOrigin{Modes: modes{packhouse.RestrictInternalUpstream: packhouse.ModeAllowSpecific}, Add: []AllowedRepository{{packhouse.RestrictInternalUpstream, "other"}}})
	if got := seen(down); got != "1.0.0" {
		t.Errorf("a repository that may take nothing in sees %s, want what it has", got)
	}
	if got := seen(other); got != "1.0.0 2.0.0" {
		t.Errorf("an allowed repository sees %s", got)
	}
	e.must(e.pull(in(down, "lib"), "1.0.0"))
	e.wantError(e.pull(in(down, "lib"), "2.0.0"), packhouse.KindNotFound, "")
	e.must(e.pull(in(other, "lib"), "2.0.0"))
	if got := e.list(in(other, "lib")); len(got) != 1 || got["2.0.0"] != packhouse.Published {
		t.Errorf("the allowed repository has %v", got)
	}
	if c := e.controls(in(other, "lib")); c != (packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}) {
		t.Errorf("a record that groups look after has %v", c)
	}
	if c := e.controls(in(down, "lib")); c != (packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}) {
		t.Errorf("a record that was made before has %v", c)
	}
	out, err := e.s.CopyVersions(e.ctx, e.admin, CopyVersions{Domain: d, Source: "up", Destination: "down", Package: in(up, "lib").Package, Versions: []string{"2.0.0"}})
	e.must(err)
	if len(out.Done) != 1 {
		t.Errorf("copied %+v", out)
	}
	// A version beyond a closed way is no reason to refuse a publish (3.6).
	e.publish(in(up, "lib"), "3.0.0", "three")
	_, err = e.s.PutControls(e.ctx, e.admin, in(down, "lib"), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow})
	e.must(err)
	e.must(e.publishNew(in(down, "lib"), "3.0.0"))
	e.wantError(e.publishNew(in(other, "lib"), "3.0.0"), packhouse.KindConflict, "version_exists_upstream")
}

// First controls of a package record (codeartifact.md 3.7; case 5.4.8).
func TestFirstControlsFollowTheGroup(t *testing.T) {
	for _, r := range packhouse.RestrictionTypes {
		for _, mode := range []packhouse.RestrictionMode{packhouse.ModeAllow, packhouse.ModeAllowSpecific} {
			t.Run(fmt.Sprint(r, " ", mode), func(t *testing.T) {
				e := newEnv(t)
				d := e.domain("main")
				up := e.repo(d, "up")
				down := e.repo(d, "down", "up")
				set := UpdateGroupOrigin{Modes: modes{r: mode}}
				if mode == packhouse.ModeAllowSpecific {
					set.Add = []AllowedRepository{{r, "up"}, {r, "down"}}
				}
				e.origin(d, "/*", set)
				e.must(e.publishNew(in(up, "lib"), "1.0.0"))
				e.must(e.pull(in(down, "lib"), "1.0.0"))
				published := packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}
				pulled := packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}
				if mode != packhouse.ModeAllow {
					published = packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}
					pulled = published
				}
				if c := e.controls(in(up, "lib")); c != published {
					t.Errorf("published: %v, want %v", c, published)
				}
				if c := e.controls(in(down, "lib")); c != pulled {
					t.Errorf("pulled: %v, want %v", c, pulled)
				}
			})
		}
	}
}

func TestPackageGroupLists(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	want := []string{"/*", "/tagged/*", "/tagged/acme/*", "/tagged/acme/" + strings.Repeat("é", 500) + "~", "/tagged/acme/web~", "/tagged/acme/web-app$"}
	for _, p := range want[1:] {
		e.group(d, p)
	}
	slices.Sort(want)
	walk := func(list func(Page) ([]packhouse.PackageGroup, string, error)) (patterns []string) {
		page := Page{Limit: 1}
		for {
			got, next, err := list(page)
			e.must(err)
			for _, g := range got {
				patterns = append(patterns, g.Ref.Pattern)
			}
			if next == "" {
				return patterns
			}
			if len(got) != 1 || len(next) > maxPatternCursor || next == page.After {
				t.Fatalf("page %+v: %d groups, next %q", page, len(got), next)
			}
			page.After = next
		}
	}
	all := func(prefix string) []string {
		return walk(func(p Page) ([]packhouse.PackageGroup, string, error) {
			return e.s.PackageGroups(e.ctx, e.admin, d, prefix, p)
		})
	}
	if got := all(""); !slices.Equal(got, want) {
		t.Errorf("all groups: %q", got)
	}
	if got := all("/tagged/acme/we"); !slices.Equal(got, []string{"/tagged/acme/web-app$", "/tagged/acme/web~"}) {
		t.Errorf("groups with a prefix: %q", got)
	}
	children := walk(func(p Page) ([]packhouse.PackageGroup, string, error) {
		return e.s.SubPackageGroups(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/acme/*"}, p)
	})
	if !slices.Equal(children, []string{"/tagged/acme/web~", "/tagged/acme/" + strings.Repeat("é", 500) + "~"}) {
		t.Errorf("children: %q", children)
	}
	_, err := e.s.DeletePackageGroup(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/acme/web~"})
	e.must(err)
	g, err := e.s.PackageGroup(e.ctx, e.admin, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/acme/web-app$"})
	e.must(err)
	if g.Parent != "/tagged/acme/*" {
		t.Errorf("after its parent went a group's parent is %s", g.Parent)
	}
}

// Each package of the domain once, with its association, page by page; narrower groups are
// skipped with few statements.
func TestAssociatedPackages(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	a, b := e.repo(d, "repo-a"), e.repo(d, "repo-b")
	for _, r := range []packhouse.RepoRef{a, b} {
		for _, n := range []string{"web", "web-app", "Web.app", "website", "zeta"} {
			_, err := e.s.PutControls(e.ctx, e.admin, in(r, n), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow})
			e.must(err)
		}
	}
	const many = 3000
	repo, _, err := e.s.repository(e.ctx, a)
	e.must(err)
	e.must(e.db.Update(e.ctx, func(tx *catalog.Tx) error {
		for i := range many {
			if _, err := tx.InsertPackage(e.ctx, newRecord(repo, in(a, fmt.Sprintf("web-%04d", i)).Package, "", packhouse.OriginControls{}, e.s.now())); err != nil {
				return err
			}
		}
		return nil
	}))
	ref := func(pattern string) packhouse.PackageGroupRef {
		return packhouse.PackageGroupRef{Domain: d, Pattern: pattern}
	}
	list := func(pattern string, preview bool, limit int) (names []string) {
		t.Helper()
		page := Page{Limit: limit}
		for {
			got, next, err := e.s.AssociatedPackages(e.ctx, e.admin, ref(pattern), preview, page)
			e.must(err)
			for _, p := range got {
				names = append(names, p.Name.Name+" "+string(p.Association))
			}
			if next == "" {
				return names
			}
			if next == page.After || len(got) > limit {
				t.Fatalf("page %+v: %d packages, next %q", page, len(got), next)
			}
			page.After = next
		}
	}
	if got := list("/*", false, 1000); len(got) != many+5 {
		t.Errorf("the root has %d packages", len(got))
	}
	e.group(d, "/tagged//web-*")
	want := []string{"web STRONG", "website STRONG", "zeta STRONG"}
	for _, limit := range []int{1, 2, 3, 100} {
		if got := list("/*", false, limit); !slices.Equal(got, want) {
			t.Errorf("the root's packages in pages of %d: %q, want %q", limit, got, want)
		}
	}
	before := e.db.Statements()
	list("/*", false, 100)
	if n := e.db.Statements() - before; n > 6 {
		t.Errorf("a page beside a large group takes %d statements", n)
	}
	if got := list("/tagged//web.app$", true, 10); !slices.Equal(got, []string{"Web.app WEAK", "web-app WEAK"}) {
		t.Errorf("preview: %q", got)
	}
	if got := list("/tagged//web-app$", true, 10); !slices.Equal(got, []string{"Web.app WEAK", "web-app STRONG"}) {
		t.Errorf("preview: %q", got)
	}
	if got := list("/tagged//web~", true, 10); !slices.Equal(got, []string{"web STRONG"}) {
		t.Errorf("preview of a word beside a narrower group: %q", got)
	}
	_, _, err = e.s.AssociatedPackages(e.ctx, e.admin, ref("/*"), false, Page{After: "x"})
	e.wantError(err, packhouse.KindInvalid, "invalid_page_token")
}

// The resource of each operation is the group's ARN; a package's group is asked for by the
// pattern of the package alone (codeartifact.md 3.12).
func TestPackageGroupRights(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	g := e.group(d, "/tagged/acme/*")
	e.group(d, "/tagged/else/*")
	arn := packhouse.PackageGroupARN(testRegion, g)
	who := e.allowed("groups", `{"Effect":"Allow","Action":"codeartifact:*","Resource":"`+arn+`"}`,
		`{"Effect":"Allow","Action":"codeartifact:GetAssociatedPackageGroup","Resource":"arn:aws:codeartifact:us-west-2:111122223333:package-group/main/*"}`,
		`{"Effect":"Deny","Action":"codeartifact:GetAssociatedPackageGroup","Resource":"arn:aws:codeartifact:us-west-2:111122223333:package-group/main/tagged/else/%2a"}`)
	_, err := e.s.PackageGroup(e.ctx, who, g)
	e.must(err)
	_, err = e.s.PackageGroup(e.ctx, who, packhouse.PackageGroupRef{Domain: d, Pattern: "/*"})
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.PackageGroup(e.ctx, who, packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/absent/*"})
	e.wantError(err, packhouse.KindDenied, "")
	_, _, err = e.s.PackageGroups(e.ctx, who, d, "", Page{})
	e.wantError(err, packhouse.KindDenied, "") // needs the domain
	_, err = e.s.CreatePackageGroup(e.ctx, who, CreatePackageGroup{Group: packhouse.PackageGroupRef{Domain: d, Pattern: "/tagged/new/*"}})
	e.wantError(err, packhouse.KindDenied, "")
	_, _, err = e.s.AssociatedPackageGroup(e.ctx, who, d, packhouse.PackageName{Format: tagFormat, Namespace: "acme", Name: "x"})
	e.must(err)
	_, _, err = e.s.AssociatedPackageGroup(e.ctx, who, d, packhouse.PackageName{Format: tagFormat, Namespace: "else", Name: "x"})
	e.wantError(err, packhouse.KindDenied, "")
	byTag := e.allowed("tagged", `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"blue"}}}`)
	_, err = e.s.PackageGroup(e.ctx, byTag, g)
	e.wantError(err, packhouse.KindDenied, "")
	e.must(e.s.TagResource(e.ctx, e.admin, arn, []packhouse.ResourceTag{{Key: "team", Value: "blue"}}))
	_, err = e.s.PackageGroup(e.ctx, byTag, g)
	e.must(err)
	_, err = e.s.PackageGroup(e.ctx, byTag, packhouse.PackageGroupRef{Domain: d, Pattern: "/*"})
	e.wantError(err, packhouse.KindDenied, "")
}
