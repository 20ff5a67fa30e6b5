package main

import (
	"debug/elf"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"
)

// binarySize is row 24.
func binarySize(b *bench) error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	f, err := elf.Open(b.binary)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	static := true
	for _, p := range f.Progs {
		static = static && p.Type != elf.PT_INTERP
	}
	size := mebibytes(info.Size())
	what := "the binary, static"
	if !static {
		what = "the binary, linked dynamically"
	}
	b.table.add(line{row: "24", what: what, cells: map[string]string{ours: number(size) + " MiB"},
		toPeer: ratio(73, size) + " less than zot (73 MiB, quoted unscaled)", target: "at most 40 MiB, one static file", reached: judge(static, size <= 40)})
	return nil
}

// startAndIdle is row 22 with little data and the idle half of row 23.
func startAndIdle(b *bench) error {
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	const idle = 5 * time.Second
	began := map[string]spread{}
	resident := map[string]float64{}
	for _, name := range []string{ours, limit, peer} {
		ts, err := b.targets(up.url(), name) // the first start makes the store
		if err != nil {
			return err
		}
		if len(ts) == 0 {
			continue
		}
		t := ts[0]
		t.stop()
		open := func() (p *process, err error) {
			var again *target
			switch name {
			case ours:
				again, err = b.openPackhouse(t.store, up.url())
			case limit:
				again, err = b.startBare(up.url())
			case peer:
				again, err = b.openVerdaccio(t.store)
			}
			if err != nil {
				return nil, err
			}
			return again.process, nil
		}
		n := 11
		if name == peer {
			n = b.rounds
		}
		if began[name], err = b.starts(n, open); err != nil {
			return err
		}
		if !b.wants("23") {
			continue
		}
		p, err := open()
		if err != nil {
			return err
		}
		time.Sleep(idle)
		resident[name] = mebibytes(p.rss())
		p.stop()
	}
	b.startLines(began, resident)
	return nil
}

func (b *bench) startLines(began map[string]spread, resident map[string]float64) {
	if b.wants("22") {
		l := line{row: "22", what: "start to the first answer, small store", cells: map[string]string{}, target: "at most 40 ms",
			reached: judge(began[ours].median <= 40), toLimit: ratio(began[ours].median, began[limit].median),
			toPeer: ratio(quotedStart.here(began[limit].median), began[ours].median) + " less than " + quotedStart.name + " (quoted)"}
		for name, s := range began {
			l.cells[name] = s.text("ms")
		}
		b.table.add(l)
	}
	if b.wants("23") {
		l := line{row: "23", what: "resident when idle", cells: map[string]string{}, target: "at most 30 MiB",
			reached: judge(resident[ours] <= 30), toLimit: ratio(resident[ours], resident[limit]),
			toPeer: ratio(resident[ours], quotedIdle.here(resident[limit])) + " of " + quotedIdle.name + " (quoted)"}
		for name, size := range resident {
			l.cells[name] = number(size) + " MiB"
		}
		b.table.add(l)
	}
}

// starts starts a server a few times and returns how long each took, in milliseconds.
func (b *bench) starts(n int, open func() (*process, error)) (spread, error) {
	var times []time.Duration
	for range n {
		p, err := open()
		if err != nil {
			return spread{}, err
		}
		times = append(times, p.took)
		p.stop()
	}
	return spreadOf(millisecondsOf(times)), nil
}

var statementsLine = regexp.MustCompile(`(?m)^packhouse_catalog_statements_total(?:\{[^}]*\})? ([0-9.e+]+)$`)

// statements reads Packhouse's count of SQL statements from its metrics; 0 if it has
// none.
func statements(t *target) float64 {
	resp, err := http.Get("http://" + t.addr + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	m := statementsLine.FindSubmatch(text)
	if m == nil {
		return 0
	}
	f, _ := strconv.ParseFloat(string(m[1]), 64)
	return f
}
