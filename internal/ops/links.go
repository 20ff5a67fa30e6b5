package ops

import (
	"context"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// SignLink signs a link to an asset; see format.Links.
func (s *Service) SignLink(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef, expires time.Time) (string, time.Time, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionReadFromRepository, a.Repo); err != nil {
		return "", time.Time{}, err
	}
	if !who.Expires.IsZero() && expires.After(who.Expires) {
		expires = who.Expires // S14
	}
	expires = expires.UTC().Truncate(time.Second)
	signature, err := s.identity.SignLink(ctx, who, linkTo(a), expires)
	return signature, expires, storeError("sign link", err)
}

// OpenLink returns who signed a link; see format.Links.
func (s *Service) OpenLink(ctx context.Context, a packhouse.AssetRef, expires time.Time, signature string) (packhouse.Principal, error) {
	who, err := s.identity.OpenLink(ctx, linkTo(a), expires, signature)
	return who, storeError("open link", err)
}

// linkTo is the text of a link that names its asset. No part of it holds a NUL.
func linkTo(a packhouse.AssetRef) string {
	return strings.Join([]string{string(a.Repo.Domain.Owner), a.Repo.Domain.Name, a.Repo.Name, string(a.Package.Format),
		a.Package.Namespace, a.Package.Name, a.Version, a.Asset}, "\x00")
}
