package groups

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/packhouse/packhouse"
)

// FoldRule counts the changes of what Fold returns. Whoever keeps folded texts keeps it
// with them, and folds again when it has grown. A new version of the Unicode tables in
// golang.org/x/text is such a change.
const FoldRule = 2

// PathOf returns the path of a package, as patterns see it.
func PathOf(n packhouse.PackageName) string {
	return "/" + string(n.Format) + "/" + n.Namespace + "/" + n.Name
}

// Fold returns what is left of a path, or of the beginning of one, when everything is
// taken away by which two names may differ and still be mistaken for each other: case,
// compatibility forms (full width, ligatures, letters of other fonts), accents, invisible
// characters. Every run of "-", "_", "." and other dashes becomes one "."; letters and
// digits that look like a Latin letter become that letter. Slashes stay what they are, and
// no others come into being.
//
// What a text folds to begins with what its beginning folds to, and folding again changes
// nothing. Source: codeartifact.md 3.7, matching rule 2.
func Fold(path string) string {
	if folded, ok := foldASCII(path); ok {
		return folded
	}
	f := folder{caser: cases.Fold()}
	f.out.Grow(len(path))
	for _, r := range path {
		f.add(r)
	}
	return f.out.String()
}

// foldASCII is Fold for texts of ASCII characters, which nearly all are.
func foldASCII(path string) (folded string, ok bool) {
	plain := true
	for i := range len(path) {
		c := path[i]
		if c >= utf8.RuneSelf {
			return "", false
		}
		plain = plain && (asciiFolds[c] == c && (c != '.' || i == 0 || path[i-1] != '.'))
	}
	if plain {
		return path, true
	}
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		c := asciiFolds[path[i]]
		if c != '.' || len(out) == 0 || out[len(out)-1] != '.' {
			out = append(out, c)
		}
	}
	return string(out), true
}

// asciiFolds gives what each ASCII character folds to.
var asciiFolds = func() (t [utf8.RuneSelf]byte) {
	for c := range byte(utf8.RuneSelf) {
		switch folded, ok := lookalikes[unicode.ToLower(rune(c))]; {
		case ok:
			t[c] = byte(folded)
		case separates(rune(c)):
			t[c] = '.'
		default:
			t[c] = byte(unicode.ToLower(rune(c)))
		}
	}
	return t
}()

// folder folds character by character, so that the beginning of a text folds to the
// beginning of what the text folds to.
type folder struct {
	caser cases.Caser
	out   strings.Builder
	dot   bool // the last character written is a "." that stands for a run
}

func (f *folder) add(r rune) {
	switch {
	case r == '/':
		f.write(r)
	case invisible(r):
	// A word must fold to a word, and what is in no word must not become part of one: "~"
	// looks for the ends of words in folded paths, too.
	case inWord(r):
		// The caser swaps the two cases of Cherokee, so that it must only see one.
		lower := string(unicode.ToLower(r))
		for _, part := range norm.NFKD.String(f.caser.String(norm.NFKD.String(lower))) {
			if inWord(part) {
				f.part(part)
			}
		}
	default:
		parts := norm.NFKD.String(string(r))
		if strings.ContainsFunc(parts, func(p rune) bool { return inWord(p) || p == '/' }) {
			f.write(unicode.ToLower(r))
			return
		}
		for _, part := range parts {
			f.part(part)
		}
	}
}

// part writes a piece of a decomposed character.
func (f *folder) part(r rune) {
	switch folded, ok := lookalikes[r]; {
	case ok:
		f.write(folded)
	case invisible(r):
	case separates(r):
		if !f.dot {
			f.write('.')
		}
		f.dot = true
	default:
		f.write(r)
	}
}

func (f *folder) write(r rune) {
	f.out.WriteRune(r)
	f.dot = false
}

// invisible reports whether a character is not seen by itself: accents and the like, which
// have no script of their own (vowel signs, which do, are letters to their readers), and
// formatting characters.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me) && unicode.Is(unicode.Inherited, r) || unicode.Is(unicode.Cf, r)
}

// separates reports whether a character is one of those that names are divided by.
func separates(r rune) bool {
	return r == '.' || unicode.In(r, unicode.Pd, unicode.Pc) || r == '\u2212' || r == '\u00b7'
}
