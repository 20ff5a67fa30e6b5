package catalog

import (
	"context"
	"database/sql"
	"errors"

	"github.com/packhouse/packhouse"
)

// PolicyRow is an identity policy document.
type PolicyRow struct {
	ID       int64
	Account  packhouse.AccountID
	Name     string
	Path     string // begins and ends with a slash
	Document string
}

// PutPolicy adds the policy of (account, name) or replaces its document, and returns
// its id. Errors: ErrExhausted.
func (tx *Tx) PutPolicy(ctx context.Context, p PolicyRow) (int64, error) {
	// Not an upsert: PostgreSQL would use up an identifier for each replacement.
	const replace = `UPDATE identity_policies SET document = $3, updated_at = $4 WHERE account_id = $1 AND name = $2 RETURNING id`
	const insert = `INSERT INTO identity_policies (account_id, name, document, updated_at, created_at) VALUES ($1, $2, $3, $4, $4) RETURNING id`
	args := []any{p.Account, p.Name, p.Document, micros(tx.db.now())}
	var id int64
	err := tx.one(ctx, replace, args, &id)
	if errors.Is(err, ErrNotFound) {
		err = tx.one(ctx, insert, args, &id)
	}
	return id, tx.identityChanged(ctx, err)
}

// AttachPolicy gives a principal a policy; repeating it changes nothing.
func (tx *Tx) AttachPolicy(ctx context.Context, policyID, principalID int64) error {
	const q = `INSERT INTO policy_attachments (principal_id, policy_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	_, err := tx.exec(ctx, q, principalID, policyID)
	return tx.identityChanged(ctx, err)
}

// PoliciesOf returns the policies attached to a principal, by name.
func (tx *Tx) PoliciesOf(ctx context.Context, principalID int64) ([]PolicyRow, error) {
	const q = `SELECT i.id, i.account_id, i.name, i.path, i.document
		FROM policy_attachments a JOIN identity_policies i ON i.id = a.policy_id
		WHERE a.principal_id = $1 ORDER BY i.name, i.id`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (p PolicyRow, err error) {
		return p, rows.Scan(&p.ID, &p.Account, &p.Name, &p.Path, &p.Document)
	})
}

// PolicyByID returns a policy. Errors: ErrNotFound.
func (tx *Tx) PolicyByID(ctx context.Context, id int64) (p PolicyRow, err error) {
	const q = `SELECT id, account_id, name, path, document FROM identity_policies WHERE id = $1`
	err = tx.one(ctx, q, []any{id}, &p.ID, &p.Account, &p.Name, &p.Path, &p.Document)
	return p, err
}
