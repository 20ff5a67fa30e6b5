package authz

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// piece is a part of a pattern with variables: compiled text, or one variable.
type piece struct {
	pattern string // compiled text; "" for a variable
	key     string // condition key that the variable stands for, lower case; "" for text
	or      string // what stands for the variable where the request has no such key
}

// variable is a policy variable as it is written: ${key} or ${key, 'default'}.
type variable struct {
	key   string // lower case
	or    string // default
	hasOr bool
}

// cutVariable reads the variable at the start of s, which begins with "${". n is its
// length; 0 means that it is not well formed.
func cutVariable(s string) (v variable, n int) {
	inside, _, ok := strings.Cut(s[len("${"):], "}")
	if !ok {
		return v, 0
	}
	n = len("${") + len(inside) + len("}")
	key, or, ok := strings.Cut(inside, ",")
	if ok {
		or = strings.TrimSpace(or)
		if len(or) < len("''") || or[0] != '\'' || or[len(or)-1] != '\'' || strings.Contains(or[1:len(or)-1], "'") {
			return v, 0
		}
		v.or, v.hasOr = or[1:len(or)-1], true
	}
	v.key = strings.ToLower(strings.TrimSpace(key))
	return v, n
}

// variables checks the policy variables of a text and notes those that a statement needs
// a value for.
func (p *parser) variables(where, text string) error {
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			return nil
		}
		text = text[at:]
		if !p.variablesOn {
			return invalid(where, "variables and the escapes ${*}, ${?} and ${$} need \"Version\": %q", version2012)
		}
		if _, ok := escaped(text); ok {
			text = text[len("${*}"):]
			continue
		}
		v, n := cutVariable(text)
		switch {
		case n == 0:
			return invalid(where, "a variable is written ${key} or ${key, 'default'}")
		case v.key == keyTagKeys || !p.knownKey(v.key):
			return invalid(where, "unknown policy variable; allowed are %s, and the escapes ${*}, ${?} and ${$}", variablesAllowed)
		}
		if !v.hasOr && !slices.Contains(p.needs, v.key) {
			p.needs = append(p.needs, v.key)
		}
		p.policy.asks |= asksOf(v.key)
		text = text[n:]
	}
}

// compilePieces compiles a text that has variables; text between them becomes what
// compile makes of it. It returns nil for a text without variables.
func compilePieces(text string, compile func(string) string) []piece {
	var all []piece
	from, hasVariable := 0, false
	for i := 0; i < len(text); {
		if !strings.HasPrefix(text[i:], "${") {
			i++
			continue
		}
		if _, ok := escaped(text[i:]); ok {
			i += len("${*}")
			continue
		}
		v, n := cutVariable(text[i:])
		if n == 0 { // the parser lets none through
			i++
			continue
		}
		if from < i {
			all = append(all, piece{pattern: compile(text[from:i])})
		}
		all = append(all, piece{key: v.key, or: v.or})
		hasVariable = true
		i += n
		from = i
	}
	if !hasVariable {
		return nil
	}
	if from < len(text) {
		all = append(all, piece{pattern: compile(text[from:])})
	}
	return all
}

// splitParts splits an ARN at colons outside of variables into at most n parts.
func splitParts(text string, n int) []string {
	var parts []string
	from := 0
	for i := 0; i < len(text) && len(parts) < n-1; {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			_, length := cutVariable(text[i:])
			i += max(length, 1)
		case text[i] == ':':
			parts = append(parts, text[from:i])
			i++
			from = i
		default:
			i++
		}
	}
	return append(parts, text[from:])
}

// roomForPattern is how long a pattern may grow by its variables without an allocation,
// in bytes.
const roomForPattern = 512

// expand appends the pattern with its variables replaced by values, which are plain text
// whatever characters they have.
func (g *glob) expand(to []byte, q *question) []byte {
	for i := range g.pieces {
		p := &g.pieces[i]
		if p.key == "" {
			to = append(to, p.pattern...)
			continue
		}
		value, ok := q.lookup(p.key)
		if !ok || !utf8.ValidString(value) {
			value = p.or
		}
		from := len(to)
		to = append(to, value...)
		if g.fold {
			for j := from; j < len(to); j++ {
				to[j] = lower(to[j])
			}
		}
	}
	return to
}

// resolves reports whether the request has a value for every variable of the statement
// that has no default. Bytes that are not UTF-8 are no value: they could be taken for
// wildcards.
func (s *statement) resolves(q *question) bool {
	for _, key := range s.needs {
		if value, ok := q.lookup(key); !ok || !utf8.ValidString(value) {
			return false
		}
	}
	return true
}
