package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	acceptJSON = "Accept: application/json"
	acceptGzip = "Accept-Encoding: gzip"
)

// numbered is a version of the package "box" with a small archive.
func numbered(i int) version {
	return version{name: "box", number: fmt.Sprintf("1.%d.0", i), size: 1000}
}

// smallPackument is row 1, and row 3 for a small document: 20 versions.
func smallPackument(b *bench) error {
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, limit, static, peer)
	if err != nil {
		return err
	}
	defer ts.stop()
	for _, t := range ts.registries() {
		for i := range 20 {
			if err := t.put(numbered(i)); err != nil {
				return err
			}
		}
	}
	doc, err := ts.mirror("box", "box", acceptJSON)
	if err != nil {
		return err
	}
	if b.wants("1") {
		before := statements(ts.of(ours))
		s, err := b.compare(ts, func(t *target, _ int) (load, error) {
			return b.reading(16, http.StatusOK, t.get("box", acceptJSON)), nil
		})
		if err != nil {
			return err
		}
		b.table.note("Row 1: %.0f SQL statements in %d requests; they are background polls, which count time and not requests.",
			statements(ts.of(ours))-before, s[ours].requests)
		best, name := faster(s, quotedPackument)
		b.table.add(line{row: "1", what: fmt.Sprintf("packument of 20 versions, %s bytes, 16 clients", grouped(int64(len(doc)))),
			cells: cells(s, sample.cell), toPeer: ratio(s[ours].rate.median, best) + " req/s of " + name, toLimit: cpuRatio(s),
			target:  "30x req/s of the peer; CPU within 1.5x of the limit",
			reached: judge(s[ours].rate.median >= 30*best, s[ours].cpu.median <= 1.5*s[limit].cpu.median)})
	}
	if b.wants("3") {
		return b.conditional(ts, "20 versions", 50)
	}
	return nil
}

// largePackument is row 2, row 3 for a large document and the loaded half of row 23:
// 2,000 versions.
func largePackument(b *bench) error {
	const versions = 2000
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, limit, static, peer)
	if err != nil {
		return err
	}
	defer func() { ts.stop() }()
	for i := range versions {
		if err := ts.of(ours).put(numbered(i)); err != nil {
			return err
		}
	}
	if v := ts.of(peer); v != nil {
		if err := b.expand(v, versions); err != nil {
			return err
		}
	}
	doc, err := ts.mirror("box", "box", acceptJSON)
	if err != nil {
		return err
	}
	zipped, err := ts.mirror("box", "box.gz", acceptJSON, acceptGzip)
	if err != nil {
		return err
	}
	var plain, compressed map[string]sample
	if b.wants("2") || b.wants("23") {
		plain, err = b.compare(ts, func(t *target, _ int) (load, error) {
			return b.reading(8, http.StatusOK, t.get("box", acceptJSON)), nil
		})
		if err != nil {
			return err
		}
		compressed, err = b.compare(ts, func(t *target, _ int) (load, error) {
			if t.flat() {
				return b.reading(8, http.StatusOK, t.get("box.gz")), nil
			}
			return b.reading(8, http.StatusOK, t.get("box", acceptJSON, acceptGzip)), nil
		})
		if err != nil {
			return err
		}
	}
	if b.wants("2") {
		best, name := faster(plain, quotedLarge)
		b.table.add(line{row: "2", what: fmt.Sprintf("packument of 2,000 versions, %s bytes, 8 clients, plain", grouped(int64(len(doc)))),
			cells: cells(plain, sample.cell), toPeer: ratio(plain[ours].rate.median, best) + " req/s of " + name, toLimit: cpuRatio(plain),
			target: "300x req/s of the peer", reached: judge(plain[ours].rate.median >= 300*best)})
		p := compressed[peer]
		b.table.add(line{row: "2", what: fmt.Sprintf("the same, gzip, %s bytes", grouped(int64(len(zipped)))),
			cells: cells(compressed, sample.cell), toPeer: ratio(compressed[ours].rate.median, p.rate.median) + " req/s", toLimit: cpuRatio(compressed),
			target: "at most 0.15 ms CPU", reached: judge(compressed[ours].cpu.median <= 0.15)})
	}
	if b.wants("23") {
		b.table.add(line{row: "23", what: "resident after the load of row 2",
			cells:   cells(compressed, func(s sample) string { return number(mebibytes(s.rss)) + " MiB" }),
			toPeer:  ratio(float64(compressed[ours].rss), float64(compressed[peer].rss)),
			toLimit: ratio(float64(compressed[ours].rss), float64(compressed[limit].rss)),
			target:  "at most 100 MiB", reached: judge(mebibytes(compressed[ours].rss) <= 100)})
	}
	if b.wants("3") {
		return b.conditional(ts, "2,000 versions", 5000)
	}
	return nil
}

