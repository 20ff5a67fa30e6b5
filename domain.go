package packhouse

import "time"

// Domain is the unit of encryption, de-duplication and cross-repository copy.
type Domain struct {
	Ref             DomainRef
	ID              int64
	KeyARN          string // of the key that wraps the domain's keyset
	BucketName      string // stable name of the form assets-{12 digits}-{region}
	Created         time.Time
	Deleted         bool
	RepositoryCount int
	AssetSizeBytes  int64 // sum of the sizes of distinct stored assets
}

// Repository holds packages of any format.
type Repository struct {
	Ref           RepoRef
	ID            int64
	DomainID      int64
	Administrator AccountID // account that created it
	Description   string
	Upstreams     []string               // names of repositories of the same domain, in search order
	Connections   []RepositoryConnection // at most one today; a list in the schema
	Created       time.Time
}

// RepositoryConnection is an external connection that a repository has.
type RepositoryConnection struct {
	Name   string
	Format FormatID
}

// ResourceTag is a label on a domain or repository. Keys are unique per resource.
type ResourceTag struct {
	Key, Value string
}

// MaxUpstreams is how many repositories besides the asked one a resolution visits;
// MaxDirectUpstreams is how many a repository may list (codeartifact.md 2.5).
const (
	MaxUpstreams       = 25
	MaxDirectUpstreams = 10
)
