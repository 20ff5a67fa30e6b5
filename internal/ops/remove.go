package ops

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// Remove deletes a version, or one asset of an Unfinished version; see format.House.
func (s *Service) Remove(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef, asset string) error {
	if err := s.allowPackage(ctx, who, packhouse.ActionDeletePackageVersions, v.PackageRef); err != nil {
		return err
	}
	return storeError("remove from "+v.String(), s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		repo, domain, err := s.repositoryIn(ctx, tx, v.Repo)
		if err != nil {
			return err
		}
		record, err := s.lockPackageIn(ctx, tx, repo, v.PackageRef)
		if err != nil {
			return err
		}
		row, err := s.versionIn(ctx, tx, repo, v)
		if err != nil {
			return err
		}
		counts, err := assetCounts(ctx, tx, []catalog.VersionRow{row})
		if err != nil {
			return err
		}
		if asset != "" {
			left, err := s.withoutAsset(ctx, tx, row, asset)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				change := s.versionChange(ctx, who, packhouse.ChangeVersionAssetRemoved, repo, v.Package, row)
				change.AssetsRemoved = 1
				if change.RevisionAfter, err = s.repointTo(ctx, tx, domain, v.Package, row, left); err != nil {
					return err
				}
				return s.recordAll(ctx, tx, record.ID, []packhouse.Change{change})
			}
		}
		if err := tx.DeleteVersion(ctx, row.ID); err != nil {
			return err
		}
		return s.recordAll(ctx, tx, record.ID, []packhouse.Change{s.deletion(ctx, who, repo, v.Package, row, counts[row.ID])})
	}))
}

// withoutAsset returns what an Unfinished version holds besides the asset.
func (s *Service) withoutAsset(ctx context.Context, tx *catalog.Tx, row catalog.VersionRow, asset string) ([]catalog.AssetRow, error) {
	if row.Status != packhouse.Unfinished {
		return nil, packhouse.Conflictf("version_finished", packhouse.ResourceVersion, row.Ref.Version,
			"version %s is %s; single assets can be removed only while it is Unfinished", row.Ref.Version, row.Status)
	}
	held, err := tx.Assets(ctx, row.RevisionID)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(held, func(a catalog.AssetRow) bool { return a.Name == asset && !a.Side })
	if at < 0 {
		return nil, packhouse.NotFoundf(packhouse.ResourceAsset, asset, "version %s has no asset %s", row.Ref.Version, asset)
	}
	return slices.Delete(held, at, at+1), nil
}

// repointTo points a version at the revision that has its facts and the assets, and
// returns that revision's name.
func (s *Service) repointTo(ctx context.Context, tx *catalog.Tx, domain catalog.DomainRow, n packhouse.PackageName, row catalog.VersionRow, assets []catalog.AssetRow) (string, error) {
	facts, err := tx.Facts(ctx, row.RevisionID)
	if err != nil {
		return "", err
	}
	rev := catalog.Revision{Domain: domain.Key, Format: n.Format, Facts: facts}
	var named []packhouse.Asset
	for _, a := range assets {
		rev.Assets = append(rev.Assets, catalog.RevisionAsset{Name: a.Name, BlobID: a.Blob.ID, MediaType: a.MediaType, Side: a.Side})
		rev.Size += a.Size
		named = append(named, a.Asset)
	}
	key, err := s.formats[n.Format].VersionKey(row.Ref.Version)
	if err != nil {
		return "", err
	}
	rev.Name = resolve.RevisionName(n, key, named, facts.Manifest)
	id, err := tx.EnsureRevision(ctx, rev)
	if err != nil {
		return "", err
	}
	return rev.Name, tx.RepointVersion(ctx, row.ID, id, row.Status)
}

// Held tells what the repository itself holds of a package; see format.House.
func (s *Service) Held(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, version string) (held format.Held, err error) {
	held.Writer = s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, pkg) == nil
	if !held.Writer {
		if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, pkg.Repo); err != nil {
			return format.Held{}, err
		}
	}
	repo, domain, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return format.Held{}, err
	}
	set, err := s.settingsOf(ctx, pkg.Repo, pkg.Package.Format)
	if err != nil {
		return format.Held{}, err
	}
	held.Overwrite, held.LateAssets = set.overwrite, set.lateAssets
	var rows []catalog.VersionRow
	var assets []catalog.AssetRow
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		record, err := s.packageIn(ctx, tx, repo, pkg)
		if err != nil {
			return err
		}
		held.Seq = record.Seq
		if version == "" {
			rows, err = tx.AllVersions(ctx, record.ID)
			return err
		}
		row, err := s.versionIn(ctx, tx, repo, pkg.At(version))
		if err != nil {
			return err
		}
		if rows = []catalog.VersionRow{row}; row.Status == packhouse.Unfinished && !held.Writer {
			return versionNotFound(version)
		}
		if row.Status == packhouse.Disposed {
			return nil
		}
		assets, err = tx.Assets(ctx, row.RevisionID)
		return err
	})
	if err != nil {
		return format.Held{}, storeError("look at "+pkg.String(), err)
	}
	for _, row := range rows {
		if row.Status != packhouse.Unfinished || held.Writer {
			row.Ref = pkg.At(row.Ref.Version)
			held.Versions = append(held.Versions, format.HeldVersion{PackageVersion: row.PackageVersion})
		}
	}
	for _, row := range assets {
		if row.Side {
			continue
		}
		a, err := s.withHashes(ctx, domain, row)
		if err != nil {
			return format.Held{}, err
		}
		held.Versions[0].Assets = append(held.Versions[0].Assets, a)
	}
	if version != "" {
		slices.SortFunc(held.Versions[0].Assets, func(a, b packhouse.Asset) int { return cmp.Compare(a.Name, b.Name) })
	}
	return held, nil
}

// unfinishedAsset opens an asset of an Unfinished version, which the resolver does not
// see, for those who may publish the package; notFound is the answer for all others.
func (s *Service) unfinishedAsset(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef, notFound error) (packhouse.Asset, *format.Content, error) {
	room, ok := s.formats[a.Package.Format]
	if !ok || room.Spec().LateAssets == format.LateNever || s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, a.PackageRef) != nil {
		return packhouse.Asset{}, nil, notFound
	}
	repo, domain, err := s.repository(ctx, a.Repo)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	version, rows, err := s.readAssets(ctx, repo, a.VersionRef, a.Asset, 1)
	var known *packhouse.Error
	switch {
	case errors.As(err, &known) || err == nil && version.Status != packhouse.Unfinished:
		return packhouse.Asset{}, nil, notFound
	case err != nil:
		return packhouse.Asset{}, nil, storeError("find asset", err)
	}
	if len(rows) == 0 || rows[0].Name != a.Asset {
		return packhouse.Asset{}, nil, packhouse.NotFoundf(packhouse.ResourceAsset, a.Asset, "version %s has no asset %s", a.Version, a.Asset)
	}
	content, err := s.openRow(ctx, domain, a, rows[0])
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	return rows[0].Asset, &format.Content{Size: content.Size(), At: content, Close: content.Close, Unfinished: true}, nil
}