// conditional is row 3 on servers that hold the package "box".
func (b *bench) conditional(ts targets, what string, times float64) error {
	tags := map[string]string{}
	for _, t := range ts {
		_, h, err := t.read("box", acceptJSON)
		if err != nil {
			return err
		}
		// http.ServeFile sets no tag of its own; its condition is the time.
		tags[t.name] = "If-None-Match: " + h.Get("ETag")
		if h.Get("ETag") == "" {
			tags[t.name] = "If-Modified-Since: " + h.Get("Last-Modified")
		}
	}
	s, err := b.compare(ts, func(t *target, _ int) (load, error) {
		return b.reading(8, http.StatusNotModified, t.get("box", acceptJSON, tags[t.name])), nil
	})
	if err != nil {
		return err
	}
	l := line{row: "3", what: "conditional GET, " + what + ", 8 clients", cells: cells(s, sample.cell), toLimit: cpuRatio(s),
		target: grouped(int64(times)) + "x less CPU than the peer", reached: unjudged}
	if p, ok := s[peer]; ok {
		l.toPeer = ratio(p.cpu.median, s[ours].cpu.median) + " less CPU"
		l.reached = judge(p.cpu.median >= times*s[ours].cpu.median)
	}
	b.table.add(l)
	return nil
}

// cpuRatio compares Packhouse's CPU per request with the limit's.
func cpuRatio(s map[string]sample) string {
	return ratio(s[ours].cpu.median, s[limit].cpu.median) + " CPU"
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// expand gives Verdaccio a package "box" of many versions: one is published, the stored
// document grown while the server is stopped. Publishing them one by one would take it
// an hour.
func (b *bench) expand(t *target, versions int) error {
	if err := t.put(numbered(0)); err != nil {
		return err
	}
	t.stop()
	file := filepath.Join(t.store, "storage", "box", "package.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var doc struct {
		Name     string                    `json:"name"`
		Versions map[string]map[string]any `json:"versions"`
		Time     map[string]string         `json:"time"`
		Rest     map[string]any            `json:"-"`
	}
	if err := json.Unmarshal(text, &doc.Rest); err != nil {
		return err
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	first := numbered(0)
	for i := 1; i < versions; i++ {
		v := numbered(i)
		// The archive's hashes are the first one's: nobody downloads these.
		m := map[string]any{}
		for k, x := range doc.Versions[first.number] {
			m[k] = x
		}
		m["version"], m["_id"] = v.number, v.name+"@"+v.number
		dist := map[string]any{}
		for k, x := range m["dist"].(map[string]any) {
			dist[k] = x
		}
		dist["tarball"] = "http://" + t.addr + "/" + v.path()
		m["dist"] = dist
		doc.Versions[v.number] = m
		doc.Time[v.number] = doc.Time[first.number]
	}
	doc.Rest["versions"], doc.Rest["time"] = doc.Versions, doc.Time
	if text, err = json.Marshal(doc.Rest); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	again, err := b.openVerdaccio(t.store)
	if err != nil {
		return err
	}
	t.process = again.process
	return nil
}

// smallFile is row 4.
func smallFile(b *bench) error {
	s, size, err := b.files(version{name: "small", number: "1.0.0", size: 6_900}, 16)
	if err != nil {
		return err
	}
	best, name := faster(s, quotedTarball)
	b.table.add(line{row: "4", what: fmt.Sprintf("archive of %s bytes, 16 clients", grouped(size)), cells: cells(s, sample.cell),
		toPeer: ratio(s[ours].rate.median, best) + " req/s of " + name, toLimit: cpuRatio(s),
		target:  "12x req/s of the peer; CPU within 1.5x of the limit",
		reached: judge(s[ours].rate.median >= 12*best, s[ours].cpu.median <= 1.5*s[limit].cpu.median)})
	return nil
}

// largeFiles is row 5, sealed; there is no unsealed mode to compare.
func largeFiles(b *bench) error {
	for _, c := range []struct {
		size, clients int
		most          float64 // ms of CPU per MB
		best          quote
	}{{1_000_000, 8, 0.55, quotedMegabyte}, {50_000_000, 4, 0.50, quotedFifty}} {
		s, size, err := b.files(version{name: "large", number: "1.0.0", size: c.size}, c.clients)
		if err != nil {
			return err
		}
		best, name := c.best.here(s[limit].perMB.median), c.best.name+" (quoted)"
		if p, ok := s[peer]; ok && p.perMB.median < best {
			best, name = p.perMB.median, peer
		}
		b.table.add(line{row: "5", what: fmt.Sprintf("archive of %s MB, %d clients, sealed", number(float64(size)/1e6), c.clients),
			cells: cells(s, func(s sample) string {
				return fmt.Sprintf("%s per MB, %s, %s MiB", s.perMB.text("ms CPU"), s.rate.text("req/s"), number(mebibytes(s.rss)))
			}),
			toPeer:  ratio(best, s[ours].perMB.median) + " less CPU than " + name,
			toLimit: ratio(s[ours].perMB.median, s[limit].perMB.median) + " CPU",
			target:  fmt.Sprintf("at most %.2f ms CPU per MB; Range", c.most), reached: judge(s[ours].perMB.median <= c.most)})
	}
	return nil
}

// files loads each server with downloads of one archive.
func (b *bench) files(v version, clients int) (map[string]sample, int64, error) {
	up, err := startUpstream()
	if err != nil {
		return nil, 0, err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, limit, static, peer)
	if err != nil {
		return nil, 0, err
	}
	defer ts.stop()
	for _, t := range ts {
		if t.name == static {
			continue // it serves what the bare server keeps
		}
		if err := t.put(v); err != nil {
			return nil, 0, err
		}
	}
	part, _, err := ts.of(ours).read(v.path(), "Range: bytes=100-199")
	if err != nil {
		return nil, 0, err
	}
	if len(part) != 100 {
		return nil, 0, fmt.Errorf("a range of 100 bytes has %d", len(part))
	}
	all, _, err := ts.of(ours).read(v.path())
	if err != nil {
		return nil, 0, err
	}
	s, err := b.compare(ts, func(t *target, _ int) (load, error) {
		return b.reading(clients, http.StatusOK, t.get(v.path())), nil
	})
	return s, int64(len(all)), err
}

// tokenCheck is row 14: the same answer with and without a token. Its route is one that
// asks for none, so that both are the same work but for the check.
func tokenCheck(b *bench) error {
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	t, err := b.startPackhouse(up.url())
	if err != nil {
		return err
	}
	defer t.stop()
	signed, stranger := *t, *t
	stranger.name, stranger.auth = "without a token", nil
	s, err := b.compare(targets{&signed, &stranger}, func(t *target, _ int) (load, error) {
		return b.reading(8, http.StatusOK, t.get("-/ping")), nil
	})
	if err != nil {
		return err
	}
	with, without := s[ours].cpu.median, s[stranger.name].cpu.median
	check := max(0, with-without) * float64(time.Millisecond/time.Microsecond)
	b.table.add(line{row: "14", what: "token check: a request with a token against the same without",
		cells:  map[string]string{ours: fmt.Sprintf("%s us: %s with, %s without", number(check), s[ours].cpu.text("ms CPU"), s[stranger.name].cpu.text("ms CPU"))},
		toPeer: ratio(11_000, check) + " less CPU than Gitea 1.26 (11 ms, quoted unscaled)", toLimit: ratio(with, without) + " of anonymous",
		target: "at most 5 us; within 1.1x of anonymous", reached: judge(check <= 5, with <= 1.1*without)})
	return nil
}
