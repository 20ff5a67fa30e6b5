package main

import (
	"fmt"
	"time"
)

// sample is what a server did under a row's loads, over all rounds.
type sample struct {
	rate     spread // requests a second
	cpu      spread // ms of the server per request
	perMB    spread // ms of the server per MB of body
	p50      spread // ms
	rss      int64  // bytes, at the end
	requests int
}

// cell writes the figures of a load for the table.
func (s sample) cell() string {
	return fmt.Sprintf("%s, %s, %s MiB", s.cpu.text("ms CPU"), s.rate.text("req/s"), number(float64(s.rss)/(1<<20)))
}

// rounds runs a load on each target, round by round, so that a disturbance of the
// machine hits all alike. The loads differ by target and round.
func (b *bench) compare(ts targets, of func(t *target, round int) (load, error)) (map[string]sample, error) {
	type collected struct{ rate, cpu, perMB, p50 []float64 }
	all := map[string]*collected{}
	samples := map[string]sample{}
	for round := range b.rounds {
		for _, t := range ts {
			l, err := of(t, round)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			o, err := l.run(t.process)
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", t.name, err, t.tail())
			}
			if err := b.ctx.Err(); err != nil {
				return nil, err
			}
			c := all[t.name]
			if c == nil {
				c = &collected{}
				all[t.name] = c
			}
			c.rate = append(c.rate, o.rate())
			c.cpu = append(c.cpu, o.cpuEach())
			c.p50 = append(c.p50, o.quantile(0.5))
			if o.bytes > 0 {
				c.perMB = append(c.perMB, milliseconds(o.cpu)/(float64(o.bytes)/1e6))
			}
			s := samples[t.name]
			s.requests += o.requests
			s.rss = t.rss()
			samples[t.name] = s
		}
	}
	for name, c := range all {
		s := samples[name]
		s.rate, s.cpu, s.perMB, s.p50 = spreadOf(c.rate), spreadOf(c.cpu), spreadOf(c.perMB), spreadOf(c.p50)
		samples[name] = s
	}
	return samples, nil
}

// reading is a load of one repeated request for the run's length.
func (b *bench) reading(clients, status int, request []byte) load {
	return load{clients: clients, length: b.length, status: status, request: func(int) []byte { return request }}
}

// cells writes each target's figures with fn.
func cells(samples map[string]sample, fn func(sample) string) map[string]string {
	m := map[string]string{}
	for name, s := range samples {
		m[name] = fn(s)
	}
	return m
}

// faster returns the best rate among the peer that ran and the quoted one, and its name.
func faster(samples map[string]sample, q quote) (rate float64, name string) {
	rate, name = q.here(samples[limit].rate.median), q.name+" (quoted)"
	if p, ok := samples[peer]; ok && p.rate.median > rate {
		rate, name = p.rate.median, peer
	}
	return rate, name
}

// millisecondsOf converts for spreads.
func millisecondsOf(times []time.Duration) []float64 {
	f := make([]float64, len(times))
	for i, t := range times {
		f[i] = milliseconds(t)
	}
	return f
}
