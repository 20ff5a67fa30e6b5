package catalog

import (
	"context"
	"database/sql"
	"time"
)

// PolicyVersionRow is one document that a managed policy has or had.
type PolicyVersionRow struct {
	Version  int64
	Document string
	Created  time.Time
}

func (tx *Tx) insertPolicyVersion(ctx context.Context, policyID, version int64, document string, at time.Time) error {
	const q = `INSERT INTO identity_policy_versions (policy_id, version, document, created_at) VALUES ($1, $2, $3, $4)`
	_, err := tx.exec(ctx, q, policyID, version, document, micros(at))
	return err
}

// InsertPolicyVersion adds a version to a policy and returns its number, which the policy
// never had before. It does not hold yet. Errors: ErrNotFound.
func (tx *Tx) InsertPolicyVersion(ctx context.Context, policyID int64, document string) (PolicyVersionRow, error) {
	const q = `UPDATE identity_policies SET last_version = last_version + 1 WHERE id = $1 RETURNING last_version`
	v := PolicyVersionRow{Document: document, Created: tx.db.now().UTC().Truncate(time.Microsecond)}
	if err := tx.one(ctx, q, []any{policyID}, &v.Version); err != nil {
		return v, err
	}
	return v, tx.insertPolicyVersion(ctx, policyID, v.Version, document, v.Created)
}

// PolicyVersions returns the versions of a policy, newest first.
func (tx *Tx) PolicyVersions(ctx context.Context, policyID int64) ([]PolicyVersionRow, error) {
	const q = `SELECT version, document, created_at FROM identity_policy_versions WHERE policy_id = $1 ORDER BY version DESC`
	return list(ctx, tx, q, []any{policyID}, func(rows *sql.Rows) (v PolicyVersionRow, err error) {
		return v, rows.Scan(&v.Version, &v.Document, moment{&v.Created})
	})
}

// SetDefaultPolicyVersion makes a version the one that holds. Errors: ErrNotFound for
// either.
func (tx *Tx) SetDefaultPolicyVersion(ctx context.Context, policyID, version int64) error {
	const read = `SELECT document FROM identity_policy_versions WHERE policy_id = $1 AND version = $2`
	const q = `UPDATE identity_policies SET document = $2, default_version = $3, updated_at = $4 WHERE id = $1`
	var document string
	if err := tx.one(ctx, read, []any{policyID, version}, &document); err != nil {
		return err
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, q, policyID, document, version, micros(tx.db.now())))
}

// DeletePolicyVersion removes a version that does not hold. Errors: ErrNotFound, also for
// the default version.
func (tx *Tx) DeletePolicyVersion(ctx context.Context, policyID, version int64) error {
	const q = `DELETE FROM identity_policy_versions WHERE policy_id = $1 AND version = $2
		AND NOT EXISTS (SELECT 1 FROM identity_policies WHERE id = $1 AND default_version = $2)`
	return tx.execOne(ctx, q, policyID, version)
}

// PrincipalsUnder returns those that a policy is attached to or is the boundary of.
func (tx *Tx) PrincipalsUnder(ctx context.Context, policyID int64) ([]PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM principals p
		WHERE p.boundary_id = $1 OR p.id IN (SELECT principal_id FROM policy_attachments WHERE policy_id = $1) ORDER BY p.id`
	return list(ctx, tx, q, []any{policyID}, func(rows *sql.Rows) (p PrincipalRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}
