package resolve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
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
	if by := shape.blocks.Version(a.Package, versionKey); by != nil {
		return packhouse.Asset{}, nil, Blocked(a.Version, by).Refusal(a.Package.String())
	}
	s := search{r: r, ref: a, format: f, shape: shape, repo: repo, versionKey: versionKey}
	if placed, ok := r.assets.Get(s.assetKey()); ok && r.o.Clock.Holds(placed.mark) {
		asset, content, err := s.open(ctx, placed.asset, placed.blob, placed.published)
		if !errors.Is(err, blob.ErrNotFound) && !errors.Is(err, vault.ErrDamaged) {
			return asset, content, err
		}
		// It may have been stored anew, which the marks of a file that very many versions
		// have do not all tell: its row does.
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
	var withheld *format.Withheld
	asked := map[string]bool{}
	for _, src := range s.shape.origins(s.ref.Package).admit(s.repo, s.shape.sources(s.repo, closed)) {
		if src.connection == "" {
			if found, ok := held.versions[src.repo.ID]; ok {
				asset, content, err = s.fromRepository(ctx, src.repo, found, held.packages[src.repo.ID].DisplayName, mark)
				return asset, content, false, err
			}
			continue
		}
		conn, ok := r.connection(ctx, src.connection, s.format)
		// The first repository with a connection speaks for it, as in a View.
		if !ok || s.beside() || asked[conn.Name] {
			continue
		}
		asked[conn.Name] = true
		found, refused, err := s.atSource(ctx, src, conn)
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
		if refused != nil && withheld == nil {
			withheld = refused
		}
		if found != nil {
			return s.pull(ctx, src, conn, found, looked[src.repo.ID])
		}
	}
	switch {
	case withheld != nil:
		return asset, nil, false, withheld.Refusal(s.ref.Package.String())
	case failed != nil:
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
	if by := s.shape.blocks.Held(s.ref.Package, &found.Version); by != nil {
		return packhouse.Asset{}, nil, Blocked(s.ref.Version, by).Refusal(s.ref.Package.String())
	}
	if found.Asset == nil {
		return packhouse.Asset{}, nil, assetNotFound(s.ref)
	}
	if !found.Asset.Blob.Quarantined.IsZero() {
		return packhouse.Asset{}, nil, DamagedAsset(s.ref, found.Asset.Blob)
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
	if by := s.shape.blocks.Digest(blob.Digest); by != nil {
		return packhouse.Asset{}, nil, Blocked(s.ref.Version, by).Refusal(s.ref.Package.String())
	}
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
	index, err := s.indexAt(ctx, conn)
	if err != nil {
		return nil, err
	}
	return s.versionOf(index)
}

// atSource is atConnection, unless the repository with the connection holds the version
// back.
func (s *search) atSource(ctx context.Context, src source, conn fetch.Connection) (*format.RemoteVersion, *format.Withheld, error) {
	index, err := s.indexAt(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if refused := s.r.sieve(s.shape, src, s.format, s.ref.Package).refusal(index, s.versionKey); refused != nil {
		return nil, refused, nil
	}
	v, err := s.versionOf(index)
	return v, nil, err
}

// indexAt returns a connection's index in which the version is to be looked up.
func (s *search) indexAt(ctx context.Context, conn fetch.Connection) (*remoteIndex, error) {
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
	return index, err
}

// versionOf looks the version up; nil when it is not there.
func (s *search) versionOf(index *remoteIndex) (*format.RemoteVersion, error) {
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
	order := pullOrder{shape: s.shape, holder: src.repo, asked: s.repo, conn: conn, format: s.format,
		name: s.ref.Package, versionKey: s.versionKey, version: v, asset: remote, looked: looked}
	p, err := s.r.joinPull(ctx, order)
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
		asset, content, err := s.r.passThrough(ctx, order)
		return asset, content, false, err
	case packhouse.KindOf(err) == packhouse.KindNotFound:
		return packhouse.Asset{}, nil, false, assetNotFound(s.ref)
	default:
		return packhouse.Asset{}, nil, false, err
	}
	return asset, &format.Content{Size: asset.Size, Stream: stream, Close: stream.Close}, false, nil
}
