package resolve_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// ears makes a registry answer questions and remember them.
type ears struct {
	mu    sync.Mutex
	heard []string
}

func (e *ears) listen(g *registry) {
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.heard = append(e.heard, r.URL.Path+" "+string(body))
		e.mu.Unlock()
		_, _ = io.WriteString(w, `{"answer":"`+string(body)+`"}`)
		return true
	})
}

func (h *house) question(repo string, names ...string) format.Question {
	q := format.Question{Repo: h.ref(repo), Format: simpleID, Path: "ask", Body: func(left []packhouse.PackageName) ([]byte, error) {
		var all []string
		for _, n := range left {
			all = append(all, n.Name)
		}
		return []byte(strings.Join(all, ",")), nil
	}}
	for _, n := range names {
		q.Packages = append(q.Packages, pkgName(n))
	}
	return q
}

// npm.md 4 and 5: only names that came from a registry are spoken of to it. Names leak
// whatever is asked about them.
func TestOnlyNamesOfTheRegistryLeave(t *testing.T) {
	g := newRegistry(t)
	for _, name := range []string{"public", "pulled", "blocked", "ours", "both", "unasked"} {
		g.add(name, "1.0", []byte("content of "+name))
	}
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	h.repo("team", "store")
	allow := packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}
	block := packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}
	for _, name := range []string{"public", "pulled", "blocked", "absent"} {
		_, _, _ = h.r.View(t.Context(), h.pkg("team", name), false) // "absent" is not there
	}
	for _, name := range []string{"pulled", "both"} {
		if _, err := h.get("team", name, "1.0"); err != nil {
			t.Fatal(err)
		}
	}
	h.control("store", "blocked", block)
	h.publishAs("team", pkgName("ours"), "0.1", packhouse.Published, []byte("ours"), block)
	h.publishAs("team", pkgName("both"), "0.1", packhouse.Published, []byte("both"), allow)
	var e ears
	e.listen(g)
	got, err := h.r.Ask(t.Context(), h.question("team", "public", "pulled", "blocked", "ours", "both", "unasked", "absent", "never-heard-of"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/ask public,pulled"}; !slices.Equal(e.heard, want) {
		t.Errorf("the registry heard %q, want %q", e.heard, want)
	}
	if len(got) != 1 || string(got[0].Body) != `{"answer":"public,pulled"}` || len(got[0].Packages) != 2 {
		t.Errorf("answers %+v", got)
	}

	// What is known survives a restart; a question about nothing public leaves nothing.
	h.restart()
	if got, err = h.r.Ask(t.Context(), h.question("team", "ours", "never-heard-of")); err != nil || len(got) != 0 || len(e.heard) != 1 {
		t.Errorf("answers %v, %v, heard %q", got, err, e.heard)
	}
	if got, err = h.r.Ask(t.Context(), h.question("team", "ours", "public")); err != nil || len(got) != 1 || e.heard[1] != "/ask public" {
		t.Errorf("answers %v, %v, heard %q", got, err, e.heard)
	}

	// Hundreds of names are several statements, and one question.
	many := []string{"pulled"}
	for i := range 450 {
		many = append(many, "private-"+strings.Repeat("x", i%7)+string(rune('a'+i%26)))
	}
	many = append(many, "public")
	if got, err = h.r.Ask(t.Context(), h.question("team", many...)); err != nil || len(got) != 1 || e.heard[2] != "/ask pulled,public" {
		t.Errorf("answers %v, %v, heard %q", got, err, e.heard[2:])
	}
}

