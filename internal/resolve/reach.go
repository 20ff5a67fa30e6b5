package resolve

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Reach is where one repository looks for packages of one format, connections aside. It
// is as current as the moment in which it was made.
type Reach struct {
	shape *domainShape
	repo  *catalog.RepositoryRow
	// Domain is the repositories' domain.
	Domain catalog.DomainRow
	// RepoIDs are the repository and its upstreams, in search order; shared, not to be
	// changed.
	RepoIDs []int64
}

// Reach returns where a repository looks for packages of a format. Errors: NotFound
// "domain_not_found", "repository_not_found"; Unsupported "unknown_format".
func (r *Resolver) Reach(ctx context.Context, ref packhouse.RepoRef, id packhouse.FormatID) (Reach, error) {
	f, err := r.format(id)
	if err != nil {
		return Reach{}, err
	}
	shape, err := r.shape(ctx, ref.Domain)
	if err != nil {
		return Reach{}, err
	}
	repo, err := shape.repository(ref)
	if err != nil {
		return Reach{}, err
	}
	ids := shape.closure(repo)
	if !f.Spec().Upstreams {
		ids = ids[:1]
	}
	return Reach{shape, repo, shape.domain, ids}, nil
}

// Order returns those of the repositories in which a package counts, nearest first, as in
// a View: records are its records by repository, and one that is closed to upstreams hides
// what is beyond it. Source: codeartifact.md 3.1, 3.7.
func (x Reach) Order(records map[int64]*packhouse.Package) []int64 {
	if len(x.RepoIDs) == 1 {
		return x.RepoIDs
	}
	var order []int64
	var origins Origins
	for _, p := range records {
		origins = x.shape.origins(p.Ref.Package)
		break
	}
	for _, src := range origins.admit(x.repo, x.shape.sources(x.repo, func(id int64) bool {
		return effectiveControls(records[id]).Upstream == packhouse.Block
	})) {
		if src.connection == "" {
			order = append(order, src.repo.ID)
		}
	}
	return order
}
