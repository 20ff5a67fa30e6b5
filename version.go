package packhouse

import (
	"time"
)

// Status is where a package version stands in its life (codeartifact.md 3.4).
type Status string

// The statuses. Deleted appears in answers only; no stored version has it.
const (
	Published  Status = "Published"
	Unfinished Status = "Unfinished"
	Unlisted   Status = "Unlisted"
	Archived   Status = "Archived"
	Disposed   Status = "Disposed"
	Deleted    Status = "Deleted"
)

// Listed reports whether package clients see the version in version lists.
func (s Status) Listed() bool { return s == Published }

// Downloadable reports whether package clients may fetch the version's assets.
func (s Status) Downloadable() bool { return s == Published || s == Unlisted }

// OriginType tells how a version first came into its domain.
type OriginType string

// The origin types of codeartifact.md 2.6.
const (
	OriginInternal OriginType = "INTERNAL"
	OriginExternal OriginType = "EXTERNAL"
	OriginUnknown  OriginType = "UNKNOWN"
)

// Origin tells how a version entered its domain. It is set once and follows the
// version through retention and copy. Exactly one of Repository (internal) and
// Connection (external) is set, unless Type is OriginUnknown.
type Origin struct {
	Type       OriginType
	Repository string // name of the repository that it was first published to
	Connection string // name of the external connection that it came through
}

// PackageVersion is a version of a package in one repository: a movable pointer to
// an immutable revision.
type PackageVersion struct {
	Ref        VersionRef
	ID         int64  // below 2^31; the number other doors show
	RevisionID int64  // row of the revision pointed at
	Revision   string // content name of the revision: standard base64 of a SHA-256, 44 characters
	Status     Status
	Origin     Origin
	Published  time.Time // UTC; the public registry's time where known, else the record's
	Recorded   time.Time // UTC; when this repository got it
	Overlay    []byte    // format-owned JSON that may change after publishing (deprecation, yank); at most MaxOverlay
}

// MaxOverlay bounds PackageVersion.Overlay, in bytes.
const MaxOverlay = 64 << 10

// Restriction is one half of a package's origin controls.
type Restriction string

// The values of a restriction.
const (
	Allow Restriction = "ALLOW"
	Block Restriction = "BLOCK"
)

// OriginControls say how new versions may enter a package in one repository.
// Source: codeartifact.md 3.7.
type OriginControls struct {
	Publish  Restriction // direct publishing
	Upstream Restriction // ingesting from connections and retaining from upstreams
}

// Package is a package's record in one repository. It may exist without versions.
type Package struct {
	Ref         PackageRef
	ID          int64
	RepoID      int64
	DisplayName string // the spelling it was first published under, format's own
	Controls    OriginControls
	Seq         int64 // raised by every change below the package
	Created     time.Time
	Updated     time.Time
}

// Facts is what a version says of itself: common fields every door shows, and the
// format's own documents. Facts are part of the revision and immutable with it.
type Facts struct {
	DisplayName      string       `json:"displayName,omitempty"`
	Summary          string       `json:"summary,omitempty"`
	HomePage         string       `json:"homePage,omitempty"`
	SourceRepository string       `json:"sourceRepository,omitempty"`
	Licenses         []License    `json:"licenses,omitempty"`
	Keywords         []string     `json:"keywords,omitempty"`
	Authors          []string     `json:"authors,omitempty"` // names and addresses of people, for searching
	Dependencies     []Dependency `json:"dependencies,omitempty"`
	Readme           string       `json:"readme,omitempty"`   // as stored, at most MaxReadme bytes; "" for none
	Warnings         []string     `json:"warnings,omitempty"` // what the format noticed and let pass

	// Manifest is the format's own metadata document in canonical form; it enters
	// the revision's name. Opaque to everyone but the format.
	Manifest []byte `json:"-"`
	// Fragment is the piece of index documents that this version contributes,
	// in the format's own encoding. It is derived: it may be recomputed.
	Fragment []byte `json:"-"`
	// FragmentVersion tells which encoding Fragment has, so that a better renderer
	// can notice old ones.
	FragmentVersion int `json:"-"`
}

// MaxReadme bounds Facts.Readme, in bytes (reliability.md A8).
const MaxReadme = 512 << 10

// License is a licence as the package declares it.
type License struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Dependency is one direct dependency as the package's own metadata file states it.
type Dependency struct {
	Namespace   string `json:"namespace,omitempty"`
	Package     string `json:"package"`
	Type        string `json:"type"`        // the format's word, codeartifact.md 3.9
	Requirement string `json:"requirement"` // unchanged text
}
