package ops

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// begin starts an upload of the administrator's.
func (e *env) begin(pkg packhouse.PackageRef) format.UploadRef {
	e.t.Helper()
	u, err := e.s.StartUpload(e.ctx, e.admin, pkg, []byte("about"))
	e.must(err)
	return format.UploadRef{Package: pkg, ID: u.ID}
}

// more appends content, which must be taken whole.
func (e *env) more(u format.UploadRef, from int64, content string) {
	e.t.Helper()
	st, err := e.s.AppendUpload(e.ctx, e.admin, u, from, strings.NewReader(content))
	e.must(err)
	if st.Offset != from+int64(len(content)) || string(st.About) != "about" {
		e.t.Fatalf("after %q at %d: %+v", content, from, st)
	}
}

// R12: an upload goes on in another process where it was durable, becomes one asset, and
// leaves nothing else behind.
func TestUploadGoesOnAndBecomesAnAsset(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "team"), "lib")
	u := e.begin(pkg)
	e.more(u, 0, "one ")
	other := *e.s // knows only what the stores know
	e.s = &other
	e.more(u, 4, "two ")
	// What arrives of a broken request is kept.
	st, err := e.s.AppendUpload(e.ctx, e.admin, u, 8, io.MultiReader(strings.NewReader("thr"), brokenReader{}))
	if err == nil || st.Offset != 11 {
		t.Fatalf("after a broken body: %+v, %v, want offset 11 and an error", st, err)
	}
	e.more(u, 11, "ee")
	for range 2 { // the first one is as if publishing had failed
		staged, err := e.s.FinishUpload(e.ctx, e.admin, u)
		e.must(err)
		if staged.Size() != 13 {
			t.Fatalf("%d bytes, want 13", staged.Size())
		}
		staged.Discard()
	}
	staged, err := e.s.FinishUpload(e.ctx, e.admin, u)
	e.must(err)
	_, err = e.s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, Version: "1", Assets: []format.NewAsset{{Name: "f", Content: staged}}})
	e.must(err)
	e.must(e.s.AbortUpload(e.ctx, e.admin, u))
	if n := e.objects(); n != 1 {
		t.Errorf("%d objects are stored, want the asset alone", n)
	}
	_, content, err := e.s.Asset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("1"), Asset: "f"})
	e.must(err)
	got := make([]byte, content.Size)
	_, err = content.At.ReadAt(got, 0)
	if err = errors.Join(err, content.Close()); err != nil && !errors.Is(err, io.EOF) || string(got) != "one two three" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = e.s.UploadStatus(e.ctx, e.admin, u)
	e.wantError(err, packhouse.KindNotFound, "upload_not_found")
}

