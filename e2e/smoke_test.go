package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// The one test that leaves the machine: a small tree from the public npm registry, whose
// address is what this machine's npm is set to, through two levels of repositories into
// an empty cache; and again from Packhouse alone.
func TestSmokePublicNPMRegistry(t *testing.T) {
	npm := client(t, "", "npm")
	if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") != "1" {
		t.Skip("asks the public registry; set PACKHOUSE_REQUIRE_CLIENTS=1")
	}
	address, err := exec.Command(npm, "config", "get", "registry").Output()
	if err != nil || strings.TrimSpace(string(address)) == "" {
		t.Fatalf("npm has no registry to ask: %v", err)
	}
	s := startServer(t) // finds the address by itself
	makeStore(t, s, "main", "public")
	if _, err := s.sdk().AssociateExternalConnection(context.Background(), &codeartifact.AssociateExternalConnectionInput{
		Domain: aws.String("main"), Repository: aws.String("public"), ExternalConnection: aws.String("public:npmjs")}); err != nil {
		t.Fatal(err)
	}
	makeStore(t, s, "main", "store", "public")

	app := t.TempDir()
	manifest, err := json.Marshal(map[string]any{"name": "smoke", "version": "1.0.0", "private": true,
		"dependencies": map[string]string{"debug": "4.3.4", "semver": "7.6.0", "chalk": "4.1.2", "minimatch": "9.0.3", "@babel/code-frame": "7.23.5", "glob": "7.2.3", "yargs": "17.7.2"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "package.json"), manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	base := s.base("npm", "main", "store")
	install := func(args ...string) {
		t.Helper()
		home := t.TempDir()
		rc := "registry=" + base + "\n" + strings.TrimPrefix(base, "http:") + ":_authToken=" + s.token("main") + "\naudit=false\nfund=false\n"
		if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte(rc), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(app, "node_modules")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(npm, args...)
		cmd.Dir = app
		cmd.Env = append(serverEnv(), "HOME="+home, "npm_config_userconfig="+filepath.Join(home, ".npmrc"), "npm_config_cache="+filepath.Join(home, "cache"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("npm %v: %v\n%s\nserver:\n%s", args, err, out, tail(s.log.String(), 4000))
		}
	}
	install("install")
	lock, err := os.ReadFile(filepath.Join(app, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Count(string(lock), `"resolved": "`+base)
	if total := strings.Count(string(lock), `"resolved":`); packages != total || packages < 25 {
		t.Fatalf("%d of %d packages were resolved through Packhouse, want all of at least 25", packages, total)
	}

	// Everything again with the public registry out of reach.
	s.stop()
	s.args = append(s.args, "--connection", "public:npmjs=http://127.0.0.1:9/")
	s.start()
	base = s.base("npm", "main", "store")
	install("ci")
	install("install", "--prefer-online")
}
