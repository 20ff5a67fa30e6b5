package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// R26, R27 over HTTP/2: cut at every sixteenth, with and without a length, the file is
// resumed where it has a validator, and never ends cleanly where it cannot be.
func TestCutTransfersOverHTTP2(t *testing.T) {
	whole := artifact(256 << 10)
	for cut := range 16 {
		for _, length := range []bool{true, false} {
			for _, resumable := range []bool{true, false} {
				at := cut * len(whole) / 16
				t.Run(fmt.Sprintf("%d/length=%v/resumable=%v", at, length, resumable), func(t *testing.T) {
					var mu sync.Mutex
					calls, protocol := 0, 0
					s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						mu.Lock()
						calls++
						call := calls
						protocol = r.ProtoMajor
						mu.Unlock()
						if resumable {
							w.Header().Set("ETag", `"1"`)
						}
						if call > 1 {
							http.ServeContent(w, r, "file.tgz", time.Time{}, bytes.NewReader(whole))
							return
						}
						if length {
							w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
						}
						_, _ = w.Write(whole[:at])
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					}))
					s.EnableHTTP2 = true
					s.StartTLS()
					defer s.Close()
					c := quick()
					defer c.Close()
					conn := fetch.Connection{Name: "test:up", URL: s.URL + "/", CA: caFile(t, s)}
					got, _, err := download(t, c, conn, "file.tgz")
					if err == nil && !bytes.Equal(got, whole) {
						t.Errorf("a clean end after %d of %d bytes", len(got), len(whole))
					}
					if resumable && err != nil {
						t.Errorf("not resumed: %v", err)
					}
					if got, _, err := download(t, c, conn, "file.tgz"); err != nil || !bytes.Equal(got, whole) {
						t.Errorf("not healed: %d bytes, %v", len(got), err)
					}
					if protocol != 2 {
						t.Errorf("spoke HTTP/%d", protocol)
					}
				})
			}
		}
	}
}

// R26: a document is whole or an error, wherever the connection breaks.
func TestCutDocuments(t *testing.T) {
	doc := []byte(`{"name":"` + strings.Repeat("x", 64<<10) + `"}`)
	for _, f := range framings {
		for cut := range 16 {
			at := cut * len(doc) / 16
			t.Run(fmt.Sprintf("%s/%d", f.name, at), func(t *testing.T) {
				u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					f.write(w, doc[:at], len(doc))
					if f.name != "closed" {
						w.(http.Flusher).Flush()
						panic(http.ErrAbortHandler)
					}
				})
				if resp, err := get(t, quick(), u.connection()); packhouse.KindOf(err) != packhouse.KindUpstream {
					t.Errorf("%d bytes, %v", len(resp.Body), err)
				}
			})
		}
	}
}

// A8: a document is refused one byte beyond the limit, however it is sent, and taken
// where it has exactly as many.
func TestLargestDocument(t *testing.T) {
	const limit = 3 << 20
	zipped := func(b []byte) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		_, _ = z.Write(b)
		_ = z.Close()
		return out.Bytes()
	}
	for name, send := range map[string]func(w http.ResponseWriter, body []byte){
		"with a length": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		},
		"in chunks": func(w http.ResponseWriter, body []byte) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(body)
		},
		"compressed": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped(body))
		},
		"compressed in two members, of which the last is small": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(append(zipped(body[:len(body)-1]), zipped(body[len(body)-1:])...))
		},
	} {
		for _, size := range []int{limit, limit + 1} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				body := append(bytes.Repeat([]byte{' '}, size-2), "{}"...)
				u := serve(t, func(w http.ResponseWriter, _ *http.Request) { send(w, body) })
				resp, err := get(t, fetch.New(fetch.Options{MaxMetadata: limit}), u.connection())
				switch {
				case size == limit && (err != nil || !bytes.Equal(resp.Body, body)):
					t.Errorf("%d bytes of %d, %v", len(resp.Body), len(body), err)
				case size > limit && (packhouse.ReasonOf(err) != fetch.ReasonBadAnswer || !strings.Contains(err.Error(), strconv.Itoa(limit))):
					t.Errorf("got %v, want an error that names the limit", err)
				}
				if n := u.requests.Load(); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
			})
		}
	}
}

// npm.md 5: who bounds memory is asked before it is taken, with the size where that is
// known, and decides.
func TestAdmission(t *testing.T) {
	large := bytes.Repeat([]byte{' '}, 4<<20)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(large)
	_ = z.Close()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   int64 // the last number asked; 0 for never
	}{
		{"a small document", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, 0},
		{"one with a length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
			_, _ = w.Write(large)
		}, int64(len(large))},
		{"one in chunks could be the largest", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(large)
		}, 100 << 20},
		{"a compressed one says what it holds", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
		}, int64(len(large) + zipped.Len())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := serve(t, tt.answer)
			asked := int64(0)
			_, err := quick().GetWithin(t.Context(), u.connection(), "doc", nil, format.Validators{}, func(_ context.Context, size int64) error {
				asked = size
				return nil
			})
			if err != nil || asked != tt.want {
				t.Errorf("asked for %d bytes, want %d; %v", asked, tt.want, err)
			}
			if tt.want == 0 {
				return
			}
			refused := &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "busy"}
			_, err = quick().GetWithin(t.Context(), u.connection(), "doc", nil, format.Validators{}, func(context.Context, int64) error { return refused })
			if !errors.Is(err, refused) {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

func TestFetchesAreObserved(t *testing.T) {
	var seen []string
	c := fetch.New(fetch.Options{Observe: func(f fetch.Fetched) {
		seen = append(seen, fmt.Sprint(f.Connection, " ", f.Result, " ", f.Bytes))
	}})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "gone"):
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("If-None-Match") != "":
			w.WriteHeader(http.StatusNotModified)
		default:
			_, _ = io.WriteString(w, "12345")
		}
	})
	_, _ = get(t, c, u.connection())
	_, _ = c.Get(t.Context(), u.connection(), "doc", nil, format.Validators{ETag: `"1"`})
	_, _ = c.Get(t.Context(), u.connection(), "gone", nil, format.Validators{})
	_, _, _ = download(t, c, u.connection(), "file")
	if a, err := c.Download(t.Context(), u.connection(), "file"); err != nil {
		t.Error(err)
	} else if err := errors.Join(a.Body.Close(), a.Body.Close()); err != nil {
		t.Error(err)
	}
	want := "test:up ok 5,test:up not_modified 0,test:up upstream_not_found 0,test:up ok 5,test:up upstream_canceled 0"
	if got := strings.Join(seen, ","); got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
}
