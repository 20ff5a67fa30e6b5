package feed_test

import (
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/feed"
)

func TestMarks(t *testing.T) {
	name := packhouse.PackageName{Format: "f", Namespace: "s", Name: "n"}
	other := packhouse.PackageName{Format: "f", Namespace: "s", Name: "other"}
	type marks struct{ pkg, sibling, domain, remote feed.Mark }
	take := func(c *feed.Clock) marks {
		return marks{c.Package(7, name), c.Package(8, name), c.Domain(1), c.Remote(1, "up", name)}
	}
	for _, tt := range []struct {
		name  string
		event func(*feed.Clock)
		holds [4]bool // package, the same in another repository, domain, remote
	}{
		{"nothing happened", func(*feed.Clock) {}, [4]bool{true, true, true, true}},
		{"a change of the package", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{Kind: packhouse.ChangeVersionPublished, DomainID: 1, RepoID: 7, Package: name}})
		}, [4]bool{false, true, true, true}},
		{"a change of another package", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{Kind: packhouse.ChangeVersionPublished, DomainID: 1, RepoID: 7, Package: other}})
		}, [4]bool{true, true, true, true}},
		{"a change of a repository", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{Kind: packhouse.ChangeRepositoryUpdated, DomainID: 1, RepoID: 7}})
		}, [4]bool{true, true, false, true}},
		{"a change of another domain", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{Kind: packhouse.ChangeRepositoryUpdated, DomainID: 2, RepoID: 9}})
		}, [4]bool{true, true, true, true}},
		{"a change above domains", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{Kind: packhouse.ChangePrincipalCreated}})
		}, [4]bool{true, true, true, true}},
		{"several changes of one commit", func(c *feed.Clock) {
			c.Advance([]packhouse.Change{{DomainID: 1, RepoID: 7, Package: name}, {DomainID: 1, RepoID: 8, Package: name}, {DomainID: 1}})
		}, [4]bool{false, false, false, true}},
		{"another index of the connection", func(c *feed.Clock) { c.AdvanceRemote(1, "up", name) }, [4]bool{true, true, true, false}},
		{"an index of another connection", func(c *feed.Clock) { c.AdvanceRemote(1, "down", name) }, [4]bool{true, true, true, true}},
		{"an index in another domain", func(c *feed.Clock) { c.AdvanceRemote(2, "up", name) }, [4]bool{true, true, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Things may share a counter, which costs a re-read and is allowed: a mark that
			// must not hold never does, one that should hold does under some seed.
			var held [4]bool
			for range 8 {
				c := feed.NewClock()
				m := take(c)
				tt.event(c)
				for i, mark := range []feed.Mark{m.pkg, m.sibling, m.domain, m.remote} {
					holds := c.Holds(mark)
					if holds && !tt.holds[i] {
						t.Fatalf("mark %d holds after the change", i)
					}
					held[i] = held[i] || holds
				}
				if again := take(c); !c.Holds(again.pkg) || !c.Holds(again.remote) {
					t.Error("a mark taken after the change does not hold")
				}
			}
			if held != tt.holds {
				t.Errorf("held %v, want %v", held, tt.holds)
			}
		})
	}
}

// TestConcurrentChanges is for the race detector, and sees that no change is lost.
func TestConcurrentChanges(t *testing.T) {
	c := feed.NewClock()
	name := packhouse.PackageName{Format: "f", Name: "n"}
	before := c.Package(1, name)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				mark := c.Package(1, name)
				c.Advance([]packhouse.Change{{DomainID: 1, RepoID: 1, Package: name}})
				if c.Holds(mark) {
					t.Error("a mark holds after a later change")
				}
			}
		})
	}
	wg.Wait()
	if c.Holds(before) {
		t.Error("the first mark holds after 800 changes")
	}
}

func BenchmarkHolds(b *testing.B) {
	c := feed.NewClock()
	m := c.Package(1, packhouse.PackageName{Format: "f", Name: "n"})
	b.ReportAllocs()
	for b.Loop() {
		if !c.Holds(m) {
			b.Fatal("the mark does not hold")
		}
	}
}
