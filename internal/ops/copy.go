package ops

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// CopyVersions is the input of Service.CopyVersions. Exactly one of Versions and
// Revisions is given.
type CopyVersions struct {
	Domain              packhouse.DomainRef
	Source, Destination string // names of repositories of Domain
	Package             packhouse.PackageName
	Versions            []string
	Revisions           map[string]string // version to the revision expected in the source
	AllowOverwrite      bool
	IncludeFromUpstream bool
}

// copying is one CopyVersions inside its transaction.
type copying struct {
	CopyVersions
	who         packhouse.Principal
	room        format.Format
	source      catalog.RepositoryRow
	destination catalog.RepositoryRow
	found       map[string]catalog.VersionRow // in the source, by key
	held        map[string]catalog.VersionRow // in the destination, by key
	record      packhouse.Package             // in the destination; zero without one
	blocks      *resolve.Blocks
}

// CopyVersions copies versions between repositories of one domain, all or none: it
// writes pointers to the same revisions, no byte moves. Origin controls do not apply.
// Versions whose revision the destination has already are in neither map; one that was
// Disposed there counts as different, because its assets are gone. Needs
// ReadFromRepository on the source, CopyPackageVersions on the package and the
// repository of the destination. Errors: Invalid "versions_or_revisions",
// "same_repository", "versions_too_many"; NotFound of a repository.
//
// Source: codeartifact.md 3.5.
func (s *Service) CopyVersions(ctx context.Context, who packhouse.Principal, in CopyVersions) (out Batch, err error) {
	source := packhouse.RepoRef{Domain: in.Domain, Name: in.Source}
	destination := packhouse.RepoRef{Domain: in.Domain, Name: in.Destination}
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, source); err != nil {
		return Batch{}, err
	}
	if err := s.allowRepository(ctx, who, packhouse.ActionCopyPackageVersions, destination); err != nil {
		return Batch{}, err
	}
	if err := s.allowPackage(ctx, who, packhouse.ActionCopyPackageVersions, packhouse.PackageRef{Repo: destination, Package: in.Package}); err != nil {
		return Batch{}, err
	}
	if (len(in.Versions) == 0) == (len(in.Revisions) == 0) {
		return Batch{}, packhouse.Invalidf("versions_or_revisions", "exactly one of versions and versionRevisions must be given")
	}
	if in.Source == in.Destination {
		return Batch{}, packhouse.Invalidf("same_repository", "source and destination are both repository %s", in.Source)
	}
	if len(in.Versions) == 0 {
		in.Versions = slices.Sorted(maps.Keys(in.Revisions))
	}
	if err := s.checkCount(len(in.Versions)); err != nil {
		return Batch{}, err
	}
	blocks, err := s.resolver.Blocks(ctx, in.Domain)
	if err != nil {
		return Batch{}, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		c := copying{CopyVersions: in, who: who, blocks: blocks}
		if c.source, _, err = s.repositoryIn(ctx, tx, source); err != nil {
			return err
		}
		if c.destination, _, err = s.repositoryIn(ctx, tx, destination); err != nil {
			return err
		}
		var ok bool
		if c.room, ok = s.formats[in.Package.Format]; !ok {
			return unknownFormat(in.Package.Format)
		}
		out, err = s.copyIn(ctx, tx, &c)
		return err
	})
	if err != nil {
		return Batch{}, storeError("copy versions of "+in.Package.String(), err)
	}
	return out, nil
}

// copyIn judges every version and, when none fails, copies.
func (s *Service) copyIn(ctx context.Context, tx *catalog.Tx, c *copying) (Batch, error) {
	out := newBatch()
	list := askedVersions(c.room, c.Versions, c.Revisions)
	keys := keysOf(list)
	var err error
	if c.found, err = s.copySources(ctx, tx, c, keys); err != nil {
		return out, err
	}
	c.record, err = tx.LockPackage(ctx, c.destination.ID, c.Package)
	switch {
	case err == nil:
		c.held, err = tx.VersionsByKey(ctx, c.record.ID, keys)
	case errors.Is(err, catalog.ErrNotFound):
		err = nil
	}
	if err != nil {
		return out, err
	}
	copied := map[string]catalog.VersionRow{}
	for _, a := range list {
		if c.judge(a, &out) {
			copied[a.key] = c.found[a.key]
		}
	}
	if out.skipInnocent("Version %s was skipped") || len(copied) == 0 {
		return out, nil
	}
	return out, s.writeCopies(ctx, tx, c, copied)
}

