package groups

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// Group is a package group with what was set for it.
type Group struct {
	ID      int64
	Pattern Pattern
	// Modes are what was set; a type that is missing is inherited. The root inherits
	// nothing.
	Modes map[packhouse.RestrictionType]packhouse.RestrictionMode
	// Allowed are the ids of the repositories that the group itself allows, in any order,
	// where its mode is ModeAllowSpecific.
	Allowed map[packhouse.RestrictionType][]int64
	Created time.Time
}

// Effective is what comes of a group's mode and those of its ancestors.
type Effective struct {
	Mode packhouse.RestrictionMode // never ModeInherit
	From *Group                    // the group that it comes from
	// Repositories are the ids of those that are allowed where Mode is ModeAllowSpecific;
	// shared, not to be changed.
	Repositories []int64
}

// Set is the package groups of one domain. It never changes.
type Set struct {
	list    []node // by pattern
	byText  map[string]*node
	byFold  map[string][]*node // by folded prefix
	lengths []int              // of folded prefixes, in bytes, longest first
}

// node is a group with its place in the hierarchy.
type node struct {
	Group
	parent    *node
	children  []*node // by pattern
	effective map[packhouse.RestrictionType]Effective
	open      bool // all effective modes are ModeAllow
}

// NewSet makes the set of a domain's groups, the root among them. The patterns differ.
func NewSet(list []Group) *Set {
	s := &Set{list: make([]node, len(list)), byText: make(map[string]*node, len(list)), byFold: make(map[string][]*node, len(list))}
	for i := range list {
		s.list[i].Group = list[i]
	}
	slices.SortFunc(s.list, func(a, b node) int { return strings.Compare(a.Pattern.text, b.Pattern.text) })
	byPrefix := make(map[string][]*node, len(list)) // as written
	for i := range s.list {
		n := &s.list[i]
		s.byText[n.Pattern.text] = n
		byPrefix[n.Pattern.prefix] = append(byPrefix[n.Pattern.prefix], n)
		s.byFold[n.Pattern.folded] = append(s.byFold[n.Pattern.folded], n)
	}
	s.lengths = lengths(s.byFold)
	long := lengths(byPrefix)
	for i := range s.list {
		n := &s.list[i]
		if n.parent = parentOf(n, byPrefix, long); n.parent != nil {
			n.parent.children = append(n.parent.children, n)
		}
	}
	for i := range s.list {
		s.list[i].inherit()
	}
	return s
}

// lengths returns the different lengths of keys, longest first.
func lengths(m map[string][]*node) []int {
	var out []int
	for k := range m {
		out = append(out, len(k))
	}
	slices.SortFunc(out, func(a, b int) int { return b - a })
	return slices.Compact(out)
}

// parentOf finds the most specific other group that contains the group. Those that contain
// it have prefixes of its prefix, each of another length.
func parentOf(n *node, byPrefix map[string][]*node, lengths []int) *node {
	prefix := n.Pattern.prefix
	for _, l := range lengths {
		if l > len(prefix) {
			continue
		}
		for _, other := range byPrefix[prefix[:l]] {
			if other.Pattern.Contains(n.Pattern) {
				return other
			}
		}
	}
	return nil
}

// inherit works out the effective modes of the group and, first, of its ancestors.
func (n *node) inherit() {
	if n.effective != nil {
		return
	}
	if n.parent != nil {
		n.parent.inherit()
	}
	n.effective = make(map[packhouse.RestrictionType]Effective, len(packhouse.RestrictionTypes))
	n.open = true
	for _, t := range packhouse.RestrictionTypes {
		mode, set := n.Modes[t]
		var e Effective
		switch {
		case set && mode != packhouse.ModeInherit:
			e = Effective{Mode: mode, From: &n.Group}
			if mode == packhouse.ModeAllowSpecific {
				e.Repositories = slices.Clone(n.Allowed[t])
				slices.Sort(e.Repositories)
			}
		case n.parent != nil:
			e = n.parent.effective[t]
		default: // a root that inherits, which nobody can make
			e = Effective{Mode: packhouse.ModeBlock, From: &n.Group}
		}
		n.effective[t] = e
		n.open = n.open && e.Mode == packhouse.ModeAllow
	}
}

// Len returns how many groups there are.
func (s *Set) Len() int { return len(s.list) }

// Find returns the group with a pattern, nil for none.
func (s *Set) Find(pattern string) *Group {
	if n := s.byText[pattern]; n != nil {
		return &n.Group
	}
	return nil
}

// Parent returns the most specific other group that contains the group; nil for the root.
func (s *Set) Parent(g *Group) *Group {
	if n := s.byText[g.Pattern.text]; n != nil && n.parent != nil {
		return &n.parent.Group
	}
	return nil
}

// Effective returns what comes of a group's mode.
func (s *Set) Effective(g *Group, t packhouse.RestrictionType) Effective {
	return s.byText[g.Pattern.text].effective[t]
}

