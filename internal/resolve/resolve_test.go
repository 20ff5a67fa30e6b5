package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
)

func TestIntermediateRepositoriesGetNothing(t *testing.T) { // 5.4.1, 5.4.8
	g := newRegistry(t)
	body := bytesOf(1, 200<<10)
	g.add("left", "1.0.0", body)
	h := newHouse(t, g)
	h.repo("c", "@"+connection)
	h.repo("b", "c")
	h.repo("a", "b")
	if got := h.shown("a", "left"); !slices.Equal(got, []string{"1.0.0 Published: remote 1.0.0"}) {
		t.Errorf("view shows %q", got)
	}
	h.wantHeld("left", "1.0.0") // reading metadata changes nothing (3.2)
	h.wantGet("a", "left", "1.0.0", body)
	h.wantHeld("left", "1.0.0", "a", "c")
	for _, repo := range []string{"a", "c"} {
		v := h.held(repo, "left", "1.0.0")
		if v.Status != packhouse.Published || v.Origin != (packhouse.Origin{Type: packhouse.OriginExternal, Connection: connection}) || !v.Published.Equal(uploaded) {
			t.Errorf("%s holds it as %+v", repo, v.PackageVersion)
		}
		if v.RevisionID != h.held("c", "left", "1.0.0").RevisionID || len(v.Revision) != 44 {
			t.Errorf("%s points at revision %q", repo, v.Revision)
		}
		h.view(func(ctx context.Context, tx *catalog.Tx) error {
			p, err := tx.Package(ctx, h.repos[repo], pkgName("left"))
			if want := (packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}); p.Controls != want || p.DisplayName != "LEFT" {
				t.Errorf("%s: package record %+v", repo, p)
			}
			return err
		})
	}
	var kinds []packhouse.ChangeKind
	h.view(func(ctx context.Context, tx *catalog.Tx) error {
		changes, err := tx.Changes(ctx, 0, 100)
		for _, c := range changes {
			if c.Package.Name != "" {
				kinds = append(kinds, c.Kind)
			}
		}
		return err
	})
	want := []packhouse.ChangeKind{packhouse.ChangePackageCreated, packhouse.ChangePackageCreated, packhouse.ChangeVersionRetained, packhouse.ChangeVersionRetained}
	if !slices.Equal(kinds, want) {
		t.Errorf("ledger holds %v, want %v", kinds, want)
	}
	if n := g.requests(filePath("left", "1.0.0")); n != 1 {
		t.Errorf("%d downloads", n)
	}
}

func TestSearchOrder(t *testing.T) { // 5.4.2
	h := newHouse(t, nil)
	h.repo("e")
	h.repo("d", "e")
	h.repo("c")
	h.repo("a", "c", "d")
	h.repo("b")
	h.repo("my", "a", "b")
	fromE, fromB := bytesOf(1, 100), bytesOf(2, 100)
	h.publish("e", "p", "1", packhouse.Published, fromE)
	h.publish("b", "p", "1", packhouse.Published, fromB)
	h.wantGet("my", "p", "1", fromE)
	h.wantHeld("p", "1", "e", "b", "my")
	if got, want := h.held("my", "p", "1"), h.held("e", "p", "1"); got.RevisionID != want.RevisionID || got.Origin != want.Origin || !got.Published.Equal(want.Published) {
		t.Errorf("retained %+v, want a pointer at what e has: %+v", got.PackageVersion, want.PackageVersion)
	}
	h.publish("c", "p", "2", packhouse.Published, fromB)
	h.publish("e", "p", "2", packhouse.Published, fromE)
	h.wantGet("my", "p", "2", fromB)
}

func TestTwentySixthUpstream(t *testing.T) { // 5.4.3
	h := newHouse(t, nil)
	last := ""
	for i := 26; i >= 1; i-- { // a chain: up1 -> up2 -> ... -> up26
		name := fmt.Sprintf("up%d", i)
		if last == "" {
			h.repo(name)
		} else {
			h.repo(name, last)
		}
		last = name
	}
	h.repo("my", last)
	h.publish("up25", "near", "1", packhouse.Published, bytesOf(1, 10))
	h.publish("up26", "far", "1", packhouse.Published, bytesOf(1, 10))
	h.wantGet("my", "near", "1", bytesOf(1, 10))
	h.wantReason("my", "far", "1", "package-version_not_found")
	if _, _, err := h.r.View(t.Context(), h.pkg("my", "far"), false); packhouse.ReasonOf(err) != "package_not_found" {
		t.Errorf("view beyond the 25th: %v", err)
	}
}

