package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
)

// content returns bytes that no other call returns.
func content(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

// R16: a pass marks what is damaged and gone, names the versions, and leaves the rest; the
// next one releases what reads well again.
func TestScrubMarksAndReleases(t *testing.T) {
	h := newHouse(t)
	good := h.publish(h.repo, "good", content(100_000))
	bad := h.publish(h.repo, "bad", content(200_000))
	gone := h.publish(h.repo, "gone", content(10))
	mend := h.flip(bad)
	if err := h.blobs.Delete(t.Context(), blob.Key(gone.Object)); err != nil {
		t.Fatal(err)
	}
	h.told()
	s := h.newScrub()
	if err := h.scrub(s); err != nil {
		t.Fatal(err)
	}
	if q := h.quarantined(); len(q) != 2 || !q[bad.Digest] || !q[gone.Digest] || q[good.Digest] {
		t.Errorf("quarantined %v", q)
	}
	if got, want := h.told(), []string{"asset.damaged main/store npm/acme/bad@1.0.0", "asset.damaged main/store npm/acme/gone@1.0.0"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
	if log := h.log.String(); !strings.Contains(log, "bad.tgz of npm/acme/bad@1.0.0 in main/store") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log does not name the version:\n%s", log)
	}
	mend()
	if err := h.scrub(s); err != nil {
		t.Fatal(err)
	}
	if q := h.quarantined(); len(q) != 1 || !q[gone.Digest] {
		t.Errorf("after mending one, quarantined %v", q)
	}
	if got, want := h.told(), []string{"asset.restored main/store npm/acme/bad@1.0.0"}; !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// R15, R16: whichever bit of a stored object is flipped, no read of it completes, and the
// scrub finds it.
func TestScrubFindsEveryFlippedBit(t *testing.T) {
	h := newHouse(t)
	var rows []catalog.BlobRow
	for i, size := range []int{1, 5000, 64 << 10, 150_000} {
		rows = append(rows, h.publish(h.repo, fmt.Sprint("p", i), content(size)))
	}
	for i := range 200 {
		b := rows[i%len(rows)]
		mend := h.flip(b)
		if c, err := h.Vault.Open(t.Context(), h.domain.Key, b.BlobRef); err == nil {
			if n, err := io.Copy(io.Discard, io.NewSectionReader(c, 0, b.Size)); err == nil && n == b.Size {
				t.Fatalf("flip %d: a read of %d bytes completed", i, b.Size)
			}
			_ = c.Close()
		}
		found := catalog.StoredBlob{BlobRow: b, Key: h.domain.Key}
		if p, cause, err := h.examine(t.Context(), found, nil); err != nil || p != Damaged {
			t.Fatalf("flip %d: found %q (%v), %v", i, p, cause, err)
		}
		mend()
		if p, cause, err := h.examine(t.Context(), found, nil); err != nil || p != "" {
			t.Fatalf("mended %d: found %q (%v), %v", i, p, cause, err)
		}
	}
}

// R16: what was done before a process died is not done again, by whoever goes on.
func TestScrubGoesOnWhereAKilledOneWas(t *testing.T) {
	h := newHouse(t)
	var rows []catalog.BlobRow
	for i := range 8 {
		rows = append(rows, h.publish(h.repo, fmt.Sprint("p", i), content(100)))
	}
	s := h.newScrub()
	s.saved = 1
	ctx, kill := context.WithCancel(t.Context())
	h.opened.forget(func(n int) {
		if n == 5 {
			kill() // in the middle of the fifth: nothing is written any more
		}
	})
	l := &Lease{catalog: h.Catalog}
	h.update(func(ctx context.Context, tx *catalog.Tx) (err error) {
		l.row, err = tx.TakeLease(ctx, scrubName, "the dead", time.Now().Add(50*time.Millisecond))
		return err
	})
	if err := s.run(ctx, l); !errors.Is(err, context.Canceled) {
		t.Fatalf("the killed one ended with %v", err)
	}
	h.opened.forget(nil)
	again := h.newScrub()
	again.Cycle = time.Hour
	work, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := NewRunner(h.Catalog, h.Log)
		for work.Err() == nil && h.opened.count() == 0 { // until the dead one's lease is over
			_ = r.turn(work, again.Work())
		}
	}()
	eventually(t, "the pass to end", func() bool {
		p, err := again.pass(t.Context())
		return err == nil && !p.Ended.IsZero()
	})
	stop()
	<-done
	var want []string
	for _, b := range rows[4:] {
		want = append(want, b.Object)
	}
	if !slices.Equal(h.opened.keys, want) {
		t.Errorf("who went on opened %d objects, %v; want the last four", len(h.opened.keys), h.opened.keys)
	}
	if due, err := again.due(t.Context()); err != nil || time.Until(due) < 30*time.Minute {
		t.Errorf("the next pass is due at %v, %v; want an hour after this one", due, err)
	}
}

// R24: while writes are switched off the scrub stops where it would write, and goes on
// afterwards.
func TestScrubPausesWhileNothingMayBeWritten(t *testing.T) {
	h := newHouse(t)
	bad := h.publish(h.repo, "bad", content(100))
	h.flip(bad)
	s := h.newScrub()
	h.opened.forget(func(int) {
		h.Catalog.Refuse(&packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "read_only", Message: "no writes"})
	})
	if err := h.scrub(s); packhouse.ReasonOf(err) != "read_only" {
		t.Errorf("the scrub ended with %v", err)
	}
	h.opened.forget(nil)
	if wait := h.runner.turn(t.Context(), s.Work()); wait != retryWait || h.opened.count() != 0 {
		t.Errorf("the next turn is after %v, and %d objects were opened", wait, h.opened.count())
	}
	if strings.Contains(h.log.String(), "background work failed") {
		t.Errorf("the log complains of what the operator wanted:\n%s", h.log)
	}
	h.Catalog.Refuse(nil)
	if err := h.scrub(s); err != nil || !h.quarantined()[bad.Digest] {
		t.Errorf("afterwards %v, quarantined %v", err, h.quarantined())
	}
}

// R16: a disk that does not answer is no proof of damage: nothing is marked, and the pass is
// left where it is.
func TestScrubLeavesADiskThatFails(t *testing.T) {
	h := newHouse(t)
	for i := range scrubFailures + 5 {
		h.publish(h.repo, fmt.Sprint("p", i), content(10))
	}
	s := h.newScrub()
	s.Vault = failingVault(t, h)
	if err := h.scrub(s); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("the scrub ended with %v", err)
	}
	if q := h.quarantined(); len(q) != 0 {
		t.Errorf("quarantined %v", q)
	}
	if p, err := s.pass(t.Context()); err != nil || !p.Ended.IsZero() {
		t.Errorf("the pass is %+v, %v", p, err)
	}
}

// R16: at most so many bytes per second.
func TestScrubKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for i := range 4 {
			h.publish(h.repo, fmt.Sprint("p", i), content(1<<20))
		}
		s := h.newScrub()
		s.Rate = 1 << 20
		begun := time.Now() // of the bubble's own clock
		if err := h.scrub(s); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 3*time.Second || took > 5*time.Second {
			t.Errorf("4 MiB at 1 MiB per second took %v", took)
		}
	})
}
