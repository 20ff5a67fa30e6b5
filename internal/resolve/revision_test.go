package resolve_test

import (
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/resolve"
)

func TestRevisionName(t *testing.T) {
	name := packhouse.PackageName{Format: "f", Namespace: "ab", Name: "c"}
	asset := func(n string, d byte) packhouse.Asset {
		return packhouse.Asset{Name: n, Digest: packhouse.Digest{d}}
	}
	two := []packhouse.Asset{asset("a", 1), asset("b", 2)}
	base := resolve.RevisionName(name, "1", two, []byte("m"))
	if len(base) != 44 {
		t.Fatalf("name %q has %d characters, want 44 (codeartifact.md 2.6)", base, len(base))
	}
	same := []packhouse.Asset{asset("b", 2), asset("a", 1)}
	same[0].Size, same[0].MediaType, same[1].Hashes.MD5 = 9, "text/plain", "00"
	if got := resolve.RevisionName(name, "1", same, []byte("m")); got != base {
		t.Error("order, sizes, media types or further hashes of assets changed the name")
	}
	if same[0].Name != "b" {
		t.Error("the caller's slice was reordered")
	}
	for what, other := range map[string]string{
		"another version":                resolve.RevisionName(name, "2", two, []byte("m")),
		"another manifest":               resolve.RevisionName(name, "1", two, []byte("n")),
		"no manifest":                    resolve.RevisionName(name, "1", two, nil),
		"another digest":                 resolve.RevisionName(name, "1", []packhouse.Asset{asset("a", 1), asset("b", 3)}, []byte("m")),
		"one asset less":                 resolve.RevisionName(name, "1", two[:1], []byte("m")),
		"another asset name":             resolve.RevisionName(name, "1", []packhouse.Asset{asset("a", 1), asset("c", 2)}, []byte("m")),
		"letters moved over a boundary":  resolve.RevisionName(packhouse.PackageName{Format: "f", Namespace: "a", Name: "bc"}, "1", two, []byte("m")),
		"version moved into the package": resolve.RevisionName(packhouse.PackageName{Format: "f", Namespace: "ab", Name: "c1"}, "", two, []byte("m")),
	} {
		if other == base {
			t.Errorf("%s has the same revision name", what)
		}
	}
}
