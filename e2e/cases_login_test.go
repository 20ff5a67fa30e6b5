package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// loginHome is a home in which `aws codeartifact login` sets clients up. Programs that
// are not installed here are stood in for by ones that record how they are called.
type loginHome struct {
	*seedServer
	dir, bin string
	env      []string
}

func newLoginHome(t *testing.T, f *seedServer, awsPath string) *loginHome {
	t.Helper()
	h := &loginHome{seedServer: f, dir: t.TempDir(), bin: t.TempDir()}
	addressedAWS(t, awsPath, h.bin)
	h.env = append(f.clientEnv(h.dir), "AWS_REGION="+seedRegion, "AWS_DEFAULT_REGION="+seedRegion, "npm_config_update_notifier=false", "npm_config_cache="+filepath.Join(h.dir, ".npm"),
		"PIP_DISABLE_PIP_VERSION_CHECK=1", "PATH="+h.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return h
}

// standIn makes a program that writes its arguments, one call a line with tabs between,
// and answers with a text.
func (h *loginHome) standIn(t *testing.T, name, answer string) {
	t.Helper()
	text := "#!/bin/sh\n(printf '%s' " + name + "; printf '\\t%s' \"$@\"; echo) >>" + shellQuote(filepath.Join(h.bin, "calls")) + "\ncat <<'end'\n" + answer + "\nend\n"
	if err := os.WriteFile(filepath.Join(h.bin, name), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// calls returns what the programs were called with.
func (h *loginHome) calls(t *testing.T) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(readFile(t, h.bin, "calls")), "\n")
}

// run runs a command in the home and fails unless it succeeds.
func (h *loginHome) run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := h.try(t, dir, args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out
}

// try runs a command in the home; its error holds what the command printed.
func (h *loginHome) try(t *testing.T, dir string, args ...string) (string, error) {
	path := args[0]
	for _, kv := range h.env {
		if dirs, ok := strings.CutPrefix(kv, "PATH="); ok {
			for _, d := range filepath.SplitList(dirs) {
				if _, err := os.Stat(filepath.Join(d, args[0])); err == nil && path == args[0] {
					path = filepath.Join(d, args[0])
				}
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), path, args[1:]...)
	cmd.Dir, cmd.Env = dir, h.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w\n%s%s", err, out, stderr.String())
	}
	return string(out), err
}

// login runs the command's login; a tool that its version does not know skips the test.
func (h *loginHome) login(t *testing.T, tool, repo string, more ...string) {
	t.Helper()
	_, err := h.try(t, h.dir, append([]string{"aws", "codeartifact", "login", "--tool", tool, "--domain", seedDomain, "--domain-owner", seedAccount, "--repository", repo}, more...)...)
	switch {
	case err != nil && tool == "swift" && strings.Contains(err.Error(), "Invalid choice"):
		t.Skip("this version does not know swift")
	case err != nil:
		t.Fatalf("login of %s: %v", tool, err)
	}
}

// endpoint is what GetRepositoryEndpoint answers for a format.
func (f *seedServer) endpoint(format, repo string) string {
	return fmt.Sprintf("%s/%s/d/%s-%s/%s/", f.URL, format, seedDomain, seedAccount, repo)
}

// opens fails unless a registry takes an Authorization header.
func (f *seedServer) opens(t *testing.T, repo, authorization string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url(repo, "-/whoami"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		scheme, _, _ := strings.Cut(authorization, " ")
		t.Errorf("a token presented as %.12s…: %d", scheme, resp.StatusCode)
	}
}

func basic(user, token string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token))
}

// codeartifact.md 5.4, cases 14 and 18, and 3.11: what `aws codeartifact login` writes for
// each of its tools, and that the token in it opens the repository the way the tool
// presents it. npm and pip are the real ones.
func TestAWSLogin(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	for _, version := range []struct{ name, variable, command string }{{"version 1", "PACKHOUSE_AWS", "aws"}, {"version 2", "PACKHOUSE_AWS_V2", "aws-v2"}} {
		t.Run(version.name, func(t *testing.T) { testAWSLogin(t, f, client(t, version.variable, version.command)) })
	}
	t.Run("5.4.18 a token has no character that needs escaping anywhere", func(t *testing.T) {
		repo := f.repo(t)
		for range 20 {
			token := f.registryToken(t, seedDomain)
			if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(token) || len(token) > 4000 {
				t.Fatalf("a token of %d characters has others", len(token))
			}
			for _, authorization := range []string{token, token + " ", "Bearer " + token, "bearer " + token, basic("aws", token), basic("token", token), basic("anybody", token)} {
				f.opens(t, repo, authorization)
			}
		}
	})
}

