package fileblob_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mayMakeDurable lists the folders, below the module, whose code may rename, link and
// sync files, each with its reason.
var mayMakeDurable = map[string]string{
	"internal/blob/fileblob": "objects",
	"internal/keys/local":    "the key file, which is rewritten whole",
	"internal/catalog":       "the database file and its neighbours",
	"internal/server":        "the credentials that the first start writes",
	"bench":                  "the bare server that figures are compared with",
	"internal/format/npm":    "the user's own client settings, which login rewrites",
}

var durableCall = regexp.MustCompile(`\b(os|root|unix|syscall)\.(Rename|Renameat2?|Link|Linkat|Fsync|Fdatasync)\(|\b(f|file|d|dir|tmp|temp|temporary)\.Sync\(`)

// R2: order is kept in few places, so that it can be proved there.
func TestOnlyListedPackagesRenameLinkAndSync(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	if err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules" || e.Name() == "testdata") && name != root {
			return filepath.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		folder, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for number, line := range strings.Split(string(source), "\n") {
			if code, _, _ := strings.Cut(line, "//"); durableCall.MatchString(code) {
				found[filepath.ToSlash(folder)] = true
				if mayMakeDurable[filepath.ToSlash(folder)] == "" {
					t.Errorf("%s/%s:%d: %s", folder, filepath.Base(name), number+1, strings.TrimSpace(line))
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !found["internal/blob/fileblob"] || !found["internal/keys/local"] {
		t.Error("the pattern does not find the calls that are known to be there")
	}
}
