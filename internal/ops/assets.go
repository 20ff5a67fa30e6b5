package ops

import (
	"context"
	"log/slog"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// VersionAssets lists a version's assets by name, with all four hashes: what the
// background hasher has not reached yet is computed now (reliability.md R2 step 3). A
// Disposed version has none. next is "" on the last page. Errors: NotFound.
func (s *Service) VersionAssets(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef, p Page) (version packhouse.PackageVersion, list []packhouse.Asset, next string, err error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionListPackageVersionAssets, v.PackageRef); err != nil {
		return packhouse.PackageVersion{}, nil, "", err
	}
	repo, domain, err := s.repository(ctx, v.Repo)
	if err != nil {
		return packhouse.PackageVersion{}, nil, "", err
	}
	version, rows, err := s.readAssets(ctx, repo, v, p.After, p.limit()+1)
	if err != nil {
		return packhouse.PackageVersion{}, nil, "", storeError("list assets", err)
	}
	if len(rows) > p.limit() { // the one too many is where the next page begins
		next = rows[p.limit()].Name
		rows = rows[:p.limit()]
	}
	for _, row := range rows {
		a, err := s.withHashes(ctx, domain, row)
		if err != nil {
			return packhouse.PackageVersion{}, nil, "", err
		}
		list = append(list, a)
	}
	return version, list, next, nil
}

// VersionAsset opens an asset of this repository only; the caller closes the content.
// revision, when not "", must be the current one. Unfinished versions are readable.
// Errors: NotFound, of the asset for Archived and Disposed versions; Conflict
// "revision_mismatch".
func (s *Service) VersionAsset(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef, revision string) (packhouse.PackageVersion, packhouse.Asset, *format.Content, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionGetPackageVersionAsset, a.PackageRef); err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, err
	}
	repo, domain, err := s.repository(ctx, a.Repo)
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, err
	}
	version, rows, err := s.readAssets(ctx, repo, a.VersionRef, a.Asset, 1)
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, storeError("find asset", err)
	}
	if revision != "" && revision != version.Revision {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, packhouse.Conflictf("revision_mismatch", packhouse.ResourceVersion, a.Version,
			"version %s has revision %s, not %s", a.Version, version.Revision, revision)
	}
	if len(rows) == 0 || rows[0].Name != a.Asset || version.Status == packhouse.Archived {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, packhouse.NotFoundf(packhouse.ResourceAsset, a.Asset,
			"version %s (%s) has no asset %s to give", a.Version, version.Status, a.Asset)
	}
	content, err := s.openRow(ctx, domain, a, rows[0])
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, nil, err
	}
	return version, rows[0].Asset, &format.Content{Size: content.Size(), At: content, Close: content.Close}, nil
}

// readAssets reads a version and at most limit of its assets by name, from one with a name
// on, side files left out. A Disposed version's assets are gone.
func (s *Service) readAssets(ctx context.Context, repo catalog.RepositoryRow, v packhouse.VersionRef, from string, limit int) (version packhouse.PackageVersion, assets []catalog.AssetRow, err error) {
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := s.versionIn(ctx, tx, repo, v)
		if err != nil {
			return err
		}
		version, assets = row.PackageVersion, nil
		if row.Status != packhouse.Disposed {
			assets, err = tx.AssetsFrom(ctx, row.RevisionID, from, limit)
		}
		return err
	})
	return version, assets, err
}

// withHashes returns an asset with all four hashes.
func (s *Service) withHashes(ctx context.Context, domain catalog.DomainRow, row catalog.AssetRow) (packhouse.Asset, error) {
	a := row.Asset
	if a.Hashes.Complete() {
		return a, nil
	}
	h, err := s.vault.CompleteHashes(ctx, domain.Key, row.Blob.BlobRef)
	if err != nil {
		return a, storeError("hash asset", err)
	}
	a.Hashes = h
	if err := s.catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.FillHashes(ctx, row.Blob.ID, h) }); err != nil {
		// They are right all the same, also while nothing may be written (reliability.md R24).
		s.log.LogAttrs(ctx, slog.LevelWarn, "hashes not kept", slog.String("digest", row.Blob.Digest.Hex()), slog.Any("error", err))
	}
	return a, nil
}
