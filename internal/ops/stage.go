package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
)

// copyBuffer is the size in bytes of the pieces in which a body is read.
const copyBuffer = 64 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// staged is an asset in staging, bound to the domain whose keyset sealed it.
type staged struct {
	*vault.Staging
	domainID int64
}

// Stage takes an asset's bytes into sealed staging; see format.House.
func (s *Service) Stage(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, r io.Reader, limit int64) (format.Staged, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPublishPackageVersion, pkg); err != nil {
		return nil, err
	}
	_, domain, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return nil, s.suggest(ctx, who, pkg.Repo, pkg.Package, err)
	}
	if limit, err = s.assetLimit(ctx, pkg, limit); err != nil {
		return nil, err
	}
	if sized, ok := r.(format.Sized); ok && sized.Size() > limit {
		return nil, &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "asset_too_large",
			Message: fmt.Sprintf("the asset has %d bytes; at most %d are allowed", sized.Size(), limit)}
	}
	st, err := s.vault.Stage(ctx, domain.Key, limit, true)
	if err != nil {
		return nil, storeError("stage asset", err)
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	if _, err := io.CopyBuffer(onlyWriter{st}, onlyReader{r}, buf[:]); err != nil {
		st.Discard()
		return nil, bodyError(err)
	}
	if err := st.Finish(); err != nil {
		st.Discard()
		return nil, storeError("finish asset", err)
	}
	return &staged{Staging: st, domainID: domain.ID}, nil
}

// assetLimit is the smallest of what the caller asks for, the format's own limit, the
// repository's setting and the installation's quota, in bytes.
func (s *Service) assetLimit(ctx context.Context, pkg packhouse.PackageRef, asked int64) (int64, error) {
	set, err := s.settingsOf(ctx, pkg.Repo, pkg.Package.Format)
	if err != nil {
		return 0, err
	}
	limit := s.quotas.AssetBytes
	if room, ok := s.formats[pkg.Package.Format]; ok && room.Spec().MaxAsset > 0 {
		limit = min(limit, room.Spec().MaxAsset)
	}
	if set.assetBytes > 0 {
		limit = min(limit, set.assetBytes)
	}
	if asked > 0 {
		limit = min(limit, asked)
	}
	return limit, nil
}

// bodyError turns a failure while copying a body into the caller's or the store's
// fault: what the body's reader says about the request passes as it is.
func bodyError(err error) error {
	var known *packhouse.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return &packhouse.Error{Kind: packhouse.KindInvalid, Reason: "incomplete_body",
			Message: "the request body ended before it was complete; nothing was stored", Err: err}
	}
	return storeError("read body", err)
}

// onlyWriter and onlyReader hide ReadFrom and WriteTo, so that the copy keeps to
// pieces of copyBuffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
