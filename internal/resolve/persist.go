package resolve

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// persistDelay is how long a row waits for others to share its transaction.
	persistDelay = 20 * time.Millisecond
	// persistTime bounds one such transaction.
	persistTime = time.Minute
	// maxUnwritten bounds the bodies that wait, in bytes; an answer that brings more waits
	// until they are written, so that they do not lie beside what is made of them.
	maxUnwritten = 1 << 20
)

// unwritten is the rows of remote indexes that are not written yet. They only spare
// requests, so they are written behind the answers that brought them, many in one
// transaction; a process that dies first asks the registry again. Until then they are
// read from here.
type unwritten struct {
	r *Resolver

	writing sync.Mutex // batches write one after the other

	mu    sync.Mutex
	rows  map[remoteKey]*unwrittenRow
	bytes int    // of their bodies
	batch *batch // that gathers rows; nil while there is none
}

type unwrittenRow struct {
	domain packhouse.KeyRef
	row    catalog.RemoteRow
	whole  bool // body and all; else a new date of what is written already
}

// batch is rows on their way. hurry is closed by who cannot wait for its time, done by
// its goroutine, which Close waits for, when its rows are written or never will be.
type batch struct {
	hurry   chan struct{}
	hurried sync.Once
	done    chan struct{}
}

// put replaces a row.
func (u *unwritten) put(ctx context.Context, domain packhouse.KeyRef, k remoteKey, row catalog.RemoteRow) {
	u.add(ctx, k, &unwrittenRow{domain, row, true})
}

// touch renews freshness and validators of a row.
func (u *unwritten) touch(ctx context.Context, domain packhouse.KeyRef, k remoteKey, row catalog.RemoteRow) {
	row.Body = nil
	u.add(ctx, k, &unwrittenRow{domain, row, false})
}

func (u *unwritten) add(ctx context.Context, k remoteKey, row *unwrittenRow) {
	u.mu.Lock()
	if held, ok := u.rows[k]; ok {
		if held.whole && !row.whole {
			row.whole, row.row.Body, row.row.BodyName = true, held.row.Body, held.row.BodyName
		}
		u.bytes -= len(held.row.Body)
	}
	u.rows[k] = row
	u.bytes += len(row.row.Body)
	b := u.batch
	if b == nil {
		b = u.begin(ctx)
	}
	full := u.bytes > maxUnwritten
	u.mu.Unlock()
	if full {
		b.wait(ctx)
	}
}

// begin starts a batch. The caller holds mu.
func (u *unwritten) begin(ctx context.Context) *batch {
	b := &batch{hurry: make(chan struct{}), done: make(chan struct{})}
	ctx, end, err := u.r.detach(ctx, persistTime)
	if err != nil { // closing: the registry is asked again after the start
		clear(u.rows)
		u.bytes = 0
		close(b.done)
		return b
	}
	u.batch = b
	go func() {
		defer end()
		timer := time.NewTimer(persistDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.hurry:
		case <-u.r.closing:
		}
		u.write(ctx)
		close(b.done)
	}()
	return b
}

// wait makes a batch hurry and waits for it.
func (b *batch) wait(ctx context.Context) {
	b.hurried.Do(func() { close(b.hurry) })
	select {
	case <-b.done:
	case <-ctx.Done():
	}
}

// flush waits until all rows that wait now are written.
func (u *unwritten) flush(ctx context.Context) {
	u.mu.Lock()
	b := u.batch
	if b == nil && len(u.rows) > 0 { // being written: the next batch comes after them
		b = u.begin(ctx)
	}
	u.mu.Unlock()
	if b != nil {
		b.wait(ctx)
	}
}

// stored returns a row as it is, or as it will be. Errors: as of catalog.Tx.RemoteIndex.
func (u *unwritten) stored(ctx context.Context, domain packhouse.KeyRef, k remoteKey) (row catalog.RemoteRow, err error) {
	u.mu.Lock()
	held, ok := u.rows[k]
	u.mu.Unlock()
	if ok && held.whole {
		return held.row, nil
	}
	err = u.r.o.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.RemoteIndex(ctx, domain, k.connection, k.credential, k.name)
		return err
	})
	return row, err
}

// write writes everything that waits. A row that cannot be written, with a full disk for
// example, is no reason to fail: the answer was good all the same and memory has it (R21).
func (u *unwritten) write(ctx context.Context) {
	u.writing.Lock()
	defer u.writing.Unlock()
	u.mu.Lock()
	rows := maps.Clone(u.rows)
	u.batch = nil
	u.mu.Unlock()
	if len(rows) == 0 {
		return
	}
	err := u.r.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, row := range rows {
			if err := row.write(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	for k, row := range rows {
		if err == nil {
			break
		}
		// One of them may be to blame, as one of a domain that is gone.
		if err := u.r.o.Catalog.Update(ctx, func(tx *catalog.Tx) error { return row.write(ctx, tx) }); err != nil {
			u.r.log.LogAttrs(ctx, slog.LevelWarn, "upstream index not kept", slog.String("upstream", k.connection),
				slog.String("package", k.name.String()), slog.Any("error", err))
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, row := range rows {
		if u.rows[k] == row { // else it was replaced meanwhile
			delete(u.rows, k)
			u.bytes -= len(row.row.Body)
		}
	}
}

func (r *unwrittenRow) write(ctx context.Context, tx *catalog.Tx) error {
	if r.whole {
		return tx.PutRemoteIndex(ctx, r.domain, r.row)
	}
	return tx.TouchRemoteIndex(ctx, r.row)
}
