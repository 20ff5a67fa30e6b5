package vault

import (
	"sync"
	"sync/atomic"
)

const (
	// windowSlots is how many packages one window holds: 4 MiB.
	windowSlots = 64
	// maxWindowed bounds the packages in all windows of a vault: 32 MiB. Beyond it,
	// followers open what they read, each for himself.
	maxWindowed = 512
)

// window holds packages of a staging as plain bytes while it is followed, so that of many
// who read the same at about the same time one opens a package, and nobody one that the
// writer has just sealed. The writer fills it for as long as it is not far ahead; behind
// that, whoever opens a package does. It is only a shortcut: whether a package may be read
// is decided before it is asked.
type window struct {
	taken  *atomic.Int64 // packages in all windows of the vault
	wanted atomic.Int64  // highest number that was asked for
	slots  [windowSlots]slot
}

// unfollowed is what nobody has asked for yet: the writer fills nothing.
const unfollowed = -windowSlots

func newWindow(taken *atomic.Int64) *window {
	w := &window{taken: taken}
	w.wanted.Store(unfollowed)
	return w
}

// slot holds the package whose number has its place, one after the other.
type slot struct {
	mu     sync.RWMutex
	number int64
	bytes  []byte // pooled; nil where there is no package
	length int
	ended  bool
}

// want tells the writer that somebody is at package number.
func (w *window) want(number int64) {
	for most := w.wanted.Load(); number > most && !w.wanted.CompareAndSwap(most, number); most = w.wanted.Load() {
	}
}

// get copies package number into p, which has packageSize bytes; 0 if it is not there.
func (w *window) get(p []byte, number int64) int {
	s := &w.slots[number%windowSlots]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.bytes == nil || s.number != number {
		return 0
	}
	return copy(p, s.bytes[:s.length])
}

// put takes a package that somebody opened, unless others are at its slot.
func (w *window) put(number int64, plain []byte) {
	s := &w.slots[number%windowSlots]
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		s.set(w, number, plain)
	}
}

// write takes the plain bytes from offset on, before they are sealed.
func (w *window) write(offset int64, p []byte) {
	if w.wanted.Load() == unfollowed {
		return
	}
	for len(p) > 0 {
		number, within := offset/packageSize, int(offset%packageSize)
		n := min(len(p), packageSize-within)
		s := &w.slots[number%windowSlots]
		s.mu.Lock()
		switch {
		case within == 0 && number < w.wanted.Load()+windowSlots/2:
			s.set(w, number, p[:n])
		case within > 0 && s.bytes != nil && s.number == number && s.length == within:
			s.length += copy(s.bytes[within:], p[:n])
		}
		s.mu.Unlock()
		offset, p = offset+int64(n), p[n:]
	}
}

// set makes the slot hold a package if there is room. The caller holds mu.
func (s *slot) set(w *window, number int64, plain []byte) {
	if s.bytes == nil {
		if s.ended {
			return
		}
		if w.taken.Add(1) > maxWindowed {
			w.taken.Add(-1)
			return
		}
		s.bytes = getPackage()
	}
	s.number, s.length = number, copy(s.bytes, plain)
}

// end lets go of everything. Nothing is put afterwards.
func (w *window) end() {
	for i := range w.slots {
		s := &w.slots[i]
		s.mu.Lock()
		if s.bytes != nil {
			putPackage(s.bytes)
			w.taken.Add(-1)
		}
		s.bytes, s.ended = nil, true
		s.mu.Unlock()
	}
}
