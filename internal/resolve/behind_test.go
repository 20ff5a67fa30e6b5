package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

// blocked is a context that ends soon: what waits for something held back ends with it.
func blocked(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// Performance row 15: a client has its bytes before the version is recorded, and whoever
// looks for the record then waits for it.
func TestRetentionGoesOnBehindTheAnswer(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 3000)
	g.add("p", "1", body)
	g.add("p", "2", body)
	g.add("other", "1", body)
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	h.repo("b", "up")
	release := h.sealing.hold()
	defer release()
	h.wantGet("a", "p", "1", body)

	for name, look := range map[string]func(context.Context) error{
		"everything": h.r.Settle,
		"the package's versions": func(ctx context.Context) error {
			_, _, err := h.r.View(ctx, h.pkg("a", "p"), false)
			return err
		},
		"the version in another repository": func(ctx context.Context) error {
			_, err := h.getAs(ctx, "b", pkgName("p"), "1")
			return err
		},
		"what lies behind a publish": func(ctx context.Context) error {
			_, _, err := h.r.Upstream(ctx, h.pkg("a", "p"), "1")
			return err
		},
	} {
		if err := look(blocked(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("looking for %s does not wait for the record: %v", name, err)
		}
	}
	h.wantGet("a", "other", "1", body) // neither another package
	h.wantGet("a", "p", "2", body)     // nor another version waits
	release()
	h.wantHeld("p", "1", "up", "a")
	h.wantHeld("p", "2", "up", "a")
	h.wantHeld("other", "1", "up", "a")
	h.wantGet("b", "p", "1", body)
	if n := g.requests(filePath("p", "1")); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}

// Performance row 15: when too many retentions are under way, a client waits for its own.
func TestRetentionsBehindAreBounded(t *testing.T) {
	if catalogtest.OnPostgres() {
		t.Skip("sealing is held inside transactions, each of which has a connection of its own")
	}
	const most = 64
	g := newRegistry(t)
	body := bytesOf(1, 100)
	for i := range most + 1 {
		g.add("p", fmt.Sprint(i), body)
	}
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	release := h.sealing.hold()
	defer release()
	for i := range most {
		h.wantGet("a", "p", fmt.Sprint(i), body)
	}
	if got, err := h.getAs(blocked(t), "a", pkgName("p"), fmt.Sprint(most)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one too many: %d bytes, %v", len(got), err)
	}
	release()
	h.settle() // Close waits for all of them
	for i := range most + 1 {
		h.wantHeld("p", fmt.Sprint(i), "a")
	}
}

// R29: an index is kept although nobody waited for its row.
func TestIndexRowsAreWrittenBehindTheAnswer(t *testing.T) {
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	const packages = 30
	for i := range packages {
		g.add(fmt.Sprint("p", i), "1", bytesOf(1, 100))
	}
	for i := range packages {
		h.shown("a", fmt.Sprint("p", i))
	}
	h.settle()
	g.fail(http.StatusInternalServerError)
	for i := range packages {
		if got := h.shown("a", fmt.Sprint("p", i)); len(got) != 1 {
			t.Errorf("p%d shows %v after a restart", i, got)
		}
	}
	if n := g.total(); n != packages {
		t.Errorf("%d requests, want %d", n, packages)
	}
	// One whose domain is gone takes no other along.
	h.db.Refuse(errors.New("nothing is written"))
	h.pass(time.Hour)
	g.set(nil)
	h.shown("a", "p1")
	h.settle()
	h.db.Refuse(nil)
	h.shown("a", "p1")
	h.settle()
	g.fail(http.StatusInternalServerError)
	if got := h.shown("a", "p1"); len(got) != 1 {
		t.Errorf("p1 shows %v after its row could not be written once", got)
	}
}

// Performance row 15: what the document and the archive of a package cost that nobody has
// asked for before, by counts. A repository behind another needs a record of its own.
func TestCostOfAPull(t *testing.T) {
	g := newRegistry(t)
	var mu sync.Mutex
	connections := map[string]bool{}
	g.set(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		connections[r.RemoteAddr] = true
		return false
	})
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	const packages = 10
	pull := func(i int) {
		t.Helper()
		name, body := fmt.Sprint("p", i), bytesOf(byte(i), 3000)
		g.add(name, "1", body)
		h.shown("a", name)
		h.wantGet("a", name, "1", body)
		h.recorded()
	}
	pull(0)
	h.settle()
	h.shown("a", "p0")
	before, asked := h.db.Statements(), g.total()
	for i := range packages {
		pull(1 + i)
	}
	h.settle()
	if per := float64(h.db.Statements()-before) / packages; per > 36 {
		t.Errorf("%.1f SQL statements for a document and an archive, want 36 at most", per)
	}
	if n := g.total() - asked; n != 2*packages {
		t.Errorf("%d requests for %d documents and archives", n, packages)
	}
	if len(connections) != 1 {
		t.Errorf("%d connections to the registry, one after the other needs 1", len(connections))
	}
	h.view(func(ctx context.Context, tx *catalog.Tx) error {
		receivers, err := tx.Receivers(ctx, []int64{h.repos["a"], h.repos["up"]}, pkgName("p1"), "1")
		if len(receivers) != 2 || !receivers[0].Has || !receivers[1].Has {
			t.Errorf("receivers of what was pulled: %+v", receivers)
		}
		return err
	})
}
