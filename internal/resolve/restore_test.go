package resolve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault"
)

// damage flips a bit of the only stored blob and marks it, as a read that finds it does. It
// returns the blob and what it is a file of.
func (h *house) damage() (b catalog.StoredBlob, use catalog.BlobUse) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		blobs, err := tx.StoredBlobs(ctx, catalog.BlobFilter{Limit: 2})
		if err != nil || len(blobs) != 1 {
			h.t.Fatalf("%d blobs are stored, %v", len(blobs), err)
		}
		b = blobs[0]
		uses, err := tx.BlobUses(ctx, b.ID, 10)
		if err != nil || len(uses) == 0 {
			h.t.Fatalf("uses %v, %v", uses, err)
		}
		use = uses[0]
		return tx.QuarantineBlob(ctx, b.BlobRow, "damaged")
	})
	if err := h.blobs.Corrupt(blob.Key(b.Object), func(p []byte) []byte { p[len(p)/2] ^= 1; return p }); err != nil {
		h.t.Fatal(err)
	}
	return b, use
}

// R15: a marked file that came from an upstream is fetched again, compared with the pinned
// digest and served again, also by who had its place in memory; until then it is refused
// before the first byte.
func TestRestoreFetchesAgain(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 200_000)
	g.add("box", "1.0.0", body)
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	h.wantGet("store", "box", "1.0.0", body)
	h.recorded()
	h.wantGet("store", "box", "1.0.0", body) // its place is in memory
	b, use := h.damage()
	_, content, err := h.r.Asset(t.Context(), packhouse.AssetRef{VersionRef: h.pkg("store", "box").At("1.0.0"), Asset: fileName})
	if !errors.Is(err, vault.ErrDamaged) || packhouse.KindOf(err) != packhouse.KindInternal || content != nil {
		t.Fatalf("a marked file is opened, %v", err)
	}
	asked := g.requests(filePath("box", "1.0.0"))
	if err := h.r.Restore(t.Context(), b, use); err != nil {
		t.Fatal(err)
	}
	if n := g.requests(filePath("box", "1.0.0")) - asked; n != 1 {
		t.Errorf("the file was fetched %d times", n)
	}
	g.fail(500)
	h.wantGet("store", "box", "1.0.0", body)
	if n := h.objects(); n != 1 {
		t.Errorf("%d objects are stored; want the new one alone", n)
	}
	// It is good by now: nothing takes its place, and nothing is left behind.
	g.set(nil)
	if err := h.r.Restore(t.Context(), b, use); !errors.Is(err, catalog.ErrNotFound) || h.objects() != 1 {
		t.Errorf("again: %v, %d objects", err, h.objects())
	}
}

// R15, R29, S43: what is not the pinned bytes, or may not be asked for any more, restores
// nothing.
func TestRestoreTakesNothingElse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(h *house, g *registry)
		reason string // of the error; "" for any
		asked  bool   // the registry is
	}{
		{"the registry has other bytes by now", func(h *house, g *registry) {
			g.replace("box", bytesOf(2, 200_000))
			h.pass(h.o.FreshFor + 1<<40)
		}, resolve.ReasonMismatch, true},
		{"the registry has fewer bytes by now", func(h *house, g *registry) {
			g.replace("box", bytesOf(2, 10))
			h.pass(h.o.FreshFor + 1<<40)
		}, resolve.ReasonMismatch, true},
		{"the registry fails", func(_ *house, g *registry) { g.fail(500) }, "", true},
		{"the package is closed to upstreams", func(h *house, _ *registry) {
			h.control("store", "box", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
		}, "", false},
		{"the connection is gone", func(h *house, _ *registry) {
			h.update(func(ctx context.Context, tx *catalog.Tx) error {
				if err := tx.RemoveConnection(ctx, h.repos["store"], connection); err != nil {
					return err
				}
				return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeConnectionRemoved, DomainID: h.domain.ID, RepoID: h.repos["store"], Domain: h.domain.Ref, Repo: "store", At: h.now()})
			})
		}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRegistry(t)
			body := bytesOf(1, 200_000)
			g.add("box", "1.0.0", body)
			h := newHouse(t, g)
			h.repo("store", "@"+connection)
			h.wantGet("store", "box", "1.0.0", body)
			b, use := h.damage()
			tt.change(h, g)
			before := g.total()
			err := h.r.Restore(t.Context(), b, use)
			if err == nil || tt.reason != "" && packhouse.ReasonOf(err) != tt.reason {
				t.Errorf("got %v with reason %q, want %q", err, packhouse.ReasonOf(err), tt.reason)
			}
			if asked := g.total() > before; asked != tt.asked {
				t.Errorf("the registry was asked: %v, want %v", asked, tt.asked)
			}
			if _, err := h.get("store", "box", "1.0.0"); !errors.Is(err, vault.ErrDamaged) {
				t.Errorf("the file is served: %v", err)
			}
			if n := h.objects(); n != 1 {
				t.Errorf("%d objects are stored", n)
			}
		})
	}
}

// R15: a file that more versions have than are told of its new place is found there.
func TestReplacedBytesOfVeryManyVersions(t *testing.T) {
	h := newHouse(t, nil)
	h.repo("store")
	body := bytesOf(1, 100)
	for i := range 1001 {
		h.publish("store", fmt.Sprintf("box-%04d", i), "1.0.0", packhouse.Published, body)
	}
	const last = "box-1000"
	h.wantGet("store", last, "1.0.0", body) // its place is in memory
	b, _ := h.damage()
	s, err := h.vault.Stage(t.Context(), h.domain.Key, int64(len(body)), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	if _, err := s.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Finish(), h.r.Replace(t.Context(), b.BlobRow, s)); err != nil {
		t.Fatal(err)
	}
	h.wantGet("store", last, "1.0.0", body)
}

// R14, R15: bytes that come in again for another version take the place of damaged ones, so
// that no acknowledged version refers to what cannot be read.
func TestPullOfTheSameBytesHeals(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 200_000)
	g.add("box", "1.0.0", body)
	g.add("copy", "1.0.0", body)
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	h.wantGet("store", "box", "1.0.0", body)
	h.damage()
	h.wantGet("store", "copy", "1.0.0", body)
	h.recorded()
	g.fail(500)
	for _, name := range []string{"box", "copy"} {
		if got, err := h.get("store", name, "1.0.0"); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
