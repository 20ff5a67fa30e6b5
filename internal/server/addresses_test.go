package server

import (
	"net"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/packhouse/packhouse/internal/config"
)

func tcp(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

// TestFindAddress: Host only chooses from a closed list (reliability.md S5).
func TestFindAddress(t *testing.T) {
	plain := &config.Config{Region: "us-west-2"}
	public := &config.Config{Region: "us-west-2", PublicURL: "https://packages.example.com"}
	suffix := &config.Config{Region: "us-west-2", EndpointHostSuffix: "example.com"}
	service := &config.Config{Region: "us-west-2", EndpointHostSuffix: serviceSuffix}
	proxied := &config.Config{Region: "us-west-2", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, tt := range []struct {
		name          string
		c             *config.Config
		listen        string
		host          string
		peer, forward string
		base, domain  string // base "" means 421
	}{
		{name: "the listener", c: plain, listen: "127.0.0.1:8480", host: "127.0.0.1:8480", base: "http://127.0.0.1:8480"},
		{name: "a loopback name", c: plain, listen: "127.0.0.1:8480", host: "localhost:8480", base: "http://localhost:8480"},
		{name: "in capitals", c: plain, listen: "127.0.0.1:8480", host: "LocalHost:8480", base: "http://localhost:8480"},
		{name: "IPv6 loopback", c: plain, listen: "127.0.0.1:8480", host: "[::1]:8480", base: "http://[::1]:8480"},
		{name: "another port", c: plain, listen: "127.0.0.1:8480", host: "localhost:80"},
		{name: "no port where one is needed", c: plain, listen: "127.0.0.1:8480", host: "localhost"},
		{name: "the port that the scheme implies", c: plain, listen: "127.0.0.1:80", host: "localhost", base: "http://localhost"},
		{name: "somebody else", c: plain, listen: "127.0.0.1:8480", host: "evil.example:8480"},
		{name: "a listener that is not loopback has no loopback names", c: plain, listen: "192.0.2.1:8480", host: "localhost:8480"},
		{name: "every interface", c: plain, listen: "0.0.0.0:8480", host: "localhost:8480", base: "http://localhost:8480"},
		{name: "the public URL", c: public, listen: "127.0.0.1:8480", host: "packages.example.com", base: "https://packages.example.com"},
		{name: "the public URL with its port", c: public, listen: "127.0.0.1:8480", host: "packages.example.com:443", base: "https://packages.example.com"},
		{name: "a name below the public URL", c: public, listen: "127.0.0.1:8480", host: "x.packages.example.com"},
		{name: "the API host", c: suffix, listen: "127.0.0.1:8480", host: "codeartifact.us-west-2.example.com:8480", base: "http://codeartifact.us-west-2.example.com:8480"},
		{name: "a domain host", c: suffix, listen: "127.0.0.1:8480", host: "a-b-111122223333.d.codeartifact.us-west-2.example.com:8480",
			base: "http://a-b-111122223333.d.codeartifact.us-west-2.example.com:8480", domain: "111122223333/a-b"},
		{name: "a domain host without an owner", c: suffix, listen: "127.0.0.1:8480", host: "acme.d.codeartifact.us-west-2.example.com:8480"},
		{name: "a domain host of another region", c: suffix, listen: "127.0.0.1:8480", host: "a-111122223333.d.codeartifact.eu-west-1.example.com:8480"},
		{name: "the dualstack host below the service's own suffix", c: service, listen: "127.0.0.1:443", host: "a-111122223333.d.codeartifact.us-west-2.on.aws:443",
			base: "http://a-111122223333.d.codeartifact.us-west-2.on.aws:443", domain: "111122223333/a"},
		{name: "no dualstack host below another suffix", c: suffix, listen: "127.0.0.1:8480", host: "a-111122223333.d.codeartifact.us-west-2.on.aws:8480"},
		{name: "a proxy that we believe speaks for TLS", c: proxied, listen: "127.0.0.1:8480", host: "localhost:8480", peer: "10.1.2.3:5", forward: "https", base: "https://localhost:8480"},
		{name: "a stranger does not", c: proxied, listen: "127.0.0.1:8480", host: "localhost:8480", peer: "192.0.2.9:5", forward: "https", base: "http://localhost:8480"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = tt.host
			if tt.peer != "" {
				r.RemoteAddr = tt.peer
			}
			r.Header.Set("X-Forwarded-Proto", tt.forward)
			r.Header.Set("X-Forwarded-Host", "evil.example")
			got, ok := newAddresses(tt.c, tcp(tt.listen), false).find(r)
			domain := ""
			if got.Domain.Name != "" {
				domain = got.Domain.String()
			}
			if ok != (tt.base != "") || ok && (got.Base != tt.base || domain != tt.domain) {
				t.Errorf("find = %+v, %v; want %q, domain %q", got, ok, tt.base, tt.domain)
			}
		})
	}
}

func TestListeningAddressForPeople(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8480": "http://127.0.0.1:8480", "[::1]:8480": "http://[::1]:8480", "192.0.2.7:80": "http://192.0.2.7"} {
		a := newAddresses(&config.Config{Region: "r"}, tcp(listen), false)
		if got := a.listening(tcp(listen)); got != want {
			t.Errorf("%s is told as %q, want %q", listen, got, want)
		}
	}
	a := newAddresses(&config.Config{Region: "r"}, tcp("0.0.0.0:8480"), false)
	if got := a.listening(tcp("0.0.0.0:8480")); got != "http://127.0.0.1:8480" {
		t.Error("a listener on every interface has no address")
	}
}

