package packhouse

import (
	"strings"
)

// AccountID is the number of the organisation that owns domains and principals:
// twelve decimal digits.
type AccountID string

// DomainRef names a domain. Domain names are unique per owner only.
type DomainRef struct {
	Owner AccountID
	Name  string
}

// String returns "owner/name", for logs and messages.
func (d DomainRef) String() string { return string(d.Owner) + "/" + d.Name }

// RepoRef names a repository inside a domain. Names are compared exactly.
type RepoRef struct {
	Domain DomainRef
	Name   string
}

// String returns "domain/repository", for logs and messages.
func (r RepoRef) String() string { return r.Domain.Name + "/" + r.Name }

// FormatID is a package format's identifier as the control plane spells it, such
// as the values of CodeArtifact's PackageFormat.
type FormatID string

// PackageName is a package's canonical name: two spellings that a format calls
// equal have the same PackageName, so it is compared with ==. Only a format's
// Canonical method makes one. Namespace is "" where the format has none, and
// never carries a format's decoration (an npm scope has no "@").
type PackageName struct {
	Format    FormatID
	Namespace string
	Name      string
}

// String returns "format/namespace/name", or "format/name" without a namespace.
func (p PackageName) String() string {
	if p.Namespace == "" {
		return string(p.Format) + "/" + p.Name
	}
	return string(p.Format) + "/" + p.Namespace + "/" + p.Name
}

// PackageRef names a package in one repository.
type PackageRef struct {
	Repo    RepoRef
	Package PackageName
}

// String returns "format/namespace/name in domain/repository".
func (p PackageRef) String() string { return p.Package.String() + " in " + p.Repo.String() }

// At returns the reference of one version of the package.
func (p PackageRef) At(version string) VersionRef {
	return VersionRef{PackageRef: p, Version: version}
}

// VersionRef names a version of a package in one repository.
type VersionRef struct {
	PackageRef
	Version string
}

// String returns "format/namespace/name@version in domain/repository".
func (v VersionRef) String() string {
	return v.Package.String() + "@" + v.Version + " in " + v.Repo.String()
}

// AssetRef names one file of a version.
type AssetRef struct {
	VersionRef
	Asset string
}

// String returns the asset's name before its version's.
func (a AssetRef) String() string { return a.Asset + " of " + a.VersionRef.String() }

// ParseDomainLabel splits "domain-123456789012", the form in which addresses
// carry a domain and its owner: the owner is the last 12 digits after the last
// hyphen. It reports whether label has that form.
//
// Source: codeartifact.md 3.11, addresses.md 2.
func ParseDomainLabel(label string) (DomainRef, bool) {
	i := strings.LastIndexByte(label, '-')
	if i < 1 || !ValidAccountID(label[i+1:]) {
		return DomainRef{}, false
	}
	return DomainRef{Owner: AccountID(label[i+1:]), Name: label[:i]}, true
}

// ValidAccountID reports whether s is twelve decimal digits.
func ValidAccountID(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
