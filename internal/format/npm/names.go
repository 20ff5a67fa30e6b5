package npm

import (
	"strings"

	"github.com/packhouse/packhouse"
)

// Lengths of names: what the control plane can name, and what new packages may use
// (npm.md 4 step 2).
const (
	maxName    = 255
	maxNewName = 214
)

// Canonical returns the name of a package. The namespace is the scope, with or without
// its "@"; case is kept, mixed-case legacy names are names of their own. Errors: Invalid
// "invalid_namespace", "invalid_name".
//
// Source: codeartifact.md 2.2; npm.md 4 step 2, for names that exist upstream.
func (Format) Canonical(namespace, name string) (packhouse.PackageName, error) {
	scope := strings.TrimPrefix(namespace, "@")
	if namespace != "" {
		if reason := badPart(scope); reason != "" {
			return packhouse.PackageName{}, packhouse.Invalidf("invalid_namespace", "scope %s", reason)
		}
	}
	if reason := badPart(name); reason != "" {
		return packhouse.PackageName{}, packhouse.Invalidf("invalid_name", "package name %s", reason)
	}
	return packhouse.PackageName{Format: ID, Namespace: scope, Name: name}, nil
}

// canonicalFull reads a name as clients write it: "name" or "@scope/name".
func (f Format) canonicalFull(full string) (packhouse.PackageName, error) {
	if !strings.HasPrefix(full, "@") {
		return f.Canonical("", full)
	}
	scope, name, ok := strings.Cut(full[1:], "/")
	if !ok || scope == "" || scope[0] == '@' { // which Canonical would take for the scope's own
		return packhouse.PackageName{}, packhouse.Invalidf("invalid_name", "a scoped package name has the form @scope/name")
	}
	return f.Canonical(scope, name)
}

// fullName spells a name as clients do.
func fullName(p packhouse.PackageName) string {
	if p.Namespace == "" {
		return p.Name
	}
	return "@" + p.Namespace + "/" + p.Name
}

// badPart says what is wrong with a scope or an unscoped name that may exist somewhere,
// "" for nothing.
func badPart(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > maxName:
		return "must have 255 characters at most"
	case s[0] == '.':
		return "must not begin with a dot"
	}
	for i := range len(s) {
		if !isNameByte(s[i]) && !strings.ContainsRune("~'!()*", rune(s[i])) {
			return "may hold letters, digits and - . _ only"
		}
	}
	return ""
}

// checkNewName enforces the rule for packages that are published here. Errors: Invalid
// "invalid_name". Source: npm.md 4 step 2.
func checkNewName(p packhouse.PackageName) error {
	full := fullName(p)
	if len(full) > maxNewName {
		return packhouse.Invalidf("invalid_name", "package name must have %d characters at most", maxNewName)
	}
	if p.Namespace == "" && (p.Name == "node_modules" || p.Name == "favicon.ico") {
		return packhouse.Invalidf("invalid_name", "package name %s is reserved", p.Name)
	}
	for _, part := range []string{p.Namespace, p.Name} {
		switch {
		case part == "":
			continue
		case strings.ToLower(part) != part:
			return packhouse.Invalidf("invalid_name", "package name must be in lower case")
		case part[0] == '.' || part[0] == '_':
			return packhouse.Invalidf("invalid_name", "package name must not begin with a dot or an underscore")
		case strings.ContainsAny(part, "~'!()*"):
			return packhouse.Invalidf("invalid_name", "package name must not hold any of ~'!()*")
		}
	}
	return nil
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
}

// tarballName is the file name under which documents offer a version's tarball.
func tarballName(p packhouse.PackageName, version string) string {
	return p.Name + "-" + version + ".tgz"
}

// tarballVersion reads the version out of a tarball's file name, which clients also
// send with the scope in front (npm.md 4).
func tarballVersion(p packhouse.PackageName, file string) (string, bool) {
	if p.Namespace != "" {
		file = strings.TrimPrefix(file, "@"+p.Namespace+"/")
	}
	rest, ok := strings.CutPrefix(file, p.Name+"-")
	if !ok {
		return "", false
	}
	version, ok := strings.CutSuffix(rest, ".tgz")
	if !ok || badVersion(version) != "" {
		return "", false
	}
	return version, true
}
