package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// stage puts content into staging, or fails.
func (e *env) stage(pkg packhouse.PackageRef, content string) format.Staged {
	e.t.Helper()
	st, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(content), 0)
	e.must(err)
	return st
}

// tryPublish publishes one asset and returns what comes of it.
func (e *env) tryPublish(pkg packhouse.PackageRef, version, asset, content string, change ...func(*format.Publication)) (format.Outcome, error) {
	e.t.Helper()
	p := format.Publication{Package: pkg, DisplayName: pkg.Package.Name, Version: version,
		Assets: []format.NewAsset{{Name: asset, Content: e.stage(pkg, content)}}}
	for _, f := range change {
		f(&p)
	}
	return e.s.Publish(e.ctx, e.admin, p)
}

func unfinished(p *format.Publication) { p.Unfinished = true }

func inAssets(r packhouse.RepoRef, name string) packhouse.PackageRef {
	return packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: name}}
}

func TestPublishMakesAVersionWhole(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "store"), "box")
	e.recorded()
	out, err := e.tryPublish(pkg, "1.0.0", "package.tgz", "bytes", func(p *format.Publication) { p.Tags = []string{"beta"} })
	e.must(err)
	if out.Repeated || out.Version.Status != packhouse.Published || len(out.Version.Revision) != 44 {
		t.Errorf("outcome %+v", out)
	}
	if out.Version.Origin != (packhouse.Origin{Type: packhouse.OriginInternal, Repository: "store"}) {
		t.Errorf("origin %+v", out.Version.Origin)
	}
	if !out.Asset.Hashes.Complete() || out.Asset.Size != 5 {
		t.Errorf("asset %+v", out.Asset)
	}
	// 3.6 step 5: the record of a first publish closes the package to upstreams.
	record, err := e.s.Package(e.ctx, e.admin, pkg)
	e.must(err)
	if record.Controls != (packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}) {
		t.Errorf("controls %+v", record.Controls)
	}
	var kinds []string
	for _, c := range e.recorded() {
		kinds = append(kinds, string(c.Kind)+" "+c.Version)
		if c.Principal != e.admin.ARN || c.Sequence != 1 {
			t.Errorf("change %+v", c)
		}
	}
	if got := strings.Join(kinds, ","); got != "package.created ,version.published 1.0.0" {
		t.Errorf("changes %s", got)
	}
}

// R7: same bytes again succeed and change nothing; other bytes conflict and leave nothing.
func TestRepeatedPublish(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	pkg := in(e.repo(d, "store"), "box")
	first := e.publish(pkg, "1.0.0", "bytes", "latest")
	e.publish(pkg, "1.1.0", "newer", "latest")
	e.recorded()
	before := e.size(d)

	out, err := e.tryPublish(pkg, "1.0.0", "package.tgz", "bytes", func(p *format.Publication) { p.Tags = []string{"latest"} })
	e.must(err)
	if !out.Repeated || out.Version.Revision != first.Revision {
		t.Errorf("same bytes: %+v", out)
	}
	_, err = e.tryPublish(pkg, "1.0.0", "package.tgz", "other bytes")
	e.wantError(err, packhouse.KindConflict, "version_exists")
	_, err = e.tryPublish(pkg, "1.0.0+build", "package.tgz", "other bytes")
	e.wantError(err, packhouse.KindConflict, "version_exists")
	if got := e.recorded(); len(got) != 0 {
		t.Errorf("changes %+v", got)
	}
	if got := e.size(d); got != before {
		t.Errorf("domain grew from %d to %d bytes", before, got)
	}
	_, display, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{}, Page{})
	e.must(err)
	if display != "1.1.0" {
		t.Errorf("a repeat moved the tag: default is %s", display)
	}
}

// codeartifact.md 3.4: which statuses keep a version's number taken.
func TestPublishOverEachStatus(t *testing.T) {
	for _, tt := range []struct {
		status  packhouse.Status
		content string
		reason  string // "" for success
	}{
		{packhouse.Published, "bytes", ""},
		{packhouse.Unlisted, "bytes", ""},
		{packhouse.Unlisted, "other", "version_exists"},
		{packhouse.Archived, "bytes", "version_exists"},
		{packhouse.Disposed, "bytes", "version_exists"},
	} {
		t.Run(string(tt.status)+" with "+tt.content, func(t *testing.T) {
			e := newEnv(t)
			pkg := in(e.repo(e.domain("main"), "store"), "box")
			e.publish(pkg, "1.0.0", "bytes")
			if tt.status != packhouse.Published {
				e.status(pkg, tt.status, "1.0.0")
			}
			_, err := e.tryPublish(pkg, "1.0.0", "package.tgz", tt.content)
			if tt.reason == "" {
				e.must(err)
				return
			}
			e.wantError(err, packhouse.KindConflict, tt.reason)
		})
	}
}

