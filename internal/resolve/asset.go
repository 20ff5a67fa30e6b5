package resolve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// assetKey names an asset that a repository holds itself.
type assetKey struct {
	repo           int64
	name           packhouse.PackageName
	version, asset string // version's key
}

// placedAsset is where such an asset is, as of mark: a warm download needs no SQL.
type placedAsset struct {
	asset     packhouse.Asset
	blob      packhouse.BlobRef
	published time.Time
	mark      feed.Mark
}

// Asset finds an asset by single-version precedence (codeartifact.md 3.1 rule 4). When
// only a connection has it, it starts or joins the pull and returns content that is
// still arriving: then the returned Asset carries what the registry declares, its digest
// may be zero and its size -1. The version is retained in the asked repository and in
// the one that has the connection, once the bytes are verified, whether or not this
// caller stays. When another repository of the domain has it, the version is retained in
// the asked repository before the return. The caller closes the content.
//
// Errors: NotFound "repository_not_found", "package-version_not_found",
// "asset_not_found", "version_archived", "version_disposed"; Invalid "invalid_version";
// Upstream kinds when a connection had to be asked and failed.
func (r *Resolver) Asset(ctx context.Context, a packhouse.AssetRef) (packhouse.Asset, *format.Content, error) {
	f, err := r.format(a.Package.Format)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	versionKey, err := f.VersionKey(a.Version)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	shape, err := r.shape(ctx, a.Repo.Domain)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	repo, err := shape.repository(a.Repo)
	if err != nil {
		return packhouse.Asset{}, nil, err
	}
	s := search{r: r, ref: a, format: f, shape: shape, repo: repo, versionKey: versionKey}
	if placed, ok := r.assets.GetIfPresent(s.assetKey()); ok && r.o.Clock.Holds(placed.mark) {
		return s.open(ctx, placed.asset, placed.blob, placed.published)
	}
	// A pull that was about to end when we came is over when asked again; more than two
	// such meetings in a row mean trouble.
	const meetings = 3
	for range meetings {
		asset, content, again, err := s.once(ctx)
		if !again {
			return asset, content, err
		}
	}
	return packhouse.Asset{}, nil, &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "busy",
		Message: "the asset is being fetched; try again", RetryAfter: time.Second}
}

// search looks for one asset.
type search struct {
	r          *Resolver
	ref        packhouse.AssetRef
	format     format.Format
	shape      *domainShape
	repo       *catalog.RepositoryRow // asked
	versionKey string
}

func (s *search) assetKey() assetKey {
	return assetKey{s.repo.ID, s.ref.Package, s.versionKey, s.ref.Asset}
}

// once goes through the sources. again asks to call it again.
func (s *search) once(ctx context.Context) (asset packhouse.Asset, content *format.Content, again bool, err error) {
	r := s.r
	ids := s.shape.closure(s.repo)
	if !s.format.Spec().Upstreams {
		ids = ids[:1]
	}
	if err := r.settlePackage(ctx, s.shape.domain.ID, s.ref.Package, s.versionKey); err != nil {
		return asset, nil, false, err
	}
	mark := r.o.Clock.Package(s.repo.ID, s.ref.Package)
	looked := make(map[int64]feed.Mark, len(ids))
	for _, id := range ids {
		looked[id] = r.o.Clock.Package(id, s.ref.Package)
	}
	held, err := s.holders(ctx, ids, looked)
	if err != nil {
		return asset, nil, false, err
	}
	closed := held.closed
	if !s.format.Spec().Upstreams {
		closed = func(int64) bool { return true }
	}
	var failed error
	for _, src := range s.shape.origins(s.ref.Package).admit(s.repo, s.shape.sources(s.repo, closed)) {
		if src.connection == "" {
			if found, ok := held.versions[src.repo.ID]; ok {
				asset, content, err = s.fromRepository(ctx, src.repo, found, held.packages[src.repo.ID].DisplayName, mark)
				return asset, content, false, err
			}
			continue
		}
		conn, ok := r.connection(ctx, src.connection, s.format)
		if !ok || s.beside() {
			continue
		}
		found, err := s.atConnection(ctx, conn)
		if err != nil {
			// Without an address a connection has nothing to offer. One that fails might
			// have had the version: to go on would be to take another's in its place.
			if packhouse.ReasonOf(err) != fetch.ReasonWithoutAddress {
				return asset, nil, false, err
			}
			if failed == nil {
				failed = err
			}
			continue
		}
		if found != nil {
			return s.pull(ctx, src, conn, found, looked[src.repo.ID])
		}
	}
	if failed != nil {
		return asset, nil, false, failed
	}
	return asset, nil, false, versionNotFound(s.ref.VersionRef)
}

