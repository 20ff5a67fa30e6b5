package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/resolve"
)

const testFormat = packhouse.FormatID("test")

var testKey = format.DocKey{
	Repo:     packhouse.RepoRef{Domain: packhouse.DomainRef{Owner: "111122223333", Name: "main"}, Name: "store"},
	Package:  packhouse.PackageName{Format: testFormat, Name: "box"},
	Kind:     "full",
	Identity: true,
}

// source is a package whose document is its change count; it takes marks before it
// reads, as resolve does.
type source struct {
	clock *feed.Clock
	seq   atomic.Int64
	views atomic.Int64
	gate  chan struct{} // when set, View waits for it after reading
	fresh time.Time
	stale time.Duration
	err   error
}

func (s *source) View(_ context.Context, pkg packhouse.PackageRef, _ bool) (format.View, resolve.Stamp, error) {
	s.views.Add(1)
	marks := []feed.Mark{s.clock.Package(1, pkg.Package)}
	seq := s.seq.Load()
	if s.gate != nil {
		<-s.gate
	}
	return format.View{Package: pkg.Package, Seq: seq}, resolve.Stamp{Marks: marks, FreshUntil: s.fresh, Stale: s.stale}, s.err
}

func (s *source) write() {
	s.seq.Add(1)
	s.clock.Advance([]packhouse.Change{{RepoID: 1, Package: testKey.Package}})
}

type renderer struct{}

func (renderer) Render(_ context.Context, w io.Writer, k format.DocKey, v format.View) (format.DocInfo, error) {
	_, err := fmt.Fprintf(w, "%s %d %s", k.Kind, v.Seq, strings.Repeat("x", 4096))
	return format.DocInfo{ContentType: "text/plain"}, err
}

func newIndex(t testing.TB) (*Index, *source) {
	t.Helper()
	clock := feed.NewClock()
	s := &source{clock: clock}
	return New(Options{Views: s, Clock: clock, Renderers: map[packhouse.FormatID]format.Renderer{testFormat: renderer{}}}), s
}

func get(t *testing.T, x *Index) string {
	t.Helper()
	d, err := x.Document(context.Background(), testKey)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(d.Plain), " x")
	return head
}

func TestDocumentIsRenderedOnceWhileItsStampHolds(t *testing.T) {
	x, s := newIndex(t)
	for range 5 {
		if got := get(t, x); got != "full 0" {
			t.Fatalf("got %q", got)
		}
	}
	if n := s.views.Load(); n != 1 {
		t.Errorf("rendered %d times, want 1", n)
	}
	s.write()
	if got := get(t, x); got != "full 1" {
		t.Errorf("after a write got %q", got)
	}
}

func TestDocumentPastItsFreshnessIsReadAgain(t *testing.T) {
	x, s := newIndex(t)
	now := time.Unix(1000, 0)
	x.now = func() time.Time { return now }
	s.fresh = now.Add(time.Minute)
	get(t, x)
	now = now.Add(2 * time.Minute)
	get(t, x)
	if n := s.views.Load(); n != 2 {
		t.Errorf("rendered %d times, want 2", n)
	}
}

func TestStaleDocumentIsServedButNotKept(t *testing.T) {
	x, s := newIndex(t)
	s.stale = time.Hour
	get(t, x)
	get(t, x)
	if n := s.views.Load(); n != 2 {
		t.Errorf("rendered %d times, want 2: a stand-in must not outlive the failure", n)
	}
}

// R10: a reader that arrives after a write was acknowledged must not be given a
// document whose rendering began before it.
func TestReaderAfterWriteDoesNotJoinAnOlderReading(t *testing.T) {
	x, s := newIndex(t)
	s.gate = make(chan struct{})
	first := make(chan string)
	go func() {
		d, err := x.Document(context.Background(), testKey)
		if err != nil {
			first <- err.Error()
			return
		}
		first <- string(d.Plain[:6])
	}()
	for s.views.Load() == 0 {
		time.Sleep(time.Millisecond) // polls a condition, bounded by the test's deadline
	}
	s.write()
	second := make(chan string)
	go func() {
		d, err := x.Document(context.Background(), testKey)
		if err != nil {
			second <- err.Error()
			return
		}
		second <- string(d.Plain[:6])
	}()
	close(s.gate)
	if got := <-first; got != "full 0" {
		t.Errorf("the first reader got %q; it began before the write", got)
	}
	if got := <-second; got != "full 1" {
		t.Errorf("the reader after the write got %q", got)
	}
}

