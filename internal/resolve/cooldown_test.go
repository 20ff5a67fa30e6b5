package resolve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// Prerelease reports whether a version of the simple format is a pre-release.
func (f simple) Prerelease(v string) bool { return strings.Contains(v, "-") }

// day is one day.
const day = 24 * time.Hour

// date sets when a version was published at the registry.
func (g *registry) date(name, version string, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.packages[name].Versions {
		if v := &g.packages[name].Versions[i]; v.Version == version {
			v.Published = at
		}
	}
}

// cool sets the cooldown of a repository by its tags.
func (h *house) cool(repo string, tags ...string) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		var set []packhouse.ResourceTag
		for i := 0; i < len(tags); i += 2 {
			set = append(set, packhouse.ResourceTag{Key: tags[i], Value: tags[i+1]})
		}
		if err := tx.PutResourceTags(ctx, catalog.TaggedRepository, h.repos[repo], set); err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeResourceTagsChanged, DomainID: h.domain.ID, RepoID: h.repos[repo],
			Domain: h.domain.Ref, Repo: repo, At: h.now()})
	})
}

// versions lists what a view shows, what it holds back and its tags.
func (h *house) versions(repo, name string) string {
	h.t.Helper()
	v, _, err := h.r.View(h.t.Context(), h.pkg(repo, name), false)
	if err != nil {
		return packhouse.ReasonOf(err)
	}
	var shown, withheld []string
	for _, e := range v.Entries {
		shown = append(shown, e.Version)
	}
	for _, w := range v.Withheld {
		withheld = append(withheld, w.Version)
	}
	return fmt.Sprint(shown, " without ", withheld, " ", v.Tags)
}

func (h *house) wantVersions(repo, name, want string) {
	h.t.Helper()
	if got := h.versions(repo, name); got != want {
		h.t.Errorf("%s at %s shows %s, want %s", name, repo, got, want)
	}
}

// fresh makes a registry with versions 1 to 3 of p, the last one an hour old, and
// repositories a -> b with the connection in b.
func fresh(t *testing.T) (*registry, *house) {
	t.Helper()
	g := newRegistry(t)
	h := newHouse(t, g)
	for i, v := range []string{"1", "2", "3"} {
		g.add("p", v, bytesOf(byte(i+1), 100))
	}
	g.date("p", "3", h.now().Add(-time.Hour))
	g.setTags("p", map[string]string{"latest": "3", "next": "3", "old": "1"})
	h.repo("b", "@"+connection)
	h.repo("a", "b")
	return g, h
}

// S45: a version that is too young is nowhere, seen from the repository with the connection
// and from all behind which it lies, and opens by itself at its hour.
func TestCooldown(t *testing.T) {
	_, h := fresh(t)
	open := "[1 2 3] without [] map[latest:3 next:3 old:1]"
	h.wantVersions("a", "p", open)
	h.cool("b", resolve.CooldownAgeTag, "72h")
	for _, repo := range []string{"a", "b"} {
		h.wantVersions(repo, "p", "[1 2] without [3] map[latest:2 old:1]")
		h.wantReason(repo, "p", "3", "cooldown")
	}
	h.wantHeld("p", "3")
	_, err := h.get("a", "p", "3")
	want := "simple/p@3 was published on 21 Nov 2026 11:00 UTC, and repository b waits 3 days; it opens on 24 Nov 2026 11:00 UTC; 2 is available now; an owner of the repository can make an exception"
	if packhouse.KindOf(err) != packhouse.KindDenied || err.Error() != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
	h.wantGet("a", "p", "2", bytesOf(2, 100))
	h.restart()
	h.wantReason("a", "p", "3", "cooldown")
	_, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false)
	if err != nil || stamp.FreshUntil.After(h.now().Add(5*time.Minute)) {
		t.Errorf("fresh until %v, %v", stamp.FreshUntil, err)
	}
	h.pass(71*time.Hour - time.Minute)
	if _, stamp, err = h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || !stamp.FreshUntil.Equal(h.now().Add(time.Minute)) {
		t.Errorf("a minute before it opens: fresh until %v, %v, want the moment in which it opens", stamp.FreshUntil, err)
	}
	h.pass(time.Minute + 1)
	h.wantVersions("a", "p", open)
	h.wantGet("a", "p", "3", bytesOf(3, 100))
}