func TestEachRegistryIsAskedAboutItsOwn(t *testing.T) {
	first, second := newRegistry(t), newRegistry(t)
	first.add("a", "1.0", []byte("a"))
	second.add("a", "1.0", []byte("a"))
	second.add("b", "1.0", []byte("b"))
	h := newHouse(t, first)
	h.o.Connections["acme:second"] = fetch.Connection{Format: simpleID, URL: second.URL + "/"}
	h.restart()
	h.repo("two", "@acme:second")
	h.repo("one", "two", "@"+connection)
	for _, name := range []string{"a", "b"} {
		if _, _, err := h.r.View(t.Context(), h.pkg("one", name), false); err != nil {
			t.Fatal(err)
		}
	}
	var heardFirst, heardSecond ears
	heardFirst.listen(first)
	heardSecond.listen(second)
	if _, err := h.r.Ask(t.Context(), h.question("one", "a", "b")); err != nil {
		t.Fatal(err)
	}
	if len(heardFirst.heard) != 0 || !slices.Equal(heardSecond.heard, []string{"/ask a,b"}) {
		t.Errorf("heard %q and %q: the nearer registry has both", heardFirst.heard, heardSecond.heard)
	}
	// Where the way to the nearer one is closed, the other is its origin.
	h.control("two", "a", packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
	if _, err := h.r.Ask(t.Context(), h.question("one", "a", "b")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(heardFirst.heard, []string{"/ask a"}) || heardSecond.heard[1] != "/ask b" {
		t.Errorf("heard %q and %q", heardFirst.heard, heardSecond.heard)
	}
}

func TestAskFails(t *testing.T) {
	g := newRegistry(t)
	g.add("public", "1.0", []byte("x"))
	h := newHouse(t, g)
	h.repo("alone")
	h.repo("store", "@"+connection)
	if _, err := h.r.Ask(t.Context(), h.question("alone", "public")); packhouse.ReasonOf(err) != "no_registry" {
		t.Errorf("without a registry: %v", err)
	}
	if _, _, err := h.r.View(t.Context(), h.pkg("store", "public"), false); err != nil {
		t.Fatal(err)
	}
	for status, reason := range map[int]string{404: "upstream_not_found", 410: "upstream_not_found", 405: "upstream_not_found", 501: "upstream_not_found", 301: fetch.ReasonBadAnswer, 403: fetch.ReasonRefused, 500: fetch.ReasonFailed} {
		g.fail(status)
		if _, err := h.r.Ask(t.Context(), h.question("store", "public")); packhouse.ReasonOf(err) != reason {
			t.Errorf("%d: %v, want %s", status, err, reason)
		}
	}
	g.set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
		return true
	})
	if _, err := h.r.Ask(t.Context(), h.question("store", "public")); packhouse.ReasonOf(err) != fetch.ReasonBadAnswer {
		t.Errorf("a web page: %v", err)
	}
}

func (h *house) keys(repo string) (string, error) {
	got, err := h.r.Beside(h.t.Context(), format.Document{Repo: h.ref(repo), Format: simpleID, Path: "keys"})
	return bodies(got), err
}

func (h *house) vouchers(repo, name, version string) (string, error) {
	got, err := h.r.Beside(h.t.Context(), format.Document{Repo: h.ref(repo), Format: simpleID, Package: pkgName(name), Version: version,
		Path: "vouchers/" + name, Lasting: true})
	return bodies(got), err
}

func bodies(all []format.Response) string {
	var b strings.Builder
	for _, r := range all {
		b.Write(r.Body)
	}
	return b.String()
}

// Documents beside indexes are kept as indexes are: asked for again when they are old,
// with validators, and standing in for a registry that fails (reliability.md R29).
func TestDocumentsBesideIndexesAreKept(t *testing.T) {
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	h.repo("team", "store")
	conditional := 0
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/keys" {
			return false
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			conditional++
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		_, _ = io.WriteString(w, `{"keys":1}`)
		return true
	})
	want := func(when string, requests, renewed int) {
		t.Helper()
		if got, err := h.keys("team"); err != nil || got != `{"keys":1}` {
			t.Fatalf("%s: %q, %v", when, got, err)
		}
		if n := g.requests("/keys"); n != requests || conditional != renewed {
			t.Errorf("%s: %d requests, %d renewals, want %d and %d", when, n, conditional, requests, renewed)
		}
	}
	want("first", 1, 0)
	statements := h.db.Statements()
	want("while fresh", 1, 0)
	if n := h.db.Statements() - statements; n != 0 {
		t.Errorf("a warm document costs %d statements, want 0", n)
	}
	h.restart()
	want("after a restart", 1, 0)
	h.pass(6 * time.Minute)
	want("when it is old", 2, 1)
	h.pass(6 * time.Minute)
	g.fail(http.StatusInternalServerError)
	if got, err := h.keys("team"); err != nil || got != `{"keys":1}` {
		t.Errorf("while the registry fails: %q, %v", got, err)
	}
	h.pass(8 * 24 * time.Hour)
	if _, err := h.keys("team"); packhouse.KindOf(err) != packhouse.KindUpstream {
		t.Errorf("kept for too long: %v", err)
	}
}

