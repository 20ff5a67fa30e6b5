package catalog

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// RightsOf returns every identity policy that holds for a principal: attached and
// inline, its own and those of its groups. A policy that comes in two ways is there
// once. Inline ones have the id 0; paths are left out.
func (tx *Tx) RightsOf(ctx context.Context, principalID int64) ([]PolicyRow, error) {
	const q = `WITH holders AS (
			SELECT CAST($1 AS BIGINT) AS id UNION SELECT group_id FROM group_members WHERE principal_id = $1)
		SELECT i.id, i.account_id, i.name, i.document FROM identity_policies i
			WHERE i.id IN (SELECT a.policy_id FROM policy_attachments a JOIN holders h ON h.id = a.principal_id)
		UNION ALL
		SELECT 0, p.account_id, p.kind || '/' || p.name || '/' || l.name, l.document
			FROM inline_policies l JOIN holders h ON h.id = l.principal_id JOIN principals p ON p.id = l.principal_id
		ORDER BY 3, 1`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (p PolicyRow, err error) {
		return p, rows.Scan(&p.ID, &p.Account, &p.Name, &p.Document)
	})
}

// InlinePolicyRow is a policy document that belongs to one user, group or role.
type InlinePolicyRow struct {
	Name, Document string
}

// PutInlinePolicy adds or replaces a document of a principal.
func (tx *Tx) PutInlinePolicy(ctx context.Context, principalID int64, p InlinePolicyRow) error {
	const q = `INSERT INTO inline_policies (principal_id, name, document, updated_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (principal_id, name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at`
	_, err := tx.exec(ctx, q, principalID, p.Name, p.Document, micros(tx.db.now()))
	return tx.identityChanged(ctx, err)
}

// InlinePolicies returns a principal's own documents by name.
func (tx *Tx) InlinePolicies(ctx context.Context, principalID int64) ([]InlinePolicyRow, error) {
	const q = `SELECT name, document FROM inline_policies WHERE principal_id = $1 ORDER BY name`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (p InlinePolicyRow, err error) {
		return p, rows.Scan(&p.Name, &p.Document)
	})
}

// DeleteInlinePolicy removes a document of a principal. Errors: ErrNotFound.
func (tx *Tx) DeleteInlinePolicy(ctx context.Context, principalID int64, name string) error {
	const q = `DELETE FROM inline_policies WHERE principal_id = $1 AND name = $2`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, principalID, name))
}

// ManagedPolicyRow is a policy that can be attached, with what lists show of it.
type ManagedPolicyRow struct {
	PolicyRow
	Description      string
	Tags             []packhouse.ResourceTag // by key
	Created, Updated time.Time
	Attachments      int
	Boundaries       int   // identities whose permissions boundary it is
	Version          int64 // the default version, whose document holds
}

const selectManaged = `SELECT i.id, i.account_id, i.name, i.path, i.document, i.description, i.tags, i.created_at, i.updated_at,
	(SELECT COUNT(*) FROM policy_attachments a WHERE a.policy_id = i.id),
	(SELECT COUNT(*) FROM principals p WHERE p.boundary_id = i.id), i.default_version FROM identity_policies i`

func (p *ManagedPolicyRow) scan() []any {
	return []any{&p.ID, &p.Account, &p.Name, &p.Path, &p.Document, &p.Description, document{&p.Tags}, moment{&p.Created}, moment{&p.Updated},
		&p.Attachments, &p.Boundaries, &p.Version}
}

// InsertPolicy adds a policy that can be attached, with its document as version 1; names
// of one account differ in more than case, whatever their paths are. Errors: ErrExists.
func (tx *Tx) InsertPolicy(ctx context.Context, p ManagedPolicyRow) (int64, error) {
	const taken = `SELECT EXISTS (SELECT 1 FROM identity_policies WHERE account_id = $1 AND LOWER(name) = $2)`
	const q = `INSERT INTO identity_policies (account_id, name, path, document, description, tags, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING RETURNING id`
	var exists bool
	if err := tx.one(ctx, taken, []any{p.Account, strings.ToLower(p.Name)}, &exists); err != nil {
		return 0, err
	}
	if exists {
		return 0, ErrExists
	}
	id, err := tx.insert(ctx, q, p.Account, p.Name, p.Path, p.Document, p.Description, toDocument(p.Tags), micros(p.Created))
	if err == nil {
		err = tx.insertPolicyVersion(ctx, id, 1, p.Document, p.Created)
	}
	return id, tx.identityChanged(ctx, err)
}

// PolicyByName returns an account's policy. Errors: ErrNotFound.
func (tx *Tx) PolicyByName(ctx context.Context, a packhouse.AccountID, name string) (ManagedPolicyRow, error) {
	const q = selectManaged + ` WHERE i.account_id = $1 AND i.name = $2`
	var p ManagedPolicyRow
	err := tx.one(ctx, q, []any{a, name}, p.scan()...)
	return p, err
}

// ManagedPolicies returns a page of an account's policies by name, after the one given.
// Their paths begin with prefix.
func (tx *Tx) ManagedPolicies(ctx context.Context, a packhouse.AccountID, prefix, after string, limit int) ([]ManagedPolicyRow, error) {
	const q = selectManaged + ` WHERE i.account_id = $1 AND i.name > $2 AND substr(i.path, 1, $3) = $4 ORDER BY i.name LIMIT $5`
	return list(ctx, tx, q, []any{a, after, len(prefix), prefix, limit}, func(rows *sql.Rows) (p ManagedPolicyRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}

// CountPolicies counts an account's policies.
func (tx *Tx) CountPolicies(ctx context.Context, a packhouse.AccountID) (n int, err error) {
	const q = `SELECT COUNT(*) FROM identity_policies WHERE account_id = $1`
	err = tx.one(ctx, q, []any{a}, &n)
	return n, err
}

// SetPolicyTags replaces a policy's tags. Errors: ErrNotFound.
func (tx *Tx) SetPolicyTags(ctx context.Context, id int64, tags []packhouse.ResourceTag) error {
	const q = `UPDATE identity_policies SET tags = $2 WHERE id = $1`
	return tx.execOne(ctx, q, id, toDocument(tags))
}

// DeletePolicy removes a policy with its versions, which is attached to nobody and is
// nobody's boundary. Errors: ErrNotFound, also where it is in use.
func (tx *Tx) DeletePolicy(ctx context.Context, id int64) error {
	const versions = `DELETE FROM identity_policy_versions WHERE policy_id = $1 AND NOT EXISTS (SELECT 1 FROM policy_attachments WHERE policy_id = $1)
		AND NOT EXISTS (SELECT 1 FROM principals WHERE boundary_id = $1)`
	const q = `DELETE FROM identity_policies WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM policy_attachments WHERE policy_id = $1)
		AND NOT EXISTS (SELECT 1 FROM principals WHERE boundary_id = $1)`
	if _, err := tx.exec(ctx, versions, id); err != nil {
		return err
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, q, id))
}

// DetachPolicy takes a policy from a principal. Errors: ErrNotFound.
func (tx *Tx) DetachPolicy(ctx context.Context, policyID, principalID int64) error {
	const q = `DELETE FROM policy_attachments WHERE policy_id = $1 AND principal_id = $2`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, policyID, principalID))
}
