package catalog

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// DeliveryRow is one event on its way to one webhook, with the change that it tells of.
type DeliveryRow struct {
	ID        int64
	WebhookID int64
	// Line names the package: deliveries of one line go one after the other.
	Line     string
	State    packhouse.DeliveryState
	Attempts int
	Next     time.Time // before which it is not sent
	Created  time.Time
	Ended    time.Time // zero while waiting
	Status   int       // of the last answer; 0 for none
	Error    string
	Change   packhouse.Change
}

// NewDelivery is a delivery to insert.
type NewDelivery struct {
	ChangeID int64
	Line     string
}

// InsertDeliveries makes deliveries that are due at once, in their order.
func (tx *Tx) InsertDeliveries(ctx context.Context, webhookID int64, list []NewDelivery, now time.Time) error {
	const q = `INSERT INTO deliveries (webhook_id, change_id, line, state, attempts, next_at, created_at, ended_at, status, error)
		VALUES ($1, $2, $3, $4, 0, $5, $5, $6, 0, '')`
	for _, d := range list {
		if _, err := tx.exec(ctx, q, webhookID, d.ChangeID, d.Line, packhouse.DeliveryWaiting, micros(now), micros(time.Time{})); err != nil {
			return err
		}
	}
	return nil
}

const selectDeliveries = `SELECT d.id, d.webhook_id, d.line, d.state, d.attempts, d.next_at, d.created_at, d.ended_at, d.status, d.error,
	c.* FROM deliveries d JOIN (` + selectChanges + `) c ON c.id = d.change_id`

// DueDeliveries returns at most limit deliveries of a webhook that are to be sent now,
// in order: of each line only the first that waits.
func (tx *Tx) DueDeliveries(ctx context.Context, webhookID int64, now time.Time, limit int) ([]DeliveryRow, error) {
	const q = selectDeliveries + ` WHERE d.webhook_id = $1 AND d.state = 'waiting' AND d.next_at <= $2 AND NOT EXISTS (
			SELECT 1 FROM deliveries e WHERE e.webhook_id = d.webhook_id AND e.line = d.line AND e.state = 'waiting' AND e.id < d.id)
		ORDER BY d.id LIMIT $3`
	return tx.deliveries(ctx, q, webhookID, micros(now), limit)
}

// Deliveries returns at most limit deliveries of a webhook, the newest first, before one
// with an id (0 for the first page); state "" for any.
func (tx *Tx) Deliveries(ctx context.Context, webhookID int64, state packhouse.DeliveryState, before int64, limit int) ([]DeliveryRow, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	const of = selectDeliveries + ` WHERE d.webhook_id = $1 AND d.id < $2 AND d.state = `
	const order, limited = ` ORDER BY 1 DESC`, ` LIMIT $3`
	if state != "" {
		return tx.deliveries(ctx, of+`$4`+order+limited, webhookID, before, limit, state)
	}
	// The list of each state is an index's own order.
	var each []string
	for _, s := range []string{`'waiting'`, `'delivered'`, `'dead'`} {
		each = append(each, tx.db.dialect.branch(of+s, `1 DESC`, `$3`))
	}
	return tx.deliveries(ctx, strings.Join(each, ` UNION ALL `)+order+limited, webhookID, before, limit)
}

func (tx *Tx) deliveries(ctx context.Context, q string, args ...any) ([]DeliveryRow, error) {
	return list(ctx, tx, q, args, func(rows *sql.Rows) (d DeliveryRow, err error) {
		dest := []any{&d.ID, &d.WebhookID, &d.Line, &d.State, &d.Attempts, moment{&d.Next}, moment{&d.Created}, moment{&d.Ended}, &d.Status, &d.Error}
		return d, rows.Scan(append(dest, changeDest(&d.Change)...)...)
	})
}

// CountWaiting returns how many deliveries of a webhook wait.
func (tx *Tx) CountWaiting(ctx context.Context, webhookID int64) (n int, err error) {
	const q = `SELECT count(*) FROM deliveries d WHERE d.webhook_id = $1 AND d.state = 'waiting'`
	err = tx.one(ctx, q, []any{webhookID}, &n)
	return n, err
}

// PutDelivery writes how far a delivery is: its state, attempts, times, status and
// error. One that is gone by now is no error.
func (tx *Tx) PutDelivery(ctx context.Context, d DeliveryRow) error {
	const q = `UPDATE deliveries SET state = $2, attempts = $3, next_at = $4, ended_at = $5, status = $6, error = $7 WHERE id = $1`
	_, err := tx.exec(ctx, q, d.ID, d.State, d.Attempts, micros(d.Next), micros(d.Ended), d.Status, d.Error)
	return err
}

// Redeliver makes deliveries of a webhook wait again, as if they were new: the one with
// an id, or with id 0 all that are dead. It returns how many.
func (tx *Tx) Redeliver(ctx context.Context, webhookID, id int64, now time.Time) (int64, error) {
	const set = `UPDATE deliveries SET state = 'waiting', attempts = 0, next_at = $2, created_at = $2, ended_at = $3, status = 0, error = '' WHERE webhook_id = $1 AND `
	none := micros(time.Time{})
	if id == 0 {
		return tx.exec(ctx, set+`state = 'dead'`, webhookID, micros(now), none)
	}
	return tx.exec(ctx, set+`id = $4 AND state <> 'waiting'`, webhookID, micros(now), none, id)
}

// PruneDeliveries drops at most limit deliveries of a webhook that ended before a time.
func (tx *Tx) PruneDeliveries(ctx context.Context, webhookID int64, before time.Time, limit int) (int64, error) {
	const q = `DELETE FROM deliveries WHERE id IN (SELECT d.id FROM deliveries d
		WHERE d.webhook_id = $1 AND d.state <> 'waiting' AND d.ended_at < $2 ORDER BY d.id LIMIT $3)`
	return tx.exec(ctx, q, webhookID, micros(before), limit)
}
