package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is closed-loop traffic: each client sends its next request when the answer to the
// one before is whole.
type load struct {
	clients int
	// Either for a time or for a number of requests; the other is zero.
	length   time.Duration
	requests int
	// request makes the n-th request, counted over all clients; it must be cheap.
	request func(n int) []byte
	status  int // of every answer
}

// outcome is what a load measured.
type outcome struct {
	requests int
	elapsed  time.Duration   // from the first request to the end of the last answer
	cpu      time.Duration   // of the server
	bytes    int64           // of bodies received
	times    []time.Duration // of each request, in ascending order
}

func (o outcome) rate() float64 { return float64(o.requests) / o.elapsed.Seconds() }

// cpuEach is the server's CPU time per request, in milliseconds.
func (o outcome) cpuEach() float64 { return milliseconds(o.cpu) / float64(o.requests) }

// quantile returns the time, in milliseconds, that a share q of the requests kept to.
func (o outcome) quantile(q float64) float64 {
	return milliseconds(o.times[min(len(o.times)-1, int(q*float64(len(o.times))))])
}

// run sends the load to a server. A lost connection, an answer with another status, or
// no answer at all is an error: such a load has no figure.
func (l load) run(p *process) (outcome, error) {
	conns := make([]*conn, l.clients)
	for i := range conns {
		c, err := dial(p.addr)
		if err != nil {
			return outcome{}, err
		}
		defer func() { _ = c.Close() }() // it was only used
		conns[i] = c
	}
	var (
		next     atomic.Int64
		stopped  atomic.Bool
		wg       sync.WaitGroup
		mu       sync.Mutex
		o        outcome
		failures []error
	)
	before, err := p.cpu()
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	for _, c := range conns {
		wg.Go(func() {
			var times []time.Duration
			var bytes int64
			err := func() error {
				for !stopped.Load() {
					n := int(next.Add(1)) - 1
					if l.requests > 0 && n >= l.requests || l.requests == 0 && time.Since(began) >= l.length {
						return nil
					}
					q := l.request(n)
					sent := time.Now()
					status, size, err := c.do(q, nil, nil)
					if err != nil {
						return fmt.Errorf("request %d: %w", n, err)
					}
					if status != l.status {
						return fmt.Errorf("request %d: status %d instead of %d", n, status, l.status)
					}
					times = append(times, time.Since(sent))
					bytes += size
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			o.times = append(o.times, times...)
			o.bytes += bytes
			if err != nil {
				failures = append(failures, err)
				stopped.Store(true)
			}
		})
	}
	wg.Wait()
	o.elapsed = time.Since(began)
	after, err := p.cpu()
	if err != nil {
		return outcome{}, err
	}
	o.cpu, o.requests = after-before, len(o.times)
	if len(failures) == 0 && o.requests == 0 {
		failures = append(failures, errors.New("no request was answered"))
	}
	slices.Sort(o.times)
	return o, errors.Join(failures...)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// once sends one request on a connection of its own and returns the time to the end of
// its answer.
func once(addr string, q []byte, status int) (time.Duration, error) {
	c, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // it was only used
	return c.timed(q, status)
}

func (c *conn) timed(q []byte, status int) (time.Duration, error) {
	began := time.Now()
	got, _, err := c.do(q, nil, nil)
	if err == nil && got != status {
		err = fmt.Errorf("status %d instead of %d", got, status)
	}
	return time.Since(began), err
}
