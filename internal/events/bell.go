package events

import (
	"sync"

	"github.com/packhouse/packhouse"
)

// Bell wakes whoever waits for changes that events tell of. It says that there may be
// something new, not what. The zero Bell is ready.
type Bell struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next ring; nil while nobody waits
}

// Ring wakes all who wait, if there are any and an event tells of one of the changes. It
// never blocks.
func (b *Bell) Ring(changes []packhouse.Change) {
	for i := range changes {
		if !Tells(&changes[i]) {
			continue
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.next != nil {
			close(b.next)
			b.next = nil
		}
		return
	}
}

// Wait returns a channel that is closed by the next ring. Take it before looking, so
// that nothing between the look and the wait is missed.
func (b *Bell) Wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}
