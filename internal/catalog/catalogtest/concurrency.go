package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// testGroupIsolation fills a group with updates that succeed, fail, panic and leave
// while one holds the writer, and looks at what stays.
func testGroupIsolation(t *testing.T, w *world) {
	put := func(key string, then func() error) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error {
			if err := tx.PutSetting(w.ctx, "s", key, key); err != nil {
				return err
			}
			return then()
		}
	}
	fine := func() error { return nil }
	failure := errors.New("failure")

	started, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		w.update(put("first", func() error {
			once.Do(func() { close(started) })
			<-release
			return nil
		}))
	})
	<-started
	wg.Go(func() { w.update(put("good 1", fine)) })
	wg.Go(func() {
		if err := w.DB.Update(w.ctx, put("bad", func() error { return failure })); !errors.Is(err, failure) {
			t.Errorf("a failing update returned %v", err)
		}
	})
	wg.Go(func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic did not come back to its caller")
			}
		}()
		_ = w.DB.Update(w.ctx, put("panics", func() error { panic("ouch") }))
	})
	wg.Go(func() {
		_ = w.DB.Update(w.ctx, put("leaves", func() error { runtime.Goexit(); return nil }))
		t.Error("a closure that ends its goroutine let the caller go on")
	})
	canceled, cancel := context.WithCancel(w.ctx)
	cancel()
	wg.Go(func() {
		ran := false
		err := w.DB.Update(canceled, func(*catalog.Tx) error { ran = true; return nil })
		if !errors.Is(err, context.Canceled) || ran {
			t.Errorf("a caller who has left: ran %v, %v", ran, err)
		}
	})
	wg.Go(func() { w.update(put("good 2", fine)) })
	close(release)
	wg.Wait()
	w.update(put("last", fine))

	w.view(func(tx *catalog.Tx) error {
		for key, want := range map[string]bool{"first": true, "good 1": true, "good 2": true, "last": true, "bad": false, "panics": false, "leaves": false} {
			_, err := tx.Setting(w.ctx, "s", key)
			if kept := err == nil; kept != want {
				t.Errorf("write %q: kept %v (%v), want %v", key, kept, err, want)
			}
		}
		return nil
	})

	// Outside its closure a transaction is of no use.
	var leaked *catalog.Tx
	w.update(func(tx *catalog.Tx) error { leaked = tx; return nil })
	if err := leaked.PutSetting(w.ctx, "s", "leaked", ""); err == nil {
		t.Error("a transaction outlives its closure")
	}
	if err := w.DB.View(w.ctx, func(tx *catalog.Tx) error { return tx.PutSetting(w.ctx, "s", "k", "v") }); err == nil {
		t.Error("a read transaction writes")
	}
}

func change(i int) packhouse.Change {
	return packhouse.Change{Kind: packhouse.ChangeVersionPublished, Version: fmt.Sprint(i)}
}

func testOnCommit(t *testing.T, w *world) {
	for len(w.changes) > 0 {
		<-w.changes
	}
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.Record(w.ctx, change(1)), tx.Record(w.ctx, change(2)))
	})
	select {
	case got := <-w.changes:
		if len(got) != 2 || got[0].Version != "1" || got[1].Version != "2" || got[0].ID == 0 || got[1].ID <= got[0].ID {
			t.Errorf("told of %+v", got)
		}
	default:
		t.Error("Update returned before its changes were told")
	}
	w.update(func(tx *catalog.Tx) error {
		if err := tx.Record(w.ctx, change(3)); err != nil {
			return err
		}
		return errUndo
	})
	if len(w.changes) != 0 {
		t.Errorf("told of changes that were undone: %+v", <-w.changes)
	}
}

