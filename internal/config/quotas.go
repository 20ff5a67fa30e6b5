package config

// Quotas are how much of something there may be (codeartifact.md 2.5). More is 402.
type Quotas struct {
	DomainsPerAccount     int `key:"domains_per_account" default:"10" check:"min:1" allowed:"at least 1" help:"Domains of one account."`
	RepositoriesPerDomain int `key:"repositories_per_domain" default:"1000" check:"min:1" allowed:"at least 1" help:"Repositories in one domain."`
	DirectUpstreams       int `key:"direct_upstreams" default:"10" check:"min:1" allowed:"at least 1" help:"Upstreams that one repository may list."`
	UpstreamsSearched     int `key:"upstreams_searched" default:"25" check:"min:1" allowed:"at least 1" help:"Upstream repositories that one request is looked for in, direct and indirect ones. Those beyond are not searched."`
	AssetsPerVersion      int `key:"assets_per_version" default:"150" check:"min:1" allowed:"at least 1" help:"Assets of one package version."`
	VersionsPerCall       int `key:"versions_per_call" default:"100" check:"min:1" allowed:"at least 1; the API itself takes no more than 100" help:"Versions in one call that copies, deletes, disposes of or updates them. More are a ValidationException."`
	TagsPerResource       int `key:"tags_per_resource" default:"50" check:"min:1" allowed:"at least 1" help:"Tags of one domain, repository or package group."`
	PolicyCharacters      int `key:"policy_characters" default:"7168" check:"min:1" allowed:"at least 1; the API itself takes no more than 7168" help:"Characters of the permissions policy of a domain or a repository."`
	WebhooksPerAccount    int `key:"webhooks_per_account" default:"20" check:"min:1" allowed:"at least 1" help:"Webhooks of one account."`
}

// Rates are requests per second (codeartifact.md 2.5). More are 429.
type Rates struct {
	Mode          string `key:"mode" default:"off" check:"oneof:on,off" allowed:"on or off" help:"Whether the rates below are enforced, by each server process on its own."`
	AccountReads  int    `key:"account_reads" default:"800" check:"min:0" allowed:"requests per second; 0 for no limit" help:"Reading requests of one account, on the API and by package managers."`
	AccountWrites int    `key:"account_writes" default:"100" check:"min:0" allowed:"requests per second; 0 for no limit" help:"Writing requests of one account."`
	Token         int    `key:"token" default:"1200" check:"min:0" allowed:"requests per second; 0 for no limit" help:"Package managers' requests with one token."`
	Address       int    `key:"address" default:"600" check:"min:0" allowed:"requests per second; 0 for no limit" help:"Requests without good credentials from one client address, or one IPv6 network of 64 bits."`
	Tokens        int    `key:"get_authorization_token" default:"40" check:"min:0" allowed:"calls per second; 0 for no limit" help:"GetAuthorizationToken calls of one account."`
	Assets        int    `key:"get_package_version_asset" default:"50" check:"min:0" allowed:"calls per second; 0 for no limit" help:"GetPackageVersionAsset calls of one account."`
	Lists         int    `key:"lists" default:"200" check:"min:0" allowed:"calls per second; 0 for no limit" help:"ListPackages, ListPackageVersions and ListPackageVersionAssets calls of one account, of each."`
	Publish       int    `key:"publish_package_version" default:"10" check:"min:0" allowed:"calls per second; 0 for no limit" help:"PublishPackageVersion calls of one account."`
	Copy          int    `key:"copy_package_versions" default:"5" check:"min:0" allowed:"calls per second; 0 for no limit" help:"CopyPackageVersions calls of one account."`
}

// Webhooks are the addresses that events are delivered to.
type Webhooks struct {
	AllowHosts []string `key:"allow_hosts" flag:"HOST,..." allowed:"host or host:port, separated by commas" help:"Hosts that webhooks may be on besides public ones behind https on port 443: with a private or loopback address, another port or plain http. Without a port the scheme's own counts."`
}