func TestCyclesEnd(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("a")
	h.repo("b", "a")
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		return tx.ReplaceUpstreams(ctx, h.repos["a"], []int64{h.repos["b"]})
	})
	h.publish("b", "p", "1", packhouse.Published, bytesOf(1, 10))
	h.wantGet("a", "p", "1", bytesOf(1, 10))
}

func TestNearestRecordDecides(t *testing.T) { // 3.1 rules 4 and 5, 3.4
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("far", "@"+connection)
	h.repo("near", "far")
	for version, status := range map[string]packhouse.Status{"1": packhouse.Published, "2": packhouse.Unlisted, "3": packhouse.Archived, "4": packhouse.Disposed, "5": packhouse.Unfinished} {
		h.publish("near", "p", version, status, bytesOf(1, 10))
		h.publish("far", "p", version, packhouse.Published, bytesOf(2, 10))
		g.add("p", version, bytesOf(3, 10))
	}
	h.publish("far", "p", "6", packhouse.Unlisted, bytesOf(2, 10))
	g.add("p", "6", bytesOf(3, 10))
	g.add("p", "0", bytesOf(3, 10))
	want := []string{"0 Published: remote 0", "1 Published: local 1 of near", "2 Unlisted: local 2 of near", "6 Unlisted: local 6 of far"}
	if got := h.shown("near", "p"); !slices.Equal(got, want) {
		t.Errorf("view shows %q, want %q", got, want)
	}
	h.wantGet("near", "p", "1", bytesOf(1, 10))
	h.wantGet("near", "p", "2", bytesOf(1, 10))
	h.wantReason("near", "p", "3", "version_archived")
	h.wantReason("near", "p", "4", "version_disposed")
	h.wantReason("near", "p", "5", "package-version_not_found")
	h.wantGet("near", "p", "6", bytesOf(2, 10))
	if v := h.held("near", "p", "6"); v == nil || v.Status != packhouse.Unlisted {
		t.Errorf("an unlisted version was retained as %+v", v)
	}
	if n := g.requests(filePath("p", "3")); n != 0 {
		t.Error("the search went on past an archived record")
	}
	local, _, err := h.r.View(t.Context(), h.pkg("far", "p"), true)
	if err != nil || len(local.Entries) != 6 {
		t.Errorf("local view: %d entries, %v", len(local.Entries), err)
	}
	for _, e := range local.Entries {
		if !e.Local {
			t.Errorf("entry %s is not local", e.Version)
		}
	}
}

