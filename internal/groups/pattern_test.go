package groups_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/groups"
)

// rules are those of the standard formats and of the two that are Packhouse's own.
func rules(f packhouse.FormatID) groups.Rule {
	switch f {
	case "npm", "oci", "go":
		return groups.NamespaceOptional
	case "pypi", "nuget", "ruby", "cargo":
		return groups.NamespaceForbidden
	case "maven", "swift", "generic":
		return groups.NamespaceRequired
	}
	return groups.NoFormat
}

func parse(t interface{ Fatal(...any) }, text string) groups.Pattern {
	p, err := groups.Parse(text, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The grammar of codeartifact.md 3.7.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // "" when it is refused
	}{
		{"the root", "/*", "/*"},
		{"one format", "/npm/*", "/npm/*"},
		{"namespaces that begin with a word", "/npm/acme~", "/npm/acme~"},
		{"namespaces that begin with a word and a hyphen", "/npm/acme-*", "/npm/acme-*"},
		{"one namespace", "/maven/com.acme/*", "/maven/com.acme/*"},
		{"the empty namespace", "/npm//*", "/npm//*"},
		{"names that begin with a word", "/npm/space/foo~", "/npm/space/foo~"},
		{"names that begin with a word and a hyphen", "/npm/space/foo-*", "/npm/space/foo-*"},
		{"names that begin with a dot", "/npm//.*", "/npm//.*"},
		{"one package", "/npm//react$", "/npm//react$"},
		{"one package whose name ends in no word", "/npm//react-$", "/npm//react-$"},
		{"one package whose name has a tilde", "/npm//a~b$", "/npm//a~b$"},
		{"python is another name of pypi", "/python//requests$", "/pypi//requests$"},
		{"a format that begins with python is none", "/pythonic//requests$", ""},
		{"the whole of pypi", "/pypi/*", "/pypi/*"},
		{"the empty namespace of a format without any", "/nuget//*", "/nuget//*"},
		{"a namespace in a format without any", "/pypi/acme/*", ""},
		{"words of namespaces in a format without any", "/cargo/acme~", ""},
		{"an empty namespace where there is always one", "/maven//*", ""},
		{"a package without a namespace where there is always one", "/generic//box$", ""},
		{"a slash in a Go module's name", "/go//example.com/mod$", "/go//example.com/mod$"},
		{"a slash in another name", "/npm/a/b/c$", ""},
		{"an unknown format", "/rpm/*", ""},
		{"part of a format", "/np~", ""},
		{"a format without a slash", "/npm*", ""},
		{"a format alone", "/npm$", ""},
		{"~ after a slash", "/npm/~", ""},
		{"~ after a hyphen", "/npm//foo-~", ""},
		{"~ after an accent", "/npm//caf\u0065\u0301~", "/npm//caf\u0065\u0301~"},
		{"~ after an accent on nothing", "/npm//caf-\u0301~", ""},
		{"* after a letter", "/npm//foo*", ""},
		{"* after a digit", "/npm//foo1*", ""},
		{"* after a letter with an accent", "/npm//cafe\u0301*", ""},
		{"$ after a namespace", "/npm/acme$", ""},
		{"$ after a slash", "/npm/acme/$", ""},
		{"a star in the middle", "/npm/*/foo$", ""},
		{"no terminator", "/npm//foo", ""},
		{"no slash in front", "npm/*", ""},
		{"nothing", "", ""},
		{"one character", "/", ""},
		{"only a terminator", "*", ""},
		{"white space", "/npm//a b$", ""},
		{"a no-break space", "/npm//a\u00a0b$", ""},
		{"a control character", "/npm//a\x00b$", ""},
		{"an invisible character", "/npm//a\u200bb$", ""},
		{"not UTF-8", "/npm//a\xffb$", ""},
		{"520 characters", "/npm//" + strings.Repeat("é", 513) + "$", "/npm//" + strings.Repeat("é", 513) + "$"},
		{"521 characters", "/npm//" + strings.Repeat("a", 514) + "$", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := groups.Parse(tt.text, rules)
			if tt.want == "" {
				if packhouse.ReasonOf(err) != "invalid_pattern" || packhouse.KindOf(err) != packhouse.KindInvalid {
					t.Fatalf("got %q, %v", p, err)
				}
				return
			}
			if err != nil || p.String() != tt.want {
				t.Errorf("got %q, %v, want %q", p, err, tt.want)
			}
		})
	}
}

func npm(namespace, name string) string {
	return groups.PathOf(packhouse.PackageName{Format: "npm", Namespace: namespace, Name: name})
}

