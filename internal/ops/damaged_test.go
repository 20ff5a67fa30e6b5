package ops

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/vault"
)

// R1, R15: a marked file is refused at every way to it; the same publish again is told that
// its bytes are stored, and so they are.
func TestMarkedAssets(t *testing.T) {
	e := newEnv(t)
	pkg := packhouse.PackageRef{Repo: e.repo(e.domain("main"), "team"), Package: packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "files"}}
	for _, tt := range []struct {
		version string
		content string
		late    bool // the version is Unfinished
	}{
		{"1.0", "a small file", false},
		{"2.0", strings.Repeat("a large file ", 20_000), false},
		{"3.0", "a file of a version that is not finished", true},
	} {
		t.Run(tt.version, func(t *testing.T) {
			ref := packhouse.AssetRef{VersionRef: pkg.At(tt.version), Asset: "one"}
			publish := func() {
				t.Helper()
				_, _, err := e.s.PublishAsset(e.ctx, e.admin, PublishAsset{Version: ref.VersionRef, Asset: ref.Asset, SHA256: hashesOf(tt.content).SHA256,
					Unfinished: tt.late, Body: strings.NewReader(tt.content)})
				e.must(err)
			}
			stored := func() (b catalog.BlobRow) {
				e.must(e.db.View(e.ctx, func(tx *catalog.Tx) error {
					d, err := tx.Domain(e.ctx, pkg.Repo.Domain)
					if err != nil {
						return err
					}
					digest, err := packhouse.ParseDigest(hashesOf(tt.content).SHA256)
					e.must(err)
					b, err = tx.FindBlob(e.ctx, d.ID, digest)
					return err
				}))
				return b
			}
			publish()
			before := stored()
			e.must(e.db.Update(e.ctx, func(tx *catalog.Tx) error { return tx.QuarantineBlob(e.ctx, before, "damaged") }))
			if _, _, _, err := e.s.VersionAsset(e.ctx, e.admin, ref, ""); !errors.Is(err, vault.ErrDamaged) || packhouse.KindOf(err) != packhouse.KindInternal {
				t.Errorf("GetPackageVersionAsset: %v", err)
			}
			if _, _, err := e.s.Asset(e.ctx, e.admin, ref); !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("a download: %v", err)
			}
			publish()
			after := stored()
			if after.ID != before.ID || after.Object == before.Object || after.Generation <= before.Generation || !after.Quarantined.IsZero() {
				t.Errorf("the row is %+v, was %+v", after, before)
			}
			_, _, c, err := e.s.VersionAsset(e.ctx, e.admin, ref, "")
			e.must(err)
			got, err := io.ReadAll(io.NewSectionReader(c.At, 0, c.Size))
			e.must(errors.Join(err, c.Close()))
			if string(got) != tt.content {
				t.Errorf("%d bytes came back", len(got))
			}
		})
	}
}
