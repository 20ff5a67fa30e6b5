package fileblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
)

// The scenario's keys: two of one directory, one whose parent directory is shared, and
// one of its own; the second is deleted again.
var scenarioKeys = []blob.Key{"aabb01", "aabb02", "aacc03", "ddee04"}

const deletedKey = blob.Key("aabb02")

// contentOf is what an object must hold: content tells whose it is.
func contentOf(key blob.Key) []byte {
	return bytes.Repeat([]byte(key+" "), 300) // more than two sectors
}

// ledger is what the store has acknowledged.
type ledger struct {
	opened    bool
	committed []blob.Key
	deleting  bool // asked for while there was power, whatever the answer
	deleted   bool // acknowledged
}

// scenario works through a store's life on a disk until it is done; calls that fail
// do not stop it.
func scenario(ctx context.Context, m *model) ledger {
	var l ledger
	s, err := open(m)
	if err != nil {
		return l
	}
	l.opened = true
	for _, key := range scenarioKeys {
		if commitTo(ctx, s, key) == nil {
			l.committed = append(l.committed, key)
		}
	}
	if o, err := s.Open(ctx, deletedKey); err == nil {
		_ = o.Close()
	}
	err = s.Delete(ctx, deletedKey)
	l.deleting = !errors.Is(err, errPowerCut)
	l.deleted = err == nil
	_ = s.List(ctx, "", func(blob.Info) error { return nil })
	_, _ = s.SweepStaging(ctx)
	return l
}

func commitTo(ctx context.Context, s *Store, key blob.Key) error {
	st, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = st.Discard() }()
	for part := range slices.Chunk(contentOf(key), 1000) {
		if _, err := st.Write(part); err != nil {
			return err
		}
	}
	_, _ = st.ReadAt(make([]byte, 10), 0) // a follower's failure is its own
	return st.Commit(ctx, key)
}

// violations opens the store as the next process would and says what is wrong: R1, R2
// and R11.
func violations(ctx context.Context, m *model, l ledger) []string {
	var wrong []string
	s, err := open(m)
	if err != nil {
		return []string{"cannot open: " + err.Error()}
	}
	if _, err := s.SweepStaging(ctx); err != nil {
		wrong = append(wrong, "cannot sweep: "+err.Error())
	}
	if runs, err := m.ReadDir(stagingDir); err != nil || len(runs) != 1 {
		wrong = append(wrong, fmt.Sprintf("staging holds %d runs after the sweep, error %v", len(runs), err))
	}
	seen := map[blob.Key]bool{}
	if err := s.List(ctx, "", func(i blob.Info) error { seen[i.Key] = true; return nil }); err != nil {
		wrong = append(wrong, "cannot list: "+err.Error())
	}
	for key := range seen {
		o, err := s.Open(ctx, key)
		if err != nil {
			wrong = append(wrong, "cannot open what is listed: "+err.Error())
			continue
		}
		got := make([]byte, o.Size())
		_, _ = o.ReadAt(got, 0)
		_ = o.Close()
		if !bytes.Equal(got, contentOf(key)) {
			wrong = append(wrong, fmt.Sprintf("%s is visible with %d wrong bytes", key, len(got)))
		}
	}
	for _, key := range l.committed {
		if !seen[key] && (key != deletedKey || !l.deleting) {
			wrong = append(wrong, "acknowledged and lost: "+string(key))
		}
	}
	for _, key := range scenarioKeys {
		if !seen[key] || key == deletedKey {
			if err := commitTo(ctx, s, key); err != nil && (!seen[key] || !errors.Is(err, blob.ErrExists)) {
				wrong = append(wrong, fmt.Sprintf("R7: a leftover blocks %s: %v", key, err))
			}
		}
	}
	return wrong
}

var errPowerCut = errors.New("power is cut")

// crash runs the scenario and cuts the power before call number at; past says that the
// scenario was over by then.
func crash(t *testing.T, at int, skip func(int) bool) (m *model, l ledger, past bool) {
	m = newModel(t)
	m.skip = skip
	cut := false
	m.inject = func(call int, _ string) error {
		if call >= at {
			cut = true
			return errPowerCut
		}
		return nil
	}
	l = scenario(t.Context(), m)
	return m, l, !cut
}

