package authz

import (
	"reflect"
	"strings"
)

// Holds reports whether whoever has s may do at least what other's identity policies
// allow within other's permissions boundary, so that giving other away gives nothing more than s (reliability.md S14). why
// names the statement that goes too far, "" if none does.
//
// It errs on the side of no: a statement of other must be contained in a single one of
// s, and of its boundary and its session's policies, which compares patterns and not what
// exists; what s denies must be denied by other as well unless the two are plainly about
// different things. Of a statement that is too wide, those of other's boundary count that
// are not plainly about something else.
func (s *Set) Holds(other *Set) (ok bool, why string) {
	if s == nil {
		s = &empty
	}
	denied := append(denials(other.Identity), denials(other.Boundary)...)
	for _, p := range other.Identity {
		for i := range p.statements {
			give := &p.statements[i]
			if !give.deny && !s.holds(give, denied) && !s.holdsWithin(give, other.Boundary, denied) {
				return false, give.why
			}
		}
	}
	return true, ""
}

// holds reports whether s allows everything that give allows.
func (s *Set) holds(give *statement, denied []*statement) bool {
	return holdsIn(s.Identity, give, denied) &&
		(len(s.Boundary) == 0 || holdsIn(s.Boundary, give, denied)) &&
		(len(s.Session) == 0 || holdsIn(s.Session, give, denied))
}

// holdsWithin reports whether s allows what a boundary leaves of give: all of the
// boundary's statements that may be about the same.
func (s *Set) holdsWithin(give *statement, boundary []*Policy, denied []*statement) bool {
	for _, p := range boundary {
		for i := range p.statements {
			limit := &p.statements[i]
			if !limit.deny && !limit.apart(give) && !s.holds(limit, denied) {
				return false
			}
		}
	}
	return len(boundary) > 0
}

func denials(policies []*Policy) []*statement {
	var all []*statement
	for _, p := range policies {
		for i := range p.statements {
			if p.statements[i].deny {
				all = append(all, &p.statements[i])
			}
		}
	}
	return all
}

// holdsIn reports whether the policies allow everything that give allows. denied are the
// denials that come with give.
func holdsIn(policies []*Policy, give *statement, denied []*statement) bool {
	held := false
	for _, p := range policies {
		for i := range p.statements {
			have := &p.statements[i]
			if !have.deny {
				held = held || have.contains(give)
				continue
			}
			if have.apart(give) {
				continue
			}
			kept := false
			for _, d := range denied {
				kept = kept || d.contains(have)
			}
			if !kept {
				return false
			}
		}
	}
	return held
}

// contains reports whether every request that other is about is one that s is about.
func (s *statement) contains(other *statement) bool {
	if s.callers != nil || other.callers != nil || s.notActions || s.notResources || len(s.needs) > 0 {
		return false
	}
	for i := range s.conditions {
		shared := false
		for j := range other.conditions {
			shared = shared || reflect.DeepEqual(s.conditions[i], other.conditions[j])
		}
		if !shared {
			return false
		}
	}
	everyAction, everyResource := false, false
	for i := range s.actions {
		everyAction = everyAction || s.actions[i].all()
	}
	for i := range s.resources {
		everyResource = everyResource || s.resources[i].all()
	}
	if !everyAction && (other.notActions || !eachWithin(other.actions, s.actions, (*glob).contains)) {
		return false
	}
	return everyResource || !other.notResources && eachWithin(other.resources, s.resources, (*arnGlob).contains)
}

// eachWithin reports whether every one of the inner patterns lies within one outer.
func eachWithin[G any](inner, outer []G, contains func(outer, inner *G) bool) bool {
	for i := range inner {
		within := false
		for o := range outer {
			within = within || contains(&outer[o], &inner[i])
		}
		if !within {
			return false
		}
	}
	return true
}

// apart reports whether no request can be one that both are about, as far as the
// beginnings of their patterns tell.
func (s *statement) apart(other *statement) bool {
	if !s.notActions && !other.notActions && allApart(s.actions, other.actions, (*glob).apart) {
		return true
	}
	return !s.notResources && !other.notResources && allApart(s.resources, other.resources, (*arnGlob).apart)
}

func allApart[G any](a, b []G, apart func(a, b *G) bool) bool {
	for i := range a {
		for j := range b {
			if !apart(&a[i], &b[j]) {
				return false
			}
		}
	}
	return len(a) > 0 && len(b) > 0
}

// all reports whether the pattern matches every text.
func (g *glob) all() bool { return g.pieces == nil && len(g.pattern) == 1 && g.pattern[0] == anyRun }

// contains reports whether every text that inner matches is one that g matches. A star
// in inner is only ever matched by a star, which stands for any text whatever.
func (g *glob) contains(inner *glob) bool {
	switch {
	case g.all():
		return true
	case g.pieces != nil || inner.pieces != nil:
		return false
	case g.pattern == inner.pattern:
		return g.fold == inner.fold
	case g.fold != inner.fold || strings.IndexByte(g.pattern, anyOne) >= 0 && strings.IndexByte(inner.pattern, anyRun) >= 0:
		return false
	}
	return matchPattern(g.pattern, g.fold, inner.pattern)
}

// apart reports whether the fixed beginnings of two patterns differ.
func (g *glob) apart(other *glob) bool {
	if g.pieces != nil || other.pieces != nil || g.fold != other.fold {
		return false
	}
	a, b := g.fixed(), other.fixed()
	n := min(len(a), len(b))
	return a[:n] != b[:n] || g.literal && len(a) < len(b) || other.literal && len(b) < len(a)
}

// fixed is the pattern up to its first wildcard.
func (g *glob) fixed() string {
	for i := range len(g.pattern) {
		if c := g.pattern[i]; c == anyRun || c == anyOne {
			return g.pattern[:i]
		}
	}
	return g.pattern
}

func (a *arnGlob) all() bool { return len(a.parts) == 1 && a.parts[0].all() }

// contains is glob.contains part by part.
func (a *arnGlob) contains(inner *arnGlob) bool {
	last := len(a.parts) - 1
	if len(inner.parts) < len(a.parts) {
		return false
	}
	for i := range last {
		if !a.parts[i].contains(&inner.parts[i]) {
			return false
		}
	}
	if len(inner.parts) > len(a.parts) {
		return a.parts[last].all()
	}
	return a.parts[last].contains(&inner.parts[last])
}

// apart reports whether some part of the two differs for certain.
func (a *arnGlob) apart(other *arnGlob) bool {
	for i := range min(len(a.parts), len(other.parts)) {
		// A last part that is a lone star stands for all that follow; it is apart from none.
		if a.parts[i].apart(&other.parts[i]) {
			return true
		}
	}
	return false
}
