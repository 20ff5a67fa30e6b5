package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/packhouse/packhouse"
)

// Options tune a Client; the zero value is what a server uses (reliability.md A8, R28).
type Options struct {
	UserAgent string                    // "" means "packhouse"
	Lookup    LookupFunc                // nil means the system's resolver
	Dial      DialFunc                  // nil means TCP
	Refuse    func(netip.AddrPort) bool // further addresses that upstreams may not lead to, such as the server's own listeners

	ConnectTimeout   time.Duration // 0 means 5 s, look-up included
	FirstByteTimeout time.Duration // 0 means 30 s
	StallTimeout     time.Duration // 0 means 30 s
	TotalTimeout     time.Duration // 0 means 30 min
	RetryDelay       time.Duration // before the first retry; 0 means 150 ms
	BreakerDelay     time.Duration // how long an open breaker refuses; 0 means 5 s

	MaxMetadata  int64 // bytes of a decoded document; 0 means 100 MiB
	MaxTransfers int   // at one time per connection; 0 means 64
	MaxWaiting   int   // for a transfer, per connection; 0 means 256

	// Observe is told of every fetch when it is over; nil tells nobody.
	Observe func(Fetched)
}

// Fetched is one fetch of a document or an artifact, with its retries and resumptions.
type Fetched struct {
	Connection string // its name
	// Result is "ok", "not_modified", or the reason of the error.
	Result string
	Bytes  int64 // of the body, as handed on
	Took   time.Duration
}

// observe tells of a fetch that began at a time and ended with err.
func (l *link) observe(began time.Time, bytes int64, err error) {
	if l.o.Observe == nil {
		return
	}
	f := Fetched{Connection: l.conn.Name, Result: "ok", Bytes: bytes, Took: time.Since(began)}
	if err != nil {
		f.Result = packhouse.ReasonOf(err)
	}
	l.o.Observe(f)
}

func (o Options) withDefaults() Options {
	setDefault(&o.UserAgent, "packhouse")
	setDefault(&o.ConnectTimeout, 5*time.Second)
	setDefault(&o.FirstByteTimeout, 30*time.Second)
	setDefault(&o.StallTimeout, 30*time.Second)
	setDefault(&o.TotalTimeout, 30*time.Minute)
	setDefault(&o.RetryDelay, 150*time.Millisecond)
	setDefault(&o.BreakerDelay, 5*time.Second)
	setDefault(&o.MaxMetadata, 100<<20)
	setDefault(&o.MaxTransfers, 64)
	setDefault(&o.MaxWaiting, 256)
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	return o
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Client makes the calls. Its methods may be called from several goroutines.
type Client struct {
	o     Options
	mu    sync.Mutex
	links map[string]*link // by linkKey; as many as there are connections
}

// New makes a client.
func New(o Options) *Client {
	return &Client{o: o.withDefaults(), links: map[string]*link{}}
}

// Close drops idle connections. Calls that run are not disturbed.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		l.own.CloseIdleConnections()
		l.foreign.CloseIdleConnections()
	}
}

// link is what the client keeps of one connection: pools, breaker and limits.
type link struct {
	o      Options
	conn   Connection
	base   *url.URL
	origin origin
	dialer dialer

	// own reaches the connection's origin and listed hosts wherever they are, foreign
	// reaches everything else through the guard. Pools are apart, so that a connection
	// made on the operator's word is never used on an upstream's.
	own, foreign *http.Transport

	breaker circuitbreaker.CircuitBreaker[any]
	exec    failsafe.Executor[any]
	slots   chan struct{}
	waiting atomic.Int64
	resume  atomic.Int64 // Unix nanoseconds before which Retry-After forbids to ask; 0 for none
}

// link finds or makes the state of a connection.
func (c *Client) link(conn Connection) (*link, error) {
	key := strings.Join([]string{conn.Name, conn.URL, conn.Proxy, conn.CA, conn.Username, conn.Secret.Reveal(),
		strings.Join(conn.AllowHosts, "\x01")}, "\x00")
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.links[key]; ok {
		return l, nil
	}
	l, err := newLink(c.o, conn)
	if err != nil {
		return nil, err
	}
	c.links[key] = l
	return l, nil
}

