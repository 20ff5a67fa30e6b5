package jobs

import (
	"fmt"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
)

func (h *house) verify(o VerifyOptions) Report {
	h.t.Helper()
	r, err := h.Verify(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// R16, R17: rows and objects are compared both ways, findings carry names, and nothing is
// removed.
func TestVerify(t *testing.T) {
	h := newHouse(t)
	other := h.repository("other")
	h.publish(h.repo, "good", content(1000))
	bad := h.publish(h.repo, "bad", content(100_000))
	gone := h.publish(other, "gone", content(10))
	h.keep(content(5000), 1) // of a publish that died before its row
	mend := h.flip(bad)
	if err := h.blobs.Delete(t.Context(), blob.Key(gone.Object)); err != nil {
		t.Fatal(err)
	}

	r := h.verify(VerifyOptions{Objects: h.blobs})
	if r.Blobs != 3 || r.Bytes != 101_010 || r.Bad != 2 || len(r.Findings) != 2 || !r.Unmarked || len(h.quarantined()) != 0 {
		t.Fatalf("report %+v, quarantined %v", r, h.quarantined())
	}
	for i, want := range []struct {
		problem Problem
		digest  packhouse.Digest
		file    File
	}{
		{Damaged, bad.Digest, File{account, "main", "store", "npm", "acme", "bad", "1.0.0", "bad.tgz"}},
		{Missing, gone.Digest, File{account, "main", "other", "npm", "acme", "gone", "1.0.0", "gone.tgz"}},
	} {
		f := r.Findings[i]
		if f.Problem != want.problem || f.Digest != want.digest.Hex() || len(f.Files) != 1 || f.Files[0] != want.file || f.Cause == "" {
			t.Errorf("finding %+v, want %+v", f, want)
		}
	}
	if r.Unknown == nil || r.Unknown.Objects != 1 || r.Unknown.Bytes <= 5000 {
		t.Errorf("objects that no row knows: %+v", r.Unknown)
	}
	if r := h.verify(VerifyOptions{Mark: true}); r.Unmarked || r.Unknown != nil || len(h.quarantined()) != 2 {
		t.Errorf("marking: %+v, quarantined %v", r, h.quarantined())
	}
	if r := h.verify(VerifyOptions{Mark: true, RepositoryID: other.ID}); r.Blobs != 1 || r.Bad != 1 || r.Findings[0].Problem != Missing {
		t.Errorf("one repository: %+v", r)
	}
	if r := h.verify(VerifyOptions{Mark: true, DomainID: h.domain.ID + 1}); r.Blobs != 0 || r.Findings == nil {
		t.Errorf("another domain: %+v", r)
	}
	mend()
	if r := h.verify(VerifyOptions{Mark: true, Objects: h.blobs}); r.Bad != 1 || r.Released != 1 || r.Unknown.Objects != 1 {
		t.Errorf("after mending one: %+v", r)
	}
	if q := h.quarantined(); len(q) != 1 || !q[gone.Digest] {
		t.Errorf("after mending one, quarantined %v", q)
	}
}

func TestVerifySample(t *testing.T) {
	h := newHouse(t)
	for i := range page + 10 {
		h.publish(h.repo, fmt.Sprint("p", i), []byte(fmt.Sprint("content ", i)))
	}
	h.opened.forget(nil)
	if r := h.verify(VerifyOptions{Sample: 7}); r.Blobs != 7 || h.opened.count() != 7 {
		t.Errorf("7 of many: %+v, %d opened", r, h.opened.count())
	}
	seen := map[string]bool{}
	for _, key := range h.opened.keys {
		seen[key] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d different ones of 7", len(seen))
	}
	if r := h.verify(VerifyOptions{Sample: 1000}); r.Blobs != page+10 {
		t.Errorf("more than there are: %d", r.Blobs)
	}
}

// The page at which listing ends must not matter.
func TestVerifyCountsUnknownObjectsOfSeveralPages(t *testing.T) {
	h := newHouse(t)
	for i := range page + 3 {
		h.keep([]byte(fmt.Sprint("left behind ", i)), 1)
	}
	known := h.publish(h.repo, "known", content(10))
	if r := h.verify(VerifyOptions{Objects: h.blobs}); r.Unknown.Objects != page+3 || r.Bad != 0 {
		t.Errorf("%+v", r.Unknown)
	}
	if _, err := h.blobs.Stat(t.Context(), blob.Key(known.Object)); err != nil {
		t.Errorf("a known object: %v", err)
	}
	blobs, err := h.Store.blobs(t.Context(), catalog.BlobFilter{Limit: 10})
	if err != nil || len(blobs) != 1 {
		t.Errorf("blobs %v, %v", blobs, err)
	}
}
