package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// internalAddresses are addresses of inside that the guard must keep upstreams from.
var internalAddresses = []string{
	"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
	"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.0.0.192", "168.63.129.16",
	"192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
	"::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1",
}

// encodings are spellings of one address as a host in an URL. All of them reach it
// somewhere: through a lenient parser, a mapping or a tunnel.
func encodings(address string) []string {
	a := netip.MustParseAddr(address)
	if a.Is6() {
		return []string{"[" + address + "]", "[" + a.StringExpanded() + "]", "[" + strings.ToUpper(a.StringExpanded()) + "]", "[" + address + "%25lo]"}
	}
	b := a.As4()
	n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return []string{
		address, address + ".",
		fmt.Sprint(n), fmt.Sprintf("0x%x", n), fmt.Sprintf("0%o", n),
		fmt.Sprintf("%d.%d", b[0], n&0xffffff), fmt.Sprintf("%d.%d.%d", b[0], b[1], n&0xffff),
		fmt.Sprintf("0%o.0%o.0%o.0%o", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("0x%x.0x%x.0x%x.0x%x", b[0], b[1], b[2], b[3]),
		fmt.Sprintf("0x%x.%d", b[0], n&0xffffff),
		fmt.Sprintf("[::ffff:%s]", address),
		fmt.Sprintf("[::ffff:%x:%x]", n>>16, n&0xffff),
		fmt.Sprintf("[0:0:0:0:0:ffff:%x:%x]", n>>16, n&0xffff),
		fmt.Sprintf("[::%x:%x]", n>>16, n&0xffff),
		fmt.Sprintf("[64:ff9b::%x:%x]", n>>16, n&0xffff),
		fmt.Sprintf("[64:ff9b:1::%x:%x]", n>>16, n&0xffff),
		fmt.Sprintf("[2002:%x:%x::1]", n>>16, n&0xffff),
		fmt.Sprintf("[2001:0:%x:%x::1]", n>>16, n&0xffff),
		fmt.Sprintf("[2001::ffff:%x:%x]", ^n>>16, ^n&0xffff),
	}
}

// recorder is a resolver and dialer that connects to nothing and remembers every try. It
// is lenient on purpose: odd spellings resolve to the address they mean.
type recorder struct {
	mu      sync.Mutex
	names   map[string][][]netip.Addr // answers, one per look-up, the last one repeated
	lookups map[string]int
	dialed  []netip.Addr
	to      net.Addr // where connections to public addresses really go; nil refuses
}

func (r *recorder) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers, ok := r.names[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	if r.lookups == nil {
		r.lookups = map[string]int{}
	}
	at := min(r.lookups[host], len(answers)-1)
	r.lookups[host]++
	return append([]netip.Addr(nil), answers[at]...), nil
}

func (r *recorder) dial(ctx context.Context, network, address string) (net.Conn, error) {
	r.mu.Lock()
	r.dialed = append(r.dialed, netip.MustParseAddrPort(address).Addr())
	to := r.to
	r.mu.Unlock()
	if to == nil {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, to.String())
}

func (r *recorder) connects() []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dialed
}

func isRefused(err error) bool { return packhouse.ReasonOf(err) == ReasonAddressRefused }

