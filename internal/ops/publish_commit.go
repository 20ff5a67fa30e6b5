package ops

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// commitPublish is the one transaction of a publish (reliability.md R2 step 7).
func (s *Service) commitPublish(ctx context.Context, who packhouse.Principal, pub *publishing) (format.Outcome, error) {
	var (
		out  format.Outcome
		used map[int]bool
	)
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		used = make(map[int]bool)
		out, err = s.writePublish(ctx, tx, who, pub, used)
		return err
	})
	if errors.Is(err, catalog.ErrInDoubt) {
		pub.used = used // better a leftover than a lost blob (R6, R14)
	}
	if err != nil {
		return format.Outcome{}, storeError("publish "+pub.Package.String(), err)
	}
	pub.used = used
	return out, nil
}

// writePublish writes everything that a publish writes. It notes in used the assets of
// which a row refers to the object that was made durable for them.
func (s *Service) writePublish(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, pub *publishing, used map[int]bool) (out format.Outcome, err error) {
	now := s.now().UTC()
	pkg, created, err := s.ensurePackage(ctx, tx, pub, now)
	if err != nil {
		return out, err
	}
	judged := pkg
	if created { // as if there were none: it has no versions, and its controls allow this
		judged = packhouse.Package{}
	}
	v, err := s.judge(ctx, tx, pub, judged)
	if err != nil {
		return out, err
	}
	if v.repeat {
		return pub.repeated(v), nil
	}
	rev, err := s.publishedRevision(ctx, tx, pub, v, used)
	if err != nil {
		return out, err
	}
	revID, err := tx.EnsureRevision(ctx, rev)
	if err != nil {
		return out, err
	}
	change := s.change(ctx, who, packhouse.ChangeVersionPublished, pub.repo)
	change.Package, change.Version = pub.Package.Package, pub.Version
	change.RevisionAfter = rev.Name
	change.AssetsAdded, change.MetadataUpdated = pub.shown(v.fresh), v.version == nil
	row, err := s.pointVersion(ctx, tx, pub, pkg, v, revID, now, &change)
	if err != nil {
		return out, err
	}
	if err := s.setPublishedTags(ctx, tx, pub, pkg, row.ID, now); err != nil {
		return out, err
	}
	changes := []packhouse.Change{change}
	if created {
		made := s.change(ctx, who, packhouse.ChangePackageCreated, pub.repo)
		made.Package = pub.Package.Package
		changes = []packhouse.Change{made, change}
	}
	if err := s.recordAll(ctx, tx, pkg.ID, changes); err != nil {
		return out, err
	}
	row.Revision, row.RevisionID = rev.Name, revID
	row.Ref = pub.Package.At(row.Ref.Version)
	return format.Outcome{Version: row.PackageVersion, Asset: pub.firstAsset(v)}, nil
}

// ensurePackage locks the package's record, making it with the defaults of a first
// publish (codeartifact.md 3.7) where there is none. One that was not there a moment ago
// is not looked for again.
func (s *Service) ensurePackage(ctx context.Context, tx *catalog.Tx, pub *publishing, now time.Time) (pkg packhouse.Package, created bool, err error) {
	record := newRecord(pub.repo, pub.Package.Package, pub.DisplayName, pub.origins.Published(), now)
	if pub.known {
		pkg, created, err = s.ensureRecord(ctx, tx, record)
	} else if pkg, err = tx.InsertPackage(ctx, record); errors.Is(err, catalog.ErrExists) {
		pkg, created, err = s.ensureRecord(ctx, tx, record)
	} else {
		created = true
	}
	if errors.Is(err, catalog.ErrNotFound) { // the repository was looked up before the transaction
		err = repositoryNotFound(pub.Package.Repo)
	}
	return pkg, created, err
}