// R12: while one request goes on, what it has brought becomes durable in parts.
func TestLongPiecesBecomeDurableOnTheWay(t *testing.T) {
	e := newEnv(t)
	u := e.begin(in(e.repo(e.domain("main"), "team"), "lib"))
	content := make([]byte, uploadPart+1000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	seen := int64(-1)
	look := readerFunc(func([]byte) (int, error) {
		st, err := e.s.UploadStatus(e.ctx, e.admin, u)
		e.must(err)
		seen = st.Offset
		return 0, io.EOF
	})
	_, err := e.s.AppendUpload(e.ctx, e.admin, u, 0, io.MultiReader(bytes.NewReader(content), look))
	e.must(err)
	if seen != uploadPart {
		t.Errorf("%d bytes were durable near the end, want %d", seen, uploadPart)
	}
	staged, err := e.s.FinishUpload(e.ctx, e.admin, u)
	e.must(err)
	defer staged.Discard()
	got := make([]byte, staged.Size())
	if _, err := staged.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, content) {
		t.Errorf("%d bytes came out, error %v, and are not those that went in", len(got), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestUploadsTakeWhatFollowsOnly(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.AssetBytes = 10 })
	u := e.begin(in(e.repo(e.domain("main"), "team"), "lib"))
	e.more(u, 0, "12345")
	for what, from := range map[string]int64{"overlaps": 4, "leaves a gap": 6, "is the same again": 0, "is before the start": -1} {
		st, err := e.s.AppendUpload(e.ctx, e.admin, u, from, strings.NewReader("12345"))
		if packhouse.ReasonOf(err) != format.ReasonOffset || st.Offset != 5 {
			t.Errorf("a piece that %s: %+v, %v, want offset 5 and %s", what, st, err, format.ReasonOffset)
		}
	}
	// A8: a size that is known is refused before the first byte, one that is not at the limit.
	_, err := e.s.AppendUpload(e.ctx, e.admin, u, 5, unread{t, 6})
	e.wantError(err, packhouse.KindTooLarge, "asset_too_large")
	st, err := e.s.AppendUpload(e.ctx, e.admin, u, 5, io.MultiReader(strings.NewReader("123456")))
	e.wantError(err, packhouse.KindTooLarge, "asset_too_large")
	if st.Offset != 10 {
		t.Errorf("offset %d, want the limit", st.Offset)
	}
}

// R12: an upload belongs to one principal, one package and one repository.
func TestUploadsAreOnesOwn(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	team, other := e.repo(d, "team"), e.repo(d, "other")
	u := e.begin(in(team, "lib"))
	e.more(u, 0, "bytes")
	second := e.user(ours, "second", allowAll)
	for what, try := range map[string]struct {
		who packhouse.Principal
		ref format.UploadRef
	}{
		"another principal":  {second, u},
		"another package":    {e.admin, format.UploadRef{Package: in(team, "bil"), ID: u.ID}},
		"another repository": {e.admin, format.UploadRef{Package: in(other, "lib"), ID: u.ID}},
		"another id":         {e.admin, format.UploadRef{Package: u.Package, ID: "x"}},
	} {
		_, errStatus := e.s.UploadStatus(e.ctx, try.who, try.ref)
		_, errAppend := e.s.AppendUpload(e.ctx, try.who, try.ref, 5, strings.NewReader("x"))
		_, errFinish := e.s.FinishUpload(e.ctx, try.who, try.ref)
		for _, err := range []error{errStatus, errAppend, errFinish, e.s.AbortUpload(e.ctx, try.who, try.ref)} {
			if packhouse.ReasonOf(err) != "upload_not_found" {
				t.Errorf("%s: %v, want upload_not_found", what, err)
			}
		}
	}
	e.more(u, 5, "x") // nobody has touched it
}

// R12: of two writers at one offset one wins; the other's bytes leave no trace.
func TestOneWriterWins(t *testing.T) {
	e := newEnv(t)
	u := e.begin(in(e.repo(e.domain("main"), "team"), "lib"))
	const writers = 4
	var reading, done sync.WaitGroup
	reading.Add(writers)
	errs := make([]error, writers)
	for i := range writers {
		done.Go(func() {
			first := true
			wait := readerFunc(func(p []byte) (int, error) {
				if !first {
					return 0, io.EOF
				}
				first = false
				reading.Done()
				reading.Wait() // all have seen offset 0
				return copy(p, strings.Repeat(string(rune('a'+i)), 5)), nil
			})
			_, errs[i] = e.s.AppendUpload(e.ctx, e.admin, u, 0, wait)
		})
	}
	done.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if packhouse.ReasonOf(err) != format.ReasonOffset {
			t.Errorf("a loser got %v, want %s", err, format.ReasonOffset)
		}
	}
	st, err := e.s.UploadStatus(e.ctx, e.admin, u)
	if err != nil || won != 1 || st.Offset != 5 || e.objects() != 1 {
		t.Errorf("%d won, %+v, %v, %d objects: want one winner of 5 bytes in one object", won, st, err, e.objects())
	}
}

// R11: uploads are bounded in number, and what nobody goes on with is swept.
func TestUploadsAreBoundedAndExpire(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "team"), "lib")
	var all []format.UploadRef
	for range format.MaxUploads {
		all = append(all, e.begin(pkg))
	}
	_, err := e.s.StartUpload(e.ctx, e.admin, pkg, nil)
	e.wantError(err, packhouse.KindQuotaExceeded, "too_many_uploads")
	_, err = e.s.StartUpload(e.ctx, e.admin, pkg, make([]byte, format.MaxUploadAbout+1))
	e.wantError(err, packhouse.KindInvalid, "about_too_large")
	e.more(all[0], 0, "abandoned")
	e.now.Add(int64(23 * time.Hour))
	e.more(all[1], 0, "gone on with")
	e.now.Add(int64(time.Hour))
	_, err = e.s.AppendUpload(e.ctx, e.admin, all[0], 9, strings.NewReader("too late"))
	e.wantError(err, packhouse.KindNotFound, "upload_not_found")
	e.s.SweepUploads(e.ctx)
	if n := e.objects(); n != 1 {
		t.Errorf("%d objects are left, want that of the living upload", n)
	}
	e.more(all[1], 12, ".")
	e.begin(pkg)
}
