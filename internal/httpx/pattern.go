package httpx

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// maxVars bounds the variables of one pattern.
const maxVars = 8

// partKind orders the kinds of pattern parts from the most to the least specific.
type partKind uint8

const (
	partLiteral partKind = iota
	partScoped           // {@x}
	partOne              // {x}
	partMany             // {x...}
)

type part struct {
	kind partKind
	text string // the literal, or the variable's name
}

// Pattern is a compiled path pattern; format.Route tells the syntax.
type Pattern struct {
	source string
	parts  []part
	many   int // index of the {x...} part, -1 without one
	vars   int
}

// ParsePattern compiles a pattern. Its errors are mistakes of whoever wrote it.
func ParsePattern(s string) (Pattern, error) {
	p := Pattern{source: s, many: -1}
	if !strings.HasPrefix(s, "/") {
		return p, fmt.Errorf("pattern %q does not begin with a slash", s)
	}
	if s == "/" {
		return p, nil
	}
	texts := strings.Split(s[1:], "/")
	for i, text := range texts {
		pt, err := parsePart(text, i == len(texts)-1)
		if err != nil {
			return p, fmt.Errorf("pattern %q: %w", s, err)
		}
		if pt.kind == partMany {
			if p.many >= 0 {
				return p, fmt.Errorf("pattern %q has two open-ended variables", s)
			}
			p.many = i
		}
		if pt.kind == partScoped && p.many >= 0 {
			return p, fmt.Errorf("pattern %q has a scoped name behind an open-ended variable", s)
		}
		if pt.kind != partLiteral {
			if slices.ContainsFunc(p.parts, func(o part) bool { return o.kind != partLiteral && o.text == pt.text }) {
				return p, fmt.Errorf("pattern %q names {%s} twice", s, pt.text)
			}
			p.vars++
		}
		p.parts = append(p.parts, pt)
	}
	if p.vars > maxVars {
		return p, fmt.Errorf("pattern %q has more than %d variables", s, maxVars)
	}
	return p, nil
}

func parsePart(text string, last bool) (part, error) {
	if text == "" && !last {
		return part{}, fmt.Errorf("empty segment")
	}
	if !strings.HasPrefix(text, "{") {
		if strings.ContainsAny(text, "{}%") {
			return part{}, fmt.Errorf("segment %q mixes text and variables or is escaped", text)
		}
		return part{kind: partLiteral, text: text}, nil
	}
	name, closed := strings.CutSuffix(text[1:], "}")
	kind := partOne
	if s, ok := strings.CutPrefix(name, "@"); ok {
		kind, name = partScoped, s
	} else if s, ok := strings.CutSuffix(name, "..."); ok {
		kind, name = partMany, s
	}
	if !closed || name == "" || strings.ContainsAny(name, "{}@. ") {
		return part{}, fmt.Errorf("segment %q is no variable", text)
	}
	return part{kind: kind, text: name}, nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.source }

// shape tells apart exactly the patterns that can be told apart by their requests.
func (p Pattern) shape() string {
	var b strings.Builder
	for _, pt := range p.parts {
		b.WriteByte('/')
		switch pt.kind {
		case partLiteral:
			b.WriteString(pt.text)
		case partScoped:
			b.WriteString("{@}")
		case partOne:
			b.WriteString("{}")
		case partMany:
			b.WriteString("{...}")
		}
	}
	return b.String()
}

// compare orders patterns so that of two that match one path the more specific is
// first: left to right, a literal before a scoped name before one segment before many;
// then the longer.
func (p Pattern) compare(o Pattern) int {
	for i := range min(len(p.parts), len(o.parts)) {
		a, b := p.parts[i], o.parts[i]
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		if a.kind == partLiteral && a.text != b.text {
			return strings.Compare(a.text, b.text)
		}
	}
	return len(o.parts) - len(p.parts)
}

