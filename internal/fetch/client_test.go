package fetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// upstream is a server that counts its requests.
type upstream struct {
	*httptest.Server
	requests atomic.Int64
}

func serve(t *testing.T, h http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.requests.Add(1)
		h(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) connection() fetch.Connection {
	return fetch.Connection{Name: "test:up", URL: u.URL + "/base/"}
}

// quick has delays that tests need not wait for.
func quick() *fetch.Client { return fetch.New(fetch.Options{RetryDelay: time.Millisecond}) }

func get(t *testing.T, c *fetch.Client, conn fetch.Connection) (format.Response, error) {
	t.Helper()
	return c.Get(t.Context(), conn, "doc", http.Header{"Accept": {"application/json"}}, format.Validators{})
}

func TestGet(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, `{"name":"left-pad"}`)
	z.Close()
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	for range 100 {
		z.Write(make([]byte, 1<<10))
	}
	z.Close()
	var hollow bytes.Buffer // members without content, without end
	for hollow.Len() < 80<<10 {
		gzip.NewWriter(&hollow).Close()
	}
	const secret = "secret inside of upstream"
	for _, tt := range []struct {
		name     string
		answer   http.HandlerFunc
		want     string
		kind     packhouse.Kind
		reason   string
		requests int64
	}{
		{name: "a document", requests: 1, want: "{}", answer: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") }},
		{name: "a compressed document is decoded", requests: 1, want: `{"name":"left-pad"}`, answer: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				http.Error(w, secret, 400)
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped.Bytes())
		}},
		{name: "the path keeps its escapes", requests: 1, want: "/base/doc", answer: func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.EscapedPath()) }},
		{name: "404 is not found", requests: 1, kind: packhouse.KindNotFound, reason: "upstream_not_found", answer: status(404, secret)},
		{name: "410 is not found", requests: 1, kind: packhouse.KindNotFound, reason: "upstream_not_found", answer: status(410, secret)},
		{name: "401 is the upstream's refusal", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonRefused, answer: status(401, secret)},
		{name: "403 is the upstream's refusal", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonRefused, answer: status(403, secret)},
		{name: "500 is tried three times", requests: 3, kind: packhouse.KindUpstream, reason: fetch.ReasonFailed, answer: status(500, secret)},
		{name: "418 is not tried again", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: status(418, secret)},
		{name: "429 is not tried again", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonThrottled, answer: status(429, secret)},
		{name: "an unasked 304 is an error", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: status(304, "")},
		{name: "an unasked 206 is an error", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: status(206, secret)},
		{name: "a web page is not a document (R26)", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, secret)
		}},
		{name: "a bomb bursts outside (A8)", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb.Bytes())
		}},
		{name: "an endless stream of nothing ends (A8)", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(hollow.Bytes())
		}},
		{name: "an unknown encoding is refused", requests: 1, kind: packhouse.KindUpstream, reason: fetch.ReasonBadAnswer, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			fmt.Fprint(w, secret)
		}},
		{name: "a compressed document cut short is tried again", requests: 3, kind: packhouse.KindUpstream, reason: fetch.ReasonBrokenOff, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped.Bytes()[:zipped.Len()-4])
		}},
		{name: "a document shorter than announced is tried again", requests: 3, kind: packhouse.KindUpstream, reason: fetch.ReasonBrokenOff, answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "{}")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{name: "a document without any end is not believed", requests: 3, kind: packhouse.KindUpstream, reason: fetch.ReasonBrokenOff, answer: raw("HTTP/1.0 200 OK\r\n\r\n{\"name\":")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := serve(t, tt.answer)
			c := fetch.New(fetch.Options{RetryDelay: time.Millisecond, MaxMetadata: 50 << 10})
			resp, err := get(t, c, u.connection())
			if tt.reason == "" {
				if err != nil || string(resp.Body) != tt.want {
					t.Fatalf("got %q, %v; want %q", resp.Body, err, tt.want)
				}
			} else if packhouse.KindOf(err) != tt.kind || packhouse.ReasonOf(err) != tt.reason {
				t.Fatalf("got error %v of kind %v, reason %q; want kind %v, reason %q", err, packhouse.KindOf(err), packhouse.ReasonOf(err), tt.kind, tt.reason)
			} else if e := (*packhouse.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Message, `"test:up"`) || strings.Contains(err.Error(), secret) {
				t.Errorf("message %q must name the connection and never hold what it sent (S24)", err)
			}
			if got := u.requests.Load(); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
		})
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// raw answers with bytes as they are and closes.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = buf.WriteString(answer)
		_ = buf.Flush()
		_ = conn.Close()
	}
}

func TestConditionalGet(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, "{}")
	})
	c := quick()
	first, err := get(t, c, u.connection())
	if err != nil {
		t.Fatal(err)
	}
	if want := (format.Validators{ETag: `"1"`, LastModified: "Sat, 21 Nov 2026 10:00:00 GMT"}); first.Validators != want {
		t.Errorf("validators %+v, want %+v", first.Validators, want)
	}
	if _, err = c.Get(t.Context(), u.connection(), "doc", nil, first.Validators); !errors.Is(err, format.ErrNotModified) {
		t.Errorf("got %v, want ErrNotModified", err)
	}
}

