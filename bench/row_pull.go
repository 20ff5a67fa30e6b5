package main

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"sync"
	"time"
)

// coldPull is row 15: a file through a server that does not have it, against the same
// file straight from the upstream.
func coldPull(b *bench) error {
	for _, c := range []struct {
		size, files int // files per round
		most        float64
		best        quote
	}{{6_900, 50, 1, quotedPullSmall}, {1_000_000, 15, 4, quotedPullLarge}} {
		if err := b.coldPull(c.size, c.files, c.most, c.best); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) coldPull(size, files int, most float64, best quote) error {
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, limit, peer)
	if err != nil {
		return err
	}
	defer ts.stop()
	direct, err := dial(up.addr)
	if err != nil {
		return err
	}
	defer func() { _ = direct.Close() }() // it was only used
	conns := map[string]*conn{}
	for _, t := range ts {
		c, err := dial(t.addr)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }() // it was only used
		conns[t.name] = c
	}
	over, cpu := map[string][]float64{}, map[string][]float64{}
	before := statements(ts.of(ours))
	for round := range b.rounds {
		var straight []time.Duration
		through, used := map[string][]time.Duration{}, map[string]time.Duration{}
		for i := range files {
			v := version{name: fmt.Sprintf("cold-%d-%d", round, i), number: "1.0.0", size: size}
			if err := up.add(v); err != nil {
				return err
			}
			took, err := direct.timed(request(http.MethodGet, up.addr, "/"+v.path(), nil), http.StatusOK)
			if err != nil {
				return err
			}
			straight = append(straight, took)
			for _, t := range ts {
				c := conns[t.name]
				if !t.flat() { // clients read the document first
					if _, err := c.timed(t.get(v.name, acceptJSON), http.StatusOK); err != nil {
						return fmt.Errorf("%s: %w", t.name, err)
					}
				}
				before, err := t.cpu()
				if err != nil {
					return err
				}
				q := t.get(v.path())
				if t.flat() {
					q = request(http.MethodGet, t.addr, "/"+v.path(), nil)
				}
				took, err := c.timed(q, http.StatusOK)
				if err != nil {
					return fmt.Errorf("%s: %w", t.name, err)
				}
				after, err := t.cpu()
				if err != nil {
					return err
				}
				through[t.name] = append(through[t.name], took)
				used[t.name] += after - before
			}
		}
		for name, times := range through {
			over[name] = append(over[name], spreadOf(millisecondsOf(times)).median-spreadOf(millisecondsOf(straight)).median)
			cpu[name] = append(cpu[name], milliseconds(used[name])/float64(files))
		}
	}
	b.table.note("Row 15, %s KB: %.1f SQL statements per package pulled, document and archive.", kilobytes(size),
		(statements(ts.of(ours))-before)/float64(files*b.rounds))
	l := line{row: "15", what: fmt.Sprintf("cold pull-through of %s KB over direct", kilobytes(size)), cells: map[string]string{},
		target: fmt.Sprintf("at most +%.0f ms", most), reached: judge(spreadOf(over[ours]).median <= most)}
	for name := range over {
		l.cells[name] = fmt.Sprintf("+%s, %s", spreadOf(over[name]).text("ms"), spreadOf(cpu[name]).text("ms CPU"))
	}
	mine, bare := spreadOf(over[ours]).median, spreadOf(over[limit]).median
	l.toLimit = ratio(mine, bare)
	name, value := best.name+" (quoted)", best.here(bare)
	if p, ok := over[peer]; ok && spreadOf(p).median < value {
		name, value = peer, spreadOf(p).median
	}
	l.toPeer = ratio(value, mine) + " less than " + name
	b.table.add(l)
	return nil
}

// kilobytes is the size of an archive with so much filler, in words.
func kilobytes(filler int) string { return grouped(int64((filler + 3500) / 1000)) }

