package cache_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/packhouse/packhouse/internal/cache"
)

// keptOf returns which of the keys are kept, without asking for more than that.
func keptOf(c *cache.Cache[string, int], keys ...string) (kept []string) {
	for _, k := range keys {
		if _, ok := c.Get(k); ok {
			kept = append(kept, k)
		}
	}
	return kept
}

func byValue(_ string, v int) int64 { return int64(v) }

func TestWhatStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		new  func() *cache.Cache[string, int]
		do   func(*cache.Cache[string, int])
		want []string // of a to e
	}{
		{"the oldest makes room when nobody asked for any",
			func() *cache.Cache[string, int] { return cache.New[string, int](3) },
			func(c *cache.Cache[string, int]) { set(c, "a", "b", "c", "d") },
			[]string{"b", "c", "d"}},
		{"what was asked for stays, and the next oldest makes room",
			func() *cache.Cache[string, int] { return cache.New[string, int](3) },
			func(c *cache.Cache[string, int]) {
				set(c, "a", "b", "c")
				c.Get("a")
				set(c, "d", "e")
			},
			[]string{"a", "d", "e"}},
		{"when all were asked for the oldest makes room",
			func() *cache.Cache[string, int] { return cache.New[string, int](2) },
			func(c *cache.Cache[string, int]) {
				set(c, "a", "b")
				keptOf(c, "a", "b")
				set(c, "c")
			},
			[]string{"b", "c"}},
		{"a value that is replaced takes up no more room",
			func() *cache.Cache[string, int] { return cache.New[string, int](2) },
			func(c *cache.Cache[string, int]) { set(c, "a", "b", "b", "b") },
			[]string{"a", "b"}},
		{"a heavy value takes the room of several",
			func() *cache.Cache[string, int] { return cache.NewWeighted(10, byValue) },
			func(c *cache.Cache[string, int]) {
				for _, k := range []string{"a", "b", "c"} {
					c.Set(k, 3)
				}
				c.Set("d", 7)
			},
			[]string{"c", "d"}},
		{"a value that is too heavy drops nothing but the key's earlier one",
			func() *cache.Cache[string, int] { return cache.NewWeighted(10, byValue) },
			func(c *cache.Cache[string, int]) {
				c.Set("a", 3)
				c.Set("b", 3)
				c.Set("a", 11)
			},
			[]string{"b"}},
		{"a cache of no weight keeps nothing",
			func() *cache.Cache[string, int] { return cache.NewWeighted(0, byValue) },
			func(c *cache.Cache[string, int]) { c.Set("a", 1) },
			nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := tt.new()
			tt.do(c)
			if got := keptOf(c, "a", "b", "c", "d", "e"); !slices.Equal(got, tt.want) {
				t.Errorf("kept %v, want %v", got, tt.want)
			}
		})
	}
}

func set(c *cache.Cache[string, int], keys ...string) {
	for _, k := range keys {
		c.Set(k, 1)
	}
}

// Whatever is done, a Get returns what was last set or nothing, and all that is kept fits.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const most = 20
		c := cache.NewWeighted(most, byValue)
		last := map[string]int{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 15).Draw(t, "key"))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				last[key] = rapid.IntRange(0, most+2).Draw(t, "value")
				c.Set(key, last[key])
			case 1:
				made := rapid.IntRange(0, most+2).Draw(t, "made")
				if got := c.GetOrSet(key, func() int { last[key] = made; return made }); got != last[key] {
					t.Fatalf("GetOrSet(%s) = %d, want %d", key, got, last[key])
				}
			case 2:
				if got, ok := c.Get(key); ok && got != last[key] {
					t.Fatalf("Get(%s) = %d, want %d", key, got, last[key])
				}
			}
			sum := 0
			for k := range last {
				v, _ := c.Get(k)
				sum += v
			}
			if sum > most {
				t.Fatalf("kept values weigh %d, more than %d", sum, most)
			}
		}
	})
}

func TestGetOrSetMakesOnce(t *testing.T) {
	t.Parallel()
	c := cache.New[string, *int](10)
	var made []*int // by make, which runs under the cache's lock
	var all sync.WaitGroup
	got := make([]*int, 16)
	for i := range got {
		all.Go(func() {
			got[i] = c.GetOrSet("key", func() *int { made = append(made, new(int)); return made[0] })
		})
	}
	all.Wait()
	if len(made) != 1 || slices.ContainsFunc(got, func(p *int) bool { return p != made[0] }) {
		t.Errorf("%d values were made for 16 who asked at once, want 1 that all got", len(made))
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	c := cache.New[struct{ a, b string }, []byte](10)
	key := struct{ a, b string }{"a", "b"}
	c.Set(key, []byte("value"))
	if n := testing.AllocsPerRun(100, func() { c.Get(key) }); n != 0 {
		t.Errorf("a Get makes %v allocations, want none", n)
	}
}

func BenchmarkGet(b *testing.B) {
	c := cache.New[string, int](1000)
	set(c, "key")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.Get("key")
		}
	})
}
