package catalogtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/packhouse/packhouse/internal/catalog"
)

// testBodies: the bytes of a small blob are written in the transaction that inserts its row,
// are found by its object, and go with it.
func testBodies(t *testing.T, w *world) {
	use := func(content string, outcome error) (row catalog.BlobRow, kept bool) {
		b := w.blobRow(content)
		b.Generation, b.Object, b.Body = 1, "0/"+b.Object, []byte("sealed "+content)
		err := w.DB.Update(w.ctx, func(tx *catalog.Tx) (err error) {
			if row, kept, err = tx.UseBlob(w.ctx, b); err != nil {
				return err
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Fatalf("use %s: %v", content, err)
		}
		return row, kept
	}
	bodies := func() int64 { return w.number(`SELECT count(*) FROM blob_bodies`) }
	undone, _ := use("first", errUndo)
	if body, err := w.DB.Body(w.ctx, undone.Object); body != nil || err != nil || bodies() != 0 {
		t.Errorf("a body whose transaction was undone: %q, %v, %d in all", body, err, bodies())
	}
	row, kept := use("first", nil)
	if !kept || row.Body != nil {
		t.Errorf("new bytes: kept %v, row %+v", kept, row)
	}
	if body, err := w.DB.Body(w.ctx, row.Object); string(body) != "sealed first" || err != nil {
		t.Errorf("body = %q, %v", body, err)
	}
	again, kept := use("first", nil)
	if kept || again.ID != row.ID || again.Object != row.Object || bodies() != 1 {
		t.Errorf("the same bytes again: kept %v, %+v, %d bodies", kept, again, bodies())
	}
	w.update(func(tx *catalog.Tx) error { _, err := w.blob(tx, "in the store"); return err })
	if body, err := w.DB.Body(w.ctx, "no such"); body != nil || err != nil {
		t.Errorf("a body that is not there: %q, %v", body, err)
	}
	var want, got []string
	for i := range 2 * 1000 { // more than two pages, the last one full
		b, _ := use(fmt.Sprintf("%04d", i), nil)
		want = append(want, b.Object)
	}
	want = append(want, row.Object)
	slices.Sort(want)
	after := want[0]
	if err := w.DB.Bodies(w.ctx, after, func(object string, size int64) error {
		if object != row.Object && size != int64(len("sealed 0000")) {
			t.Errorf("%s has %d bytes", object, size)
		}
		got = append(got, object)
		return nil
	}); err != nil || !slices.Equal(got, want[1:]) {
		t.Errorf("listed %d objects, %v, want %d in their order", len(got), err, len(want)-1)
	}
	enough := errors.New("enough")
	if err := w.DB.Bodies(w.ctx, "", func(string, int64) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Bodies = %v, want the callback's error", err)
	}
	conn, err := w.Raw.Conn(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.ExecContext(w.ctx, `PRAGMA foreign_keys = ON`) // PostgreSQL needs none, and knows none
	if _, err := conn.ExecContext(w.ctx, `DELETE FROM blobs WHERE id = $1`, row.ID); err != nil {
		t.Fatal(err)
	}
	if n := bodies(); n != int64(len(want)-1) {
		t.Errorf("%d bodies after a row of %d was dropped", n, len(want))
	}
}
