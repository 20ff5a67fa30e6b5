package ops

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func hashesOf(content string) packhouse.Hashes {
	b := []byte(content)
	m, s1, s2, s5 := md5.Sum(b), sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
	return packhouse.Hashes{MD5: hex.EncodeToString(m[:]), SHA1: hex.EncodeToString(s1[:]), SHA256: hex.EncodeToString(s2[:]), SHA512: hex.EncodeToString(s5[:])}
}

// insertVersion writes a version with one asset beneath the engine, as a node that was
// killed before its background hasher ran leaves it: only SHA-256 is known.
func (e *env) insertVersion(pkg packhouse.PackageRef, version, content string) {
	e.t.Helper()
	repo, domain, err := e.s.repository(e.ctx, pkg.Repo)
	e.must(err)
	st, err := e.vault.Stage(e.ctx, domain.Key, 1<<20, false)
	e.must(err)
	_, err = io.WriteString(st, content)
	e.must(err)
	e.must(st.Finish())
	defer st.Discard()
	ref, err := st.Keep(e.ctx, 1)
	e.must(err)
	e.must(e.db.Update(e.ctx, func(tx *catalog.Tx) error {
		blob, _, err := tx.UseBlob(e.ctx, catalog.BlobRow{BlobRef: ref, DomainID: domain.ID, Hashes: packhouse.Hashes{SHA256: ref.Digest.Hex()}})
		if err != nil {
			return err
		}
		revision, err := tx.EnsureRevision(e.ctx, catalog.Revision{
			Domain: domain.Key, Name: fmt.Sprintf("%044d", blob.ID), Format: pkg.Package.Format, Size: ref.Size,
			Assets: []catalog.RevisionAsset{{Name: "a.bin", BlobID: blob.ID}, {Name: "a.bin.sig", BlobID: blob.ID, Side: true}},
		})
		if err != nil {
			return err
		}
		record, _, err := e.s.ensureRecord(e.ctx, tx, newRecord(repo, pkg.Package, pkg.Package.Name, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}, e.s.now()))
		if err != nil {
			return err
		}
		_, err = tx.InsertVersion(e.ctx, catalog.NewVersion{
			PackageID: record.ID, Version: version, VersionKey: version, RevisionID: revision, Status: packhouse.Published,
			Origin: packhouse.Origin{Type: packhouse.OriginUnknown}, Published: e.s.now(), Recorded: e.s.now(),
		})
		return err
	}))
}

// Case 001-21 and reliability.md R2 step 3: who asks for the late hashes waits for them.
func TestVersionAssetsHaveFourHashes(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "team"), "lib")
	e.insertVersion(pkg, "1.0.0", "some bytes")
	for range 2 {
		_, list, next, err := e.s.VersionAssets(e.ctx, e.admin, pkg.At("1.0.0"), Page{})
		e.must(err)
		if len(list) != 1 || next != "" || list[0].Name != "a.bin" || list[0].Size != 10 {
			t.Fatalf("assets %+v, want a.bin without its side file", list)
		}
		if list[0].Hashes != hashesOf("some bytes") {
			t.Errorf("hashes %+v", list[0].Hashes)
		}
	}
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
		left, err := tx.BlobsWithoutHashes(e.ctx, 10)
		if len(left) != 0 {
			t.Errorf("the computed hashes were not kept")
		}
		return err
	}))
}

