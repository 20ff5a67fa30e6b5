// Package groups knows package groups (codeartifact.md 3.7): the grammar of their
// patterns, which packages a pattern matches, which group a package belongs to, how
// groups inherit from each other and what comes of that for a package. It is pure and on
// the workshop floor: it reads no store and decides no access. Start reading with Parse
// and Set.
//
// A package's path is "/format/namespace/name", with an empty namespace where there is
// none: "/npm//react". A pattern is the beginning of paths and one character that says
// where they end:
//
//	/*                         everything: the root
//	/format/*                  one format
//	/format/namespace~         namespaces that begin with a word
//	/format/namespace/*        one namespace; it may be empty: /npm//*
//	/format/namespace/name~    names that begin with a word
//	/format/namespace/name$    exactly one package
//
// "$" ends the path. "~" ends a word: it follows a word character, and what comes after
// the match, if anything, is no word character. "*" ends nothing: it follows a character
// that is in no word, "/" or for instance "-", so that "/npm//foo-*" is a pattern, too.
// A word is [\p{L}\p{N}][\p{L}\p{N}\p{M}]*.
//
// A pattern matches a path strongly as they are written, and weakly when both are folded:
// see Fold.
package groups
