package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/registry"
)

// serviceSuffix is the public service's own; below it every domain host has a second
// name (addresses.md 1).
const (
	serviceSuffix   = "amazonaws.com"
	dualstackSuffix = "on.aws"
)

// addresses is the closed list of addresses that this server answers at
// (reliability.md S5). It never changes once made.
type addresses struct {
	main    map[string]string // authority in lower case to base URL
	domains []string          // suffixes of domain hosts, with leading dot
	scheme  string            // of domain hosts
	ports   map[string]bool   // ports that domain hosts may carry; "" for none
	trusted []netip.Prefix
}

func newAddresses(c *config.Config, listening net.Addr, tls bool) *addresses {
	a := &addresses{main: map[string]string{}, ports: map[string]bool{}, trusted: c.TrustedProxies, scheme: "http"}
	if tls {
		a.scheme = "https"
	}
	host, port, _ := net.SplitHostPort(listening.String())
	for _, h := range listenerHosts(host) {
		a.add(a.scheme, h, port)
	}
	a.ports[port] = true
	if port == defaultPort(a.scheme) {
		a.ports[""] = true
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil {
			panic("server: public URL was not checked: " + err.Error())
		}
		a.scheme = u.Scheme
		p := u.Port()
		if p == "" {
			p = defaultPort(u.Scheme)
		}
		a.add(u.Scheme, u.Hostname(), p)
		a.ports[p] = true
		if p == defaultPort(u.Scheme) {
			a.ports[""] = true
		}
	}
	if c.EndpointHostSuffix != "" {
		api := "codeartifact." + c.Region + "."
		for p := range a.ports {
			a.addAuthority(a.scheme, api+c.EndpointHostSuffix, p)
		}
		a.domains = append(a.domains, ".d."+api+c.EndpointHostSuffix)
		if c.EndpointHostSuffix == serviceSuffix {
			a.domains = append(a.domains, ".d."+api+dualstackSuffix)
		}
	}
	return a
}

// own reports whether a URL leads to this server.
func (a *addresses) own(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	authority := strings.ToLower(u.Host)
	if _, ok := a.main[authority]; ok {
		return true
	}
	for _, suffix := range a.domains {
		if strings.HasSuffix(strings.ToLower(u.Hostname()), suffix) {
			return true
		}
	}
	return false
}

// listenerHosts are the names that reach a listener: its address; the machine's own
// addresses for a wildcard; the loopback names for loopback.
func listenerHosts(host string) []string {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return []string{host}
	}
	loopback := []string{"localhost", "127.0.0.1", "::1"}
	switch {
	case ip.IsLoopback():
		return append(loopback, ip.String())
	case ip.IsUnspecified():
		hosts := loopback
		if own, err := net.InterfaceAddrs(); err == nil {
			for _, o := range own {
				if n, ok := o.(*net.IPNet); ok {
					hosts = append(hosts, n.IP.String())
				}
			}
		}
		return hosts
	}
	return []string{ip.String()}
}

// add puts an address in, with and without a port that the scheme implies.
func (a *addresses) add(scheme, host, port string) {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == defaultPort(scheme) {
		a.addAuthority(scheme, host, "")
	}
	a.addAuthority(scheme, host, port)
}

func (a *addresses) addAuthority(scheme, host, port string) {
	host = strings.ToLower(host)
	authority, base := host, scheme+"://"+host
	if port != "" {
		authority += ":" + port
		if port != defaultPort(scheme) {
			base += ":" + port
		}
	}
	a.main[authority] = base
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// find returns the address that a request came in on. ok is false for a Host that is
// not in the list: 421.
func (a *addresses) find(r *http.Request) (registry.Address, bool) {
	host := r.Host
	base, ok := a.main[host]
	if !ok {
		host = strings.ToLower(host)
		base, ok = a.main[host]
	}
	if ok {
		if r.TLS == nil && a.secure(r) {
			base = "https" + strings.TrimPrefix(strings.TrimPrefix(base, "http"), "s")
		}
		return registry.Address{Base: base}, true
	}
	if len(a.domains) == 0 {
		return registry.Address{}, false
	}
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i+1:]
	}
	if !a.ports[port] {
		return registry.Address{}, false
	}
	for _, suffix := range a.domains {
		label, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		d, ok := packhouse.ParseDomainLabel(label)
		scheme := a.scheme
		if a.secure(r) {
			scheme = "https"
		}
		return registry.Address{Base: scheme + "://" + host, Domain: d}, ok
	}
	return registry.Address{}, false
}

// secure reports whether the client's own connection is encrypted: to us, or to a
// proxy that we believe.
func (a *addresses) secure(r *http.Request) bool {
	return r.TLS != nil || a.fromProxy(r) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// fromProxy reports whether the peer is a trusted proxy.
func (a *addresses) fromProxy(r *http.Request) bool {
	if len(a.trusted) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && a.trusts(peer.Addr())
}

func (a *addresses) trusts(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, p := range a.trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// client returns the address of the client: the last one in X-Forwarded-For that is
// not one of our proxies, where a proxy is the peer, else the peer.
func (a *addresses) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	at := peer.Addr().Unmap()
	if len(a.trusted) == 0 {
		return at.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.trusts(at); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = next.Unmap()
	}
	return at.String()
}

// listening is the listener's address for people.
func (a *addresses) listening(at net.Addr) string {
	host, port, _ := net.SplitHostPort(at.String())
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsUnspecified() || ip.IsLoopback() && ip.Is4()) {
		host = "127.0.0.1"
	}
	return a.main[net.JoinHostPort(host, port)]
}
