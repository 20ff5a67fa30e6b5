package ops

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	// auditBuffer is how many records wait for the catalog at most.
	auditBuffer = 4096
	// auditBatch is how many are written in one transaction at most.
	auditBatch = 512
	// auditDelay is how long a record waits for others to be written with.
	auditDelay = 100 * time.Millisecond
	// auditRetry is the pause after a write that failed.
	auditRetry = time.Second
	// auditFlush bounds the last write before the stop.
	auditFlush = 10 * time.Second
)

// AuditLog writes the audit log behind the requests that it is about, in batches
// (reliability.md S40). Its methods may be called from several goroutines.
type AuditLog struct {
	db      *catalog.DB
	log     *slog.Logger
	records chan *packhouse.AuditRecord // never closed: who adds may come late
	stopped chan struct{}               // closed by Run when nothing is taken any more
	lost    atomic.Int64
	delay   time.Duration
}

// NewAuditLog makes a log; nothing is written before Run.
func NewAuditLog(db *catalog.DB, log *slog.Logger) *AuditLog {
	return &AuditLog{db: db, log: log, records: make(chan *packhouse.AuditRecord, auditBuffer), stopped: make(chan struct{}), delay: auditDelay}
}

// Add takes a record. With must it waits while the buffer is full, which slows down who
// writes faster than can be recorded; without, a record that finds it full is counted
// as lost, so that reads are answered while the disk takes nothing.
func (a *AuditLog) Add(r packhouse.AuditRecord, must bool) {
	select {
	case a.records <- &r:
		return
	default:
	}
	if must {
		select {
		case a.records <- &r:
			return
		case <-a.stopped:
		}
	}
	a.lost.Add(1)
}

// Lost returns how many records found the buffer full.
func (a *AuditLog) Lost() int64 { return a.lost.Load() }

// Run writes what is added until ctx ends, then what is left.
func (a *AuditLog) Run(ctx context.Context) {
	defer close(a.stopped)
	failing := false
	for {
		batch := a.next(ctx)
		for len(batch) > 0 {
			err := a.write(ctx, batch)
			if err == nil {
				if failing {
					a.log.LogAttrs(ctx, slog.LevelInfo, "audit records are written again", slog.Int64("lost", a.Lost()))
				}
				failing = false
				break
			}
			if ctx.Err() != nil {
				a.log.LogAttrs(ctx, slog.LevelError, "audit records lost at the stop", slog.Int("records", len(batch)+len(a.records)), slog.Any("error", err))
				return
			}
			if !failing { // one line per outage
				a.log.LogAttrs(ctx, slog.LevelWarn, "audit records cannot be written, they wait", slog.Any("error", err))
			}
			failing = true
			pause(ctx, auditRetry)
		}
		if ctx.Err() != nil && len(a.records) == 0 {
			return
		}
	}
}

// next returns the next batch: it waits for a record, and a little for others. At the
// stop it returns what there is.
func (a *AuditLog) next(ctx context.Context) (batch []packhouse.AuditRecord) {
	select {
	case r := <-a.records:
		batch = append(batch, *r)
		pause(ctx, a.delay)
	case <-ctx.Done():
	}
	for len(batch) < auditBatch {
		select {
		case r := <-a.records:
			batch = append(batch, *r)
		default:
			return batch
		}
	}
	return batch
}

// write writes a batch. At the stop it has a time of its own.
func (a *AuditLog) write(ctx context.Context, batch []packhouse.AuditRecord) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditFlush)
	defer cancel()
	return a.db.Update(ctx, func(tx *catalog.Tx) error { return tx.AppendAudit(ctx, batch) })
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
