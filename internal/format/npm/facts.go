package npm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// readFacts reads the fields that every door shows. A field of the wrong type is left
// out, never an error: real manifests have them all (npm.md 6). Source: codeartifact.md
// 2.6, 3.9.
func readFacts(name packhouse.PackageName, m object) packhouse.Facts {
	return packhouse.Facts{
		DisplayName:      fullName(name),
		Summary:          m.text("description"),
		HomePage:         m.text("homepage"),
		SourceRepository: sourceRepository(m["repository"]),
		Licenses:         licenses(m),
		Keywords:         keywords(m["keywords"]),
		Authors:          people(m),
		Dependencies:     dependencies(m),
	}
}

// sourceRepository reads `repository`, a string or an object with a url.
func sourceRepository(raw json.RawMessage) string {
	url := unquote(raw)
	if url == "" {
		url = readObject(raw).text("url")
	}
	return strings.TrimPrefix(url, "git+")
}

// licenses reads `license`, a string or {type, url}, and the legacy list `licenses`.
func licenses(m object) []packhouse.License {
	var out []packhouse.License
	for _, raw := range append([]json.RawMessage{m["license"], m["licenses"]}, list(m["licenses"])...) {
		license := packhouse.License{Name: unquote(raw)}
		if o := readObject(raw); o != nil {
			license = packhouse.License{Name: firstText(o.text("type"), o.text("name")), URL: o.text("url")}
		}
		if license != (packhouse.License{}) && !slices.Contains(out, license) {
			out = append(out, license)
		}
	}
	return out
}

// keywords reads a list of strings, or the legacy single string.
func keywords(raw json.RawMessage) []string {
	if s := unquote(raw); s != "" {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	}
	var out []string
	for _, item := range list(raw) {
		if s := unquote(item); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// dependencyKinds are the members that list dependencies, and their words on the API, in
// the order in which they are listed.
var dependencyKinds = [...]struct{ member, word string }{
	{"dependencies", "regular"},
	{"devDependencies", "dev"},
	{"optionalDependencies", "optional"},
	{"peerDependencies", "peer"},
}

// dependencies lists the direct dependencies by kind and name. One that is optional too
// is listed as optional only, as npm reads it.
func dependencies(m object) []packhouse.Dependency {
	optional := m.object("optionalDependencies").texts()
	var out []packhouse.Dependency
	for _, kind := range dependencyKinds {
		wanted := m.object(kind.member).texts()
		for _, full := range slices.Sorted(maps.Keys(wanted)) {
			if _, twice := optional[full]; twice && kind.member == "dependencies" {
				continue
			}
			d := packhouse.Dependency{Package: full, Type: kind.word, Requirement: wanted[full]}
			if scope, name, ok := strings.Cut(full, "/"); ok && strings.HasPrefix(scope, "@") {
				d.Namespace, d.Package = scope[1:], name
			}
			out = append(out, d)
		}
	}
	return out
}
