package format

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
)

// House is all that a room may ask for. The engine implements it; every method
// decides access first. The principal is an argument on purpose.
type House interface {
	// Desk is signing in and out; it is a part of its own (design note 014).
	Desk
	Relay
	Keyring
	Searcher
	Stars
	Uploads
	Links

	// Document returns the rendered document of a package. Needs ReadFromRepository.
	// Errors: NotFound "package_not_found" when no reachable source has the package.
	Document(ctx context.Context, who packhouse.Principal, k DocKey) (Doc, error)
	// Asset opens an asset for reading, pulling it through and retaining its version
	// when only an upstream has it. The caller closes the content. Needs
	// ReadFromRepository. Errors: NotFound with reason "package-version_not_found",
	// "asset_not_found", "version_archived" or "version_disposed".
	Asset(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef) (packhouse.Asset, *Content, error)
	// Stage takes an asset's bytes into sealed staging, hashing on the way. Access to
	// publish pkg is decided before the first byte is read. The caller hands the
	// result to Publish or discards it. Errors: Denied, TooLarge when r holds more
	// than limit bytes (0 means the format's MaxAsset).
	Stage(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, r io.Reader, limit int64) (Staged, error)
	// Publish makes a version, or adds an asset to one, by the rules of
	// codeartifact.md 3.6, atomically. It consumes the staged contents whatever the
	// outcome. Needs PublishPackageVersion on the package.
	Publish(ctx context.Context, who packhouse.Principal, p Publication) (Outcome, error)
	// Tag sets or removes tags of a package. Needs PutPackageMetadata.
	Tag(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, c TagChange) error
	// Amend changes status or overlay of versions, all or none. Overlay changes need
	// PutPackageMetadata, Disposed needs DisposePackageVersions, other statuses need
	// UpdatePackageVersionsStatus. What already is as asked changes nothing.
	Amend(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, a Amendments) error
	// Held tells what the repository itself holds of a package: all of its versions, or
	// one version with its assets when version is not "". Unfinished versions are there
	// for those who may publish the package only. Needs ReadFromRepository, or
	// PublishPackageVersion on the package. Errors: NotFound of the repository, the
	// package or the version.
	Held(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, version string) (Held, error)
	// Remove deletes a version, or one asset of an Unfinished version when asset is not
	// ""; with the last asset goes the version. Needs DeletePackageVersions. Errors:
	// NotFound of the repository, the package, the version or the asset; Conflict
	// "version_finished" for an asset of a version that is not Unfinished.
	Remove(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef, asset string) error
}

// Held is what a repository itself holds of a package.
type Held struct {
	Versions []HeldVersion
	// Writer reports that the caller may publish the package.
	Writer bool
	// Seq is the package's change count, for Amendments.IfSeq.
	Seq int64
	// Overwrite and LateAssets are settings of the repository: a plain publish replaces
	// files of Unfinished versions, and finished versions take further files.
	Overwrite, LateAssets bool
}

// HeldVersion is a version with its assets.
type HeldVersion struct {
	packhouse.PackageVersion
	// Assets are ordered by name and have all four hashes; nil where all versions were
	// asked for, and of Disposed versions.
	Assets []packhouse.Asset
}

// Sized is the ability of readers that know how much they hold. Stage refuses what is
// too large before it reads a byte of it.
type Sized interface {
	Size() int64 // bytes; -1 while unknown
}

// Staged is an asset's bytes in staging: whole, hashed, invisible.
type Staged interface {
	io.ReaderAt
	Size() int64
	// Hashes returns the computed hashes; SHA-1, SHA-256 and SHA-512 are always there.
	Hashes() packhouse.Hashes
	// Discard drops the bytes. It may be called more than once and after Publish.
	Discard()
}

// Publication is a request to publish.
type Publication struct {
	Package     packhouse.PackageRef
	DisplayName string
	Version     string
	Assets      []NewAsset
	Manifest    []byte // handed to Inspect as Upload.Manifest
	Tags        []string
	Overlay     []byte
	Unfinished  bool
	ViaAPI      bool // comes through the control plane; see Upload.ViaAPI
}

// NewAsset is one asset of a Publication.
type NewAsset struct {
	Name      string
	MediaType string
	Content   Staged
	Declared  packhouse.Hashes // what the client says; compared before anything is kept
	// Side marks a file that accompanies the version without being one of its assets: it
	// is neither listed nor counted, lives and goes with the version, and Asset opens it.
	// Inspect sees it, too, and its digest must be part of Facts.Manifest.
	Side bool
	// Replaces is the SHA-256, in lower-case hex, of the bytes that an Unfinished
	// version has under this name and that these take the place of; "" replaces nothing.
	Replaces string
	// Overwrite takes the place of whatever an Unfinished version has under this name,
	// where the repository is set so.
	Overwrite bool
}

// Outcome is what a Publish did.
type Outcome struct {
	Version  packhouse.PackageVersion
	Asset    packhouse.Asset // the first asset, with all four hashes
	Repeated bool            // the same bytes were there already: nothing changed
}

// TagChange is one change to a package's tags.
type TagChange struct {
	Tag     string
	Version string // "" removes the tag
}

// Amendments are changes to versions of one package.
type Amendments struct {
	Versions []Amendment
	// IfSeq, where not 0, is the package's Seq the caller saw; another one now is
	// Conflict "stale_revision".
	IfSeq int64
	// AllVersions applies Status to every version of the package instead of Versions.
	AllVersions bool
	Status      packhouse.Status
}

// Amendment is a change to one version.
type Amendment struct {
	Version string
	Status  packhouse.Status // "" keeps
	Overlay *[]byte          // nil keeps; pointer to empty clears
}

// Content is an asset's plain bytes, either stored whole (At is set) or still
// arriving from upstream (At is nil and Stream yields it as it comes). Stream ends
// with an error, never with a clean EOF, when the bytes turn out wrong.
type Content struct {
	Size   int64 // bytes; -1 while unknown
	At     io.ReaderAt
	Stream io.Reader // set when At is nil
	Close  func() error
	// Unfinished is set while the version is: other bytes may come in their place.
	Unfinished bool
	// Modified is when the version was published; zero where nobody knows.
	Modified time.Time
}

// Route is one endpoint of a format's protocol, below the repository's base.
//
// Patterns are matched on the escaped path, each segment decoded once:
//
//	{x}     one segment
//	{x...}  one or more segments, last in the pattern or followed by literals
//	{@x}    a name with optional scope: one segment, which may hold an encoded slash
//	        after a leading "@", or two segments of which the first begins with "@"
//
// Anything that reliability.md S1 refuses never reaches a route.
type Route struct {
	Name    string // "packument": for logs, metrics, documents
	Methods []string
	Pattern string // "/{@name}/-/{file}"
	Action  packhouse.Action
	// Anonymous lets requests without credentials through to Serve.
	Anonymous bool
	// Linked lets requests without credentials through to Serve when their query has a
	// "sig", which Serve then must ask the house about.
	Linked bool
	Serve  func(w http.ResponseWriter, r *Request) error
}

// Request is an authenticated request for one repository of one format.
type Request struct {
	*http.Request
	Who    packhouse.Principal
	Repo   packhouse.RepoRef
	Base   string            // absolute base URL in the spelling of this request, trailing slash
	Vars   map[string]string // decoded path variables
	Door   string
	Issued time.Time
}

// Var returns a decoded path variable.
func (r *Request) Var(name string) string { return r.Vars[name] }
