// Package feed carries news of committed changes to whoever keeps something in memory.
// Inside one process that is direct: the catalog calls Clock.Advance after each commit.
// It is on the stores' floor. Start reading with Clock.
package feed

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/packhouse/packhouse"
)

// slots is the number of counters. Two things that share a slot only cost each other a
// needless re-read, never a stale one.
const slots = 1 << 16

// Clock counts changes per package record and per domain, in bounded memory. What was
// read after a Mark was taken is current for as long as the Mark still holds.
type Clock struct {
	seed  maphash.Seed
	count [slots]atomic.Uint64
}

// NewClock makes a clock at zero.
func NewClock() *Clock { return &Clock{seed: maphash.MakeSeed()} }

// Mark is the count of one thing at one time.
type Mark struct {
	slot  uint32
	count uint64
}

// Package marks a package in one repository, whether it has a record or not.
func (c *Clock) Package(repoID int64, n packhouse.PackageName) Mark {
	return c.mark(maphash.Comparable(c.seed, packageKey{repoID, n}))
}

// Domain marks a domain's shape: its repositories, their upstreams and connections.
func (c *Clock) Domain(domainID int64) Mark {
	return c.mark(maphash.Comparable(c.seed, domainKey{domainID}))
}

// Remote marks a kept index of a connection in a domain.
func (c *Clock) Remote(domainID int64, connection string, n packhouse.PackageName) Mark {
	return c.mark(maphash.Comparable(c.seed, remoteKey{domainID, connection, n}))
}

// Holds reports whether nothing has changed since the mark was taken.
func (c *Clock) Holds(m Mark) bool { return c.count[m.slot].Load() == m.count }

// Advance tells of committed changes. It must be called before their writers are
// answered.
func (c *Clock) Advance(changes []packhouse.Change) {
	for i := range changes {
		ch := &changes[i]
		switch {
		case ch.Package.Name != "":
			c.bump(maphash.Comparable(c.seed, packageKey{ch.RepoID, ch.Package}))
		case ch.DomainID != 0:
			c.bump(maphash.Comparable(c.seed, domainKey{ch.DomainID}))
		}
	}
}

// AdvanceRemote tells that a kept index changed.
func (c *Clock) AdvanceRemote(domainID int64, connection string, n packhouse.PackageName) {
	c.bump(maphash.Comparable(c.seed, remoteKey{domainID, connection, n}))
}

type packageKey struct {
	repo int64
	name packhouse.PackageName
}
type domainKey struct{ id int64 }
type remoteKey struct {
	domain     int64
	connection string
	name       packhouse.PackageName
}

func (c *Clock) mark(h uint64) Mark {
	slot := uint32(h % slots)
	return Mark{slot: slot, count: c.count[slot].Load()}
}

func (c *Clock) bump(h uint64) { c.count[h%slots].Add(1) }
