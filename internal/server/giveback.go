package server

import (
	"context"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
)

// giveBack returns memory to the system when a burst is over. The runtime collects when
// enough was allocated, so what a burst left would stay until the next one, or for minutes.
type giveBack struct {
	allocated func() uint64 // bytes, since the process began
	live      func() uint64 // bytes that the last collection found in use
	free      func()
	last      uint64 // allocated when it looked last
	given     uint64 // allocated when it gave last
}

const (
	// calm is how many bytes a server that rests allocates at most between two looks.
	calm = 1 << 20
	// worthGiving is how many bytes must have been allocated for a collection to be worth
	// its time, unless a quarter of what is in use is more.
	worthGiving = 4 << 20
)

func newGiveBack() *giveBack {
	return &giveBack{allocated: allocatedMemory, live: liveMemory, free: debug.FreeOSMemory}
}

func allocatedMemory() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}

// look looks once, and collects and gives back if the server rests and it is worth it.
func (g *giveBack) look(context.Context) {
	now := g.allocated()
	rests := now-g.last <= calm
	g.last = now
	if rests && now-g.given >= max(worthGiving, g.live()/4) {
		g.free()
		g.given = now
	}
}
