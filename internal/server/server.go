package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/codeartifact"
	"github.com/packhouse/packhouse/internal/config"
	"github.com/packhouse/packhouse/internal/events"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/iam"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/jobs"
	"github.com/packhouse/packhouse/internal/mcp"
	"github.com/packhouse/packhouse/internal/oidc"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/pages"
	"github.com/packhouse/packhouse/internal/registry"
	"github.com/packhouse/packhouse/internal/resolve"
)

// Server is a built server: everything is open and it listens, but it answers only once
// Run is called.
type Server struct {
	// Fresh reports that this was the first start on its data directory.
	Fresh bool
	// URL is the address to tell people: the public one, else the listener's.
	URL string

	config   *config.Config
	log      *slog.Logger
	store    *Store
	identity *identity.Service
	fetch    *fetch.Client
	resolver *resolve.Resolver
	engine   *ops.Service
	audit    *ops.AuditLog
	auditor  *auditor
	outward  *fetch.Outward
	issuers  *fetch.Outward // OpenID Connect issuers
	bell     *events.Bell
	stream   *codeartifact.Events
	disk     *diskGuard
	watch    *jobs.Watch
	memory   *memoryGuard
	health   *health
	http     *http.Server
	listener net.Listener
	tls      *tls.Config
	unlock   func()
	rooms    []format.Format

	addresses *finder

	background sync.WaitGroup // everything that Run starts beside the HTTP server
}

// Options are what Build needs besides the configuration.
type Options struct {
	Log     *slog.Logger
	Version string
	Now     func() time.Time // nil means time.Now
	// Ephemeral keeps packages and the database in memory and gives the administrator a
	// key that everybody knows; the data directory holds keys and little else.
	Ephemeral bool
}

// Build opens the data directory, builds the engine and the doors and listens. It needs
// no upstream and no name service (reliability.md R18). Its errors are for people.
// Close or Run must follow.
func Build(ctx context.Context, c *config.Config, o Options) (s *Server, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s = &Server{config: c, log: o.Log, rooms: formats.All(), memory: newMemoryGuard(c.Memory, o.Log)}
	defer func() {
		if err != nil {
			_ = s.release() // the first error is the one to tell
			s = nil
		}
	}()

	if err := prepareDir(c.DataDir, true); err != nil {
		return s, err
	}
	if s.unlock, err = lockDataDir(c.DataDir); err != nil {
		return s, err
	}
	if err := s.listen(ctx); err != nil {
		return s, err
	}
	addresses := newAddresses(c, s.listener.Addr(), s.tls != nil)
	s.URL = c.PublicURL
	if s.URL == "" {
		s.URL = addresses.listening(s.listener.Addr())
	}

	s.disk = newDiskGuard(c.DataDir, c.Disk, o.Log)
	if !o.Ephemeral {
		s.disk.check(ctx)
	}
	clock := feed.NewClock()
	s.bell = &events.Bell{}
	committed := func(changes []packhouse.Change) {
		clock.Advance(changes)
		s.bell.Ring(changes)
	}
	s.store, err = OpenStore(ctx, StoreOptions{Dir: c.DataDir, Create: true, Account: c.AccountID, Ephemeral: o.Ephemeral,
		Guard: s.disk.wrap, OnCommit: committed, Log: o.Log})
	if err != nil {
		return s, err
	}
	s.store.Vault.KeepSmall(int64(c.Memory.Assets))
	s.Fresh = s.store.Fresh
	if err := s.store.bootstrap(ctx, c.Region, s.URL); err != nil {
		return s, err
	}
	s.disk.off = newReadOnly(c.DataDir, s.store.Catalog.Refuse, o.Log)
	s.disk.off.look(ctx)
	s.audit = ops.NewAuditLog(s.store.Catalog, o.Log)
	s.auditor = newAuditor(s.audit, c.Audit.Reads)
	doors, m, err := s.doors(ctx, addresses, clock, o)
	if err != nil {
		return s, err
	}
	s.watchBytes(m)
	edge := newEdge(addresses, doors, c.Limits, m, o.Log)
	edge.noSpace = s.disk.noSpace
	edge.audit = s.auditor
	m.counts("packhouse_audit_records_lost_total", "Records of refused requests and of reads that the audit log had no room for.", func() float64 { return float64(s.audit.Lost()) })
	edge.busyWrites = s.memory.refusePublishes
	s.http = &http.Server{
		Handler:           edge,
		ReadHeaderTimeout: c.Limits.HeaderTimeout,
		IdleTimeout:       c.Limits.IdleTimeout,
		MaxHeaderBytes:    int(c.Limits.HeaderBytes),
		ConnContext:       withConn,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug), // noise that clients make
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: c.Limits.StreamsPerConn},
	}
	s.http.RegisterOnShutdown(s.stream.Close)
	return s, nil
}

