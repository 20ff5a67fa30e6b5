package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"

	"github.com/packhouse/packhouse"
)

// maxFile bounds the configuration file and files that hold secrets, in bytes.
const maxFile = 1 << 20

// Input is what Load reads.
type Input struct {
	// File is the configuration file's path; "" for none. It comes from --config or
	// PACKHOUSE_CONFIG.
	File string
	// Flags are the flags that were given, by the setting's key.
	Flags map[string]string
	// Connections are the values of --connection, in order.
	Connections []string
	// Environ is the environment as os.Environ returns it.
	Environ []string
	// Known are the public connections by name, with their formats.
	Known map[string]packhouse.FormatID
	// Formats are the formats that a connection of one's own may have.
	Formats []packhouse.FormatID
}

// Load makes a configuration: flags, then environment, then file, then defaults. Its
// errors are for people; each names the setting, the value and what is allowed, and all
// that are wrong are told at once.
func Load(in Input) (*Config, error) {
	env := environ(in.Environ)
	file, err := readConfigFile(in.File)
	if err != nil {
		return nil, err
	}

	c := &Config{origins: map[string]Origin{}}
	settings := Settings()
	layers := []struct {
		origin Origin
		values layer
	}{
		{FromDefault, defaults(settings)},
		{FromFile, file.settings},
		{FromEnv, envLayer(settings, env)},
		{FromFlag, in.Flags},
	}
	merged := koanf.New(".")
	for _, l := range layers {
		if err := merged.Load(l.values, nil); err != nil {
			return nil, err
		}
		for key := range l.values {
			c.origins[key] = l.origin
		}
	}

	errs := file.unknown(settings)
	for i := range settings {
		s := &settings[i]
		text := merged.String(s.Key)
		if text == "" && s.Default == "" && c.origins[s.Key] == "" {
			continue
		}
		if err := s.set(c, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not allowed (%s); allowed: %s",
				s.spelled(c.Origin(s.Key)), text, c.Origin(s.Key), s.Allowed))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs = append(errs, errors.New("tls.cert and tls.key: one is set without the other; set both or neither"))
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	connections, cerrs := loadConnections(in, file, env)
	c.Connections = connections
	c.Warnings = append(strangers(settings, in.Environ), exposed(c)...)
	return c, errors.Join(append(errs, cerrs...)...)
}

// exposed warns of a listener that others can reach and that speaks plain HTTP to them:
// tokens travel in every request.
func exposed(c *Config) []string {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || c.TLS.Cert != "" || len(c.TrustedProxies) > 0 || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return []string{"listen " + c.Listen + " is reachable from other machines over plain HTTP; set --tls-cert and --tls-key, or --trusted-proxies if a proxy in front ends TLS"}
}

// spelled names a setting the way it was written.
func (s *Setting) spelled(o Origin) string {
	switch o {
	case FromFlag:
		return "--" + s.Flag
	case FromEnv:
		return s.Env
	}
	return s.Key
}

// layer is one source of values, by key. It is a provider for koanf.
type layer map[string]string

// ReadBytes is not supported; koanf calls Read.
func (l layer) ReadBytes() ([]byte, error) { return nil, errors.New("config: a layer has no bytes") }

// Read returns the values nested as koanf wants them.
func (l layer) Read() (map[string]any, error) {
	nested := map[string]any{}
	for key, text := range l {
		at := nested
		parts := strings.Split(key, ".")
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = text
	}
	return nested, nil
}

func defaults(settings []Setting) layer {
	l := layer{}
	for _, s := range settings {
		if s.Default != "" {
			l[s.Key] = s.Default
		}
	}
	return l
}

func envLayer(settings []Setting, env map[string]string) layer {
	l := layer{}
	for _, s := range settings {
		if text, ok := env[s.Env]; ok {
			l[s.Key] = text
		}
	}
	return l
}

func environ(list []string) map[string]string {
	env := make(map[string]string, len(list))
	for _, item := range list {
		if name, value, ok := strings.Cut(item, "="); ok && strings.HasPrefix(name, "PACKHOUSE_") {
			env[name] = value
		}
	}
	return env
}

