package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script/*.txtar: what a user types, with the real binary and
// the real clients. Besides testscript's own commands there are:
//
//	serve [flags]      start a server; sets $URL, $DATA and the AWS variables
//	server-kill, server-stop   end it without and with warning; stop expects exit code 0
//	server-restart     start it again on the same data and address
//	upstream pkg...    start a public npm registry with packages name@version[:dep@range];
//	                   sets $UPSTREAM
//	upstream-signed pkg...   upstream with signatures, attestations and audits
//	upstream-heard N text    N questions of audits contained the text
//	upstream-date name@version AGO|none   when a version was published there, such as 2h ago
//	eventually PATTERN cmd...   run a command until its output matches, for half a minute
//	upstream-down, upstream-up
//	upstream-count N text    N requests so far contained the text
//	receiver [fail=N]  start a receiver of webhooks that refuses the first N requests; sets
//	                   $RECEIVER and $RECEIVER_HOST
//	receiver-secret stdout   what the receiver checks signatures with
//	receiver-got text...     wait until these events were taken, each operation and state
//	events-open N      wait until N streams of events are open
//	publish-provenance domain/repo name@version status [about name@version] [tampered] [huge]
//	                   publish with a provenance, which may be of something else
//	npmrc domain/repo [dir]  write the .npmrc of a fresh home for the repository; sets $TOKEN
//
// aws, npm and packhouse run as commands of their own (exec aws …), and where they are
// installed npm-8, npm-10 and pnpm-10.
func TestScripts(t *testing.T) {
	runScripts(t, client(t, "PACKHOUSE_AWS", "aws"), "*")
}

// The scripts about the CodeArtifact API with version 2 of the aws command, without those
// that publish generic packages or set up package groups, which 2.9 cannot.
func TestScriptsWithAWSVersion2(t *testing.T) {
	awsPath := addressedAWS(t, client(t, "PACKHOUSE_AWS_V2", "aws-v2"), t.TempDir())
	runScripts(t, awsPath, "control_plane", "lifecycle", "one_repository", "policies")
}

// runScripts runs the scripts of these names with an aws command.
func runScripts(t *testing.T, awsPath string, names ...string) {
	var files []string
	for _, name := range names {
		found, err := filepath.Glob("testdata/script/" + name + ".txtar")
		if err != nil || len(found) == 0 {
			t.Fatalf("no script %s, %v", name, err)
		}
		files = append(files, found...)
	}
	npmPath := client(t, "", "npm")
	current := os.Getenv("PACKHOUSE_NPM_CURRENT")
	if current == "" {
		current = npmPath
	}
	// Further clients, by the variable with their path, which scripts see too.
	further := map[string]string{"npm-8": "PACKHOUSE_NPM_8", "npm-10": "PACKHOUSE_NPM_10", "pnpm-10": "PACKHOUSE_PNPM_10"}
	for name, variable := range further {
		if os.Getenv(variable) == "" && os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%s is required here and not installed; run scripts/clients.sh", name)
		}
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			bin := filepath.Join(e.WorkDir, ".bin")
			home := filepath.Join(e.WorkDir, ".home")
			for _, dir := range []string{bin, home} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
			}
			for name, target := range map[string]string{"packhouse": binary, "aws": awsPath, "npm": npmPath, "npm-current": current} {
				// A wrapper, not a link: npm and aws find their files beside their own path.
				text := "#!/bin/sh\nexec " + shellQuote(target) + ` "$@"` + "\n"
				if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
					return err
				}
			}
			e.Setenv("PACKHOUSE_NPM_CURRENT", current)
			for name, variable := range further {
				target := os.Getenv(variable)
				if target == "" {
					continue
				}
				e.Setenv(variable, target)
				if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nexec "+shellQuote(target)+` "$@"`+"\n"), 0o755); err != nil {
					return err
				}
			}
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOME", home)
			e.Setenv("AWS_PAGER", "")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("npm_config_update_notifier", "false")
			e.Setenv("npm_config_audit", "false")
			e.Setenv("npm_config_fund", "false")
			e.Setenv("npm_config_fetch_retries", "0") // a refused upstream answers at once
			e.Values[stateKey{}] = &scriptState{t: e.T().(fatalT)}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe, "server-kill": cmdKill, "server-stop": cmdStop, "server-restart": cmdRestart,
			"upstream": cmdUpstream, "upstream-down": cmdUpstreamDown, "upstream-up": cmdUpstreamUp,
			"upstream-date": cmdUpstreamDate, "eventually": cmdEventually,
			"upstream-count": cmdUpstreamCount, "npmrc": cmdNpmrc,
			"browser": cmdBrowser, "otp": cmdOTP, "hidden": cmdHidden,
			"receiver": cmdReceiver, "receiver-secret": cmdReceiverSecret, "receiver-got": cmdReceiverGot, "events-open": cmdEventsOpen,
			"upstream-signed": cmdUpstreamSigned, "upstream-heard": cmdUpstreamHeard, "publish-provenance": cmdPublishProvenance,
		},
	})
}

// fatalT is what the helpers of this package need of a script's T.
type fatalT interface{ testscript.T }

// stateKey finds a script's state among its values.
type stateKey struct{}

// scriptState is what one script has running.
type scriptState struct {
	t        fatalT
	server   *server
	upstream *npmRegistry
	signed   *signedRegistry // upstream, where it vouches for its packages
	receiver *receiver
}

func state(ts *testscript.TestScript) *scriptState { return ts.Value(stateKey{}).(*scriptState) }

// scriptTB lets helpers that want a testing.TB run inside a script: a failure ends the
// script.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (s scriptTB) Helper()                        {}
func (s scriptTB) Cleanup(f func())               { s.ts.Defer(f) }
func (s scriptTB) Fatal(args ...any)              { s.ts.Fatalf("%s", fmt.Sprint(args...)) }
func (s scriptTB) Fatalf(format string, a ...any) { s.ts.Fatalf(format, a...) }
func (s scriptTB) Errorf(format string, a ...any) { s.ts.Fatalf(format, a...) }

func cmdServe(ts *testscript.TestScript, _ bool, args []string) {
	st := state(ts)
	st.server = &server{t: scriptTB{ts: ts}, dataDir: ts.MkAbs("data"), args: args, addr: "127.0.0.1:0"}
	ts.Defer(st.server.kill)
	st.server.start()
	id, secret := st.server.profile()
	for k, v := range map[string]string{
		"URL": st.server.URL, "DATA": st.server.dataDir, "PACKHOUSE_DATA_DIR": st.server.dataDir, "PACKHOUSE_URL": st.server.URL,
		"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
		"AWS_ENDPOINT_URL_CODEARTIFACT": st.server.URL,
	} {
		ts.Setenv(k, v)
	}
}

func cmdKill(ts *testscript.TestScript, _ bool, _ []string) { state(ts).server.kill() }

func cmdStop(ts *testscript.TestScript, _ bool, _ []string) {
	if code := state(ts).server.stop(); code != 0 {
		ts.Fatalf("the server ended with exit code %d:\n%s", code, state(ts).server.log.String())
	}
}

func cmdRestart(ts *testscript.TestScript, _ bool, _ []string) { state(ts).server.start() }

func cmdUpstream(ts *testscript.TestScript, _ bool, args []string) {
	var packages []npmPackage
	for _, a := range args {
		spec, deps, _ := strings.Cut(a, ":")
		at := strings.LastIndexByte(spec, '@')
		p := npmPackage{Name: spec[:at], Version: spec[at+1:], Files: map[string]string{"index.js": "module.exports = " + fmt.Sprintf("%q", spec)}}
		if deps != "" {
			at := strings.LastIndexByte(deps, '@')
			p.Manifest = map[string]any{"dependencies": map[string]string{deps[:at]: deps[at+1:]}}
		}
		packages = append(packages, p)
	}
	st := state(ts)
	st.upstream = newNPMRegistry(scriptTB{ts: ts}, packages...)
	ts.Setenv("UPSTREAM", st.upstream.URL+"/")
}

func cmdUpstreamDown(ts *testscript.TestScript, _ bool, _ []string) { state(ts).upstream.setDown(true) }
func cmdUpstreamUp(ts *testscript.TestScript, _ bool, _ []string)   { state(ts).upstream.setDown(false) }

func cmdUpstreamCount(ts *testscript.TestScript, neg bool, args []string) {
	got := fmt.Sprint(state(ts).upstream.count(args[1]))
	if (got == args[0]) == neg {
		ts.Fatalf("the upstream got %s requests with %q, want %s", got, args[1], args[0])
	}
}

func cmdNpmrc(ts *testscript.TestScript, _ bool, args []string) {
	s := state(ts).server
	domain, repo, _ := strings.Cut(args[0], "/")
	base := s.base("npm", domain, repo)
	token := s.token(domain)
	ts.Setenv("TOKEN", token)
	text := fmt.Sprintf("registry=%s\n%s:_authToken=%s\ncache=%s\n", base, strings.TrimPrefix(base, "http:"), token, ts.MkAbs(".npm-cache-"+repo))
	dir := ts.Getenv("HOME")
	if len(args) > 1 {
		dir = ts.MkAbs(args[1])
	}
	ts.Check(os.WriteFile(filepath.Join(dir, ".npmrc"), []byte(text), 0o600))
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
