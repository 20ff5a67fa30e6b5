package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// The address guard of reliability.md S21. A host name is looked up once per
// connection; every address it has is checked, and the connection goes to one of the
// addresses that were checked. Nothing looks the name up again in between.

// refusedNetworks are the networks that nobody but the operator may lead us to, by the
// registries of special-purpose addresses, and single addresses of cloud metadata
// services that lie in public space.
var refusedNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's host agent
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),   // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // 6to4: leads to any IPv4 address
	netip.MustParsePrefix("3fff::/20"),
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96")
)

// refusedAddress reports whether a may not be connected to on the word of an upstream.
func refusedAddress(a netip.Addr) bool {
	if a.Zone() != "" {
		return true
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		return refusedAddress(netip.AddrFrom4([4]byte(b[12:])))
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return true // loopback, unspecified, link-local, unique local, multicast, local NAT64, unassigned
	}
	for _, n := range refusedNetworks {
		if n.Contains(a) {
			return true
		}
	}
	return !a.IsValid()
}

// refusal tells that the guard forbids a target. It never reaches the caller's eyes
// beyond the fact.
type refusal struct{ why string }

func (r *refusal) Error() string { return "address guard: " + r.why }

// checkTarget decides whether an URL that is neither the connection's own origin nor
// listed may be asked at all, as far as its text tells.
func checkTarget(u *url.URL) error {
	o := originOf(u)
	switch {
	case o.scheme != "https":
		return &refusal{"scheme " + o.scheme + " where https is required"}
	case o.port != "443":
		return &refusal{"port " + o.port + " is not listed"}
	case o.host == "":
		return &refusal{"no host"}
	}
	if a, err := netip.ParseAddr(o.host); err == nil {
		if a.Is4In6() || refusedAddress(a) {
			return &refusal{"address " + o.host}
		}
		return nil
	}
	// Decimal, octal and hexadecimal spellings of IPv4 addresses are names to some
	// resolvers and addresses to others: a host whose last label is a number is neither.
	last := strings.TrimSuffix(o.host, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if last == "" || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return &refusal{"host " + o.host + " looks like an odd spelling of an address"}
	}
	return nil
}

// LookupFunc resolves a host name.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// DialFunc connects to an address, "ip:port".
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// dialer resolves, checks, connects.
type dialer struct {
	lookup  LookupFunc
	dial    DialFunc
	refuse  func(netip.AddrPort) bool // further addresses, may be nil
	timeout time.Duration
}

// headStart is how long one address of a host is tried before the next is tried beside it.
const headStart = 250 * time.Millisecond

// maxTries is how many addresses of one host are tried.
const maxTries = 8

// guarded connects to a host on an upstream's word.
func (d *dialer) guarded(ctx context.Context, network, address string) (net.Conn, error) {
	return d.connect(ctx, network, address, true)
}

// trusted connects to a host on the operator's word.
func (d *dialer) trusted(ctx context.Context, network, address string) (net.Conn, error) {
	return d.connect(ctx, network, address, false)
}

func (d *dialer) connect(ctx context.Context, network, address string, check bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", address, err)
	}
	addrs, err := d.addresses(ctx, host, port, check)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, network, addrs, port)
}

// addresses looks host up and, with check, refuses it as a whole when one of its
// addresses is refused: a name with a public and a private address is an attack.
func (d *dialer) addresses(ctx context.Context, host, port string, check bool) ([]netip.Addr, error) {
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = d.lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("look up %q: %w", host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("look up %q: no addresses", host)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if !check {
			continue
		}
		if refusedAddress(a) {
			return nil, &refusal{"host " + host + " has address " + a.String()}
		}
		if p, err := netip.ParseAddrPort(net.JoinHostPort(addrs[i].String(), port)); err != nil || d.refuse != nil && d.refuse(p) {
			return nil, &refusal{"host " + host + " leads back to this server"}
		}
	}
	return addrs[:min(len(addrs), maxTries)], nil
}

// race connects to the first address that answers, giving each a head start over the
// next.
func (d *dialer) race(ctx context.Context, network string, addrs []netip.Addr, port string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addrs)) // roomy, so that no late dial ever blocks
	started, done := 0, 0
	start := func() {
		address := net.JoinHostPort(addrs[started].String(), port)
		started++
		go func() {
			conn, err := d.dial(ctx, network, address)
			results <- result{conn, err}
		}()
	}
	start()
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	var failures []error
	for {
		select {
		case <-timer.C:
			if started < len(addrs) {
				start()
				timer.Reset(headStart)
			}
		case r := <-results:
			done++
			if r.err == nil {
				go func(late int) { // the losers' connections are closed as they come
					for range late {
						if r := <-results; r.conn != nil {
							_ = r.conn.Close()
						}
					}
				}(started - done)
				return r.conn, nil
			}
			failures = append(failures, r.err)
			if started < len(addrs) {
				start()
			} else if done == started {
				return nil, errors.Join(failures...)
			}
		}
	}
}
