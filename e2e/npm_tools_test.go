package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// npmTool is a client that speaks npm's protocol, run as its users run it.
type npmTool struct {
	name     string // "yarn4"
	variable string // names its path; "" for the machine's own
	publish  [][]string
	install  []string
	add      []string // the packages' names follow
	lock     string
	// plain reports that the lock file holds the archive's own sum; Yarn 4 has one of the
	// zip file that it makes of the archive.
	plain bool
}

// npmTools are all clients of npm.md. Those that refuse to change a lock file in CI are
// told that they may.
var npmTools = []npmTool{
	npmTool{name: "npm8", variable: "PACKHOUSE_NPM_8"}.likeNPM(),
	npmTool{name: "npm10", variable: "PACKHOUSE_NPM_10"}.likeNPM(),
	npmTool{name: "npm"}.likeNPM(),
	npmTool{name: "npm12", variable: "PACKHOUSE_NPM_CURRENT"}.likeNPM(),
	npmTool{name: "pnpm10", variable: "PACKHOUSE_PNPM_10"}.likePNPM(),
	npmTool{name: "pnpm12", variable: "PACKHOUSE_PNPM_12"}.likePNPM(),
	{name: "yarn1", variable: "PACKHOUSE_YARN_1", lock: "yarn.lock", plain: true,
		publish: [][]string{{"publish", "--non-interactive"}}, install: []string{"install", "--non-interactive"}, add: []string{"add", "--non-interactive"}},
	{name: "yarn4", variable: "PACKHOUSE_YARN_4", lock: "yarn.lock",
		publish: [][]string{{"install"}, {"npm", "publish"}}, install: []string{"install"}, add: []string{"add"}},
	{name: "bun", variable: "PACKHOUSE_BUN", lock: "bun.lock", plain: true,
		publish: [][]string{{"publish"}}, install: []string{"install"}, add: []string{"add"}},
}

func (c npmTool) likeNPM() npmTool {
	c.lock, c.plain = "package-lock.json", true
	c.publish, c.install, c.add = [][]string{{"publish"}}, []string{"install"}, []string{"install"}
	return c
}

func (c npmTool) likePNPM() npmTool {
	c.lock, c.plain = "pnpm-lock.yaml", true
	c.publish, c.install, c.add = [][]string{{"publish", "--no-git-checks"}}, []string{"install", "--no-frozen-lockfile"}, []string{"add"}
	return c
}

// tool returns a client by name.
func tool(t testing.TB, name string) npmTool {
	t.Helper()
	for _, c := range npmTools {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("there is no client %s", name)
	return npmTool{}
}

// installedTools are the clients that this machine has; where clients are required, all.
func installedTools(t *testing.T) (list []npmTool) {
	t.Helper()
	for _, c := range npmTools {
		if _, err := os.Stat(os.Getenv(c.variable)); c.variable != "" && err != nil && os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") != "1" {
			continue
		}
		client(t, c.variable, c.command())
		list = append(list, c)
	}
	return list
}

// command is what the client is called in PATH. One with a pinned version has a name of
// ours that is not there: another version is not meant.
func (c npmTool) command() string { return c.name }

// run runs the client in a folder, with nothing of this process's environment but PATH,
// and returns all that it printed.
func (c npmTool) run(t *testing.T, home, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(client(t, c.variable, c.command()), args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, toolEnv...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// must is run for a command that has to succeed.
func (c npmTool) must(t *testing.T, home, dir string, args ...string) string {
	t.Helper()
	out, err := c.run(t, home, dir, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", c.name, strings.Join(args, " "), err, out)
	}
	return out
}

var toolEnv = []string{
	"npm_config_update_notifier=false", "npm_config_audit=false", "npm_config_fund=false", "npm_config_fetch_retries=0",
	"YARN_ENABLE_IMMUTABLE_INSTALLS=false", "YARN_ENABLE_TELEMETRY=false", "YARN_HTTP_RETRY=0",
	"YARN_NODE_LINKER=node-modules", "DO_NOT_TRACK=1",
}

// toolHome makes a home in which every client uses a repository with a token.
func toolHome(t testing.TB, base, token string) string {
	t.Helper()
	home := t.TempDir()
	writeFiles(t, home, map[string]string{
		// The last key is Yarn 1's, which else sends no token for names without a scope (npm.md 3).
		".npmrc": fmt.Sprintf("registry=%s\n%[2]s:_authToken=%[3]s\n%[2]s:always-auth=true\n", base, strings.TrimPrefix(base, "http:"), token),
		".yarnrc.yml": fmt.Sprintf("npmRegistryServer: %q\nnpmAuthToken: %q\nnpmAlwaysAuth: true\n"+
			"unsafeHttpWhitelist: [\"127.0.0.1\"]\nnpmMinimalAgeGate: 0\n", base, token),
	})
	return home
}

// project makes a folder with a package.json and further files. The empty lock file tells
// Yarn 4 that a project begins here.
func project(t testing.TB, manifest map[string]any, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"package.json": string(text), "yarn.lock": ""})
	writeFiles(t, dir, files)
	return dir
}

// app is a project that depends on packages.
func app(t testing.TB, dependencies map[string]string) string {
	t.Helper()
	return project(t, map[string]any{"name": "app", "version": "1.0.0", "private": true, "license": "MIT", "dependencies": dependencies}, nil)
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t testing.TB, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
