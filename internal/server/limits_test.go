package server

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/httpx"
)

// raw writes a request to a connection of its own and returns all that comes back before
// the server closes.
func raw(t *testing.T, base, request string) string {
	t.Helper()
	conn := dial(t, base)
	_, _ = io.WriteString(conn, request) // the server may answer before it has read all
	answer, err := io.ReadAll(conn)
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		t.Fatalf("the connection stays open after %q", answer)
	}
	return string(answer)
}

func dial(t *testing.T, base string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", base[strings.Index(base, "://")+3:])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// reliability.md S4: what the server answers to odd framing, and that it closes then. A
// second request behind the first must not be answered.
func TestFramingAnswers(t *testing.T) {
	var asked atomic.Int32
	base, _ := startEdge(t, limits, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	})
	host := strings.TrimPrefix(base, "http://")
	next := "GET /npm/smuggled HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	for _, tt := range []struct {
		name, request string
		status        string // all that may be answered
		asked         int32
	}{
		{"a length beside chunks", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400", 0},
		{"chunks beside a length", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + next, "400", 0},
		{"chunks alone", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "200", 1},
		{"chunks in HTTP/1.0", "PUT /npm/a HTTP/1.0\r\nHost: " + host + "\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, "400", 0},
		{"HTTP/1.0 that wants to go on", "GET /npm/a HTTP/1.0\r\nHost: " + host + "\r\nConnection: keep-alive\r\n\r\n" + next, "200", 1},
		{"a folded header", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nX-A: b\r\n c\r\n\r\n" + next, "400", 0},
		{"two lengths that differ", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" + next, "400", 0},
		{"a list of lengths", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1, 2\r\n\r\nab" + next, "400", 0},
		{"a signed length", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: +1\r\n\r\na" + next, "400", 0},
		{"a huge length", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 18446744073709551617\r\n\r\na" + next, "400", 0},
		{"an unknown coding", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: gzip\r\n\r\n" + next, "501", 0},
		{"chunks and another coding", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked, identity\r\n\r\n" + next, "501", 0},
		{"a coding with a vertical tab", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: \x0bchunked\r\n\r\n" + next, "400", 0},
		{"a chunk's size with a bare LF", "PUT /npm/a HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" + next, "200", 1},
		{"a blank before the colon", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nX-A : b\r\n\r\n" + next, "400", 0},
		{"a header without a colon", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nX-A\r\n\r\n" + next, "400", 0},
		{"a header with NUL", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nX-A: \x00\r\n\r\n" + next, "400", 0},
		{"a header with a bare CR", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nX-A: a\rX-B: b\r\n\r\n" + next, "400", 0},
		{"no Host", "GET /npm/a HTTP/1.1\r\n\r\n" + next, "400", 0},
		{"two Hosts", "GET /npm/a HTTP/1.1\r\nHost: " + host + "\r\nHost: " + host + "\r\n\r\n" + next, "400", 0},
		{"a Host that is none", "GET /npm/a HTTP/1.1\r\nHost: a b\r\n\r\n" + next, "400", 0},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "4", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked.Store(0)
			answer := raw(t, base, tt.request)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) && !strings.HasPrefix(answer, "HTTP/1.0 "+tt.status) ||
				strings.Count(answer, "HTTP/1.") != 1 || asked.Load() != tt.asked {
				t.Errorf("got %q, and %d requests for the door; want %s, %d, and the end", answer, asked.Load(), tt.status, tt.asked)
			}
		})
	}
}

// reliability.md S4: the authority of an absolute form counts as Host.
func TestAbsoluteForm(t *testing.T) {
	base, _ := startEdge(t, limits, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, httpx.RequestPath(r)) })
	host := strings.TrimPrefix(base, "http://")
	for _, tt := range []struct{ name, target, host, status, body string }{
		{"our own", base + `/npm/@a%2fb"`, host, "200", `/npm/@a%2fb"`},
		{"our own beside another Host", base + "/npm/a", "evil.example", "200", "/npm/a"},
		{"another beside our own Host", "http://evil.example/npm/a", host, "421", "public_url"},
		{"health of another", "http://evil.example/healthz", host, "200", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := raw(t, base, "GET "+tt.target+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(answer, "HTTP/1.1 "+tt.status) || !strings.Contains(answer, tt.body) {
				t.Errorf("got %q, want %s with %q", answer, tt.status, tt.body)
			}
		})
	}
}

// reliability.md A8: request line and headers, their number, the time that they may take.
func TestHeadsAreBounded(t *testing.T) {
	c := testConfig(t, map[string]string{"limits.header_timeout": "1s", "limits.header_bytes": "8KiB", "limits.headers": "30"})
	s, _ := start(t, c, nil)
	base, host := s.URL, strings.TrimPrefix(s.URL, "http://")
	for _, tt := range []struct{ name, head, status string }{
		{"30 headers", "GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Repeat("X-A: b\r\n", 29) + "\r\n", "200"},
		{"31 headers", "GET /npm/a/b/c HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Repeat("X-A: b\r\n", 30) + "\r\n", "431"},
		{"a header of 16 KiB", "GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nX-A: " + strings.Repeat("a", 16<<10) + "\r\n\r\n", "431"},
		{"a path of 16 KiB", "GET /" + strings.Repeat("a", 16<<10) + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n", "431"},
		{"headers of 16 KiB without an end", "GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Repeat("X-A: b\r\n", 2<<10), "431"},
		{"half a head", "GET /healthz HTTP/1.1\r\nHost: " + host + "\r\n", ""}, // closed after the header time
		{"nothing at all", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := raw(t, base, tt.head)
			if tt.status == "" && answer != "" || !strings.HasPrefix(answer+" ", "HTTP/1.1 "+tt.status) && tt.status != "" {
				t.Errorf("got %q, want %s", answer, tt.status)
			}
		})
	}
}

// reliability.md A8: a connection without a request ends after the idle time.
func TestIdleConnectionsAreClosed(t *testing.T) {
	s, _ := start(t, testConfig(t, map[string]string{"limits.idle_timeout": "1s"}), nil)
	answer := raw(t, s.URL, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	if strings.Count(answer, "HTTP/1.1 200") != 1 {
		t.Errorf("got %q", answer)
	}
}

// reliability.md A8: a client that takes no byte of an answer is cut off.
func TestStalledReadersAreCutOff(t *testing.T) {
	l := limits
	l.WriteStall = 300 * time.Millisecond
	ended := make(chan error, 1)
	base, _ := startEdge(t, l, func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				ended <- err
				return
			}
		}
	})
	conn := dial(t, base)
	if _, err := io.WriteString(conn, "GET /npm/a HTTP/1.1\r\nHost: "+strings.TrimPrefix(base, "http://")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("an answer that nobody reads is still being written")
	}
}

// reliability.md A8: connections in all and of one client; the first beyond a client's
// limit are told, the rest closed.
func TestConnectionsAreBounded(t *testing.T) {
	l := limits
	l.ConnectionsPeer, l.Connections = 2, 2+waitingRoom-1
	base, _ := startEdge(t, l, func(http.ResponseWriter, *http.Request) {})
	ask := func(conn net.Conn) string {
		t.Helper()
		_, _ = io.WriteString(conn, "GET /npm/a HTTP/1.1\r\nHost: "+strings.TrimPrefix(base, "http://")+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return "closed"
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests && (resp.Header.Get("Retry-After") == "" || !resp.Close) {
			t.Errorf("429 with headers %v", resp.Header)
		}
		return resp.Status
	}
	// A connection is counted before it is answered on, so each is asked in its turn.
	first, second := dial(t, base), dial(t, base)
	for _, conn := range []net.Conn{first, second} {
		if got := ask(conn); got != "200 OK" {
			t.Fatalf("within the limit: %s", got)
		}
	}
	if got := ask(dial(t, base)); got != "429 Too Many Requests" {
		t.Errorf("beyond the limit: %s", got)
	}
	_ = first.Close()
	deadline := time.Now().Add(20 * time.Second)
	for got := ""; got != "200 OK"; got = ask(dial(t, base)) {
		if time.Now().After(deadline) {
			t.Fatalf("a place that became free is not used: %s", got)
		}
	}
	// Fill everything with connections that say nothing.
	var held []net.Conn
	for range l.Connections {
		held = append(held, dial(t, base))
	}
	closed := 0
	for _, conn := range held {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) || err != nil && !isTimeout(err) {
			closed++
		}
	}
	if closed == 0 {
		t.Error("no connection beyond the total was closed")
	}
}

// reliability.md A8, R32: at more than the limit extra requests are refused with 503 and
// Retry-After, the admitted ones finish, and health answers.
func TestOverloadSheds(t *testing.T) {
	l := limits
	l.Requests, l.Writes = 4, 2
	gate, in := make(chan struct{}), make(chan struct{}, 100)
	base, _ := startEdge(t, l, func(w http.ResponseWriter, r *http.Request) {
		in <- struct{}{}
		<-gate
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "done")
	})
	for _, tt := range []struct {
		name, method string
		admitted     int
	}{{"reads", "GET", 4}, {"packages", "PUT", 2}} {
		t.Run(tt.name, func(t *testing.T) {
			var wg sync.WaitGroup
			var shed, served atomic.Int32
			request := func() {
				var body io.Reader
				if tt.method == "PUT" {
					body = strings.NewReader("package")
				}
				resp, text, err := send(t, tt.method, base+"/npm/a", "", body)
				switch {
				case err != nil:
					t.Error(err)
				case resp.StatusCode == http.StatusOK && text == "done":
					served.Add(1)
				case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
					shed.Add(1)
				default:
					t.Errorf("%s %q", resp.Status, text)
				}
			}
			for range tt.admitted {
				wg.Go(request)
				<-in // admitted, and held at the gate
			}
			for range 10 * tt.admitted {
				request()
			}
			if resp, _, err := send(t, "GET", base+"/healthz", "", nil); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("health: %v, %v", resp, err)
			}
			for range tt.admitted {
				gate <- struct{}{}
			}
			wg.Wait()
			if got := int(served.Load()); got != tt.admitted || int(shed.Load()) != 10*tt.admitted {
				t.Errorf("%d served and %d shed, want %d and %d", got, shed.Load(), tt.admitted, 10*tt.admitted)
			}
		})
	}
}

// h2 is a raw HTTP/2 connection: frames made by hand, as no client library sends them.
type h2 struct {
	t    *testing.T
	conn net.Conn
	next uint32
}

// The frame types and flags that the tests use (RFC 9113 6).
const (
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
)

func dialH2(t *testing.T, address string) *h2 {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &h2{t: t, conn: conn, next: 1}
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = c.frame(frameSettings, 0, 0, nil) // the server's answer tells
	return c
}

func (c *h2) frame(kind, flags byte, stream uint32, payload []byte) error {
	head := make([]byte, 9, 9+len(payload))
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8|uint32(kind))
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	_, err := c.conn.Write(append(head, payload...))
	return err
}

// ask opens a stream with a GET and returns its number.
func (c *h2) ask(path, authority string) (uint32, error) {
	var b bytes.Buffer
	b.Write([]byte{0x82, 0x87}) // :method GET, :scheme https, from the static table
	for _, f := range []struct {
		index byte // of the name in the static table
		value string
	}{{4, path}, {1, authority}} {
		b.Write([]byte{f.index, byte(len(f.value))})
		b.WriteString(f.value)
	}
	stream := c.next
	c.next += 2
	return stream, c.frame(frameHeaders, flagEndStream|flagEndHeaders, stream, b.Bytes())
}

// read returns the next frame's type, its stream and its payload.
func (c *h2) read() (kind byte, stream uint32, payload []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[:])>>8)
	_, err = io.ReadFull(c.conn, payload)
	return head[3], binary.BigEndian.Uint32(head[5:]), payload, err
}

// startH2 serves a door over TLS, by an edge with limits l.
func startH2(t *testing.T, l config.Limits, door http.HandlerFunc) (address string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1, time.Now())
	cert, err := loadCertificate(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := newAddresses(&config.Config{Region: "us-east-1"}, listener.Addr(), true)
	s := &http.Server{Handler: newEdge(a, map[Owner]http.Handler{OwnerRegistry: door}, l, newMetrics(), slog.New(slog.DiscardHandler)), ConnContext: withConn,
		TLSConfig: cert.config(), ReadHeaderTimeout: time.Minute, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: l.StreamsPerConn}}
	go func() { _ = s.ServeTLS(newPacedListener(listener, l, false), "", "") }() // ends by Close
	t.Cleanup(func() { _ = s.Close() })
	return listener.Addr().String()
}

// reliability.md A8, CVE-2023-39325: a client that asks and cancels, over and over, loses
// its connection at the limit; one that stays below it does not.
func TestStreamResetsAreBounded(t *testing.T) {
	l := limits
	l.Requests, l.StreamsPerConn, l.StreamResets = 100, 100, 20
	in, out := make(chan struct{}), make(chan struct{})
	address := startH2(t, l, func(_ http.ResponseWriter, r *http.Request) {
		in <- struct{}{}
		<-r.Context().Done()
		out <- struct{}{}
	})
	for _, tt := range []struct {
		name   string
		resets int
		open   bool
	}{{"at the limit", 20, true}, {"one more", 21, false}} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialH2(t, address)
			for range tt.resets {
				stream, err := c.ask("/npm/a", address)
				if err != nil {
					t.Fatal(err)
				}
				<-in
				if err := c.frame(frameReset, 0, stream, []byte{0, 0, 0, 8}); err != nil { // CANCEL
					t.Fatal(err)
				}
				<-out
			}
			// The connection answers once more, or ends: soon, as the last reset is counted
			// when its handler has returned.
			var err error
			for deadline := time.Now().Add(10 * time.Second); ; {
				_, err = c.ask("/nothing", address)
				for err == nil {
					var kind byte
					if kind, _, _, err = c.read(); kind == frameHeaders {
						break
					}
				}
				if tt.open || err != nil || time.Now().After(deadline) {
					break
				}
			}
			var slow net.Error
			if errors.As(err, &slow) && slow.Timeout() {
				t.Fatal("no answer and no end")
			}
			if open := err == nil; open != tt.open {
				t.Errorf("open: %v (%v), want %v", open, err, tt.open)
			}
		})
	}
}