// R1, R2: power is cut before every single call, and of what was not synced anything
// may survive.
func TestPowerCutAtEveryCall(t *testing.T) {
	for at := 1; ; at++ {
		m, l, past := crash(t, at, nil)
		for _, f := range fates(20) {
			for _, wrong := range violations(t.Context(), m.cutPower(f), l) {
				t.Errorf("cut before call %d (%s), %s: %s", at, m.log[min(at, len(m.log))-1], f.name, wrong)
			}
		}
		if past {
			if len(l.committed) != len(scenarioKeys) || !l.deleted {
				t.Errorf("without a power cut the scenario did %+v", l)
			}
			return
		}
	}
}

// R2: a process is killed before every single call, and the machine loses its power in
// the next one's life: what the next one acknowledged must not hang on directories that
// the first made and did not sync.
func TestPowerCutAfterAKill(t *testing.T) {
	killed := errors.New("process is killed")
	for at := 1; ; at++ {
		m := newModel(t)
		past := true
		m.inject = func(call int, _ string) error {
			if call >= at {
				past = false
				return killed
			}
			return nil
		}
		scenario(t.Context(), m)
		m.endProcess()
		l := scenario(t.Context(), m)
		for _, f := range fates(5) {
			for _, wrong := range violations(t.Context(), m.cutPower(f), l) {
				t.Errorf("killed before call %d, then %s: %s", at, f.name, wrong)
			}
		}
		if past {
			return
		}
	}
}

// The mutation check of reliability.md A10: without any one of the syncs, a power cut
// at the wrong time loses something that was acknowledged.
func TestEverySyncIsNeeded(t *testing.T) {
	whole, _, _ := crash(t, 1<<30, nil)
	if whole.syncs < 2*len(scenarioKeys) {
		t.Fatalf("the scenario syncs %d times only", whole.syncs)
	}
	for number := 1; number <= whole.syncs; number++ {
		found := false
		for at := 1; at <= whole.calls+1 && !found; at++ {
			m, l, _ := crash(t, at, func(sync int) bool { return sync == number })
			for _, f := range fates(0) {
				found = found || len(violations(t.Context(), m.cutPower(f), l)) > 0
			}
		}
		if !found {
			t.Errorf("nothing is lost without sync %d of %d", number, whole.syncs)
		}
	}
}

// A10, the n-th error: each call fails in turn, once or from then on.
func TestEveryCallMayFail(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, syscall.EINTR} {
		for _, forever := range []bool{false, true} {
			for n := 1; ; n++ {
				m := newModel(t)
				reached, what := false, ""
				m.inject = func(call int, name string) error {
					if call == n || forever && call > n {
						if call == n {
							reached, what = true, name
						}
						return cause
					}
					return nil
				}
				l := scenario(t.Context(), m)
				m.endProcess()
				if !reached {
					break
				}
				if m.handles != 0 {
					t.Errorf("%v at call %d (%s), forever %v: %d files are still open", cause, n, what, forever, m.handles)
				}
				where := fmt.Sprintf("%v at call %d (%s), forever %v", cause, n, what, forever)
				if !forever && l.opened {
					// Nothing refused is left, except where the removal of the object
					// itself was what failed.
					for _, key := range scenarioKeys {
						_, err := m.find("objects/" + string(key[:2]) + "/" + string(key))
						if err == nil && !slices.Contains(l.committed, key) {
							t.Errorf("%s: refused and there: %s", where, key)
						}
					}
					if lost := len(scenarioKeys) - len(l.committed); lost > 1 {
						t.Errorf("%s: one failure refused %d commits", where, lost)
					}
				}
				for _, wrong := range violations(t.Context(), m, l) {
					t.Errorf("%s: %s", where, wrong)
				}
			}
		}
	}
}

// The causes that the engine acts on (R21, R4) can be told from the error.
func TestErrorsKeepTheirCause(t *testing.T) {
	for _, tt := range []struct {
		call  string
		cause error
	}{{"write", syscall.ENOSPC}, {"sync", syscall.EIO}, {"close", syscall.EDQUOT}, {"link", syscall.ENOSPC}, {"sync directory", syscall.EIO}} {
		m := newModel(t)
		s, err := open(m)
		if err != nil {
			t.Fatal(err)
		}
		m.inject = func(_ int, what string) error {
			if what == tt.call {
				return tt.cause
			}
			return nil
		}
		if err := commitTo(t.Context(), s, "aabb01"); !errors.Is(err, tt.cause) || !strings.Contains(err.Error(), "object") {
			t.Errorf("%s: %v, want %v", tt.call, err, tt.cause)
		}
	}
}
