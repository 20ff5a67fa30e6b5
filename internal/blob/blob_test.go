package blob_test

import (
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
)

// S3: whatever is valid has no part that a file system would take for more than a name.
func FuzzKeyValid(f *testing.F) {
	for _, seed := range []string{"", "ab", "a/b-1", "/a", "a/", "a//b", "..", "a/./b", "A", "a\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !blob.Key(s).Valid() {
			return
		}
		if len(s) > blob.MaxKeyLength || strings.Trim(s, "0123456789abcdef-/") != "" {
			t.Errorf("%q is valid", s)
		}
		for part := range strings.SplitSeq(s, "/") {
			if part == "" {
				t.Errorf("%q is valid with an empty part", s)
			}
		}
	})
}