// copySources finds the versions to copy: in the source repository, and where asked for
// also beyond it. A package that the source does not know holds none.
func (s *Service) copySources(ctx context.Context, tx *catalog.Tx, c *copying, keys []string) (map[string]catalog.VersionRow, error) {
	if c.IncludeFromUpstream && c.room.Spec().Upstreams {
		return s.resolver.Held(ctx, tx, packhouse.PackageRef{Repo: c.source.Ref, Package: c.Package}, keys)
	}
	record, err := tx.Package(ctx, c.source.ID, c.Package)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return tx.VersionsByKey(ctx, record.ID, keys)
}

// judge decides about one version, by steps 3 to 6 of codeartifact.md 3.5, and reports
// whether it is to be copied. One that is blocked is not.
func (c *copying) judge(a asked, out *Batch) bool {
	row, found := c.found[a.key]
	held, exists := c.held[a.key]
	switch {
	case !found:
		out.notFound(a.version)
	case a.revision != "" && a.revision != row.Revision:
		out.mismatchedRevision(a.version, row.Revision, a.revision)
	case row.Status == packhouse.Unfinished || row.Status == packhouse.Disposed:
		out.fail(a.version, FailedNotAllowed, "version %s is %s and cannot be copied", a.version, row.Status)
	case c.blocks.Held(c.Package, &row) != nil:
		out.fail(a.version, FailedNotAllowed, "version %s %s", a.version, resolve.Blocked(a.version, c.blocks.Held(c.Package, &row)).Why)
	case exists && held.Revision == row.Revision && held.Status != packhouse.Disposed:
		return false
	case exists && !c.AllowOverwrite:
		out.fail(a.version, FailedAlreadyExists, "Version %s already exists", a.version)
	default:
		out.Done[a.version] = Done{Revision: row.Revision, Status: row.Status}
		return true
	}
	return false
}

// writeCopies points the destination's versions at the sources' revisions and lets the
// sources' tags follow.
func (s *Service) writeCopies(ctx context.Context, tx *catalog.Tx, c *copying, copied map[string]catalog.VersionRow) error {
	var changes []packhouse.Change
	if c.record.ID == 0 {
		from, err := s.sourceRecord(ctx, tx, c, copied)
		if err != nil {
			return err
		}
		c.record, _, err = s.ensureRecord(ctx, tx, newRecord(c.destination, c.Package, from.DisplayName, from.Controls, s.now().UTC()))
		if err != nil {
			return err
		}
		made := s.change(ctx, c.who, packhouse.ChangePackageCreated, c.destination)
		made.Package = c.Package
		changes = append(changes, made)
	}
	names, err := s.copiedAssets(ctx, tx, c, copied)
	if err != nil {
		return err
	}
	ids := make(map[string]int64, len(copied))
	for _, key := range slices.Sorted(maps.Keys(copied)) {
		id, change, err := s.writeCopy(ctx, tx, c, key, copied[key])
		if err != nil {
			return err
		}
		ids[key] = id
		change.MetadataUpdated = true
		var before map[string]int64
		if held, exists := c.held[key]; exists && held.Status != packhouse.Disposed {
			before = names[held.RevisionID]
		}
		change.AssetsAdded, change.AssetsRemoved, change.AssetsUpdated = compareAssets(before, names[copied[key].RevisionID])
		changes = append(changes, change)
	}
	tagged, err := s.copyTags(ctx, tx, c, copied, ids)
	if err != nil {
		return err
	}
	return s.recordAll(ctx, tx, c.record.ID, append(changes, tagged...))
}

// copiedAssets returns the assets of all versions that are copied and of those that they
// replace, by revision and name.
func (s *Service) copiedAssets(ctx context.Context, tx *catalog.Tx, c *copying, copied map[string]catalog.VersionRow) (map[int64]map[string]int64, error) {
	var ids []int64
	for key, from := range copied {
		ids = append(ids, from.RevisionID)
		if held, exists := c.held[key]; exists {
			ids = append(ids, held.RevisionID)
		}
	}
	return tx.AssetNames(ctx, ids)
}

// compareAssets counts what distinguishes two sets of assets, given as blobs by name.
func compareAssets(before, after map[string]int64) (added, removed, updated int) {
	for name, blob := range after {
		switch was, there := before[name]; {
		case !there:
			added++
		case was != blob:
			updated++
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			removed++
		}
	}
	return added, removed, updated
}

