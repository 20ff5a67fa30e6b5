package ops

import (
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// files names a package of assetsFormat in a repository.
func files(r packhouse.RepoRef) packhouse.PackageRef {
	return packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "box"}}
}

// put publishes one asset of a version and returns the error.
func (e *env) put(pkg packhouse.PackageRef, version, name, content, replaces string, unfinished bool) error {
	e.t.Helper()
	staged, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(content), 0)
	e.must(err)
	_, err = e.s.Publish(e.ctx, e.admin, format.Publication{
		Package: pkg, DisplayName: pkg.Package.Name, Version: version, Unfinished: unfinished,
		Assets: []format.NewAsset{{Name: name, Content: staged, Replaces: replaces}},
	})
	return err
}

// names lists a version's assets as the caller sees them.
func (e *env) names(who packhouse.Principal, pkg packhouse.PackageRef, version string) string {
	e.t.Helper()
	held, err := e.s.Held(e.ctx, who, pkg, version)
	e.must(err)
	var list []string
	for _, a := range held.Versions[0].Assets {
		if !a.Hashes.Complete() {
			e.t.Errorf("%s has hashes %+v, want all four", a.Name, a.Hashes)
		}
		list = append(list, a.Name)
	}
	return strings.Join(list, " ")
}

func TestRemove(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	pkg := files(e.repo(d, "repo"))
	e.must(e.put(pkg, "1", "b", "bytes of b", "", true))
	e.must(e.put(pkg, "1", "a", "bytes of a", "", true))
	if got := e.names(e.admin, pkg, "1"); got != "a b" {
		t.Fatalf("assets %q, want both in order", got)
	}
	before, err := e.s.Held(e.ctx, e.admin, pkg, "1")
	e.must(err)
	e.recorded()

	e.wantError(e.s.Remove(e.ctx, e.nobody, pkg.At("1"), "a"), packhouse.KindDenied, "access_not_allowed")
	e.wantError(e.s.Remove(e.ctx, e.admin, pkg.At("1"), "c"), packhouse.KindNotFound, "asset_not_found")
	e.wantError(e.s.Remove(e.ctx, e.admin, pkg.At("2"), ""), packhouse.KindNotFound, "package-version_not_found")
	e.must(e.s.Remove(e.ctx, e.admin, pkg.At("1"), "a"))
	if got := e.names(e.admin, pkg, "1"); got != "b" {
		t.Errorf("assets %q, want what was not removed", got)
	}
	if got := e.size(d); got != int64(len("bytes of b")) {
		t.Errorf("the domain holds %d bytes, want those of b", got)
	}
	changes := e.recorded()
	if len(changes) != 1 || changes[0].Kind != packhouse.ChangeVersionAssetRemoved ||
		changes[0].RevisionBefore != before.Versions[0].Revision || changes[0].RevisionAfter == changes[0].RevisionBefore ||
		changes[0].StatusAfter != packhouse.Unfinished || changes[0].Sequence <= before.Seq {
		t.Errorf("changes %+v", changes)
	}

	// With the last asset goes the version.
	e.must(e.s.Remove(e.ctx, e.admin, pkg.At("1"), "b"))
	_, err = e.s.Held(e.ctx, e.admin, pkg, "1")
	e.wantError(err, packhouse.KindNotFound, "package-version_not_found")
	if changes := e.recorded(); len(changes) != 1 || changes[0].Kind != packhouse.ChangeVersionDeleted || changes[0].StatusAfter != packhouse.Deleted {
		t.Errorf("changes %+v", changes)
	}
	if got := e.size(d); got != 0 {
		t.Errorf("the domain holds %d bytes, want none", got)
	}

	// Of a Published version goes everything or nothing.
	e.must(e.put(pkg, "2", "a", "x", "", false))
	e.wantError(e.s.Remove(e.ctx, e.admin, pkg.At("2"), "a"), packhouse.KindConflict, "version_finished")
	e.must(e.s.Remove(e.ctx, e.admin, pkg.At("2"), ""))
	if got := e.list(pkg); len(got) != 0 {
		t.Errorf("versions %v, want none", got)
	}
}

func TestReplaceWhileUnfinished(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	pkg := files(e.repo(d, "repo"))
	e.must(e.put(pkg, "1", "a", "old", "", true))
	e.wantError(e.put(pkg, "1", "a", "newer", hashesOf("other").SHA256, true), packhouse.KindConflict, "version_exists")
	e.must(e.put(pkg, "1", "a", "newer", hashesOf("old").SHA256, true))
	if got := e.size(d); got != int64(len("newer")) {
		t.Errorf("the domain holds %d bytes, want the new ones only", got)
	}
	e.must(e.put(pkg, "1", "a", "newer", "", false))
	e.wantError(e.put(pkg, "1", "a", "last", hashesOf("newer").SHA256, false), packhouse.KindConflict, "version_exists")
}

func TestUnfinishedIsForWriters(t *testing.T) {
	e := newEnv(t)
	pkg := files(e.repo(e.domain("main"), "repo"))
	e.must(e.put(pkg, "1", "a", "one", "", false))
	e.must(e.put(pkg, "2", "a", "two", "", true))
	reader := e.allowed("reader", `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*"}`)

	_, err := e.s.Held(e.ctx, reader, pkg, "2")
	e.wantError(err, packhouse.KindNotFound, "package-version_not_found")
	all, err := e.s.Held(e.ctx, reader, pkg, "")
	e.must(err)
	if len(all.Versions) != 1 || all.Versions[0].Ref.Version != "1" || all.Writer {
		t.Errorf("a reader sees %+v, want version 1 only", all)
	}
	_, err = e.s.Held(e.ctx, e.nobody, pkg, "")
	e.wantError(err, packhouse.KindDenied, "access_not_allowed")

	two := packhouse.AssetRef{VersionRef: pkg.At("2"), Asset: "a"}
	_, _, err = e.s.Asset(e.ctx, reader, two)
	e.wantError(err, packhouse.KindNotFound, "package-version_not_found")
	_, content, err := e.s.Asset(e.ctx, e.admin, two)
	e.must(err)
	defer func() { e.must(content.Close()) }()
	if !content.Unfinished || content.Size != 3 {
		t.Errorf("a writer gets %+v", content)
	}
	two.Asset = "b"
	_, _, err = e.s.Asset(e.ctx, e.admin, two)
	e.wantError(err, packhouse.KindNotFound, "asset_not_found")
}

// unread fails the test when it is read.
type unread struct {
	t    *testing.T
	size int64
}

func (u unread) Size() int64 { return u.size }
func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, nil
}

func TestStageRefusesBeforeReading(t *testing.T) {
	e := newEnv(t)
	pkg := files(e.repo(e.domain("main"), "repo"))
	_, err := e.s.Stage(e.ctx, e.admin, pkg, unread{t, 11}, 10)
	e.wantError(err, packhouse.KindTooLarge, "asset_too_large")
	_, err = e.s.Stage(e.ctx, e.nobody, pkg, unread{t, 5}, 10)
	e.wantError(err, packhouse.KindDenied, "access_not_allowed")
}