// holders looks for who holds the asset. Many clients may ask for one asset at the same
// time, and readers of the catalog are few, so all whose marks are the same share one
// look: nothing has changed between its beginning and their coming (reliability.md R28).
func (s *search) holders(ctx context.Context, ids []int64, looked map[int64]feed.Mark) (holders, error) {
	key := fmt.Sprintf("%v %v", s.assetKey(), looked)
	found, err, _ := s.r.looks.Do(key, func() (any, error) {
		// One client's leaving must not undo it for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime)
		defer cancel()
		return s.r.holders(ctx, ids, s.ref.Package, s.versionKey, s.ref.Asset)
	})
	held, _ := found.(holders)
	return held, err
}

// lookTime bounds a look for who holds an asset (reliability.md A8).
const lookTime = 10 * time.Second

// beside reports whether a file beside a version's only asset is asked for. Registries
// offer none as assets.
func (s *search) beside() bool {
	only := s.format.Spec().SingleAsset
	return only != "" && s.ref.Asset != only
}

// fromRepository serves what a repository holds: its record decides, whatever it says.
func (s *search) fromRepository(ctx context.Context, holder *catalog.RepositoryRow, found catalog.FoundAsset, display string, mark feed.Mark) (packhouse.Asset, *format.Content, error) {
	switch found.Version.Status {
	case packhouse.Archived, packhouse.Disposed:
		e := packhouse.NotFoundf(packhouse.ResourceVersion, s.ref.Version,
			"version %s of package %s is Archived, so it cannot be downloaded until its status is set to Published again", s.ref.Version, s.ref.Package)
		e.Reason = "version_archived"
		if found.Version.Status == packhouse.Disposed {
			e.Reason = "version_disposed"
			e.Message = fmt.Sprintf("version %s of package %s is Disposed and will not come back: use another version", s.ref.Version, s.ref.Package)
		}
		return packhouse.Asset{}, nil, e
	case packhouse.Published, packhouse.Unlisted:
	default:
		return packhouse.Asset{}, nil, versionNotFound(s.ref.VersionRef)
	}
	if found.Asset == nil {
		return packhouse.Asset{}, nil, assetNotFound(s.ref)
	}
	asset := found.Asset.Asset
	if asset.MediaType == "" {
		asset.MediaType = found.Asset.MediaType
	}
	if holder != s.repo {
		if err := s.r.retainPointer(ctx, s.shape, s.repo, s.ref.Package, display, found.Version); err != nil {
			s.r.log.LogAttrs(ctx, slog.LevelWarn, "version not retained", slog.String("repo", s.ref.Repo.String()),
				slog.String("package", s.ref.Package.String()), slog.String("version", s.ref.Version), slog.Any("error", err))
		}
	} else {
		s.r.assets.Set(s.assetKey(), placedAsset{asset: asset, blob: found.Asset.Blob.BlobRef, published: found.Version.Published, mark: mark})
	}
	return s.open(ctx, asset, found.Asset.Blob.BlobRef, found.Version.Published)
}