// 001-22 and codeartifact.md 3.8: assets may be added while a version is Unfinished.
func TestUnfinishedVersionsTakeAssets(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	pkg := inAssets(e.repo(d, "store"), "box")
	publish := func(asset, content string, change ...func(*format.Publication)) (format.Outcome, error) {
		return e.tryPublish(pkg, "1.0", asset, content, change...)
	}
	one, err := publish("one.bin", "first", unfinished)
	e.must(err)
	two, err := publish("two.bin", "second", unfinished)
	e.must(err)
	if one.Version.Status != packhouse.Unfinished || two.Version.Status != packhouse.Unfinished || one.Version.Revision == two.Version.Revision {
		t.Errorf("got %+v then %+v", one.Version, two.Version)
	}
	_, err = publish("one.bin", "else", unfinished)
	e.wantError(err, packhouse.KindConflict, "version_exists")
	three, err := publish("three.bin", "third")
	e.must(err)
	if three.Version.Status != packhouse.Published {
		t.Errorf("status %s", three.Version.Status)
	}
	_, err = publish("four.bin", "fourth")
	e.wantError(err, packhouse.KindConflict, "version_finished")
	again, err := publish("two.bin", "second", unfinished)
	e.must(err)
	if !again.Repeated || again.Version.Status != packhouse.Published {
		t.Errorf("Published never returns to Unfinished: %+v", again)
	}
	if got := e.size(d); got != int64(len("first")+len("second")+len("third")) {
		t.Errorf("assetSizeBytes %d", got)
	}
}

// A call that only finishes re-sends the last asset without the word (3.8).
func TestResendingAnAssetFinishesTheVersion(t *testing.T) {
	e := newEnv(t)
	pkg := inAssets(e.repo(e.domain("main"), "store"), "box")
	one, err := e.tryPublish(pkg, "1.0", "one.bin", "first", unfinished)
	e.must(err)
	out, err := e.tryPublish(pkg, "1.0", "one.bin", "first")
	e.must(err)
	if out.Version.Status != packhouse.Published || out.Version.Revision != one.Version.Revision {
		t.Errorf("got %+v, began as %+v", out.Version, one.Version)
	}
}

