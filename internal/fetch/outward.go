package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Outward sends to addresses that users name, such as webhooks, through the same guard as
// everything else (reliability.md S21): https on port 443, no private or reserved
// address. Hosts that the operator lists may be anywhere, on any port and in plain http.
// Redirects are not followed, nothing is retried, and answers tell nothing of where a
// name leads.
type Outward struct{ link *link }

// maxOutwardAnswer is how much of an answer is read, in bytes (reliability.md A8).
const maxOutwardAnswer = 4 << 10

// NewOutward makes an Outward. Of o it uses the user agent, the timeouts, and Lookup,
// Dial and Refuse. allow are the listed hosts, as Connection.AllowHosts.
func NewOutward(o Options, allow []string) *Outward {
	o = o.withDefaults()
	l := &link{o: o, conn: Connection{Name: "webhook", AllowHosts: allow},
		dialer: dialer{lookup: o.Lookup, dial: o.Dial, refuse: o.Refuse, timeout: o.ConnectTimeout}}
	l.own, l.foreign = l.transport(nil, l.dialer.trusted), l.transport(nil, l.dialer.guarded)
	return &Outward{l}
}

// Check decides about an address as far as its text tells, for who sets it up. The error
// says what is wrong with it.
func (w *Outward) Check(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it must be an address of the form https://host/path")
	case u.User != nil:
		return errors.New("it must hold no user name or password")
	case u.Fragment != "":
		return errors.New("it must hold no fragment")
	case w.link.conn.lists(originOf(u)):
		return nil
	}
	if checkTarget(u) != nil {
		return errors.New("only https on port 443 of a public host is allowed, unless the server's settings list the host")
	}
	return nil
}

// Post sends a body once and returns the status and the beginning of the answer, at most
// 4 KiB. The error is safe to show to who set the address up.
func (w *Outward) Post(ctx context.Context, address string, h http.Header, body []byte) (status int, answer []byte, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, nil, errors.New("the address cannot be read")
	}
	transport, err := w.link.permit(ctx, u)
	if err != nil {
		return 0, nil, errors.New("the address is not allowed")
	}
	r := w.link.request(ctx, u, h, false)
	r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, nil, outwardError(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ = io.ReadAll(io.LimitReader(resp.Body, maxOutwardAnswer)) // the status is the answer; the rest is for people
	return resp.StatusCode, answer, nil
}

// Close drops idle connections.
func (w *Outward) Close() {
	w.link.own.CloseIdleConnections()
	w.link.foreign.CloseIdleConnections()
}

// outwardError says what went wrong without naming addresses.
func outwardError(ctx context.Context, err error) error {
	var refused *refusal
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		return errors.New("the address is not allowed")
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &dns):
		return errors.New("the host name is not known")
	case errors.As(err, &op) && op.Op == "dial":
		return errors.New("no connection to the host")
	case strings.Contains(err.Error(), "tls:") || strings.Contains(err.Error(), "x509:"):
		return errors.New("the host's certificate is not good")
	}
	return errors.New("the connection ended without an answer")
}
