// Package limits bounds how many requests per second an account, a token, an address and
// an operation may make (codeartifact.md 2.5). It counts in this process only.
//
// It is on the workshop floor: doors ask it once they know who asks. Start reading with
// Limiter.
package limits

import (
	"hash/maphash"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
)

// Rates are requests per second; 0 is no limit.
type Rates struct {
	AccountReads, AccountWrites int
	Token                       int            // with one token
	Address                     int            // without good credentials, of one client address
	Operations                  map[string]int // of one account, by the operation's name
}

// How many buckets of each kind are kept, whoever asks. One that nobody has asked for
// lately makes room, and is full when it comes back.
const (
	maxAccounts  = 10_000
	maxTokens    = 50_000
	maxAddresses = 50_000
)

// minBurst is how many requests may come at once whatever the rate: Maven uploads five
// files in parallel and must not be refused for it (codeartifact.md 2.5).
const minBurst = 10

// Limiter keeps the buckets. A nil one refuses nothing. It is safe for concurrent use.
type Limiter struct {
	now        func() time.Time
	seed       maphash.Seed
	reads      *buckets[packhouse.AccountID]
	writes     *buckets[packhouse.AccountID]
	tokens     *buckets[uint64]
	addresses  *buckets[netip.Prefix]
	operations map[string]*buckets[packhouse.AccountID]
}

// New makes a limiter; now nil means time.Now.
func New(r Rates, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	l := &Limiter{now: now, seed: maphash.MakeSeed(),
		reads: newBuckets[packhouse.AccountID](r.AccountReads, maxAccounts), writes: newBuckets[packhouse.AccountID](r.AccountWrites, maxAccounts),
		tokens: newBuckets[uint64](r.Token, maxTokens), addresses: newBuckets[netip.Prefix](r.Address, maxAddresses),
		operations: make(map[string]*buckets[packhouse.AccountID], len(r.Operations))}
	for name, perSecond := range r.Operations {
		if perSecond > 0 {
			l.operations[name] = newBuckets[packhouse.AccountID](perSecond, maxAccounts)
		}
	}
	return l
}

// Account counts a request of an account. Errors: Throttled "account_rate".
func (l *Limiter) Account(a packhouse.AccountID, writes bool) error {
	switch {
	case l == nil:
		return nil
	case writes:
		return throttled(l.writes.take(a, l.now()), "account_rate", "write requests of the account")
	}
	return throttled(l.reads.take(a, l.now()), "account_rate", "read requests of the account")
}

// Operation counts a call of an operation. Errors: Throttled "operation_rate".
func (l *Limiter) Operation(a packhouse.AccountID, name string) error {
	if l == nil {
		return nil
	}
	return throttled(l.operations[name].take(a, l.now()), "operation_rate", "calls of this operation")
}

// Token counts a request with a token. Errors: Throttled "token_rate".
func (l *Limiter) Token(token string) error {
	if l == nil {
		return nil
	}
	return throttled(l.tokens.take(maphash.String(l.seed, token), l.now()), "token_rate", "requests with this token")
}

// Address counts a request without good credentials of a client address; the 2^64
// addresses of one IPv6 network are one. Errors: Throttled "address_rate".
func (l *Limiter) Address(client string) error {
	if l == nil {
		return nil
	}
	ip, err := netip.ParseAddr(client)
	if err != nil {
		ip = netip.IPv6Unspecified() // unknown clients share one
	}
	bits := 32
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		bits = 64
	}
	network, _ := ip.Prefix(bits) // the lengths fit
	return throttled(l.addresses.take(network, l.now()), "address_rate", "requests without credentials from your address")
}

// throttled makes the error for a wait, nil for none.
func throttled(wait time.Duration, reason, what string) error {
	if wait <= 0 {
		return nil
	}
	return &packhouse.Error{Kind: packhouse.KindThrottled, Reason: reason, RetryAfter: wait, Message: "Too many " + what + "; please slow down."}
}

// buckets are token buckets of one kind. A nil one refuses nothing.
type buckets[K comparable] struct {
	perSecond int
	kept      *cache.Cache[K, *rate.Limiter]
}

func newBuckets[K comparable](perSecond, most int) *buckets[K] {
	if perSecond <= 0 {
		return nil
	}
	return &buckets[K]{perSecond: perSecond, kept: cache.New[K, *rate.Limiter](most)}
}

// take takes one token, or returns how long to wait for one.
func (b *buckets[K]) take(key K, now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	bucket := b.kept.GetOrSet(key, func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(b.perSecond), max(b.perSecond, minBurst))
	})
	asked := bucket.ReserveN(now, 1)
	wait := asked.DelayFrom(now)
	if wait > 0 {
		asked.CancelAt(now) // who is refused uses nothing up
	}
	return wait
}
