package catalog

import (
	"context"
	"database/sql"
	"fmt"
)

// usageShards is over how many rows a domain's usage is spread, so that writers of
// different blobs seldom meet.
const usageShards = 16

// blobsOfRevision selects the blobs of revision $1.
const blobsOfRevision = `SELECT a.blob_id FROM assets a WHERE a.revision_id = $1`

// addReferences makes the blobs of a revision referenced and counts those that were
// not. A condemned blob is live again (reliability.md R14).
//
// Every row is written, referenced before or not: two transactions of which one adds
// and one drops a reference then meet at the row, and one of them is run again.
func (tx *Tx) addReferences(ctx context.Context, revisionID int64) error {
	const blobs = `SELECT b.id, b.domain_id, b.size, b.unreferenced_since IS NOT NULL, b.state = 'deleting' FROM blobs b
		WHERE b.id IN (` + blobsOfRevision + `) ORDER BY b.sha256`
	const mark = `UPDATE blobs SET unreferenced_since = NULL, state = 'live', marked_round = NULL WHERE id IN (` + blobsOfRevision + `)`
	if gained, all := tx.wrote.firstReferences(revisionID); all {
		return tx.addUsage(ctx, gained)
	}
	if err := tx.finish(ctx); err != nil { // the rows are asked now
		return err
	}
	var gained usage
	err := tx.each(ctx, tx.db.dialect.lock(blobs, "b"), []any{revisionID}, func(rows *sql.Rows) (bool, error) {
		var id, domainID, size int64
		var unreferenced, deleting bool
		if err := rows.Scan(&id, &domainID, &size, &unreferenced, &deleting); err != nil {
			return false, err
		}
		if deleting {
			return false, fmt.Errorf("blob %d is being deleted: %w", id, ErrNotFound)
		}
		if unreferenced {
			gained.add(domainID, id, size, 1)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, mark, revisionID); err != nil {
		return err
	}
	return tx.addUsage(ctx, gained)
}

// dropReferences looks at the blobs that a statement with parameter id selects, and
// discounts those that no live version refers to any more. The version rows have been
// changed before.
func (tx *Tx) dropReferences(ctx context.Context, blobs string, id int64) error {
	if err := tx.finish(ctx); err != nil {
		return err
	}
	var lost usage
	order := tx.db.dialect.lock(`SELECT b.id FROM blobs b WHERE b.id IN (`+blobs+`) ORDER BY b.sha256`, "b")
	if tx.db.dialect.concurrent() {
		if _, err := list(ctx, tx, order, []any{id}, scanID); err != nil {
			return err
		}
	}
	q := `UPDATE blobs SET unreferenced_since = CASE WHEN EXISTS (
			SELECT 1 FROM assets a JOIN versions v ON v.revision_id = a.revision_id
			WHERE a.blob_id = blobs.id AND v.deleted_at IS NULL AND v.status <> 'Disposed')
		THEN NULL ELSE CAST($2 AS BIGINT) END
		WHERE unreferenced_since IS NULL AND id IN (` + blobs + `)
		RETURNING id, domain_id, size, unreferenced_since IS NOT NULL`
	err := tx.each(ctx, q, []any{id, micros(tx.db.now())}, func(rows *sql.Rows) (bool, error) {
		var id, domainID, size int64
		var unreferenced bool
		if err := rows.Scan(&id, &domainID, &size, &unreferenced); err != nil {
			return false, err
		}
		if unreferenced {
			lost.add(domainID, id, -size, -1)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return tx.addUsage(ctx, lost)
}

// usage is a change of a domain's counters, by shard.
type usage struct {
	domainID int64
	rows     int
	bytes    [usageShards]int64
	blobs    [usageShards]int64
}

// add counts one blob; all blobs of one change are of one domain.
func (u *usage) add(domainID, blobID, bytes, blobs int64) {
	shard := blobID % usageShards
	u.domainID = domainID
	u.rows++
	u.bytes[shard] += bytes
	u.blobs[shard] += blobs
}

// addUsage writes a change with one statement.
func (tx *Tx) addUsage(ctx context.Context, u usage) error {
	if u.rows == 0 {
		return nil
	}
	var args []any
	for shard := range usageShards {
		if u.blobs[shard] != 0 {
			args = append(args, u.domainID, shard, u.bytes[shard], u.blobs[shard])
		}
	}
	q := `INSERT INTO domain_usage (domain_id, shard, bytes, blobs) VALUES ` + tuples(len(args)/4, 4) + `
		ON CONFLICT (domain_id, shard) DO UPDATE
		SET bytes = domain_usage.bytes + excluded.bytes, blobs = domain_usage.blobs + excluded.blobs`
	_, err := tx.exec(ctx, q, args...)
	return err
}