func (s *search) open(ctx context.Context, asset packhouse.Asset, blob packhouse.BlobRef, published time.Time) (packhouse.Asset, *format.Content, error) {
	c, err := s.r.o.Vault.Open(ctx, s.shape.domain.Key, blob)
	if err != nil {
		return packhouse.Asset{}, nil, StoreError("open "+s.ref.String(), err)
	}
	return asset, &format.Content{Size: asset.Size, At: c, Close: c.Close, Modified: published}, nil
}

// atConnection looks the version up at a connection; nil when it is not there. A fresh
// index that lacks it is asked for again, at most once in Options.RecheckFor, because
// clients hear of new versions elsewhere (npm.md 5).
func (s *search) atConnection(ctx context.Context, conn fetch.Connection) (*format.RemoteVersion, error) {
	domain := s.shape.domain.Key
	if conn.URL == "" {
		// Its index may have been kept from better days, but nothing can be fetched.
		_, err := getter{s.r.o.Fetch, conn, nil}.Get(ctx, "", nil, format.Validators{})
		return nil, err
	}
	index, err := s.r.remotes.get(ctx, domain, conn, s.ref.Package, time.Time{})
	if err == nil && !s.offered(index) {
		index, err = s.r.remotes.get(ctx, domain, conn, s.ref.Package, s.r.now().Add(-s.r.o.RecheckFor))
	}
	if err != nil {
		return nil, err
	}
	v, ok := index.version(s.versionKey)
	if !ok {
		return nil, index.failed // a kept index cannot tell that a version does not exist
	}
	// A copy, because a transfer may last long, and a slice would hold the whole document.
	own := *v
	own.Manifest, own.Fragment, own.Overlay = bytes.Clone(v.Manifest), bytes.Clone(v.Fragment), bytes.Clone(v.Overlay)
	return &own, nil
}

// offered reports whether the index has the asset.
func (s *search) offered(i *remoteIndex) bool {
	v, ok := i.version(s.versionKey)
	return ok && remoteAsset(v, s.ref.Asset) != nil
}

func remoteAsset(v *format.RemoteVersion, name string) *format.RemoteAsset {
	for i := range v.Assets {
		if v.Assets[i].Name == name {
			return &v.Assets[i]
		}
	}
	return nil
}

// pull starts or joins the pull of an asset and follows it. looked is the mark of the
// package in the repository that has the connection, from before it was looked for there.
func (s *search) pull(ctx context.Context, src source, conn fetch.Connection, v *format.RemoteVersion, looked feed.Mark) (packhouse.Asset, *format.Content, bool, error) {
	remote := remoteAsset(v, s.ref.Asset)
	if remote == nil {
		return packhouse.Asset{}, nil, false, assetNotFound(s.ref)
	}
	p, err := s.r.joinPull(ctx, pullOrder{shape: s.shape, holder: src.repo, asked: s.repo, conn: conn, format: s.format,
		name: s.ref.Package, versionKey: s.versionKey, version: v, asset: remote, looked: looked})
	if err != nil {
		return packhouse.Asset{}, nil, false, err
	}
	if p == nil {
		return packhouse.Asset{}, nil, true, nil
	}
	asset, stream, err := p.follow(ctx)
	switch {
	case err == nil:
	case errors.Is(err, errRecorded):
		return packhouse.Asset{}, nil, true, nil
	// No room to keep it (R21), or nothing is to be kept (R24): its client need not know.
	case packhouse.KindOf(err) == packhouse.KindDiskLow, packhouse.ReasonOf(err) == "read_only":
		asset, content, err := s.r.passThrough(ctx, conn, remote)
		return asset, content, false, err
	case packhouse.KindOf(err) == packhouse.KindNotFound:
		return packhouse.Asset{}, nil, false, assetNotFound(s.ref)
	default:
		return packhouse.Asset{}, nil, false, err
	}
	return asset, &format.Content{Size: asset.Size, Stream: stream, Close: stream.Close}, false, nil
}
