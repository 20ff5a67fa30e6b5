package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
)

// publishing is one Publish on its way: what was asked, and what was found out about it
// before the transaction.
type publishing struct {
	format.Publication
	room    format.Format
	spec    format.Spec
	key     string // identity of the version
	repo    catalog.RepositoryRow
	domain  catalog.DomainRow
	origins resolve.Origins
	set     settings
	facts   packhouse.Facts // of a new version
	known   bool            // the early look found the package's record
	unseen  bool            // the early look did not find the version: it is inserted without another
	late    bool            // the early look found the version, so facts are not those of a new one
	// blobs are the assets' bytes, parallel to Assets: a row that the domain has, or one
	// without an id over an object that was made durable for this publication, before a
	// transaction says whether it is needed, or with the bytes to write beside it. One
	// without an object is for bytes that are not kept, with the generation to keep them for.
	blobs []catalog.BlobRow
	// used are the indexes of blobs whose own objects must stay, because a committed row
	// refers to them or may do so.
	used map[int]bool
}

// verdict is what the rules of codeartifact.md 3.6 say about a publication, given what
// the repository holds.
type verdict struct {
	repeat  bool                // everything is there already
	finish  bool                // only the status changes, from Unfinished to Published
	version *catalog.VersionRow // nil for a new version
	held    []catalog.AssetRow  // assets the version has already
	fresh   []int               // indexes of Assets that are new
	gone    int64               // bytes of the assets that new ones take the place of
}

// Publish makes a version, or adds assets to one, atomically; see format.House. The
// order is that of reliability.md R2: nothing is visible and nothing is answered before
// bytes and transaction are durable.
func (s *Service) Publish(ctx context.Context, who packhouse.Principal, p format.Publication) (format.Outcome, error) {
	defer func() {
		for _, a := range p.Assets {
			a.Content.Discard()
		}
	}()
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, p.Package); err != nil {
		return format.Outcome{}, err
	}
	pub, err := s.preparePublish(ctx, p)
	if err != nil {
		return format.Outcome{}, err
	}
	defer s.dropUnused(context.WithoutCancel(ctx), pub)
	for range publishTries {
		out, err := s.tryPublish(ctx, who, pub)
		if !errors.Is(err, errMoved) {
			return out, err
		}
	}
	return format.Outcome{}, pub.changing()
}

// changing tells the caller that others are too quick.
func (p *publishing) changing() error {
	return p.conflict("concurrent_change", "version %s is being changed by others at this moment; try again", p.Version)
}

// publishTries bounds how often a publish starts over because the version changed
// between the look and the transaction.
const publishTries = 3

// errMoved tells that what the early look found is no longer so, in a way that needs
// bytes that were not made durable.
var errMoved = errors.New("ops: package changed since it was looked at")

// tryPublish looks at the rules twice: first to refuse or repeat without inspecting the
// archive or writing a blob, and again in the transaction, where it counts.
func (s *Service) tryPublish(ctx context.Context, who packhouse.Principal, pub *publishing) (format.Outcome, error) {
	early, err := s.judgeEarly(ctx, pub)
	if err != nil {
		return format.Outcome{}, err
	}
	if early.repeat {
		return pub.repeated(early), s.mendRepeated(ctx, pub, early)
	}
	if err := s.checkBytes(ctx, pub, early); err != nil {
		return format.Outcome{}, err
	}
	if err := s.refuseUpstreamDuplicate(ctx, pub, early); err != nil {
		return format.Outcome{}, err
	}
	pub.late = early.version != nil
	if pub.facts, err = s.inspect(ctx, pub, early); err != nil {
		return format.Outcome{}, err
	}
	if err := s.keepBlobs(ctx, pub, early); err != nil {
		return format.Outcome{}, err
	}
	// From here on a client that leaves changes nothing: the outcome must be known.
	return s.commitPublish(context.WithoutCancel(ctx), who, pub)
}