func TestNoConnectionInside(t *testing.T) { // S21
	public := netip.MustParseAddr("93.184.215.14")
	tried := 0
	for _, address := range internalAddresses {
		inside := netip.MustParseAddr(address)
		for _, host := range encodings(address) {
			tried++
			bare := strings.TrimSuffix(strings.Trim(host, "[]"), ".")
			r := &recorder{names: map[string][][]netip.Addr{bare: {{inside}}, bare + ".": {{inside}}, "registry.test": {{public}}}}
			c := New(Options{Lookup: r.lookup, Dial: r.dial})
			conn := Connection{Name: "x", URL: "https://registry.test/"}
			for _, scheme := range []string{"http", "https"} {
				if _, err := c.Download(t.Context(), conn, scheme+"://"+host+"/latest/meta-data/"); err == nil {
					t.Errorf("%s://%s was downloaded", scheme, host)
				}
			}
			if got := r.connects(); len(got) != 0 {
				t.Errorf("https://%s led to connections to %v", host, got)
			}
		}
		// A name with the address among its addresses, alone, first or last.
		for _, answer := range [][]netip.Addr{{inside}, {inside, public}, {public, inside}} {
			tried++
			r := &recorder{names: map[string][][]netip.Addr{"evil.test": {answer}}}
			c := New(Options{Lookup: r.lookup, Dial: r.dial})
			_, err := c.Download(t.Context(), Connection{Name: "x", URL: "https://registry.test/"}, "https://evil.test/a")
			if !isRefused(err) || len(r.connects()) != 0 {
				t.Errorf("name with addresses %v: error %v, connections %v", answer, err, r.connects())
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d encodings were tried", tried)
	}
}

func TestRebindingIsLookedUpOnce(t *testing.T) { // S21
	public, inside := netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("127.0.0.1")
	r := &recorder{names: map[string][][]netip.Addr{"evil.test": {{public}, {inside}}}}
	c := New(Options{Lookup: r.lookup, Dial: r.dial, RetryDelay: 1})
	conn := Connection{Name: "x", URL: "https://registry.test/"}
	for range 3 { // the retries of each look it up anew and are refused
		_, _ = c.Download(t.Context(), conn, "https://evil.test/a")
	}
	for _, a := range r.connects() {
		if a != public {
			t.Errorf("connected to %v", a)
		}
	}
	if len(r.connects()) != 1 {
		t.Errorf("%d connections, want 1: the one that was checked", len(r.connects()))
	}
}

func TestPublicAddressesPass(t *testing.T) {
	for _, a := range []string{"1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "192.169.0.1", "168.63.129.17", "2606:4700::1", "2a00:1450::1", "64:ff9b::101:101"} {
		if refusedAddress(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	if !refusedAddress(netip.Addr{}) {
		t.Error("no address at all passes")
	}
}

func TestTargets(t *testing.T) { // S21-S23
	r := &recorder{names: map[string][][]netip.Addr{}}
	conn := Connection{Name: "x", URL: "http://127.0.0.1:4873/npm/", AllowHosts: []string{"files.corp.test", "10.1.2.3:8081"}}
	l, err := newLink(Options{Lookup: r.lookup, Dial: r.dial}.withDefaults(), conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, url string
		want      *http.Transport // nil for refused
	}{
		{"the address the operator wrote", "http://127.0.0.1:4873/other", l.own},
		{"another port of that host", "http://127.0.0.1:4874/", nil},
		{"another scheme on that port", "https://127.0.0.1:4873/", nil},
		{"a listed host, https", "https://files.corp.test/a", l.own},
		{"a listed host, http", "http://files.corp.test/a", l.own},
		{"a listed host on a port that is not listed", "https://files.corp.test:8443/a", nil},
		{"a listed private address with port", "http://10.1.2.3:8081/a", l.own},
		{"a suffix of a listed host", "http://corp.test/a", nil},
		{"a host that ends like a listed one", "http://evilfiles.corp.test/a", nil},
		{"a public host", "https://cdn.test/a", l.foreign},
		{"a public host in plain http", "http://cdn.test/a", nil},
		{"a public host on an odd port", "https://cdn.test:6379/a", nil},
		{"a user name before the own origin", "http://cdn.test@127.0.0.1:4873/a", nil},
		{"a user name in the address", "https://u:p@cdn.test/a", nil},
		{"another scheme", "file:///etc/passwd", nil},
		{"no host", "https:///etc/passwd", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.Parse(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.permit(t.Context(), u)
			if got != tt.want || (err == nil) != (tt.want != nil) {
				t.Errorf("permit: error %v", err)
			}
		})
	}
}

func TestProxyTargetsAreChecked(t *testing.T) { // S21: the proxy must not become the way inside
	r := &recorder{names: map[string][][]netip.Addr{
		"cdn.test": {{netip.MustParseAddr("93.184.215.14")}}, "inside.test": {{netip.MustParseAddr("10.0.0.1")}}}}
	l, err := newLink(Options{Lookup: r.lookup, Dial: r.dial}.withDefaults(), Connection{Name: "x", URL: "https://registry.test/", Proxy: "http://127.0.0.1:3128"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"cdn.test": true, "inside.test": false, "unknown.test": false} {
		_, err := l.permit(t.Context(), &url.URL{Scheme: "https", Host: host, Path: "/a"})
		if (err == nil) != want {
			t.Errorf("%s through the proxy: error %v", host, err)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"https://cdn.test/a", "https://0x7f.1/", "https://[::ffff:7f00:1]/", "https://2130706433/", "//[fe80::1%25en0]/x", "https://１２７.0.0.1/"} {
		f.Add(s)
	}
	r := &recorder{names: map[string][][]netip.Addr{}}
	conn := Connection{Name: "x", URL: "https://registry.test/base/"}
	f.Fuzz(func(t *testing.T, target string) {
		c := New(Options{Lookup: r.lookup, Dial: r.dial, RetryDelay: 1}) // a new one: its breaker is closed
		// Nothing resolves: a connection can only come of a literal address.
		_, err := c.Download(t.Context(), conn, target)
		if err == nil {
			t.Fatal("a download of nothing")
		}
		for _, a := range r.connects() {
			if refusedAddress(a) {
				t.Errorf("%q led to %v", target, a)
			}
		}
		_, err = c.Get(t.Context(), conn, target, nil, format.Validators{})
		if err == nil {
			t.Fatal("a document of nothing")
		}
	})
}
