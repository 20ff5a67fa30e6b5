package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
)

// place is a repository with its domain, as looked up by name. It is current while its
// mark holds: every change above packages advances its domain's mark.
type place struct {
	repo   catalog.RepositoryRow
	domain catalog.DomainRow
	mark   feed.Mark
}

// repository looks a repository up by name. Warm it costs no SQL. The rows are shared
// and must not be changed. It decides no access: call it after allow.
//
// Errors: NotFound of the domain or of the repository.
func (s *Service) repository(ctx context.Context, ref packhouse.RepoRef) (catalog.RepositoryRow, catalog.DomainRow, error) {
	if p, ok := s.places.Get(ref); ok && s.clock.Holds(p.mark) {
		return p.repo, p.domain, nil
	}
	// A mark needs the domain's id, and counts only for what is read after it was
	// taken: hence two reads on a miss.
	var p place
	err := s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p.domain, err = s.domainIn(ctx, tx, ref.Domain)
		return err
	})
	if err != nil {
		return p.repo, p.domain, storeError("look up domain", err)
	}
	marked := p.domain.ID
	p.mark = s.clock.Domain(marked)
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p.repo, p.domain, err = s.repositoryIn(ctx, tx, ref)
		return err
	})
	if err != nil {
		return p.repo, p.domain, storeError("look up repository", err)
	}
	if p.domain.ID == marked {
		s.places.Set(ref, &p)
	}
	return p.repo, p.domain, nil
}

// repositoryIn is repository inside a transaction, from the catalog itself.
func (s *Service) repositoryIn(ctx context.Context, tx *catalog.Tx, ref packhouse.RepoRef) (catalog.RepositoryRow, catalog.DomainRow, error) {
	d, err := s.domainIn(ctx, tx, ref.Domain)
	if err != nil {
		return catalog.RepositoryRow{}, d, err
	}
	r, err := tx.Repository(ctx, ref)
	if errors.Is(err, catalog.ErrNotFound) {
		err = repositoryNotFound(ref)
	}
	return r, d, err
}

// domainIn looks a domain up by name inside a transaction.
func (s *Service) domainIn(ctx context.Context, tx *catalog.Tx, ref packhouse.DomainRef) (catalog.DomainRow, error) {
	d, err := tx.Domain(ctx, ref)
	if errors.Is(err, catalog.ErrNotFound) {
		err = packhouse.NotFoundf(packhouse.ResourceDomain, ref.Name, "domain %s does not exist in account %s", ref.Name, ref.Owner)
	}
	return d, err
}

// packageIn looks a package record of a repository up inside a transaction.
func (s *Service) packageIn(ctx context.Context, tx *catalog.Tx, repo catalog.RepositoryRow, ref packhouse.PackageRef) (packhouse.Package, error) {
	p, err := tx.Package(ctx, repo.ID, ref.Package)
	if errors.Is(err, catalog.ErrNotFound) {
		err = packageNotFound(ref)
	}
	p.Ref = ref
	return p, err
}

// lockPackageIn is packageIn with the record locked until the transaction ends.
func (s *Service) lockPackageIn(ctx context.Context, tx *catalog.Tx, repo catalog.RepositoryRow, ref packhouse.PackageRef) (packhouse.Package, error) {
	p, err := tx.LockPackage(ctx, repo.ID, ref.Package)
	if errors.Is(err, catalog.ErrNotFound) {
		err = packageNotFound(ref)
	}
	p.Ref = ref
	return p, err
}
