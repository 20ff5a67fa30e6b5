package ops

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// signingRoom is a format that has its versions signed.
type signingRoom struct {
	testRoom
	mu     sync.Mutex
	signed []format.Signature
}

func (r *signingRoom) Inspect(_ context.Context, up format.Upload) (packhouse.Facts, error) {
	facts := packhouse.Facts{DisplayName: up.DisplayName}
	for _, f := range up.Files {
		if f.Side {
			facts.Manifest = []byte(`"` + f.Hashes.SHA256 + `"`)
		}
	}
	if up.Sign == nil {
		return facts, nil
	}
	sig, err := up.Sign([]byte(up.Package.Name + "@" + up.Version))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signed = append(r.signed, sig)
	return facts, err
}

func newSigningEnv(t *testing.T) (*env, *signingRoom) {
	room := &signingRoom{testRoom: testRooms()[tagFormat].(testRoom)}
	e := newEnv(t, func(o *Options) {
		o.Formats[tagFormat] = room
		o.Signing = []packhouse.FormatID{tagFormat}
	})
	return e, room
}

func (e *env) signingKeys(r packhouse.RepoRef) []format.SigningKey {
	e.t.Helper()
	keys, err := e.s.SigningKeys(e.ctx, e.admin, r)
	e.must(err)
	return keys
}

func verifies(t *testing.T, k format.SigningKey, text string, sig format.Signature) bool {
	t.Helper()
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	return ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], sig.Value)
}

// Versions are signed with a key of their domain, which is made once and shared with no
// other domain; after a rotation with another, and the one before is still told.
func TestSigning(t *testing.T) {
	e, room := newSigningEnv(t)
	main, other := e.domain("main"), e.domain("other")
	team, apps, away := e.repo(main, "team"), e.repo(main, "apps"), e.repo(other, "away")
	if keys := e.signingKeys(team); len(keys) != 0 {
		t.Errorf("keys before the first signature: %v", keys)
	}
	var wg sync.WaitGroup
	for _, version := range []string{"1", "2", "3", "4"} {
		wg.Go(func() { e.publish(in(team, "lib"), version, "bytes "+version) })
	}
	wg.Wait()
	keys := e.signingKeys(apps)
	if len(keys) != 1 || !keys[0].Expires.IsZero() || !strings.HasPrefix(keys[0].ID, "SHA256:") || len(keys[0].ID) != len("SHA256:")+43 {
		t.Fatalf("keys of the domain: %+v, want one", keys)
	}
	for _, sig := range room.signed {
		if sig.KeyID != keys[0].ID {
			t.Errorf("signed with %s, want %s", sig.KeyID, keys[0].ID)
		}
	}
	room.signed = nil
	e.publish(in(team, "tool"), "1", "x")
	e.publish(in(apps, "tool"), "1", "x")
	if a, b := room.signed[0], room.signed[1]; !bytes.Equal(a.Value, b.Value) || !verifies(t, keys[0], "tool@1", a) || verifies(t, keys[0], "tool@2", a) {
		t.Errorf("signatures %x and %x: want one that verifies, twice (RFC 6979)", a.Value, b.Value)
	}
	e.publish(in(away, "tool"), "1", "x")
	if k := e.signingKeys(away); len(k) != 1 || k[0].ID == keys[0].ID || room.signed[2].KeyID != k[0].ID {
		t.Errorf("keys of the other domain: %+v", k)
	}

	id, err := RotateSigningKey(e.ctx, e.db, main, e.s.now())
	e.must(err)
	e.publish(in(team, "tool"), "2", "y")
	after := e.signingKeys(team)
	if len(after) != 2 || after[0].ID != id || room.signed[3].KeyID != id || !verifies(t, after[0], "tool@2", room.signed[3]) {
		t.Errorf("after the rotation: %+v, signed with %s, want %s", after, room.signed[3].KeyID, id)
	}
	if after[1].ID != keys[0].ID || !after[1].Expires.Equal(e.s.now().Add(time.Hour)) || !verifies(t, after[1], "tool@1", room.signed[0]) {
		t.Errorf("the key before: %+v", after[1])
	}
	_, err = RotateSigningKey(e.ctx, e.db, packhouse.DomainRef{Owner: ours, Name: "absent"}, e.s.now())
	e.wantError(err, packhouse.KindNotFound, "")
}