// WithPrefix returns at most limit groups whose patterns begin with prefix and come behind
// the pattern after, by pattern.
func (s *Set) WithPrefix(prefix, after string, limit int) []*Group {
	at := func(text string) int {
		i, _ := slices.BinarySearchFunc(s.list, text, func(n node, text string) int { return strings.Compare(n.Pattern.text, text) })
		return i
	}
	var out []*Group
	for i := max(at(prefix), at(after)); i < len(s.list) && len(out) < limit; i++ {
		g := &s.list[i].Group
		if !strings.HasPrefix(g.Pattern.text, prefix) {
			break
		}
		if g.Pattern.text > after {
			out = append(out, g)
		}
	}
	return out
}

// Children returns at most limit direct children of a group that come behind the pattern
// after, by pattern.
func (s *Set) Children(g *Group, after string, limit int) []*Group {
	children := s.byText[g.Pattern.text].children
	i, found := slices.BinarySearchFunc(children, after, func(n *node, text string) int { return strings.Compare(n.Pattern.text, text) })
	if found {
		i++
	}
	var out []*Group
	for _, n := range children[i:min(len(children), i+limit)] {
		out = append(out, &n.Group)
	}
	return out
}

// Ruling is what the groups of a domain say of one package. The zero value allows nothing.
type Ruling struct {
	n *node
	// Association says how the package belongs to its group.
	Association packhouse.PackageGroupAssociation
}

// Rule finds the group of a package: of those whose pattern matches weakly the one with the
// longest folded pattern, among its variants one that matches strongly, and among those the
// narrowest. Source: codeartifact.md 3.7, matching.
func (s *Set) Rule(n packhouse.PackageName) Ruling {
	if len(s.list) == 1 && s.list[0].Pattern.text == packhouse.RootPattern { // as in most domains
		return Ruling{&s.list[0], packhouse.AssociationStrong}
	}
	path := PathOf(n)
	return s.rule(path, Fold(path))
}

func (s *Set) rule(path, folded string) Ruling {
	var best Ruling
	for _, l := range s.lengths {
		if l > len(folded) {
			continue
		}
		for _, n := range s.byFold[folded[:l]] {
			if !n.Pattern.Weak(folded) {
				continue
			}
			r := Ruling{n, packhouse.AssociationWeak}
			if n.Pattern.Strong(path) {
				r.Association = packhouse.AssociationStrong
			}
			if best.n == nil || r.precedes(best) {
				best = r
			}
		}
		if best.n != nil {
			break
		}
	}
	return best
}

// precedes orders two rulings whose folded patterns have the same length. Of those that
// match a path as they are, "$" matches less than "~" and "*".
func (r Ruling) precedes(other Ruling) bool {
	if r.Association != other.Association {
		return r.Association == packhouse.AssociationStrong
	}
	a, b := r.n.Pattern, other.n.Pattern
	if (a.end == '$') != (b.end == '$') {
		return a.end == '$'
	}
	return a.text < b.text
}

// Group returns the package's group; nil for the zero value.
func (r Ruling) Group() *Group {
	if r.n == nil {
		return nil
	}
	return &r.n.Group
}

// Allows reports whether a package may enter a repository in one of the ways. A package
// that only resembles its group may not.
func (r Ruling) Allows(t packhouse.RestrictionType, repoID int64) bool {
	if r.Association != packhouse.AssociationStrong {
		return false
	}
	switch e := r.n.effective[t]; e.Mode {
	case packhouse.ModeAllow:
		return true
	case packhouse.ModeAllowSpecific:
		_, ok := slices.BinarySearch(e.Repositories, repoID)
		return ok
	}
	return false
}

// Open reports whether the groups say nothing against the package anywhere.
func (r Ruling) Open() bool { return r.Association == packhouse.AssociationStrong && r.n.open }

// MayFollow returns the least folded path, not before folded, from which on packages of
// the group may be found; folded itself where that cannot be told from it. It is "" when
// there are none. Folded paths are ordered by their bytes.
func (s *Set) MayFollow(g *Group, folded string) string {
	rest, inside := strings.CutPrefix(folded, g.Pattern.folded)
	if !inside {
		if folded < g.Pattern.folded {
			return g.Pattern.folded
		}
		return ""
	}
	if !g.Pattern.Weak(folded) {
		return behind(g.Pattern.folded, rest) // its word goes on with the same character
	}
	for _, l := range s.lengths {
		if l <= len(g.Pattern.folded) {
			break
		}
		if l > len(folded) {
			continue
		}
		for _, n := range s.byFold[folded[:l]] {
			switch {
			case n.Pattern.end == '*':
				return successor(folded[:l]) // a narrower group has all that begins like this
			case n.Pattern.end == '~' && l < len(folded) && n.Pattern.Weak(folded):
				return behind(folded[:l], folded[l:])
			}
		}
	}
	return folded
}

// behind returns the least path behind all that begin with prefix and the first character
// of rest.
func behind(prefix, rest string) string {
	_, size := utf8.DecodeRuneInString(rest)
	return successor(prefix + rest[:size])
}

// With returns the set with one group more, unless there is one with its pattern.
func (s *Set) With(g Group) *Set {
	if s.Find(g.Pattern.text) != nil {
		return s
	}
	list := []Group{g}
	for i := range s.list {
		list = append(list, s.list[i].Group)
	}
	return NewSet(list)
}
