package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// DomainRow is a domain as stored.
type DomainRow struct {
	ID      int64
	Ref     packhouse.DomainRef
	KeyARN  string
	Key     packhouse.KeyRef
	Mode    string // "sealed" today
	Bucket  string
	Created time.Time
}

const selectDomains = `SELECT d.id, d.account_id, d.name, d.key_arn, d.key_id, d.keyset, d.mode, d.bucket_name, d.created_at FROM domains d`

func scanDomain(rows *sql.Rows) (d DomainRow, err error) {
	err = rows.Scan(&d.ID, &d.Ref.Owner, &d.Ref.Name, &d.KeyARN, &d.Key.KeyID, &d.Key.Keyset, &d.Mode, &d.Bucket, moment{&d.Created})
	d.Key.DomainID = d.ID
	return d, err
}

func (tx *Tx) domain(ctx context.Context, q string, args ...any) (DomainRow, error) {
	rows, err := list(ctx, tx, q, args, scanDomain)
	if err != nil {
		return DomainRow{}, err
	}
	if len(rows) == 0 {
		return DomainRow{}, ErrNotFound
	}
	return rows[0], nil
}

// InsertDomain adds a domain with its usage counters and its root package group, and
// returns its id. Errors: ErrExists.
func (tx *Tx) InsertDomain(ctx context.Context, d DomainRow) (int64, error) {
	const q = `INSERT INTO domains (account_id, name, key_arn, key_id, keyset, mode, bucket_name, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id`
	const usage = `INSERT INTO domain_usage (domain_id, shard, bytes, blobs)
		WITH RECURSIVE shards (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM shards WHERE n < $2 - 1)
		SELECT d.id, s.n, 0, 0 FROM domains d CROSS JOIN shards s WHERE d.id = $1`
	const group = `INSERT INTO package_groups (domain_id, pattern, folded_pattern, specificity, publish, external, internal, created_at)
		VALUES ($1, '/*', '/*', 0, 'ALLOW', 'ALLOW', 'ALLOW', $2)`
	id, err := tx.insert(ctx, q, d.Ref.Owner, d.Ref.Name, d.KeyARN, d.Key.KeyID, d.Key.Keyset, d.Mode, d.Bucket, micros(d.Created))
	if err != nil {
		return 0, err
	}
	if _, err := tx.exec(ctx, usage, id, usageShards); err != nil {
		return 0, err
	}
	_, err = tx.exec(ctx, group, id, micros(d.Created))
	return id, err
}

// Domain returns a domain by name. Errors: ErrNotFound.
func (tx *Tx) Domain(ctx context.Context, ref packhouse.DomainRef) (DomainRow, error) {
	return tx.domain(ctx, selectDomains+` WHERE d.account_id = $1 AND d.name = $2 AND d.deleted_at IS NULL`, ref.Owner, ref.Name)
}

// DomainByID returns a domain by id. Errors: ErrNotFound.
func (tx *Tx) DomainByID(ctx context.Context, id int64) (DomainRow, error) {
	return tx.domain(ctx, selectDomains+` WHERE d.id = $1 AND d.deleted_at IS NULL`, id)
}

// Domains returns at most limit domains of an account whose names come after the
// given one, by name.
func (tx *Tx) Domains(ctx context.Context, owner packhouse.AccountID, after string, limit int) ([]DomainRow, error) {
	const q = selectDomains + ` WHERE d.account_id = $1 AND d.name > $2 AND d.deleted_at IS NULL ORDER BY d.name LIMIT $3`
	return list(ctx, tx, q, []any{owner, after, limit}, scanDomain)
}

// CountDomains returns how many domains an account has.
func (tx *Tx) CountDomains(ctx context.Context, owner packhouse.AccountID) (int, error) {
	const q = `SELECT count(*) FROM domains WHERE account_id = $1 AND deleted_at IS NULL`
	var n int
	err := tx.one(ctx, q, []any{owner}, &n)
	return n, err
}

// DeleteDomain buries a domain; its name is free at once, its tags, policy, blocks and package groups die. That it is
// empty is the caller's check. Errors: ErrNotFound.
func (tx *Tx) DeleteDomain(ctx context.Context, id int64) error {
	if err := tx.serialize(); err != nil {
		return err
	}
	const q = `UPDATE domains SET deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL`
	const tags = `DELETE FROM resource_tags WHERE kind = 'domain' AND resource_id = $1`
	const policy = `DELETE FROM resource_policies WHERE kind = 'domain' AND resource_id = $1`
	if err := tx.execOne(ctx, q, id, micros(tx.db.now())); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, tags, id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, policy, id); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `DELETE FROM blocks WHERE domain_id = $1`, id); err != nil {
		return err
	}
	return tx.deletePackageGroups(ctx, id)
}

// DomainUsage returns the sum of the sizes of the distinct blobs that versions of the
// domain refer to, and how many repositories it has. Errors: ErrNotFound.
func (tx *Tx) DomainUsage(ctx context.Context, id int64) (bytes int64, repositories int, err error) {
	const q = `SELECT coalesce((SELECT sum(u.bytes) FROM domain_usage u WHERE u.domain_id = d.id), 0),
			(SELECT count(*) FROM repositories r WHERE r.domain_id = d.id AND r.deleted_at IS NULL)
		FROM domains d WHERE d.id = $1 AND d.deleted_at IS NULL`
	err = tx.one(ctx, q, []any{id}, &bytes, &repositories)
	return bytes, repositories, err
}
