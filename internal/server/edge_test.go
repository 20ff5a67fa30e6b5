package server

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/httpx"
)

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var limits = config.Limits{Headers: 100, Requests: 1, Writes: 1, Connections: 100, ConnectionsPeer: 100, BodyGrace: time.Minute, BodyRate: 1, WriteStall: time.Minute}

// startEdge serves a registry door made by hand.
func startEdge(t *testing.T, l config.Limits, door http.HandlerFunc) (base string, log *buffer) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log = &buffer{}
	a := newAddresses(&config.Config{Region: "us-east-1", EndpointHostSuffix: "example.com"}, listener.Addr(), false)
	health := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	e := newEdge(a, map[Owner]http.Handler{OwnerRegistry: door, OwnerServer: health, OwnerFixed: http.HandlerFunc(fixed), OwnerOCI: http.HandlerFunc(reservedOCI)},
		l, newMetrics(), slog.New(slog.NewJSONHandler(log, nil)))
	s := &http.Server{Handler: e, ReadHeaderTimeout: time.Minute, ConnContext: withConn, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { _ = s.Serve(newPacedListener(listener, l, true)) }() // ends by Close
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + listener.Addr().String(), log
}

func send(t *testing.T, method, url, host string, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

func TestDispatch(t *testing.T) {
	base, _ := startEdge(t, limits, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "registry "+httpx.RequestPath(r))
	})
	domainHost := "acme-111122223333.d.codeartifact.us-east-1.example.com:" + base[strings.LastIndexByte(base, ':')+1:]
	for _, tt := range []struct {
		name, method, path, host string
		status                   int
		body                     string
	}{
		{name: "a format", method: "GET", path: "/npm/a/b/@s%2fx", status: 200, body: "registry /npm/a/b/@s%2fx"},
		{name: "slashes at the start are no redirect", method: "GET", path: "//npm//x/../y", status: 200, body: "registry //npm//x/../y"},
		{name: "a door that comes later", method: "GET", path: "/v2/", status: 404, body: `"message"`},
		{name: "nothing", method: "GET", path: "/wp-admin", status: 404, body: `"message"`},
		{name: "an encoded segment is not decoded to find its owner", method: "GET", path: "/%6epm/a/b/x", status: 404, body: `"message"`},
		{name: "images are told their form", method: "GET", path: "/oci/x", status: 404, body: "/v2/"},
		{name: "health for any host", method: "GET", path: "/healthz", host: "evil.example", status: 200},
		{name: "health in another method", method: "POST", path: "/healthz", status: 405, body: `"message"`},
		{name: "below health is nothing", method: "GET", path: "/healthz/x", status: 404, body: `"message"`},
		{name: "an unknown host", method: "GET", path: "/npm/a/b/x", host: "evil.example", status: 421, body: "public_url"},
		{name: "TRACE", method: "TRACE", path: "/npm/a/b/x", status: 405, body: `"message"`},
		{name: "a domain host serves formats", method: "GET", path: "/npm/b/x", host: domainHost, status: 200, body: "registry"},
		{name: "a domain host serves nothing else", method: "GET", path: "/v1/domain", host: domainHost, status: 404, body: `"message"`},
		{name: "a domain host has no greeting", method: "GET", path: "/", host: domainHost, status: 404, body: `"message"`},
		{name: "crawlers are kept out", method: "GET", path: "/robots.txt", status: 200, body: "Disallow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body, err := send(t, tt.method, base+tt.path, tt.host, nil)
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(body, tt.body) {
				t.Fatalf("got %v %q, %v; want %d %q", resp.Status, body, err, tt.status, tt.body)
			}
			if resp.Header.Get("X-Request-Id") == "" {
				t.Error("no request id")
			}
		})
	}
}

// TestPanicsAreContained is reliability.md S50: a 500, a log without what the client
// sent, and a server that goes on.
func TestPanicsAreContained(t *testing.T) {
	base, log := startEdge(t, limits, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "late") {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		panic("canary " + r.Header.Get("User-Agent"))
	})
	for range 3 {
		resp, body, err := send(t, "GET", base+"/npm/early", "", nil)
		if err != nil || resp.StatusCode != 500 || strings.Contains(body, "canary") {
			t.Fatalf("got %v %q, %v", resp, body, err)
		}
	}
	if _, body, err := send(t, "GET", base+"/npm/late", "", nil); err == nil {
		t.Errorf("an answer cut off by a panic ended cleanly after %q", body)
	}
	text := log.String()
	if strings.Contains(text, "canary") || !strings.Contains(text, "request handler panicked") || !strings.Contains(text, "panics repeatedly") {
		t.Errorf("log: %s", text)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	in, gate := make(chan struct{}), make(chan struct{})
	base, _ := startEdge(t, limits, func(http.ResponseWriter, *http.Request) {
		in <- struct{}{}
		<-gate
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = send(t, "GET", base+"/npm/a", "", nil)
	}()
	<-in
	resp, _, err := send(t, "GET", base+"/npm/b", "", nil)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the second request got %v, %v; want 503 with Retry-After (reliability.md A8)", resp, err)
	}
	if resp, _, err := send(t, "GET", base+"/healthz", "", nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("health got %v, %v while the server was full (R32)", resp, err)
	}
	close(gate)
	<-done
}

func TestSlowBodiesAreGivenUp(t *testing.T) {
	l := limits
	l.BodyGrace = 50 * time.Millisecond
	l.BodyRate = 1 << 20
	base, log := startEdge(t, l, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			httpx.RecordOf(r.Context()).Err = err
			_ = httpx.WriteJSON(w, httpx.Status(err), map[string]string{"message": httpx.Message(err)})
		}
	})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "PUT /npm/a HTTP/1.1\r\nHost: "+strings.TrimPrefix(base, "http://")+"\r\nContent-Length: 1000\r\n\r\nab")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // ends because the server closes
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(log.String(), "body_too_slow") {
		t.Errorf("got %q, %v; want 408 and the end of the connection (reliability.md A8)", answer, err)
	}
}

// TestNoSecretsInTheLog sends canaries to every place that a request has (S38).
func TestNoSecretsInTheLog(t *testing.T) {
	l := limits
	l.Requests = 10
	base, log := startEdge(t, l, func(w http.ResponseWriter, r *http.Request) {
		httpx.RecordOf(r.Context()).Err = packhouse.Invalidf("x", "no")
		w.WriteHeader(400)
	})
	for _, path := range []string{"/npm/a/b/-/user/token/canary", "/npm/a?token=canary", "/npm/phr_canary/x", "/npm/v4.local.canary"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer canary")
		r.Header.Set("X-Request-Id", "canary")
		r.Header.Set("Referer", "http://canary")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if text := log.String(); strings.Contains(text, "canary") || strings.Count(text, `"msg":"request"`) != 4 {
		t.Errorf("log: %s", text)
	}
}

func TestGreeting(t *testing.T) {
	query := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, "the IAM and STS door\n")
	})
	h := &health{version: "1", address: func(*http.Request) string { return "http://h" }, iam: query}
	for _, tt := range []struct {
		name, method, accept string
		status               int
		kind                 string
		lines                int
	}{
		{"a browser gets three lines", "GET", "text/html,*/*", 200, "text/plain; charset=utf-8", 3},
		{"a program gets JSON", "GET", "*/*", 200, "application/json", 1},
		{"a form goes to the IAM and STS door", "POST", "", 200, "text/xml", 1},
		{"another method is told which there are", "PUT", "", 405, "application/json", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.kind || strings.Count(w.Body.String(), "\n") != tt.lines {
				t.Errorf("got %d %s %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
		})
	}
}