func testAWSLogin(t *testing.T, f *seedServer, awsPath string) {
	repo := f.repo(t)
	npm := client(t, "PACKHOUSE_NPM_CURRENT", "npm")
	host := strings.TrimPrefix(f.URL, "http://")
	t.Run("5.4.14 npm installs and publishes", func(t *testing.T) {
		h := newLoginHome(t, f, awsPath)
		h.login(t, "npm", repo)
		rc := readFile(t, h.dir, ".npmrc")
		token := regexp.MustCompile(`(?m)^//` + regexp.QuoteMeta(strings.TrimPrefix(f.endpoint("npm", repo), "http://")) + `:_authToken=(\S+)$`).FindStringSubmatch(rc)
		if token == nil || !strings.Contains(rc, "registry="+f.endpoint("npm", repo)+"\n") {
			t.Fatalf(".npmrc:\n%s", hideTokens(rc))
		}
		f.opens(t, repo, "Bearer "+token[1])
		pkg := project(t, map[string]any{"name": "logged-in", "version": "1.0.0"}, nil)
		h.run(t, pkg, npm, "publish")
		app := project(t, map[string]any{"name": "app", "version": "1.0.0"}, nil)
		h.run(t, app, npm, "install", "logged-in")
		if _, err := os.Stat(filepath.Join(app, "node_modules", "logged-in", "package.json")); err != nil {
			t.Error(err)
		}
	})
	t.Run("npm with a namespace leaves the other scopes alone", func(t *testing.T) {
		h := newLoginHome(t, f, awsPath)
		h.login(t, "npm", repo, "--namespace", "acme")
		if rc := readFile(t, h.dir, ".npmrc"); !strings.Contains(rc, "@acme:registry="+f.endpoint("npm", repo)+"\n") || strings.HasPrefix(rc, "registry=") {
			t.Errorf(".npmrc:\n%s", hideTokens(rc))
		}
	})
	t.Run("pip gets an address with the token in it", func(t *testing.T) {
		h := newLoginHome(t, f, awsPath)
		h.login(t, "pip", repo)
		index, err := url.Parse(strings.TrimSpace(h.run(t, h.dir, "pip", "config", "get", "global.index-url")))
		if err != nil {
			t.Fatal(err)
		}
		token, _ := index.User.Password()
		if index.User.Username() != "aws" || index.Host != host || index.Path != strings.TrimPrefix(f.endpoint("pypi", repo), f.URL)+"simple/" {
			t.Errorf("index-url %s", index.Redacted())
		}
		if strings.Contains(token, "%") || url.UserPassword("aws", token).String() != "aws:"+token {
			t.Error("the token needs escaping in an address (5.4.18)")
		}
		f.opens(t, repo, basic("aws", token))
	})
	t.Run("twine gets a section of .pypirc", func(t *testing.T) {
		h := newLoginHome(t, f, awsPath)
		h.login(t, "twine", repo)
		rc := readFile(t, h.dir, ".pypirc")
		found := regexp.MustCompile(`(?s)\[codeartifact\]\s+repository = (\S+)\s+username = (\S+)\s+password = (\S+)`).FindStringSubmatch(rc)
		if found == nil || found[1] != f.endpoint("pypi", repo) || found[2] != "aws" || !strings.Contains(rc, "index-servers") {
			t.Fatalf(".pypirc:\n%s", hideTokens(rc))
		}
		f.opens(t, repo, basic("aws", found[3]))
	})
	for tool, list := range map[string]string{"dotnet": "dotnet\tnuget\tlist\tsource\t--format\tdetailed", "nuget": "nuget\tsources\tlist\t-format\tdetailed"} {
		t.Run(tool+" gets a source, new or again", func(t *testing.T) {
			source, index := seedDomain+"/"+repo, f.endpoint("nuget", repo)+"v3/index.json"
			for _, known := range []bool{false, true} {
				h := newLoginHome(t, f, awsPath)
				answer, operation := "Registered Sources:\n", "add"
				if known {
					answer, operation = answer+"  1.  "+source+" [Enabled]\n      "+index, "update"
				}
				h.standIn(t, tool, answer)
				h.login(t, tool, repo)
				calls := h.calls(t)
				if len(calls) != 2 || calls[0] != list {
					t.Fatalf("calls %q", calls)
				}
				args := strings.Split(calls[1], "\t")
				if !slices.Contains(args, operation) || !slices.Contains(args, source) || !slices.Contains(args, index) && !known || !slices.Contains(args, "aws") {
					t.Errorf("called %q, want %s of %s at %s", hideTokens(calls[1]), operation, source, index)
				}
				at := slices.IndexFunc(args, func(a string) bool { return strings.EqualFold(strings.TrimLeft(a, "-"), "password") })
				f.opens(t, repo, basic("aws", args[at+1]))
			}
		})
	}
	t.Run("swift gets a .netrc entry and the login address", func(t *testing.T) {
		h := newLoginHome(t, f, awsPath)
		h.standIn(t, "swift", "")
		h.login(t, "swift", repo, "--namespace", "acme")
		base := f.endpoint("swift", repo)
		want := []string{"swift\tpackage-registry\tset\t" + base + "\t--scope\tacme", "swift\tpackage-registry\tlogin\t" + base + "login"}
		if calls := h.calls(t); !slices.Equal(calls, want) {
			t.Errorf("calls %q, want %q", calls, want)
		}
		name, _, _ := strings.Cut(host, ":")
		entry := regexp.MustCompile(`^machine (\S+) login token password (\S+)\s*$`).FindStringSubmatch(readFile(t, h.dir, ".netrc"))
		if entry == nil || entry[1] != name {
			t.Fatalf(".netrc: %q", hideTokens(readFile(t, h.dir, ".netrc")))
		}
		f.opens(t, repo, basic("token", entry[2]))
	})
}

// hideTokens makes a text fit for a message.
func hideTokens(s string) string {
	return regexp.MustCompile(`v4\.local\.[A-Za-z0-9._-]+`).ReplaceAllString(s, "TOKEN")
}
