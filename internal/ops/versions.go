package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/format"
)

// VersionQuery selects versions of a package. Empty fields select everything.
type VersionQuery struct {
	Status      packhouse.Status
	OriginType  packhouse.OriginType
	NewestFirst bool // by published time, newest first, instead of by version text
}

// VersionDetail is a version with its facts.
type VersionDetail struct {
	packhouse.PackageVersion
	Facts packhouse.Facts
}

// Versions lists versions of every status unless q says otherwise; display is the
// default display version, "" for none; next is "" on the last page, and a page before it
// may be shorter than asked for where q has an origin type. A package without versions has
// an empty list. Errors: NotFound of the repository or the package.
func (s *Service) Versions(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, q VersionQuery, p Page) (list []packhouse.PackageVersion, displayed, next string, err error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionListPackageVersions, pkg); err != nil {
		return nil, "", "", err
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return nil, "", "", err
	}
	var rows []catalog.VersionRow
	mark := s.clock.Package(repo.ID, pkg.Package)
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		record, err := s.packageIn(ctx, tx, repo, pkg)
		if err != nil {
			return err
		}
		rows, next, err = tx.Versions(ctx, catalog.VersionFilter{
			PackageID: record.ID, Status: q.Status, OriginType: q.OriginType, NewestFirst: q.NewestFirst,
			After: p.After, Limit: p.limit(),
		})
		if err != nil {
			return err
		}
		displayed, err = s.displayVersion(ctx, tx, repo, record, mark)
		return err
	})
	if err != nil {
		return nil, "", "", storeError("list versions", err)
	}
	for _, v := range rows {
		v.Ref = pkg.At(v.Ref.Version)
		list = append(list, v.PackageVersion)
	}
	return list, displayed, next, nil
}

// displayKey names a package record in s.displays, display what is kept about it.
type (
	displayKey struct {
		repoID int64
		name   packhouse.PackageName
	}
	display struct {
		version string
		mark    feed.Mark
	}
)

// displayVersion returns the default display version of a package: the target of the
// format's default tag when that is Published, else the highest Published version, ""
// when nothing is. It is kept while mark, which the caller took before reading, holds:
// every page of a list repeats it.
func (s *Service) displayVersion(ctx context.Context, tx *catalog.Tx, repo catalog.RepositoryRow, record packhouse.Package, mark feed.Mark) (string, error) {
	key := displayKey{repo.ID, record.Ref.Package}
	if d, ok := s.displays.Get(key); ok && s.clock.Holds(d.mark) {
		return d.version, nil
	}
	room, ok := s.formats[record.Ref.Package.Format]
	if !ok {
		return "", nil
	}
	version, err := taggedVersion(ctx, tx, room, record.ID)
	if err == nil && version == "" {
		version, err = highestPublished(ctx, tx, room, record.ID)
	}
	if err != nil {
		return "", err
	}
	s.displays.Set(key, &display{version: version, mark: mark})
	return version, nil
}

// taggedVersion returns the Published version that has the format's default tag, "" for
// none.
func taggedVersion(ctx context.Context, tx *catalog.Tx, room format.Format, packageID int64) (string, error) {
	name := room.Spec().DefaultTag
	if name == "" {
		return "", nil
	}
	tags, err := tx.Tags(ctx, packageID)
	if err != nil || tags[name] == "" {
		return "", err
	}
	key, err := room.VersionKey(tags[name])
	if err != nil {
		return "", err
	}
	row, err := tx.Version(ctx, packageID, key)
	if errors.Is(err, catalog.ErrNotFound) || err == nil && row.Status != packhouse.Published {
		return "", nil
	}
	return row.Ref.Version, err
}

// highestPublished returns the highest Published version by the format's order, "" for
// none. It holds one page of versions at a time.
func highestPublished(ctx context.Context, tx *catalog.Tx, room format.Format, packageID int64) (highest string, err error) {
	f := catalog.VersionFilter{PackageID: packageID, Status: packhouse.Published, Limit: maxPage}
	for {
		rows, next, err := tx.Versions(ctx, f)
		if err != nil {
			return "", err
		}
		for _, v := range rows {
			if highest == "" || room.Compare(v.Ref.Version, highest) > 0 {
				highest = v.Ref.Version
			}
		}
		if next == "" {
			return highest, nil
		}
		f.After = next
	}
}

// Version describes a version of this repository, Disposed ones too. Errors: NotFound
// of the repository, the package or the version.
func (s *Service) Version(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (VersionDetail, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionDescribePackageVersion, v.PackageRef); err != nil {
		return VersionDetail{}, err
	}
	return s.versionDetail(ctx, v)
}

// Readme returns a version with its readme in Facts. Errors: NotFound, also
// "readme_not_found" where the version or its format has none.
func (s *Service) Readme(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (VersionDetail, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionGetPackageVersionReadme, v.PackageRef); err != nil {
		return VersionDetail{}, err
	}
	d, err := s.versionDetail(ctx, v)
	if err != nil {
		return VersionDetail{}, err
	}
	if room, ok := s.formats[v.Package.Format]; !ok || !room.Spec().HasReadme || d.Facts.Readme == "" {
		err := packhouse.NotFoundf(packhouse.ResourceVersion, v.Version, "version %s has no readme", v.Version)
		err.Reason = "readme_not_found"
		return VersionDetail{}, err
	}
	return d, nil
}

// Dependencies returns a version with its direct dependencies in Facts. Errors: NotFound.
func (s *Service) Dependencies(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (VersionDetail, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionListPackageVersionDependencies, v.PackageRef); err != nil {
		return VersionDetail{}, err
	}
	return s.versionDetail(ctx, v)
}

// versionDetail reads a version with its facts.
func (s *Service) versionDetail(ctx context.Context, v packhouse.VersionRef) (d VersionDetail, err error) {
	repo, _, err := s.repository(ctx, v.Repo)
	if err != nil {
		return VersionDetail{}, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := s.versionIn(ctx, tx, repo, v)
		if err != nil {
			return err
		}
		d.PackageVersion = row.PackageVersion
		d.Facts, err = tx.Facts(ctx, row.RevisionID)
		return err
	})
	return d, storeError("describe version", err)
}

// versionIn looks a version of a repository up inside a transaction, by identity: any
// spelling that the format calls equal finds it.
func (s *Service) versionIn(ctx context.Context, tx *catalog.Tx, repo catalog.RepositoryRow, v packhouse.VersionRef) (catalog.VersionRow, error) {
	record, err := s.packageIn(ctx, tx, repo, v.PackageRef)
	if err != nil {
		return catalog.VersionRow{}, err
	}
	room, ok := s.formats[v.Package.Format]
	if !ok {
		return catalog.VersionRow{}, versionNotFound(v.Version)
	}
	key, err := room.VersionKey(v.Version)
	if err != nil { // not a version of this format, so nobody has it
		return catalog.VersionRow{}, versionNotFound(v.Version)
	}
	row, err := tx.Version(ctx, record.ID, key)
	if errors.Is(err, catalog.ErrNotFound) {
		return catalog.VersionRow{}, versionNotFound(v.Version)
	}
	row.Ref = v.At(row.Ref.Version)
	return row, err
}
