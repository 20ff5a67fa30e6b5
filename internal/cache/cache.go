// Package cache keeps values in memory up to a weight, those that are asked for longest.
// It knows no expiry and loads nothing: who keeps a value decides whether it still holds.
//
// It is on the workshop floor. Start reading with Cache.
package cache

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// Cache keeps values by key. When it is full it drops the oldest value that nobody has
// asked for since it last looked, so that what is asked for once makes room soon and what
// is asked for often stays (SIEVE: Zhang and others, NSDI 2024). It is safe for
// concurrent use; a Get takes a lock for reading and allocates nothing.
type Cache[K comparable, V any] struct {
	most  int64
	weigh func(K, V) int64 // nil: each value weighs 1

	mu     sync.RWMutex // guards what follows
	kept   map[K]*list.Element
	order  list.List     // of *entry[K, V], the newest in front
	hand   *list.Element // where to look next for what can go; nil for the back
	weight int64
}

type entry[K comparable, V any] struct {
	key    K
	value  V
	weight int64
	asked  atomic.Bool // since the hand was here
}

// New makes a cache of most values.
func New[K comparable, V any](most int) *Cache[K, V] {
	return NewWeighted[K, V](int64(most), nil)
}

// NewWeighted makes a cache of values that weigh most together. weigh returns the weight
// of a value, not below 0; one that weighs more than most alone is not kept.
func NewWeighted[K comparable, V any](most int64, weigh func(K, V) int64) *Cache[K, V] {
	return &Cache[K, V]{most: most, weigh: weigh, kept: map[K]*list.Element{}}
}

// Get returns the value of a key.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at, ok := c.kept[key]
	if !ok {
		return value, false
	}
	return c.ask(at), true
}

// Set keeps a value, in the place of the key's earlier one.
func (c *Cache[K, V]) Set(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.kept[key]; ok {
		c.drop(at)
	}
	c.add(key, value)
}

// GetOrSet returns the value of a key, and makes and keeps it if there is none. make runs
// under the cache's lock.
func (c *Cache[K, V]) GetOrSet(key K, make func() V) V {
	if value, ok := c.Get(key); ok {
		return value
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.kept[key]; ok { // somebody was quicker
		return c.ask(at)
	}
	value := make()
	c.add(key, value)
	return value
}

// Len returns how many values are kept.
func (c *Cache[K, V]) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.kept)
}

// ask notes that a value was asked for. The mark is written only where it changes, so
// that readers of one value do not take its memory from each other.
func (c *Cache[K, V]) ask(at *list.Element) V {
	e := at.Value.(*entry[K, V])
	if !e.asked.Load() {
		e.asked.Store(true)
	}
	return e.value
}

// add keeps a value of a key that has none, and makes room for it before.
func (c *Cache[K, V]) add(key K, value V) {
	weight := int64(1)
	if c.weigh != nil {
		weight = c.weigh(key, value)
	}
	if weight > c.most {
		return
	}
	for c.weight+weight > c.most {
		c.dropOne()
	}
	c.kept[key] = c.order.PushFront(&entry[K, V]{key: key, value: value, weight: weight})
	c.weight += weight
}

// dropOne drops the first value from the hand on, towards the newest and then again from
// the oldest, that was not asked for since the hand was there.
func (c *Cache[K, V]) dropOne() {
	for {
		at := c.hand
		if at == nil {
			at = c.order.Back()
		}
		c.hand = at.Prev()
		if e := at.Value.(*entry[K, V]); !e.asked.Swap(false) {
			c.drop(at)
			return
		}
	}
}

// drop removes a value.
func (c *Cache[K, V]) drop(at *list.Element) {
	if c.hand == at {
		c.hand = at.Prev()
	}
	e := c.order.Remove(at).(*entry[K, V])
	delete(c.kept, e.key)
	c.weight -= e.weight
}