// Matching of codeartifact.md 3.7; case 5.4.6.
func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		strong, weak  bool
	}{
		{"/*", npm("", "react"), true, true},
		{"/npm/*", npm("a", "b"), true, true},
		{"/pypi/*", npm("a", "b"), false, false},
		{"/npm//*", npm("", "react"), true, true},
		{"/npm//*", npm("a", "react"), false, false},
		{"/npm/space/foo~", npm("space", "foo"), true, true},
		{"/npm/space/foo~", npm("space", "foo-bar"), true, true},
		{"/npm/space/foo~", npm("space", "foo.bar"), true, true},
		{"/npm/space/foo~", npm("space", "food"), false, false},
		{"/npm/space/foo~", npm("space", "foot"), false, false},
		{"/npm/space/foo~", npm("space", "foo2"), false, false},
		{"/npm/space/foo~", npm("space", "fooBar"), false, false}, // no camel-case boundaries
		{"/npm/space/foo~", npm("space", "Foo-bar"), false, true},
		{"/npm/space/foo~", npm("space", "foo\u0301"), false, true},
		{"/npm/space/foo~", npm("space", "foo\u200bbar"), false, false},
		{"/npm/space~", npm("space", "x"), true, true},
		{"/npm/space~", npm("space-age", "x"), true, true},
		{"/npm/space~", npm("spaceage", "x"), false, false},
		{"/npm/space/foo-*", npm("space", "foo-bar"), true, true},
		{"/npm/space/foo-*", npm("space", "foo_bar"), false, true},
		{"/npm/space/foo-*", npm("space", "foobar"), false, false},
		{"/npm/space/foo-*", npm("space", "foo--bar"), true, true},
		{"/npm//foo-bar$", npm("", "foo-bar"), true, true},
		{"/npm//foo-bar$", npm("", "foo..bar"), false, true},
		{"/npm//foo-bar$", npm("", "FOO_BAR"), false, true},
		{"/npm//foo-bar$", npm("", "foobar"), false, false},
		{"/npm//foo-bar$", npm("", "foo-bar-"), false, false},
		{"/npm//lodash$", npm("", "1odash"), false, true},
		{"/npm//lodash$", npm("", "l0dash"), false, true},
		{"/npm//lodash$", npm("", "lоdаsh"), false, true}, // two Cyrillic letters
		{"/npm//lodash$", npm("", "ｌｏｄａｓｈ"), false, true},
		{"/npm//lodash$", npm("", "lodäsh"), false, true},
		{"/npm//lodash$", npm("", "lodahs"), false, false},
		{"/npm//a-b$", npm("", "a\u2010b"), false, true},
	} {
		p := parse(t, tt.pattern)
		if strong, weak := p.Strong(tt.path), p.Weak(groups.Fold(tt.path)); strong != tt.strong || weak != tt.weak {
			t.Errorf("%s matches %s strongly %v, weakly %v, want %v and %v", tt.pattern, tt.path, strong, weak, tt.strong, tt.weak)
		}
	}
}

// Weak folding of codeartifact.md 3.7, matching rule 2.
func TestFold(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "/npm//react", "/npm//react"},
		{"case", "/npm/Acme/AsyncStorage", "/npm/acme/asyncstorage"},
		{"runs of separators", "/npm//a-_.b--c", "/npm//a.b.c"},
		{"runs do not cross slashes", "/npm/a-/-b", "/npm/a./.b"},
		{"digits that look like letters", "/npm//10", "/npm//lo"},
		{"other digits", "/npm//es6", "/npm//es6"},
		{"sharp s", "/npm//straße", "/npm//strasse"},
		{"accents", "/npm//café", "/npm//cafe"},
		{"accents apart", "/npm//cafe\u0301", "/npm//cafe"},
		{"vowel signs are letters", "/npm//कि", "/npm//कि"},
		{"ligatures", "/npm//ﬁle", "/npm//file"},
		{"Cyrillic", "/npm//НОКИА", "/npm//hokиa"},
		{"a sign made of letters stays one character", "/npm//a™", "/npm//a™"},
		{"a sign with a slash stays one character", "/npm//a℀b", "/npm//a℀b"},
		{"a number with a fullstop", "/npm//⒈", "/npm//l"},
		{"three dots in one", "/npm//a…b", "/npm//a.b"},
		{"invisible characters", "/npm//a\u00adb\u200dc", "/npm//abc"},
		{"other punctuation", "/npm//a~b+c", "/npm//a~b+c"},
	} {
		if got := groups.Fold(tt.in); got != tt.want {
			t.Errorf("%s: %q folds to %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// Every character by itself: folding again changes nothing, and neither case is told from
// the other (codeartifact.md 3.7, matching rule 2).
func TestFoldOfEveryCharacter(t *testing.T) {
	for r := range unicode.MaxRune + 1 {
		if !utf8.ValidRune(r) || r == '\u0345' { // an accent, whose upper case is a letter
			continue
		}
		folded := groups.Fold(string(r))
		for what, other := range map[string]string{"folded": folded, "in lower case": string(unicode.ToLower(r)), "in upper case": string(unicode.ToUpper(r))} {
			if got := groups.Fold(other); got != folded {
				t.Errorf("%U folds to %q, %s to %q", r, folded, what, got)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"/*", "/npm/*", "/npm//a$", "/npm/a~", "/npm/a/b-*", "/python//x~", "/go//a/b$", "/npm//⒈-~", "/npm//é\u0301~"} {
		f.Add(s, "/npm//a-b")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		if again := groups.Fold(groups.Fold(path)); again != groups.Fold(path) {
			t.Errorf("%q folds to %q, and that to %q", path, groups.Fold(path), again)
		}
		p, err := groups.Parse(text, rules)
		if err != nil {
			if packhouse.ReasonOf(err) != "invalid_pattern" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if same, err := groups.Parse(p.String(), rules); err != nil || same != p {
			t.Errorf("%q is read as %q, and that as %q, %v", text, p, same, err)
		}
		folded := groups.Fold(path)
		if p.Strong(path) && !p.Weak(folded) {
			t.Errorf("%q matches %q strongly and not weakly", text, path)
		}
		if from, until := p.Range(); p.Weak(folded) && (folded < from || folded >= until) {
			t.Errorf("%q matches %q, which is not from %q to %q", text, folded, from, until)
		}
	})
}