func TestDocumentsBesideIndexesFail(t *testing.T) {
	g := newRegistry(t)
	h := newHouse(t, g)
	h.repo("alone")
	h.repo("store", "@"+connection)
	notFound := func(when string, err error) {
		t.Helper()
		if packhouse.ReasonOf(err) != "document_not_found" {
			t.Errorf("%s: %v, want document_not_found", when, err)
		}
	}
	_, err := h.keys("alone")
	notFound("without a registry", err)
	_, err = h.keys("store")
	notFound("absent", err)
	_, err = h.keys("store")
	notFound("absent again", err)
	if n := g.requests("/keys"); n != 1 {
		t.Errorf("%d requests for what is absent, want 1", n)
	}
	h.pass(2 * time.Minute)
	g.set(func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, "no JSON"); return true })
	if _, err := h.keys("store"); packhouse.ReasonOf(err) != fetch.ReasonBadAnswer {
		t.Errorf("nonsense: %v", err)
	}
	g.set(func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = io.WriteString(w, `"`+strings.Repeat("x", 5<<20)+`"`)
		return true
	})
	if _, err := h.keys("store"); packhouse.ReasonOf(err) != fetch.ReasonBadAnswer {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.r.Beside(ctx, format.Document{Repo: h.ref("store"), Format: simpleID, Path: "other"}); err == nil || errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a caller who left: %v", err)
	}
}

// Of several registries one may fail, unless a part of the documents would mislead.
func TestDocumentsInPart(t *testing.T) {
	good, bad := newRegistry(t), newRegistry(t)
	good.set(func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, `{"k":1}`); return true })
	bad.set(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	h := newHouse(t, good)
	h.o.Connections["public:second"] = fetch.Connection{Format: simpleID, URL: bad.URL + "/"}
	h.restart()
	h.repo("one", "@"+connection)
	h.repo("two", "@public:second")
	h.repo("team", "one", "two")
	if got, err := h.keys("team"); err != nil || got != `{"k":1}` {
		t.Errorf("got %s, %v; want what the good one has", got, err)
	}
	_, err := h.r.Beside(t.Context(), format.Document{Repo: h.ref("team"), Format: simpleID, Path: "keys", Whole: true})
	if packhouse.KindOf(err) != packhouse.KindUpstream {
		t.Errorf("whole: %v, want the failure", err)
	}
}

// What vouches for a version comes from where the version comes from, once.
func TestDocumentsOfVersionsFollowTheirOrigin(t *testing.T) {
	g := newRegistry(t)
	for _, name := range []string{"pulled", "seen", "ours"} {
		g.add(name, "1.0", []byte(name))
	}
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	h.repo("team", "store")
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/vouchers/") {
			return false
		}
		_, _ = io.WriteString(w, `{"of":"`+r.URL.Path+`"}`)
		return true
	})
	if _, err := h.get("team", "pulled", "1.0"); err != nil {
		t.Fatal(err)
	}
	h.publish("team", "ours", "1.0", packhouse.Published, []byte("our own"))
	for _, name := range []string{"pulled", "seen"} {
		if got, err := h.vouchers("team", name, "1.0"); err != nil || got != `{"of":"/vouchers/`+name+`"}` {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := h.vouchers("team", "ours", "1.0"); packhouse.ReasonOf(err) != "document_not_found" || g.requests("/vouchers/ours") != 0 {
		t.Errorf("ours: %v, %d requests: a version of ours is nobody else's to vouch for", err, g.requests("/vouchers/ours"))
	}
	if _, err := h.vouchers("team", "pulled", "9.9"); packhouse.ReasonOf(err) != "document_not_found" {
		t.Errorf("a version that nobody has: %v", err)
	}
	// It lasts: not asked for again, through a restart, months, failures, and a closed way.
	h.restart()
	h.pass(90 * 24 * time.Hour)
	g.fail(http.StatusInternalServerError)
	h.control("team", "pulled", packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Block})
	if got, err := h.vouchers("team", "pulled", "1.0"); err != nil || got == "" || g.requests("/vouchers/pulled") != 1 {
		t.Errorf("later: %q, %v, %d requests", got, err, g.requests("/vouchers/pulled"))
	}
}

// A file beside a version's only asset is never looked for at a registry.
func TestFilesBesideAnAssetAreOurs(t *testing.T) {
	g := newRegistry(t)
	g.add("public", "1.0", []byte("x"))
	h := newHouse(t, g)
	h.repo("store", "@"+connection)
	ref := packhouse.AssetRef{VersionRef: h.pkg("store", "public").At("1.0"), Asset: "beside.json"}
	if _, _, err := h.r.Asset(t.Context(), ref); packhouse.KindOf(err) != packhouse.KindNotFound || g.total() != 0 {
		t.Errorf("%v after %d requests, want NotFound and none", err, g.total())
	}
}