// Codeartifact.md 1.6, GetPackageVersionAsset; cases 000-4 and 001-22.
func TestVersionAsset(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	pkg := packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "files"}}
	publish := func(name, content string, unfinished bool) error {
		_, a, err := e.s.PublishAsset(e.ctx, e.admin, PublishAsset{
			Version: pkg.At("1.0"), Asset: name, SHA256: hashesOf(content).SHA256, Unfinished: unfinished, Body: strings.NewReader(content),
		})
		if err == nil && a.Hashes != hashesOf(content) {
			t.Errorf("published with hashes %+v", a.Hashes)
		}
		return err
	}
	read := func(revision string) (packhouse.PackageVersion, string, error) {
		v, a, c, err := e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("1.0"), Asset: "one"}, revision)
		if err != nil {
			return v, "", err
		}
		defer func() { e.must(c.Close()) }()
		b, err := io.ReadAll(io.NewSectionReader(c.At, 0, c.Size))
		e.must(err)
		if a.Size != int64(len(b)) || a.Name != "one" {
			t.Errorf("asset %+v", a)
		}
		return v, string(b), nil
	}
	e.must(publish("one", "first bytes", true))
	v, got, err := read("")
	e.must(err)
	if v.Status != packhouse.Unfinished || got != "first bytes" {
		t.Errorf("read %q of %+v", got, v)
	}
	e.must(publish("two", "", false))
	e.wantError(publish("three", "x", false), packhouse.KindConflict, "version_finished")
	now, _, err := read("")
	e.must(err)
	if now.Status != packhouse.Published || now.Revision == v.Revision {
		t.Errorf("finished %+v after %+v", now, v)
	}
	_, _, err = read(v.Revision)
	e.wantError(err, packhouse.KindConflict, "revision_mismatch")
	_, got, err = read(now.Revision)
	e.must(err)
	if got != "first bytes" {
		t.Errorf("read %q", got)
	}
	_, _, _, err = e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("1.0"), Asset: "absent"}, "")
	e.wantError(err, packhouse.KindNotFound, "asset_not_found")
	_, _, _, err = e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("2.0"), Asset: "one"}, "")
	e.wantError(err, packhouse.KindNotFound, "package-version_not_found")

	page, list, next, err := e.s.VersionAssets(e.ctx, e.admin, pkg.At("1.0"), Page{Limit: 1})
	e.must(err)
	if page.Revision != now.Revision || len(list) != 1 || list[0].Name != "one" || next == "" {
		t.Errorf("first page %v, next %q", list, next)
	}
	_, list, next, err = e.s.VersionAssets(e.ctx, e.admin, pkg.At("1.0"), Page{Limit: 1, After: next})
	e.must(err)
	if len(list) != 1 || list[0].Name != "two" || next != "" {
		t.Errorf("second page %v, next %q", list, next)
	}

	e.status(pkg, packhouse.Archived, "1.0")
	_, _, err = read("")
	e.wantError(err, packhouse.KindNotFound, "asset_not_found")
	e.status(pkg, packhouse.Published, "1.0")
	_, got, err = read("")
	e.must(err)
	if got != "first bytes" {
		t.Errorf("restored %q", got)
	}
	e.status(pkg, packhouse.Disposed, "1.0")
	_, _, err = read("")
	e.wantError(err, packhouse.KindNotFound, "asset_not_found")
	disposed, list, _, err := e.s.VersionAssets(e.ctx, e.admin, pkg.At("1.0"), Page{})
	e.must(err)
	if disposed.Status != packhouse.Disposed || len(list) != 0 {
		t.Errorf("disposed %+v has assets %v", disposed, list)
	}
	d, err := e.s.Dependencies(e.ctx, e.admin, pkg.At("1.0"))
	e.must(err)
	if len(d.Facts.Dependencies) != 0 {
		t.Errorf("dependencies %v", d.Facts.Dependencies)
	}
	_, err = e.s.Readme(e.ctx, e.admin, pkg.At("1.0"))
	e.wantError(err, packhouse.KindNotFound, "readme_not_found")
}

// Case 001-3.
func TestBytesCountOncePerDomain(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	a, b, c := in(e.repo(d, "r1"), "lib"), in(e.repo(d, "r2"), "lib"), in(e.repo(d, "r3"), "lib")
	e.publish(a, "1.0.0", strings.Repeat("x", 1000))
	e.copy(a, b, CopyVersions{Versions: []string{"1.0.0"}})
	e.copy(a, c, CopyVersions{Versions: []string{"1.0.0"}})
	for i, pkg := range []packhouse.PackageRef{a, b, c} {
		if got := e.size(d); got != 1000 {
			t.Errorf("%d deleted: the domain holds %d bytes, want 1000", i, got)
		}
		_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1.0.0"}})
		e.must(err)
	}
	if got := e.size(d); got != 0 {
		t.Errorf("all deleted: the domain holds %d bytes", got)
	}
}
