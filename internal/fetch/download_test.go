package fetch_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
)

// artifact is a file's bytes, the same ones each time.
func artifact(size int) []byte {
	b := make([]byte, size)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(b)
	return b
}

// download reads all of a file.
func download(t *testing.T, c *fetch.Client, conn fetch.Connection, url string) ([]byte, *fetch.Artifact, error) {
	t.Helper()
	a, err := c.Download(t.Context(), conn, url)
	if err != nil {
		return nil, nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	return b, a, err
}

// framing writes an answer's head and all or the beginning of its body.
type framing struct {
	name  string
	write func(w http.ResponseWriter, part []byte, whole int)
}

var framings = []framing{
	{"length", func(w http.ResponseWriter, part []byte, whole int) {
		w.Header().Set("Content-Length", strconv.Itoa(whole))
		_, _ = w.Write(part)
	}},
	{"chunked", func(w http.ResponseWriter, part []byte, _ int) {
		w.(http.Flusher).Flush()
		_, _ = w.Write(part)
	}},
	{"closed", func(w http.ResponseWriter, part []byte, _ int) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprint(buf, "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nETag: \"1\"\r\n\r\n")
		_, _ = buf.Write(part)
		_ = buf.Flush()
		_ = conn.Close()
	}},
}

func TestCutTransfers(t *testing.T) { // R26, R27: cut at every sixteenth, in three framings, then healed
	whole := artifact(256 << 10)
	for _, f := range framings {
		for _, resumable := range []bool{true, false} {
			for cut := range 16 {
				at := cut * len(whole) / 16
				t.Run(fmt.Sprintf("%s/resumable=%v/%d", f.name, resumable, at), func(t *testing.T) {
					first := true
					u := serve(t, func(w http.ResponseWriter, r *http.Request) {
						if resumable {
							w.Header().Set("ETag", `"1"`)
						}
						if first {
							first = false
							f.write(w, whole[:at], len(whole))
							if f.name != "closed" {
								w.(http.Flusher).Flush()
								panic(http.ErrAbortHandler)
							}
							return
						}
						var from int
						if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil && r.Header.Get("If-Range") == `"1"` {
							w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(whole)-1, len(whole)))
							w.Header().Set("Content-Length", strconv.Itoa(len(whole)-from))
							w.WriteHeader(http.StatusPartialContent)
							_, _ = w.Write(whole[from:])
							return
						}
						f.write(w, whole, len(whole))
					})
					c := quick()
					got, a, err := download(t, c, u.connection(), "file.tgz")
					switch {
					case err != nil && !strings.Contains(err.Error(), "broke off") && !strings.Contains(err.Error(), "cannot be reached"):
						t.Errorf("error %v", err)
					case err != nil && resumable && f.name != "closed":
						t.Errorf("not resumed: %v", err)
					case err == nil && !bytes.Equal(got, whole) && (f.name != "closed" || a.Size != -1):
						t.Errorf("a clean end after %d of %d bytes", len(got), len(whole))
					}
					if got, _, err := download(t, c, u.connection(), "file.tgz"); err != nil || !bytes.Equal(got, whole) {
						t.Errorf("not healed: %d bytes, %v", len(got), err)
					}
				})
			}
		}
	}
}

func TestDownload(t *testing.T) {
	whole := artifact(100 << 10)
	half := len(whole) / 2
	// breakOff sends the first half under a validator and breaks off.
	breakOff := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		_, _ = w.Write(whole[:half])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request, call int64)
		reason string // "" for the whole file
	}{
		{name: "identity is asked for", answer: func(w http.ResponseWriter, r *http.Request, _ int64) {
			if r.Header.Get("Accept-Encoding") != "identity" {
				w.WriteHeader(400)
			}
			_, _ = w.Write(whole)
		}},
		{name: "an upstream that ignores Range sends it all again", answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			w.Header().Set("ETag", `"1"`)
			if call == 1 {
				breakOff(w)
			}
			_, _ = w.Write(whole)
		}},
		{name: "a date serves where the tag is weak", answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			w.Header().Set("ETag", `W/"1"`)
			w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT")
			if call == 1 {
				breakOff(w)
			}
			if r.Header.Get("If-Range") != "Sat, 21 Nov 2026 10:00:00 GMT" {
				w.WriteHeader(400)
			}
			_, _ = w.Write(whole)
		}},
		{name: "a file that changed under way is not joined", reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, call))
			if call == 1 {
				breakOff(w)
			}
			_, _ = w.Write(whole)
		}},
		{name: "a range from elsewhere is not joined", reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			w.Header().Set("ETag", `"1"`)
			if call == 1 {
				breakOff(w)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", half-1, len(whole)-1, len(whole)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole[half-1:])
		}},
		{name: "resumption has an end", reason: fetch.ReasonBrokenOff, answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			w.Header().Set("ETag", `"1"`)
			breakOff(w)
		}},
		{name: "an empty file is an error (R26)", reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request, _ int64) {}},
		{name: "an empty file in chunks is an error", reason: fetch.ReasonBrokenOff, answer: func(w http.ResponseWriter, r *http.Request, _ int64) { w.(http.Flusher).Flush() }},
		{name: "a web page is not a file (R26)", reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request, _ int64) {
			_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
		}},
		{name: "an unasked 206 is an error (R26)", reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request, _ int64) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(whole)
		}},
		{name: "404 is not found", reason: "upstream_not_found", answer: func(w http.ResponseWriter, r *http.Request, _ int64) { w.WriteHeader(404) }},
		{name: "a failing start is tried again", answer: func(w http.ResponseWriter, r *http.Request, call int64) {
			if call < 3 {
				w.WriteHeader(502)
				return
			}
			_, _ = w.Write(whole)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var u *upstream
			u = serve(t, func(w http.ResponseWriter, r *http.Request) { tt.answer(w, r, u.requests.Load()) })
			got, _, err := download(t, quick(), u.connection(), u.URL+"/elsewhere/file.tgz")
			if packhouse.ReasonOf(err) != tt.reason {
				t.Fatalf("error %v, want reason %q", err, tt.reason)
			}
			if tt.reason == "" && !bytes.Equal(got, whole) {
				t.Errorf("%d bytes differ from the file's %d", len(got), len(whole))
			}
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	whole := artifact(1 << 20)
	c := quick()
	srv := newBenchServer(b, whole)
	b.ReportAllocs()
	b.SetBytes(int64(len(whole)))
	for b.Loop() {
		a, err := c.Download(b.Context(), fetch.Connection{Name: "x", URL: srv}, "f")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			b.Fatal(err)
		}
		_ = a.Body.Close()
	}
}

func newBenchServer(b *testing.B, body []byte) string {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
	b.Cleanup(s.Close)
	return s.URL
}