// reliability.md A8: streams beyond the limit are refused, the others go on. They are
// reads: with one place for packages they all are admitted.
func TestStreamsAreBounded(t *testing.T) {
	l := limits
	l.Requests, l.StreamsPerConn = 100, 3
	in, gate := make(chan struct{}, 10), make(chan struct{})
	address := startH2(t, l, func(http.ResponseWriter, *http.Request) {
		in <- struct{}{}
		<-gate
	})
	c := dialH2(t, address)
	for range 3 {
		if _, err := c.ask("/npm/a", address); err != nil {
			t.Fatal(err)
		}
		<-in
	}
	// The client has to know the limit before breaking it is its fault alone.
	if err := c.frame(frameSettings, flagAck, 0, nil); err != nil {
		t.Fatal(err)
	}
	extra, err := c.ask("/npm/a", address)
	if err != nil {
		t.Fatal(err)
	}
	refused, answered := false, map[uint32]bool{}
	for !refused {
		kind, stream, payload, err := c.read()
		if err != nil {
			t.Fatalf("the stream beyond the limit was not refused: %v", err)
		}
		if kind == frameGoAway {
			t.Fatalf("the whole connection was refused: %x", payload)
		}
		refused = kind == frameReset && stream == extra
	}
	close(gate)
	for len(answered) < 3 {
		kind, stream, _, err := c.read()
		if err != nil {
			t.Fatalf("%d streams answered: %v", len(answered), err)
		}
		if kind == frameHeaders {
			answered[stream] = true
		}
	}
	if answered[extra] {
		t.Error("the refused stream was answered")
	}
}

