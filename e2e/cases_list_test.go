package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// caseListIsTrue checks the list of acceptance cases that a file of tests begins with: it
// names tests and scripts that are there, and every case from 1 to the last, each at the
// beginning of a line of its own.
func caseListIsTrue(t *testing.T, file string, last int) {
	t.Helper()
	list, _, found := strings.Cut(readFile(t, file), "\nfunc ")
	if !found {
		t.Fatal("there is no list")
	}
	for n := 1; n <= last; n++ {
		if !strings.Contains(list, fmt.Sprintf("\n//\t%2d  ", n)) {
			t.Errorf("there is no case %d", n)
		}
	}
	source := testSources(t)
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+|\w+\.txtar`).FindAllString(list, -1) {
		_, err := os.Stat(filepath.Join("testdata", "script", name))
		if err != nil && !strings.Contains(source, "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
}

// testSources is the text of all tests that a list of cases may name.
func testSources(t *testing.T) string {
	t.Helper()
	var tests strings.Builder
	for _, dir := range []string{".", "../internal"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				tests.WriteString(readFile(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tests.String()
}