// preparePublish checks what can be checked without looking at the repository's packages.
func (s *Service) preparePublish(ctx context.Context, p format.Publication) (*publishing, error) {
	room, ok := s.formats[p.Package.Package.Format]
	if !ok {
		return nil, unknownFormat(p.Package.Package.Format)
	}
	pub := &publishing{Publication: p, room: room, spec: room.Spec(), blobs: make([]catalog.BlobRow, len(p.Assets))}
	var err error
	if pub.key, err = room.VersionKey(p.Version); err != nil {
		return nil, err
	}
	if len(p.Overlay) > packhouse.MaxOverlay {
		return nil, packhouse.Invalidf("overlay_too_large", "the version's changeable metadata has %d bytes; at most %d are allowed", len(p.Overlay), packhouse.MaxOverlay)
	}
	for _, a := range p.Assets {
		if name := a.Content.Hashes().Mismatch(a.Declared); name != "" {
			return nil, packhouse.Invalidf("digest_mismatch", "the %s that was declared for %s does not match the bytes that arrived; nothing was stored", name, a.Name)
		}
	}
	if pub.repo, pub.domain, err = s.repository(ctx, p.Package.Repo); err != nil {
		return nil, err
	}
	if pub.origins, err = s.resolver.Origins(ctx, p.Package.Repo.Domain, p.Package.Package); err != nil {
		return nil, err
	}
	if pub.set, err = s.settingsOf(ctx, p.Package.Repo, p.Package.Package.Format); err != nil {
		return nil, err
	}
	for _, a := range p.Assets {
		if st, ok := a.Content.(*staged); !ok || st.domainID != pub.domain.ID {
			return nil, packhouse.Internal(errors.New("publish: content was staged for another domain"))
		}
		if err := s.refuseBlocked(ctx, p.Package.At(p.Version), a.Content.(*staged).Digest()); err != nil {
			return nil, err
		}
	}
	return pub, nil
}

// judgeEarly reads what the repository holds, judges the publication by it, and looks
// which of the new assets' bytes the domain has.
func (s *Service) judgeEarly(ctx context.Context, pub *publishing) (v verdict, err error) {
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		pkg, err := tx.Package(ctx, pub.repo.ID, pub.Package.Package)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		pub.known, pub.unseen = pkg.ID != 0, false
		if v, err = s.judge(ctx, tx, pub, pkg); err != nil {
			return err
		}
		pub.unseen = v.version == nil
		return s.findBlobs(ctx, tx, pub, v)
	})
	return v, storeError("look at package", err)
}

// findBlobs finds the rows of the new assets' bytes, or the generations to keep them for.
// Those that an earlier try has kept stay as they are.
func (s *Service) findBlobs(ctx context.Context, tx *catalog.Tx, pub *publishing, v verdict) error {
	for _, i := range v.fresh {
		if pub.keptItself(i) {
			continue
		}
		row, generation, err := tx.BlobToKeep(ctx, pub.domain.ID, pub.Assets[i].Content.(*staged).Digest())
		if err != nil {
			return err
		}
		if generation > 0 {
			row.Generation = generation
		}
		pub.blobs[i] = row
	}
	return nil
}

// keptItself reports whether asset i has an object that was made for this publication.
func (p *publishing) keptItself(i int) bool { return p.blobs[i].ID == 0 && p.blobs[i].Object != "" }

// judge applies steps 2 and 4 of codeartifact.md 3.6. pkg is the zero Package where the
// repository has no record.
func (s *Service) judge(ctx context.Context, tx *catalog.Tx, pub *publishing, pkg packhouse.Package) (verdict, error) {
	var v verdict
	record := &pkg
	if pkg.ID == 0 {
		record = nil
	}
	if err := pub.origins.MayPublish(pub.Package, pub.repo.ID, record); err != nil {
		return v, err
	}
	if pkg.ID != 0 && !pub.unseen {
		row, err := tx.Version(ctx, pkg.ID, pub.key)
		switch {
		case err == nil:
			v.version = &row
		case !errors.Is(err, catalog.ErrNotFound):
			return v, err
		}
	}
	if v.version == nil {
		for i := range pub.Assets {
			v.fresh = append(v.fresh, i)
		}
		return v, s.checkAssetCount(pub, v)
	}
	if v.version.Status == packhouse.Archived || v.version.Status == packhouse.Disposed {
		return v, pub.conflict("version_exists", "version %s exists with status %s; its number stays taken", pub.Version, v.version.Status)
	}
	var err error
	if v.held, err = tx.Assets(ctx, v.version.RevisionID); err != nil {
		return v, err
	}
	for i, a := range pub.Assets {
		at := slices.IndexFunc(v.held, func(h catalog.AssetRow) bool { return h.Name == a.Name })
		switch {
		case at < 0:
			v.fresh = append(v.fresh, i)
		case v.held[at].Digest.Hex() == a.Content.Hashes().SHA256:
		case v.version.Status == packhouse.Unfinished && (v.held[at].Digest.Hex() == a.Replaces || a.Overwrite && pub.set.overwrite):
			v.gone += v.held[at].Size
			v.held = slices.Delete(v.held, at, at+1)
			v.fresh = append(v.fresh, i)
		default:
			return v, pub.conflict("version_exists", "version %s exists with other bytes in %s", pub.Version, a.Name)
		}
	}
	unfinished := v.version.Status == packhouse.Unfinished
	switch {
	case len(v.fresh) == 0:
		v.finish = unfinished && !pub.Unfinished
		v.repeat = !v.finish
	case pub.spec.LateAssets == format.LateNever:
		return v, pub.conflict("version_exists", "version %s exists; a version of this format has one asset", pub.Version)
	case pub.spec.LateAssets == format.LateWhileUnfinished && !unfinished && !pub.set.lateAssets:
		return v, pub.conflict("version_finished", "version %s is %s; assets can be added only while it is Unfinished", pub.Version, v.version.Status)
	}
	return v, s.checkAssetCount(pub, v)
}