// writeCopy makes or moves one version's pointer in the destination.
func (s *Service) writeCopy(ctx context.Context, tx *catalog.Tx, c *copying, key string, from catalog.VersionRow) (id int64, change packhouse.Change, err error) {
	change = s.versionChange(ctx, c.who, packhouse.ChangeVersionCopied, c.destination, c.Package, from)
	held, exists := c.held[key]
	if !exists {
		change.RevisionBefore, change.StatusBefore = "", ""
		row, err := tx.InsertVersion(ctx, catalog.NewVersion{
			PackageID: c.record.ID, Version: from.Ref.Version, VersionKey: key, RevisionID: from.RevisionID,
			Status: from.Status, Origin: from.Origin, Published: from.Published, Recorded: s.now().UTC(), Overlay: from.Overlay,
		})
		return row.ID, change, err
	}
	change.Version = held.Ref.Version
	change.RevisionBefore, change.StatusBefore = held.Revision, held.Status
	if err := tx.RepointVersion(ctx, held.ID, from.RevisionID, from.Status); err != nil {
		return 0, change, err
	}
	if err := tx.SetOrigin(ctx, held.ID, from.Origin, from.Published); err != nil {
		return 0, change, err
	}
	return held.ID, change, tx.SetOverlay(ctx, held.ID, from.Overlay)
}

// copyTags sets every tag that points at a copied version in the record it came from.
func (s *Service) copyTags(ctx context.Context, tx *catalog.Tx, c *copying, copied map[string]catalog.VersionRow, ids map[string]int64) ([]packhouse.Change, error) {
	if c.room.Spec().DefaultTag == "" {
		return nil, nil
	}
	target, err := s.sourceTags(ctx, tx, c, copied)
	if err != nil {
		return nil, err
	}
	var changes []packhouse.Change
	for _, tag := range slices.Sorted(maps.Keys(target)) {
		key := target[tag]
		if err := tx.SetTag(ctx, c.record.ID, tag, ids[key], s.now().UTC()); err != nil {
			return nil, err
		}
		change := s.change(ctx, c.who, packhouse.ChangeTagSet, c.destination)
		change.Package, change.Version, change.Tag = c.Package, copied[key].Ref.Version, tag
		changes = append(changes, change)
	}
	return changes, nil
}

// sourceTags returns the tags that follow the copied versions, with the keys of their
// targets. When two records have the same tag, the source repository's own wins.
func (s *Service) sourceTags(ctx context.Context, tx *catalog.Tx, c *copying, copied map[string]catalog.VersionRow) (map[string]string, error) {
	own, err := tx.Package(ctx, c.source.ID, c.Package)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return nil, err
	}
	records := map[int64]bool{}
	for _, v := range copied {
		records[v.PackageID] = true
	}
	target := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		tags, err := tx.Tags(ctx, id)
		if err != nil {
			return nil, err
		}
		for tag, version := range tags {
			key, err := c.room.VersionKey(version)
			if err != nil || copied[key].PackageID != id {
				continue
			}
			if _, taken := target[tag]; !taken || id == own.ID {
				target[tag] = key
			}
		}
	}
	return target, nil
}

// sourceRecord returns the record whose controls a new record in the destination takes:
// the source repository's own, else that of the repository of the domain in which a
// copied version was found.
func (s *Service) sourceRecord(ctx context.Context, tx *catalog.Tx, c *copying, copied map[string]catalog.VersionRow) (packhouse.Package, error) {
	own, err := tx.Package(ctx, c.source.ID, c.Package)
	if !errors.Is(err, catalog.ErrNotFound) {
		return own, err
	}
	graph, err := tx.Graph(ctx, c.source.DomainID)
	if err != nil {
		return own, err
	}
	ids := make([]int64, len(graph))
	for i, r := range graph {
		ids[i] = r.ID
	}
	key := slices.Min(slices.Collect(maps.Keys(copied)))
	_, records, err := tx.ResolveAsset(ctx, ids, c.Package, key, "")
	if err != nil {
		return own, err
	}
	for _, p := range records {
		if p.ID == copied[key].PackageID {
			return p, nil
		}
	}
	return own, packhouse.Internal(errors.New("copy: the record of a found version is not in its domain"))
}