func TestWithoutAddress(t *testing.T) {
	_, err := get(t, quick(), fetch.Connection{Name: "public:npmjs"})
	var e *packhouse.Error
	if !errors.As(err, &e) || e.Kind != packhouse.KindUpstream || e.Reason != fetch.ReasonWithoutAddress {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"--connection public:npmjs=URL", "PACKHOUSE_CONNECTION_PUBLIC_NPMJS", "config file"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("message %q does not name %s", e.Message, want)
		}
	}
}

func TestCredentialsStayAtTheirOrigin(t *testing.T) { // S22
	var mu sync.Mutex
	seen := map[string]string{} // path to Authorization
	note := func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Host+r.URL.Path] = r.Header.Get("Authorization")
	}
	var home, away *upstream
	away = serve(t, func(w http.ResponseWriter, r *http.Request) {
		note(r)
		http.Redirect(w, r, home.URL+"/back", http.StatusFound)
	})
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		note(r)
		switch r.URL.Path {
		case "/base/doc":
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently) // relative: the same origin
		case "/moved":
			http.Redirect(w, r, away.URL+"/away", http.StatusTemporaryRedirect)
		default:
			fmt.Fprint(w, "{}")
		}
	})
	conn := home.connection()
	conn.Username, conn.Secret = "u", fetch.NewSecret("p")
	conn.AllowHosts = []string{strings.TrimPrefix(away.URL, "http://")}
	if _, err := get(t, quick(), conn); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/base/doc": true, "/moved": true, "/back": false} {
		got, ok := seen[strings.TrimPrefix(home.URL, "http://")+path]
		if !ok || (got != "") != want {
			t.Errorf("home %s: credentials %q, want sent: %v", path, got, want)
		}
	}
	if got, ok := seen[strings.TrimPrefix(away.URL, "http://")+"/away"]; !ok || got != "" {
		t.Errorf("another origin got %q", got)
	}
}

func TestRedirects(t *testing.T) { // S22
	inside := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") })
	for _, tt := range []struct {
		name, to string
		reason   string
	}{
		{"to another port of loopback", inside.URL + "/", fetch.ReasonAddressRefused},
		{"to a metadata service", "http://169.254.169.254/latest", fetch.ReasonAddressRefused},
		{"to another scheme", "file:///etc/passwd", fetch.ReasonAddressRefused},
		{"with a user name", "https://u@cdn.test/", fetch.ReasonAddressRefused},
		{"to nowhere", "", fetch.ReasonBadAnswer},
		{"to what is no address", "http://[::1", fetch.ReasonBadAnswer},
		{"round and round", "/base/doc", fetch.ReasonBadAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if tt.to != "" {
					w.Header().Set("Location", tt.to)
				}
				w.WriteHeader(http.StatusFound)
			})
			_, err := get(t, quick(), u.connection())
			if packhouse.ReasonOf(err) != tt.reason {
				t.Errorf("got %v, want reason %s", err, tt.reason)
			}
			if u.requests.Load() > 6 {
				t.Errorf("%d requests, want at most 6", u.requests.Load())
			}
		})
	}
	if inside.requests.Load() != 0 {
		t.Error("a redirect led to a server inside")
	}

	tls := httptest.NewTLSServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer tls.Close()
	conn := fetch.Connection{Name: "x", URL: tls.URL, CA: caFile(t, tls), AllowHosts: []string{strings.TrimPrefix(inside.URL, "http://")}}
	if _, err := get(t, quick(), conn); packhouse.ReasonOf(err) != fetch.ReasonAddressRefused {
		t.Errorf("redirect from https to a listed host in plain http: %v", err)
	}
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTrustedRootsAndProxy(t *testing.T) {
	tls := httptest.NewTLSServer(status(200, "{}"))
	defer tls.Close()
	tls.Config.ErrorLog = nil
	if _, err := get(t, quick(), fetch.Connection{Name: "x", URL: tls.URL}); packhouse.ReasonOf(err) != fetch.ReasonUnreachable {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	if _, err := get(t, quick(), fetch.Connection{Name: "x", URL: tls.URL, CA: caFile(t, tls)}); err != nil {
		t.Errorf("with its root named: %v", err)
	}
	if _, err := get(t, quick(), fetch.Connection{Name: "x", URL: tls.URL, CA: "absent.pem"}); packhouse.ReasonOf(err) != fetch.ReasonMisconfigured {
		t.Errorf("with an absent file: %v", err)
	}
	var asked string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		fmt.Fprint(w, "{}")
	})
	if _, err := get(t, quick(), fetch.Connection{Name: "x", URL: "http://registry.corp.test/npm/", Proxy: proxy.URL}); err != nil || asked != "http://registry.corp.test/npm/doc" {
		t.Errorf("proxy was asked for %q: %v", asked, err)
	}
}