func newLink(o Options, conn Connection) (*link, error) {
	base, err := conn.base()
	if err != nil {
		return nil, err
	}
	l := &link{o: o, conn: conn, base: base, origin: originOf(base), slots: make(chan struct{}, o.MaxTransfers),
		dialer: dialer{lookup: o.Lookup, dial: o.Dial, refuse: o.Refuse, timeout: o.ConnectTimeout}}
	roots, err := roots(conn)
	if err != nil {
		return nil, err
	}
	l.own = l.transport(roots, l.dialer.trusted)
	l.foreign = l.transport(roots, l.dialer.guarded)
	if conn.Proxy != "" {
		proxy, err := url.Parse(conn.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, misconfigured(conn, "its proxy is not an address", nil) // the cause may hold the proxy's password
		}
		l.own.Proxy, l.foreign.Proxy = http.ProxyURL(proxy), http.ProxyURL(proxy)
		l.foreign.DialContext = l.dialer.trusted // it dials the proxy only; targets are checked in permit
	}
	l.breaker = circuitbreaker.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return tripping(err) }).
		WithFailureRateThreshold(0.5, 20, 10*time.Second).
		WithSuccessThreshold(1).
		WithDelay(o.BreakerDelay).
		Build()
	retry := retrypolicy.NewBuilder[any]().
		HandleIf(func(_ any, err error) bool { return retryable(err) }).
		WithMaxRetries(2).
		WithBackoff(o.RetryDelay, 8*o.RetryDelay).
		WithJitterFactor(0.25).
		ReturnLastFailure().
		Build()
	l.exec = failsafe.With[any](retry, l.breaker)
	return l, nil
}

func (l *link) transport(roots *x509.CertPool, dial DialFunc) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // the environment is not asked (S21)
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    2 * l.o.ConnectTimeout,
		ResponseHeaderTimeout:  l.o.FirstByteTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		MaxIdleConns:           l.o.MaxTransfers,
		MaxIdleConnsPerHost:    l.o.MaxTransfers,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // we decode ourselves, within limits
	}
}

// roots returns the system's roots and those of the connection's file; nil for the
// system's alone.
func roots(conn Connection) (*x509.CertPool, error) {
	if conn.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(conn.CA)
	if err != nil {
		return nil, misconfigured(conn, "its file of trusted roots cannot be read", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, misconfigured(conn, "its file of trusted roots holds no certificate", nil)
	}
	return pool, nil
}

// acquire takes one of the connection's transfers and returns the function that gives
// it back, which may be called repeatedly.
func (l *link) acquire(ctx context.Context) (release func(), err error) {
	release = sync.OnceFunc(func() { <-l.slots })
	select {
	case l.slots <- struct{}{}:
		return release, nil
	default:
	}
	if l.waiting.Add(1) > int64(l.o.MaxWaiting) {
		l.waiting.Add(-1)
		e := failure(l.conn, ReasonBusy, "has too many transfers waiting", nil)
		e.RetryAfter = time.Second
		return nil, e
	}
	defer l.waiting.Add(-1)
	select {
	case l.slots <- struct{}{}:
		return release, nil
	case <-ctx.Done():
		return nil, transportError(ctx, l.conn, ReasonUnreachable, ctx.Err())
	}
}

// try runs one idempotent attempt under the connection's policies: a few retries with
// jitter inside, the circuit breaker, and the upstream's own wish to be left alone.
func (l *link) try(ctx context.Context, attempt func() error) error {
	if wait := time.Until(time.Unix(0, l.resume.Load())); wait > 0 {
		return l.paused("asked not to be asked for now", wait)
	}
	err := l.exec.WithContext(ctx).Run(attempt)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, circuitbreaker.ErrOpen):
		return l.paused("has been failing and is not asked for a moment", l.breaker.RemainingDelay())
	}
	var e *packhouse.Error
	if !errors.As(err, &e) { // the context ended while a retry was waited for
		return transportError(ctx, l.conn, ReasonUnreachable, err)
	}
	if e.Reason == ReasonThrottled {
		l.resume.Store(time.Now().Add(e.RetryAfter).UnixNano())
	}
	return err
}

func (l *link) paused(what string, wait time.Duration) *packhouse.Error {
	e := failure(l.conn, ReasonPaused, what, nil)
	e.RetryAfter = max(wait, time.Second)
	return e
}

// permit decides whether u may be asked and by which transport (S21, S23).
func (l *link) permit(ctx context.Context, u *url.URL) (*http.Transport, error) {
	if u.User != nil {
		return nil, refusedTarget(l.conn, &refusal{"user name in an address"})
	}
	o := originOf(u)
	if o == l.origin || (o.scheme == "http" || o.scheme == "https") && l.conn.lists(o) {
		return l.own, nil
	}
	if err := checkTarget(u); err != nil {
		return nil, refusedTarget(l.conn, err)
	}
	if l.conn.Proxy != "" {
		// The proxy looks the name up again; what we can check is what it means here.
		if _, err := l.dialer.addresses(ctx, o.host, o.port, true); err != nil {
			return nil, refusedTarget(l.conn, fmt.Errorf("behind a proxy: %w", err))
		}
	}
	return l.foreign, nil
}
