package resolve_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/resolve"
)

func TestHerd(t *testing.T) { // R28, performance.md row 17
	g := newRegistry(t)
	body := bytesOf(1, 3<<20)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	h.repo("b", "up")
	const clients = 64
	var wg sync.WaitGroup
	for i := range clients {
		repo := []string{"a", "b"}[i%2]
		wg.Go(func() {
			if got, err := h.get(repo, "p", "1"); err != nil || !bytes.Equal(got, body) {
				t.Errorf("client %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
	if n := g.requests(filePath("p", "1")); n != 1 {
		t.Errorf("%d downloads, want exactly 1", n)
	}
	if n := g.requests("/index/p"); n != 1 {
		t.Errorf("%d requests for the index, want exactly 1", n)
	}
	h.wantHeld("p", "1", "up", "a", "b")
}

func TestFirstByteWhileTheRestArrives(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 1<<20)
	g.add("p", "1", body)
	rest := make(chan struct{})
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != filePath("p", "1") {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		<-rest
		_, _ = w.Write(body[len(body)/2:])
		return true
	})
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	ctx, leave := context.WithCancel(t.Context())
	open := func(ctx context.Context) io.Reader {
		t.Helper()
		asset, c, err := h.r.Asset(ctx, packhouse.AssetRef{VersionRef: h.pkg("a", "p").At("1"), Asset: fileName})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if asset.Size != int64(len(body)) || c.Stream == nil || c.At != nil {
			t.Fatalf("asset %+v, content %+v", asset, c)
		}
		return c.Stream
	}
	leader, follower := open(ctx), open(t.Context())
	first := make([]byte, 1)
	if _, err := io.ReadFull(leader, first); err != nil || first[0] != body[0] {
		t.Fatalf("first byte: %v", err)
	}
	h.wantHeld("p", "1")
	leave() // the client that began it goes (R28, R30)
	if _, err := io.Copy(io.Discard, leader); err == nil {
		t.Error("a client that left got a clean end")
	}
	close(rest)
	if got, err := io.ReadAll(follower); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the follower got %d bytes, %v", len(got), err)
	}
	h.wantHeld("p", "1", "a")
}

func TestEverybodyLeaves(t *testing.T) { // R30
	g := newRegistry(t)
	body := bytesOf(1, 1<<20)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	_, c, err := h.r.Asset(t.Context(), packhouse.AssetRef{VersionRef: h.pkg("a", "p").At("1"), Asset: fileName})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	h.settle()
	h.wantHeld("p", "1", "a")
}

func TestDirtyUpstreams(t *testing.T) { // R26, R27: no clean end, nothing kept, healed by itself
	body := bytesOf(1, 256<<10) // whole blocks: the last one must be held back too
	tampered := bytes.Clone(body)
	tampered[len(tampered)-1] ^= 1
	answerWith := func(b []byte, head func(http.Header)) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != filePath("p", "1") {
				return false
			}
			if head != nil {
				head(w.Header())
			}
			_, _ = w.Write(b)
			return true
		}
	}
	length := func(n int) func(http.Header) {
		return func(h http.Header) { h.Set("Content-Length", strconv.Itoa(n)) }
	}
	for _, tt := range []struct {
		name   string
		answer func(w http.ResponseWriter, r *http.Request) bool
	}{
		{"a wrong last byte", answerWith(tampered, nil)},
		{"a wrong last byte, length announced", answerWith(tampered, length(len(tampered)))},
		{"cut, and the length lies with it", answerWith(body[:len(body)-1], length(len(body)-1))},
		{"cut in chunks that end cleanly", answerWith(body[:200<<10], nil)},
		{"a byte more", answerWith(append(bytes.Clone(body), 0), nil)},
		{"fewer than announced", answerWith(body[:100<<10], length(len(body)))},
		{"a web page", answerWith([]byte("<!doctype html><p>sign in"), func(h http.Header) { h.Set("Content-Type", "text/html") })},
		{"nothing", answerWith(nil, nil)},
		{"an error", func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == filePath("p", "1") {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		}},
	} {
		for _, diskLow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/disk low=%v", tt.name, diskLow), func(t *testing.T) {
				g := newRegistry(t)
				g.add("p", "1", body)
				h := newHouse(t, g)
				h.repo("a", "@"+connection)
				h.diskLow.Store(diskLow)
				g.set(tt.answer)
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						got, err := h.get("a", "p", "1")
						if packhouse.KindOf(err) != packhouse.KindUpstream {
							t.Errorf("a client got %d bytes and %v", len(got), err)
						}
						// Of a byte too many, a client may have all but that one.
						if len(got) > len(body) || len(got) == len(body) && tt.name != "a byte more" {
							t.Errorf("a client got all of %d bytes before the error", len(got))
						}
					})
				}
				wg.Wait()
				h.settle()
				h.wantHeld("p", "1")
				if n := h.objects(); n != 0 {
					t.Errorf("%d objects were kept", n)
				}
				g.set(nil)
				h.wantGet("a", "p", "1", body)
				if diskLow { // R21: served, not kept
					h.wantHeld("p", "1")
				} else {
					h.wantHeld("p", "1", "a")
				}
			})
		}
	}
}

