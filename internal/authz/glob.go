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
	pattern string  // literal text with anyRun and anyOne in it; in lower case if fold
	fold    bool    // ASCII letters match in either case
	literal bool    // no wildcard
	prefix  bool    // the only wildcard is a star at the end
	pieces  []piece // of a pattern with variables; nil without, and then pattern is all
}

// compileGlob turns the * and ? of text, which is valid UTF-8, into wildcards, and its
// variables into pieces.
func compileGlob(text string, fold bool) glob {
	compile := func(text string) string { return wildcards(text, fold) }
	if pieces := compilePieces(text, compile); pieces != nil {
		return glob{pieces: pieces, fold: fold}
	}
	return newGlob(compile(text), fold)
}

// wildcards compiles a text without variables.
func wildcards(text string, fold bool) string {
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
	return b.String()
}

// literalGlob matches text without wildcards.
func literalGlob(text string, fold bool) glob {
	compile := func(text string) string { return literal(text, fold) }
	if pieces := compilePieces(text, compile); pieces != nil {
		return glob{pieces: pieces, fold: fold}
	}
	return newGlob(compile(text), fold)
}

func literal(text string, fold bool) string {
	text = unescape(text)
	if !fold {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			return rune(lower(byte(r))) //nolint:gosec // ASCII
		}
		return r
	}, text)
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

// matchFor reports whether the whole of text matches, the pattern's variables read for
// q. It does not allocate as long as the pattern fits roomForPattern.
func (g *glob) matchFor(q *question, text string) bool {
	if g.pieces == nil {
		return g.match(text)
	}
	var room [roomForPattern]byte
	return matchPattern(g.expand(room[:0], q), g.fold, text)
}

// match is matchFor of a pattern without variables. It does not allocate.
func (g *glob) match(text string) bool {
	switch {
	case g.literal:
		return len(text) == len(g.pattern) && g.hasPrefix(text, g.pattern)
	case g.prefix:
		head := g.pattern[:len(g.pattern)-1]
		return len(text) >= len(head) && g.hasPrefix(text, head)
	}
	return matchPattern(g.pattern, g.fold, text)
}

func matchPattern[P string | []byte](pattern P, fold bool, text string) bool {
	p, t := 0, 0
	star, resume := -1, 0 // the last star seen and where its run ends for now
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == anyRun:
			star, resume = p, t
			p++
		case p < len(pattern) && pattern[p] == anyOne:
			_, n := utf8.DecodeRuneInString(text[t:])
			p, t = p+1, t+n
		case p < len(pattern) && (pattern[p] == text[t] || fold && pattern[p] == lower(text[t])):
			p, t = p+1, t+1
		case star >= 0:
			_, n := utf8.DecodeRuneInString(text[resume:])
			resume += n
			p, t = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyRun {
		p++
	}
	return p == len(pattern)
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
	parts := splitParts(text, arnParts)
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

// arnText is an ARN taken apart once, to be matched with many patterns.
type arnText struct {
	parts [arnParts]string // the last one may hold colons
	n     int              // how many of them there are; 1 for "*"
}

func splitARN(text string) (a arnText) {
	for a.n < arnParts-1 {
		part, rest, ok := strings.Cut(text, ":")
		if !ok {
			break
		}
		a.parts[a.n] = part
		a.n++
		text = rest
	}
	a.parts[a.n] = text
	a.n++
	return a
}

// match reports whether the ARN matches; see glob.matchFor. A pattern of fewer parts
// ends in a lone star, which stands for all that follow.
func (a *arnGlob) match(q *question, arn *arnText) bool {
	i := len(a.parts) - 1
	if arn.n < len(a.parts) {
		return false
	}
	if len(a.parts) < arnParts {
		i--
	}
	for ; i >= 0; i-- { // names differ more than regions do
		if !a.parts[i].matchFor(q, arn.parts[i]) {
			return false
		}
	}
	return true
}