// What a repository holds stays, whatever its cooldown says later.
func TestCooldownLeavesWhatIsHeld(t *testing.T) {
	_, h := fresh(t)
	h.wantGet("b", "p", "3", bytesOf(3, 100))
	h.cool("b", resolve.CooldownAgeTag, "72h")
	h.wantVersions("a", "p", "[1 2 3] without [] map[latest:3 next:3 old:1]")
	h.wantGet("a", "p", "3", bytesOf(3, 100))
	h.publish("a", "own", "1", packhouse.Published, bytesOf(9, 10))
	h.wantGet("a", "own", "1", bytesOf(9, 10))
}

// The latest tag falls back to the highest version below its own that is no pre-release and
// is old enough: not to one that the registry's latest was never at.
func TestCooldownRepairsTags(t *testing.T) {
	for _, tt := range []struct {
		name, latest string
		young        []string
		want         string
	}{
		{"to the one before", "3", []string{"3"}, "[1 2 2-x 5 5-x] without [3] map[latest:2]"},
		{"past a pre-release", "3", []string{"3", "2"}, "[1 2-x 5 5-x] without [2 3] map[latest:1]"},
		{"upwards where nothing is below", "1", []string{"1"}, "[2 2-x 3 5 5-x] without [1] map[latest:5]"},
		{"to a pre-release where there is nothing else", "3", []string{"1", "2", "3", "5", "5-x"}, "[2-x] without [1 2 3 5 5-x] map[latest:2-x]"},
		{"a tag that stays", "1", []string{"3"}, "[1 2 2-x 5 5-x] without [3] map[latest:1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRegistry(t)
			h := newHouse(t, g)
			for _, v := range []string{"1", "2", "2-x", "3", "5", "5-x"} {
				g.add("p", v, bytesOf(1, 10))
			}
			for _, v := range tt.young {
				g.date("p", v, h.now())
			}
			g.setTags("p", map[string]string{"latest": tt.latest})
			h.repo("a", "@"+connection)
			h.cool("a", resolve.CooldownAgeTag, "24h")
			h.wantVersions("a", "p", tt.want)
		})
	}
}

// Fail closed: a version without a date never opens, and a package of young versions alone
// says so instead of not existing.
func TestCooldownWithoutDates(t *testing.T) {
	g, h := fresh(t)
	h.cool("b", resolve.CooldownAgeTag, "1h30m")
	for _, v := range []string{"1", "2", "3"} {
		g.date("p", v, time.Time{})
	}
	h.pass(1000 * day)
	h.wantVersions("a", "p", "cooldown")
	_, err := h.get("a", "p", "1")
	want := "simple/p@1 has no date at its registry, and repository b takes no version younger than 1h30m; an owner of the repository can make an exception"
	if err == nil || err.Error() != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
}

// The setting of the server holds where a repository has none; exceptions add up.
func TestCooldownOfTheServer(t *testing.T) {
	_, h := fresh(t)
	except, err := resolve.ParseExceptions("simple/other")
	if err != nil {
		t.Fatal(err)
	}
	h.o.Cooldown = resolve.Cooldown{Age: day, Except: except}
	h.restart()
	open, closed := "[1 2 3] without [] map[latest:3 next:3 old:1]", "[1 2] without [3] map[latest:2 old:1]"
	h.wantVersions("a", "p", closed)
	h.cool("b", resolve.CooldownAllowTag, "simple/p@3")
	h.wantVersions("a", "p", open)
	list, err := h.r.Cooldowns(t.Context(), h.domain.Ref)
	if err != nil || len(list) != 1 || list[0].Age != day || list[0].Allow != "simple/p@3 simple/other" || !list[0].Own {
		t.Errorf("cooldowns: %+v, %v", list, err)
	}
	h.cool("b", resolve.CooldownAllowTag, "simple/p@2")
	h.wantVersions("a", "p", closed)
	h.cool("b", resolve.CooldownAgeTag, "0s")
	h.wantVersions("a", "p", open)
}

