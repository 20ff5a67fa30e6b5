package groups

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// Rule says whether the packages of a format have namespaces.
type Rule uint8

// The rules. NoFormat stands for a format that does not exist.
const (
	NoFormat Rule = iota
	NamespaceForbidden
	NamespaceOptional
	NamespaceRequired
)

// slashNames are the formats whose names may have slashes (codeartifact.md 2.2).
func slashNames(f packhouse.FormatID) bool { return f == "go" || f == "oci" }

// Pattern is a pattern of the grammar in the package's comment. The zero value matches
// nothing.
type Pattern struct {
	text   string
	prefix string // text without its last character
	folded string // prefix, folded
	end    byte   // the last character: '$', '~' or '*'
}

// Limits of a pattern, in characters.
const (
	minPattern = 2
	maxPattern = 520
)

// Parse reads a pattern; rule tells which formats there are. "python" as the format is
// another name of "pypi" (codeartifact.md 3.7). Errors: Invalid "invalid_pattern".
func Parse(text string, rule func(packhouse.FormatID) Rule) (Pattern, error) {
	if n := utf8.RuneCountInString(text); n < minPattern || n > maxPattern || !utf8.ValidString(text) {
		return Pattern{}, invalid(text, "it must have %d to %d characters", minPattern, maxPattern)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.C, r) }) {
		return Pattern{}, invalid(text, "white space and control characters are not allowed")
	}
	if rest, ok := strings.CutPrefix(text, "/python/"); ok {
		text = "/pypi/" + rest
	}
	p := Pattern{text: text, prefix: text[:len(text)-1], end: text[len(text)-1]}
	if text[0] != '/' {
		return Pattern{}, invalid(text, "it must begin with a slash")
	}
	if why := p.checkEnd(); why != "" {
		return Pattern{}, invalid(text, "%s", why)
	}
	if text != packhouse.RootPattern {
		if why := p.checkParts(rule); why != "" {
			return Pattern{}, invalid(text, "%s", why)
		}
	}
	p.folded = Fold(p.prefix)
	return p, nil
}

func invalid(text, why string, args ...any) error {
	return packhouse.Invalidf("invalid_pattern", "%.600q is no pattern of package groups: "+why, append([]any{text}, args...)...)
}

// checkEnd tells what is wrong with the end of a pattern, "" for nothing.
func (p Pattern) checkEnd() string {
	word := endsInWord(p.prefix)
	switch {
	case strings.Contains(p.prefix, "*"):
		return "a star can be its last character only"
	case p.end != '$' && p.end != '~' && p.end != '*':
		return "it must end with one of $ (one package), ~ (a word) and * (anything)"
	case p.end == '~' && !word:
		return "~ must follow a letter or a digit; use * here"
	case p.end == '*' && word:
		return "* must follow a character that is neither letter nor digit; use ~ here"
	}
	return ""
}

// checkParts tells what is wrong with the parts of a pattern, "" for nothing.
func (p Pattern) checkParts(rule func(packhouse.FormatID) Rule) string {
	parts := strings.SplitN(p.prefix[1:], "/", 3)
	format := packhouse.FormatID(parts[0])
	has := rule(format)
	switch {
	case has == NoFormat:
		return "the first part must be a package format of this server"
	case len(parts) == 1:
		return "after the format comes a slash"
	case has == NamespaceForbidden && parts[1] != "":
		return "packages of this format have no namespace, so two slashes come after the format"
	case has == NamespaceRequired && len(parts) == 3 && parts[1] == "":
		return "packages of this format have a namespace"
	case p.end == '$' && (len(parts) < 3 || parts[2] == ""):
		return "$ must follow the name of a package"
	case len(parts) == 3 && strings.Contains(parts[2], "/") && !slashNames(format):
		return "it has more parts than a format, a namespace and a name"
	}
	return ""
}

// String returns the pattern's text.
func (p Pattern) String() string { return p.text }

// Strong reports whether the pattern matches a path as it is written.
func (p Pattern) Strong(path string) bool { return p.match(p.prefix, path) }

// Weak reports whether the pattern matches a path that was folded.
func (p Pattern) Weak(folded string) bool { return p.match(p.folded, folded) }

func (p Pattern) match(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	switch p.end {
	case '$':
		return ok && rest == ""
	case '~':
		return ok && !continuesWord(rest)
	case '*':
		return ok
	}
	return false
}

// Contains reports whether every path that q matches strongly is matched strongly by p,
// and some others are.
func (p Pattern) Contains(q Pattern) bool {
	rest, ok := strings.CutPrefix(q.prefix, p.prefix)
	switch {
	case !ok || p.end == '$', p.end == '~' && continuesWord(rest):
		return false
	}
	return rest != "" || q.end == '$'
}

// Range returns the folded paths among which all are that the pattern matches weakly: from
// the first one to before the second one, in the order of their bytes.
func (p Pattern) Range() (from, until string) {
	if p.end == '$' {
		return p.folded, p.folded + "\x01" // no name has characters before a space
	}
	return p.folded, successor(p.folded)
}

// successor returns the least text behind all that begin with prefix, in the order of
// their bytes; "" for none.
func successor(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xD800 {
			next = 0xE000 // surrogates are no characters
		}
		if next <= utf8.MaxRune {
			return string(append(runes[:i:i], next))
		}
	}
	return ""
}

// endsInWord reports whether a text ends in a word: a letter or a digit, with marks behind
// it or not.
func endsInWord(s string) bool {
	s = strings.TrimRightFunc(s, func(r rune) bool { return unicode.Is(unicode.M, r) })
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.In(r, unicode.L, unicode.N)
}

// inWord reports whether a character can be part of a word.
func inWord(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.M) }

// continuesWord reports whether a word that ends before rest goes on in it. What cannot be
// seen ends no word.
func continuesWord(rest string) bool {
	r, size := utf8.DecodeRuneInString(rest)
	return size > 0 && (inWord(r) || unicode.Is(unicode.Cf, r))
}
