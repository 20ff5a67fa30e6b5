package arch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/config"
)

var (
	namedTest = regexp.MustCompile("`([a-z0-9/]+):((?:Test|Fuzz|test)\\w+)`")
	aSetting  = regexp.MustCompile("`((?:limits|memory)\\.[a-z_]+)`")
)

// TestSecurityRulesAreHeld: docs/security-rules.md has a row for each rule, and the tests
// and settings that it names exist, so that it cannot rot.
func TestSecurityRulesAreHeld(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/security-rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 50; n++ {
		if row := fmt.Sprintf("\n| S%d | ", n); strings.Count(string(text), row) != 1 {
			t.Errorf("rule S%d has %d rows, want 1", n, strings.Count(string(text), row))
		}
	}
	tests := namedTest.FindAllStringSubmatch(string(text), -1)
	if len(tests) < 100 {
		t.Errorf("only %d tests are named", len(tests))
	}
	for _, m := range tests {
		if folder := testFolder(m[1]); !declares(t, folder, m[2]) {
			t.Errorf("docs/security-rules.md names %s, which %s does not have", m[2], folder)
		}
	}
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Key] = true
	}
	for _, m := range aSetting.FindAllStringSubmatch(string(text), -1) {
		if !known[m[1]] {
			t.Errorf("docs/security-rules.md names the setting %s, which does not exist", m[1])
		}
	}
}

func testFolder(name string) string {
	if name == "e2e" {
		return name
	}
	return "internal/" + name
}

// declares reports whether a Go file of a folder has the function.
func declares(t *testing.T, folder, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+function+"(") {
			return true
		}
	}
	return false
}
