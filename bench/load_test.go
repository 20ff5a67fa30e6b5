package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server is a process made of this test and a handler.
func server(t *testing.T, h http.HandlerFunc) *process {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &process{addr: strings.TrimPrefix(s.URL, "http://"), pids: []int{os.Getpid()}}
}

func getting(p *process, requests int) load {
	q := request(http.MethodGet, p.addr, "/", nil)
	return load{clients: 4, requests: requests, status: http.StatusOK, request: func(int) []byte { return q }}
}

// performance.md, "Rules": a load whose answers are not what they should be has no
// figure.
func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"an answer of another status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"a connection that breaks in the middle of an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			panic(http.ErrAbortHandler)
		}},
		{"one bad answer among good ones", func() http.HandlerFunc {
			var n atomic.Int64
			return func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1) == 50 {
					w.WriteHeader(http.StatusNotFound)
				}
			}
		}()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := server(t, tt.handler)
			if o, err := getting(p, 100).run(p); err == nil {
				t.Errorf("a figure of %d requests, want an error", o.requests)
			}
		})
	}
}

func TestLoadRefusesAServerThatIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{addr: l.Addr().String(), pids: []int{os.Getpid()}}
	_ = l.Close()
	if o, err := getting(p, 1).run(p); err == nil {
		t.Errorf("a figure of %d requests, want an error", o.requests)
	}
}

func TestLoadCounts(t *testing.T) {
	var served atomic.Int64
	p := server(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.URL.Path == "/chunked" {
			for range 3 {
				_, _ = w.Write([]byte("abc"))
				_ = http.NewResponseController(w).Flush()
			}
			return
		}
		_, _ = w.Write([]byte("123456789"))
	})
	l := getting(p, 100)
	chunked := request(http.MethodGet, p.addr, "/chunked", nil)
	plain := l.request(0)
	l.request = func(n int) []byte {
		if n%2 == 0 {
			return chunked
		}
		return plain
	}
	o, err := l.run(p)
	if err != nil {
		t.Fatal(err)
	}
	if o.requests != 100 || served.Load() != 100 || len(o.times) != 100 {
		t.Errorf("%d requests counted, %d timed, %d served, want 100", o.requests, len(o.times), served.Load())
	}
	if o.bytes != 900 {
		t.Errorf("%d bytes, want 900", o.bytes)
	}
	// The rate is over the time that really passed, which holds all of the requests.
	var sum time.Duration
	for _, d := range o.times {
		sum += d
	}
	if o.elapsed < sum/4 {
		t.Errorf("%v elapsed for %v of requests by 4 clients", o.elapsed, sum)
	}
}

// A load for a time ends, however many requests it has.
func TestLoadEnds(t *testing.T) {
	p := server(t, func(http.ResponseWriter, *http.Request) {})
	l := getting(p, 0)
	l.length = 50 * time.Millisecond
	o, err := l.run(p)
	if err != nil {
		t.Fatal(err)
	}
	if o.requests == 0 || o.elapsed < l.length {
		t.Errorf("%d requests in %v", o.requests, o.elapsed)
	}
}

// A server that does not come up leaves no process behind.
func TestStartLeavesNoProcess(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	b.ctx = ctx
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	pidFile := b.dir + "/pid"
	done := make(chan error, 1)
	go func() {
		_, err := b.start(command{name: "silent", addr: addr, ready: "/",
			argv: []string{"/bin/sh", "-c", `echo $$ >"$0.new" && mv "$0.new" "$0"; exec sleep 60`, pidFile}})
		done <- err
	}()
	deadline := time.Now().Add(time.Minute)
	for !exists(pidFile) {
		if time.Now().After(deadline) {
			t.Fatal("the process did not start")
		}
		time.Sleep(time.Millisecond)
	}
	pid, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Fatal("a server that never answered was started")
	}
	if exists("/proc/" + strings.TrimSpace(string(pid))) {
		t.Errorf("process %s still runs", pid)
	}
}

func TestStartTellsWhyAServerEnded(t *testing.T) {
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: t.TempDir(), ctx: t.Context()}
	_, err = b.start(command{name: "broken", addr: addr, ready: "/", argv: []string{"/bin/sh", "-c", "echo the port is taken; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "the port is taken") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the exit status and what the server said", err)
	}
}
