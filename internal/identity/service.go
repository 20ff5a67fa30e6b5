package identity

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"aidanwoods.dev/go-paseto"
	"golang.org/x/sync/singleflight"

	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/sigv4"
)

const (
	// pollEvery is how often Run looks for changes made by other processes (S9).
	pollEvery = 500 * time.Millisecond
	// maxStale is how old the last such look may be before nothing in memory is
	// trusted any more (R22, S9).
	maxStale = 5 * time.Second
	// lookTimeout bounds one look at the database (R22: every request answers in 2 s).
	lookTimeout = time.Second
	// cacheEntries bounds each cache.
	cacheEntries = 10_000
)

// Options are what New needs.
type Options struct {
	Catalog *catalog.DB
	// TokenKey is the 32-byte key of sealed tokens, derived from the installation's
	// keyset by the caller.
	TokenKey []byte
	Log      *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Service answers who a credential is. It is safe for concurrent use.
//
// What it has read from the catalog it keeps until the identity epoch moves. An entry
// carries the generation in which its reading began; whatever may have changed since
// belongs to a later generation, so that a slow reader cannot bring an old answer back.
type Service struct {
	db     *catalog.DB
	key    paseto.V4SymmetricKey
	log    *slog.Logger
	now    func() time.Time
	uptime func() time.Duration // monotonic

	generation atomic.Uint64
	state      atomic.Pointer[epochs]
	looks      singleflight.Group
	clockSeen  atomic.Int64 // newest wall clock seen, in nanoseconds (R25)

	tokens   *cache.Cache[tokenSum, *tokenEntry]
	keys     *cache.Cache[string, *keyEntry]
	sessions *cache.Cache[tokenSum, *keyEntry]
	policies *cache.Cache[int64, *policyEntry]  // by principal, for those without a session
	narrowed *cache.Cache[holder, *policyEntry] // by session
	used     *uses

	hasher   *hasher
	failures *failures
	formKey  []byte // of the pages' forms
	linkKey  []byte // of signed links
}

// epochs are what one look at the database saw.
type epochs struct {
	identity     int64
	installation int64
	looked       time.Duration // uptime when the look began
}

type keyEntry struct {
	generation uint64
	key        sigv4.Key
}

type policyEntry struct {
	generation uint64
	set        *authz.Set
}

// New makes a service. Run must be started for revocations by other processes to be
// seen within a second.
func New(ctx context.Context, o Options) (*Service, error) {
	key, err := paseto.V4SymmetricKeyFromBytes(o.TokenKey)
	if err != nil {
		return nil, fmt.Errorf("token key: %w", err)
	}
	started := time.Now()
	s := &Service{
		db: o.Catalog, key: key, log: o.Log, now: o.Now,
		uptime:   func() time.Duration { return time.Since(started) },
		tokens:   cache.New[tokenSum, *tokenEntry](cacheEntries),
		keys:     cache.New[string, *keyEntry](cacheEntries),
		sessions: cache.New[tokenSum, *keyEntry](cacheEntries),
		policies: cache.New[int64, *policyEntry](cacheEntries),
		narrowed: cache.New[holder, *policyEntry](cacheEntries),
		used:     &uses{last: map[string]use{}},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.hasher, s.failures = newHasher(), newFailures(s.now)
	if s.formKey, err = hkdf.Key(sha256.New, o.TokenKey, nil, "packhouse form token", sha256.Size); err != nil {
		return nil, fmt.Errorf("form key: %w", err)
	}
	if s.linkKey, err = hkdf.Key(sha256.New, o.TokenKey, nil, "packhouse signed link", sha256.Size); err != nil {
		return nil, fmt.Errorf("link key: %w", err)
	}
	if err := s.look(ctx); err != nil {
		return nil, fmt.Errorf("read identity epoch: %w", err)
	}
	return s, nil
}

// Run watches for identity changes until ctx ends.
func (s *Service) Run(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	defer s.noteUses(context.WithoutCancel(ctx))
	failing := false
	noted := s.uptime()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.uptime()-noted > noteUsesEvery {
			noted = s.uptime()
			s.noteUses(ctx)
		}
		err := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		// One line per outage, not one per look.
		if err != nil && !failing {
			s.log.LogAttrs(ctx, slog.LevelWarn, "identity changes cannot be read", slog.Any("error", err))
		} else if err == nil && failing {
			s.log.LogAttrs(ctx, slog.LevelInfo, "identity changes are read again")
		}
		failing = err != nil
	}
}

// Flush forgets everything that was read from the catalog. Whoever changes an identity
// in this process calls it after the commit, so that the change acts at once.
func (s *Service) Flush() { s.generation.Add(1) }

// look asks the database for the epochs and flushes if one has moved.
func (s *Service) look(ctx context.Context) error {
	// One look serves all who wait for it; it must not end with the first of them.
	_, err, _ := s.looks.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		defer cancel()
		seen := epochs{looked: s.uptime()}
		err := s.db.View(ctx, func(tx *catalog.Tx) error {
			installation, err := tx.Installation(ctx)
			if err != nil {
				return err
			}
			seen.installation = installation.TokenEpoch
			seen.identity, err = tx.IdentityEpoch(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		before := s.state.Load()
		if before == nil || before.identity != seen.identity || before.installation != seen.installation {
			s.Flush()
		}
		s.state.Store(&seen)
		return nil, nil
	})
	return err
}

// current returns the generation that cached entries must have. If the last look at the
// database is too old it looks again; if that fails nothing is known.
// Errors: Unavailable.
func (s *Service) current(ctx context.Context) (generation uint64, err error) {
	if s.uptime()-s.state.Load().looked > maxStale {
		if err := s.look(ctx); err != nil {
			return 0, unavailable(err)
		}
	}
	return s.generation.Load(), nil
}

// view is a read transaction whose errors other than catalog.ErrNotFound are
// Unavailable: who cannot be looked up is not let in, and not turned away for good.
func (s *Service) view(ctx context.Context, fn func(*catalog.Tx) error) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	err = s.db.View(ctx, fn)
	switch {
	case isNotFound(err):
		return false, nil
	case err != nil:
		return false, unavailable(err)
	}
	return true, nil
}

// clock returns the newest wall clock ever seen here: a clock that is set back does not
// lengthen a token's life (R25).
func (s *Service) clock() int64 {
	now := s.now().UnixNano()
	for {
		seen := s.clockSeen.Load()
		if now <= seen {
			return seen
		}
		if s.clockSeen.CompareAndSwap(seen, now) {
			return now
		}
	}
}