func TestPublishIsRefused(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.AssetsPerVersion = 2; o.Quotas.AssetBytes = 64 })
	repo := e.repo(e.domain("main"), "store")
	pkg := inAssets(repo, "box")

	_, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(strings.Repeat("x", 65)), 0)
	e.wantError(err, packhouse.KindTooLarge, "")
	_, err = e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader("four+"), 4)
	e.wantError(err, packhouse.KindTooLarge, "")
	_, err = e.s.Stage(e.ctx, e.admin, pkg, io.MultiReader(strings.NewReader("half"), brokenReader{}), 0)
	e.wantError(err, packhouse.KindInvalid, "incomplete_body")

	_, err = e.tryPublish(pkg, "1.0", "a", "x", func(p *format.Publication) { p.Assets[0].Declared.SHA512 = strings.Repeat("0", 128) })
	e.wantError(err, packhouse.KindInvalid, "digest_mismatch")
	_, err = e.tryPublish(pkg, " ", "a", "x")
	e.wantError(err, packhouse.KindInvalid, "invalid_version")
	_, err = e.tryPublish(pkg, "1.0", "a", "x", func(p *format.Publication) { p.Overlay = bytes.Repeat([]byte("x"), packhouse.MaxOverlay+1) })
	e.wantError(err, packhouse.KindInvalid, "overlay_too_large")

	for i, name := range []string{"a", "b", "c"} {
		_, err = e.tryPublish(pkg, "1.0", name, name, unfinished)
		if i < 2 {
			e.must(err)
		}
	}
	e.wantError(err, packhouse.KindQuotaExceeded, "assets_per_version")

	_, err = e.s.PutControls(e.ctx, e.admin, inAssets(repo, "shut"), packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Block})
	e.must(err)
	_, err = e.tryPublish(inAssets(repo, "shut"), "1.0", "a", "x")
	e.wantError(err, packhouse.KindDenied, "publish_blocked")
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// 5.4.9: a version that an upstream has is refused until upstream is BLOCK.
func TestPublishOfAVersionThatAnUpstreamHas(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	e.publish(in(e.repo(d, "up"), "box"), "1.0.0", "theirs")
	down := in(e.repo(d, "down", "up"), "box")
	_, err := e.tryPublish(down, "1.0.0", "package.tgz", "ours")
	e.wantError(err, packhouse.KindConflict, "version_exists_upstream")
	_, err = e.s.PutControls(e.ctx, e.admin, down, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	e.must(err)
	_, err = e.tryPublish(down, "1.0.0", "package.tgz", "ours")
	e.must(err)
}

// R7, R9: of many publishers of one version with different bytes one wins; publishers of
// different versions all do.
func TestConcurrentPublishes(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	pkg := in(e.repo(d, "store"), "box")
	const n = 32
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		won    int
		failed []error
	)
	for i := range n {
		same, other := e.stage(pkg, strings.Repeat("s", i+1)), e.stage(pkg, strings.Repeat("o", i+1))
		wg.Go(func() {
			_, err := e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "1.0.0", Assets: []format.NewAsset{{Name: "package.tgz", Content: same}}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case packhouse.KindOf(err) != packhouse.KindConflict:
				failed = append(failed, err)
			}
		})
		wg.Go(func() {
			_, err := e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "2.0." + strings.Repeat("1", i+1), Assets: []format.NewAsset{{Name: "package.tgz", Content: other}}})
			if err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 || len(failed) > 0 {
		t.Fatalf("%d publishers of one version won, want 1; failures %v", won, failed)
	}
	if got := len(e.list(pkg)); got != n+1 {
		t.Errorf("%d versions, want %d", got, n+1)
	}
	rows, _, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{}, Page{Limit: 1000})
	e.must(err)
	var sum int64
	for _, v := range rows {
		_, assets, _, err := e.s.VersionAssets(e.ctx, e.admin, pkg.At(v.Ref.Version), Page{})
		e.must(err)
		sum += assets[0].Size
	}
	if got := e.size(d); got != sum {
		t.Errorf("assetSizeBytes %d, the versions' assets sum to %d", got, sum)
	}
}

func TestPublishIntoARepositoryThatWentAway(t *testing.T) {
	e := newEnv(t)
	repo := e.repo(e.domain("main"), "store")
	pkg := in(repo, "box")
	st := e.stage(pkg, "bytes")
	_, err := e.s.DeleteRepository(e.ctx, e.admin, repo)
	e.must(err)
	_, err = e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "1.0.0", Assets: []format.NewAsset{{Name: "package.tgz", Content: st}}})
	e.wantError(err, packhouse.KindNotFound, "repository_not_found")
}

func TestContentStagedForAnotherDomainIsNotTaken(t *testing.T) {
	e := newEnv(t)
	st := e.stage(in(e.repo(e.domain("one"), "store"), "box"), "bytes")
	pkg := in(e.repo(e.domain("two"), "store"), "box")
	_, err := e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "1.0.0", Assets: []format.NewAsset{{Name: "package.tgz", Content: st}}})
	e.wantError(err, packhouse.KindInternal, "")
}

// R2: when the transaction fails for a reason that is not a refusal, the object stays,
// because the commit may have happened; a refusal removes it.
func TestAFailedInspectionLeavesNothing(t *testing.T) {
	refuse := packhouse.Invalidf("bad_archive", "not an archive")
	e := newEnv(t, func(o *Options) {
		o.Formats[tagFormat] = inspectingRoom{testRoom{o.Formats[tagFormat].Spec()}, refuse}
	})
	d := e.domain("main")
	pkg := in(e.repo(d, "store"), "box")
	_, err := e.tryPublish(pkg, "1.0.0", "package.tgz", "bytes")
	if !errors.Is(err, refuse) {
		t.Fatalf("got %v", err)
	}
	if _, err := e.s.Package(e.ctx, e.admin, pkg); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("a refused publish left a package record: %v", err)
	}
	if got := e.size(d); got != 0 {
		t.Errorf("assetSizeBytes %d", got)
	}
}

// hookRoom calls hook once, in the middle of a publish: between the early look and the
// transaction. Its manifests name the first file.
type hookRoom struct {
	testRoom
	hook *func()
}

func (r hookRoom) Inspect(_ context.Context, up format.Upload) (packhouse.Facts, error) {
	if hook := *r.hook; hook != nil {
		*r.hook = nil
		hook()
	}
	return packhouse.Facts{Manifest: []byte(up.Files[0].Name)}, nil
}

