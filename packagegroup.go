package packhouse

import (
	"strings"
	"time"
)

// PackageGroupRef names a package group: patterns are unique per domain and compared
// exactly. Pattern is in its canonical spelling (package groups).
type PackageGroupRef struct {
	Domain  DomainRef
	Pattern string
}

// RestrictionType says which way of entering a repository a package group restricts.
type RestrictionType string

// The restriction types of codeartifact.md 3.7.
const (
	RestrictPublish          RestrictionType = "PUBLISH"
	RestrictExternalUpstream RestrictionType = "EXTERNAL_UPSTREAM" // out of a public registry
	RestrictInternalUpstream RestrictionType = "INTERNAL_UPSTREAM" // out of another repository of the domain
)

// RestrictionTypes are all of them, in the order of their names.
var RestrictionTypes = []RestrictionType{RestrictExternalUpstream, RestrictInternalUpstream, RestrictPublish}

// RestrictionMode is what a package group says about a restriction type.
type RestrictionMode string

// The modes. Inherit is the mode of a group's nearest ancestor that has another one.
const (
	ModeAllow         RestrictionMode = "ALLOW"
	ModeAllowSpecific RestrictionMode = "ALLOW_SPECIFIC_REPOSITORIES"
	ModeBlock         RestrictionMode = "BLOCK"
	ModeInherit       RestrictionMode = "INHERIT"
)

// RootPattern is the pattern of the group that every domain has.
const RootPattern = "/*"

// PackageGroup is a package group as it is described.
type PackageGroup struct {
	Ref          PackageGroupRef
	ID           int64
	Contact      string
	Description  string
	Created      time.Time
	Parent       string // pattern; "" for the root
	Restrictions map[RestrictionType]GroupRestriction
}

// GroupRestriction is what a group says about one type, and what comes of it.
type GroupRestriction struct {
	Mode          RestrictionMode // as set
	Effective     RestrictionMode // never ModeInherit
	InheritedFrom string          // pattern of the group that Effective comes from; "" for the group itself
	Repositories  int             // how many repositories are allowed where Effective is ModeAllowSpecific, else 0
}

// PackageGroupAssociation says how a package belongs to its group.
type PackageGroupAssociation string

// A package is associated strongly with a group whose pattern its name matches, weakly
// with one that its name only resembles.
const (
	AssociationStrong PackageGroupAssociation = "STRONG"
	AssociationWeak   PackageGroupAssociation = "WEAK"
)

// ResourcePackageGroup is the resource type of package groups. CodeArtifact's resourceType
// has no word for them.
const ResourcePackageGroup = "package-group"

// Changes of package groups, beside those of change.go. Detail begins with the pattern.
const (
	ChangePackageGroupCreated ChangeKind = "package-group.created"
	ChangePackageGroupUpdated ChangeKind = "package-group.updated" // contact or description
	ChangePackageGroupOrigin  ChangeKind = "package-group.origin"
	ChangePackageGroupDeleted ChangeKind = "package-group.deleted"
)

// PackageGroupARN returns the ARN of a package group. Of its pattern the characters "*",
// "$" and "%" are percent-encoded in lower case, and no others (codeartifact.md 2.1).
func PackageGroupARN(region string, g PackageGroupRef) string {
	return arn(region, g.Domain.Owner) + "package-group/" + g.Domain.Name + encodePattern.Replace(g.Pattern)
}

// PackageGroupOf reads what stands behind "package-group/" in the ARN of a package group
// of the owner. It reports whether that is spelled as PackageGroupARN spells it; it does
// not look at what the pattern says.
func PackageGroupOf(owner AccountID, path string) (PackageGroupRef, bool) {
	domain, rest, ok := strings.Cut(path, "/")
	g := PackageGroupRef{Domain: DomainRef{Owner: owner, Name: domain}, Pattern: decodePattern.Replace("/" + rest)}
	return g, ok && encodePattern.Replace(g.Pattern) == "/"+rest
}

var (
	encodePattern = strings.NewReplacer("*", "%2a", "$", "%24", "%", "%25")
	decodePattern = strings.NewReplacer("%2a", "*", "%24", "$", "%25", "%")
)
