package server

import "testing"

// performance.md 23: what a burst took is given back when it is over, once, and a server
// that rests does nothing.
func TestMemoryIsGivenBackAfterABurst(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name      string
		live      uint64
		allocated []uint64 // MiB since the start, at each look
		want      int      // how often memory is given back
	}{
		{"after the start", 0, []uint64{5, 5, 5, 5}, 1},
		{"not while the burst lasts", 0, []uint64{10, 20, 30, 40}, 0},
		{"after each of two bursts", 0, []uint64{10, 10, 10, 20, 30, 30, 30}, 2},
		{"not for a little", 0, []uint64{1, 2, 3}, 0},
		{"for a little that goes on", 0, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2},
		{"not for a little beside much that is in use", 100 * mib, []uint64{10, 10, 20, 20}, 0},
		{"for as much as a quarter of what is in use", 100 * mib, []uint64{10, 10, 25, 25}, 1},
	} {
		at, given := 0, 0
		g := &giveBack{allocated: func() uint64 { return tt.allocated[at] * mib }, live: func() uint64 { return tt.live }, free: func() { given++ }}
		for at = range tt.allocated {
			g.look(t.Context())
		}
		if given != tt.want {
			t.Errorf("%s: given back %d times, want %d", tt.name, given, tt.want)
		}
	}
}
