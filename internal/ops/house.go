package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// The engine is the house that rooms are handed.
var _ format.House = (*Service)(nil)

// Tag sets or removes a tag of a package; see format.House. Only versions that this
// repository holds can be tagged.
func (s *Service) Tag(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, c format.TagChange) error {
	if err := s.allowPackage(ctx, who, packhouse.ActionPutPackageMetadata, pkg); err != nil {
		return err
	}
	room, ok := s.formats[pkg.Package.Format]
	if !ok {
		return unknownFormat(pkg.Package.Format)
	}
	if c.Version == "" && c.Tag == room.Spec().DefaultTag {
		return packhouse.Invalidf("default_tag", "tag %s cannot be removed; point it at another version instead", c.Tag)
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return err
	}
	return storeError("tag "+pkg.String(), s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		record, err := s.lockPackageIn(ctx, tx, repo, pkg)
		if packhouse.KindOf(err) == packhouse.KindNotFound {
			return packhouse.NotFoundf(packhouse.ResourcePackage, pkg.Package.Name,
				"package %s is not held by repository %s, so it cannot be tagged there", pkg.Package, pkg.Repo.Name)
		}
		if err != nil {
			return err
		}
		change := s.change(ctx, who, packhouse.ChangeTagSet, repo)
		change.Package, change.Tag, change.Version = pkg.Package, c.Tag, c.Version
		if c.Version == "" {
			change.Kind = packhouse.ChangeTagRemoved
			err = tx.RemoveTag(ctx, record.ID, c.Tag)
			if errors.Is(err, catalog.ErrNotFound) {
				return packhouse.NotFoundf("tag", c.Tag, "%s has no tag %s in repository %s", pkg.Package, c.Tag, pkg.Repo.Name)
			}
		} else {
			err = s.setTag(ctx, tx, room, record, c, pkg)
		}
		if err != nil {
			return err
		}
		return s.recordAll(ctx, tx, record.ID, []packhouse.Change{change})
	}))
}

// setTag points a tag at a version of the record.
func (s *Service) setTag(ctx context.Context, tx *catalog.Tx, room format.Format, record packhouse.Package, c format.TagChange, pkg packhouse.PackageRef) error {
	key, err := room.VersionKey(c.Version)
	if err != nil {
		return err
	}
	row, err := tx.Version(ctx, record.ID, key)
	if errors.Is(err, catalog.ErrNotFound) {
		return packhouse.NotFoundf(packhouse.ResourceVersion, c.Version,
			"version %s of %s is not held by repository %s, so it cannot be tagged there", c.Version, pkg.Package, pkg.Repo.Name)
	}
	if err != nil {
		return err
	}
	return tx.SetTag(ctx, record.ID, c.Tag, row.ID, s.now().UTC())
}

// Amend changes status or overlay of versions of one package, all or none; see
// format.House.
func (s *Service) Amend(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, a format.Amendments) error {
	for _, action := range amendActions(a) {
		if err := s.allowPackage(ctx, who, action, pkg); err != nil {
			return err
		}
	}
	room, ok := s.formats[pkg.Package.Format]
	if !ok {
		return unknownFormat(pkg.Package.Format)
	}
	for _, v := range a.Versions {
		if v.Overlay != nil && len(*v.Overlay) > packhouse.MaxOverlay {
			return packhouse.Invalidf("overlay_too_large", "the changeable metadata of version %s has %d bytes; at most %d are allowed", v.Version, len(*v.Overlay), packhouse.MaxOverlay)
		}
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return err
	}
	return storeError("amend "+pkg.String(), s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		record, err := s.lockPackageIn(ctx, tx, repo, pkg)
		if err != nil {
			return err
		}
		if a.IfSeq != 0 && a.IfSeq != record.Seq {
			return packhouse.Conflictf("stale_revision", packhouse.ResourcePackage, pkg.Package.Name,
				"%s was changed by somebody else since you read it; read it again", pkg.Package)
		}
		return s.amendLocked(ctx, tx, who, room, repo, record, pkg, a)
	}))
}

