package resolve_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
)

// minutes is n minutes.
func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }

func TestIndexIsAskedForOnceWhileFresh(t *testing.T) { // R29
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.repo("b", "a")
	index := func(want int, why string) {
		t.Helper()
		if got := g.requests("/index/p"); got != want {
			t.Errorf("%s: %d requests for the index, want %d", why, got, want)
		}
	}
	h.shown("a", "p")
	h.shown("b", "p")
	index(1, "two repositories of one domain")
	h.restart()
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	index(1, "a tarball after a restart, from the kept row")
	h.pass(minutes(6))
	h.shown("a", "p")
	index(2, "after the time of freshness")
	h.shown("a", "p")
	index(2, "a 304 renews the freshness")
	h.restart()
	h.shown("a", "p")
	index(2, "and the row's")
}

func TestMissingVersionIsAskedForOnceMore(t *testing.T) { // npm.md 5
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	g.add("p", "2", bytesOf(2, 100))
	h.pass(time.Minute)
	h.wantGet("a", "p", "2", bytesOf(2, 100))
	if got := g.requests("/index/p"); got != 2 {
		t.Errorf("%d requests for the index, want 2", got)
	}
	for range 5 {
		h.wantReason("a", "p", "3", "package-version_not_found")
	}
	if got := g.requests("/index/p"); got != 2 {
		t.Errorf("%d requests for the index after five misses in a row, want 2", got)
	}
}

func TestNegativeAnswers(t *testing.T) { // R29
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	absent := func() {
		t.Helper()
		if _, _, err := h.r.View(t.Context(), h.pkg("a", "p"), false); packhouse.ReasonOf(err) != "package_not_found" {
			t.Errorf("view: %v", err)
		}
		h.wantReason("a", "p", "1", "package-version_not_found")
	}
	absent()
	h.restart()
	absent()
	if n := g.total(); n != 1 {
		t.Errorf("%d requests for a name that does not exist, want 1", n)
	}
	g.add("p", "1", bytesOf(1, 100))
	h.pass(61 * time.Second)
	h.wantGet("a", "p", "1", bytesOf(1, 100))
}

func TestFailuresAreNotKept(t *testing.T) { // R29
	for _, code := range []int{401, 403, 407, 418, 500} {
		g := newRegistry(t)
		g.add("p", "1", bytesOf(1, 100))
		h := newHouse(t, g)
		h.repo("a", "@"+connection)
		g.fail(code)
		if _, _, err := h.r.View(t.Context(), h.pkg("a", "p"), false); packhouse.KindOf(err) != packhouse.KindUpstream {
			t.Errorf("%d: view: %v", code, err)
		}
		g.set(nil)
		h.wantGet("a", "p", "1", bytesOf(1, 100))
	}
}

func TestStaleIfError(t *testing.T) { // R29
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	g.add("p", "2", bytesOf(2, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	g.fail(500)
	h.pass(minutes(60))
	for range 2 {
		v, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false)
		if err != nil || len(v.Entries) != 2 || stamp.Stale != time.Hour || stamp.FreshUntil.After(h.now().Add(5*time.Second)) {
			t.Fatalf("view of %d entries, stale %v, fresh until %v, %v", len(v.Entries), stamp.Stale, stamp.FreshUntil, err)
		}
		h.restart()
	}
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	if _, err := h.get("a", "p", "2"); packhouse.KindOf(err) != packhouse.KindUpstream {
		t.Errorf("what was never fetched: %v", err)
	}
	if _, err := h.get("a", "p", "3"); packhouse.KindOf(err) != packhouse.KindUpstream {
		t.Errorf("a version the kept index does not have, while nobody can tell: %v", err)
	}
	h.pass(8 * 24 * time.Hour)
	v, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false)
	if err != nil || len(v.Entries) != 1 || stamp.Stale == 0 {
		t.Errorf("after 8 days: %d entries, stale %v, %v; want the retained one alone", len(v.Entries), stamp.Stale, err)
	}
	g.set(nil)
	h.pass(6 * time.Second)
	h.wantGet("a", "p", "2", bytesOf(2, 100))
	if _, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || stamp.Stale != 0 {
		t.Errorf("healed: stale %v, %v", stamp.Stale, err)
	}
}

func TestStaleDoesNotAskAtEachRequest(t *testing.T) { // R28
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	h.pass(minutes(6))
	g.fail(418) // not retried
	before := g.total()
	for range 5 {
		h.shown("a", "p")
	}
	if n := g.total() - before; n != 1 {
		t.Errorf("%d requests, want 1 in five seconds", n)
	}
}

func TestUnreadableIndex(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	h.pass(minutes(6))
	g.set(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte("[]"))
		return true
	})
	if _, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || stamp.Stale == 0 {
		t.Errorf("with a kept one: stale %v, %v", stamp.Stale, err)
	}
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "q"), false); packhouse.ReasonOf(err) != fetch.ReasonBadAnswer {
		t.Errorf("without: %v", err)
	}
}

func TestPanicOfTheRoomOverAnIndex(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	h.pass(minutes(6))
	g.set(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte("BOOM"))
		return true
	})
	if _, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || stamp.Stale == 0 {
		t.Errorf("with a kept one: stale %v, %v", stamp.Stale, err)
	}
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "q"), false); packhouse.ReasonOf(err) != "internal" {
		t.Errorf("without: %v", err)
	}
	g.set(nil)
	h.pass(minutes(1))
	if _, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || stamp.Stale != 0 {
		t.Errorf("when the registry has come to its senses: stale %v, %v", stamp.Stale, err)
	}
}

func TestDomainsShareNoIndex(t *testing.T) { // S19
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	first := h.domain
	h.domain = h.newDomain("other", func() packhouse.KeyRef { return first.Key })
	h.repos = map[string]int64{}
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	if got := g.requests("/index/p"); got != 2 {
		t.Errorf("%d requests for the index of two domains, want 2", got)
	}
	// Another credential is another view of the registry.
	c := h.o.Connections[connection]
	c.Secret = fetch.NewSecret("token")
	h.o.Connections[connection] = c
	h.restart()
	h.shown("a", "p")
	if got := g.requests("/index/p"); got != 3 {
		t.Errorf("%d requests for the index under two credentials, want 3", got)
	}
}
