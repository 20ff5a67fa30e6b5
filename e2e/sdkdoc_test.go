package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var runsBlock = regexp.MustCompile("(?s)<!-- runs: ([a-z]+) -->\n```[a-z]+\n(.*?)```")

// docs/sdks.md runs as it is written: a server that keeps nothing, and an example for
// each SDK against it, by the SDK itself (issue 4, 3).
func TestSDKDocRunsAsWritten(t *testing.T) {
	awsPath := client(t, "PACKHOUSE_AWS", "aws")
	python := client(t, "PACKHOUSE_PYTHON", "python3")
	node := client(t, "", "node")
	modules := os.Getenv("PACKHOUSE_SDK_JS")
	if _, err := os.Stat(filepath.Join(modules, "@aws-sdk", "client-codeartifact")); err != nil {
		if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") == "1" {
			t.Fatal("the JavaScript SDK is required here and not installed; run scripts/clients.sh")
		}
		t.Skip("the JavaScript SDK is not installed; run scripts/clients.sh")
	}
	text, err := os.ReadFile("../docs/sdks.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, m := range runsBlock.FindAllStringSubmatch(string(text), -1) {
		blocks[m[1]] = m[2]
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir, temp := t.TempDir(), t.TempDir()
	for name, block := range map[string]string{"example.go": "go", "example.py": "python", "example.mjs": "javascript"} {
		if blocks[block] == "" {
			t.Fatalf("docs/sdks.md has no block %s", block)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(blocks[block]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"node_modules": modules, "packhouse": binary} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	script := strings.Join([]string{
		blocks["start"], "trap 'kill $!' EXIT", blocks["aws"],
		python + " example.py", node + " example.mjs", "(cd " + root + " && go run " + dir + "/example.go)",
		"trap - EXIT", blocks["end"],
	}, "\n")
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(serverEnv(), "PATH="+dir+":"+filepath.Dir(awsPath)+":"+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"), "TMPDIR="+temp,
		"PACKHOUSE_LISTEN=127.0.0.1:0", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`"status": "Published"`,                               // AWS CLI
		"made arn:aws:codeartifact:us-east-1:", "found store", // Go
		"found docs notes", "refused repository", // Python
		"got release notes", // JavaScript
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
	if left, err := filepath.Glob(filepath.Join(temp, "packhouse-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
