package jobs

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
)

// watch runs a watch and its repair until the test ends.
func (h *house) watch(restore func(context.Context, catalog.StoredBlob, catalog.BlobUse) error) *Watch {
	w := NewWatch(h.Store, restore)
	h.Vault.OnDamage(w.Report)
	ctx, stop := context.WithCancel(context.WithoutCancel(h.t.Context()))
	done := make(chan struct{}, 2)
	go func() { w.Run(ctx); done <- struct{}{} }()
	go func() { NewRunner(h.Catalog, h.Log).Run(ctx, w.Repair()); done <- struct{}{} }()
	h.t.Cleanup(func() { stop(); <-done; <-done })
	return w
}

// read reads a blob as a download does.
func (h *house) read(b catalog.BlobRow) error {
	c, err := h.Vault.Open(h.t.Context(), h.domain.Key, b.BlobRef)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.NewSectionReader(c, 0, b.Size))
	return errors.Join(err, c.Close())
}

// R15: a read that finds damage has the blob marked, once however many read it; what is gone
// too, and nothing else.
func TestReadsMarkWhatTheyFind(t *testing.T) {
	h := newHouse(t)
	good, bad, gone := h.publish(h.repo, "good", content(10)), h.publish(h.repo, "bad", content(300_000)), h.publish(h.repo, "gone", content(10))
	h.flip(bad)
	if err := h.blobs.Delete(t.Context(), blob.Key(gone.Object)); err != nil {
		t.Fatal(err)
	}
	h.told()
	w := h.watch(nil)
	for range 200 {
		if h.read(bad) == nil || h.read(gone) == nil || h.read(good) != nil {
			t.Fatal("a damaged blob was read, or a good one not")
		}
	}
	eventually(t, "two marks", func() bool { return w.Quarantined() == 2 })
	if q := h.quarantined(); !q[bad.Digest] || !q[gone.Digest] {
		t.Errorf("quarantined %v", q)
	}
	told := h.told()
	slices.Sort(told)
	if want := []string{"asset.damaged main/store npm/acme/bad@1.0.0", "asset.damaged main/store npm/acme/gone@1.0.0"}; !slices.Equal(told, want) {
		t.Errorf("recorded %q, want %q", told, want)
	}
}

// A part of an upload, or an object that was replaced a moment ago, is nobody's damage.
func TestReadsOfWhatNoRowKnowsMarkNothing(t *testing.T) {
	h := newHouse(t)
	bad := h.publish(h.repo, "bad", content(10))
	w := h.watch(nil)
	unknown := bad
	unknown.Object = "00ff"
	if h.read(unknown) == nil {
		t.Fatal("an object that is not there was read")
	}
	h.flip(bad)
	if h.read(bad) == nil { // reported after the other, so that is over when this is marked
		t.Fatal("a damaged blob was read")
	}
	eventually(t, "the mark of the other", func() bool { return w.Quarantined() > 0 })
	if q := h.quarantined(); len(q) != 1 || !q[bad.Digest] {
		t.Errorf("quarantined %v", q)
	}
}

// R15: a marked blob that reads well again is released, one that came from an upstream is
// fetched again, and any other stays.
func TestRepair(t *testing.T) {
	h := newHouse(t)
	body := content(10)
	glitch, pulled, own := h.publish(h.repo, "glitch", content(10)), h.publish(h.repo, "pulled", body), h.publish(h.repo, "own", content(10))
	// Not the object that the repair has read: its reads mark what they find like any other.
	fetched := h.keep(body, 2)
	h.flip(pulled)
	h.flip(own)
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		p, err := tx.Package(ctx, h.repo.ID, packhouse.PackageName{Format: "npm", Namespace: "acme", Name: "pulled"})
		if err != nil {
			return err
		}
		v, err := tx.Version(ctx, p.ID, "1.0.0")
		return errors.Join(err, tx.SetOrigin(ctx, v.ID, packhouse.Origin{Type: packhouse.OriginExternal, Connection: "public:npmjs"}, time.Time{}),
			tx.QuarantineBlob(ctx, glitch, "damaged"), tx.QuarantineBlob(ctx, pulled, "damaged"), tx.QuarantineBlob(ctx, own, "damaged"))
	})
	asked := make(chan catalog.BlobUse, 10)
	w := h.watch(func(ctx context.Context, b catalog.StoredBlob, use catalog.BlobUse) error {
		asked <- use
		return h.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			return tx.ReplaceBlob(ctx, b.BlobRow, catalog.BlobRow{BlobRef: fetched})
		})
	})
	eventually(t, "two repairs", func() bool { return len(h.quarantined()) == 1 })
	if !h.quarantined()[own.Digest] {
		t.Errorf("quarantined %v", h.quarantined())
	}
	if use := <-asked; use.Asset.Package.Name != "pulled" || use.Asset.Asset != "pulled.tgz" || use.Origin.Connection != "public:npmjs" || len(asked) != 0 {
		t.Errorf("asked for %+v, and %d more", use, len(asked))
	}
	eventually(t, "the count", func() bool { return w.Quarantined() == 1 })
}

// R17: the look after a start marks what is gone or has another length.
func TestSample(t *testing.T) {
	h := newHouse(t)
	h.Sample(t.Context(), 10) // of nothing
	good, gone, short := h.publish(h.repo, "good", content(10)), h.publish(h.repo, "gone", content(10)), h.publish(h.repo, "short", content(10))
	if err := errors.Join(h.blobs.Delete(t.Context(), blob.Key(gone.Object)),
		h.blobs.Corrupt(blob.Key(short.Object), func(b []byte) []byte { return b[:len(b)-1] })); err != nil {
		t.Fatal(err)
	}
	for len(h.quarantined()) < 2 { // it draws at random, and is sure to draw each some time
		h.Sample(t.Context(), 10)
	}
	h.Sample(t.Context(), 50)
	if q := h.quarantined(); len(q) != 2 || !q[gone.Digest] || !q[short.Digest] || q[good.Digest] {
		t.Errorf("quarantined %v", q)
	}
}