func TestManyWaitersShareOneRendering(t *testing.T) {
	x, s := newIndex(t)
	s.gate = make(chan struct{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := x.Document(context.Background(), testKey); err != nil {
				t.Error(err)
			}
		})
	}
	close(s.gate)
	wg.Wait()
	if n := s.views.Load(); n != 1 {
		t.Errorf("50 waiters made %d readings, want 1", n)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	x, s := newIndex(t)
	s.err = packhouse.NotFoundf(packhouse.ResourcePackage, "box", "no such package")
	if _, err := x.Document(context.Background(), testKey); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Fatalf("got %v", err)
	}
	s.err = nil
	if got := get(t, x); got != "full 0" {
		t.Errorf("got %q", got)
	}
}

func TestPanicWhileRenderingIsAnErrorForAllWaiters(t *testing.T) {
	x, _ := newIndex(t)
	x.renderers[testFormat] = panicking{}
	_, err := x.Document(context.Background(), testKey)
	if packhouse.KindOf(err) != packhouse.KindInternal || !strings.Contains(err.Error(), "panic") {
		t.Errorf("got %v", err)
	}
}

type panicking struct{}

func (panicking) Render(context.Context, io.Writer, format.DocKey, format.View) (format.DocInfo, error) {
	panic("broken")
}

func TestClientThatLeavesDoesNotStopTheRendering(t *testing.T) {
	x, s := newIndex(t)
	s.gate = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := x.Document(ctx, testKey); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	close(s.gate)
	if got := get(t, x); got != "full 0" {
		t.Errorf("got %q", got)
	}
	if n := s.views.Load(); n != 1 {
		t.Errorf("rendered %d times, want 1", n)
	}
}

func TestWarmDocumentDoesNotAllocate(t *testing.T) {
	x, _ := newIndex(t)
	get(t, x)
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() { _, _ = x.Document(ctx, testKey) }); n > 0 {
		t.Errorf("a warm document allocates %.0f times", n)
	}
}

func BenchmarkWarmDocument(b *testing.B) {
	x, _ := newIndex(b)
	ctx := context.Background()
	if _, err := x.Document(ctx, testKey); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Document(ctx, testKey); err != nil {
			b.Fatal(err)
		}
	}
}

// performance.md 1, 23: a document is kept compressed, and plain only once somebody takes
// no compression; both are of one rendering and one entity tag.
func TestDocumentIsKeptCompressed(t *testing.T) {
	x, s := newIndex(t)
	compressed := testKey
	compressed.Identity = false
	packed, err := x.Document(t.Context(), compressed)
	if err != nil || packed.Plain != nil || len(packed.Gzip) == 0 {
		t.Fatalf("%d plain and %d compressed bytes, %v", len(packed.Plain), len(packed.Gzip), err)
	}
	plain, err := x.Document(t.Context(), testKey)
	if err != nil || plain.Gzip != nil || int64(len(plain.Plain)) != packed.Size || plain.ETag != packed.ETag {
		t.Fatalf("plain form: %d bytes of %d, tag %s of %s, %v", len(plain.Plain), packed.Size, plain.ETag, packed.ETag, err)
	}
	if text, err := httpx.DocText(packed); err != nil || !bytes.Equal(text, plain.Plain) {
		t.Errorf("the forms differ: %v", err)
	}
	if n := s.views.Load(); n != 1 {
		t.Errorf("rendered %d times, want 1", n)
	}
}

// sized renders as many bytes as the package has changes.
type sized struct{}

func (sized) Render(_ context.Context, w io.Writer, _ format.DocKey, v format.View) (format.DocInfo, error) {
	_, err := io.CopyN(w, zeros{}, v.Seq)
	return format.DocInfo{}, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestFormsOfADocumentBySize(t *testing.T) {
	for _, tt := range []struct {
		name              string
		size              int64
		plain, compressed bool // what there is for a client that takes no compression
	}{
		{"a small one is kept as it is", compressFrom - 1, true, false},
		{"one that is not small is made plain", compressFrom, true, false},
		{"the largest that is kept plain", maxIdentity, true, false},
		{"a larger one is sent from its compressed form", maxIdentity + 1, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, s := newIndex(t)
			x.renderers[testFormat] = sized{}
			s.seq.Store(tt.size)
			d, err := x.Document(t.Context(), testKey)
			if err != nil || (d.Plain != nil) != tt.plain || (d.Gzip != nil) != tt.compressed || d.Size != tt.size {
				t.Fatalf("size %d, %d plain, %d compressed, %v", d.Size, len(d.Plain), len(d.Gzip), err)
			}
			w := httptest.NewRecorder()
			if err := httpx.WriteDoc(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), d); err != nil {
				t.Fatal(err)
			}
			if n := strconv.Itoa(w.Body.Len()); n != w.Header().Get("Content-Length") || n != strconv.FormatInt(tt.size, 10) {
				t.Errorf("%s bytes under a length of %s", n, w.Header().Get("Content-Length"))
			}
		})
	}
}