// reliability.md S42: TLS below 1.2 is not spoken, 1.2 is, with forward secrecy.
func TestTLSVersions(t *testing.T) {
	address := startH2(t, limits, func(http.ResponseWriter, *http.Request) {})
	for _, tt := range []struct {
		name     string
		min, max uint16
		suites   []uint16
		ok       bool
	}{
		{name: "TLS 1.0", min: tls.VersionTLS10, max: tls.VersionTLS10},
		{name: "TLS 1.1", min: tls.VersionTLS11, max: tls.VersionTLS11},
		{name: "TLS 1.2", min: tls.VersionTLS12, max: tls.VersionTLS12, ok: true},
		{name: "TLS 1.3", min: tls.VersionTLS13, max: tls.VersionTLS13, ok: true},
		{name: "TLS 1.2 without forward secrecy", min: tls.VersionTLS12, max: tls.VersionTLS12, suites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
		{name: "TLS 1.2 with RC4", min: tls.VersionTLS12, max: tls.VersionTLS12, suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tt.min, MaxVersion: tt.max, CipherSuites: tt.suites}}
			conn, err := d.DialContext(t.Context(), "tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != tt.ok {
				t.Errorf("handshake: %v, want ok %v", err, tt.ok)
			}
		})
	}
	// A client that never finishes its handshake is not waited for.
	if got := fmt.Sprint(raw(t, "tls://"+address, "GET / HTTP/1.1\r\n\r\n")); strings.Contains(got, "200") {
		t.Errorf("plain HTTP on the TLS address: %q", got)
	}
}
