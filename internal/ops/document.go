package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/index"
)

// initDocuments makes the index over the resolver for every format that renders.
func (s *Service) initDocuments() {
	renderers := make(map[packhouse.FormatID]format.Renderer)
	for id, f := range s.formats {
		if r, ok := f.(format.Renderer); ok {
			renderers[id] = r
		}
	}
	s.docs = index.New(index.Options{
		Views: s.resolver, Renderers: renderers, Clock: s.clock, MaxBytes: s.documentBytes, Now: s.now,
	})
}

// Document returns a package's rendered document; see format.House.
func (s *Service) Document(ctx context.Context, who packhouse.Principal, k format.DocKey) (format.Doc, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, k.Repo); err != nil {
		return format.Doc{}, err
	}
	d, err := s.docs.Document(ctx, k)
	if err != nil {
		return format.Doc{}, s.suggest(ctx, who, k.Repo, k.Package, err)
	}
	return *d, nil
}

// Asset opens an asset for a package client; see format.House. Those who may publish the
// package can read Unfinished versions, too.
func (s *Service) Asset(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef) (packhouse.Asset, *format.Content, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, a.Repo); err != nil {
		return packhouse.Asset{}, nil, err
	}
	asset, content, err := s.resolver.Asset(ctx, a)
	if err != nil && packhouse.KindOf(err) == packhouse.KindNotFound {
		asset, content, err = s.unfinishedAsset(ctx, who, a, err)
		return asset, content, s.suggest(ctx, who, a.Repo, a.Package, err)
	}
	return asset, content, err
}
