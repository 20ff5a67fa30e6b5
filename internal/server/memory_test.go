package server

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
)

// A8, memory soft limit: publishes are refused first, pulls when that was not enough, and
// nothing any more once memory is well below the limit.
func TestMemoryIsShedInSteps(t *testing.T) {
	used := int64(0)
	g := &memoryGuard{limit: 100, used: func() int64 { return used }, log: slog.New(slog.DiscardHandler)}
	for _, step := range []struct {
		why              string
		used             int64
		publishes, pulls bool // refused
	}{
		{"at the limit nothing is refused", 100, false, false},
		{"above it publishes are", 101, true, false},
		{"a little below it they stay refused", 95, true, false},
		{"above it again pulls are, too", 101, true, true},
		{"it is not worse than that", 200, true, true},
		{"a little below it both stay refused", 90, true, true},
		{"well below it nothing is refused", 89, false, false},
	} {
		used = step.used
		g.check(t.Context())
		for name, refused := range map[string]struct {
			err  error
			want bool
		}{"publishes": {g.refusePublishes(), step.publishes}, "pulls": {g.refuseMisses(), step.pulls}} {
			if (refused.err != nil) != refused.want {
				t.Errorf("%s: %s: %v", step.why, name, refused.err)
			}
			if refused.err != nil && packhouse.KindOf(refused.err) != packhouse.KindUnavailable {
				t.Errorf("%s: %s are refused with %v", step.why, name, packhouse.KindOf(refused.err))
			}
		}
	}
}

// The collector's percentage is the configured one, or what lets 8 MiB of garbage gather
// in a small heap.
func TestPaceOfTheCollector(t *testing.T) {
	for _, tt := range []struct {
		name       string
		configured int
		live       uint64
		want       int
	}{
		{"before the first collection", 50, 0, 200},
		{"a heap that 200 % are 4 MiB of", 50, 2 << 20, 200},
		{"a heap of 5 MiB, in steps of 25", 50, 5 << 20, 150},
		{"a heap of 8 MiB", 50, 8 << 20, 100},
		{"a heap of which half is 8 MiB", 50, 16 << 20, 50},
		{"a large heap", 50, 1 << 30, 50},
		{"more was configured than a small heap gets", 300, 2 << 20, 300},
	} {
		if got := (&memoryGuard{percent: tt.configured}).percentFor(tt.live); got != tt.want {
			t.Errorf("%s: %d %%, want %d %%", tt.name, got, tt.want)
		}
	}
}

// A8: while memory is short a publish is 503 with Retry-After, and reads go on.
func TestEdgeShedsPublishes(t *testing.T) {
	a := newAddresses(&config.Config{Region: "us-east-1"}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8480}, false)
	e := newEdge(a, map[Owner]http.Handler{OwnerRegistry: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })},
		limits, newMetrics(), slog.New(slog.DiscardHandler))
	e.busyWrites = func() error { return packhouse.Internal(nil) }
	for method, want := range map[string]int{http.MethodPut: http.StatusServiceUnavailable, http.MethodGet: http.StatusOK} {
		var body io.Reader
		if method == http.MethodPut {
			body = strings.NewReader("{}")
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:8480/npm/main/store/box", body)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != want || (w.Header().Get("Retry-After") != "") != (want == http.StatusServiceUnavailable) {
			t.Errorf("%s: %d with Retry-After %q, want %d", method, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
}

func TestCgroupMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		self  string
		files map[string]string
		want  int64
	}{
		"a bound of its own":                 {"0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n", "a/memory.max": "max\n"}, 1000},
		"a smaller bound above":              {"0::/a/b\n", map[string]string{"a/b/memory.max": "1000\n", "a/memory.max": "500\n"}, 500},
		"none":                               {"0::/a\n", map[string]string{"a/memory.max": "max\n"}, 0},
		"the first version, with a bound":    {"5:cpu:/x\n4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "2000\n"}, 2000},
		"the first version, without a bound": {"4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nothing that can be read":           {"nonsense", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			self := filepath.Join(root, "self")
			if err := os.WriteFile(self, []byte(tt.self), 0o600); err != nil {
				t.Fatal(err)
			}
			for file, text := range tt.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := cgroupMemory(root, self); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
