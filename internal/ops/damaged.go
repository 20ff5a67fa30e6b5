package ops

import (
	"context"
	"errors"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault"
)

// openRow opens the bytes of a file whose row was read; the caller closes them. Those that
// are known to be damaged are refused before the first byte (reliability.md R15).
func (s *Service) openRow(ctx context.Context, domain catalog.DomainRow, a packhouse.AssetRef, row catalog.AssetRow) (vault.Content, error) {
	if !row.Blob.Quarantined.IsZero() {
		return nil, resolve.DamagedAsset(a, row.Blob)
	}
	if err := s.refuseBlocked(ctx, a.VersionRef, row.Blob.Digest); err != nil {
		return nil, err
	}
	content, err := s.vault.Open(ctx, domain.Key, row.Blob.BlobRef)
	if err != nil {
		return nil, storeError("open asset", err)
	}
	return content, nil
}

// mendRepeated puts the bytes of a publication of what is there already in the place of
// those that are known to be damaged: its answer says that they are stored (reliability.md
// R1, R15).
func (s *Service) mendRepeated(ctx context.Context, pub *publishing, v verdict) error {
	for _, a := range pub.Assets {
		st := a.Content.(*staged)
		for _, h := range v.held {
			if h.Name != a.Name || h.Blob.Quarantined.IsZero() || h.Blob.Digest != st.Digest() {
				continue
			}
			if err := s.resolver.Replace(context.WithoutCancel(ctx), h.Blob, st.Staging); err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return storeError("mend asset", err)
			}
		}
	}
	return nil
}
