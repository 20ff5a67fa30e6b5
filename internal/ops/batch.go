package ops

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// Batch is the outcome of an all-or-nothing change of several versions: one of the two
// maps is empty. Keys are the versions as the caller wrote them. A copy leaves out of
// both what the destination has already.
type Batch struct {
	Done   map[string]Done
	Failed map[string]Failure
}

// Done is a version that was changed.
type Done struct {
	Revision string
	Status   packhouse.Status
}

// Failure is a version that was not changed.
type Failure struct {
	Code    string // one of the Failed codes
	Message string
}

// Why a version was not changed, as CodeArtifact's PackageVersionErrorCode spells it.
const (
	FailedAlreadyExists      = "ALREADY_EXISTS"
	FailedMismatchedRevision = "MISMATCHED_REVISION"
	FailedMismatchedStatus   = "MISMATCHED_STATUS"
	FailedNotAllowed         = "NOT_ALLOWED"
	FailedNotFound           = "NOT_FOUND"
	FailedSkipped            = "SKIPPED"
)

func newBatch() Batch { return Batch{Done: map[string]Done{}, Failed: map[string]Failure{}} }

// fail notes why a version cannot be changed.
func (b *Batch) fail(version, code, text string, args ...any) {
	b.Failed[version] = Failure{Code: code, Message: fmt.Sprintf(text, args...)}
}

func (b *Batch) notFound(version string) {
	b.fail(version, FailedNotFound, "Could not find version %s", version)
}

func (b *Batch) mismatchedRevision(version, current, expected string) {
	b.fail(version, FailedMismatchedRevision, "current revision: %s, expected revision: %s", current, expected)
}

// skipInnocent makes the batch all or nothing: when a version failed, those that would
// have been changed fail too, with text (which names the version by %s) as message. It
// reports whether that is so.
func (b *Batch) skipInnocent(text string) bool {
	if len(b.Failed) == 0 {
		return false
	}
	for v := range b.Done {
		b.fail(v, FailedSkipped, text, v)
	}
	clear(b.Done)
	return true
}

// asked is one version of a batch call.
type asked struct {
	version  string // as the caller wrote it
	key      string // identity; "" when the format knows no such version
	revision string // that the caller expects; "" for any
}

// askedVersions returns the versions of a batch call, each spelling once, in the
// caller's order. revisions is nil when the caller gave none.
func askedVersions(room format.Format, versions []string, revisions map[string]string) []asked {
	seen := make(map[string]bool, len(versions))
	var out []asked
	for _, v := range versions {
		if seen[v] {
			continue
		}
		seen[v] = true
		key, err := room.VersionKey(v)
		if err != nil { // not a version of this format, so nobody has it
			key = ""
		}
		out = append(out, asked{version: v, key: key, revision: revisions[v]})
	}
	return out
}

// keysOf returns the identities of the versions that have one, each once.
func keysOf(list []asked) []string {
	var keys []string
	seen := make(map[string]bool, len(list))
	for _, a := range list {
		if a.key != "" && !seen[a.key] {
			seen[a.key] = true
			keys = append(keys, a.key)
		}
	}
	return keys
}

// checkCount refuses an empty list and one beyond the quota.
func (s *Service) checkCount(versions int) error {
	switch {
	case versions == 0:
		return packhouse.Invalidf("versions_missing", "at least one version must be named")
	case versions > s.quotas.VersionsPerCall:
		return packhouse.Invalidf("versions_too_many", "%d versions are named; at most %d are allowed in one call", versions, s.quotas.VersionsPerCall)
	}
	return nil
}

// ChangeVersions selects versions to change.
type ChangeVersions struct {
	Package        packhouse.PackageRef
	Versions       []string
	Revisions      map[string]string // revision expected of each of Versions; nil when absent
	ExpectedStatus packhouse.Status  // "" when absent
}

// versionChanger is what distinguishes one batch change of versions from another.
type versionChanger struct {
	kind   packhouse.ChangeKind
	target packhouse.Status // the status afterwards, as answers and the ledger say
	// refuse says why a version in the status may not be changed, "" if it may.
	refuse func(packhouse.Status) string
	apply  func(ctx context.Context, tx *catalog.Tx, v catalog.VersionRow) error
}

