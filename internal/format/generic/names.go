package generic

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxName bounds namespaces, names, versions and asset names, in characters.
const maxName = 255

// assetPunctuation is what an asset name may hold besides letters and digits
// (codeartifact.md 3.8).
const assetPunctuation = "~!@^&()-`_+[]{};,."

// badName says what is wrong with a namespace or a name, "" for nothing.
func badName(s string) string {
	switch {
	case len(s) < 1 || len(s) > maxName:
		return "must have 1 to 255 characters"
	case !isAlphanumeric(s[0]):
		return "must begin with a letter or a digit"
	case s[len(s)-1] == '.':
		return "must not end with a dot"
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return "may hold letters, digits and . _ - only"
		}
	}
	return ""
}

// badAssetName says what is wrong with an asset's name, "" for nothing. Letters and
// digits are Unicode's; the name must be in normal form C, so that what looks alike is
// one asset (generic.md 1).
func badAssetName(s string) string {
	if reason := badAssetLength(s); reason != "" {
		return reason
	}
	return badAssetText(s, assetPunctuation, assetPunctuation)
}

// badAssetPath says what is wrong with the name of an asset that came over plain HTTP, ""
// for nothing: segments as badAssetName takes them, spaces allowed, joined by slashes.
// The control plane can name all of them in requests (AssetName is any text of 1 to 255
// characters), but makes none with a slash or a space.
func badAssetPath(s string) string {
	if reason := badAssetLength(s); reason != "" {
		return reason
	}
	for segment := range strings.SplitSeq(s, "/") {
		switch {
		case segment == "":
			return "must not have empty parts"
		case strings.HasSuffix(segment, " "):
			return "must not have parts that end with a space"
		}
		if reason := badAssetText(segment, assetPunctuation+" ", assetPunctuation+" and spaces"); reason != "" {
			return reason
		}
	}
	return ""
}

func badAssetLength(s string) string {
	switch {
	case !utf8.ValidString(s):
		return "must be UTF-8"
	case s == "" || utf8.RuneCountInString(s) > maxName:
		return "must have 1 to 255 characters"
	}
	return ""
}

// badAssetText checks the characters: punctuation besides letters and digits, described
// by words.
func badAssetText(s, punctuation, words string) string {
	if strings.Trim(s, ".") == "" {
		return "must not consist of dots"
	}
	for _, r := range s {
		// A combining mark belongs to the letter before it: several scripts have no
		// precomposed form.
		if !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(punctuation, r) {
			return "may hold letters, digits and " + words + " only"
		}
	}
	if !norm.NFC.IsNormalString(s) {
		return "must be in Unicode normal form C"
	}
	return ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
