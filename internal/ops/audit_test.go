package ops

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

func auditRecord(i int) packhouse.AuditRecord {
	return packhouse.AuditRecord{At: time.Unix(int64(1000+i), 0).UTC(), EventID: fmt.Sprint(i), Door: "registry", Name: "ReadFromRepository",
		ReadOnly: true, Principal: "arn:p", Client: "10.0.0.1", Agent: "npm", RequestID: "r", Method: "GET", Path: "/npm/x",
		Resource: "arn:r", Version: "1.0.0", Administrator: ours, Status: 403, Error: "access_denied", Message: "no", Decision: "denied by s"}
}

func auditOf(t *testing.T, db *catalog.DB) (all []packhouse.AuditRecord) {
	t.Helper()
	err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
		all, err = tx.Audit(t.Context(), 0, 100_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// More records than the buffer holds, from several goroutines: none is lost, all are
// written by the time Run returns, each as it was given (S40).
func TestAuditLogKeepsEveryRecord(t *testing.T) {
	db := catalogtest.OpenWith(t, catalog.Options{})
	a := NewAuditLog(db, slog.New(slog.DiscardHandler))
	a.delay = 0
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); a.Run(ctx) }()
	const writers, each = 4, auditBuffer / 2
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				a.Add(auditRecord(w*each+i), true)
			}
		})
	}
	wg.Wait()
	stop()
	<-ended
	all := auditOf(t, db)
	if len(all) != writers*each || a.Lost() != 0 {
		t.Fatalf("%d records written, %d lost, want %d and 0", len(all), a.Lost(), writers*each)
	}
	first := all[0]
	want := auditRecord(0)
	want.At, want.EventID, want.ID = first.At, first.EventID, first.ID
	if first != want || first.ID == 0 {
		t.Errorf("got %+v\nwant %+v", first, want)
	}
	// Nothing is taken any more, and nobody waits for it.
	for range auditBuffer + 1 {
		a.Add(auditRecord(0), true)
	}
	if a.Lost() == 0 {
		t.Error("a record after the stop found room for ever")
	}
}

// While nothing is written, reads find the buffer full and go on.
func TestAuditLogDoesNotHoldUpReads(t *testing.T) {
	a := NewAuditLog(catalogtest.OpenWith(t, catalog.Options{}), slog.New(slog.DiscardHandler))
	for range auditBuffer + 7 {
		a.Add(auditRecord(0), false)
	}
	if a.Lost() != 7 {
		t.Errorf("%d records lost, want 7", a.Lost())
	}
}

func TestAuditFromATimeOn(t *testing.T) {
	db := catalogtest.OpenWith(t, catalog.Options{})
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		var all []packhouse.AuditRecord
		for i := range 100 { // more than one statement takes
			all = append(all, auditRecord(i))
		}
		return tx.AppendAudit(t.Context(), all)
	})
	if err != nil {
		t.Fatal(err)
	}
	all := auditOf(t, db)
	for _, tt := range []struct {
		name string
		at   int64
		want int
	}{{"before the first", 0, 100}, {"in the middle", 1040, 60}, {"after the last", 5000, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			var from int64
			var rest []packhouse.AuditRecord
			err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
				if from, err = tx.AuditBefore(t.Context(), time.Unix(tt.at, 0)); err != nil {
					return err
				}
				rest, err = tx.Audit(t.Context(), from, 1000)
				return err
			})
			if err != nil || len(rest) != tt.want || tt.want > 0 && rest[0].EventID != all[100-tt.want].EventID {
				t.Errorf("%d records after %d, %v, want %d", len(rest), from, err, tt.want)
			}
		})
	}
}
