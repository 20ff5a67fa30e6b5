package catalogtest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// testWritten: what an insert returns without asking is what a read finds afterwards.
func testWritten(t *testing.T, w *world) {
	var p, foundPackage packhouse.Package
	var v, foundVersion catalog.VersionRow
	w.update(func(tx *catalog.Tx) (err error) {
		if p, err = w.pkg(tx, w.a, name("box")); err != nil {
			return err
		}
		v, err = w.publish(tx, w.a, name("box"), "1.0", "some content", "more", "more")
		return err
	})
	w.view(func(tx *catalog.Tx) (err error) {
		if foundVersion, err = tx.Version(w.ctx, p.ID, "1.0"); err != nil {
			return err
		}
		foundPackage, err = tx.Package(w.ctx, w.a.ID, name("box"))
		return err
	})
	foundPackage.Seq = 0 // raised since
	if p != foundPackage {
		t.Errorf("InsertPackage returned %+v, a read finds %+v", p, foundPackage)
	}
	if !reflect.DeepEqual(v, foundVersion) {
		t.Errorf("InsertVersion returned %+v, a read finds %+v", v, foundVersion)
	}
}

// testGoneRepository: a record is never added to a repository that is gone, and the error
// tells that from a name that is taken.
func testGoneRepository(t *testing.T, w *world) {
	insert := func(n packhouse.PackageName) error {
		return w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
			_, err := tx.InsertPackage(w.ctx, catalog.NewPackage{RepoID: w.a.ID, DomainID: w.domain.ID, Name: n, CollisionKey: "box", At: w.now})
			return err
		})
	}
	if err := insert(name("box")); err != nil {
		t.Fatal(err)
	}
	if err := insert(name("Box")); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("the same collision key: %v, want ErrExists", err)
	}
	w.update(func(tx *catalog.Tx) error { return tx.DeleteRepository(w.ctx, w.a.ID) })
	if err := insert(name("crate")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("in a repository that is gone: %v, want ErrNotFound", err)
	}
}

// testNewBlobs: bytes kept for a digest's next generation get their row without a look
// before; a row that was found earlier is not made again over bytes that may be gone
// (reliability.md R14).
func testNewBlobs(t *testing.T, w *world) {
	b := w.blobRow("content")
	use := func(b catalog.BlobRow) (row catalog.BlobRow, kept bool, err error) {
		err = w.DB.Update(w.ctx, func(tx *catalog.Tx) error { row, kept, err = tx.UseBlob(w.ctx, b); return err })
		return row, kept, err
	}
	keep := func(wantID, wantGeneration int64) {
		t.Helper()
		w.view(func(tx *catalog.Tx) error {
			row, generation, err := tx.BlobToKeep(w.ctx, w.domain.ID, b.Digest)
			if row.ID != wantID || generation != wantGeneration {
				t.Errorf("to keep: row %d, generation %d, want %d and %d", row.ID, generation, wantID, wantGeneration)
			}
			return err
		})
	}
	keep(0, 1)
	b.Generation = 1
	row, kept, err := use(b)
	if err != nil || !kept || row.State != catalog.BlobLive {
		t.Fatalf("new bytes: %+v, kept %v, %v", row, kept, err)
	}
	keep(row.ID, 0)
	if n := w.number(`SELECT count(*) FROM blobs WHERE unreferenced_since IS NOT NULL`); n != 1 {
		t.Error("a blob that nothing refers to has no grace")
	}
	if _, err := w.Raw.ExecContext(w.ctx, `UPDATE blobs SET state = 'deleting'`); err != nil {
		t.Fatal(err)
	}
	keep(0, 2)
	for _, q := range []string{`SELECT 1`, `DELETE FROM blobs`} {
		if _, err := w.Raw.ExecContext(w.ctx, q); err != nil {
			t.Fatal(err)
		}
		if _, _, err := use(row); !errors.Is(err, catalog.ErrGeneration) {
			t.Errorf("after %s, a row found before: %v, want ErrGeneration", q, err)
		}
	}
}

// testRecordMany: changes recorded together are told and numbered in their order.
func testRecordMany(t *testing.T, w *world) {
	for len(w.changes) > 0 {
		<-w.changes
	}
	var many []packhouse.Change
	for i := range 19 {
		many = append(many, packhouse.Change{At: w.now, Kind: packhouse.ChangeTagSet, Tag: fmt.Sprint(i), Sequence: int64(i)})
	}
	w.update(func(tx *catalog.Tx) error { return tx.Record(w.ctx, many...) })
	told := <-w.changes
	var stored []packhouse.Change
	w.view(func(tx *catalog.Tx) (err error) { stored, err = tx.Changes(w.ctx, told[0].ID-1, 100); return err })
	for _, list := range [][]packhouse.Change{told, stored} {
		inOrder := slices.IsSortedFunc(list, func(a, b packhouse.Change) int { return int(a.ID - b.ID) })
		if len(list) != len(many) || !inOrder {
			t.Fatalf("%d changes, in order %v", len(list), inOrder)
		}
		for i, c := range list {
			if c.Tag != fmt.Sprint(i) {
				t.Errorf("change %d is %s", i, c.Tag)
			}
		}
	}
}
