package catalogtest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func testLeases(t *testing.T, w *world) {
	life := time.Minute
	take := func(holder string) (l catalog.Lease, err error) {
		err = w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
			l, err = tx.TakeLease(w.ctx, "scrub", holder, w.now.Add(life))
			return err
		})
		return l, err
	}
	held := func(l catalog.Lease) error {
		return w.DB.Update(w.ctx, func(tx *catalog.Tx) error { return tx.HoldLease(w.ctx, l) })
	}
	one, err := take("one")
	if err != nil || one.Fencing != 1 {
		t.Fatalf("the first: %+v, %v", one, err)
	}
	if _, err := take("two"); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a second holder beside the first: %v", err)
	}
	w.now = w.now.Add(life / 2)
	w.update(func(tx *catalog.Tx) error { return tx.KeepLease(w.ctx, one, w.now.Add(life)) })
	w.now = w.now.Add(life - time.Second)
	if _, err := take("two"); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("a second holder beside one who kept it: %v", err)
	}
	w.now = w.now.Add(time.Second)
	two, err := take("two")
	if err != nil || two.Fencing <= one.Fencing {
		t.Fatalf("after it expired: %+v, %v", two, err)
	}
	if err := held(one); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("who lost it holds it: %v", err)
	}
	w.update(func(tx *catalog.Tx) error {
		if err := tx.KeepLease(w.ctx, one, w.now.Add(life)); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("who lost it keeps it: %v", err)
		}
		return tx.DropLease(w.ctx, one) // and does not drop another's
	})
	if err := held(two); err != nil {
		t.Errorf("who has it does not hold it: %v", err)
	}
	w.update(func(tx *catalog.Tx) error { return tx.DropLease(w.ctx, two) })
	if err := held(two); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("who dropped it holds it: %v", err)
	}
	if three, err := take("three"); err != nil || three.Fencing <= two.Fencing {
		t.Errorf("after it was dropped: %+v, %v", three, err)
	}

	w.update(func(tx *catalog.Tx) error {
		if _, err := tx.Pass(w.ctx, "scrub"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("a pass before the first: %v", err)
		}
		for _, p := range []catalog.PassRow{{Name: "scrub", Place: 7, Begun: w.now}, {Name: "scrub", Place: 9, Begun: w.now, Ended: w.now.Add(life)}} {
			if err := tx.PutPass(w.ctx, p); err != nil {
				return err
			}
			if got, err := tx.Pass(w.ctx, "scrub"); err != nil || got != p {
				t.Errorf("a pass came back as %+v, %v; want %+v", got, err, p)
			}
		}
		return nil
	})
}