// newHookEnv is newEnv with hookRooms; the next publish calls hook.
func newHookEnv(t *testing.T) (e *env, hook *func()) {
	hook = new(func())
	e = newEnv(t, func(o *Options) {
		for id, room := range o.Formats {
			o.Formats[id] = hookRoom{testRoom{room.Spec()}, hook}
		}
	})
	return e, hook
}

// A publisher that loses after its bytes were made durable takes them back; the winner's
// stay, equal or not. Small bytes lie in rows, and are not durable before they win.
func TestLoserOfARaceLeavesNoObject(t *testing.T) {
	large := strings.Repeat("mine", 20_000)
	for name, content := range map[string]struct{ mine, theirs string }{
		"other small bytes": {"mine", "theirs"}, "equal small bytes": {"mine", "mine"},
		"other large bytes": {large, large + "theirs"}, "equal large bytes": {large, large},
	} {
		mine, theirs := content.mine, content.theirs
		t.Run(name, func(t *testing.T) {
			e, hook := newHookEnv(t)
			pkg := in(e.repo(e.domain("main"), "store"), "box")
			*hook = func() { e.publish(pkg, "1.0.0", theirs) }
			_, err := e.tryPublish(pkg, "1.0.0", "package.tgz", mine)
			if theirs == mine {
				e.must(err)
			} else {
				e.wantError(err, packhouse.KindConflict, "version_exists")
			}
			if n := e.objects(); n != 1 {
				t.Errorf("%d objects, want the winner's", n)
			}
			_, _, content, err := e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("1.0.0"), Asset: "package.tgz"}, "")
			e.must(err)
			got := make([]byte, content.Size)
			if _, err := content.At.ReadAt(got, 0); err != nil || string(got) != theirs {
				t.Errorf("the asset reads %.20q, %v", got, err)
			}
			e.must(content.Close())
		})
	}
}

// The version goes away between the early look, which found one of the two assets there,
// and the transaction, which needs both.
func TestPublishStartsOver(t *testing.T) {
	e, hook := newHookEnv(t)
	pkg := packhouse.PackageRef{Repo: e.repo(e.domain("main"), "store"), Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "box"}}
	publish := func(names ...string) error {
		p := format.Publication{Package: pkg, Version: "1.0.0", Unfinished: true}
		for _, name := range names {
			p.Assets = append(p.Assets, format.NewAsset{Name: name, Content: e.stage(pkg, "bytes of "+name)})
		}
		_, err := e.s.Publish(e.ctx, e.admin, p)
		return err
	}
	e.must(publish("a"))
	*hook = func() {
		_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1.0.0"}})
		e.must(err)
	}
	e.must(publish("b", "a"))
	_, assets, _, err := e.s.VersionAssets(e.ctx, e.admin, pkg.At("1.0.0"), Page{})
	e.must(err)
	if len(assets) != 2 {
		t.Errorf("assets %+v", assets)
	}
	if n := e.objects(); n != 2 {
		t.Errorf("%d objects of two contents", n)
	}
}

// Of two first assets of one version that arrive together, the first to be recorded says
// what the version is.
func TestFactsAreThoseOfTheFirstAsset(t *testing.T) {
	e, hook := newHookEnv(t)
	pkg := packhouse.PackageRef{Repo: e.repo(e.domain("main"), "store"), Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "box"}}
	publish := func(name string) {
		_, err := e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "1.0.0", Unfinished: true,
			Assets: []format.NewAsset{{Name: name, Content: e.stage(pkg, "bytes of "+name)}}})
		e.must(err)
	}
	*hook = func() { publish("first") }
	publish("second")
	d, err := e.s.Version(e.ctx, e.admin, pkg.At("1.0.0"))
	e.must(err)
	if string(d.Facts.Manifest) != "first" {
		t.Errorf("the version's manifest is %q", d.Facts.Manifest)
	}
}

type inspectingRoom struct {
	testRoom
	err error
}

func (r inspectingRoom) Inspect(context.Context, format.Upload) (packhouse.Facts, error) {
	return packhouse.Facts{}, r.err
}

