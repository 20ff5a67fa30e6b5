package identity

import (
	"net/netip"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
)

// How many failed logins there may be per minute (reliability.md S41).
const (
	failuresPerAccount = 10
	failuresPerAddress = 100
	failureWindow      = time.Minute
	// maxFailureKeys bounds the memory for counts.
	maxFailureKeys = 20_000
)

// failures counts failed logins in this process. An attempt is counted when it begins
// and given back when it succeeds, so that many at once do not slip through.
type failures struct {
	now    func() time.Time
	mu     sync.Mutex
	counts map[string]*failureCount
}

type failureCount struct {
	began time.Time
	n     int
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, counts: map[string]*failureCount{}}
}

// begin counts an attempt for an account, known or not, and a client's address. forgive
// takes it back: it was no failure. Errors: Throttled.
func (f *failures) begin(account, address string) (forgive func(), err error) {
	keys := [...]struct {
		key   string
		limit int
	}{{"a " + Origin(address), failuresPerAddress}, {"n " + account, failuresPerAccount}}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	var counted [len(keys)]*failureCount
	for i, k := range keys {
		c := f.count(k.key, now)
		if c.n >= k.limit {
			return nil, &packhouse.Error{Kind: packhouse.KindThrottled, Reason: "too_many_failures",
				Message: "Too many failed logins; wait a minute and try again.", RetryAfter: c.began.Add(failureWindow).Sub(now)}
		}
		counted[i] = c
	}
	for _, c := range counted {
		c.n++
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range counted {
			c.n = max(0, c.n-1)
		}
	}, nil
}

// count returns the count of a key in the present minute.
func (f *failures) count(key string, now time.Time) *failureCount {
	c := f.counts[key]
	if c != nil && now.Sub(c.began) < failureWindow && !now.Before(c.began) {
		return c
	}
	if c == nil && len(f.counts) >= maxFailureKeys {
		f.shrink(now)
	}
	c = &failureCount{began: now}
	f.counts[key] = c
	return c
}

// shrink makes room for a while: minutes that are over go first, then any.
func (f *failures) shrink(now time.Time) {
	for key, c := range f.counts {
		if now.Sub(c.began) >= failureWindow {
			delete(f.counts, key)
		}
	}
	for key := range f.counts {
		if len(f.counts) <= maxFailureKeys*3/4 {
			return
		}
		delete(f.counts, key)
	}
}

// Origin is what counts as one client: an IPv4 address, or the /64 network of an IPv6
// address, because whoever has one address of it has all.
func Origin(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return network.String()
}