// warmHit is row 16: what was pulled once, with the upstream 20 ms away.
func warmHit(b *bench) error {
	const distance = 20 * time.Millisecond
	v := version{name: "warm", number: "1.0.0", size: 6_900}
	up, err := startUpstream(v)
	if err != nil {
		return err
	}
	defer up.stop()
	up.delay.Store(int64(distance))
	ts, err := b.targets(up.url(), ours, limit, peer)
	if err != nil {
		return err
	}
	defer ts.stop()
	if _, err := ts.mirror(v.name, v.name, acceptJSON); err != nil {
		return err
	}
	if err := ts.of(limit).hold(v.file(), up.archive(v.path())); err != nil {
		return err
	}
	for _, t := range ts {
		for _, p := range []string{v.name, v.path()} {
			if _, err := once(t.addr, t.get(p), http.StatusOK); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	asked := map[string]int{}
	measure := func(p string) (map[string]sample, error) {
		return b.compare(ts, func(t *target, _ int) (load, error) {
			before := up.total()
			l := b.reading(1, http.StatusOK, t.get(p, acceptJSON))
			make := l.request
			l.request = func(n int) []byte {
				asked[t.name] = max(asked[t.name], up.total()-before)
				return make(n)
			}
			return l, nil
		})
	}
	docs, err := measure(v.name)
	if err != nil {
		return err
	}
	files, err := measure(v.path())
	if err != nil {
		return err
	}
	l := line{row: "16", what: "warm hit, upstream 20 ms away, 1 client, median time", cells: map[string]string{}, reached: unjudged,
		target: "at most 0.6 ms; no request upstream"}
	for name := range docs {
		l.cells[name] = fmt.Sprintf("packument %s, archive %s, %d request(s) upstream", docs[name].p50.text("ms"), files[name].p50.text("ms"), asked[name])
	}
	slowest := max(docs[ours].p50.median, files[ours].p50.median)
	l.toLimit = ratio(slowest, max(docs[limit].p50.median, files[limit].p50.median))
	l.reached = judge(slowest <= 0.6, asked[ours] == 0)
	if p, ok := docs[peer]; ok {
		l.toPeer = ratio(max(p.p50.median, files[peer].p50.median), slowest) + " less"
	}
	b.table.add(l)
	return nil
}

// stampede is what happened when many clients asked for one file.
type stampede struct {
	took, firstByte time.Duration // of the slowest
	whole           int           // clients that got every byte
	peak            int64         // resident at most, in bytes
}

// herd is row 17: 64 clients ask for one file that is not there yet.
func herd(b *bench) error {
	const clients, size = 64, 50_000_000
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, limit, peer)
	if err != nil {
		return err
	}
	defer ts.stop()
	took, first, peaks := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	most, fewest := map[string]int{}, map[string]int{}
	for round := range b.rounds {
		v := version{name: fmt.Sprintf("herd-%d", round), number: "1.0.0", size: size}
		if err := up.add(v); err != nil {
			return err
		}
		for _, t := range ts {
			before := up.count(v.path())
			if t.flat() { // the limit has the file already
				if err := t.hold(v.file(), up.archive(v.path())); err != nil {
					return err
				}
			} else if _, err := once(t.addr, t.get(v.name, acceptJSON), http.StatusOK); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			s, err := stampedeOn(t, v, clients, up.archive(v.path()))
			if err != nil {
				return err
			}
			took[t.name] = append(took[t.name], s.took.Seconds())
			first[t.name] = append(first[t.name], milliseconds(s.firstByte))
			peaks[t.name] = append(peaks[t.name], mebibytes(s.peak))
			most[t.name] = max(most[t.name], up.count(v.path())-before)
			if round == 0 {
				fewest[t.name] = clients
			}
			fewest[t.name] = min(fewest[t.name], s.whole)
		}
	}
	l := line{row: "17", what: "64 clients, one file of 50 MB that is not there", cells: map[string]string{},
		target: "1 request upstream, 64 whole, 2 s, first byte 20 ms, 100 MiB"}
	for name := range took {
		l.cells[name] = fmt.Sprintf("%d request(s) upstream, %d of %d whole, %s, last first byte %s, peak %s", most[name], fewest[name], clients,
			spreadOf(took[name]).text("s"), spreadOf(first[name]).text("ms"), spreadOf(peaks[name]).text("MiB"))
	}
	mine, bare := spreadOf(took[ours]).median, spreadOf(took[limit]).median
	l.toLimit = ratio(mine, bare) + " time"
	name, value := quotedHerd.name+" (quoted)", quotedHerd.here(bare)
	if p, ok := took[peer]; ok && fewest[peer] == clients && spreadOf(p).median < value {
		name, value = peer, spreadOf(p).median
	}
	l.toPeer = ratio(value, mine) + " less than " + name
	l.reached = judge(most[ours] == 1, fewest[ours] == clients, mine <= 2, spreadOf(first[ours]).median <= 20, spreadOf(peaks[ours]).median <= 100)
	b.table.add(l)
	return nil
}

func stampedeOn(t *target, v version, clients int, want []byte) (stampede, error) {
	conns := make([]*conn, clients)
	for i := range conns {
		c, err := dial(t.addr)
		if err != nil {
			return stampede{}, err
		}
		defer func() { _ = c.Close() }() // it was only used
		conns[i] = c
	}
	if err := t.resetPeak(); err != nil {
		return stampede{}, err
	}
	var (
		mu sync.Mutex
		wg sync.WaitGroup
		s  stampede
		q  = t.get(v.path())
		by = checksum(want)
	)
	began := time.Now()
	for _, c := range conns {
		wg.Go(func() {
			sum := crc32.New(castagnoli)
			var first time.Duration
			status, size, err := c.do(q, sum, func() { first = time.Since(began) })
			mu.Lock()
			defer mu.Unlock()
			s.firstByte = max(s.firstByte, first)
			if err == nil && status == http.StatusOK && size == int64(len(want)) && sum.Sum32() == by {
				s.whole++ // a client that got less is counted by its absence
			}
		})
	}
	wg.Wait()
	s.took, s.peak = time.Since(began), t.peak()
	return s, nil
}

// brokenUpstream is row 18: the upstream hangs up in the middle of a file.
func brokenUpstream(b *bench) error {
	const files, size = 10, 5_000_000
	up, err := startUpstream()
	if err != nil {
		return err
	}
	defer up.stop()
	ts, err := b.targets(up.url(), ours, peer)
	if err != nil {
		return err
	}
	defer ts.stop()
	l := line{row: "18", what: "the upstream dies halfway", cells: map[string]string{},
		target: "the client gets the whole by Range; a cut file is never kept", toPeer: "truncated 200 or 502 (quoted)"}
	for _, t := range ts {
		var resumed, byRange, broken, healed int
		for i := range 2 * files {
			v := version{name: fmt.Sprintf("cut-%s-%d", map[bool]string{true: "p", false: "v"}[t.name == ours], i), number: "1.0.0", size: size}
			if err := up.add(v); err != nil {
				return err
			}
			up.setCut(cutOnce)
			if i >= files {
				up.setCut(cutAlways)
			}
			if _, err := once(t.addr, t.get(v.name, acceptJSON), http.StatusOK); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			before := up.resumptions()
			ok, err := wholeFrom(t, v, up.archive(v.path()))
			if err != nil {
				return err
			}
			if i < files {
				resumed += count(ok)
				byRange += up.resumptions() - before
				continue
			}
			broken += count(ok)
			up.setCut(whole)
			if ok, err = wholeFrom(t, v, up.archive(v.path())); err != nil {
				return err
			}
			healed += count(ok)
		}
		l.cells[t.name] = fmt.Sprintf("cut once: %d of %d whole, %d resumed by Range; cut always: %d called whole; afterwards %d of %d whole",
			resumed, files, byRange, broken, healed, files)
		if t.name == ours {
			l.reached = judge(resumed == files, byRange == files, broken == 0, healed == files)
		}
	}
	b.table.add(l)
	return nil
}

// wholeFrom downloads a file and reports whether the client takes the answer for the
// whole file. Bytes that look whole and are others are an error: no server may do that.
func wholeFrom(t *target, v version, want []byte) (bool, error) {
	c, err := dial(t.addr)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close() }() // it was only used
	sum := crc32.New(castagnoli)
	status, size, err := c.do(t.get(v.path()), sum, nil)
	if err != nil || status != http.StatusOK {
		return false, nil //nolint:nilerr // a broken answer is what the row counts
	}
	if size != int64(len(want)) || sum.Sum32() != checksum(want) {
		return false, fmt.Errorf("%s answered %d of %d bytes as if they were all", t.name, size, len(want))
	}
	return true, nil
}

func count(ok bool) int {
	if ok {
		return 1
	}
	return 0
}
