package format

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
)

// Format is what every room offers.
type Format interface {
	// Spec describes the format; it never changes while the process runs.
	Spec() Spec
	// Canonical returns the one PackageName of a spelling as an API caller passes it
	// (codeartifact.md 2.2). Errors: Invalid with reason "invalid_name" or
	// "invalid_namespace". It accepts everything that may exist in a repository,
	// legacy names of upstreams included; the stricter rule for new names is
	// Inspect's.
	Canonical(namespace, name string) (packhouse.PackageName, error)
	// VersionKey checks a version and returns its identity: two spellings that the
	// format calls equal have the same key. Errors: Invalid, "invalid_version".
	VersionKey(version string) (string, error)
	// Compare orders two versions as the ecosystem does: negative, zero, positive.
	// It is a total order over all strings, and zero only for equal keys.
	Compare(a, b string) int
	// Routes returns the protocol's endpoints below the repository's base.
	Routes(h House) []Route
}

// Spec is a format's description: everything that doors, the engine and documents
// need to know without a format's name standing in their code.
type Spec struct {
	ID    packhouse.FormatID // also the first segment of the repository's address
	Title string             // for people: "npm", "Generic"

	Namespace   NamespaceRule
	LateAssets  LateAssets
	ViaAPI      bool   // PublishPackageVersion accepts it
	Upstreams   bool   // looked up in upstream repositories
	HasReadme   bool   // GetPackageVersionReadme answers
	MaxAsset    int64  // bytes, default limit of one asset
	DefaultTag  string // tag that clients install by default ("latest"); "" for none
	SingleAsset string // the fixed name of a format's only asset; "" where names vary
}

// NamespaceRule says whether the format's packages have a namespace.
type NamespaceRule int

// The namespace rules of codeartifact.md 1.6.
const (
	NamespaceForbidden NamespaceRule = iota
	NamespaceOptional
	NamespaceRequired
)

// LateAssets says when a version that exists may get another asset.
type LateAssets int

// The rules of codeartifact.md 3.6 step 4.
const (
	LateNever LateAssets = iota
	LateWhileUnfinished
	LateAlways
)

// Inspector is the ability of formats that accept uploads: what does this upload say
// of itself? It returns the facts, or Invalid when the archive and its coordinates
// disagree. It never stores, and reads under the limits of reliability.md A8 and B7.
type Inspector interface {
	Inspect(ctx context.Context, up Upload) (packhouse.Facts, error)
}

// Upload is what an Inspector gets to see of a version: all of its assets, staged and
// hashed, not yet visible.
type Upload struct {
	Package     packhouse.PackageName
	DisplayName string // the spelling the client used
	Version     string
	Files       []UploadedFile
	// Manifest is what came beside the archive: the publishing client's document,
	// or, when Pulled, the public registry's own manifest of this version.
	Manifest []byte
	// Pulled reports that the version comes from a public registry: it is kept and
	// served as it is, oddities are warnings, and legacy names are allowed.
	Pulled bool
	// PulledFragment is the fragment that ReadIndex made of this version; with
	// Pulled set it becomes Facts.Fragment, in the encoding in which the room keeps them.
	PulledFragment []byte
	// ViaAPI reports that the assets come through PublishPackageVersion, which has
	// rules of its own for their names (codeartifact.md 3.8).
	ViaAPI bool
	// Sign signs for the domain that the version is published in. It is nil for Pulled,
	// and where the server signs no versions of the format.
	Sign SignFunc
}

// UploadedFile is one staged asset.
type UploadedFile struct {
	Name    string
	Size    int64
	Hashes  packhouse.Hashes // at least SHA-256 and what the format asked for
	Content io.ReaderAt      // Size plain bytes
	Side    bool             // accompanies the version; see NewAsset.Side
}

// Renderer is the ability of formats whose clients read index documents.
type Renderer interface {
	// Render writes the document that k names, joined from v. It never queries. It
	// returns NotFound when v has nothing to show under k.
	Render(ctx context.Context, w io.Writer, k DocKey, v View) (DocInfo, error)
}

// DocKey names an index document of a package as one repository shows it at one
// address. It is comparable and is the cache's key.
type DocKey struct {
	Repo    packhouse.RepoRef
	Package packhouse.PackageName
	Kind    string // format's own word: "full", "abbreviated", "write", "tags", "version"
	Arg     string // format's own argument, such as a version or tag; usually ""
	Base    string // absolute base URL of the repository, with trailing slash; "" where documents carry none
	// Local asks for this repository's own versions only, without upstreams.
	Local bool
	// Identity asks for the document in Plain, for a client that takes no compression.
	Identity bool
}

// DocInfo is what a Render tells of the document that it wrote.
type DocInfo struct {
	ContentType string
	Modified    time.Time // newest change shown; zero if unknown
}

// Doc is a rendered document, shared: neither body may be changed.
type Doc struct {
	DocInfo
	ETag string // strong, quoted, of the plain form; the gzip form appends a suffix inside the quotes
	Size int64  // of the plain form, in bytes
	// At least one of the forms is there. Small documents have Plain alone; of others
	// Plain is nil unless DocKey.Identity asked for it, and for very large ones even then.
	Plain, Gzip []byte
	// Stale is set when an upstream could not be asked and a kept copy was used:
	// the age of that copy.
	Stale time.Duration
}

// View is a package as one repository shows it: the merged, policy-filtered versions
// of the repository, its upstreams and its connections.
type View struct {
	Repo        packhouse.RepoRef
	Package     packhouse.PackageName
	DisplayName string
	// Entries has one entry per visible version, each version once, ordered by the
	// format's Compare. Published and Unlisted versions are there; Render leaves out
	// what its document must not list.
	Entries []Entry
	// Tags are the merged tags by codeartifact.md 4.1, targets not checked against Entries.
	Tags map[string]string
	// Head is the package-level document of the nearest public registry, in the
	// encoding of RemoteIndex.Head; nil without one.
	Head []byte
	// Withheld are versions that are in none of the above because they are held back,
	// ordered by Compare: the highest of each source.
	Withheld []Withheld
	Seq      int64 // the local package record's change count; 0 without a record
	// Created and Modified bound all changes shown; zero if unknown.
	Created, Modified time.Time
}

// Entry is one version in a View.
type Entry struct {
	Version   string
	Status    packhouse.Status
	Published time.Time
	Fragment  []byte
	Overlay   []byte
	Local     bool // held by the asked repository itself
}

// Hosted is the ability of formats that have addresses of the shape
// /api/packages/{owner}/{format}/… too, as Gitea's clients ask for them.
type Hosted interface {
	// HostedPath returns the decoded segments that come before what such an address has
	// behind the format, to make it one that Routes answer. It never returns nil.
	HostedPath() []string
}

// ErrorWriter is the ability of formats whose clients insist on an error body of
// their own. Without it the registry door writes {"message": ...}.
type ErrorWriter interface {
	WriteError(w http.ResponseWriter, r *http.Request, err error)
}
