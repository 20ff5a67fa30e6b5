package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// S47: a block reaches downloads by the API and by clients, publishes and copies at once;
// lists go on showing what is there, and a release takes it all back.
func TestBlocks(t *testing.T) {
	e, from, to, r4, _ := copyEnv(t)
	d := from.Repo.Domain
	asset := packhouse.AssetRef{VersionRef: from.At("4.0.0"), Asset: "package.tgz"}
	sum := sha256.Sum256([]byte("four"))
	name := "tagged/" + from.Package.Name
	for _, tt := range []struct{ name, target, kept string }{
		{"a version", name + "@4.0.0+build", name + "@4.0.0"},
		{"a package", name, name},
		{"bytes", "sha256:" + strings.ToUpper(hex.EncodeToString(sum[:])), "sha256:" + hex.EncodeToString(sum[:])},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, c, err := e.s.Asset(e.ctx, e.admin, asset); err != nil {
				t.Fatal(err)
			} else {
				e.must(c.Close())
			}
			e.recorded()
			b, err := e.s.CreateBlock(e.ctx, e.admin, d, tt.target, "it steals tokens")
			e.must(err)
			if b.Target != tt.kept || b.Principal != e.admin.ARN {
				t.Errorf("made %+v, want target %s", b, tt.kept)
			}
			if c := e.recorded(); len(c) != 1 || c[0].Kind != packhouse.ChangeBlocked || c[0].DomainID == 0 || c[0].Principal != e.admin.ARN || c[0].Detail != tt.kept+" it steals tokens" {
				t.Errorf("recorded %+v", c)
			}
			_, err = e.s.CreateBlock(e.ctx, e.admin, d, tt.kept, "")
			e.wantError(err, packhouse.KindConflict, "block_exists")
			list, err := e.s.Blocks(e.ctx, e.admin, d)
			e.must(err)
			if len(list) != 1 || list[0] != b {
				t.Errorf("listed %+v, want %+v", list, b)
			}

			_, _, err = e.s.Asset(e.ctx, e.admin, asset)
			e.wantError(err, packhouse.KindDenied, "blocked")
			_, _, _, err = e.s.VersionAsset(e.ctx, e.admin, asset, "")
			e.wantError(err, packhouse.KindDenied, "blocked")
			if !strings.HasSuffix(err.Error(), "is blocked: it steals tokens") {
				t.Errorf("refused with %v", err)
			}
			batch := e.copy(from, to, CopyVersions{Versions: []string{"4.0.0"}})
			if batch.Failed["4.0.0"].Code != FailedNotAllowed {
				t.Errorf("copied: %+v", batch)
			}
			version := "4.0.0"
			if strings.HasPrefix(tt.target, "sha256:") {
				version = "4.0.1"
			}
			_, err = e.tryPublish(in(to.Repo, from.Package.Name), version, "package.tgz", "four")
			e.wantError(err, packhouse.KindDenied, "blocked")
			if got := e.list(from); got["4.0.0"] != packhouse.Published {
				t.Errorf("its owner sees %v", got)
			}

			e.must(e.s.DeleteBlock(e.ctx, e.admin, d, tt.target))
			if c := e.recorded(); len(c) != 1 || c[0].Kind != packhouse.ChangeReleased || c[0].Detail != tt.kept {
				t.Errorf("recorded %+v", c)
			}
			e.wantError(e.s.DeleteBlock(e.ctx, e.admin, d, tt.target), packhouse.KindNotFound, "block_not_found")
		})
	}
	wantBatch(e, e.copy(from, to, CopyVersions{Versions: []string{"4.0.0"}}), map[string]string{"4.0.0": "Published " + r4})
	// A domain that is made anew has none of the old one's.
	_, err := e.s.CreateBlock(e.ctx, e.admin, e.domain("other"), name, "")
	e.must(err)
	if list, err := e.s.Blocks(e.ctx, e.admin, d); err != nil || len(list) != 0 {
		t.Errorf("another domain's blocks: %v, %v", list, err)
	}
}

func TestBlockTargets(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	for _, tt := range []struct{ target, reason string }{
		{"", "invalid_package"}, {"box", "invalid_package"}, {"tagged/", "invalid_package"}, {"tagged/a/b/c", "invalid_package"},
		{"tagged/@/box", "invalid_package"}, {"tagged/box@", "invalid_package"}, {"tagged/box@!", "invalid_version"},
		{"sha256:12", "invalid_digest"}, {"sha256:" + strings.Repeat("0", 64), "invalid_digest"}, {"unheard/box", "format_not_supported"},
	} {
		_, err := e.s.CreateBlock(e.ctx, e.admin, d, tt.target, "")
		if packhouse.ReasonOf(err) != tt.reason {
			t.Errorf("%q: %v with reason %q, want %q", tt.target, err, packhouse.ReasonOf(err), tt.reason)
		}
	}
	for _, reason := range []string{strings.Repeat("x", 501), "two\nlines"} {
		_, err := e.s.CreateBlock(e.ctx, e.admin, d, "tagged/box", reason)
		e.wantError(err, packhouse.KindInvalid, "invalid_reason")
	}
}

// All blocks of a domain are kept in memory, so there is an end to them.
func TestBlocksAreBounded(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	e.must(e.db.Update(e.ctx, func(tx *catalog.Tx) error {
		domain, err := e.s.domainIn(e.ctx, tx, d)
		for i := 0; i < maxBlocks-1 && err == nil; i++ {
			name := packhouse.PackageName{Format: "tagged", Name: fmt.Sprintf("box-%d", i)}
			err = tx.InsertBlock(e.ctx, domain.ID, catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: name.String()}, Name: name})
		}
		return err
	}))
	_, err := e.s.CreateBlock(e.ctx, e.admin, d, "tagged/last", "")
	e.must(err)
	_, err = e.s.CreateBlock(e.ctx, e.admin, d, "tagged/beyond", "")
	e.wantError(err, packhouse.KindQuotaExceeded, "blocks_per_domain")
	e.must(e.s.DeleteBlock(e.ctx, e.admin, d, "tagged/last"))
	_, err = e.s.CreateBlock(e.ctx, e.admin, d, "tagged/beyond", "")
	e.must(err)
}
