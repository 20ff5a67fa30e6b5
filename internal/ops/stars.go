package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// maxStars bounds how many packages one principal may star.
const maxStars = 1000

// Star notes or takes back the caller's star of a package; see format.Stars. A star
// changes nothing that others see, so it is no change of the package.
func (s *Service) Star(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, on bool) error {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, pkg.Repo); err != nil {
		return err
	}
	if who.Scope.ReadOnly {
		return packhouse.Deniedf("read_only_credential", "%s %s may not star with a credential that only reads", who.Kind, who.Name)
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return err
	}
	return storeError("star "+pkg.String(), s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		record, err := s.packageIn(ctx, tx, repo, pkg)
		if err != nil {
			return err
		}
		if !on {
			return tx.Unstar(ctx, who.ID, record.ID)
		}
		n, err := tx.CountStars(ctx, who.ID)
		if err != nil {
			return err
		}
		if n >= maxStars {
			return packhouse.Invalidf("too_many_stars", "%s %s has %d stars already, which is the most there can be; take one back first", who.Kind, who.Name, n)
		}
		return tx.Star(ctx, who.ID, record.ID)
	}))
}

// Starred lists what a user has starred in a repository; see format.Stars.
func (s *Service) Starred(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, f packhouse.FormatID, user string) ([]packhouse.PackageName, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, r); err != nil {
		return nil, err
	}
	repo, _, err := s.repository(ctx, r)
	if err != nil {
		return nil, err
	}
	var names []packhouse.PackageName
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		id := who.ID
		if user != "" && user != who.Name {
			p, err := tx.PrincipalByName(ctx, who.Account, packhouse.KindUser, user)
			if errors.Is(err, catalog.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			id = p.ID
		}
		starred, err := tx.Starred(ctx, id, repo.ID, f)
		names = names[:0]
		for _, n := range starred {
			if s.mayRead(ctx, who, packhouse.PackageRef{Repo: r, Package: n}) {
				names = append(names, n)
			}
		}
		return err
	})
	return names, storeError("list stars in "+r.String(), err)
}
