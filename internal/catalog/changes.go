package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
)

const selectChanges = `SELECT id, at, principal, request_id, door, kind, domain_id, repository_id, domain_owner, domain, repository,
	format, namespace, package, version, tag, revision_before, revision_after, status_before, status_after, sequence, dedup_id, detail,
	assets_added, assets_removed, assets_updated, metadata_updated = 1,
	coalesce((SELECT r.admin_account FROM repositories r WHERE r.id = changes.repository_id), '') FROM changes`

// Record appends changes to the ledger, in their order; they are delivered to OnCommit
// once durable. The catalog sets their IDs.
func (tx *Tx) Record(ctx context.Context, changes ...packhouse.Change) error {
	const batch = 8 // in one statement; each number is a text that stays prepared
	for len(changes) > 0 {
		n := min(len(changes), batch)
		if err := tx.record(ctx, changes[:n]); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

func (tx *Tx) record(ctx context.Context, changes []packhouse.Change) error {
	const q = `INSERT INTO changes (at, principal, request_id, door, kind, domain_id, repository_id, domain_owner, domain, repository,
			format, namespace, package, version, tag, revision_before, revision_after, status_before, status_after, sequence, dedup_id, detail,
			assets_added, assets_removed, assets_updated, metadata_updated) VALUES `
	const width = 26
	args := make([]any, 0, width*len(changes))
	for _, c := range changes {
		args = append(args, micros(c.At), c.Principal, c.RequestID, c.Door, c.Kind, c.DomainID, c.RepoID, c.Domain.Owner, c.Domain.Name, c.Repo,
			c.Package.Format, c.Package.Namespace, c.Package.Name, c.Version, c.Tag, c.RevisionBefore, c.RevisionAfter, c.StatusBefore, c.StatusAfter,
			c.Sequence, c.DedupID, c.Detail, c.AssetsAdded, c.AssetsRemoved, c.AssetsUpdated, flag(c.MetadataUpdated))
	}
	ids, err := list(ctx, tx, q+tuples(len(changes), width)+` RETURNING id`, args, scanID)
	if err != nil {
		return err
	}
	slices.Sort(ids) // they were given in order, but may be returned in any
	for i, c := range changes {
		c.ID = ids[i]
		tx.changes = append(tx.changes, c)
	}
	return nil
}

// Changes returns at most limit settled changes after the one with an id (0 for the
// first): whatever commits later comes after them. That order is the order of ids on
// SQLite; on PostgreSQL, where a lower id may commit later, it is the order in which
// transactions began. Asking again after the last one returned misses none.
func (tx *Tx) Changes(ctx context.Context, afterID int64, limit int) ([]packhouse.Change, error) {
	return list(ctx, tx, tx.db.dialect.settled, []any{afterID, limit}, scanChange)
}

func scanChange(rows *sql.Rows) (c packhouse.Change, err error) {
	return c, rows.Scan(changeDest(&c)...)
}

// changeDest returns the destinations of selectChanges' columns.
func changeDest(c *packhouse.Change) []any {
	return []any{&c.ID, moment{&c.At}, &c.Principal, &c.RequestID, &c.Door, &c.Kind, &c.DomainID, &c.RepoID, &c.Domain.Owner, &c.Domain.Name, &c.Repo,
		&c.Package.Format, &c.Package.Namespace, &c.Package.Name, &c.Version, &c.Tag, &c.RevisionBefore, &c.RevisionAfter, &c.StatusBefore, &c.StatusAfter,
		&c.Sequence, &c.DedupID, &c.Detail, &c.AssetsAdded, &c.AssetsRemoved, &c.AssetsUpdated, &c.MetadataUpdated, &c.Administrator}
}

// LatestChange returns the id of the last settled change, 0 before the first: Changes
// after it returns what settles from now on.
func (tx *Tx) LatestChange(ctx context.Context) (id int64, err error) {
	err = tx.one(ctx, tx.db.dialect.latest, nil, &id)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	return id, err
}

// ChangeBefore returns the id of a change behind which lie all that were made at a time
// or later, 0 for the first. It halves the ledger, so it is right as far as the clock
// never went back; changes a little older may follow it too.
func (tx *Tx) ChangeBefore(ctx context.Context, at time.Time) (int64, error) {
	const newest = `SELECT coalesce(max(c.id), 0) FROM changes c`
	const probe = `SELECT c.id, c.at FROM changes c WHERE c.id <= $1 ORDER BY c.id DESC LIMIT 1`
	var high int64
	if err := tx.one(ctx, newest, nil, &high); err != nil {
		return 0, err
	}
	low := int64(0) // every change up to low is older
	for low < high {
		middle := low + (high-low+1)/2
		var id int64
		var was time.Time
		err := tx.one(ctx, probe, []any{middle}, &id, moment{&was})
		switch {
		case errors.Is(err, ErrNotFound):
			low = middle
		case err != nil:
			return 0, err
		case was.Before(at):
			low = middle
		default:
			high = id - 1
		}
	}
	return low, nil
}
