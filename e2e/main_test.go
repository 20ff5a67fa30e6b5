package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the path of the packhouse built for this run.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "packhouse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "packhouse")
	build := exec.Command("go", "build", "-o", binary, "../cmd/packhouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// client returns the path of a client, from the variable where the scripts that install
// clients put it, else from PATH. Without it the test is skipped, or fails where
// clients are required.
func client(t *testing.T, variable, name string) string {
	t.Helper()
	if p := os.Getenv(variable); variable != "" && p != "" {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") == "1" {
		t.Fatalf("%s is required here and not installed; run scripts/clients.sh", name)
	}
	t.Skipf("%s is not installed; run scripts/clients.sh", name)
	return ""
}
