package resolve_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/resolve"
)

// block blocks versions or bytes in the domain; release takes that back.
func (h *house) block(b catalog.BlockRow) {
	h.t.Helper()
	b.Created = h.now()
	h.changeBlocks(func(ctx context.Context, tx *catalog.Tx) error { return tx.InsertBlock(ctx, h.domain.ID, b) })
}

func (h *house) release(target string) {
	h.t.Helper()
	h.changeBlocks(func(ctx context.Context, tx *catalog.Tx) error { return tx.DeleteBlock(ctx, h.domain.ID, target) })
}

func (h *house) changeBlocks(change func(context.Context, *catalog.Tx) error) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		if err := change(ctx, tx); err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeBlocked, DomainID: h.domain.ID, Domain: h.domain.Ref, At: h.now()})
	})
}

func ofVersion(name, version string) catalog.BlockRow {
	target := "simple/" + name
	if version != "" {
		target += "@" + version
	}
	return catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: target, Reason: "it steals tokens"}, Name: pkgName(name), VersionKey: version}
}

func ofBytes(body []byte) catalog.BlockRow {
	d := packhouse.Digest(sha256.Sum256(body))
	return catalog.BlockRow{BlockEntry: packhouse.BlockEntry{Target: "sha256:" + d.Hex()}, Digest: d}
}

// S47: what is blocked reaches nobody from the next request on, whoever holds it, and is
// there again when it is released.
func TestBlockedVersions(t *testing.T) {
	_, h := fresh(t)
	h.publish("a", "p", "4", packhouse.Published, bytesOf(4, 100))
	h.tag("a", "p", "beta", "4")
	h.wantGet("a", "p", "2", bytesOf(2, 100)) // held by a and b now, and known in memory
	h.wantGet("a", "p", "2", bytesOf(2, 100))
	all := "[1 2 3 4] without [] map[beta:4 latest:3 next:3 old:1]"
	h.wantVersions("a", "p", all)
	for _, tt := range []struct {
		name    string
		block   catalog.BlockRow
		shown   string
		refused []string
	}{
		{"a version that two repositories hold", ofVersion("p", "2"), "[1 3 4] without [2] map[beta:4 latest:3 next:3 old:1]", []string{"2"}},
		{"a version of the public registry", ofVersion("p", "3"), "[1 2 4] without [3] map[beta:4 latest:2 next:3 old:1]", []string{"3"}},
		{"one of our own", ofVersion("p", "4"), "[1 2 3] without [4] map[beta:4 latest:3 next:3 old:1]", []string{"4"}},
		{"all versions", ofVersion("p", ""), "blocked", []string{"1", "2", "3", "4", "9"}},
		{"bytes that are held", ofBytes(bytesOf(2, 100)), "[1 3 4] without [2] map[beta:4 latest:3 next:3 old:1]", []string{"2"}},
		{"bytes that nobody has seen yet", ofBytes(bytesOf(3, 100)), all, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.block(tt.block)
			h.wantVersions("a", "p", tt.shown)
			for _, v := range tt.refused {
				h.wantReason("a", "p", v, "blocked")
				h.restart()
				h.wantReason("b", "p", v, "blocked")
			}
			h.release(tt.block.Target)
			h.wantVersions("a", "p", all)
			h.wantGet("a", "p", "2", bytesOf(2, 100))
		})
	}
}

// A refusal names the version and the reason that was given.
func TestBlockedTellsWhy(t *testing.T) {
	_, h := fresh(t)
	h.block(ofVersion("p", "2"))
	_, err := h.get("a", "p", "2")
	if want := "simple/p@2 is blocked: it steals tokens"; packhouse.KindOf(err) != packhouse.KindDenied || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	// It may be both, and neither opens it without the other.
	h.cool("b", resolve.CooldownAgeTag, "72h")
	h.block(ofVersion("p", "3"))
	h.wantReason("a", "p", "3", "blocked")
	h.release("simple/p@3")
	h.wantReason("a", "p", "3", "cooldown")
}

// Bytes that come from a public registry and are blocked end no transfer well and are not
// kept, also when there is no room to keep anything.
func TestBlockedBytesAreNotPulled(t *testing.T) {
	for _, diskLow := range []bool{false, true} {
		g := newRegistry(t)
		h := newHouse(t, g)
		body := bytesOf(7, 1<<20)
		g.add("q", "1", body)
		h.repo("a", "@"+connection)
		h.diskLow.Store(diskLow)
		h.block(ofBytes(body))
		got, err := h.get("a", "q", "1")
		if err == nil || len(got) == len(body) {
			t.Errorf("disk low %v: got %d bytes of %d, %v", diskLow, len(got), len(body), err)
		}
		if err != nil && !strings.Contains(err.Error(), "blocked") {
			t.Errorf("disk low %v: %v", diskLow, err)
		}
		h.settle()
		h.wantHeld("q", "1")
		if n := h.objects(); n != 0 {
			t.Errorf("disk low %v: %d objects are kept", diskLow, n)
		}
	}
}
