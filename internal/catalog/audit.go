package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

const auditColumns = `at, event_id, door, name, read_only, principal, client, agent, request_id, method, path, resource, version, administrator, status, error, message, decision`

// auditWidth is the number of auditColumns, auditRows how many records one statement
// takes at most.
const (
	auditWidth = 18
	auditRows  = 64
)

// AppendAudit adds records to the audit log, in their order. There is no other write: the
// engine refuses to change or remove one (reliability.md S40).
func (tx *Tx) AppendAudit(ctx context.Context, records []packhouse.AuditRecord) error {
	for len(records) > 0 {
		n := min(len(records), auditRows)
		args := make([]any, 0, n*auditWidth)
		for i := range records[:n] {
			r := &records[i]
			args = append(args, micros(r.At), r.EventID, r.Door, r.Name, flag(r.ReadOnly), r.Principal, r.Client, r.Agent, r.RequestID,
				r.Method, r.Path, r.Resource, r.Version, r.Administrator, r.Status, r.Error, r.Message, r.Decision)
		}
		if _, err := tx.execOnce(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES `+tuples(n, auditWidth), args...); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// Audit returns at most limit records of the audit log after the one with an id, 0 for
// the first, in their order.
func (tx *Tx) Audit(ctx context.Context, afterID int64, limit int) ([]packhouse.AuditRecord, error) {
	const q = `SELECT id, ` + auditColumns + ` FROM audit WHERE id > $1 ORDER BY id LIMIT $2`
	return list(ctx, tx, q, []any{afterID, limit}, func(rows *sql.Rows) (r packhouse.AuditRecord, err error) {
		var readOnly int
		err = rows.Scan(&r.ID, moment{&r.At}, &r.EventID, &r.Door, &r.Name, &readOnly, &r.Principal, &r.Client, &r.Agent, &r.RequestID,
			&r.Method, &r.Path, &r.Resource, &r.Version, &r.Administrator, &r.Status, &r.Error, &r.Message, &r.Decision)
		r.ReadOnly = readOnly == 1
		return r, err
	})
}

// auditDisorder is how many records may lie between one and those that were made before
// it and written after it: records are written in batches, each in the order in which
// requests ended.
const auditDisorder = 2000

// AuditBefore returns the id of the last record before the first one made at a time or
// later; 0 for none. Audit after it begins there. It looks at auditDisorder records.
func (tx *Tx) AuditBefore(ctx context.Context, at time.Time) (id int64, err error) {
	const q = `SELECT COALESCE((SELECT MIN(f.id) - 1 FROM (SELECT a.id FROM audit a WHERE a.at >= $1 ORDER BY a.at LIMIT $2) f),
		(SELECT MAX(a.id) FROM audit a), 0)`
	err = tx.one(ctx, q, []any{micros(at), auditDisorder}, &id)
	return id, err
}
