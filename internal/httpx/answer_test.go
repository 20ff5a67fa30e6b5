package httpx_test

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
	"testing"
	"testing/iotest"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

func get(header ...string) *http.Request {
	r := httptest.NewRequest("GET", "/x", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestWriteDoc(t *testing.T) {
	doc := &format.Doc{DocInfo: format.DocInfo{ContentType: "application/json"}, ETag: `"abc"`, Plain: []byte(`{"a":1}`), Gzip: []byte("zipped")}
	for _, tt := range []struct {
		name       string
		request    *http.Request
		status     int
		etag, body string
	}{
		{"plain by default", get(), 200, `"abc"`, `{"a":1}`},
		{"stored gzip where the client takes it", get("Accept-Encoding", "br;q=1, gzip;q=0.5"), 200, `"abc-gzip"`, "zipped"},
		{"gzip by star", get("Accept-Encoding", "*"), 200, `"abc-gzip"`, "zipped"},
		{"gzip refused with q=0", get("Accept-Encoding", "gzip;q=0, *"), 200, `"abc"`, `{"a":1}`},
		{"304 for the plain tag", get("If-None-Match", `"zzz", "abc"`), 304, `"abc"`, ""},
		{"304 for a weak form of the tag", get("If-None-Match", `W/"abc"`), 304, `"abc"`, ""},
		{"304 repeats the tag of the form that the client has", get("If-None-Match", `"abc-gzip"`, "Accept-Encoding", "gzip"), 304, `"abc-gzip"`, ""},
		{"another tag", get("If-None-Match", `"abcd"`), 200, `"abc"`, `{"a":1}`},
		{"a tag without quotes is none", get("If-None-Match", `abc`), 200, `"abc"`, `{"a":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := httpx.WriteDoc(w, tt.request, doc); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.status || w.Body.String() != tt.body || w.Header().Get("ETag") != tt.etag {
				t.Errorf("got %d %q %q, want %d %q %q", w.Code, w.Header().Get("ETag"), w.Body, tt.status, tt.etag, tt.body)
			}
			if w.Code == 200 && w.Header().Get("Content-Length") != strconv.Itoa(len(tt.body)) {
				t.Errorf("Content-Length %q", w.Header().Get("Content-Length"))
			}
			if got := w.Header().Get("Vary"); got != "Accept, Accept-Encoding" {
				t.Errorf("Vary %q", got)
			}
		})
	}
	t.Run("a stale document says so", func(t *testing.T) {
		old := *doc
		old.Stale = 90 * time.Second
		w := httptest.NewRecorder()
		if err := httpx.WriteDoc(w, get(), &old); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(w.Header().Get("Warning"), "110 ") || w.Header().Get("Age") != "90" {
			t.Errorf("Warning %q, Age %q", w.Header().Get("Warning"), w.Header().Get("Age"))
		}
	})
}

// serveAsset runs WriteAsset in a real server, where an aborted connection is seen.
func serveAsset(t *testing.T, a packhouse.Asset, content func() *format.Content, o httpx.AssetOptions) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := httpx.WriteAsset(w, r, a, content(), o); err != nil {
			http.Error(w, httpx.Message(err), httpx.Status(err))
		}
	}))
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func fetch(t *testing.T, s *httptest.Server, method string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestWriteAssetStored(t *testing.T) {
	plain := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // 320 kB: several windows
	closed := make(chan struct{}, 2)                          // room for one too many
	s := serveAsset(t, packhouse.Asset{Digest: packhouse.Digest{1}}, func() *format.Content {
		return &format.Content{Size: int64(len(plain)), At: bytes.NewReader(plain), Close: func() error { closed <- struct{}{}; return nil }}
	}, httpx.AssetOptions{Immutable: true, Attachment: "a.tgz", ContentType: "image/svg+xml"})
	etag := `"` + packhouse.Digest{1}.Hex() + `"`
	for _, tt := range []struct {
		name, method string
		header       []string
		status       int
		want         []byte
	}{
		{"whole", "GET", nil, 200, plain},
		{"one range across windows", "GET", []string{"Range", "bytes=131000-140000"}, 206, plain[131000:140001]},
		{"a suffix", "GET", []string{"Range", "bytes=-5"}, 206, plain[len(plain)-5:]},
		{"several ranges give the whole", "GET", []string{"Range", "bytes=0-1,5-6"}, 200, plain},
		{"a unit that nobody knows gives the whole", "GET", []string{"Range", "chars=0-1"}, 200, plain},
		{"no unit gives the whole", "GET", []string{"Range", "0-1"}, 200, plain},
		{"a range that ends before it begins", "GET", []string{"Range", "bytes=5-1"}, 416, nil},
		{"a range of numbers beyond counting", "GET", []string{"Range", "bytes=99999999999999999999-"}, 416, nil},
		{"a negative range", "GET", []string{"Range", "bytes=--1"}, 416, nil},
		{"If-Range with another tag gives the whole", "GET", []string{"Range", "bytes=0-1", "If-Range", `"x"`}, 200, plain},
		{"a range behind the end", "GET", []string{"Range", "bytes=999999-"}, 416, nil},
		{"304", "GET", []string{"If-None-Match", etag}, 304, []byte{}},
		{"HEAD", "HEAD", nil, 200, []byte{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body, err := fetch(t, s, tt.method, tt.header...)
			if err != nil || resp.StatusCode != tt.status || tt.want != nil && !bytes.Equal(body, tt.want) {
				t.Fatalf("got %s, %d bytes, %v; want %d, %d bytes", resp.Status, len(body), err, tt.status, len(tt.want))
			}
			if tt.status == 416 && (resp.Header.Get("Content-Range") != "bytes */320000" || resp.Header.Get("Content-Disposition") != "" ||
				string(body) != "the range is not within the file's 320000 bytes\n") {
				t.Errorf("got %v, %q; want the caller's own error about 320000 bytes", resp.Header, body)
			}
			if tt.status == 200 {
				for k, v := range map[string]string{"Etag": etag, "Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff",
					"Content-Security-Policy": "sandbox; default-src 'none'", "Content-Disposition": "attachment; filename=a.tgz",
					"Content-Length": strconv.Itoa(len(plain)), "Cache-Control": "private, max-age=31536000, immutable"} {
					if got := resp.Header.Get(k); got != v {
						t.Errorf("%s: %q, want %q (reliability.md S32)", k, got, v)
					}
				}
			}
			<-closed // or the test never ends
			if len(closed) > 0 {
				t.Error("content closed twice")
			}
		})
	}
}

// brokenAt fails from an offset on, as a damaged chunk does.
type brokenAt struct {
	io.ReaderAt
	from int64
}

func (b brokenAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errors.New("damaged")
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestNoCleanEndAfterDamage(t *testing.T) {
	plain := make([]byte, 1<<20)
	t.Run("stored, damaged at once, is an error answer (R15)", func(t *testing.T) {
		s := serveAsset(t, packhouse.Asset{}, func() *format.Content {
			return &format.Content{Size: 1 << 20, At: brokenAt{bytes.NewReader(plain), 0}}
		}, httpx.AssetOptions{})
		if resp, _, _ := fetch(t, s, "GET"); resp.StatusCode != 500 {
			t.Errorf("got %s", resp.Status)
		}
	})
	for name, content := range map[string]func() *format.Content{
		"stored, damaged later (R15)": func() *format.Content {
			return &format.Content{Size: 1 << 20, At: brokenAt{bytes.NewReader(plain), 600_000}}
		},
		"arriving with a wrong digest (R27)": func() *format.Content {
			return &format.Content{Size: -1, Stream: io.MultiReader(bytes.NewReader(plain), iotest.ErrReader(errors.New("digest")))}
		},
		"arriving and too short (R27)": func() *format.Content {
			return &format.Content{Size: 1<<20 + 1, Stream: bytes.NewReader(plain)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveAsset(t, packhouse.Asset{}, content, httpx.AssetOptions{})
			resp, body, err := fetch(t, s, "GET")
			if resp.StatusCode != 200 || err == nil {
				t.Errorf("got %s, %d bytes and a clean end", resp.Status, len(body))
			}
		})
	}
	t.Run("arriving and failing at once is an error answer", func(t *testing.T) {
		s := serveAsset(t, packhouse.Asset{}, func() *format.Content {
			return &format.Content{Size: -1, Stream: iotest.ErrReader(&packhouse.Error{Kind: packhouse.KindUpstream, Message: "gone"})}
		}, httpx.AssetOptions{})
		if resp, body, _ := fetch(t, s, "GET"); resp.StatusCode != 502 || !strings.Contains(string(body), "gone") {
			t.Errorf("got %s %q", resp.Status, body)
		}
	})
}

func TestReadAllStopsAtItsLimit(t *testing.T) {
	if b, err := httpx.ReadAll(strings.NewReader("1234"), 4); err != nil || string(b) != "1234" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := httpx.ReadAll(strings.NewReader("12345"), 4); packhouse.ReasonOf(err) != "body_too_large" || httpx.Status(err) != 413 {
		t.Errorf("got %v", err)
	}
}

// An ended context is not our failure: logs must not call people for it.
func TestStatusOfEndedContexts(t *testing.T) {
	for err, want := range map[error]int{context.Canceled: httpx.StatusClientGone, context.DeadlineExceeded: 503} {
		for _, err := range []error{err, fmt.Errorf("read: %w", err), packhouse.Internal(err)} {
			if got := httpx.Status(err); got != want || httpx.Message(err) != "internal error" {
				t.Errorf("%v: %d %q, want %d", err, got, httpx.Message(err), want)
			}
		}
	}
}

func TestMessagesOfInternalErrorsStayInside(t *testing.T) {
	for _, err := range []error{errors.New("secret path"), packhouse.Internal(errors.New("secret path"))} {
		if got := httpx.Message(err); got != "internal error" || httpx.Status(err) != 500 {
			t.Errorf("Message = %q", got)
		}
	}
}

func TestContext(t *testing.T) {
	rec := &httpx.Record{RequestID: "r1", Door: "registry"}
	ctx := httpx.WithRecord(context.Background(), rec)
	if httpx.RequestID(ctx) != "r1" || httpx.Door(ctx) != "registry" || httpx.RecordOf(ctx) != rec {
		t.Error("the record does not answer for id and door")
	}
	if got := httpx.RequestID(httpx.WithRequestID(ctx, "r2")); got != "r2" {
		t.Errorf("RequestID = %q", got)
	}
	if httpx.RecordOf(context.Background()) == nil {
		t.Error("no record outside of a server")
	}
}

// discard is a ResponseWriter without a recorder's cost.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkWriteDoc(b *testing.B) {
	doc := &format.Doc{DocInfo: format.DocInfo{ContentType: "application/json"}, ETag: `"abc"`, Plain: make([]byte, 2<<20), Gzip: make([]byte, 200<<10)}
	for name, r := range map[string]*http.Request{"gzip": get("Accept-Encoding", "gzip"), "304": get("If-None-Match", `"abc"`)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w := discard{http.Header{}}
			for b.Loop() {
				clear(w.h)
				if err := httpx.WriteDoc(w, r, doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
