package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/config"
)

// R21: the ballast is there while there is room for it beside twice the mark, goes when
// the disk is low or a write finds it full, and its return alone makes nothing normal.
func TestBallast(t *testing.T) {
	const mib = 1 << 20
	dir := t.TempDir()
	now := time.Unix(1_000_000, 0)
	free := uint64(200 * mib)
	g := newDiskGuard(dir, config.Disk{LowBytes: 16 * mib}, slog.New(slog.DiscardHandler))
	g.space = func(string) (uint64, uint64, error) { return free, 1 << 30, nil }
	g.ballast.now = func() time.Time { return now }
	look := func(full bool) { g.check(t.Context()); g.weigh(t.Context(), full) }
	for _, step := range []struct {
		name      string
		free      uint64
		full      bool
		after     time.Duration
		held, low bool
	}{
		{"too little room beside twice the mark", 90 * mib, false, 0, false, false},
		{"room", 96 * mib, false, 0, true, false},
		{"just above the mark", 17 * mib, false, 0, true, false},
		{"below the mark", 15 * mib, false, 0, false, true},
		{"the ballast's own room is no reason to go on", 79 * mib, false, 0, false, true},
		{"twice the mark and the ballast", 96 * mib, false, 2 * time.Minute, true, false},
		{"a write finds the disk full whatever it says", 200 * mib, true, 0, false, false},
		{"not at once again", 200 * mib, false, 30 * time.Second, false, false},
		{"again", 200 * mib, false, time.Minute, true, false},
	} {
		free, now = step.free, now.Add(step.after)
		look(step.full)
		info, err := os.Stat(filepath.Join(dir, ballastFile))
		if held := err == nil; held != step.held || g.low.Load() != step.low {
			t.Errorf("%s: ballast %v, low %v; want %v, %v", step.name, held, g.low.Load(), step.held, step.low)
		}
		if err == nil && info.Size() != ballastBytes {
			t.Errorf("%s: the ballast has %d bytes", step.name, info.Size())
		}
	}
}

// A ballast that cannot be made leaves nothing behind, and is no reason to end.
func TestBallastThatCannotBeMade(t *testing.T) {
	b := ballast{path: filepath.Join(t.TempDir(), "nowhere", ballastFile), now: time.Now}
	if err := b.take(); err == nil || b.held {
		t.Errorf("took a ballast in a directory that is not there: %v", err)
	}
	if released, err := b.release(); released || err != nil {
		t.Errorf("released %v, %v", released, err)
	}
}

// R24: the switch refuses blobs and the database's writes with its reason, at once where
// it is set at the start, and takes them again.
func TestReadOnlySwitch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := testConfig(t, map[string]string{"data_dir": dir})
	s, stop := start(t, c, nil)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	_ = s
	for _, reason := range []string{"two\nlines", string(make([]byte, maxReason+1))} {
		if err := SetReadOnly(dir, true, reason); err == nil {
			t.Errorf("the reason %.10q was taken", reason)
		}
	}
	if err := SetReadOnly(dir, true, "moving"); err != nil {
		t.Fatal(err)
	}
	var refused error
	r := newReadOnly(dir, func(why error) { refused = why }, slog.New(slog.DiscardHandler))
	g := newDiskGuard(dir, config.Disk{}, slog.New(slog.DiscardHandler))
	g.off = r
	store := g.wrap(memblob.New())
	r.look(t.Context())
	_, err := store.Stage(t.Context())
	for _, err := range []error{err, refused} {
		if packhouse.KindOf(err) != packhouse.KindUnavailable || packhouse.ReasonOf(err) != "read_only" || err.Error() != "The server takes no writes at the moment: moving" {
			t.Errorf("switched off: %v", err)
		}
	}
	if g.degraded() == "" {
		t.Error("health says nothing of it")
	}
	if err := SetReadOnly(dir, false, ""); err != nil {
		t.Fatal(err)
	}
	r.look(t.Context())
	st, err := store.Stage(t.Context())
	if err != nil || refused != nil || g.degraded() != "" {
		t.Fatalf("switched on again: %v, %v, %q", err, refused, g.degraded())
	}
	_ = st.Discard()
}