func TestFormatsAreNotSignedUnasked(t *testing.T) {
	room := &signingRoom{testRoom: testRooms()[tagFormat].(testRoom)}
	e := newEnv(t, func(o *Options) { o.Formats[tagFormat] = room })
	team := e.repo(e.domain("main"), "team")
	e.publish(in(team, "lib"), "1", "x")
	if keys := e.signingKeys(team); len(keys) != 0 || len(room.signed) != 0 {
		t.Errorf("keys %v, signatures %v", keys, room.signed)
	}
}

// publishBeside publishes a version with a file beside its asset.
func (e *env) publishBeside(pkg packhouse.PackageRef, version, content, beside string) error {
	e.t.Helper()
	p := format.Publication{Package: pkg, DisplayName: pkg.Package.Name, Version: version}
	for name, text := range map[string]string{"package.tgz": content, "beside.json": beside} {
		staged, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(text), 0)
		e.must(err)
		p.Assets = append(p.Assets, format.NewAsset{Name: name, Content: staged, Side: name == "beside.json"})
	}
	_, err := e.s.Publish(e.ctx, e.admin, p)
	return err
}

func (e *env) beside(pkg packhouse.PackageRef, version string) (string, error) {
	e.t.Helper()
	_, content, err := e.s.Asset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At(version), Asset: "beside.json"})
	if err != nil {
		return "", err
	}
	defer func() { e.must(content.Close()) }()
	text, err := io.ReadAll(io.NewSectionReader(content.At, 0, content.Size))
	e.must(err)
	return string(text), nil
}

// A file beside a version's assets is none of them; it lives with the version, wherever
// that goes, and goes with it.
func TestFilesBesideAssets(t *testing.T) {
	e, _ := newSigningEnv(t)
	e.s.quotas.AssetsPerVersion = 1 // it does not count
	d := e.domain("main")
	team, copies := e.repo(d, "team"), e.repo(d, "copies")
	apps := e.repo(d, "apps", "team")
	lib := in(team, "lib")
	e.must(e.publishBeside(lib, "1", "bytes", "who built it"))
	e.must(e.publishBeside(lib, "1", "bytes", "who built it")) // a repeat changes nothing
	e.wantError(e.publishBeside(lib, "1", "bytes", "somebody else"), packhouse.KindConflict, "version_exists")
	e.publish(lib, "1", "bytes") // nor does a repeat without it

	_, assets, _, err := e.s.VersionAssets(e.ctx, e.admin, lib.At("1"), Page{})
	e.must(err)
	if len(assets) != 1 || assets[0].Name != "package.tgz" {
		t.Errorf("assets %+v, want the tarball alone", assets)
	}
	_, _, _, err = e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: lib.At("1"), Asset: "beside.json"}, "")
	e.wantError(err, packhouse.KindNotFound, "")

	// The same bytes with another file beside them, elsewhere in the domain, leave this one alone.
	e.must(e.publishBeside(in(e.repo(d, "third"), "lib"), "1", "bytes", "somebody else"))
	_, err = e.s.CopyVersions(e.ctx, e.admin, CopyVersions{Domain: d, Source: "team", Destination: "copies", Package: lib.Package, Versions: []string{"1"}})
	e.must(err)
	for _, r := range []packhouse.RepoRef{team, copies, apps} {
		if got, err := e.beside(in(r, "lib"), "1"); err != nil || got != "who built it" {
			t.Errorf("in %s: %q, %v", r.Name, got, err)
		}
	}
	_, err = e.beside(lib, "2")
	e.wantError(err, packhouse.KindNotFound, "")

	for _, r := range []packhouse.RepoRef{team, copies, apps} {
		e.status(in(r, "lib"), packhouse.Disposed, "1")
		_, err = e.beside(in(r, "lib"), "1")
		e.wantError(err, packhouse.KindNotFound, "version_disposed")
	}
	var unreferenced int64
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
		u, _, err := tx.DomainUsage(e.ctx, e.domainID(d))
		unreferenced = u
		return err
	}))
	if want := int64(len("bytes") + len("somebody else")); unreferenced != want {
		t.Errorf("the domain holds %d bytes, want %d: only what the third repository has", unreferenced, want)
	}
}

func (e *env) domainID(ref packhouse.DomainRef) (id int64) {
	e.t.Helper()
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(e.ctx, ref)
		id = d.ID
		return err
	}))
	return id
}