func testLostRace(t *testing.T, w *world) {
	const writers = 64
	var wg sync.WaitGroup
	outcomes := make(chan error, writers)
	w.update(func(tx *catalog.Tx) error { _, err := w.pkg(tx, w.a, name("box")); return err })
	content := w.blobRow("same bytes")
	for i := range writers {
		wg.Go(func() {
			outcomes <- w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
				p, err := tx.LockPackage(w.ctx, w.a.ID, name("box"))
				if err != nil {
					return err
				}
				mine := content
				mine.Object = fmt.Sprint("object-", i)
				b, _, err := tx.UseBlob(w.ctx, mine)
				if err != nil {
					return err
				}
				r, err := tx.EnsureRevision(w.ctx, catalog.Revision{Domain: w.domain.Key, Name: "r", Facts: facts("r"), Assets: []catalog.RevisionAsset{{Name: "f", BlobID: b.ID}}})
				if err != nil {
					return err
				}
				_, err = tx.InsertVersion(w.ctx, catalog.NewVersion{PackageID: p.ID, Version: "1", VersionKey: "1", RevisionID: r, Status: packhouse.Published})
				if !errors.Is(err, catalog.ErrExists) {
					return err
				}
				// The loser reads what won, in the same transaction.
				if _, rerr := tx.Version(w.ctx, p.ID, "1"); rerr != nil {
					return rerr
				}
				return err
			})
		})
	}
	wg.Wait()
	close(outcomes)
	won := 0
	for err := range outcomes {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, catalog.ErrExists) && !serialization(err):
			t.Errorf("a lost race: %v", err)
		}
	}
	if n := w.number(`SELECT count(*) FROM versions`); won != 1 || n != 1 {
		t.Errorf("%d writers won, %d versions", won, n)
	}
	w.checkUsage("the race")
}

// testFirstRecord makes one package record from many transactions at once: those who
// come late see the record of the first, never ErrExists.
func testFirstRecord(t *testing.T, w *world) {
	const writers = 8
	ids := make([]int64, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			err := w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
				p, err := tx.LockPackage(w.ctx, w.a.ID, name("box"))
				if errors.Is(err, catalog.ErrNotFound) {
					p, err = w.pkg(tx, w.a, name("box"))
				}
				ids[i] = p.ID
				return err
			})
			if err != nil && !serialization(err) {
				t.Errorf("writer %d: %v", i, err)
			}
			if err != nil {
				ids[i] = 0
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) > 2 || ids[len(ids)-1] == 0 || len(ids) == 2 && ids[0] != 0 {
		t.Errorf("records %v, want one", ids)
	}
	if n := w.number(`SELECT count(*) FROM packages`); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

// serialization reports whether an engine with several writers gave up after all its
// retries, which 64 writers of one row may see.
func serialization(err error) bool {
	var e interface{ SQLState() string }
	return errors.As(err, &e) && (e.SQLState() == "40001" || e.SQLState() == "40P01")
}

func testParallelBumps(t *testing.T, w *world) {
	const writers, each = 4, 10
	var p packhouse.Package
	w.update(func(tx *catalog.Tx) (err error) { p, err = w.pkg(tx, w.a, name("box")); return err })
	var mu sync.Mutex
	var seen []int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				var seq int64
				err := errors.New("not yet")
				for err != nil {
					err = w.DB.Update(w.ctx, func(tx *catalog.Tx) (err error) { seq, err = tx.BumpPackage(w.ctx, p.ID, w.now); return err })
					if err != nil && !serialization(err) {
						t.Error(err)
						return
					}
				}
				mu.Lock()
				seen = append(seen, seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(seen)
	for i, seq := range seen {
		if seq != int64(i+1) {
			t.Fatalf("sequence numbers %v", seen)
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d bumps, want %d", len(seen), writers*each)
	}
}

// testSettled reads the ledger while writers hold transactions open in every order.
func testSettled(t *testing.T, w *world) {
	const writers, each = 8, 25
	done := make(chan struct{})
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				w.update(func(tx *catalog.Tx) error {
					if err := tx.Record(w.ctx, change(i*each+j)); err != nil {
						return err
					}
					runtime.Gosched()
					return nil
				})
			}
		})
	}
	go func() { wg.Wait(); close(done) }()

	seen := make(map[string]bool)
	var last int64
	read := func() (n int) {
		var got []packhouse.Change
		w.view(func(tx *catalog.Tx) (err error) { got, err = tx.Changes(w.ctx, last, 7); return err })
		for _, c := range got {
			if seen[c.Version] {
				t.Fatalf("change %d came twice", c.ID)
			}
			seen[c.Version], last = true, c.ID
		}
		return len(got)
	}
	for finished := false; !finished; {
		select {
		case <-done:
			finished = true
		default:
		}
		for read() > 0 {
		}
	}
	if len(seen) != writers*each {
		t.Errorf("%d changes came, want %d", len(seen), writers*each)
	}
}
