package registry

import "sync"

// gauge counts the running requests of each principal and refuses those above a limit.
type gauge struct {
	limit int
	mu    sync.Mutex
	count map[int64]int
}

func newGauge(limit int) *gauge { return &gauge{limit: limit, count: map[int64]int{}} }

func (g *gauge) enter(id int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[id] >= g.limit {
		return false
	}
	g.count[id]++
	return true
}

func (g *gauge) leave(id int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[id]--; g.count[id] <= 0 {
		delete(g.count, id)
	}
}
