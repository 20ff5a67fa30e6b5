package format

import (
	"context"
	"net/http"

	"github.com/packhouse/packhouse"
)

// Relay is the part of House that asks public registries on a client's behalf, beyond
// packages themselves. Names are what such questions give away, so the engine decides
// which of them leave, and for where.
type Relay interface {
	// Ask puts a question about packages to the registries that they came from, one
	// question to each, nearest first. A package that a reachable repository has a
	// version of its own of, that is closed to upstreams, or that is not known to have
	// come from a registry is left out. The result has no answer when no package is left.
	// Needs ReadFromRepository. Errors: NotFound "no_registry" when no registry is behind
	// the repository; of the first registry that fails: Upstream kinds, NotFound
	// "upstream_not_found" when it takes no such questions.
	Ask(ctx context.Context, who packhouse.Principal, q Question) ([]Answer, error)
	// Beside returns a document that registries keep beside their indexes, of each
	// registry behind the repository that has it, nearest first. Answers are kept and
	// stand in for a registry that fails, as indexes do. Needs ReadFromRepository. Errors:
	// NotFound "document_not_found" when no registry has it; Upstream kinds when one that
	// might have it failed and none has it, or d.Whole is set.
	Beside(ctx context.Context, who packhouse.Principal, d Document) ([]Response, error)
}

// Question is a question about packages for public registries.
type Question struct {
	Repo     packhouse.RepoRef
	Format   packhouse.FormatID // of the registries, and of all Packages
	Packages []packhouse.PackageName
	Path     string // relative to the registry's address
	Header   http.Header
	// Body makes the question about some of Packages.
	Body func([]packhouse.PackageName) ([]byte, error)
}

// Answer is one registry's answer to a Question.
type Answer struct {
	Response
	Packages []packhouse.PackageName // that were asked about
}

// Document names a document beside an index.
type Document struct {
	Repo   packhouse.RepoRef
	Format packhouse.FormatID // of the registries
	// Version, where not "", is the version of Package that the document is about: then
	// only the registry that it comes from is asked, and none about a version that was
	// published in the domain.
	Version string
	Package packhouse.PackageName
	Path    string // relative to the registry's address
	// Whole marks a document of which a part misleads: a registry that fails is an error
	// then, even where others answer.
	Whole bool
	// Lasting marks a document that never changes: once it is here it is not asked for
	// again.
	Lasting bool
}
