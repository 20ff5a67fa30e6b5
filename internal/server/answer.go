package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
)

// answer counts what goes out. It keeps ReadFrom, so that net/http can use its own
// buffers.
type answer struct {
	http.ResponseWriter
	body   *pacedBody // nil without one
	status int
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader notes the status. Whatever a door made of a body that came too slowly,
// the answer is 408 and the connection ends.
func (a *answer) WriteHeader(status int) {
	if status >= 200 && a.status == 0 {
		if a.body != nil && a.body.gaveUp.Load() {
			status = http.StatusRequestTimeout
			a.Header().Set("Connection", "close")
		}
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// ReadFrom hands the source to net/http as it is.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := io.Copy(a.ResponseWriter, src)
	a.bytes += n
	return n, err
}

// pacedBody is a request's body that must keep coming: after the first span, each span
// must bring its share (reliability.md A8).
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	span    time.Duration
	share   int64 // bytes per span

	began  time.Time // of the running span
	got    int64     // in it
	first  bool
	gaveUp atomic.Bool
}

func newPacedBody(w http.ResponseWriter, body io.ReadCloser, l config.Limits) *pacedBody {
	return &pacedBody{ReadCloser: body, control: http.NewResponseController(w), span: l.BodyGrace,
		share: int64(float64(l.BodyRate) * l.BodyGrace.Seconds()), first: true}
}

func (b *pacedBody) Read(p []byte) (int, error) {
	now := time.Now()
	switch {
	case b.began.IsZero():
		b.start(now)
	case now.Sub(b.began) >= b.span:
		if !b.first && b.got < b.share {
			return 0, b.giveUp()
		}
		b.first = false
		b.start(now)
	}
	n, err := b.ReadCloser.Read(p)
	b.got += int64(n)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err):
		return n, b.giveUp()
	default:
		// A deadline left behind would end the connection while the answer is made.
		_ = b.control.SetReadDeadline(time.Time{})
		if !errors.Is(err, io.EOF) {
			err = bodyBroken(err)
		}
	}
	return n, err
}

// bodyBroken is what a body ends with that is shorter than announced or whose chunks
// are none: the client's fault, whatever reads it.
func bodyBroken(err error) error {
	return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: "body_incomplete", Message: "The body ended early or is no chunked body.", Err: err}
}

// start begins a span. A body that stops altogether is noticed by the deadline.
func (b *pacedBody) start(now time.Time) {
	b.began, b.got = now, 0
	_ = b.control.SetReadDeadline(now.Add(2 * b.span)) // not supported in some tests
}

func (b *pacedBody) giveUp() error {
	b.gaveUp.Store(true)
	return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: "body_too_slow", Message: "The body came too slowly."}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// pacedListener bounds open connections, in all and per peer, and gives each a time to
// take our bytes.
type pacedListener struct {
	net.Listener
	total, perPeer int
	stall          time.Duration
	plain          bool // connections carry HTTP/1 as it is, not TLS

	mu    sync.Mutex
	open  int
	peers map[string]int
}

func newPacedListener(l net.Listener, limits config.Limits, plain bool) *pacedListener {
	return &pacedListener{Listener: l, total: limits.Connections, perPeer: limits.ConnectionsPeer,
		stall: limits.WriteStall, plain: plain, peers: map[string]int{}}
}

// waitingRoom is how many connections of one peer beyond its limit are kept until they
// have been told so; more are closed at once.
const waitingRoom = 8

// Accept closes connections above the limits at once, except a few per peer, which the
// edge answers with 429.
func (l *pacedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, _, err := net.SplitHostPort(c.RemoteAddr().String())
		n, ok := 0, false
		if err == nil {
			n, ok = l.enter(peer)
		}
		if !ok {
			_ = c.Close()
			continue
		}
		conn := &pacedConn{Conn: c, from: l, peer: peer, beyond: n > l.perPeer}
		if l.plain {
			conn.framing = &framing{}
		}
		return conn, nil
	}
}

// enter counts a connection and reports the how manyth of its peer it is.
func (l *pacedListener) enter(peer string) (n int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.total || l.peers[peer] >= l.perPeer+waitingRoom {
		return 0, false
	}
	l.open++
	l.peers[peer]++
	return l.peers[peer], true
}

func (l *pacedListener) leave(peer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.peers[peer]--; l.peers[peer] <= 0 {
		delete(l.peers, peer)
	}
}

// pacedConn ends when its client takes no byte for the listener's stall time.
type pacedConn struct {
	net.Conn
	from    *pacedListener
	peer    string
	beyond  bool         // above the peer's limit: requests are answered with 429
	framing *framing     // nil below TLS
	armed   atomic.Int64 // Unix nanoseconds when the write deadline was last set
	once    sync.Once
	resets  resetCount
}

// connKey is the context key of the connection that a request came on.
type connKey struct{}

// withConn is the server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request, nil outside of a server.
func connOf(ctx context.Context) *pacedConn {
	c, _ := ctx.Value(connKey{}).(*pacedConn)
	return c
}

// Read follows the framing of what arrives.
func (c *pacedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.framing != nil && n > 0 {
		if ferr := c.framing.follow(p[:n]); ferr != nil {
			return 0, ferr
		}
	}
	return n, err
}

// resetSpan is the time over which cancelled streams are counted (reliability.md A8).
const resetSpan = 10 * time.Second

// resetCount counts the HTTP/2 streams that a client cancelled before their answer was
// complete.
type resetCount struct {
	mu    sync.Mutex
	began time.Time
	n     int
}

// tooMany notes one and reports whether there are more than limit within resetSpan.
func (c *resetCount) tooMany(now time.Time, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.began) >= resetSpan {
		c.began, c.n = now, 0
	}
	c.n++
	return c.n > limit
}

// arm renews the write deadline, at most once in a tenth of the stall time: a timer per
// write would cost more than it is worth.
func (c *pacedConn) arm() error {
	now := time.Now()
	if at := now.UnixNano(); at-c.armed.Load() > int64(c.from.stall/10) {
		c.armed.Store(at)
		return c.SetWriteDeadline(now.Add(c.from.stall))
	}
	return nil
}

func (c *pacedConn) Write(p []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *pacedConn) Close() error {
	c.once.Do(func() { c.from.leave(c.peer) })
	return c.Conn.Close()
}
