package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Bounds of one step of deleting a repository: nobody else can write for longer than it
// takes.
const (
	stepVersions = 200
	stepPackages = 100
)

// deletionStep deletes some packages and versions of a repository, or at last the
// repository itself, in one transaction. done tells that the repository is gone.
func (s *Service) deletionStep(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (out packhouse.Repository, done bool, err error) {
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		row, _, err := s.repositoryIn(ctx, tx, r)
		if err != nil {
			return err
		}
		if done, err = s.emptyStep(ctx, tx, who, row); err != nil || !done {
			return err
		}
		out = s.describeRepository(row)
		if err := tx.DeleteRepository(ctx, row.ID); err != nil {
			return err
		}
		return tx.Record(ctx, s.change(ctx, who, packhouse.ChangeRepositoryDeleted, row))
	})
	return out, done, err
}

// emptyStep deletes at most stepVersions versions and stepPackages packages of a
// repository, and reports whether none is left.
func (s *Service) emptyStep(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, repo catalog.RepositoryRow) (empty bool, err error) {
	packages, next, err := tx.Packages(ctx, catalog.PackageFilter{RepoID: repo.ID, Limit: stepPackages})
	if err != nil {
		return false, err
	}
	room := stepVersions
	for _, p := range packages {
		n := p.Ref.Package
		record, err := tx.LockPackage(ctx, repo.ID, n)
		if errors.Is(err, catalog.ErrNotFound) {
			continue // gone since it was listed
		}
		if err != nil {
			return false, err
		}
		rows, more, err := tx.Versions(ctx, catalog.VersionFilter{PackageID: record.ID, Limit: room})
		if err != nil {
			return false, err
		}
		if err := s.deleteSome(ctx, tx, who, repo, n, record.ID, rows, more == ""); err != nil {
			return false, err
		}
		if room -= len(rows); room <= 0 || more != "" {
			return false, nil
		}
	}
	return next == "", nil
}

// deleteSome deletes versions of a package, and with whole the package too.
func (s *Service) deleteSome(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, repo catalog.RepositoryRow, n packhouse.PackageName, packageID int64, rows []catalog.VersionRow, whole bool) error {
	counts, err := assetCounts(ctx, tx, rows)
	if err != nil {
		return err
	}
	var changes []packhouse.Change
	for _, v := range rows {
		changes = append(changes, s.deletion(ctx, who, repo, n, v, counts[v.ID]))
	}
	if whole {
		gone := s.change(ctx, who, packhouse.ChangePackageDeleted, repo)
		gone.Package = n
		changes = append(changes, gone)
	}
	if err := s.recordAll(ctx, tx, packageID, changes); err != nil {
		return err
	}
	if whole {
		return tx.DeletePackage(ctx, packageID)
	}
	for _, v := range rows {
		if err := tx.DeleteVersion(ctx, v.ID); err != nil {
			return err
		}
	}
	return nil
}
