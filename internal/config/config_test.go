package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/config"
)

// known and formats are what the rooms would tell.
var (
	known   = map[string]packhouse.FormatID{"public:boxes": "box"}
	formats = []packhouse.FormatID{"box"}
)

func load(t *testing.T, yaml string, in config.Input) (*config.Config, error) {
	t.Helper()
	if yaml != "" {
		in.File = filepath.Join(t.TempDir(), "packhouse.yaml")
		if err := os.WriteFile(in.File, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in.Known, in.Formats = known, formats
	return config.Load(in)
}

func TestPrecedence(t *testing.T) {
	file := "listen: 127.0.0.1:1\nregion: file-1\nlog:\n  format: json\nlimits:\n  requests: 7\n"
	env := []string{"PACKHOUSE_LISTEN=127.0.0.1:2", "PACKHOUSE_REGION=env-1", "HOME=/"}
	c, err := load(t, file, config.Input{Environ: env, Flags: map[string]string{"listen": "127.0.0.1:3"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key, got, want string
		origin         config.Origin
	}{
		{"listen", c.Listen, "127.0.0.1:3", config.FromFlag},
		{"region", c.Region, "env-1", config.FromEnv},
		{"log.format", c.Log.Format, "json", config.FromFile},
		{"limits.requests", fmt.Sprint(c.Limits.Requests), "7", config.FromFile},
		{"data_dir", c.DataDir, "./packhouse-data", config.FromDefault},
		{"shutdown.grace", c.Shutdown.Grace.String(), "30s", config.FromDefault},
	} {
		if tt.got != tt.want || c.Origin(tt.key) != tt.origin {
			t.Errorf("%s = %q from %s, want %q from %s", tt.key, tt.got, c.Origin(tt.key), tt.want, tt.origin)
		}
	}
}

func TestDefaultsAreGood(t *testing.T) {
	c, err := load(t, "", config.Input{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Limits.HeaderBytes != 64<<10 || c.Limits.BodyGrace != 30*time.Second || c.Disk.LowBytes != 2<<30 || c.AccountID != "000000000000" {
		t.Errorf("defaults are %+v", c)
	}
	if _, err := load(t, "# everything commented out\nlog:\n#  format: json\n", config.Input{}); err != nil {
		t.Errorf("a file of comments: %v", err)
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		env        string
		flags      map[string]string
		conn       string
		want       []string // parts of the message
	}{
		{name: "a flag's value", flags: map[string]string{"listen": "nonsense"}, want: []string{"--listen", `"nonsense"`, "host:port"}},
		{name: "a variable's value", env: "PACKHOUSE_ACCOUNT_ID=12", want: []string{"PACKHOUSE_ACCOUNT_ID", `"12"`, "twelve digits"}},
		{name: "a file's value", yaml: "log:\n  level: loud\n", want: []string{"log.level", `"loud"`, "debug, info"}},
		{name: "a public URL with a path", flags: map[string]string{"public_url": "https://example.com/x"}, want: []string{"--public-url", "without a path"}},
		{name: "a public URL with credentials", flags: map[string]string{"public_url": "https://a:b@example.com"}, want: []string{"--public-url"}},
		{name: "a size without sense", yaml: "limits:\n  header_bytes: lots\n", want: []string{"limits.header_bytes", "lots"}},
		{name: "a value below its least", yaml: "limits:\n  requests: 0\n", want: []string{"limits.requests", "at least 1"}},
		{name: "a negative duration", env: "PACKHOUSE_SHUTDOWN_DELAY=-1s", want: []string{"PACKHOUSE_SHUTDOWN_DELAY"}},
		{name: "no network", env: "PACKHOUSE_TRUSTED_PROXIES=10.0.0.0/8,here", want: []string{"PACKHOUSE_TRUSTED_PROXIES", "10.0.0.0/8"}},
		{name: "half a certificate", flags: map[string]string{"tls.cert": "a.pem"}, want: []string{"tls.cert", "tls.key"}},
		{name: "an unknown key with its line", yaml: "listen: 127.0.0.1:0\n\nlisten_adress: x\n", want: []string{":3:", `"listen_adress"`, `did you mean "listen"`}},
		{name: "an unknown nested key", yaml: "limits:\n  request: 5\n", want: []string{":2:", `"limits.requests"`}},
		{name: "no YAML", yaml: "a: [", want: []string{"packhouse.yaml"}},
		{name: "a list as a file", yaml: "- a\n", want: []string{"packhouse.yaml"}},
		{name: "a connection without URL", conn: "public:boxes", want: []string{"--connection", "NAME=URL"}},
		{name: "a public connection that does not exist", conn: "public:boxen=http://h/", want: []string{"public:boxes"}},
		{name: "a connection of one's own without format", conn: "acme:m=http://h/", want: []string{"acme:m", "NAME=FORMAT,URL"}},
		{name: "a format that does not exist", conn: "acme:m=crate,http://h/", want: []string{`"crate"`, "box"}},
		{name: "credentials in an address", conn: "public:boxes=https://u:p@h/", want: []string{"password_file"}},
		{name: "another scheme", conn: "public:boxes=ftp://h/", want: []string{"http://"}},
		{name: "a bad name", conn: "Acme=box,http://h/", want: []string{"acme:mirror"}},
		{name: "an unknown field of a connection", yaml: "connections:\n  public:boxes:\n    uri: http://h/\n", want: []string{":3:", `"uri"`, `"url"`}},
		{name: "a variable of a connection that is none", env: "PACKHOUSE_CONNECTION_PUBLIC_BOXES_LINK=x", want: []string{"_URL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := config.Input{Flags: tt.flags}
			if tt.env != "" {
				in.Environ = []string{tt.env}
			}
			if tt.conn != "" {
				in.Connections = []string{tt.conn}
			}
			_, err := load(t, tt.yaml, in)
			if err == nil {
				t.Fatal("taken")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message %q lacks %q", err, part)
				}
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := load(t, "region: A\nnope: 1\n", config.Input{Flags: map[string]string{"listen": "x"}})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want three lines", err)
	}
}

func TestConnections(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := "connections:\n  public:boxes:\n    url: http://file.example/\n    username: reader\n  acme:mirror:\n    format: box\n    url: https://mirror.example/x\n    allow_hosts: [a.example, b.example]\n"
	c, err := load(t, yaml, config.Input{
		Connections: []string{"other:one=box,http://127.0.0.1:1"},
		Environ:     []string{"PACKHOUSE_CONNECTION_PUBLIC_BOXES_URL=http://env.example", "PACKHOUSE_CONNECTION_PUBLIC_BOXES_PASSWORD_FILE=" + secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]config.Connection{}
	for _, conn := range c.Connections {
		got[conn.Name] = conn
	}
	public := got["public:boxes"]
	if public.URL != "http://file.example/" || public.Origin != config.FromFile || public.Username != "reader" || public.Password.Reveal() != "s3cret" {
		t.Errorf("public:boxes is %+v with password %q", public, public.Password.Reveal())
	}
	if m := got["acme:mirror"]; m.URL != "https://mirror.example/x/" || m.Format != "box" || len(m.AllowHosts) != 2 || m.Origin != config.FromFile {
		t.Errorf("acme:mirror is %+v", m)
	}
	if o := got["other:one"]; o.URL != "http://127.0.0.1:1/" || o.Format != "box" || o.Origin != config.FromFlag {
		t.Errorf("other:one is %+v", o)
	}
}

// A listener that others reach over plain HTTP is started, with a warning.
func TestExposedListenerWarns(t *testing.T) {
	for listen, want := range map[string]int{"127.0.0.1:8480": 0, "localhost:8480": 0, "[::1]:8480": 0, "0.0.0.0:8480": 1, ":8480": 1, "192.0.2.1:8480": 1} {
		c, err := load(t, "", config.Input{Flags: map[string]string{"listen": listen}})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != want {
			t.Errorf("listen %s: warnings %q, want %d", listen, c.Warnings, want)
		}
	}
	c, err := load(t, "trusted_proxies: [10.0.0.0/8]\n", config.Input{Flags: map[string]string{"listen": ":8480"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("behind a proxy: warnings %q", c.Warnings)
	}
}

// A connection's address comes from the flag, else the file, else a variable.
func TestWhereAConnectionsAddressComesFrom(t *testing.T) {
	file := "connections:\n  public:boxes:\n    url: http://file.example/\n"
	env := []string{"PACKHOUSE_CONNECTION_PUBLIC_BOXES_URL=http://env.example/"}
	for _, tt := range []struct {
		name string
		yaml string
		in   config.Input
		want string
		from config.Origin
	}{
		{"the flag wins over both", file, config.Input{Environ: env, Connections: []string{"public:boxes=http://flag.example/"}}, "http://flag.example/", config.FromFlag},
		{"the file wins over a variable", file, config.Input{Environ: env}, "http://file.example/", config.FromFile},
		{"a variable stands in", "", config.Input{Environ: env}, "http://env.example/", config.FromEnv},
	} {
		c, err := load(t, tt.yaml, tt.in)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Connections[0]; len(c.Connections) != 1 || got.URL != tt.want || got.Origin != tt.from {
			t.Errorf("%s: %+v", tt.name, c.Connections)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := config.NewSecret("canary")
	text, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(s), fmt.Sprintf("%+v %#v %q", s, s, s), s.LogValue().String(), string(text)} {
		if strings.Contains(printed, "canary") {
			t.Errorf("printed as %s (reliability.md S38)", printed)
		}
	}
}

func TestStrayVariablesAreToldNotRefused(t *testing.T) {
	c, err := load(t, "", config.Input{Environ: []string{"PACKHOUSE_LISTN=x", "PACKHOUSE_URL=http://h", "PACKHOUSE_SERVICE_HOST=10.0.0.1", "PACKHOUSE_PORT=tcp://10.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "PACKHOUSE_LISTEN") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

func TestReferenceIsCommitted(t *testing.T) {
	committed, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != config.Reference() {
		t.Error("docs/configuration.md is not what `packhouse config docs` prints; write it again")
	}
}

func FuzzLoadFile(f *testing.F) {
	for _, s := range []string{"listen: 127.0.0.1:0\n", "limits: {requests: 5}\n", "a: &a [*a]\n", "connections: {x: {url: 1}}\n", "log: 3\n", "? [a]\n: b\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Input{File: path, Known: known, Formats: formats})
		if err == nil && c.Limits.Requests < 1 {
			t.Fatalf("%q set a limit that is not allowed", text)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"0", "64KiB", "2 GiB", "9223372036854775807", "-1B", "1TiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := config.ParseSize(s)
		if err != nil {
			return
		}
		if again, err := config.ParseSize(n.String()); err != nil || again != n || n < 0 {
			t.Fatalf("%q is %d, written %q is %d, %v", s, n, n, again, err)
		}
	})
}