func TestClientAddress(t *testing.T) {
	a := &addresses{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for _, tt := range []struct{ name, peer, forwarded, want string }{
		{"a direct client", "192.0.2.1:5", "203.0.113.9", "192.0.2.1"},
		{"behind a proxy", "10.0.0.1:5", "203.0.113.9", "203.0.113.9"},
		{"behind two", "10.0.0.1:5", "203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"a client that makes up hops", "10.0.0.1:5", "1.1.1.1, 203.0.113.9", "203.0.113.9"},
		{"nonsense ends the walk", "10.0.0.1:5", "nonsense", "10.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			r.Header.Set("X-Forwarded-For", tt.forwarded)
			if got := a.client(r); got != tt.want {
				t.Errorf("client = %q, want %q", got, tt.want)
			}
		})
	}
}

// A connection that leads back here would fetch from itself for ever.
func TestOwnAddressesAreNoUpstreams(t *testing.T) {
	a := newAddresses(&config.Config{Region: "us-east-1", PublicURL: "https://packages.example.com", EndpointHostSuffix: "example.org"},
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8480}, false)
	for address, want := range map[string]bool{
		"http://127.0.0.1:8480/npm/main/store/":                                     true,
		"http://LOCALHOST:8480/":                                                    true,
		"https://packages.example.com/npm/main/store/":                              true,
		"https://main-000000000000.d.codeartifact.us-east-1.example.org/npm/store/": true,
		"http://127.0.0.1:9/":                                                       false,
		"https://registry.example.net/":                                             false,
		"":                                                                          false,
	} {
		if got := a.own(address); got != want {
			t.Errorf("own(%q) = %v, want %v", address, got, want)
		}
	}
	f := newFinder(a.own)
	f.found = map[string]Found{"public:x": {URL: "http://127.0.0.1:8480/npm/main/store/"}, "public:y": {URL: "http://127.0.0.1:9/"}}
	close(f.done)
	if got := f.address(t.Context(), "public:x"); got != "" {
		t.Errorf("the server takes itself, %s, for a public registry", got)
	}
	if got := f.address(t.Context(), "public:y"); got == "" {
		t.Error("a discovered address is not used")
	}
}