// changeVersions runs a batch change: one transaction with the package's record locked;
// when one version fails none is changed (codeartifact.md 3.4).
func (s *Service) changeVersions(ctx context.Context, who packhouse.Principal, in ChangeVersions, c versionChanger) (out Batch, err error) {
	if err := s.checkCount(len(in.Versions)); err != nil {
		return Batch{}, err
	}
	if in.Revisions != nil && !sameKeys(in.Revisions, in.Versions) {
		return Batch{}, packhouse.Invalidf("revisions_mismatch", "the versions that have an expected revision must be exactly the versions that are named")
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		out = newBatch()
		repo, _, err := s.repositoryIn(ctx, tx, in.Package.Repo)
		if err != nil {
			return err
		}
		record, err := s.lockPackageIn(ctx, tx, repo, in.Package)
		if err != nil {
			return err
		}
		room, ok := s.formats[in.Package.Package.Format]
		if !ok {
			return unknownFormat(in.Package.Package.Format)
		}
		list := askedVersions(room, in.Versions, in.Revisions)
		rows, err := tx.VersionsByKey(ctx, record.ID, keysOf(list))
		if err != nil {
			return err
		}
		for _, a := range list {
			row, found := rows[a.key]
			out.judgeChange(a, row, found, in.ExpectedStatus, c)
		}
		if out.skipInnocent("version %s is skipped") {
			return nil
		}
		return s.applyChanges(ctx, tx, who, repo, record, rows, c)
	})
	if err != nil {
		return Batch{}, storeError("change versions of "+in.Package.String(), err)
	}
	return out, nil
}

// judgeChange decides about one version.
func (b *Batch) judgeChange(a asked, row catalog.VersionRow, found bool, expected packhouse.Status, c versionChanger) {
	switch {
	case !found:
		b.notFound(a.version)
	case expected != "" && expected != row.Status:
		b.fail(a.version, FailedMismatchedStatus, "current status: %s, expected status: %s", row.Status, expected)
	case a.revision != "" && a.revision != row.Revision:
		b.mismatchedRevision(a.version, row.Revision, a.revision)
	case c.refuse(row.Status) != "":
		b.fail(a.version, FailedNotAllowed, "version %s %s", a.version, c.refuse(row.Status))
	default:
		b.Done[a.version] = Done{Revision: row.Revision, Status: c.target}
	}
}

// applyChanges changes every row that is not yet as it should be. Rows are taken in the
// order of their keys, so that two calls never wait for each other.
func (s *Service) applyChanges(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, repo catalog.RepositoryRow, record packhouse.Package, rows map[string]catalog.VersionRow, c versionChanger) error {
	var changes []packhouse.Change
	counts, err := c.losses(ctx, tx, rows)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		row := rows[key]
		if row.Status == c.target {
			continue
		}
		if err := c.apply(ctx, tx, row); err != nil {
			return err
		}
		change := s.versionChange(ctx, who, c.kind, repo, record.Ref.Package, row)
		change.StatusAfter, change.AssetsRemoved = c.target, counts[row.ID]
		if c.target == packhouse.Deleted {
			change.RevisionAfter = ""
		}
		changes = append(changes, change)
	}
	return s.recordAll(ctx, tx, record.ID, changes)
}

// losses returns how many assets each version loses by the change, by version id.
func (c *versionChanger) losses(ctx context.Context, tx *catalog.Tx, rows map[string]catalog.VersionRow) (map[int64]int, error) {
	if c.target != packhouse.Disposed && c.target != packhouse.Deleted {
		return nil, nil
	}
	return assetCounts(ctx, tx, slices.Collect(maps.Values(rows)))
}

// sameKeys reports whether the keys of m are exactly the values of list.
func sameKeys(m map[string]string, list []string) bool {
	set := make(map[string]bool, len(list))
	for _, v := range list {
		if _, ok := m[v]; !ok {
			return false
		}
		set[v] = true
	}
	return len(set) == len(m)
}