// doors builds the engine and whoever speaks for it.
func (s *Server) doors(ctx context.Context, a *addresses, clock *feed.Clock, o Options) (map[Owner]http.Handler, *metrics, error) {
	c := s.config
	conns := Connections(c.Connections, nil)
	for _, conn := range conns {
		if a.own(conn.URL) {
			return nil, nil, fmt.Errorf("connection %s: %s leads to this server itself; give the address of the registry that it is to fetch from", conn.Name, conn.URL)
		}
	}
	s.addresses = newFinder(a.own)
	byID := map[packhouse.FormatID]format.Format{}
	for _, f := range s.rooms {
		byID[f.Spec().ID] = f
	}

	var err error
	m := newMetrics()
	s.identity, err = identity.New(ctx, identity.Options{Catalog: s.store.Catalog, TokenKey: s.store.TokenKey, Log: s.log, Now: o.Now})
	if err != nil {
		return nil, nil, fmt.Errorf("read identities: %w", err)
	}
	s.fetch = fetch.New(fetch.Options{UserAgent: "packhouse/" + o.Version,
		ConnectTimeout: c.Limits.UpstreamConnect, FirstByteTimeout: c.Limits.UpstreamFirstByte,
		StallTimeout: c.Limits.UpstreamStall, TotalTimeout: c.Limits.UpstreamTotal, MaxMetadata: int64(c.Limits.UpstreamMetadata), Observe: m.fetched})
	cooldown, err := cooldown(c.Cooldown)
	if err != nil {
		return nil, nil, err
	}
	s.resolver = resolve.New(resolve.Options{Cooldown: cooldown, Catalog: s.store.Catalog, Vault: s.store.Vault, Fetch: s.fetch, Clock: clock,
		Formats: byID, Connections: conns, Address: s.addresses.address, Log: s.log, Now: o.Now,
		FreshFor: c.Upstreams.FreshFor, AbsentFor: c.Upstreams.AbsentFor, StaleFor: c.Upstreams.StaleFor,
		RevalidateFor: c.Upstreams.RevalidateFor, MaxUpstreams: c.Quotas.UpstreamsSearched, Busy: s.memory.refuseMisses})
	s.outward = fetch.NewOutward(fetch.Options{UserAgent: "packhouse/" + o.Version, Refuse: a.ownAddress}, c.Webhooks.AllowHosts)
	s.issuers = fetch.NewOutward(fetch.Options{UserAgent: "packhouse/" + o.Version, Refuse: a.ownAddress}, c.Auth.IssuerHosts)
	engine := ops.New(ops.Options{Catalog: s.store.Catalog, Vault: s.store.Vault, Keys: s.store.Keys, Identity: s.identity,
		Resolver: s.resolver, Clock: clock, Formats: byID, KnownFormats: formats.ServiceIDs(), Namespaces: formats.Namespaces(), Connections: conns,
		KeyARN: func(owner packhouse.AccountID, keyID string) string { return keyARN(c.Region, owner, keyID) },
		Region: c.Region, Account: s.store.Account, HostSuffix: c.EndpointHostSuffix, PublicURL: c.PublicURL,
		Signing: signed(c.Signing), DocumentBytes: int64(c.Memory.Documents), Quotas: quotas(c), Webhooks: s.outward, WebIdentity: oidc.New(s.issuers.Get, o.Now), LoginTokenLife: c.Auth.LoginTokenLife, Log: s.log, Now: o.Now})
	s.engine = engine

	limiter := rates(c.Rates)
	address := func(r *http.Request) registry.Address {
		at, _ := a.find(r) // the edge has refused others
		return at
	}
	base := func(r *http.Request) string { return address(r).Base }
	packages, err := registry.New(registry.Options{Formats: s.rooms, ServiceIDs: addressed(), House: engine,
		Identity: s.identity, Account: s.store.Account, Address: address,
		PerPrincipal: c.Limits.RequestsPrincipal, Rates: limiter, Log: s.log})
	if err != nil {
		return nil, nil, err
	}
	browser, err := pages.New(pages.Options{Service: engine, Address: base, Version: o.Version})
	if err != nil {
		return nil, nil, err
	}
	control := codeartifact.New(codeartifact.Options{Service: engine, Identity: s.identity, Replays: replays{s.store.Catalog},
		Region: c.Region, Formats: formats.ServiceIDs(), MaxBody: int64(c.Limits.APIBody), Address: base, Secure: a.secure, Rates: limiter, Now: o.Now, Log: s.log})
	s.stream = codeartifact.NewEvents(codeartifact.EventOptions{API: control, Service: engine, Token: s.identity.Token, Wait: s.bell.Wait})

	identities := iam.New(iam.Options{Service: engine, Identity: s.identity, Replays: replays{s.store.Catalog},
		Region: c.Region, Secure: a.secure, Now: o.Now, Log: s.log})
	m.counts("packhouse_catalog_statements_total", "SQL statements run.", func() float64 { return float64(s.store.Catalog.Statements()) })
	m.shows("packhouse_event_streams", "Open streams of events.", func() float64 { return float64(s.stream.Open()) })
	m.shows("packhouse_disk_low", "1 while publishes are refused because the disk is nearly full.", func() float64 {
		if s.disk.low.Load() {
			return 1
		}
		return 0
	})
	m.shows("packhouse_memory_shed", "What is refused for want of memory: 0 nothing, 1 publishes, 2 pulls too.", func() float64 {
		return float64(s.memory.level.Load())
	})
	s.health = &health{ping: s.store.Catalog.Ping, degraded: s.disk.degraded, metrics: m.handler(), version: o.Version, address: base, iam: identities}
	return map[Owner]http.Handler{
		OwnerServer:       s.health,
		OwnerCodeArtifact: named("codeartifact", control),
		OwnerOpenAPI:      exactly("/openapi.json", codeartifact.OpenAPI(formats.ServiceIDs(), o.Version)),
		OwnerMCP: exactly("/mcp", mcp.Handler(mcp.HandlerOptions{API: control, Tokens: s.identity,
			Tools: func() []codeartifact.Tool { return codeartifact.Tools(formats.ServiceIDs()) }, Tell: s.auditor.tell,
			Write: c.MCP.Write == "on", MaxBody: int64(c.Limits.APIBody), Version: o.Version, Log: s.log})),
		OwnerEvents:   s.stream,
		OwnerGuard:    &codeartifact.Guard{API: control, Service: engine, Token: s.identity.Token},
		OwnerRegistry: packages,
		OwnerPages:    browser,
		OwnerFixed:    http.HandlerFunc(fixed),
		OwnerOCI:      http.HandlerFunc(reservedOCI),
	}, m, nil
}

