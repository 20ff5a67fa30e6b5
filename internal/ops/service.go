package ops

import (
	"cmp"
	"log/slog"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/events"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/index"
	"github.com/packhouse/packhouse/internal/keys"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault"
)

// Quotas are the limits of codeartifact.md 2.5 that count things. A field that is 0
// stands for its default.
type Quotas struct {
	DomainsPerAccount     int   // default 10
	RepositoriesPerDomain int   // default 1000
	DirectUpstreams       int   // default packhouse.MaxDirectUpstreams
	AssetsPerVersion      int   // default 150
	TagsPerResource       int   // default 50
	VersionsPerCall       int   // default 100
	WebhooksPerAccount    int   // default 20
	PolicyCharacters      int   // of a resource policy, default authz.MaxResourcePolicy
	AssetBytes            int64 // largest asset in bytes, default 5 GiB
}

// withDefaults returns q with every 0 replaced by its default.
func (q Quotas) withDefaults() Quotas {
	setDefault(&q.DomainsPerAccount, 10)
	setDefault(&q.RepositoriesPerDomain, 1000)
	setDefault(&q.DirectUpstreams, packhouse.MaxDirectUpstreams)
	setDefault(&q.AssetsPerVersion, 150)
	setDefault(&q.TagsPerResource, 50)
	setDefault(&q.VersionsPerCall, 100)
	setDefault(&q.WebhooksPerAccount, 20)
	setDefault(&q.PolicyCharacters, authz.MaxResourcePolicy)
	setDefault(&q.AssetBytes, 5<<30)
	return q
}

func setDefault[T int | int64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Options are what New needs. Every field is required unless it says otherwise.
type Options struct {
	Catalog  *catalog.DB
	Vault    *vault.Vault
	Keys     keys.Provider
	Identity *identity.Service
	Resolver *resolve.Resolver
	Clock    *feed.Clock
	// KeyARN spells the ARN under which an account's operators know a key of Keys.
	KeyARN func(account packhouse.AccountID, keyID string) string
	// Formats are the rooms that exist.
	Formats map[packhouse.FormatID]format.Format
	// KnownFormats are the ids that Endpoint answers for, with or without a room
	// (codeartifact.md 3.11).
	KnownFormats []packhouse.FormatID
	// Namespaces are the rules of known formats without a room; one that is not in it
	// leaves the choice to the caller.
	Namespaces map[packhouse.FormatID]format.NamespaceRule
	// Connections are the external connections that exist by name; their addresses
	// may be unknown. Those that the rooms know by name need not be repeated.
	Connections map[string]fetch.Connection
	// Signing are the formats whose versions are signed when they are published.
	Signing []packhouse.FormatID
	Region  string
	Account packhouse.AccountID // the installation's first account
	// HostSuffix makes Endpoint answer with host addresses below it; "" for path
	// addresses.
	HostSuffix string
	// PublicURL replaces the address that a call came in on; "" for none.
	PublicURL string
	Quotas    Quotas
	Webhooks  events.Sender // reaches the addresses of webhooks
	// DocumentBytes bounds the rendered documents kept in memory; 0 for the default.
	DocumentBytes int64
	// WebIdentity checks tokens of OpenID Connect issuers; nil takes none.
	WebIdentity WebIdentity
	// LoginTokenLife is how long a token from signing in is good; 0 means 30 days.
	LoginTokenLife time.Duration
	Log            *slog.Logger     // nil discards
	Now            func() time.Time // nil means time.Now
}

// Service does everything: every action of every door is one of its methods. Its
// methods may be called from several goroutines.
type Service struct {
	catalog      settled
	vault        *vault.Vault
	keys         keys.Provider
	identity     *identity.Service
	resolver     *resolve.Resolver
	clock        *feed.Clock
	keyARN       func(packhouse.AccountID, string) string
	formats      map[packhouse.FormatID]format.Format
	knownFormats []packhouse.FormatID
	namespaces   map[packhouse.FormatID]format.NamespaceRule
	// connections gives the format of each external connection that exists.
	connections    map[string]packhouse.FormatID
	signing        map[packhouse.FormatID]bool
	region         string
	account        packhouse.AccountID
	hostSuffix     string
	publicURL      string
	quotas         Quotas
	webhooks       events.Sender
	documentBytes  int64
	loginTokenLife time.Duration
	webIdentity    WebIdentity
	log            *slog.Logger
	now            func() time.Time

	signers  *sync.Map // parsed private keys by their ids, which name one key for ever
	places   *cache.Cache[packhouse.RepoRef, *place]
	rules    *cache.Cache[packhouse.RepoRef, *rules] // a domain's own under a repository without a name
	displays *cache.Cache[displayKey, *display]
	// summaries are what hits of searches say of themselves, by revision.
	summaries *cache.Cache[int64, *packhouse.Facts]

	docs *index.Index
}

// How many look-ups by name, and how many default display versions, are kept.
const (
	maxPlaces   = 4096
	maxDisplays = 1024
)

// New makes a service.
func New(o Options) *Service {
	s := &Service{
		catalog:        settled{o.Catalog, o.Resolver},
		vault:          o.Vault,
		keys:           o.Keys,
		identity:       o.Identity,
		resolver:       o.Resolver,
		clock:          o.Clock,
		keyARN:         o.KeyARN,
		formats:        o.Formats,
		knownFormats:   o.KnownFormats,
		namespaces:     o.Namespaces,
		connections:    connectionFormats(o),
		signing:        make(map[packhouse.FormatID]bool),
		signers:        new(sync.Map),
		region:         o.Region,
		account:        o.Account,
		hostSuffix:     o.HostSuffix,
		publicURL:      o.PublicURL,
		quotas:         o.Quotas.withDefaults(),
		webhooks:       o.Webhooks,
		documentBytes:  o.DocumentBytes,
		loginTokenLife: cmp.Or(o.LoginTokenLife, defaultLoginTokenLife),
		webIdentity:    o.WebIdentity,
		log:            o.Log,
		now:            o.Now,
		places:         cache.New[packhouse.RepoRef, *place](maxPlaces),
		rules:          cache.New[packhouse.RepoRef, *rules](maxRules),
		displays:       cache.New[displayKey, *display](maxDisplays),
		summaries:      cache.NewWeighted(maxSummaries, weighSummary),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	for _, id := range o.Signing {
		s.signing[id] = true
	}
	s.initDocuments()
	return s
}

// connectionFormats gathers the external connections that exist: those with settings
// of their own and those that the rooms know by name.
func connectionFormats(o Options) map[string]packhouse.FormatID {
	m := make(map[string]packhouse.FormatID)
	for id, room := range o.Formats {
		if p, ok := room.(format.Puller); ok {
			for _, c := range p.Connections() {
				m[c.Name] = id
			}
		}
	}
	for name, c := range o.Connections {
		m[name] = c.Format
	}
	return m
}
