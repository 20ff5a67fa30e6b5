package resolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
)

// Options are what New needs.
type Options struct {
	Catalog *catalog.DB
	Vault   *vault.Vault
	Fetch   *fetch.Client
	Clock   *feed.Clock
	Formats map[packhouse.FormatID]format.Format
	// Connections are the external connections by name, with their addresses. A name
	// that a format knows need not be here.
	Connections map[string]fetch.Connection
	// Address finds the address of a connection that has none in Connections; it may
	// wait, and returns "" for none. nil finds none.
	Address func(ctx context.Context, name string) string
	Log     *slog.Logger     // nil discards
	Now     func() time.Time // nil means time.Now
	// FreshFor is how long a remote index is used without asking (default 5 min),
	// AbsentFor how long a 404 is remembered (60 s), StaleFor how long a kept index
	// may stand in for a failing upstream (7 days).
	FreshFor, AbsentFor, StaleFor time.Duration
	// RevalidateFor is how long after its freshness a remote index is still used at once,
	// while the registry is asked behind it (0: never).
	RevalidateFor time.Duration
	// MaxUpstreams is how many repositories besides the asked one are searched; 0 means
	// packhouse.MaxUpstreams.
	MaxUpstreams int
	// Busy, where not nil, is asked before a registry is; its error is the caller's
	// answer unless something kept can stand in (reliability.md A8, memory).
	Busy func() error
	// Cooldown is that of repositories that set none; see Cooldown.
	Cooldown Cooldown
	// RecheckFor is how often, at most, a version that a fresh remote index does not
	// have makes us ask again (default 10 s).
	RecheckFor time.Duration
	// IndexBytes bounds the remote indexes kept read in memory (default 16 MiB), Assets
	// the number of assets whose place is kept in memory (default 20,000).
	IndexBytes, Assets int
}

// Resolver resolves. Its methods may be called from several goroutines.
type Resolver struct {
	o   Options
	log *slog.Logger
	now func() time.Time

	shapes  sync.Map // packhouse.DomainRef to *domainShape
	remotes *remoteIndexes
	besides *besides
	assets  *cache.Cache[assetKey, placedAsset]
	retains singleflight.Group // retentions of one version in one repository
	looks   singleflight.Group // for who holds an asset, under way
	behind  behind

	// base ends when Close has waited long enough; all detached work ends with it.
	base    context.Context
	abandon context.CancelFunc
	closing chan struct{} // closed by Close
	mu      sync.Mutex
	pulls   map[pullKey]*pull
	closed  bool
	running sync.WaitGroup // of pulls and refreshes; Close waits for them
}

// New makes a resolver.
func New(o Options) *Resolver {
	defaultTo(&o.FreshFor, 5*time.Minute)
	defaultTo(&o.AbsentFor, time.Minute)
	defaultTo(&o.StaleFor, 7*24*time.Hour)
	defaultTo(&o.RecheckFor, 10*time.Second)
	defaultTo(&o.IndexBytes, 16<<20)
	defaultTo(&o.Assets, 20_000)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Resolver{o: o, log: o.Log, now: o.Now, pulls: map[pullKey]*pull{}, closing: make(chan struct{})}
	r.base, r.abandon = context.WithCancel(context.Background())
	r.remotes = newRemoteIndexes(r)
	r.besides = newBesides(r)
	r.assets = cache.New[assetKey, placedAsset](o.Assets)
	return r
}

func defaultTo[T time.Duration | int](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// Close waits for running pulls, refreshes and what is yet to be written, at most until ctx ends; those that still
// run then are given up and keep nothing. None starts after Close.
func (r *Resolver) Close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
	}
	r.mu.Unlock()
	done := make(chan struct{})
	go func() {
		r.running.Wait()
		close(done)
	}()
	defer r.abandon()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		r.abandon()
		<-done
		return ctx.Err()
	}
}

// detach returns a context for work that several callers share or that must outlive the
// one who began it (reliability.md R28, R30): bounded by limit and by the resolver's own
// end alone. end must be called when the work is over; until then Close waits.
func (r *Resolver) detach(ctx context.Context, limit time.Duration) (_ context.Context, end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.detachLocked(ctx, limit)
}

// detachLocked is detach for a caller that holds mu.
func (r *Resolver) detachLocked(ctx context.Context, limit time.Duration) (_ context.Context, end func(), err error) {
	if r.closed {
		return nil, nil, &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "shutting_down", Message: "the server is shutting down"}
	}
	r.running.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(r.base, cancel)
	return ctx, func() {
		stop()
		cancel()
		r.running.Done()
	}, nil
}

// Stamp tells for how long a View is current.
type Stamp struct {
	Marks      []feed.Mark
	FreshUntil time.Time     // zero when no connection was asked
	Stale      time.Duration // age of the kept data used because the upstream failed; 0 otherwise
}

// format finds a format.
func (r *Resolver) format(id packhouse.FormatID) (format.Format, error) {
	f, ok := r.o.Formats[id]
	if !ok {
		return nil, &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "unknown_format", Message: "this server has no package format " + string(id)}
	}
	return f, nil
}

// diskFailures are what a disk answers that is broken or set read-only, and a process that
// is out of file descriptors.
var diskFailures = []syscall.Errno{syscall.EIO, syscall.EROFS, syscall.EACCES, syscall.EMFILE, syscall.ENFILE}

// StoreError turns what a store returned into the engine's error: nil stays nil, errors
// of our own and ended contexts pass as they are, a full disk is DiskLow (reliability.md
// R21), a disk that fails and a commit in doubt are Unavailable (R4, R6), anything else is
// Internal with op before it.
func StoreError(op string, err error) error {
	var known *packhouse.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_full", RetryAfter: time.Minute,
			Message: "the server's disk is full, so nothing can be stored at the moment", Err: fmt.Errorf("%s: %w", op, err)}
	case errors.Is(err, catalog.ErrInDoubt):
		return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "outcome_unknown", RetryAfter: time.Second,
			Message: "the server cannot tell whether this was stored; look before you send it again", Err: fmt.Errorf("%s: %w", op, err)}
	case slices.ContainsFunc(diskFailures, func(e syscall.Errno) bool { return errors.Is(err, e) }):
		return &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "store_failing", RetryAfter: time.Minute,
			Message: "the server's disk fails at the moment", Err: fmt.Errorf("%s: %w", op, err)}
	}
	return packhouse.Internal(fmt.Errorf("%s: %w", op, err))
}

// errPanicked is in the chain of what contain makes.
var errPanicked = errors.New("panic")

// contain, deferred, turns a panic into an Internal error: in a goroutine of ours what a
// room does with a hostile archive or index must not end the process.
func contain(err *error) {
	if p := recover(); p != nil {
		*err = packhouse.Internal(fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack()))
	}
}

func packageNotFound(pkg packhouse.PackageRef) error {
	return packhouse.NotFoundf(packhouse.ResourcePackage, pkg.Package.String(), "package %s is neither in repository %s nor behind it: publish it there, or add an upstream that has it", pkg.Package, pkg.Repo.Name)
}

func versionNotFound(v packhouse.VersionRef) error {
	return packhouse.NotFoundf(packhouse.ResourceVersion, v.Version, "version %s of package %s is neither in repository %s nor behind it", v.Version, v.Package, v.Repo.Name)
}

func assetNotFound(a packhouse.AssetRef) error {
	return packhouse.NotFoundf(packhouse.ResourceAsset, a.Asset, "asset %s of version %s of package %s not found", a.Asset, a.Version, a.Package)
}