// match reports whether the pattern takes all segments, and puts the variables' texts
// into vals in the pattern's order.
func (p *Pattern) match(segs []Segment, vals *[maxVars]string) bool {
	n := 0
	for i, pt := range p.parts {
		if len(segs) == 0 {
			return false
		}
		seg := segs[0]
		used := 1
		switch pt.kind {
		case partLiteral:
			if seg.HasSlash || seg.Text != pt.text {
				return false
			}
			segs = segs[1:]
			continue
		case partOne:
			if seg.HasSlash || seg.Text == "" {
				return false
			}
			vals[n] = seg.Text
		case partScoped:
			if vals[n], used = scopedName(segs); used == 0 {
				return false
			}
		case partMany:
			// What follows takes one segment each, so the length is known.
			used = len(segs) - (len(p.parts) - i - 1)
			var ok bool
			if vals[n], ok = joinSegments(segs, used); !ok {
				return false
			}
		}
		n++
		segs = segs[used:]
	}
	return len(segs) == 0
}

// scopedName reads a name with an optional scope and tells how many segments it took,
// 0 when there is none.
func scopedName(segs []Segment) (name string, used int) {
	first := segs[0]
	switch {
	case first.Text == "":
		return "", 0
	case first.HasSlash:
		if first.Text[0] == '@' && strings.Count(first.Text, "/") == 1 && first.Text[1] != '/' {
			return first.Text, 1
		}
		return "", 0
	case first.Text[0] != '@':
		return first.Text, 1
	case len(first.Text) == 1 || len(segs) < 2 || segs[1].HasSlash || segs[1].Text == "":
		return "", 0
	}
	return first.Text + "/" + segs[1].Text, 2
}

func joinSegments(segs []Segment, n int) (string, bool) {
	if n < 1 || n > len(segs) {
		return "", false
	}
	size := n - 1
	for _, s := range segs[:n] {
		if s.HasSlash || s.Text == "" {
			return "", false
		}
		size += len(s.Text)
	}
	if n == 1 {
		return segs[0].Text, true
	}
	var b strings.Builder
	b.Grow(size)
	for i, s := range segs[:n] {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(s.Text)
	}
	return b.String(), true
}

// Router finds the row of a protocol's table that a request belongs to. It is built
// once and read by many.
type Router[T any] struct {
	rows   []row[T]
	shapes map[string]string // method and shape to pattern
}

type row[T any] struct {
	pattern Pattern
	methods []string
	value   T
}

// Match is what a Router found.
type Match[T any] struct {
	Value T
	names []part
	vals  [maxVars]string
}

// Vars returns the decoded variables by name. It is nil when the pattern has none.
func (m *Match[T]) Vars() map[string]string {
	var vars map[string]string
	n := 0
	for _, p := range m.names {
		if p.kind == partLiteral {
			continue
		}
		if vars == nil {
			vars = make(map[string]string, maxVars)
		}
		vars[p.text] = m.vals[n]
		n++
	}
	return vars
}

// Add puts a row in. GET takes HEAD with it. Errors: a pattern that does not parse, or
// a second row for a method and a pattern that no request can tell apart from the
// first.
func (t *Router[T]) Add(methods []string, pattern string, value T) error {
	p, err := ParsePattern(pattern)
	if err != nil {
		return err
	}
	if len(methods) == 0 {
		return fmt.Errorf("pattern %q has no method", pattern)
	}
	methods = slices.Clone(methods)
	if slices.Contains(methods, http.MethodGet) && !slices.Contains(methods, http.MethodHead) {
		methods = append(methods, http.MethodHead)
	}
	if t.shapes == nil {
		t.shapes = map[string]string{}
	}
	for _, m := range methods {
		key := m + " " + p.shape()
		if other, taken := t.shapes[key]; taken {
			return fmt.Errorf("%s %s and %s %s answer the same requests", m, pattern, m, other)
		}
		t.shapes[key] = pattern
	}
	r := row[T]{p, methods, value}
	at, _ := slices.BinarySearchFunc(t.rows, r, func(a, b row[T]) int { return a.pattern.compare(b.pattern) })
	t.rows = slices.Insert(t.rows, at, r)
	return nil
}

// Find looks for the most specific row that takes the path and the method. When the
// path is known but not the method, ok is false and allow lists the methods, sorted.
// Both are empty for an unknown path.
func (t *Router[T]) Find(method string, segs []Segment) (m Match[T], allow []string, ok bool) {
	for i := range t.rows {
		r := &t.rows[i]
		if !r.pattern.match(segs, &m.vals) {
			continue
		}
		if slices.Contains(r.methods, method) {
			m.Value, m.names = r.value, r.pattern.parts
			return m, nil, true
		}
		allow = append(allow, r.methods...)
	}
	slices.Sort(allow)
	return m, slices.Compact(allow), false
}