func TestTagsAndAmendments(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "store"), "box")
	e.publish(pkg, "1.0.0", "one")
	e.publish(pkg, "1.1.0", "two")
	tag := func(name, version string) error {
		return e.s.Tag(e.ctx, e.admin, pkg, format.TagChange{Tag: name, Version: version})
	}
	e.must(tag("beta", "1.1.0"))
	e.must(tag("beta", ""))
	e.wantError(tag("beta", ""), packhouse.KindNotFound, "")
	e.wantError(tag("latest", ""), packhouse.KindInvalid, "default_tag")
	e.wantError(tag("next", "9.9.9"), packhouse.KindNotFound, "package-version_not_found")

	record, err := e.s.Package(e.ctx, e.admin, pkg)
	e.must(err)
	text := []byte(`{"deprecated":"old"}`)
	amend := func(a format.Amendments) error { return e.s.Amend(e.ctx, e.admin, pkg, a) }
	e.recorded()
	e.wantError(amend(format.Amendments{IfSeq: record.Seq + 1, Versions: []format.Amendment{{Version: "1.0.0", Overlay: &text}}}), packhouse.KindConflict, "stale_revision")
	e.must(amend(format.Amendments{IfSeq: record.Seq, Versions: []format.Amendment{{Version: "1.0.0", Overlay: &text}}}))
	e.must(amend(format.Amendments{Versions: []format.Amendment{{Version: "1.0.0", Overlay: &text}}}))
	if got := e.recorded(); len(got) != 1 || got[0].Kind != packhouse.ChangeVersionOverlay {
		t.Errorf("changes %+v, want one: what is as asked changes nothing", got)
	}
	// All or none: the second version does not exist.
	e.wantError(amend(format.Amendments{Versions: []format.Amendment{{Version: "1.0.0", Status: packhouse.Disposed}, {Version: "7", Status: packhouse.Disposed}}}), packhouse.KindNotFound, "")
	if got := e.list(pkg)["1.0.0"]; got != packhouse.Published {
		t.Errorf("1.0.0 is %s", got)
	}
	e.must(amend(format.Amendments{AllVersions: true, Status: packhouse.Disposed}))
	for v, s := range e.list(pkg) {
		if s != packhouse.Disposed {
			t.Errorf("%s is %s", v, s)
		}
	}
	e.wantError(amend(format.Amendments{Versions: []format.Amendment{{Version: "1.0.0", Status: packhouse.Published}}}), packhouse.KindConflict, "version_disposed")
}

// What each amendment needs to be allowed.
func TestAmendActions(t *testing.T) {
	text := []byte("{}")
	for _, tt := range []struct {
		name string
		a    format.Amendments
		want []packhouse.Action
	}{
		{"nothing still needs a right", format.Amendments{}, []packhouse.Action{packhouse.ActionPutPackageMetadata}},
		{"overlay", format.Amendments{Versions: []format.Amendment{{Overlay: &text}}}, []packhouse.Action{packhouse.ActionPutPackageMetadata}},
		{"dispose", format.Amendments{Versions: []format.Amendment{{Status: packhouse.Disposed}}}, []packhouse.Action{packhouse.ActionDisposePackageVersions}},
		{"dispose all", format.Amendments{AllVersions: true, Status: packhouse.Disposed}, []packhouse.Action{packhouse.ActionDisposePackageVersions}},
		{"status and overlay", format.Amendments{Versions: []format.Amendment{{Status: packhouse.Unlisted}, {Overlay: &text}}},
			[]packhouse.Action{packhouse.ActionUpdatePackageVersionsStatus, packhouse.ActionPutPackageMetadata}},
	} {
		got := amendActions(tt.a)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

// The kept row of a blob in another repository is used again, without a second object.
func TestEqualBytesAreStoredOnce(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	a, b := in(e.repo(d, "one"), "box"), in(e.repo(d, "two"), "other")
	e.publish(a, "1.0.0", "the same bytes")
	e.publish(b, "2.0.0", "the same bytes")
	if got := e.size(d); got != int64(len("the same bytes")) {
		t.Errorf("assetSizeBytes %d", got)
	}
	var ids []int64
	for _, v := range []packhouse.VersionRef{a.At("1.0.0"), b.At("2.0.0")} {
		e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
			repo, _, err := e.s.repository(e.ctx, v.Repo)
			if err != nil {
				return err
			}
			p, err := tx.Package(e.ctx, repo.ID, v.Package)
			if err != nil {
				return err
			}
			row, err := tx.Version(e.ctx, p.ID, v.Version)
			if err != nil {
				return err
			}
			assets, err := tx.Assets(e.ctx, row.RevisionID)
			ids = append(ids, assets[0].Blob.ID)
			return err
		}))
	}
	if ids[0] != ids[1] {
		t.Errorf("blob rows %v, want one", ids)
	}
}
