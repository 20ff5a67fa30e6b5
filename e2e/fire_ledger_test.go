package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fact is one thing that clients can see of a repository. Its value is a text: "" where
// there is nothing.
type fact struct {
	Kind string // "version": its integrity; "deprecated": the text; "tag": its version; "file": its sum
	Name string // the package
	Item string // the version or the tag
}

func (f fact) String() string { return f.Kind + " " + f.Name + " " + f.Item }

// change gives a fact a value.
type change struct {
	Fact  fact
	Value string
}

// write is one request that changes facts, all of them or none.
type write struct {
	ID      int
	Changes []change
}

// The events of a write. One that was begun and got no answer stays open until somebody
// looks: only then it is known to be applied or dropped.
const (
	begun        = "begun"
	acknowledged = "acknowledged"
	applied      = "applied"
	dropped      = "dropped"
)

// ledger remembers, outside the server and synced before anything is believed, what was
// asked and what was acknowledged (reliability.md R1, A10). Each fact has one writer at
// a time.
type ledger struct {
	t    testing.TB
	path string

	mu    sync.Mutex
	file  *os.File
	next  int
	acked int
	facts map[fact]string
	open  map[int]write
}

// ledgerLine is one line of the file.
type ledgerLine struct {
	write
	Event string
}

// newLedger makes a ledger on a filesystem in memory where there is one, which is
// another than the server's.
func newLedger(t testing.TB) *ledger {
	t.Helper()
	dir := t.TempDir()
	if other, err := os.MkdirTemp("/dev/shm", "packhouse-ledger-"); err == nil { //nolint:usetesting // on another filesystem than the store
		t.Cleanup(func() { _ = os.RemoveAll(other) })
		dir = other
	}
	l := &ledger{t: t, path: filepath.Join(dir, "ledger"), facts: map[fact]string{}, open: map[int]write{}}
	var err error
	if l.file, err = os.Create(l.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.file.Close() })
	return l
}

// put writes a line and syncs it; the caller holds mu.
func (l *ledger) put(w write, event string) {
	line, err := json.Marshal(ledgerLine{w, event})
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.t.Errorf("ledger: %v", err)
	}
}

// begin notes what is about to be asked.
func (l *ledger) begin(changes ...change) write {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	w := write{l.next, changes}
	l.put(w, begun)
	l.open[w.ID] = w
	return w
}

// end notes what became of a write.
func (l *ledger) end(w write, event string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(write{ID: w.ID}, event)
	delete(l.open, w.ID)
	if event == dropped {
		return
	}
	if event == acknowledged {
		l.acked++
	}
	for _, c := range w.Changes {
		l.facts[c.Fact] = c.Value
	}
}

// value is what a fact must be, as far as it is known.
func (l *ledger) value(f fact) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.facts[f]
}

// count returns how many writes were acknowledged.
func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// since returns the facts that writes after a number were about, and that number now.
func (l *ledger) since(id int) (facts []fact, now int) {
	writes, _ := readLedger(l.t, l.path)
	seen := map[fact]bool{}
	for _, w := range writes {
		for _, c := range w.Changes {
			if w.ID > id && !seen[c.Fact] {
				seen[c.Fact] = true
				facts = append(facts, c.Fact)
			}
		}
		now = max(now, w.ID)
	}
	return facts, now
}

// settle decides the open writes by what is seen: each of them whole, or not at all.
func (l *ledger) settle(see func(fact) string) {
	l.mu.Lock()
	open := make([]write, 0, len(l.open))
	for _, w := range l.open {
		open = append(open, w)
	}
	l.mu.Unlock()
	for _, w := range open {
		var news, olds int
		var seen []string
		for _, c := range w.Changes {
			got := see(c.Fact)
			seen = append(seen, fmt.Sprintf("%s is %q, was %q, asked was %q", c.Fact, got, l.value(c.Fact), c.Value))
			if got == c.Value {
				news++
			}
			if got == l.value(c.Fact) {
				olds++
			}
		}
		switch len(w.Changes) {
		case news:
			l.end(w, applied)
		case olds:
			l.end(w, dropped)
		default:
			l.t.Errorf("R8: half of an unacknowledged write is visible:\n%s", strings.Join(seen, "\n"))
		}
	}
}

// check compares facts with what is seen.
func check(t testing.TB, want map[fact]string, facts []fact, see func(fact) string) {
	t.Helper()
	for _, f := range facts {
		if got := see(f); got != want[f] {
			t.Errorf("R1: %s is %q after the restart, acknowledged was %q", f, got, want[f])
		}
	}
}

// readLedger reads a ledger from its file: all writes, and the facts that those make
// which were acknowledged, or seen to be applied.
func readLedger(t testing.TB, path string) ([]write, map[fact]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var writes []write
	open := map[int]write{}
	facts := map[fact]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e := decode[ledgerLine](t, lines.Bytes())
		switch e.Event {
		case begun:
			open[e.ID] = e.write
			writes = append(writes, e.write)
		case acknowledged, applied:
			for _, c := range open[e.ID].Changes {
				facts[c.Fact] = c.Value
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return writes, facts
}
