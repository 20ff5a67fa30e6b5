package limits_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/limits"
)

// allowed counts how many of n requests pass.
func allowed(n int, ask func() error) (passed int) {
	for range n {
		if ask() == nil {
			passed++
		}
	}
	return passed
}

// Every rate of codeartifact.md 2.5 lets its number through in a second, not one more,
// and the same again a second later; nobody else is held back by it.
func TestRates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := limits.New(limits.Rates{AccountReads: 800, AccountWrites: 100, Token: 1200, Address: 600, Operations: map[string]int{"CopyPackageVersions": 50, "ListPackages": 0}},
		func() time.Time { return now })
	for _, tt := range []struct {
		name        string
		perSecond   int
		ask, others func() error
		reason      string
	}{
		{"reads of an account", 800, func() error { return l.Account("1", false) }, func() error { return l.Account("2", false) }, "account_rate"},
		{"writes of an account", 100, func() error { return l.Account("3", true) }, func() error { return l.Account("3", false) }, "account_rate"},
		{"requests with one token", 1200, func() error { return l.Token("a") }, func() error { return l.Token("b") }, "token_rate"},
		{"requests from one address", 600, func() error { return l.Address("192.0.2.1") }, func() error { return l.Address("192.0.2.2") }, "address_rate"},
		{"requests from one IPv6 network", 600, func() error { return l.Address("2001:db8::1") }, func() error { return l.Address("2001:db8:0:1::1") }, "address_rate"},
		{"calls of one operation", 50, func() error { return l.Operation("1", "CopyPackageVersions") }, func() error { return l.Operation("2", "CopyPackageVersions") }, "operation_rate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if n := allowed(tt.perSecond+5, tt.ask); n != tt.perSecond {
				t.Errorf("%d passed at once, want %d", n, tt.perSecond)
			}
			err := tt.ask()
			var e *packhouse.Error
			if !errors.As(err, &e) || e.Kind != packhouse.KindThrottled || e.Reason != tt.reason || e.RetryAfter <= 0 || e.RetryAfter > time.Second {
				t.Errorf("refused with %#v, want Throttled %q and a wait of at most a second", err, tt.reason)
			}
			if err := tt.others(); err != nil {
				t.Errorf("somebody else: %v", err)
			}
			now = now.Add(time.Second)
			if n := allowed(tt.perSecond+5, tt.ask); n != tt.perSecond {
				t.Errorf("%d passed a second later, want %d", n, tt.perSecond)
			}
		})
	}
	if n := allowed(5000, func() error { return l.Operation("1", "ListPackages") }); n != 5000 {
		t.Errorf("%d calls passed where the rate is 0, want all", n)
	}
	if n := allowed(5000, func() error { return l.Operation("1", "DescribeDomain") }); n != 5000 {
		t.Errorf("%d calls of an operation without a rate passed, want all", n)
	}
	// All addresses of one IPv6 network share what it has.
	for i := range 600 {
		_ = l.Address(fmt.Sprintf("2001:db8:9::%x", i))
	}
	if err := l.Address("2001:db8:9::ffff"); err == nil {
		t.Error("a new address of the same network has a bucket of its own")
	}
}

// Five uploads in parallel pass however small the rate is (codeartifact.md 2.5, Maven).
func TestSmallRatesLetFiveThrough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := limits.New(limits.Rates{AccountWrites: 1}, func() time.Time { return now })
	if n := allowed(5, func() error { return l.Account("1", true) }); n != 5 {
		t.Errorf("%d of 5 passed", n)
	}
}

func TestNilLimiterAllowsEverything(t *testing.T) {
	var l *limits.Limiter
	if n := testing.AllocsPerRun(100, func() {
		if err := errors.Join(l.Account("1", true), l.Token("t"), l.Address("192.0.2.1"), l.Operation("1", "x")); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// An attacker with many addresses cannot make the buckets grow without bound, and those
// of accounts are not touched by it.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := limits.New(limits.Rates{AccountReads: 10, Address: 10}, func() time.Time { return now })
	allowed(10, func() error { return l.Account("1", false) })
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for i := range 60_000 {
				_ = l.Address(fmt.Sprintf("10.%d.%d.%d", part, i>>8&255, i&255))
			}
		})
	}
	all.Wait()
	if n := limits.Addresses(l); n > 60_000 {
		t.Errorf("%d buckets of addresses are kept after 240,000 addresses, want at most about 50,000", n)
	}
	if err := l.Account("1", false); err == nil {
		t.Error("the account's bucket is gone")
	}
}
