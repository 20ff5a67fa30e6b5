package format

import (
	"context"
	"net/http"
	"time"

	"github.com/packhouse/packhouse"
)

// Puller is the ability of formats with a public registry protocol.
type Puller interface {
	// Connections lists the external connections that exist by name for the format
	// (codeartifact.md 3.3), without addresses.
	Connections() []PublicConnection
	// FetchIndex asks the public registry for a package's index. It returns what is
	// to be kept, in an encoding that ReadIndex understands. Errors: NotFound when
	// the registry does not have the package; ErrNotModified when prior still holds.
	FetchIndex(ctx context.Context, get Getter, name packhouse.PackageName, prior Validators) (FetchedIndex, error)
	// ReadIndex reads a kept index. It is pure. The result may point into body.
	ReadIndex(name packhouse.PackageName, body []byte) (*RemoteIndex, error)
}

// PublicConnection is a connection that a format knows by name.
type PublicConnection struct {
	Name  string // "public:npmjs"
	Store string // conventional repository name: "npm-store"
	// Discover asks what the machine's own clients are set to. It returns "" when
	// nothing is set; it must not spell an address itself.
	Discover func(ctx context.Context) (string, error)
}

// Getter fetches documents of one connection. Paths are relative to the connection's
// address. Limits, retries, credentials and the address guard are the engine's.
type Getter interface {
	// Get returns the decoded body of at most the metadata limit. Errors: NotFound
	// for 404 and 410; ErrNotModified for 304; Upstream kinds otherwise.
	Get(ctx context.Context, path string, h http.Header, prior Validators) (Response, error)
}

// Response is an upstream document.
type Response struct {
	Body       []byte
	Header     http.Header
	Validators Validators
}

// Validators make a conditional request.
type Validators struct {
	ETag         string
	LastModified string
}

// FetchedIndex is what FetchIndex returns.
type FetchedIndex struct {
	Body       []byte
	Validators Validators
}

// ErrNotModified tells that the prior document still holds.
var ErrNotModified = &packhouse.Error{Kind: packhouse.KindInternal, Reason: "not_modified", Message: "not modified"}

// RemoteIndex is a public registry's index of one package, read.
type RemoteIndex struct {
	DisplayName string
	Versions    []RemoteVersion
	Tags        map[string]string
	Head        []byte // package-level document for View.Head, format's own encoding
	Modified    time.Time
	Created     time.Time
}

// RemoteVersion is one version as the public registry describes it.
type RemoteVersion struct {
	Version   string
	Published time.Time        // the registry's own time; zero if it does not say
	Status    packhouse.Status // Published, or Unlisted where the registry hides it
	Fragment  []byte
	Overlay   []byte
	Manifest  []byte // becomes Upload.Manifest when the version is pulled through
	Assets    []RemoteAsset
}

// RemoteAsset is one file of a RemoteVersion.
type RemoteAsset struct {
	Name      string // the asset's name in our store
	URL       string // absolute, or relative to the connection's address
	Size      int64  // bytes; -1 if upstream does not say
	Hashes    packhouse.Hashes
	MediaType string
}

// ClientSetup is the ability of formats whose clients `packhouse login` can set up.
type ClientSetup interface {
	Clients() []Client
}

// Client is a package manager that can be pointed at a repository.
type Client struct {
	Name string // "npm"
	// Login points the client at the endpoint and returns lines that tell what was
	// written and the first command to try.
	Login func(ctx context.Context, s Setup) ([]string, error)
	// Logout takes exactly that back.
	Logout func(ctx context.Context) ([]string, error)
}

// Setup is what a client is pointed at.
type Setup struct {
	Endpoint string // repository endpoint with trailing slash
	Token    string
	Scope    string // limit to this scope or namespace; "" for all
	Expires  time.Time
	Print    bool // only show what would be written
}
