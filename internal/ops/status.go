package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// UpdateVersionsStatus sets the status of versions, all or none: Published, Unlisted or
// Archived. A version that has it already is Done and leaves no change. Errors: Invalid
// "target_status", "versions_missing", "versions_too_many", "revisions_mismatch";
// NotFound of the repository or the package. What is wrong with single versions is in
// Batch.Failed.
//
// Source: codeartifact.md 3.4.
func (s *Service) UpdateVersionsStatus(ctx context.Context, who packhouse.Principal, in ChangeVersions, target packhouse.Status) (Batch, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionUpdatePackageVersionsStatus, in.Package); err != nil {
		return Batch{}, err
	}
	switch target {
	case packhouse.Published, packhouse.Unlisted, packhouse.Archived:
	default:
		return Batch{}, packhouse.Invalidf("target_status", "target status %q is not allowed: it is %s, %s or %s",
			target, packhouse.Published, packhouse.Unlisted, packhouse.Archived)
	}
	return s.changeVersions(ctx, who, in, versionChanger{
		kind:   packhouse.ChangeVersionStatus,
		target: target,
		refuse: func(now packhouse.Status) string {
			if now == packhouse.Disposed {
				return "is Disposed: it can only be deleted"
			}
			return ""
		},
		apply: func(ctx context.Context, tx *catalog.Tx, v catalog.VersionRow) error {
			return tx.SetStatus(ctx, v.ID, target)
		},
	})
}

// DisposeVersions drops the assets of versions and keeps their records, all or none; it
// cannot be undone. Errors: as UpdateVersionsStatus.
func (s *Service) DisposeVersions(ctx context.Context, who packhouse.Principal, in ChangeVersions) (Batch, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionDisposePackageVersions, in.Package); err != nil {
		return Batch{}, err
	}
	return s.changeVersions(ctx, who, in, versionChanger{
		kind:   packhouse.ChangeVersionDisposed,
		target: packhouse.Disposed,
		refuse: func(packhouse.Status) string { return "" },
		apply: func(ctx context.Context, tx *catalog.Tx, v catalog.VersionRow) error {
			return tx.SetStatus(ctx, v.ID, packhouse.Disposed)
		},
	})
}

// DeleteVersions deletes versions, all or none; their numbers are free again. The
// package's record stays, also when no version is left. Errors: as UpdateVersionsStatus.
func (s *Service) DeleteVersions(ctx context.Context, who packhouse.Principal, in ChangeVersions) (Batch, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionDeletePackageVersions, in.Package); err != nil {
		return Batch{}, err
	}
	return s.changeVersions(ctx, who, in, versionChanger{
		kind:   packhouse.ChangeVersionDeleted,
		target: packhouse.Deleted,
		refuse: func(packhouse.Status) string { return "" },
		apply: func(ctx context.Context, tx *catalog.Tx, v catalog.VersionRow) error {
			return tx.DeleteVersion(ctx, v.ID)
		},
	})
}
