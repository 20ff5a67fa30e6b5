package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

const selectChanges = `SELECT id, at, principal, request_id, door, kind, domain_id, repository_id, domain_owner, domain, repository,
	format, namespace, package, version, tag, revision_before, revision_after, status_before, status_after, sequence, dedup_id, detail FROM changes`

// Record appends a change to the ledger; it is delivered to OnCommit once durable.
// The catalog sets its ID.
func (tx *Tx) Record(ctx context.Context, c packhouse.Change) error {
	const q = `INSERT INTO changes (at, principal, request_id, door, kind, domain_id, repository_id, domain_owner, domain, repository,
			format, namespace, package, version, tag, revision_before, revision_after, status_before, status_after, sequence, dedup_id, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) RETURNING id`
	err := tx.one(ctx, q, []any{micros(c.At), c.Principal, c.RequestID, c.Door, c.Kind, c.DomainID, c.RepoID, c.Domain.Owner, c.Domain.Name, c.Repo,
		c.Package.Format, c.Package.Namespace, c.Package.Name, c.Version, c.Tag, c.RevisionBefore, c.RevisionAfter, c.StatusBefore, c.StatusAfter,
		c.Sequence, c.DedupID, c.Detail}, &c.ID)
	if err != nil {
		return err
	}
	tx.changes = append(tx.changes, c)
	return nil
}

// Changes returns at most limit settled changes after the one with an id (0 for the
// first): whatever commits later comes after them. That order is the order of ids on
// SQLite; on PostgreSQL, where a lower id may commit later, it is the order in which
// transactions began. Asking again after the last one returned misses none.
func (tx *Tx) Changes(ctx context.Context, afterID int64, limit int) ([]packhouse.Change, error) {
	return list(ctx, tx, tx.db.dialect.settled, []any{afterID, limit}, func(rows *sql.Rows) (c packhouse.Change, err error) {
		return c, rows.Scan(&c.ID, moment{&c.At}, &c.Principal, &c.RequestID, &c.Door, &c.Kind, &c.DomainID, &c.RepoID, &c.Domain.Owner, &c.Domain.Name, &c.Repo,
			&c.Package.Format, &c.Package.Namespace, &c.Package.Name, &c.Version, &c.Tag, &c.RevisionBefore, &c.RevisionAfter, &c.StatusBefore, &c.StatusAfter,
			&c.Sequence, &c.DedupID, &c.Detail)
	})
}
