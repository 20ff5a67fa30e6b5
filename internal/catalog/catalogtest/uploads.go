package catalogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func testUploads(t *testing.T, w *world) {
	who := w.person()
	day := w.now.Add(24 * time.Hour)
	up := catalog.UploadRow{ID: "u1", RepositoryID: w.a.ID, Package: name("box"), PrincipalID: who.ID, About: []byte("about"), Expires: day}
	part := func(content string) packhouse.BlobRef {
		ref := w.blobRow(content).BlobRef
		ref.Generation, ref.Size = catalog.PartGeneration, int64(len(content))
		ref.WrappedKey, ref.KeyID = []byte("wrapped"), "key"
		return ref
	}
	try := func(what string, want error, fn func(*catalog.Tx) error) {
		t.Helper()
		if err := w.DB.Update(w.ctx, fn); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	appendAt := func(from int64, p packhouse.BlobRef) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error { return tx.AppendPart(w.ctx, "u1", from, p, day) }
	}
	first, second, other := part("abc"), part("de"), part("other")
	try("begun", nil, func(tx *catalog.Tx) error { return tx.InsertUpload(w.ctx, up) })
	try("begun twice", catalog.ErrExists, func(tx *catalog.Tx) error { return tx.InsertUpload(w.ctx, up) })
	try("the first part", nil, appendAt(0, first))
	try("the first part again", catalog.ErrNotFound, appendAt(0, other))
	try("a part that overlaps", catalog.ErrNotFound, appendAt(2, other))
	try("a part after a gap", catalog.ErrNotFound, appendAt(4, other))
	try("the next part", nil, appendAt(3, second))
	try("forgotten while it lives", catalog.ErrNotFound, func(tx *catalog.Tx) error { return tx.DeleteUpload(w.ctx, "u1") })
	w.view(func(tx *catalog.Tx) error {
		got, err1 := tx.Upload(w.ctx, "u1")
		want := up
		want.Offset = 5
		w.same("upload", got, want)
		parts, err2 := tx.UploadParts(w.ctx, "u1")
		w.same("parts", parts, []packhouse.BlobRef{first, second})
		n, err3 := tx.CountUploads(w.ctx, who.ID)
		expired, err4 := tx.ExpiredUploads(w.ctx, 10)
		if n != 1 || len(expired) != 0 {
			t.Errorf("%d uploads, expired %v, want 1 and none", n, expired)
		}
		return errors.Join(err1, err2, err3, err4)
	})
	w.now = day
	try("a part too late", catalog.ErrNotFound, appendAt(5, other))
	try("kept too late", catalog.ErrNotFound, func(tx *catalog.Tx) error { return tx.KeepUpload(w.ctx, "u1", day.Add(time.Hour)) })
	w.view(func(tx *catalog.Tx) error {
		if _, err := tx.Upload(w.ctx, "u1"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("an expired upload: %v, want ErrNotFound", err)
		}
		expired, err := tx.ExpiredUploads(w.ctx, 10)
		w.same("expired", expired, []string{"u1"})
		return err
	})
	try("forgotten", nil, func(tx *catalog.Tx) error { return tx.DeleteUpload(w.ctx, "u1") })
	if n := w.number("SELECT count(*) FROM uploads") + w.number("SELECT count(*) FROM upload_parts"); n != 0 {
		t.Errorf("%d rows are left", n)
	}

	up.ID, up.Expires = "u2", w.now.Add(time.Hour)
	try("begun, and kept for longer", nil, func(tx *catalog.Tx) error {
		return errors.Join(tx.InsertUpload(w.ctx, up), tx.KeepUpload(w.ctx, "u2", w.now.Add(2*time.Hour)))
	})
	w.now = w.now.Add(time.Hour)
	try("ended", nil, func(tx *catalog.Tx) error { return tx.EndUpload(w.ctx, "u2") })
	try("ended twice", catalog.ErrNotFound, func(tx *catalog.Tx) error { return tx.EndUpload(w.ctx, "u2") })
}
