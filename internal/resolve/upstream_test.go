package resolve_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// until polls a condition, for a minute at most.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// npm.md 7: with the setting, an index past its freshness is shown at once while the
// registry is asked behind it, once for all, and the next reader sees the news.
func TestRevalidateBehindTheAnswer(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			g := newRegistry(t)
			g.add("p", "1", bytesOf(1, 100))
			h := newHouse(t, g)
			h.o.RevalidateFor = time.Hour
			h.restart()
			h.repo("a", "@"+connection)
			h.shown("a", "p")
			g.add("p", "2", bytesOf(2, 100))
			h.pass(minutes(6))
			if restarted {
				h.restart()
			}
			answer := make(chan struct{})
			g.set(func(http.ResponseWriter, *http.Request) bool { <-answer; return false })
			for range 5 {
				if got := len(h.shown("a", "p")); got != 1 {
					t.Fatalf("%d versions while the registry has not answered, want the one kept", got)
				}
				h.pass(2 * time.Second)
			}
			close(answer)
			until(t, "the news", func() bool { return len(h.shown("a", "p")) == 2 })
			if n := g.requests("/index/p"); n != 2 {
				t.Errorf("%d requests for the index, want 2", n)
			}
			h.pass(2 * time.Hour) // too old for that: now the registry is waited for
			g.add("p", "3", bytesOf(3, 100))
			if got := len(h.shown("a", "p")); got != 3 {
				t.Errorf("%d versions of an index that is too old, want 3", got)
			}
		})
	}
}

// Without the setting readers wait for the registry.
func TestNoRevalidationBehindByDefault(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.shown("a", "p")
	g.add("p", "2", bytesOf(2, 100))
	h.pass(minutes(6))
	if got := len(h.shown("a", "p")); got != 2 {
		t.Errorf("%d versions, want 2", got)
	}
}

// A8: a server short of memory fetches nothing new and goes on serving what it has.
func TestBusyShedsMisses(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	g.add("p", "2", bytesOf(2, 100))
	h := newHouse(t, g)
	var busy error
	h.o.Busy = func() error { return busy }
	h.restart()
	h.repo("a", "@"+connection)
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	before := g.total()
	busy = &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "memory_low"}
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	h.wantReason("a", "p", "2", "memory_low")
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "q"), false); packhouse.ReasonOf(err) != "memory_low" {
		t.Errorf("a package that is not kept: %v", err)
	}
	h.pass(minutes(6))
	if _, stamp, err := h.r.View(t.Context(), h.pkg("a", "p"), false); err != nil || stamp.Stale == 0 {
		t.Errorf("a package that is kept: stale %v, %v", stamp.Stale, err)
	}
	if n := g.total() - before; n != 0 {
		t.Errorf("the registry got %d requests", n)
	}
	busy = nil
	h.pass(minutes(1))
	h.wantGet("a", "p", "2", bytesOf(2, 100))
}

// npm.md 5: large indexes are in memory one at a time, from fetching to rendering; small
// ones go past them.
func TestLargeIndexesTakeTurns(t *testing.T) {
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	large := func(name string) string {
		return fmt.Sprintf(`{"versions":[{"version":"1","url":"files/%s-1"}],"filler":%q}`, name, strings.Repeat("x", 40<<20))
	}
	var mu sync.Mutex
	answered := map[string]int{}
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		name, ok := strings.CutPrefix(r.URL.Path, "/index/large")
		if !ok {
			return false
		}
		body := large(name)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write([]byte(body)) // ends when all of it is taken
		mu.Lock()
		defer mu.Unlock()
		answered[name]++
		return true
	})
	g.add("small", "1", bytesOf(1, 100))
	first, done := context.WithCancel(t.Context())
	if _, _, err := h.r.View(first, h.pkg("a", "large1"), false); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		_, _, err := h.r.View(t.Context(), h.pkg("a", "large2"), false)
		second <- err
	}()
	until(t, "the second large index to be asked for", func() bool { return g.requests("/index/large2") == 1 })
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "small"), false); err != nil {
		t.Errorf("a small index beside a large one: %v", err)
	}
	mu.Lock()
	if answered["2"] != 0 {
		t.Error("the second large index was taken in while the first was in use")
	}
	mu.Unlock()
	done()
	if err := <-second; err != nil {
		t.Errorf("after the first was let go: %v", err)
	}
}

// R28: a thousand clients that miss the same object at once share one transfer.
func TestThousandClients(t *testing.T) {
	if catalogtest.OnPostgres() {
		t.Skip("a process has 16 connections, and a thousand clients wait longer than a second for them")
	}
	g := newRegistry(t)
	body := bytesOf(1, 100<<10)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 1000 {
		wg.Go(func() {
			<-start
			if got, err := h.get("a", "p", "1"); err != nil || len(got) != len(body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	close(start)
	wg.Wait()
	if index, files := g.requests("/index/p"), g.requests(filePath("p", "1")); index != 1 || files != 1 {
		t.Errorf("%d requests for the index and %d for the file, want 1 and 1", index, files)
	}
}

// npm.md 5: "there is no such package" is forgotten at once when the name is published.
func TestAbsenceEndsWithAPublish(t *testing.T) {
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	if _, _, err := h.r.View(t.Context(), h.pkg("a", "p"), false); packhouse.ReasonOf(err) != "package_not_found" {
		t.Fatal(err)
	}
	h.publish("up", "p", "1", packhouse.Published, bytesOf(1, 100))
	h.wantGet("a", "p", "1", bytesOf(1, 100))
	if got := len(h.shown("a", "p")); got != 1 {
		t.Errorf("%d versions, want 1", got)
	}
}

// R29: what was kept stays as it is when the registry offers other bytes under its
// version, and the ledger says so, once.
func TestChangedUpstreamKeepsThePinned(t *testing.T) {
	g := newRegistry(t)
	first, other := bytesOf(1, 1000), bytesOf(2, 1000)
	g.add("p", "1", first)
	g.add("p", "2", first)
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	h.wantGet("a", "p", "1", first)
	h.settle()
	changes := func() (n int) {
		h.view(func(ctx context.Context, tx *catalog.Tx) error {
			n = 0
			all, err := tx.Changes(ctx, 0, 1000)
			for _, c := range all {
				if c.Kind == packhouse.ChangeUpstreamChanged {
					n++
					if c.Version != "1" || c.Package != pkgName("p") {
						t.Errorf("a change of %s %s", c.Package, c.Version)
					}
				}
			}
			return err
		})
		return n
	}
	if n := changes(); n != 0 {
		t.Errorf("%d changes recorded before there was one", n)
	}
	g.replace("p", other)
	for range 3 {
		h.pass(minutes(6))
		h.shown("a", "p")
	}
	h.wantGet("a", "p", "1", first)
	h.wantGet("a", "p", "2", other) // was never kept: nothing is pinned
	if n := changes(); n != 2 {
		t.Errorf("%d changes recorded, want one for each of the two repositories that keep the version", n)
	}
}