func TestBlockHidesWhatIsBeyond(t *testing.T) { // 3.7
	h := newHouse(t, nil)
	h.repo("top")
	h.repo("x", "top")
	h.repo("y", "top")
	h.repo("a", "x")
	h.repo("b", "x", "y")
	h.publish("top", "p", "1", packhouse.Published, bytesOf(1, 10))
	h.control("x", "p", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	h.wantReason("a", "p", "1", "package-version_not_found")
	h.wantGet("b", "p", "1", bytesOf(1, 10)) // another path leads there
	h.control("b", "p", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	h.wantGet("b", "p", "1", bytesOf(1, 10)) // what is there already stays
}

func TestTagsOfUpstreamsWin(t *testing.T) { // 4.1, 5.4.4
	g := newRegistry(t)
	g.add("p", "9.0.0", bytesOf(1, 10))
	g.setTags("p", map[string]string{"latest": "9.0.0", "next": "9.0.0"})
	h := newHouse(t, g)
	h.repo("u1")
	h.repo("u2", "@"+connection)
	h.repo("r", "u1", "u2")
	h.publish("u1", "p", "1.0.1", packhouse.Published, bytesOf(2, 10))
	h.tag("u1", "p", "latest", "1.0.1")
	h.publish("r", "p", "1.0.2", packhouse.Published, bytesOf(3, 10))
	h.tag("r", "p", "latest", "1.0.2")
	h.tag("r", "p", "mine", "1.0.2")
	tags := func() map[string]string {
		t.Helper()
		v, _, err := h.r.View(t.Context(), h.pkg("r", "p"), false)
		if err != nil {
			t.Fatal(err)
		}
		return v.Tags
	}
	if got, want := tags(), (map[string]string{"latest": "1.0.1", "next": "9.0.0", "mine": "1.0.2"}); !maps.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
	h.control("r", "p", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	if got, want := tags(), (map[string]string{"latest": "1.0.2", "mine": "1.0.2"}); !maps.Equal(got, want) {
		t.Errorf("blocked: tags %v, want %v", got, want)
	}
}

func TestPublishCheck(t *testing.T) { // 5.4.9, 3.6 step 3
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 10))
	h := newHouse(t, g)
	h.repo("c", "@"+connection)
	h.repo("b", "c")
	h.repo("a", "b")
	h.publish("b", "p", "2", packhouse.Archived, bytesOf(1, 10))
	h.publish("a", "p", "3", packhouse.Published, bytesOf(1, 10))
	check := func(version string, wantWhere string) {
		t.Helper()
		where, found, err := h.r.Upstream(t.Context(), h.pkg("a", "p"), version)
		if err != nil || found != (wantWhere != "") || where != wantWhere {
			t.Errorf("version %s: %q %v %v, want %q", version, where, found, err, wantWhere)
		}
	}
	check("1", `connection "public:simple"`)
	check("2", `repository "b"`)
	check("3", "")
	check("4", "")
	g.fail(500)
	h.pass(minutes(6))
	if _, _, err := h.r.Upstream(t.Context(), h.pkg("a", "p"), "4"); packhouse.KindOf(err) != packhouse.KindUpstream {
		t.Errorf("a connection that fails: %v", err)
	}
	h.control("a", "p", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	before := g.total()
	check("1", "")
	check("2", "")
	if g.total() != before {
		t.Error("a blocked name was asked for upstream")
	}
}

func TestBlockedNamesDoNotLeak(t *testing.T) { // npm.md 5: no request may leave the server
	g := newRegistry(t)
	g.add("secret-name", "1", bytesOf(1, 10))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.publishAs("a", pkgName("secret-name"), "0", packhouse.Published, bytesOf(2, 10), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	h.wantGet("a", "secret-name", "0", bytesOf(2, 10))
	h.wantReason("a", "secret-name", "1", "package-version_not_found")
	if got := h.shown("a", "secret-name"); len(got) != 1 {
		t.Errorf("view shows %q", got)
	}
	if n := g.total(); n != 0 {
		t.Errorf("%d requests left the server", n)
	}
}

func TestFormatsThatNeverLookBeyond(t *testing.T) { // 3.1 rule 6
	h := newHouse(t, nil)
	h.repo("up")
	h.repo("a", "up")
	n := packhouse.PackageName{Format: lonelyID, Name: "p"}
	h.publishAs("up", n, "1", packhouse.Published, bytesOf(1, 10), packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow})
	if _, err := h.getAs(t.Context(), "a", n, "1"); packhouse.ReasonOf(err) != "package-version_not_found" {
		t.Errorf("asset: %v", err)
	}
	ref := packhouse.PackageRef{Repo: h.ref("a"), Package: n}
	if _, _, err := h.r.View(t.Context(), ref, false); packhouse.ReasonOf(err) != "package_not_found" {
		t.Errorf("view: %v", err)
	}
	if _, found, err := h.r.Upstream(t.Context(), ref, "1"); found || err != nil {
		t.Errorf("upstream: %v %v", found, err)
	}
}

func TestRetainedSurvivesItsSource(t *testing.T) { // 5.4.13
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		if err := tx.DeleteRepository(ctx, h.repos["up"]); err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeRepositoryDeleted, DomainID: h.domain.ID, RepoID: h.repos["up"], Domain: h.domain.Ref, Repo: "up", At: h.now()})
	})
	g.fail(500)
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	if got := h.shown("a", "p"); len(got) != 1 {
		t.Errorf("view shows %q", got)
	}
	h.wantReason("up", "p", "1", "repository_not_found")
}

