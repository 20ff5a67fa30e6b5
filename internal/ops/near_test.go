package ops

import (
	"errors"
	"testing"

	"github.com/packhouse/packhouse"
)

// user-experience.md 5: a NotFound names what was probably meant, and only what the caller
// may read.
func TestNearMisses(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	store := e.repo(d, "store")
	e.repo(d, "secret")
	name := func(namespace, name string) packhouse.PackageName {
		return packhouse.PackageName{Format: tagFormat, Namespace: namespace, Name: name}
	}
	for _, n := range []packhouse.PackageName{name("acme", "lodash"), name("", "express"), name("", "ab")} {
		e.publish(packhouse.PackageRef{Repo: store, Package: n}, "1.0.0", n.Name)
	}
	onlyStore := e.allowed("dana", `{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:codeartifact:*:*:*/main/store*"}`)
	for _, tt := range []struct {
		name string
		who  packhouse.Principal
		repo string
		pkg  packhouse.PackageName
		want string
	}{
		{"two letters of a package swapped", e.admin, "store", name("acme", "loadsh"), "lodash"},
		{"the namespace forgotten", e.admin, "store", name("", "lodash"), "lodash"},
		{"a slip in the namespace", e.admin, "store", name("acne", "lodash"), "lodash"},
		{"another package altogether", e.admin, "store", name("", "exit"), ""},
		{"one slip in a short name", e.admin, "store", name("", "abc"), "ab"},
		{"a shorter name has too many neighbours", e.admin, "store", name("", "ac"), ""},
		{"two letters of a repository swapped", e.admin, "stroe", name("", "x"), "store"},
		{"a repository that nothing is like", e.admin, "elsewhere", name("", "x"), ""},
		{"a repository that the caller may read", onlyStore, "stroe", name("", "x"), "store"},
		{"a repository that the caller may not read", onlyStore, "sercet", name("", "x"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ref := packhouse.RepoRef{Domain: d, Name: tt.repo}
			missing := repositoryNotFound(ref)
			if ref == store {
				missing = packageNotFound(packhouse.PackageRef{Repo: ref, Package: tt.pkg})
			}
			var got *packhouse.Error
			if err := e.s.suggest(e.ctx, tt.who, ref, tt.pkg, missing); !errors.As(err, &got) || got.Kind != packhouse.KindNotFound || got.Near != tt.want {
				t.Errorf("suggested %q in %v, want %q", got.Near, err, tt.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       int
	}{
		{"the same", "store", "store", 0},
		{"case is no slip", "Store", "store", 0},
		{"two neighbours swapped", "stroe", "store", 1},
		{"one letter left out", "stoe", "store", 1},
		{"one letter too much", "storee", "store", 1},
		{"one letter changed", "stare", "store", 1},
		{"two slips", "strae", "store", 2},
		{"three count as too many", "abc", "xyz", 3},
		{"lengths that differ too much", "a", "abcdef", 3},
		{"nothing", "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
				if got := distance(pair[0], pair[1], 2); got != tt.want {
					t.Errorf("distance of %q and %q is %d, want %d", pair[0], pair[1], got, tt.want)
				}
			}
		})
	}
}