// ours are variables of the commands that talk to a server.
var ours = []string{"PACKHOUSE_CONFIG", "PACKHOUSE_URL", "PACKHOUSE_TOKEN", "PACKHOUSE_HOOK_SECRET"}

// strangers tells of variables that look like settings and are none. They are no
// errors: container platforms inject variables named after a service.
func strangers(settings []Setting, list []string) []string {
	known := slices.Clone(ours)
	for _, s := range settings {
		known = append(known, s.Env)
	}
	var warnings []string
	for _, item := range list {
		name, value, _ := strings.Cut(item, "=")
		if !strings.HasPrefix(name, "PACKHOUSE_") || strings.HasPrefix(name, connectionEnv) || slices.Contains(known, name) ||
			strings.Contains(name, "_PORT") || strings.Contains(name, "_SERVICE_") || strings.HasPrefix(value, "tcp:") {
			continue
		}
		w := "unknown environment variable " + name
		if n := nearest(name, known); n != "" {
			w += "; did you mean " + n + "?"
		}
		warnings = append(warnings, w)
	}
	return warnings
}

// configFile is the file, read: settings by key, connections apart, and lines.
type configFile struct {
	path        string
	settings    layer
	connections map[string]map[string]any
	lines       map[string]int // of keys
	stray       []string       // keys that are not settings, sorted by line
}

func readConfigFile(path string) (configFile, error) {
	f := configFile{path: path, settings: layer{}}
	if path == "" {
		return f, nil
	}
	text, err := readBounded(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return f, fmt.Errorf("--config: there is no file %s", path)
		}
		return f, fmt.Errorf("read configuration: %w", err)
	}
	k := koanf.New(".")
	if err := k.Load(rawbytes.Provider(text), yaml.Parser()); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if f.lines, err = keyLines(text); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	f.connections = map[string]map[string]any{}
	if section, ok := k.Get("connections").(map[string]any); ok {
		for name, v := range section {
			fields, ok := v.(map[string]any)
			if !ok {
				fields = map[string]any{"url": v}
			}
			f.connections[name] = fields
		}
	}
	for key, v := range k.All() {
		if key == "connections" || strings.HasPrefix(key, "connections.") {
			continue
		}
		if m, ok := v.(map[string]any); ok && len(m) == 0 || v == nil {
			continue // a section with everything commented out
		}
		f.settings[key] = scalar(v)
	}
	return f, nil
}

// scalar is a YAML value as the text that a flag would have.
func scalar(v any) string {
	if list := reflect.ValueOf(v); list.IsValid() && list.Kind() == reflect.Slice {
		items := make([]string, list.Len())
		for i := range items {
			items[i] = scalar(list.Index(i).Interface())
		}
		return strings.Join(items, ",")
	}
	return fmt.Sprint(v)
}

// unknown takes keys that are no settings out of the file's layer and returns an error
// for each, with its line and the nearest known key.
func (f *configFile) unknown(settings []Setting) []error {
	var known []string
	for _, s := range settings {
		known = append(known, s.Key)
	}
	for key := range f.settings {
		if !slices.Contains(known, key) {
			f.stray = append(f.stray, key)
			delete(f.settings, key)
		}
	}
	slices.SortFunc(f.stray, func(a, b string) int { return f.lines[a] - f.lines[b] })
	var errs []error
	for _, key := range f.stray {
		errs = append(errs, f.strange(key, key, append(known, "connections")))
	}
	return errs
}

func (f *configFile) strange(key, spelled string, known []string) error {
	where := f.path
	if line := f.lines[key]; line > 0 {
		where = fmt.Sprintf("%s:%d", f.path, line)
	}
	if n := nearest(spelled, known); n != "" {
		return fmt.Errorf("%s: unknown key %q; did you mean %q?", where, spelled, n)
	}
	return fmt.Errorf("%s: unknown key %q", where, spelled)
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}