func TestHeld(t *testing.T) { // 3.5 step 3
	g := newRegistry(t)
	g.add("p", "9", bytesOf(1, 10))
	h := newHouse(t, g)
	h.repo("far", "@"+connection)
	h.repo("near", "far")
	h.publish("far", "p", "1", packhouse.Published, bytesOf(1, 10))
	h.publish("far", "p", "2", packhouse.Published, bytesOf(1, 10))
	h.publish("near", "p", "2", packhouse.Archived, bytesOf(2, 10))
	held := func() map[string]catalog.VersionRow {
		t.Helper()
		var out map[string]catalog.VersionRow
		h.update(func(ctx context.Context, tx *catalog.Tx) (err error) { // from within a writing transaction, as copies do
			out, err = h.r.Held(ctx, tx, h.pkg("near", "p"), []string{"1", "2", "9", "2"})
			return err
		})
		return out
	}
	if got := held(); len(got) != 2 || got["1"].Status != packhouse.Published || got["2"].Status != packhouse.Archived {
		t.Errorf("held %+v", got)
	}
	h.control("near", "p", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	if got := held(); len(got) != 1 || got["2"].Status != packhouse.Archived {
		t.Errorf("blocked: held %+v", got)
	}
	if g.total() != 0 {
		t.Error("a connection was asked")
	}
}

func TestViewStamp(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 10))
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("other")
	h.repo("a", "up")
	current := func() func() bool {
		t.Helper()
		v, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false)
		if err != nil || len(v.Entries) == 0 || string(v.Head) != "head of p" {
			t.Fatalf("view %+v, %v", v, err)
		}
		if !stamp.FreshUntil.Equal(h.now().Add(minutes(5))) {
			t.Errorf("fresh until %v", stamp.FreshUntil)
		}
		return func() bool {
			return !slices.ContainsFunc(stamp.Marks, func(m feed.Mark) bool { return !h.clock.Holds(m) })
		}
	}
	holds := current()
	h.publish("other", "q", "1", packhouse.Published, bytesOf(1, 10))
	if !holds() {
		t.Error("a change elsewhere made the view old")
	}
	h.publish("up", "p", "2", packhouse.Published, bytesOf(1, 10))
	if holds() {
		t.Error("a change in an upstream left the view current")
	}
	holds = current()
	h.repo("new")
	if holds() {
		t.Error("a change of the domain's shape left the view current")
	}
	holds = current()
	g.add("p", "3", bytesOf(1, 10))
	h.pass(minutes(6))
	if _ = current(); holds() {
		t.Error("another index of the connection left the view current")
	}
}

func TestWithoutAddress(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("a", "@"+connection)
	h.wantReason("a", "p", "1", fetch.ReasonWithoutAddress)
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "p"), false); packhouse.ReasonOf(err) != fetch.ReasonWithoutAddress {
		t.Errorf("view: %v", err)
	}
	if where, found, err := h.r.Upstream(t.Context(), h.pkg("a", "p"), "1"); found || err != nil {
		t.Errorf("such a connection counts as empty: %q %v %v", where, found, err)
	}
	h.publish("a", "p", "2", packhouse.Published, bytesOf(1, 10))
	if got := h.shown("a", "p"); len(got) != 1 {
		t.Errorf("view shows %q", got)
	}
}

func TestUnknownThings(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("a")
	h.wantReason("a", "p", "1", "package-version_not_found")
	h.wantReason("b", "p", "1", "repository_not_found")
	h.wantReason("a", "p", "", "invalid_version")
	h.publish("a", "p", "1", packhouse.Published, bytesOf(1, 10))
	_, _, err := h.r.Asset(t.Context(), packhouse.AssetRef{VersionRef: h.pkg("a", "p").At("1"), Asset: "other"})
	if packhouse.ReasonOf(err) != "asset_not_found" {
		t.Errorf("another asset: %v", err)
	}
	elsewhere := h.pkg("a", "p")
	elsewhere.Repo.Domain.Name = "elsewhere"
	if _, _, err := h.r.View(t.Context(), elsewhere, false); packhouse.ReasonOf(err) != "domain_not_found" {
		t.Errorf("another domain: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.r.View(ctx, h.pkg("a", "q"), false); err == nil || errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
