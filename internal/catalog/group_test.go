package catalog

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
)

// hold fills the writer's queue with n updates while another one has the writer, then
// lets them go and returns their outcomes in order, the first one's last.
func hold(t *testing.T, db *DB, n int, fn func(tx *Tx, i int) error) []error {
	t.Helper()
	ctx := t.Context()
	outcomes := make([]error, n+1)
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	group := db.engine.(*sqliteEngine).group
	group.maxTime = time.Hour // however slow the machine is, they are one group
	wg.Go(func() {
		outcomes[n] = db.Update(ctx, func(*Tx) error { close(started); <-release; return nil })
	})
	<-started
	for i := range n {
		wg.Go(func() { outcomes[i] = db.Update(ctx, func(tx *Tx) error { return fn(tx, i) }) })
		for len(group.queue) <= i {
			runtime.Gosched() // until the queue holds them, in order
		}
	}
	close(release)
	wg.Wait()
	return outcomes
}

func TestGroupCommitsOnce(t *testing.T) {
	var commits [][]packhouse.Change
	db, err := Open(t.Context(), Options{DSN: ":memory:", Sealer: plain{}, OnCommit: func(c []packhouse.Change) { commits = append(commits, c) }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	failure := errors.New("failure")
	outcomes := hold(t, db, 20, func(tx *Tx, i int) error {
		if err := tx.Record(t.Context(), packhouse.Change{Version: fmt.Sprint(i)}); err != nil {
			return err
		}
		if i == 7 {
			return failure
		}
		return nil
	})
	told := 0
	for _, changes := range commits {
		for _, c := range changes {
			if c.Version == "7" {
				t.Error("told of a change that was undone")
			}
			told++
		}
	}
	if len(commits) != 1 || told != 19 {
		t.Errorf("%d commits told of %d changes, want 1 and 19", len(commits), told)
	}
	for i, err := range outcomes {
		if want := i == 7; errors.Is(err, failure) != want || (err != nil) != want {
			t.Errorf("update %d: %v", i, err)
		}
	}
}

// TestFirstOfAGroupFails: the first member has no savepoint, and takes nothing with it
// when it fails, in whatever way; those behind it are kept.
func TestFirstOfAGroupFails(t *testing.T) {
	failure := errors.New("failure")
	for _, tt := range []struct {
		name string
		end  func() error
	}{
		{"with an error", func() error { return failure }},
		{"with a panic", func() error { panic(failure) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := openFile(t, filepath.Join(t.TempDir(), "c.db"))
			ctx := t.Context()
			started, release := make(chan struct{}), make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				err := db.Update(ctx, func(tx *Tx) error {
					close(started)
					<-release
					if err := tx.PutSetting(ctx, "s", "first", ""); err != nil {
						return err
					}
					return tt.end()
				})
				if !errors.Is(err, failure) {
					t.Errorf("the first: %v", err)
				}
			})
			<-started
			var second error
			wg.Go(func() {
				second = db.Update(ctx, func(tx *Tx) error { return tx.PutSetting(ctx, "s", "second", "") })
			})
			for len(db.engine.(*sqliteEngine).group.queue) == 0 {
				runtime.Gosched()
			}
			close(release)
			wg.Wait()
			kept := func(key string) bool {
				return db.View(ctx, func(tx *Tx) error { _, err := tx.Setting(ctx, "s", key); return err }) == nil
			}
			if second != nil || kept("first") || !kept("second") {
				t.Errorf("second: %v; kept first %v, second %v", second, kept("first"), kept("second"))
			}
		})
	}
}

func TestGroupCommitFails(t *testing.T) {
	var told int
	db, err := Open(t.Context(), Options{DSN: ":memory:", Sealer: plain{}, OnCommit: func([]packhouse.Change) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	outcomes := hold(t, db, 5, func(tx *Tx, i int) error {
		if i == 2 { // breaks a rule that is looked at when the group commits
			if _, err := tx.exec(ctx, `PRAGMA defer_foreign_keys = ON`); err != nil {
				return err
			}
			_, err := tx.exec(ctx, `INSERT INTO namespaces (repository_id, format, name, created_at, updated_at) VALUES (99, '', '', 0, 0)`)
			return err
		}
		return errors.Join(tx.Record(ctx, packhouse.Change{}), tx.PutSetting(ctx, "s", fmt.Sprint(i), ""))
	})
	for i, err := range outcomes {
		kept := db.View(ctx, func(tx *Tx) error { _, err := tx.Setting(ctx, "s", fmt.Sprint(i)); return err }) == nil
		if err == nil || kept {
			t.Errorf("update %d: %v, kept %v: a member of a failed commit is acknowledged", i, err, kept)
		}
	}
	if told != 0 {
		t.Error("told of changes of a failed commit")
	}
	if err := db.Update(ctx, func(tx *Tx) error { return tx.PutSetting(ctx, "s", "after", "") }); err != nil {
		t.Errorf("the next update: %v", err)
	}
}

// TestDiskFull lets the engine run out of room in the middle of a group: nobody in it is
// told that it was kept, everybody why not, and once there is room all goes on (R21).
func TestDiskFull(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "c.db"))
	ctx := t.Context()
	limit := func(pages int) {
		t.Helper()
		if err := db.engine.(*sqliteEngine).writer.command(fmt.Sprint("PRAGMA max_page_count = ", pages)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(tx *Tx, i, size int) error {
		return errors.Join(tx.Record(ctx, packhouse.Change{}), tx.PutSetting(ctx, "s", fmt.Sprint(i), strings.Repeat("x", size)))
	}
	limit(1) // the engine takes as much as is there
	outcomes := hold(t, db, 5, func(tx *Tx, i int) error {
		if i == 2 {
			return write(tx, i, 1<<20)
		}
		return write(tx, i, 1)
	})
	for i, err := range outcomes[:5] {
		kept := db.View(ctx, func(tx *Tx) error { _, err := tx.Setting(ctx, "s", fmt.Sprint(i)); return err }) == nil
		if kept != (err == nil) {
			t.Errorf("update %d: %v, kept %v", i, err, kept)
		}
		if err != nil && packhouse.KindOf(err) != packhouse.KindDiskLow {
			t.Errorf("update %d: %v, want a full disk", i, err)
		}
	}
	if outcomes[2] == nil {
		t.Error("what does not fit was kept")
	}
	limit(1 << 30)
	if err := db.Update(ctx, func(tx *Tx) error { return write(tx, 2, 1<<20) }); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