// amendActions lists what the caller must be allowed to do for the amendments.
func amendActions(a format.Amendments) []packhouse.Action {
	var status, dispose, overlay bool
	note := func(st packhouse.Status) {
		dispose = dispose || st == packhouse.Disposed
		status = status || st != "" && st != packhouse.Disposed
	}
	if a.AllVersions {
		note(a.Status)
	}
	for _, v := range a.Versions {
		note(v.Status)
		overlay = overlay || v.Overlay != nil
	}
	var need []packhouse.Action
	if dispose {
		need = append(need, packhouse.ActionDisposePackageVersions)
	}
	if status {
		need = append(need, packhouse.ActionUpdatePackageVersionsStatus)
	}
	if overlay || len(need) == 0 {
		need = append(need, packhouse.ActionPutPackageMetadata)
	}
	return need
}

// amendLocked applies the amendments to a locked package. Versions that already are as
// asked leave no change.
func (s *Service) amendLocked(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, room format.Format, repo catalog.RepositoryRow, record packhouse.Package, pkg packhouse.PackageRef, a format.Amendments) error {
	rows, wants, err := s.amended(ctx, tx, room, record, pkg, a)
	if err != nil {
		return err
	}
	counts, err := assetCounts(ctx, tx, rows)
	if err != nil {
		return err
	}
	var changes []packhouse.Change
	for i, row := range rows {
		want := wants[i]
		change := s.versionChange(ctx, who, packhouse.ChangeVersionOverlay, repo, pkg.Package, row)
		changed := false
		if want.Overlay != nil && string(*want.Overlay) != string(row.Overlay) {
			changed, change.MetadataUpdated = true, true
			if err := tx.SetOverlay(ctx, row.ID, *want.Overlay); err != nil {
				return err
			}
		}
		if want.Status != "" && want.Status != row.Status {
			if row.Status == packhouse.Disposed {
				return packhouse.Conflictf("version_disposed", packhouse.ResourceVersion, row.Ref.Version, "version %s is Disposed and stays so", row.Ref.Version)
			}
			changed = true
			change.Kind, change.StatusAfter = packhouse.ChangeVersionStatus, want.Status
			if want.Status == packhouse.Disposed {
				change.Kind, change.AssetsRemoved = packhouse.ChangeVersionDisposed, counts[row.ID]
			}
			if err := tx.SetStatus(ctx, row.ID, want.Status); err != nil {
				return err
			}
		}
		if changed {
			changes = append(changes, change)
		}
	}
	return s.recordAll(ctx, tx, record.ID, changes)
}

// amended returns the rows to change and, in parallel, what is wanted of each.
func (s *Service) amended(ctx context.Context, tx *catalog.Tx, room format.Format, record packhouse.Package, pkg packhouse.PackageRef, a format.Amendments) ([]catalog.VersionRow, []format.Amendment, error) {
	if a.AllVersions {
		rows, err := tx.AllVersions(ctx, record.ID)
		wants := make([]format.Amendment, len(rows))
		for i := range wants {
			wants[i].Status = a.Status
		}
		return rows, wants, err
	}
	keys := make([]string, len(a.Versions))
	for i, v := range a.Versions {
		key, err := room.VersionKey(v.Version)
		if err != nil {
			return nil, nil, err
		}
		keys[i] = key
	}
	byKey, err := tx.VersionsByKey(ctx, record.ID, keys)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]catalog.VersionRow, len(keys))
	for i, key := range keys {
		row, ok := byKey[key]
		if !ok {
			return nil, nil, packhouse.NotFoundf(packhouse.ResourceVersion, a.Versions[i].Version,
				"version %s of %s is not held by repository %s", a.Versions[i].Version, pkg.Package, pkg.Repo.Name)
		}
		rows[i] = row
	}
	return rows, a.Versions, nil
}
