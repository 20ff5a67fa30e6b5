package fetch

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// Connection is an external connection with its address.
type Connection struct {
	Name     string // "public:npmjs", "acme:mirror"
	Format   packhouse.FormatID
	URL      string // address with trailing slash; "" when no address is known
	Source   string // where the address came from, for people: "flag", "config file", "environment", "npm's own setting"
	Username string // with Secret: HTTP basic; without: Secret is a bearer token
	Secret   Secret // password or bearer token
	Proxy    string // http, https or socks5 URL; "" for a direct way. The environment's proxies are never used
	CA       string // PEM file with further trusted roots
	// AllowHosts are further hosts that documents may link to, besides the connection's
	// own origin and public https hosts: "host" for the scheme's own port or
	// "host:port". They may be private addresses and may be spoken to in plain http.
	AllowHosts []string
}

// CredentialID tells two credentials of one connection apart without revealing them;
// "" for none. It is part of cache keys (S19). It is stretched, so that a copy of the
// catalog is no shortcut to a weak password: ask once per connection and keep it.
func (c Connection) CredentialID() string {
	if c.Username == "" && c.Secret.Reveal() == "" {
		return ""
	}
	const iterations, size = 100_000, 12
	key, err := pbkdf2.Key(sha256.New, c.Secret.Reveal(), []byte("packhouse credential\x00"+c.Name+"\x00"+c.Username), iterations, size)
	if err != nil {
		panic("fetch: derive credential id: " + err.Error()) // only for sizes that the constants above rule out
	}
	return hex.EncodeToString(key)
}

// base returns the connection's address, parsed and with a trailing slash.
func (c Connection) base() (*url.URL, error) {
	if c.URL == "" {
		return nil, withoutAddress(c)
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return nil, misconfigured(c, "its address cannot be read", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, misconfigured(c, "its address must begin with http:// or https://", nil)
	case u.Hostname() == "":
		return nil, misconfigured(c, "its address names no host", nil)
	case u.User != nil:
		return nil, misconfigured(c, "its address holds a user name; set credentials apart from the address", nil)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, misconfigured(c, "its address holds a query or fragment", nil)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	return u, nil
}

// lists reports whether AllowHosts names the origin.
func (c Connection) lists(o origin) bool {
	return slices.ContainsFunc(c.AllowHosts, func(h string) bool {
		h = strings.ToLower(h)
		if host, port, err := net.SplitHostPort(h); err == nil {
			return host == o.host && port == o.port
		}
		return strings.Trim(h, "[]") == o.host && o.port == defaultPort(o.scheme)
	})
}

// origin is scheme, host and port: what credentials and exceptions are bound to.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// Secret prints as "***" everywhere; Reveal is the only way to the text.
type Secret struct {
	text *string // a pointer, because fmt reaches through unexported fields of strangers
}

// redacted is what every printer gets.
const redacted = "***"

// NewSecret wraps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{text: &s}
}

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String hides the text.
func (s Secret) String() string { return redacted }

// Format hides the text from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the text from encoders, JSON and YAML among them.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