func TestNothingToVerifyBy(t *testing.T) { // R26
	body := bytesOf(1, 100<<10)
	for _, tt := range []struct {
		name      string
		declared  documentVersion
		announced bool // a Content-Length
		kept      bool
		reason    string
	}{
		{name: "neither length nor digest", declared: documentVersion{Size: -1}},
		{name: "a length announced", declared: documentVersion{Size: -1}, announced: true, kept: true},
		{name: "a size declared", declared: documentVersion{Size: int64(len(body))}, kept: true},
		{name: "another size declared", declared: documentVersion{Size: 5}, announced: true, reason: resolve.ReasonMismatch},
		{name: "an old hash only", declared: documentVersion{Size: -1, Hashes: packhouse.Hashes{SHA1: "0000000000000000000000000000000000000000"}}, reason: resolve.ReasonMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRegistry(t)
			tt.declared.Version = "1"
			g.addAs("p", tt.declared, body)
			g.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != filePath("p", "1") {
					return false
				}
				if tt.announced {
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				} else {
					w.(http.Flusher).Flush()
				}
				_, _ = w.Write(body)
				return true
			})
			h := newHouse(t, g)
			h.repo("a", "@"+connection)
			got, err := h.get("a", "p", "1")
			if packhouse.ReasonOf(err) != tt.reason || err == nil && !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			h.settle()
			if kept := h.held("a", "p", "1") != nil; kept != tt.kept {
				t.Errorf("kept: %v, want %v", kept, tt.kept)
			}
		})
	}
}

func TestHostileArchiveIsServedNotKept(t *testing.T) {
	g := newRegistry(t)
	body := append([]byte("EVIL"), bytesOf(1, 100<<10)...)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.wantGet("a", "p", "1", body)
	h.settle()
	h.wantHeld("p", "1")
}

func TestPanicOfTheRoomOverAnArchive(t *testing.T) { // the process lives, clients get what the registry declares
	g := newRegistry(t)
	body := append([]byte("BOOM"), bytesOf(1, 100<<10)...)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.wantGet("a", "p", "1", body)
	h.settle()
	h.wantHeld("p", "1")
}

func TestFailedRetentionLeavesNoObject(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 100<<10)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.sealing.fails.Store(true)
	h.wantGet("a", "p", "1", body)
	h.settle()
	h.wantHeld("p", "1")
	if n := h.objects(); n != 0 {
		t.Errorf("%d objects are left of a transaction that failed", n)
	}
	h.sealing.fails.Store(false)
	h.wantGet("a", "p", "1", body)
	h.settle()
	h.wantHeld("p", "1", "a")
}

func TestOneBlobForAllRepositories(t *testing.T) { // the loser's object is removed
	g := newRegistry(t)
	body := bytesOf(1, 100<<10)
	g.add("p", "1", body)
	g.add("q", "1", body)
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.repo("b", "a")
	h.wantGet("a", "p", "1", body)
	h.wantGet("a", "q", "1", body)
	h.wantGet("b", "q", "1", body)
	h.settle()
	if n := h.objects(); n != 1 {
		t.Errorf("%d objects of one content, want 1", n)
	}
	h.wantGet("b", "p", "1", body)
}

func TestWarmAssetNeedsNoSQL(t *testing.T) { // layout.md 9
	h := newHouse(t, nil)
	h.repo("a")
	body := bytesOf(1, 100)
	h.publish("a", "p", "1", packhouse.Published, body)
	before := h.db.Statements()
	h.wantGet("a", "p", "1", body)
	if h.db.Statements() == before {
		t.Error("the count of statements does not count")
	}
	before = h.db.Statements()
	h.wantGet("a", "p", "1", body)
	if n := h.db.Statements() - before; n != 0 {
		t.Errorf("%d statements, want none", n)
	}
	h.publish("a", "p", "2", packhouse.Published, body)
	h.wantGet("a", "p", "1", body)
	if h.db.Statements() == before {
		t.Error("a change of the package was not looked at")
	}
}

func TestUpstreamDownAfterWarm(t *testing.T) {
	g := newRegistry(t)
	body := bytesOf(1, 100)
	g.add("p", "1", body)
	h := newHouse(t, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	h.repo("b", "up")
	h.wantGet("a", "p", "1", body)
	g.Close()
	h.restart()
	h.wantGet("a", "p", "1", body)
	h.wantGet("b", "p", "1", body) // from the repository with the connection
	h.wantHeld("p", "1", "up", "a", "b")
}

func TestCloseRefusesNewPulls(t *testing.T) {
	g := newRegistry(t)
	g.add("p", "1", bytesOf(1, 100))
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	hang := make(chan struct{})
	defer close(hang)
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != filePath("p", "1") {
			return false
		}
		w.Header().Set("Content-Length", "100")
		w.(http.Flusher).Flush()
		<-hang
		return true
	})
	_, c, err := h.r.Asset(t.Context(), packhouse.AssetRef{VersionRef: h.pkg("a", "p").At("1"), Asset: fileName})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no patience: the running pull is given up
	if err := h.r.Close(ctx); err == nil {
		t.Error("a pull that hangs was waited for")
	}
	if _, err := io.ReadAll(c.Stream); err == nil {
		t.Error("an abandoned pull ended cleanly")
	}
	if _, err := h.get("a", "p", "1"); packhouse.KindOf(err) != packhouse.KindUnavailable {
		t.Errorf("after Close: %v", err)
	}
	h.wantHeld("p", "1")
}

func TestArtifactElsewhere(t *testing.T) { // S23
	g, other := newRegistry(t), newRegistry(t)
	body := bytesOf(1, 100)
	g.addAs("p", documentVersion{Version: "1", Size: int64(len(body)), URL: other.URL + "/files/p-1"}, body)
	other.files["/files/p-1"] = body
	h := newHouse(t, g)
	h.repo("a", "@"+connection)
	h.wantReason("a", "p", "1", fetch.ReasonAddressRefused)
	if other.total() != 0 {
		t.Error("a document led us to a private address")
	}
	c := h.o.Connections[connection]
	c.AllowHosts = []string{other.Listener.Addr().String()}
	h.o.Connections[connection] = c
	h.restart()
	h.wantGet("a", "p", "1", body)
}
