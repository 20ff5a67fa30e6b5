package server

import (
	"net/netip"

	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/events"
	ratelimits "github.com/packhouse/packhouse/internal/limits" // limits are the edge's
	"github.com/packhouse/packhouse/internal/ops"
)

// dispatcher makes what delivers events to webhooks.
func (s *Server) dispatcher() *events.Dispatcher {
	return events.NewDispatcher(events.Options{Catalog: s.store.Catalog, Sender: s.outward, Region: s.config.Region, Bell: s.bell, Log: s.log})
}

// ownAddress reports whether a webhook would lead back to this server.
func (a *addresses) ownAddress(at netip.AddrPort) bool {
	_, own := a.main[at.String()]
	return own
}

// quotas are the settings that the engine counts by.
func quotas(c *config.Config) ops.Quotas {
	q := c.Quotas
	return ops.Quotas{DomainsPerAccount: q.DomainsPerAccount, RepositoriesPerDomain: q.RepositoriesPerDomain, DirectUpstreams: q.DirectUpstreams,
		AssetsPerVersion: q.AssetsPerVersion, TagsPerResource: q.TagsPerResource, VersionsPerCall: q.VersionsPerCall,
		WebhooksPerAccount: q.WebhooksPerAccount, PolicyCharacters: q.PolicyCharacters, AssetBytes: int64(c.Limits.Asset)}
}

// rates makes the limiter of the doors, nil when rates are off.
func rates(c config.Rates) *ratelimits.Limiter {
	if c.Mode != "on" {
		return nil
	}
	return ratelimits.New(ratelimits.Rates{AccountReads: c.AccountReads, AccountWrites: c.AccountWrites, Token: c.Token, Address: c.Address,
		Operations: map[string]int{
			"GetAuthorizationToken": c.Tokens, "GetPackageVersionAsset": c.Assets,
			"ListPackages": c.Lists, "ListPackageVersions": c.Lists, "ListPackageVersionAssets": c.Lists,
			"PublishPackageVersion": c.Publish, "CopyPackageVersions": c.Copy,
		}}, nil)
}
