package config

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// connectionEnv begins the variables of connections:
// PACKHOUSE_CONNECTION_PUBLIC_NPMJS_URL and so on.
const connectionEnv = "PACKHOUSE_CONNECTION_"

// connectionFields are what a connection has, as the file spells it, with a help text
// for the document.
var connectionFields = []struct{ key, help string }{
	{"url", "The registry's address; `FORMAT,URL` for a connection of your own in a flag or variable."},
	{"format", "Format of a connection of your own."},
	{"username", "User name for the registry."},
	{"password", "Password or token. Prefer `password_file`."},
	{"password_file", "File that holds the password or token."},
	{"proxy", "HTTP proxy to go through."},
	{"ca", "PEM file with the authorities to trust."},
	{"allow_hosts", "Further hosts that the registry's documents may link to, separated by commas."},
}

// loadConnections gathers connections by name; a field from a stronger source wins over
// the same field of a weaker one. Unlike settings, what the file says about a connection
// wins over variables: addresses are written down once for a machine, and variables
// stand in where nobody did.
func loadConnections(in Input, f configFile, env map[string]string) ([]Connection, []error) {
	var errs []error
	fields := map[string]map[string]string{} // connection, field, value
	origin := map[string]Origin{}            // of the address
	put := func(name, field, value string, o Origin) {
		if fields[name] == nil {
			fields[name] = map[string]string{}
		}
		fields[name][field] = value
		if field == "url" || origin[name] == "" {
			origin[name] = o
		}
	}
	var known []string
	for _, c := range connectionFields {
		known = append(known, c.key)
	}

	for name, section := range f.connections {
		for field, v := range section {
			if !slices.Contains(known, field) {
				errs = append(errs, f.strange("connections."+name+"."+field, field, known))
				continue
			}
			put(name, field, scalar(v), FromFile)
		}
	}
	names := slices.Collect(maps.Keys(in.Known))
	names = append(names, slices.Collect(maps.Keys(f.connections))...)
	for _, item := range in.Connections {
		name, _, _ := strings.Cut(item, "=")
		names = append(names, name)
	}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		rest, ok := strings.CutPrefix(key, connectionEnv)
		if !ok {
			continue
		}
		field := envField(rest, known)
		if field == "" {
			errs = append(errs, fmt.Errorf("%s: a connection's variable ends in _URL, _USERNAME, _PASSWORD, _PASSWORD_FILE, _PROXY, _CA, _FORMAT or _ALLOW_HOSTS", key))
			continue
		}
		name := envConnection(strings.TrimSuffix(rest, "_"+strings.ToUpper(field)), names)
		if _, written := f.connections[name][field]; !written {
			put(name, field, env[key], FromEnv)
		}
	}
	for _, item := range in.Connections {
		name, value, ok := strings.Cut(item, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("--connection: %q is not allowed; allowed: NAME=URL or NAME=FORMAT,URL", item))
			continue
		}
		put(name, "url", value, FromFlag)
	}

	var list []Connection
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		c, err := newConnection(name, fields[name], in)
		if err != nil {
			errs = append(errs, fmt.Errorf("connection %s (%s): %w", name, origin[name], err))
			continue
		}
		c.Origin = origin[name]
		list = append(list, c)
	}
	return list, errs
}

// envField returns the field that a variable's name ends in, the longest that fits.
func envField(rest string, known []string) string {
	best := ""
	for _, field := range known {
		if strings.HasSuffix(rest, "_"+strings.ToUpper(field)) && len(field) > len(best) {
			best = field
		}
	}
	return best
}

// envConnection turns the middle of a variable's name into a connection's name: one
// that is known, else with ":" for the first "_" and "-" for the others.
func envConnection(middle string, names []string) string {
	for _, n := range names {
		if strings.EqualFold(middle, strings.NewReplacer(":", "_", "-", "_").Replace(n)) {
			return n
		}
	}
	name := strings.Replace(strings.ToLower(middle), "_", ":", 1)
	return strings.ReplaceAll(name, "_", "-")
}

func newConnection(name string, fields map[string]string, in Input) (Connection, error) {
	c := Connection{Name: name, URL: fields["url"], Username: fields["username"], Proxy: fields["proxy"],
		CA: fields["ca"], Format: packhouse.FormatID(fields["format"])}
	if !validConnectionName(name) {
		return c, fmt.Errorf("a name has lower-case letters, digits, hyphens and one colon: acme:mirror")
	}
	// An address has no comma before its scheme, so the first comma can only end a format.
	if f, u, ok := strings.Cut(c.URL, ","); ok && !strings.Contains(f, ":") {
		c.Format, c.URL = packhouse.FormatID(f), u
	}
	if f, ok := in.Known[name]; ok {
		if c.Format != "" && c.Format != f {
			return c, fmt.Errorf("format %q is not allowed; this connection has the format %s", c.Format, f)
		}
		c.Format = f
	}
	if strings.HasPrefix(name, "public:") && in.Known[name] == "" {
		msg := fmt.Errorf("there is no public connection of that name; names of your own begin otherwise")
		if n := nearest(name, slices.Sorted(maps.Keys(in.Known))); n != "" {
			msg = fmt.Errorf("there is no public connection of that name; did you mean %q?", n)
		}
		return c, msg
	}
	if in.Known[name] == "" && !slices.Contains(in.Formats, c.Format) {
		return c, fmt.Errorf("format %q is not allowed; a connection of your own is written NAME=FORMAT,URL with one of these formats: %v", c.Format, in.Formats)
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return c, fmt.Errorf("url: an address that begins with http:// or https:// is needed")
	case u.User != nil:
		return c, fmt.Errorf("url: credentials do not belong into an address; use username and password_file")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return c, fmt.Errorf("url: an address without ? and # is needed")
	}
	if !strings.HasSuffix(c.URL, "/") {
		c.URL += "/"
	}
	if c.Proxy != "" {
		if p, err := url.Parse(c.Proxy); err != nil || p.Hostname() == "" {
			return c, fmt.Errorf("proxy: an address is needed")
		}
	}
	if c.CA != "" {
		if _, err := os.Stat(c.CA); err != nil {
			return c, fmt.Errorf("ca: %w", err)
		}
	}
	c.Password = NewSecret(fields["password"])
	if path := fields["password_file"]; path != "" {
		if fields["password"] != "" {
			return c, fmt.Errorf("password and password_file are both set; set one")
		}
		text, err := readBounded(path)
		if err != nil {
			return c, fmt.Errorf("password_file: %w", err)
		}
		c.Password = NewSecret(strings.TrimRight(string(text), "\r\n"))
	}
	for h := range strings.SplitSeq(fields["allow_hosts"], ",") {
		if h = strings.TrimSpace(h); h != "" {
			c.AllowHosts = append(c.AllowHosts, h)
		}
	}
	return c, nil
}

// validConnectionName reports names of the form "acme:mirror".
func validConnectionName(s string) bool {
	first, second, ok := strings.Cut(s, ":")
	return ok && label(first) && label(second)
}