func testQuarantine(t *testing.T, w *world) {
	var b catalog.BlobRow
	w.update(func(tx *catalog.Tx) (err error) {
		for _, repo := range []catalog.RepositoryRow{w.a, w.b} {
			if _, err = w.publish(tx, repo, name("box"), "1.0.0", "content"); err != nil {
				return err
			}
		}
		if _, err = w.publish(tx, w.a, name("other"), "1.0.0", "other content"); err != nil {
			return err
		}
		b, err = tx.FindBlob(w.ctx, w.domain.ID, digest("content"))
		return err
	})
	drain(w.changes)
	uses := func() (out []string) {
		for _, c := range drain(w.changes) {
			out = append(out, string(c.Kind)+" "+c.Repo+" "+c.Package.Name+"@"+c.Version)
		}
		return out
	}
	stored := func(f catalog.BlobFilter) (found []catalog.StoredBlob) {
		f.Limit = 10
		w.view(func(tx *catalog.Tx) (err error) { found, err = tx.StoredBlobs(w.ctx, f); return err })
		return found
	}
	quarantine := func(b catalog.BlobRow) error {
		return w.DB.Update(w.ctx, func(tx *catalog.Tx) error { return tx.QuarantineBlob(w.ctx, b, "damaged") })
	}
	if found := stored(catalog.BlobFilter{}); len(found) != 2 || found[0].Key.DomainID != w.domain.ID || string(found[0].Key.Keyset) != "wrapped dom" {
		t.Errorf("all blobs are %+v", found)
	}
	if found := stored(catalog.BlobFilter{RepositoryID: w.b.ID}); len(found) != 1 || found[0].ID != b.ID {
		t.Errorf("the blobs of a repository are %+v", found)
	}
	if found := stored(catalog.BlobFilter{DomainID: w.domain.ID + 1}); len(found) != 0 {
		t.Errorf("the blobs of another domain are %+v", found)
	}
	if err := quarantine(catalog.BlobRow{ID: b.ID, BlobRef: packhouse.BlobRef{Object: "another"}}); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a blob whose object is another by now: %v", err)
	}
	if err := quarantine(b); err != nil {
		t.Fatal(err)
	}
	if got, want := uses(), []string{"asset.damaged a box@1.0.0", "asset.damaged b box@1.0.0"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if err := quarantine(b); !errors.Is(err, catalog.ErrNotFound) || len(uses()) != 0 {
		t.Errorf("marked twice: %v", err)
	}
	if found := stored(catalog.BlobFilter{Quarantined: true}); len(found) != 1 || !found[0].Quarantined.Equal(w.now) {
		t.Errorf("quarantined are %+v", found)
	}
	w.view(func(tx *catalog.Tx) error {
		found, packages, err := tx.ResolveAsset(w.ctx, []int64{w.a.ID}, name("box"), "1.0.0", "file-0")
		if len(found) != 1 || len(packages) != 1 || found[0].Asset.Blob.Quarantined.IsZero() {
			t.Errorf("a download does not see the mark: %+v", found)
		}
		n, err2 := tx.CountQuarantined(w.ctx)
		if n != 1 {
			t.Errorf("%d are quarantined", n)
		}
		// Bytes that come in again are kept, not thrown away for the damaged ones.
		row, generation, err3 := tx.BlobToKeep(w.ctx, w.domain.ID, b.Digest)
		if row.ID != 0 || generation != b.Generation+1 {
			t.Errorf("a publish of the same bytes refers to damaged ones: %+v, generation %d", row, generation)
		}
		return errors.Join(err, err2, err3)
	})
	w.update(func(tx *catalog.Tx) error {
		again := w.blobRow("content")
		again.Generation = b.Generation + 1
		row, kept, err := tx.UseBlob(w.ctx, again)
		if err != nil || !kept || row.ID != b.ID || row.Object != again.Object || !row.Quarantined.IsZero() {
			t.Errorf("a publish of the same bytes made %+v, kept %v, %v", row, kept, err)
		}
		found, err := tx.FindBlob(w.ctx, w.domain.ID, b.Digest)
		if found.Object != again.Object || found.Generation != again.Generation || !found.Quarantined.IsZero() {
			t.Errorf("and the row is %+v", found)
		}
		return errors.Join(err, errUndo)
	})
	drain(w.changes)
	w.update(func(tx *catalog.Tx) error {
		wrong := w.blobRow("other bytes")
		wrong.Generation = b.Generation + 1
		if err := tx.ReplaceBlob(w.ctx, b, wrong); err == nil {
			t.Error("other bytes took the place of a blob's")
		}
		return tx.ReleaseBlob(w.ctx, b, "reads well again")
	})
	if got, want := uses(), []string{"asset.restored a box@1.0.0", "asset.restored b box@1.0.0"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	w.update(func(tx *catalog.Tx) error {
		if err := tx.ReleaseBlob(w.ctx, b, "reads well again"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("released twice: %v", err)
		}
		if row, err := tx.BlobOfObject(w.ctx, b.Object); err != nil || row.ID != b.ID {
			t.Errorf("the blob of its object is %+v, %v", row, err)
		}
		if _, err := tx.BlobOfObject(w.ctx, "unknown"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("the blob of an unknown object: %v", err)
		}
		part := packhouse.BlobRef{Digest: digest("part"), Size: 4, Object: "part-of-upload", WrappedKey: []byte("k"), KeyID: "k1"}
		if err := errors.Join(tx.InsertUpload(w.ctx, catalog.UploadRow{ID: "u", RepositoryID: w.a.ID, Package: name("box"), Expires: w.now.Add(time.Hour)}),
			tx.AppendPart(w.ctx, "u", 0, part, w.now.Add(time.Hour))); err != nil {
			return err
		}
		known, err := tx.KnownObjects(w.ctx, []string{"unknown", part.Object, b.Object})
		if len(known) != 2 || !known[part.Object] || !known[b.Object] {
			t.Errorf("known objects %v", known)
		}
		return err
	})
}

// drain returns the changes that were told so far.
func drain(told <-chan []packhouse.Change) (changes []packhouse.Change) {
	for {
		select {
		case c := <-told:
			changes = append(changes, c...)
		default:
			return changes
		}
	}
}