func TestBreaker(t *testing.T) { // R28
	var healthy atomic.Bool
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(500)
			return
		}
		fmt.Fprint(w, "{}")
	})
	c := fetch.New(fetch.Options{RetryDelay: time.Millisecond, BreakerDelay: 50 * time.Millisecond})
	other := serve(t, status(200, "{}"))
	var err error
	for range 60 {
		if _, err = get(t, c, u.connection()); packhouse.ReasonOf(err) == fetch.ReasonPaused {
			break
		}
	}
	var e *packhouse.Error
	if !errors.As(err, &e) || e.Reason != fetch.ReasonPaused || e.RetryAfter <= 0 {
		t.Fatalf("after many failures: %v", err)
	}
	if sent := u.requests.Load(); sent < 20 || sent > 30 {
		t.Errorf("%d requests before it opened, want 20 and a few", sent)
	}
	if _, err := get(t, c, other.connection()); err != nil {
		t.Errorf("another connection suffers too: %v", err)
	}
	healthy.Store(true)
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err = get(t, c, u.connection()); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healed: %v", err)
		}
	}
}

func TestRetryAfterFailsFast(t *testing.T) {
	for _, code := range []int{429, 503} {
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(code)
		})
		c := quick()
		for i, reason := range []string{fetch.ReasonThrottled, fetch.ReasonPaused, fetch.ReasonPaused} {
			_, err := get(t, c, u.connection())
			var e *packhouse.Error
			if !errors.As(err, &e) || e.Reason != reason || e.RetryAfter < time.Minute {
				t.Errorf("%d, call %d: %v", code, i, err)
			}
		}
		if u.requests.Load() != 1 {
			t.Errorf("%d: %d requests, want 1", code, u.requests.Load())
		}
	}
}

func TestTransferLimits(t *testing.T) { // R28: 64 transfers and 256 waiting, here 2 and 1
	release := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		fmt.Fprint(w, "bytes")
	})
	defer close(release)
	c := fetch.New(fetch.Options{MaxTransfers: 2, MaxWaiting: 1})
	ctx, cancel := context.WithCancel(t.Context())
	results := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := c.Download(ctx, u.connection(), "file")
			results <- err
		}()
	}
	// Two are in transfer, one waits, and exactly one is turned away at once.
	err := <-results
	if packhouse.ReasonOf(err) != fetch.ReasonBusy {
		t.Errorf("the fourth got %v", err)
	}
	cancel()
	for range 3 {
		if err := <-results; packhouse.ReasonOf(err) != fetch.ReasonCanceled {
			t.Errorf("after the clients left: %v", err)
		}
	}
	if n := u.requests.Load(); n > 2 {
		t.Errorf("%d requests at one time, want at most 2", n)
	}
}

func TestTimeouts(t *testing.T) { // A8
	hang := make(chan struct{})
	defer close(hang)
	silent := serve(t, func(w http.ResponseWriter, r *http.Request) { <-hang })
	stalling := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "{")
		w.(http.Flusher).Flush()
		<-hang
	})
	c := fetch.New(fetch.Options{FirstByteTimeout: 30 * time.Millisecond, StallTimeout: 30 * time.Millisecond})
	for name, u := range map[string]*upstream{"no first byte": silent, "a stall": stalling} {
		if _, err := get(t, c, u.connection()); packhouse.KindOf(err) != packhouse.KindUpstreamTimeout {
			t.Errorf("%s: %v", name, err)
		}
		if u.requests.Load() != 1 {
			t.Errorf("%s: %d requests, want 1: a slow upstream is not asked again and again", name, u.requests.Load())
		}
	}
	endless := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
		}
	})
	c = fetch.New(fetch.Options{TotalTimeout: 50 * time.Millisecond})
	if _, err := get(t, c, endless.connection()); packhouse.KindOf(err) != packhouse.KindUpstreamTimeout {
		t.Errorf("an endless document: %v", err)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const text = "hunter2"
	conn := fetch.Connection{Name: "x", Username: "u", Secret: fetch.NewSecret(text)}
	type hidden struct{ c fetch.Connection }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, conn.Secret, conn, &conn, hidden{conn})
	}
	b, err := json.Marshal(map[string]any{"a": conn, "b": conn.Secret})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("m", slog.Any("conn", conn), slog.Any("secret", conn.Secret))
	}
	for _, spelled := range []string{text, fmt.Sprintf("%x", text), "104 117 110 116 101 114 50"} { // the last is a list of bytes
		if strings.Contains(out.String(), spelled) {
			t.Errorf("printed %q in %s", spelled, out.String())
		}
	}
	if !strings.Contains(out.String(), "***") || conn.Secret.Reveal() != text {
		t.Error("the secret is lost or its place does not show")
	}
}

func TestCredentialID(t *testing.T) { // S19
	id := func(user, secret string) string {
		return fetch.Connection{Name: "x", Username: user, Secret: fetch.NewSecret(secret)}.CredentialID()
	}
	if id("", "") != "" {
		t.Error("no credential has an id")
	}
	if a, b := id("u", "p"), id("u", "p"); a == "" || a != b {
		t.Errorf("one credential has ids %q and %q", a, b)
	}
	if id("u", "p") == id("u", "q") || id("u", "p") == id("v", "p") || id("", "p") == id("u", "p") {
		t.Error("two credentials share an id")
	}
}
