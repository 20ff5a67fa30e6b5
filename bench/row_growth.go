package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// growth is rows 20 and 21, and adds the grown half of row 22: one repository at 1,000, 10,000
// and 100,000 packages.
func growth(b *bench) error {
	t, err := b.startPackhouse("") // alone, as what it is compared with
	if err != nil {
		return err
	}
	defer func() { t.stop() }()
	var sizes []int
	for n := 1000; n <= b.packages; n *= 10 {
		sizes = append(sizes, n)
	}
	rates, reads := map[int]spread{}, map[int]spread{}
	have := 0
	for _, size := range sizes {
		var rate, p99 []float64
		if have, _, err = b.fill(t, have, size); err != nil {
			return err
		}
		for range b.rounds {
			var o outcome
			if have, o, err = b.fill(t, have, have+500); err != nil {
				return err
			}
			rate = append(rate, o.rate())
			if o, err = b.randomReads(t, have); err != nil {
				return err
			}
			p99 = append(p99, o.quantile(0.99))
		}
		rates[size], reads[size] = spreadOf(rate), spreadOf(p99)
		if b.wants("21") && size > 1000 {
			if err := b.lists(t, size); err != nil {
				return err
			}
		}
		b.say("%s packages: %s, p99 %s", grouped(int64(size)), rates[size].text("publishes/s"), reads[size].text("ms"))
	}
	if b.wants("20") {
		b.table.add(growthLine("publish rate, 8 clients", "publishes/s", sizes, rates, "-5 % at most", "Verdaccio -21 %, Gitea -47 % (quoted)",
			func(first, last float64) bool { return last >= 0.95*first }))
		b.table.add(growthLine("packument of a random package, 99th percentile, 1 client", "ms", sizes, reads, "within 10 %", "",
			func(first, last float64) bool { return last <= 1.1*first }))
	}
	t.stop()
	return b.startGrown(t, have)
}

func growthLine(what, unit string, sizes []int, by map[int]spread, target, peers string, good func(first, last float64) bool) line {
	first, last := by[sizes[0]], by[sizes[len(sizes)-1]]
	text := ""
	for _, size := range sizes {
		text += fmt.Sprintf("%s: %s; ", grouped(int64(size)), by[size].text(unit))
	}
	l := line{row: "20", what: "growth: " + what, cells: map[string]string{ours: text[:len(text)-2], limit: "flat"}, toPeer: peers,
		toLimit: fmt.Sprintf("%+.0f %%", 100*(last.median/first.median-1)), target: target, reached: unjudged}
	if len(sizes) > 1 {
		l.reached = judge(good(first.median, last.median))
	}
	return l
}

func grown(i int) version {
	return version{name: fmt.Sprintf("grown-%06d", i), number: "1.0.0", size: 1000}
}

// fill publishes packages until there are so many, eight at a time.
func (b *bench) fill(t *target, have, want int) (int, outcome, error) {
	const batch = 1000 // prepared at a time
	var last outcome
	for have < want {
		requests := make([][]byte, min(batch, want-have))
		for i := range requests {
			q, err := t.publish(grown(have + i))
			if err != nil {
				return have, last, err
			}
			requests[i] = q
		}
		var err error
		last, err = load{clients: 8, requests: len(requests), status: http.StatusCreated,
			request: func(i int) []byte { return requests[i] }}.run(t.process)
		if err = errors.Join(err, b.ctx.Err()); err != nil {
			return have, last, err
		}
		have += len(requests)
	}
	return have, last, nil
}

// randomReads asks for packuments all over the repository.
func (b *bench) randomReads(t *target, have int) (outcome, error) {
	random := rand.New(rand.NewPCG(1, uint64(have)))
	return load{clients: 1, requests: 3000, status: http.StatusOK,
		request: func(int) []byte { return t.get(grown(random.IntN(have)).name, acceptJSON) }}.run(t.process)
}

// lists is row 21: pages of ListPackages, and the registry's search.
func (b *bench) lists(t *target, size int) error {
	const pages, perPage = 100, 50
	api, err := b.api(t)
	if err != nil {
		return err
	}
	var times []time.Duration
	query := url.Values{"domain": {"main"}, "repository": {"store"}, "format": {"npm"}, "max-results": {fmt.Sprint(perPage)}}
	for range pages {
		var page struct {
			Packages  []struct{ Package string }
			NextToken string
		}
		began := time.Now()
		if err := api.Call(context.WithoutCancel(b.ctx), http.MethodPost, "/v1/packages", query, nil, &page); err != nil {
			return err
		}
		times = append(times, time.Since(began))
		if len(page.Packages) != perPage {
			return fmt.Errorf("a page has %d packages instead of %d", len(page.Packages), perPage)
		}
		query.Set("next-token", page.NextToken)
	}
	s := spreadOf(millisecondsOf(times))
	b.table.add(line{row: "21", what: fmt.Sprintf("a page of 50 of %s packages, one after the other, median", grouped(int64(size))),
		cells:  map[string]string{ours: number(s.median) + " ms"},
		toPeer: ratio(66, s.median) + " less than Gitea 1.26 (66 ms, quoted unscaled)", target: "at most 1 ms", reached: judge(s.median <= 1)})
	return b.searches(t, size)
}

// searches times the registry's search where it is served.
func (b *bench) searches(t *target, size int) error {
	q := func(i int) []byte { return t.get(fmt.Sprintf("-/v1/search?text=grown-%04d&size=20", i*size/20000)) }
	c, err := dial(t.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was only used
	status, _, err := c.do(q(0), nil, nil)
	if err != nil {
		return err
	}
	l := line{row: "21", what: fmt.Sprintf("search in %s packages, median", grouped(int64(size))), target: "at most 1 ms", reached: unjudged}
	if status != http.StatusOK {
		l.cells = map[string]string{ours: "not served"}
		b.table.add(l)
		return nil
	}
	var times []time.Duration
	for i := range 200 {
		took, err := c.timed(q(i), http.StatusOK)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	s := spreadOf(millisecondsOf(times))
	l.cells = map[string]string{ours: number(s.median) + " ms"}
	l.toPeer = ratio(92, s.median) + " less than Gitea 1.26 (92 ms, quoted unscaled)"
	l.reached = judge(s.median <= 1)
	b.table.add(l)
	return nil
}

// startGrown is row 22 on a data directory full of packages.
func (b *bench) startGrown(t *target, have int) error {
	took, err := b.starts(11, func() (*process, error) {
		again, err := b.openPackhouse(t.store, "")
		if err != nil {
			return nil, err
		}
		return again.process, nil
	})
	if err != nil {
		return err
	}
	b.table.add(line{row: "22", what: fmt.Sprintf("start to the first answer, %s packages", grouped(int64(have))),
		cells: map[string]string{ours: took.text("ms")}, target: "at most 40 ms", reached: judge(took.median <= 40)})
	return nil
}
