package resolve_test

import (
	"fmt"
	"testing"

	"github.com/packhouse/packhouse"
)

// BenchmarkWarmAsset is the path of every download of what the repository holds.
func BenchmarkWarmAsset(b *testing.B) {
	h := newHouse(b, nil)
	h.repo("a")
	h.publish("a", "p", "1", packhouse.Published, bytesOf(1, 10<<10))
	ref := packhouse.AssetRef{VersionRef: h.pkg("a", "p").At("1"), Asset: fileName}
	b.ReportAllocs()
	for b.Loop() {
		_, c, err := h.r.Asset(b.Context(), ref)
		if err != nil {
			b.Fatal(err)
		}
		_ = c.Close()
	}
}

// BenchmarkView merges 2,000 versions of a connection, kept in memory, with 20 that the
// repository holds: what a document costs before it is rendered.
func BenchmarkView(b *testing.B) {
	g := newRegistry(b)
	for i := range 2000 {
		g.add("p", fmt.Sprintf("1.%04d", i), bytesOf(1, 10))
	}
	h := newHouse(b, g)
	h.repo("up", "@"+connection)
	h.repo("a", "up")
	for i := range 20 {
		h.publish("a", "p", fmt.Sprintf("1.%04d", 100*i), packhouse.Published, bytesOf(1, 10))
	}
	b.ReportAllocs()
	for b.Loop() {
		if v, _, err := h.r.View(b.Context(), h.pkg("a", "p"), false); err != nil || len(v.Entries) != 2000 {
			b.Fatal(len(v.Entries), err)
		}
	}
}