// A connection that two repositories have is looked at through the first one alone: what
// that one holds back does not come in through the other one.
func TestCooldownOfTheFirstConnection(t *testing.T) {
	_, h := fresh(t)
	h.repo("c", "@"+connection)
	h.repo("top", "b", "c")
	h.cool("b", resolve.CooldownAgeTag, "72h")
	h.wantVersions("top", "p", "[1 2] without [3] map[latest:2 old:1]")
	h.wantReason("top", "p", "3", "cooldown")
	// Once c holds the version itself, it is there.
	h.wantGet("c", "p", "3", bytesOf(3, 100))
	h.wantVersions("top", "p", "[1 2 3] without [] map[latest:3 old:1]")
	h.wantGet("top", "p", "3", bytesOf(3, 100))
}

// What a direct question says of held back, open and unknown versions.
func TestWithheld(t *testing.T) {
	_, h := fresh(t)
	h.cool("b", resolve.CooldownAgeTag, "72h")
	for version, want := range map[string]string{"": "3", "3": "3", "2": "", "4": "package-version_not_found"} {
		list, err := h.r.Withheld(t.Context(), h.pkg("a", "p"), version)
		got := packhouse.ReasonOf(err)
		if err == nil && len(list) > 0 {
			got = list[0].Version
		}
		if got != want {
			t.Errorf("version %q: %q, want %q", version, got, want)
		}
	}
}

func TestExceptions(t *testing.T) {
	n := func(namespace, name string) packhouse.PackageName {
		return packhouse.PackageName{Format: simpleID, Namespace: namespace, Name: name}
	}
	for _, tt := range []struct {
		name, text string
		pkg        packhouse.PackageName
		want       bool
	}{
		{"a package", "simple/box", n("", "box"), true},
		{"a package of a scope is another", "simple/box", n("acme", "box"), false},
		{"a scope", "simple/@acme/*", n("acme", "box"), true},
		{"a scope without its sign", "simple/acme/*", n("acme", "box"), true},
		{"another scope", "simple/@acme/*", n("acme-x", "box"), false},
		{"the beginning of a name", "simple/box-*", n("", "box-one"), true},
		{"the beginning of a name is no scope", "simple/box-*", n("box-one", "x"), false},
		{"everything of a format", "simple/*", n("acme", "box"), true},
		{"another format", "other/*", n("acme", "box"), false},
		{"a version", "simple/@acme/box@1+build", n("acme", "box"), true},
		{"another version", "simple/@acme/box@2", n("acme", "box"), false},
		{"one of several", "simple/a, simple/b  simple/box", n("", "box"), true},
		{"none", "", n("", "box"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRegistry(t)
			g.add(tt.pkg.Name, "1", bytesOf(1, 10))
			h := newHouse(t, g)
			g.date(tt.pkg.Name, "1", h.now())
			h.repo("a", "@"+connection)
			h.cool("a", resolve.CooldownAgeTag, "1h", resolve.CooldownAllowTag, tt.text)
			_, err := h.getAs(t.Context(), "a", tt.pkg, "1")
			if got := packhouse.ReasonOf(err) != "cooldown"; got != tt.want {
				t.Errorf("excepted %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	for _, wrong := range []string{"box", "/box", "simple/", "simple/@/box", "simple/a/b/c", "simple/b*x", "simple/*/box", "simple/box@", "simple/box*@1", "simple/@1", "simple/*@1"} {
		if _, err := resolve.ParseExceptions("simple/good " + wrong); packhouse.ReasonOf(err) != "invalid_exception" || !strings.Contains(err.Error(), fmt.Sprintf("%q", wrong)) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// What is said beside a version is held back with it. A version that waits counts as one
// that exists upstream all the same: nobody can publish another one under its name.
func TestCooldownBesideTheIndex(t *testing.T) {
	g, h := fresh(t)
	g.mu.Lock()
	g.files["/said"] = []byte(`{"of":"it"}`)
	g.mu.Unlock()
	h.cool("b", resolve.CooldownAgeTag, "72h")
	for version, want := range map[string]string{"2": "", "3": "document_not_found"} {
		_, err := h.r.Beside(t.Context(), format.Document{Repo: h.ref("a"), Format: simpleID, Path: "said", Package: pkgName("p"), Version: version})
		if packhouse.ReasonOf(err) != want {
			t.Errorf("document of version %s: %v, want reason %q", version, err, want)
		}
	}
	if where, found, err := h.r.Upstream(t.Context(), h.pkg("a", "p"), "3"); err != nil || !found {
		t.Errorf("a version that waits is upstream: %v in %s, %v", found, where, err)
	}
}
