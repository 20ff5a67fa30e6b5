package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// suggest adds to the NotFound of a repository, or of a package in it, which name was
// probably meant. Only names that the caller may read are suggested. It is for errors
// that a person is likely to see; whatever fails on the way leaves err as it is.
func (s *Service) suggest(ctx context.Context, who packhouse.Principal, repo packhouse.RepoRef, pkg packhouse.PackageName, err error) error {
	var e *packhouse.Error
	if !errors.As(err, &e) || e.Kind != packhouse.KindNotFound || e.Near != "" {
		return err
	}
	near := ""
	switch e.Resource {
	case packhouse.ResourceRepository:
		near = s.nearRepository(ctx, who, repo)
	case packhouse.ResourcePackage:
		near = s.nearPackage(ctx, repo, pkg)
	}
	if near == "" {
		return err
	}
	told := *e
	told.Near, told.Message = near, fmt.Sprintf("%s; did you mean %s?", e.Message, near)
	return &told
}

// nearRepository returns the repository of the domain whose name is nearest, "" for none.
func (s *Service) nearRepository(ctx context.Context, who packhouse.Principal, ref packhouse.RepoRef) (near string) {
	var rows []catalog.RepositoryRow
	err := s.catalog.View(ctx, func(tx *catalog.Tx) error {
		d, err := s.domainIn(ctx, tx, ref.Domain)
		if err == nil {
			rows, _, err = tx.Repositories(ctx, catalog.RepositoryFilter{DomainID: d.ID, Limit: s.quotas.RepositoriesPerDomain})
		}
		return err
	})
	if err != nil {
		return ""
	}
	best := slips(ref.Name)
	for _, r := range rows {
		n := distance(ref.Name, r.Ref.Name, best)
		if n <= best && s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, r.Ref) == nil {
			near, best = r.Ref.Name, n-1
		}
	}
	return near
}

// Near packages are looked for among those that begin alike, and among so many at most.
const (
	nearPrefix     = 2 // bytes
	nearCandidates = 200
)

// nearPackage returns the package of the repository whose name is nearest, or that has
// the same name in another namespace; "" for none. The caller may read the repository.
func (s *Service) nearPackage(ctx context.Context, ref packhouse.RepoRef, n packhouse.PackageName) (near string) {
	repo, _, err := s.repository(ctx, ref)
	if err != nil {
		return ""
	}
	var rows []packhouse.Package
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, _, err = tx.Packages(ctx, catalog.PackageFilter{RepoID: repo.ID, Format: n.Format, Limit: nearCandidates,
			NamespacePrefix: n.Namespace[:min(nearPrefix, len(n.Namespace))], NamePrefix: n.Name[:min(nearPrefix, len(n.Name))]})
		return err
	})
	if err != nil {
		return ""
	}
	best := slips(n.Name)
	for _, p := range rows {
		is := p.Ref.Package
		d := 1
		if is.Name != n.Name || is.Namespace == n.Namespace {
			d = distance(n.Namespace+"/"+n.Name, is.Namespace+"/"+is.Name, best)
		}
		if d <= best && d > 0 {
			near, best = cmp.Or(p.DisplayName, is.String()), d-1
		}
	}
	return near
}

// slips is how many slips of the finger a name may have: fewer in short ones, which have
// many neighbours.
func slips(name string) int { return min(2, len(name)/3) }

// distance counts the letters that were left out, added, changed or swapped with their
// neighbour between two names; limit+1 for more than limit.
func distance(a, b string, limit int) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = min(last[j]+1, row[j-1]+1, changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], limit+1)
}
