package authz

import (
	"strings"
	"unicode/utf8"
)

// Wildcards inside a compiled glob. These bytes never occur in UTF-8 text, so that a
// literal star or question mark, written ${*} or ${?}, stays itself.
const (
	anyRun byte = 0xff // any number of characters
	anyOne byte = 0xfe // exactly one character
)

// glob is a compiled pattern: the one matcher of actions, resources and conditions.
// It never backtracks further than to its last star, so that matching costs at most
// len(pattern) x len(text) steps.
type glob struct {
	pattern string // literal text with anyRun and anyOne in it; in lower case if fold
	fold    bool   // ASCII letters match in either case
	literal bool   // no wildcard
	prefix  bool   // the only wildcard is a star at the end
}

// compileGlob turns the * and ? of text, which is valid UTF-8, into wildcards.
func compileGlob(text string, fold bool) glob {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c, ok := escaped(text[i:]); ok {
			b.WriteByte(c)
			i += len("${*}") - 1
			continue
		}
		switch c := text[i]; {
		case c == '*':
			if s := b.String(); s == "" || s[len(s)-1] != anyRun { // ** is *
				b.WriteByte(anyRun)
			}
		case c == '?':
			b.WriteByte(anyOne)
		case fold:
			b.WriteByte(lower(c))
		default:
			b.WriteByte(c)
		}
	}
	return newGlob(b.String(), fold)
}

// literalGlob matches text without wildcards.
func literalGlob(text string, fold bool) glob {
	text = unescape(text)
	if fold {
		text = strings.Map(func(r rune) rune {
			if r < utf8.RuneSelf {
				return rune(lower(byte(r))) //nolint:gosec // ASCII
			}
			return r
		}, text)
	}
	return newGlob(text, fold)
}

func newGlob(pattern string, fold bool) glob {
	first := 0
	for first < len(pattern) && pattern[first] != anyRun && pattern[first] != anyOne {
		first++
	}
	return glob{
		pattern: pattern,
		fold:    fold,
		literal: first == len(pattern),
		prefix:  first == len(pattern)-1 && pattern[first] == anyRun,
	}
}

// escaped reports whether s begins with ${*}, ${?} or ${$}, and what that stands for.
func escaped(s string) (byte, bool) {
	if len(s) >= 4 && s[0] == '$' && s[1] == '{' && s[3] == '}' && (s[2] == '*' || s[2] == '?' || s[2] == '$') {
		return s[2], true
	}
	return 0, false
}

// unescape takes the escapes ${*}, ${?} and ${$} off.
func unescape(s string) string {
	if !strings.Contains(s, "${") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, ok := escaped(s[i:])
		if ok {
			i += len("${*}") - 1
		} else {
			c = s[i]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// match reports whether the whole of text matches. It does not allocate.
func (g *glob) match(text string) bool {
	switch {
	case g.literal:
		return len(text) == len(g.pattern) && g.hasPrefix(text, g.pattern)
	case g.prefix:
		head := g.pattern[:len(g.pattern)-1]
		return len(text) >= len(head) && g.hasPrefix(text, head)
	}
	p, t := 0, 0
	star, resume := -1, 0 // the last star seen and where its run ends for now
	for t < len(text) {
		switch {
		case p < len(g.pattern) && g.pattern[p] == anyRun:
			star, resume = p, t
			p++
		case p < len(g.pattern) && g.pattern[p] == anyOne:
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
		case p < len(g.pattern) && g.same(g.pattern[p], text[t]):
			p, t = p+1, t+1
		case star >= 0:
			_, n := utf8.DecodeRuneInString(text[resume:])
			resume += n
			p, t = star+1, resume
		default:
			return false
		}
	}
	for p < len(g.pattern) && g.pattern[p] == anyRun {
		p++
	}
	return p == len(g.pattern)
}

// hasPrefix is strings.HasPrefix that folds if g does; text is long enough.
func (g *glob) hasPrefix(text, head string) bool {
	if !g.fold {
		return text[:len(head)] == head
	}
	for i := range len(head) {
		if head[i] != lower(text[i]) {
			return false
		}
	}
	return true
}

func (g *glob) same(pattern, text byte) bool {
	return pattern == text || g.fold && pattern == lower(text)
}

// lower folds an ASCII letter.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// arnParts is how many parts an ARN has; the last one may hold colons.
const arnParts = 6

// arnGlob matches ARNs part by part, so that a star in one part cannot swallow a colon
// and match an ARN of another kind whose name holds one.
type arnGlob struct {
	parts []glob // arnParts of them, or fewer when the last is a lone star
}

// compileARN compiles an ARN with wildcards; ok=false if text is none.
func compileARN(text string) (a arnGlob, ok bool) {
	parts := strings.SplitN(text, ":", arnParts)
	if len(parts) < arnParts && parts[len(parts)-1] != "*" {
		return a, false
	}
	if parts[0] != "arn" && text != "*" {
		return a, false
	}
	for _, p := range parts {
		a.parts = append(a.parts, compileGlob(p, false))
	}
	return a, true
}

// match reports whether the ARN matches. It does not allocate.
func (a *arnGlob) match(arn string) bool {
	last := len(a.parts) - 1
	for i := range last {
		part, rest, ok := strings.Cut(arn, ":")
		if !ok || !a.parts[i].match(part) {
			return false
		}
		arn = rest
	}
	return a.parts[last].match(arn)
}
