package main

import (
	"fmt"
	"net/http"
	"time"
)

// publishSmall is row 11: packages of 10 KB, each a new one.
func publishSmall(b *bench) error {
	for _, c := range []struct {
		clients int
		perS    int     // requests per second of length, about what Packhouse does
		times   float64 // of the peer's rate
	}{{1, 300, 7}, {8, 600, 9}} {
		s, err := b.publishing(c.clients, c.perS)
		if err != nil {
			return err
		}
		l := line{row: "11", what: fmt.Sprintf("publish of 10 KB, %d client(s)", c.clients), cells: cells(s, sample.cell),
			toLimit: ratio(s[ours].rate.median, s[limit].rate.median) + " req/s", target: fmt.Sprintf("%.0fx req/s of the peer, synced", c.times), reached: unjudged}
		if p, ok := s[peer]; ok {
			l.toPeer = ratio(s[ours].rate.median, p.rate.median) + " req/s (the peer does not sync)"
			l.reached = judge(s[ours].rate.median >= c.times*p.rate.median)
		}
		b.table.add(l)
	}
	return nil
}

// publishing measures publishes of new names. Nobody has an upstream: the first publish of
// a name would ask it whether the name is taken.
func (b *bench) publishing(clients, perS int) (map[string]sample, error) {
	ts, err := b.targets("", ours, limit, peer)
	if err != nil {
		return nil, err
	}
	defer func() { ts.stop() }()
	for _, t := range ts { // the first one pays for what is made once
		if err := t.put(version{name: "first", number: "1.0.0", size: 1000}); err != nil {
			return nil, err
		}
	}
	before := statements(ts.of(ours))
	samples, err := b.compare(ts, func(t *target, round int) (load, error) {
		n := max(20, int(float64(perS)*b.length.Seconds()))
		if t.name == peer {
			n = max(20, n/5)
		}
		requests := make([][]byte, n)
		for i := range requests {
			q, err := t.publish(version{name: fmt.Sprintf("p-%d-%d", round, i), number: "1.0.0", size: 6_900})
			if err != nil {
				return load{}, err
			}
			requests[i] = q
		}
		return load{clients: clients, requests: n, status: http.StatusCreated, request: func(i int) []byte { return requests[i] }}, nil
	})
	if err != nil {
		return nil, err
	}
	b.table.note("Row 11, %d client(s): %.1f SQL statements per publish.", clients,
		(statements(ts.of(ours))-before)/float64(samples[ours].requests))
	return samples, nil
}

// publishLarge is row 12: 50 MB in one publish, alone.
func publishLarge(b *bench) error {
	const size = 50_000_000
	ts, err := b.targets("", ours, limit, peer)
	if err != nil {
		return err
	}
	defer func() { ts.stop() }()
	rates, cpus, growths := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	for round := range b.rounds {
		for _, t := range ts {
			q, err := t.publish(version{name: fmt.Sprintf("large-%d", round), number: "1.0.0", size: size})
			if err != nil {
				return err
			}
			if err := t.resetPeak(); err != nil {
				return err
			}
			resident := t.rss()
			o, err := load{clients: 1, requests: 1, status: http.StatusCreated, request: func(int) []byte { return q }}.run(t.process)
			if err != nil {
				return fmt.Errorf("%s: %w\n%s", t.name, err, t.tail())
			}
			rates[t.name] = append(rates[t.name], size/1e6/o.elapsed.Seconds())
			cpus[t.name] = append(cpus[t.name], milliseconds(o.cpu)/(size/1e6))
			growths[t.name] = append(growths[t.name], mebibytes(t.peak()-resident))
		}
	}
	l := line{row: "12", what: "publish of 50 MB", cells: map[string]string{}, reached: unjudged,
		target: "2.5x MB/s of the peer; at most 64 MiB more resident"}
	for name := range rates {
		l.cells[name] = fmt.Sprintf("%s, %s per MB, +%s", spreadOf(rates[name]).text("MB/s"), spreadOf(cpus[name]).text("ms CPU"), spreadOf(growths[name]).text("MiB"))
	}
	rate := func(name string) float64 { return spreadOf(rates[name]).median }
	l.toLimit = ratio(rate(ours), rate(limit)) + " MB/s"
	if rate(peer) > 0 {
		l.toPeer = ratio(rate(ours), rate(peer)) + " MB/s"
		l.reached = judge(rate(ours) >= 2.5*rate(peer), spreadOf(growths[ours]).max <= 64)
	}
	b.table.add(l)
	return nil
}

// publishMany is row 13: the 2,000th version of a package against its first.
func publishMany(b *bench) error {
	const versions, window = 2000, 50
	t, err := b.startPackhouse("")
	if err != nil {
		return err
	}
	defer t.stop()
	var firsts, lasts []float64
	for round := range b.rounds {
		times := make([]time.Duration, versions)
		c, err := dial(t.addr)
		if err != nil {
			return err
		}
		for i := range times {
			q, err := t.publish(version{name: fmt.Sprintf("many-%d", round), number: fmt.Sprintf("1.%d.0", i), size: 1000})
			if err == nil {
				times[i], err = c.timed(q, http.StatusCreated)
			}
			if err != nil {
				_ = c.Close()
				return fmt.Errorf("version %d: %w", i, err)
			}
		}
		_ = c.Close() // it was only used
		firsts = append(firsts, spreadOf(millisecondsOf(times[:window])).median)
		lasts = append(lasts, spreadOf(millisecondsOf(times[versions-window:])).median)
	}
	first, last := spreadOf(firsts), spreadOf(lasts)
	l := line{row: "13", what: "publish into 2,000 versions: the last 50 against the first 50", reached: judge(last.median <= 1.5*first.median),
		cells:  map[string]string{ours: fmt.Sprintf("%s, at first %s", last.text("ms"), first.text("ms"))},
		toPeer: "Gitea 1.26: 18 ms (quoted, 36x its limit)", target: "at most 1.5x the first", toLimit: ratio(last.median, first.median) + " of the first"}
	if err := b.peerMany(&l, last.median); err != nil {
		return err
	}
	b.table.add(l)
	return nil
}

// peerMany adds what Verdaccio takes to publish into 2,000 versions.
func (b *bench) peerMany(l *line, our float64) error {
	v, err := b.startVerdaccio("")
	if err != nil || v == nil {
		return err
	}
	defer func() { v.stop() }()
	if err := b.expand(v, 2000); err != nil {
		return err
	}
	var times []time.Duration
	for i := range 5 {
		q, err := v.publish(numbered(2000 + i))
		if err != nil {
			return err
		}
		took, err := once(v.addr, q, http.StatusCreated)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", v.name, err, v.tail())
		}
		times = append(times, took)
	}
	s := spreadOf(millisecondsOf(times))
	l.cells[peer] = s.text("ms")
	l.toPeer = ratio(s.median, our) + " less time"
	return nil
}