func keyARN(region string, owner packhouse.AccountID, keyID string) string {
	return "arn:" + packhouse.Partition + ":kms:" + region + ":" + string(owner) + ":key/" + keyID
}

// listen takes the address, and reads the certificate where there is one.
func (s *Server) listen(ctx context.Context) error {
	c := s.config
	if c.TLS.Cert != "" {
		cert, err := loadCertificate(c.TLS.Cert, c.TLS.Key)
		if err != nil {
			return err
		}
		s.tls = cert.config()
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --listen", c.Listen, err)
	}
	s.listener = newPacedListener(l, c.Limits, s.tls == nil)
	return nil
}

// Addr returns the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Account returns the first account.
func (s *Server) Account() packhouse.AccountID { return s.store.Account }

// Run answers requests until ctx ends, then stops by reliability.md R19: not ready at
// once, the configured delay, running requests to their end, everything closed. It
// returns nil after an orderly stop.
func (s *Server) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.background.Go(func() { s.identity.Run(work) })
	if !s.store.ephemeral {
		s.background.Go(func() { s.disk.run(work) })
	}
	s.background.Go(func() { s.memory.run(work) })
	s.background.Go(func() { s.disk.latch.run(work) })
	s.background.Go(func() { s.disk.off.run(work) })
	s.background.Go(func() { s.sweep(work) })
	s.background.Go(func() { s.addresses.run(work, s) })
	s.background.Go(func() { s.engine.IndexPackages(work) })
	s.background.Go(func() { s.audit.Run(work) })
	s.background.Go(func() { s.dispatcher().Run(work) })
	s.background.Go(func() { s.runJobs(work) })
	failed := make(chan error, 1)
	go func() { failed <- s.serve() }() // ends by Shutdown or Close below

	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		err = s.drain(failed)
	}
	stop()
	s.background.Wait()
	return errors.Join(err, s.release())
}

func (s *Server) serve() error {
	if s.tls != nil {
		s.http.TLSConfig = s.tls
		return s.http.ServeTLS(s.listener, "", "")
	}
	return s.http.Serve(s.listener)
}

// drain ends the HTTP server.
func (s *Server) drain(failed <-chan error) error {
	s.health.stopping.Store(true)
	s.log.Info("stopping", "delay", s.config.Shutdown.Delay.String(), "grace", s.config.Shutdown.Grace.String())
	if s.config.Shutdown.Delay > 0 {
		t := time.NewTimer(s.config.Shutdown.Delay)
		defer t.Stop()
		select {
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-t.C:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Shutdown.Grace)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests cut off at the end of the grace", "error", err)
		_ = s.http.Close()
	}
	return nil
}

// releaseTimeout bounds how long running pulls are waited for when everything else has
// stopped.
const releaseTimeout = 5 * time.Second

// Close releases a server that was built and never run.
func (s *Server) Close() error { return s.release() }

// release closes what Build opened, in the opposite order.
func (s *Server) release() error {
	var errs []error
	if s.listener != nil {
		_ = s.listener.Close() // the HTTP server closes it too
	}
	if s.resolver != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		if err := s.resolver.Close(ctx); err != nil {
			s.log.Warn("pulls given up", "error", err)
		}
	}
	if s.fetch != nil {
		s.fetch.Close()
	}
	if s.outward != nil {
		s.outward.Close()
	}
	if s.issuers != nil {
		s.issuers.Close()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the database: %w", err))
		}
	}
	if s.unlock != nil {
		s.unlock()
	}
	return errors.Join(errs...)
}
