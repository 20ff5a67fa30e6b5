package groups_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/groups"
)

// naive is a pattern as a regular expression, straight from codeartifact.md 3.7.
type naive struct {
	text           string
	strong, folded *regexp.Regexp
}

func newNaive(text string) naive {
	tails := map[byte]string{'$': ``, '~': `(?:[^\p{L}\p{N}\p{M}].*)?`, '*': `.*`}
	of := func(prefix string) *regexp.Regexp {
		return regexp.MustCompile(`\A(?s:` + regexp.QuoteMeta(prefix) + tails[text[len(text)-1]] + `)\z`)
	}
	prefix := text[:len(text)-1]
	return naive{text, of(prefix), of(groups.Fold(prefix))}
}

// contains tries paths that other matches, and some that it does not.
func (n naive) contains(other naive) bool {
	all, more := true, false
	for _, tail := range []string{"", "x", "-x", "-", "/x", ".", "x/x"} {
		for _, prefix := range []string{n.text[:len(n.text)-1], other.text[:len(other.text)-1]} {
			path := prefix + tail
			if other.strong.MatchString(path) && !n.strong.MatchString(path) {
				all = false
			}
			if n.strong.MatchString(path) && !other.strong.MatchString(path) {
				more = true
			}
		}
	}
	return all && more
}

// associate finds a path's group: it orders the candidates by the folded pattern's length, then strong ones first,
// then by how little they match.
func associate(list []naive, path string) (string, packhouse.PackageGroupAssociation) {
	type candidate struct {
		naive
		strong bool
	}
	var found []candidate
	for _, n := range list {
		if n.folded.MatchString(groups.Fold(path)) {
			found = append(found, candidate{n, n.strong.MatchString(path)})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		score := func(c candidate) int {
			s := 4 * len(groups.Fold(c.text[:len(c.text)-1]))
			if c.strong {
				s += 2
			}
			if strings.HasSuffix(c.text, "$") {
				s++
			}
			return s
		}
		if d := score(b) - score(a); d != 0 {
			return d
		}
		return strings.Compare(a.text, b.text)
	})
	if found[0].strong {
		return found[0].text, packhouse.AssociationStrong
	}
	return found[0].text, packhouse.AssociationWeak
}

var words = []string{"", "foo", "Foo", "fo0", "food", "foo-bar", "foo.bar", "foo_Bar", "foo--bar", "f", "bar", "fоo", "foo-", "-"}

// allPaths are the paths of all packages out of words.
func allPaths() (paths []string) {
	for _, namespace := range words {
		for _, name := range words[1:] {
			paths = append(paths, npm(namespace, name))
		}
	}
	return paths
}

var (
	anyWord    = rapid.SampledFrom(words)
	anyPattern = rapid.Custom(func(t *rapid.T) string {
		text := rapid.SampledFrom([]string{"/npm/", "/npm/" + anyWord.Draw(t, "namespace"), "/npm/" + anyWord.Draw(t, "namespace") + "/" + anyWord.Draw(t, "name")}).Draw(t, "text") +
			rapid.SampledFrom([]string{"*", "~", "$"}).Draw(t, "end")
		if _, err := groups.Parse(text, rules); err != nil {
			return "/npm/*"
		}
		return text
	})
)

func nameOf(path string) packhouse.PackageName {
	parts := strings.SplitN(path[1:], "/", 3)
	return packhouse.PackageName{Format: packhouse.FormatID(parts[0]), Namespace: parts[1], Name: parts[2]}
}

// Groups come and go, and their modes change. After each step every package's group, every
// parent and every effective mode is what a naive reading of codeartifact.md 3.7 says.
func TestSetAgainstNaiveTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anyMode := rapid.SampledFrom([]packhouse.RestrictionMode{packhouse.ModeInherit, packhouse.ModeAllow, packhouse.ModeBlock, packhouse.ModeAllowSpecific})
		modes := map[string]packhouse.RestrictionMode{packhouse.RootPattern: packhouse.ModeAllow}
		step := func() {
			text := anyPattern.Draw(t, "pattern")
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				delete(modes, text)
			} else {
				modes[text] = anyMode.Draw(t, "mode")
			}
		}
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			step()
		}
		var list []groups.Group
		var plain []naive
		for text, mode := range modes {
			p, err := groups.Parse(text, rules)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, groups.Group{Pattern: p, Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{packhouse.RestrictPublish: mode, packhouse.RestrictExternalUpstream: packhouse.ModeInherit},
				Allowed: map[packhouse.RestrictionType][]int64{packhouse.RestrictPublish: {7, 3}}})
			plain = append(plain, newNaive(text))
		}
		for i := range list {
			if list[i].Pattern.String() == packhouse.RootPattern {
				list[i].Modes[packhouse.RestrictExternalUpstream] = packhouse.ModeAllow
				list[i].Modes[packhouse.RestrictInternalUpstream] = packhouse.ModeBlock
			}
		}
		set := groups.NewSet(list)
		parents := map[string]string{}
		for _, n := range plain {
			best := ""
			for _, other := range plain {
				if other.contains(n) && len(other.text) > len(best) {
					best = other.text
				}
			}
			parents[n.text] = best
			got := ""
			if p := set.Parent(set.Find(n.text)); p != nil {
				got = p.Pattern.String()
			}
			if got != best {
				t.Fatalf("parent of %s is %q, want %q, of %v", n.text, got, best, modes)
			}
		}
		effective := func(text string) packhouse.RestrictionMode {
			for modes[text] == packhouse.ModeInherit {
				text = parents[text]
			}
			return modes[text]
		}
		for text, parent := range parents {
			if got, want := set.Effective(set.Find(text), packhouse.RestrictPublish).Mode, effective(text); got != want {
				t.Fatalf("%s is effectively %s, want %s", text, got, want)
			}
			var children []string
			for _, c := range set.Children(set.Find(text), "", 100) {
				children = append(children, c.Pattern.String())
			}
			var want []string
			for child, p := range parents {
				if p == text {
					want = append(want, child)
				}
			}
			slices.Sort(want)
			if !slices.Equal(children, want) {
				t.Fatalf("children of %s, a child of %q: %v, want %v", text, parent, children, want)
			}
		}
		for _, path := range allPaths() {
			r := set.Rule(nameOf(path))
			text, association := associate(plain, path)
			if r.Group().Pattern.String() != text || r.Association != association {
				t.Fatalf("%s belongs to %s %s, want %s %s", path, r.Group().Pattern, r.Association, text, association)
			}
			mode, strong := effective(text), association == packhouse.AssociationStrong
			if got, want := r.Allows(packhouse.RestrictPublish, 3), strong && mode != packhouse.ModeBlock; got != want {
				t.Fatalf("%s may be published to an allowed repository: %v, want %v (%s, %s)", path, got, want, mode, association)
			}
			if got, want := r.Allows(packhouse.RestrictPublish, 4), strong && mode == packhouse.ModeAllow; got != want {
				t.Fatalf("%s may be published to another repository: %v, want %v (%s, %s)", path, got, want, mode, association)
			}
			if r.Allows(packhouse.RestrictInternalUpstream, 3) || r.Open() {
				t.Fatalf("%s is open, although the root blocks", path)
			}
		}
	})
}

