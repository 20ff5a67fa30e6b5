package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var tourBlock = regexp.MustCompile("(?s)<!-- tour:[^\n]*-->\n```sh\n(.*?)```")

// The README's tour runs as it is written, line by line, with a public registry of our
// own behind the connection.
func TestReadmeTourRunsAsWritten(t *testing.T) {
	awsPath := client(t, "PACKHOUSE_AWS", "aws")
	client(t, "", "npm")
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := tourBlock.FindSubmatch(text)
	if block == nil {
		t.Fatal("README.md has no block marked as the tour")
	}
	up := newNPMRegistry(t, npmPackage{Name: "left-pad", Version: "1.3.0"})
	s := startServer(t, "--connection", "public:npmjs="+up.URL+"/")

	dir := t.TempDir() // stands in for the checkout: bin/packhouse and packhouse-data
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"bin/packhouse": binary, "packhouse-data": s.dataDir} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	// The tour's own folder moves below the test's, so that runs do not meet.
	script := strings.ReplaceAll(string(block[1]), "/tmp/packhouse-tour", filepath.Join(home, "tour"))
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(serverEnv(), "HOME="+home, "PATH="+filepath.Dir(awsPath)+":"+os.Getenv("PATH"),
		"AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "npm_config_audit=false", "npm_config_cache="+filepath.Join(home, "cache"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nserver:\n%s", err, out, tail(s.log.String(), 4000))
	}
	for _, want := range []string{`"package": "left-pad"`, `+ @acme/hello@1.0.0`, `"upstream": "BLOCK"`, `"status": "Archived"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour's output lacks %s:\n%s", want, out)
		}
	}
	if n := up.count("hello"); n != 1 {
		t.Errorf("the public registry was asked %d times for @acme/hello, want once, by the first publish", n)
	}
}