// publishedRevision puts together the revision of what the version holds and what is
// new, making the new blobs' rows.
func (s *Service) publishedRevision(ctx context.Context, tx *catalog.Tx, pub *publishing, v verdict, used map[int]bool) (rev catalog.Revision, err error) {
	rev = catalog.Revision{Domain: pub.domain.Key, Format: pub.spec.ID, Facts: pub.facts}
	switch {
	case v.version != nil:
		// As it is now, not as it was at the early look: two assets of a new version may
		// arrive at the same time.
		if rev.Facts, err = tx.Facts(ctx, v.version.RevisionID); err != nil {
			return rev, err
		}
	case pub.late:
		return rev, errMoved
	}
	var named []packhouse.Asset
	for _, h := range v.held {
		rev.Assets = append(rev.Assets, catalog.RevisionAsset{Name: h.Name, BlobID: h.Blob.ID, MediaType: h.MediaType, Side: h.Side})
		if !h.Side {
			rev.Size += h.Size
			named = append(named, h.Asset)
		}
	}
	for _, i := range v.fresh {
		if pub.blobs[i].Object == "" {
			return rev, errMoved
		}
		row, kept, err := tx.UseBlob(ctx, pub.blobs[i])
		if errors.Is(err, catalog.ErrGeneration) {
			return rev, pub.changing()
		}
		if err != nil {
			return rev, err
		}
		a := pub.Assets[i]
		used[i] = kept
		rev.Assets = append(rev.Assets, catalog.RevisionAsset{Name: a.Name, BlobID: row.ID, MediaType: a.MediaType, Side: a.Side})
		if !a.Side {
			rev.Size += row.Size
			named = append(named, packhouse.Asset{Name: a.Name, Digest: row.Digest})
		}
	}
	rev.Name = resolve.RevisionName(pub.Package.Package, pub.key, named, rev.Facts.Manifest)
	return rev, nil
}

// pointVersion makes the version's pointer, or moves it, and completes the change.
func (s *Service) pointVersion(ctx context.Context, tx *catalog.Tx, pub *publishing, pkg packhouse.Package, v verdict, revID int64, now time.Time, change *packhouse.Change) (catalog.VersionRow, error) {
	status := packhouse.Published
	if pub.Unfinished {
		status = packhouse.Unfinished
	}
	change.StatusAfter = status
	if v.version == nil {
		row, err := tx.InsertVersion(ctx, catalog.NewVersion{
			PackageID: pkg.ID, Version: pub.Version, VersionKey: pub.key, RevisionID: revID, Status: status,
			Origin:    packhouse.Origin{Type: packhouse.OriginInternal, Repository: pub.Package.Repo.Name},
			Published: now, Recorded: now, Overlay: pub.Overlay,
		})
		if errors.Is(err, catalog.ErrExists) { // somebody was quicker
			err = errMoved
		}
		return row, err
	}
	row := *v.version
	change.Kind = packhouse.ChangeVersionAssetAdded
	change.RevisionBefore, change.StatusBefore = row.Revision, row.Status
	if row.Status != packhouse.Unfinished { // a late asset of a listed version changes no status
		status = row.Status
		change.StatusAfter = status
	}
	row.Status = status
	return row, tx.RepointVersion(ctx, row.ID, revID, status)
}

// setPublishedTags sets the tags that came with the version, and the format's default
// tag where the package does not have it yet.
func (s *Service) setPublishedTags(ctx context.Context, tx *catalog.Tx, pub *publishing, pkg packhouse.Package, versionID int64, now time.Time) error {
	tags := pub.Tags
	if d := pub.spec.DefaultTag; d != "" && !slices.Contains(tags, d) {
		have, err := tx.Tags(ctx, pkg.ID)
		if err != nil {
			return err
		}
		if _, ok := have[d]; !ok {
			tags = append([]string{d}, tags...)
		}
	}
	for _, t := range tags {
		if err := tx.SetTag(ctx, pkg.ID, t, versionID, now); err != nil {
			return err
		}
	}
	return nil
}

// repeated is the outcome of a publication of what is there already.
func (p *publishing) repeated(v verdict) format.Outcome {
	row := v.version.PackageVersion
	row.Ref = p.Package.At(row.Ref.Version)
	return format.Outcome{Version: row, Asset: p.firstAsset(v), Repeated: true}
}

// firstAsset describes the first asset of the publication as it is kept.
func (p *publishing) firstAsset(v verdict) packhouse.Asset {
	if len(p.Assets) == 0 {
		return packhouse.Asset{}
	}
	a := p.Assets[0]
	for _, h := range v.held {
		if h.Name == a.Name {
			return h.Asset
		}
	}
	st := a.Content.(*staged)
	return packhouse.Asset{Name: a.Name, Digest: st.Digest(), Size: st.Size(), Hashes: st.Hashes(), MediaType: a.MediaType}
}

// shown returns how many of the assets with the given indexes lists will show.
func (p *publishing) shown(indexes []int) (n int) {
	for _, i := range indexes {
		if !p.Assets[i].Side {
			n++
		}
	}
	return n
}