// checkAssetCount holds a version to the quota of assets (codeartifact.md 2.5).
func (s *Service) checkAssetCount(pub *publishing, v verdict) error {
	n := 0
	for _, h := range v.held {
		if !h.Side {
			n++
		}
	}
	for _, i := range v.fresh {
		if !pub.Assets[i].Side {
			n++
		}
	}
	if n > s.quotas.AssetsPerVersion {
		return &packhouse.Error{Kind: packhouse.KindQuotaExceeded, Reason: "assets_per_version",
			Resource: packhouse.ResourceVersion, ResourceID: pub.Version,
			Message: fmt.Sprintf("a version has at most %d assets; this would be %d", s.quotas.AssetsPerVersion, n)}
	}
	return nil
}

// conflict makes a Conflict about the version.
func (p *publishing) conflict(reason, text string, args ...any) error {
	return packhouse.Conflictf(reason, packhouse.ResourceVersion, p.Version, text, args...)
}

// refuseUpstreamDuplicate is step 3 of codeartifact.md 3.6: a version that an upstream
// or a connection has cannot be published here while the package takes versions from
// upstream. A package without a record counts as taking them.
func (s *Service) refuseUpstreamDuplicate(ctx context.Context, pub *publishing, v verdict) error {
	if v.version != nil || !pub.spec.Upstreams {
		return nil
	}
	where, found, err := s.resolver.Upstream(ctx, pub.Package, pub.key)
	if err != nil {
		var e *packhouse.Error
		if errors.As(err, &e) && (e.Kind == packhouse.KindUpstream || e.Kind == packhouse.KindUpstreamTimeout) {
			return &packhouse.Error{Kind: e.Kind, Reason: e.Reason, Err: err,
				Message: e.Message + "; publishing needs to know that no upstream has this version (set the package's upstream origin control to BLOCK to publish without asking)"}
		}
		return err
	}
	if found {
		return pub.conflict("version_exists_upstream", "version %s exists in %s; set the package's upstream origin control to BLOCK to publish it here all the same", pub.Version, where)
	}
	return nil
}

// inspect asks the room what the new assets say of the version. That counts for a new
// version only: one that gets further assets keeps the facts it has.
func (s *Service) inspect(ctx context.Context, pub *publishing, v verdict) (packhouse.Facts, error) {
	r, ok := pub.room.(format.Inspector)
	if !ok || len(v.fresh) == 0 {
		return packhouse.Facts{DisplayName: pub.DisplayName}, nil
	}
	up := format.Upload{Package: pub.Package.Package, DisplayName: pub.DisplayName, Version: pub.Version, Manifest: pub.Manifest, ViaAPI: pub.ViaAPI}
	if s.signing[pub.spec.ID] {
		up.Sign = s.signer(ctx, pub.domain)
	}
	for _, i := range v.fresh {
		a := pub.Assets[i]
		up.Files = append(up.Files, format.UploadedFile{Name: a.Name, Size: a.Content.Size(), Hashes: a.Content.Hashes(), Content: a.Content, Side: a.Side})
	}
	return r.Inspect(ctx, up)
}

// keepBlobs makes the new assets' bytes durable that the domain does not have, but for
// small ones, which become so with their rows.
func (s *Service) keepBlobs(ctx context.Context, pub *publishing, v verdict) error {
	for _, i := range v.fresh {
		b := &pub.blobs[i]
		if b.Object != "" { // found, or kept by an earlier try
			continue
		}
		st := pub.Assets[i].Content.(*staged)
		ref, body, err := st.KeepForRow(ctx, b.Generation)
		if err != nil {
			return storeError("keep blob", err)
		}
		*b = catalog.BlobRow{BlobRef: ref, DomainID: pub.domain.ID, Hashes: st.Hashes(), Body: body}
	}
	return nil
}

// dropUnused removes objects that were made durable and that no row refers to: the
// rules refused the publish in the end, or another one brought the same bytes first.
func (s *Service) dropUnused(ctx context.Context, pub *publishing) {
	for i, b := range pub.blobs {
		if !pub.keptItself(i) || pub.used[i] {
			continue
		}
		if err := s.vault.Remove(ctx, b.BlobRef); err != nil {
			s.log.WarnContext(ctx, "unused object left behind", "digest", b.Digest, "error", err)
		}
	}
}