// MayFollow never skips a package of the group.
func TestMayFollowAgainstAllPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := []groups.Group{{Pattern: parse(t, packhouse.RootPattern)}}
		for _, text := range rapid.SliceOfNDistinct(anyPattern, 1, 8, rapid.ID[string]).Draw(t, "patterns") {
			list = append(list, groups.Group{Pattern: parse(t, text)})
		}
		set := groups.NewSet(list)
		g := set.Find(rapid.SampledFrom(list).Draw(t, "group").Pattern.String())
		from := groups.Fold(rapid.SampledFrom(allPaths()).Draw(t, "from"))
		next := set.MayFollow(g, from)
		if next != "" && next < from {
			t.Fatalf("from %s back to %s", from, next)
		}
		for _, path := range allPaths() {
			folded := groups.Fold(path)
			mine := set.Rule(nameOf(path)).Group() == g
			if mine && folded != from && folded > from && (next == "" || folded < next) {
				t.Fatalf("from %s one goes on at %q, past %s, which is of %s", from, next, path, g.Pattern)
			}
		}
	})
}

// Case 5.4.5 of codeartifact.md.
func TestVariantsAreWeak(t *testing.T) {
	set := groups.NewSet([]groups.Group{
		{Pattern: parse(t, "/*"), Modes: all(packhouse.ModeAllow)},
		{Pattern: parse(t, "/npm/*"), Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{packhouse.RestrictPublish: packhouse.ModeBlock}},
		{Pattern: parse(t, "/npm//anycompany-spicy-client$"), Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{
			packhouse.RestrictPublish: packhouse.ModeAllow, packhouse.RestrictExternalUpstream: packhouse.ModeBlock}},
	})
	for name, want := range map[string]packhouse.PackageGroupAssociation{
		"anycompany-spicy-client": packhouse.AssociationStrong, "AnyCompany-spicy-client": packhouse.AssociationWeak,
		"anycompany.spicy.client": packhouse.AssociationWeak,
	} {
		r := set.Rule(packhouse.PackageName{Format: "npm", Name: name})
		if r.Group().Pattern.String() != "/npm//anycompany-spicy-client$" || r.Association != want {
			t.Errorf("%s belongs to %s %s", name, r.Group().Pattern, r.Association)
		}
		if got := r.Allows(packhouse.RestrictPublish, 1); got != (want == packhouse.AssociationStrong) {
			t.Errorf("%s may be published: %v", name, got)
		}
		if r.Open() || r.Allows(packhouse.RestrictExternalUpstream, 1) {
			t.Errorf("%s may come from outside", name)
		}
	}
}

// A package that nobody ruled about may do nothing.
func TestZeroRulingAllowsNothing(t *testing.T) {
	var r groups.Ruling
	if r.Allows(packhouse.RestrictPublish, 1) || r.Open() || r.Group() != nil {
		t.Error("the zero ruling allows something")
	}
	if r := groups.NewSet(nil).Rule(packhouse.PackageName{Format: "npm", Name: "x"}); r.Allows(packhouse.RestrictPublish, 1) {
		t.Error("without a root everything is allowed")
	}
}

func all(mode packhouse.RestrictionMode) map[packhouse.RestrictionType]packhouse.RestrictionMode {
	m := map[packhouse.RestrictionType]packhouse.RestrictionMode{}
	for _, t := range packhouse.RestrictionTypes {
		m[t] = mode
	}
	return m
}

func BenchmarkRule(b *testing.B) {
	list := []groups.Group{{Pattern: parse(b, "/*"), Modes: all(packhouse.ModeAllow)}}
	for _, text := range []string{"/npm/*", "/npm//*", "/npm/acme~", "/npm/acme/*", "/npm/acme/web-*", "/npm/acme/web-app$"} {
		list = append(list, groups.Group{Pattern: parse(b, text)})
	}
	set := groups.NewSet(list)
	b.ReportAllocs()
	for b.Loop() {
		set.Rule(packhouse.PackageName{Format: "npm", Namespace: "acme", Name: "web-app"})
	}
}
