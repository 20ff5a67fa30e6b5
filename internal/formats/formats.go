// Package formats lists the rooms. It is on the roof: the one place where formats are
// known by name together. Start reading with All.
package formats

import (
	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/format/generic"
	"github.com/packhouse/packhouse/internal/format/npm"
)

// All returns every room, in the order of ServiceIDs, then ours. The slice is the
// caller's.
func All() []format.Format {
	return []format.Format{
		npm.New(),
		generic.New(),
	}
}

// ServiceConnections returns the external connections of the service by name, with their
// formats (codeartifact.md 3.3), whether or not the format has a room yet: each can be
// associated. The map is the caller's.
func ServiceConnections() map[string]packhouse.FormatID {
	all := map[string]packhouse.FormatID{
		"public:pypi":                "pypi",
		"public:maven-central":       "maven",
		"public:maven-googleandroid": "maven",
		"public:maven-gradleplugins": "maven",
		"public:maven-commonsware":   "maven",
		"public:maven-clojars":       "maven",
		"public:nuget-org":           "nuget",
		"public:ruby-gems-org":       "ruby",
		"public:crates-io":           "cargo",
	}
	for _, f := range All() {
		if p, ok := f.(format.Puller); ok {
			for _, c := range p.Connections() {
				all[c.Name] = f.Spec().ID
			}
		}
	}
	return all
}

// Namespaces returns the namespace rules of the service's formats that have no room yet;
// a room's own Spec has the others (codeartifact.md 1.6). The map is the caller's.
func Namespaces() map[packhouse.FormatID]format.NamespaceRule {
	return map[packhouse.FormatID]format.NamespaceRule{
		"pypi":  format.NamespaceForbidden,
		"maven": format.NamespaceRequired,
		"nuget": format.NamespaceForbidden,
		"ruby":  format.NamespaceForbidden,
		"swift": format.NamespaceRequired,
		"cargo": format.NamespaceForbidden,
	}
}

// ServiceIDs returns the formats of the service whose API this server speaks, in the
// order of its model, whether or not they have a room yet: endpoints are answered for
// all of them (addresses.md 3). The slice is the caller's.
func ServiceIDs() []packhouse.FormatID {
	return []packhouse.FormatID{npm.ID, "pypi", "maven", "nuget", generic.ID, "ruby", "swift", "cargo"}
}
