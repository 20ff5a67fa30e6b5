package npm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/format"
)

var setup = format.Setup{Endpoint: "http://127.0.0.1:8480/npm/d/main-000000000000/store/", Token: "tok-1"}

func npmClient(t *testing.T) format.Client { return clientNamed(t, "npm") }

func clientNamed(t *testing.T, name string) format.Client {
	t.Helper()
	for _, c := range New().Clients() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no client %s", name)
	return format.Client{}
}

// issue 2 section 1: logout takes exactly back what login did.
func TestLoginAndLogout(t *testing.T) {
	for _, tt := range []struct{ name, original string }{
		{"settings with a last line end", "audit=false\n"},
		{"settings without a last line end", "audit=false"},
		{"an empty file", ""},
		{"comments, line ends of Windows and another registry", "; mine\r\nregistry=http://other.example/\r\n//other.example/:_authToken=x\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "npmrc")
			t.Setenv("NPM_CONFIG_USERCONFIG", path)
			if err := os.WriteFile(path, []byte(tt.original), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, token := range []string{"tok-1", "tok-2"} {
				s := setup
				s.Token = token
				if _, err := npmClient(t).Login(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				got := read(t, path)
				want := "registry=http://127.0.0.1:8480/npm/d/main-000000000000/store/\n//127.0.0.1:8480/npm/d/main-000000000000/store/:_authToken=" + token + "\n"
				if !strings.HasPrefix(got, tt.original) || !strings.Contains(got, want) || strings.Count(got, npmrc.begin()) != 1 || strings.Contains(got, "always-auth") {
					t.Fatalf("after login:\n%s", got)
				}
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
			}
			if _, err := npmClient(t).Logout(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != tt.original {
				t.Errorf("after logout %q, want %q", got, tt.original)
			}
			if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
				t.Errorf("temporary files are left: %v", left)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogoutRemovesTheFileThatLoginMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	for range 2 {
		if _, err := npmClient(t).Login(t.Context(), setup); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := npmClient(t).Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("file after logout: %v, want none", err)
	}
	if told, err := npmClient(t).Logout(t.Context()); err != nil || !strings.HasPrefix(told[0], "nothing to remove") {
		t.Errorf("second logout = %q, %v", told, err)
	}
}

func TestLogoutKeepsWhatWasAddedSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	if err := os.WriteFile(path, []byte("a=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []func() ([]string, error){
		func() ([]string, error) { return npmClient(t).Login(t.Context(), setup) },
		func() ([]string, error) { return nil, os.WriteFile(path, []byte(read(t, path)+"b=2\n"), 0o600) },
		func() ([]string, error) { return npmClient(t).Login(t.Context(), setup) },
		func() ([]string, error) { return npmClient(t).Logout(t.Context()) },
	}
	for _, step := range steps {
		if _, err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, path); got != "a=1\nb=2\n" {
		t.Errorf("after logout %q", got)
	}
}

func TestLoginSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	s := setup
	s.Print, s.Scope = true, "@acme"
	got, err := npmClient(t).Login(t.Context(), s)
	want := []string{"@acme:registry=" + s.Endpoint, "//127.0.0.1:8480/npm/d/main-000000000000/store/:_authToken=tok-1"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("print = %q, %v, want %q", got, err, want)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("print wrote a file: %v", err)
	}
	for _, bad := range []format.Setup{
		{Endpoint: "http://x/", Token: "a\nregistry=http://evil.example/"},
		{Endpoint: "file:///x", Token: "a"},
		{Endpoint: "http://x/", Token: "a", Scope: "a b"},
	} {
		if _, err := npmClient(t).Login(t.Context(), bad); err == nil {
			t.Errorf("login with %+v is accepted", bad)
		}
	}
}

// A server that starts on a machine which is logged in to it must not take itself for
// the public registry.
func TestDiscoverDoesNotSeeOurOwnLogin(t *testing.T) {
	bin := t.TempDir()
	script := "#!/bin/sh\nsed -n 's/^registry=//p' \"$NPM_CONFIG_USERCONFIG\" | tail -n 1\n"
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	for _, tt := range []struct{ set, want string }{
		{"registry=http://mirror.example/\n", "http://mirror.example/"}, {"registry=undefined\n", ""}, {"", ""},
	} {
		if err := os.WriteFile(path, []byte(tt.set), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, login := range []bool{false, true} {
			if login {
				if _, err := npmClient(t).Login(t.Context(), setup); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := New().Connections()[0].Discover(t.Context()); err != nil || got != tt.want {
				t.Errorf("set %q, logged in %v: discovered %q, %v, want %q", tt.set, login, got, err, tt.want)
			}
		}
	}
	t.Setenv("PATH", t.TempDir())
	if got, err := New().Connections()[0].Discover(t.Context()); err != nil || got != "" {
		t.Errorf("without npm: %q, %v", got, err)
	}
}

// The same for a login that is written while npm starts: discovery runs beside the
// server's start, and what it finds is kept.
func TestDiscoverDoesNotSeeALoginMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	bin := t.TempDir()
	script := "#!/bin/sh\necho registry=http://ourselves.example/ >> " + path + "\nsed -n 's/^registry=//p' \"$NPM_CONFIG_USERCONFIG\" | tail -n 1\n"
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	for _, tt := range []struct{ name, set, want string }{{"no settings yet", "", ""}, {"settings", "registry=http://mirror.example/\n", "http://mirror.example/"}} {
		if tt.set == "" {
			_ = os.Remove(path)
		} else if err := os.WriteFile(path, []byte(tt.set), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := New().Connections()[0].Discover(t.Context()); err != nil || got != tt.want {
			t.Errorf("%s: discovered %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// FuzzBlock: what login adds to any file, logout removes.
func FuzzBlock(f *testing.F) {
	f.Add("a=1")
	f.Add("a=1\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, original string) {
		if strings.Contains(original, npmrc.begin()) || strings.Contains(original, npmrc.end()) {
			return
		}
		path := filepath.Join(t.TempDir(), "npmrc")
		t.Setenv("NPM_CONFIG_USERCONFIG", path)
		if err := os.WriteFile(path, []byte(original), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := npmrcLogin("")(t.Context(), setup); err != nil {
			t.Fatal(err)
		}
		if _, err := npmrcLogout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != original {
			t.Fatalf("after logout %q, want %q", got, original)
		}
	})
}

// user-experience.md 10: login then logout leaves every file byte-identical, with each
// client, whatever was there and whether there was a file at all.
func TestEveryClientLeavesFilesAsTheyWere(t *testing.T) {
	for _, c := range New().Clients() {
		for _, original := range []string{"none", "", "a: 1", "a: 1\n", "# mine\r\nenableTelemetry: false\r\n"} {
			t.Run(c.Name+" over "+original, func(t *testing.T) {
				home := t.TempDir()
				t.Setenv("HOME", home)
				t.Setenv("NPM_CONFIG_USERCONFIG", "")
				t.Setenv("npm_config_userconfig", "")
				t.Setenv("YARN_RC_FILENAME", "")
				files := []string{filepath.Join(home, ".npmrc"), filepath.Join(home, ".yarnrc.yml")}
				for _, f := range files {
					if original == "none" {
						break
					}
					if err := os.WriteFile(f, []byte(original), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					if _, err := c.Login(t.Context(), setup); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := c.Logout(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, f := range files {
					if _, err := os.Stat(f); original == "none" {
						if !os.IsNotExist(err) {
							t.Errorf("%s after logout: %v, want none", f, err)
						}
					} else if got := read(t, f); got != original {
						t.Errorf("%s after logout: %q, want %q", f, got, original)
					}
				}
			})
		}
	}
}

// npm.md 3: only Yarn 1 knows always-auth, and it needs it; a later login of another
// client must not take it away.
func TestAlwaysAuthIsForYarn1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "npmrc")
	t.Setenv("NPM_CONFIG_USERCONFIG", path)
	want := "//127.0.0.1:8480/npm/d/main-000000000000/store/:always-auth=true\n"
	for _, step := range []struct {
		client string
		there  bool
	}{{"npm", false}, {"yarn1", true}, {"pnpm", true}} {
		if _, err := clientNamed(t, step.client).Login(t.Context(), setup); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); strings.Contains(got, want) != step.there {
			t.Errorf("after login %s, want always-auth %v:\n%s", step.client, step.there, got)
		}
	}
	printed := setup
	printed.Print = true
	if got, err := clientNamed(t, "yarn1").Login(t.Context(), printed); err != nil || len(got) != 3 || got[2]+"\n" != want {
		t.Errorf("yarn1 --print = %q, %v; want %q at the end", got, err, want)
	}
}

func TestYarnSettings(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("YARN_RC_FILENAME", "")
	yarn := clientNamed(t, "yarn")
	for _, tt := range []struct {
		name, endpoint, scope string
		want                  []string
	}{
		{"all packages, without TLS", setup.Endpoint, "", []string{`npmRegistryServer: "` + setup.Endpoint + `"`, `npmAuthToken: "tok-1"`,
			"npmAlwaysAuth: true", `unsafeHttpWhitelist: ["127.0.0.1"]`}},
		{"one scope, with TLS", "https://packages.example/npm/main/store/", "@acme", []string{"npmScopes:", `  "acme":`,
			`    npmRegistryServer: "https://packages.example/npm/main/store/"`, `    npmAuthToken: "tok-1"`, "    npmAlwaysAuth: true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := yarn.Login(t.Context(), format.Setup{Endpoint: tt.endpoint, Token: "tok-1", Scope: tt.scope, Print: true})
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
	t.Run("a map of the user's own is not hidden", func(t *testing.T) {
		path, own := filepath.Join(home, ".yarnrc.yml"), "unsafeHttpWhitelist:\n  - mirror.example\n"
		if err := os.WriteFile(path, []byte(own), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := yarn.Login(t.Context(), setup); err == nil || !strings.Contains(err.Error(), "unsafeHttpWhitelist already") || read(t, path) != own {
			t.Errorf("login said %v and left %q", err, read(t, path))
		}
	})
}
