package catalog

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// PrincipalRow is a user, role or robot.
type PrincipalRow struct {
	ID       int64
	Account  packhouse.AccountID
	Kind     packhouse.PrincipalKind
	Name     string
	ARN      string
	Disabled bool
	Epoch    int64 // token epoch
	Created  time.Time
	// SecondFactor reports whether the principal has one.
	SecondFactor bool
	Description  string
	Tags         []packhouse.ResourceTag // by key
	Trust        string                  // a role's trust policy
	MaxSession   time.Duration           // of a role's sessions; whole seconds, 0 for anybody else
	Path         string                  // begins and ends with a slash
	BoundaryID   int64                   // policy that is the permissions boundary; 0 for none
}

// IdentityRef names the principal.
func (p PrincipalRow) IdentityRef() packhouse.IdentityRef {
	return packhouse.IdentityRef{Account: p.Account, Kind: p.Kind, Name: p.Name, Path: p.Path}
}

const principalColumns = `p.id, p.account_id, p.kind, p.name, p.arn, p.disabled_at IS NOT NULL, p.token_epoch, p.created_at,
	EXISTS (SELECT 1 FROM second_factors f WHERE f.principal_id = p.id), p.description, p.tags, COALESCE(p.trust_policy, ''), p.max_session,
	p.path, COALESCE(p.boundary_id, 0)`

// scan returns the destinations of principalColumns.
func (p *PrincipalRow) scan() []any {
	return []any{&p.ID, &p.Account, &p.Kind, &p.Name, &p.ARN, &p.Disabled, &p.Epoch, moment{&p.Created}, &p.SecondFactor,
		&p.Description, document{&p.Tags}, &p.Trust, seconds{&p.MaxSession}, &p.Path, &p.BoundaryID}
}

// IdentityEpoch returns a number that every write of a principal, access key, token or
// policy raises in its own transaction (reliability.md S9).
func (tx *Tx) IdentityEpoch(ctx context.Context) (int64, error) {
	const q = `SELECT value FROM epochs WHERE name = 'identity'`
	var epoch int64
	err := tx.one(ctx, q, nil, &epoch)
	return epoch, err
}

// identityChanged passes on the error of an identity write, and raises the epoch if
// there is none.
func (tx *Tx) identityChanged(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	const q = `UPDATE epochs SET value = value + 1 WHERE name = 'identity'`
	return tx.execOne(ctx, q)
}

// InsertPrincipal adds a principal; names of one account and kind differ in more than
// case. Errors: ErrExists.
func (tx *Tx) InsertPrincipal(ctx context.Context, p PrincipalRow) (int64, error) {
	const q = `INSERT INTO principals (account_id, kind, name, name_key, arn, disabled_at, token_epoch, created_at,
			description, tags, trust_policy, max_session, path, boundary_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING RETURNING id`
	var disabled any
	if p.Disabled {
		disabled = micros(tx.db.now())
	}
	id, err := tx.insert(ctx, q, p.Account, p.Kind, p.Name, strings.ToLower(p.Name), p.ARN, disabled, p.Epoch, micros(p.Created),
		p.Description, toDocument(p.Tags), p.Trust, int64(p.MaxSession/time.Second), p.Path, p.boundary())
	return id, tx.identityChanged(ctx, err)
}

// boundary is the value of principals.boundary_id.
func (p PrincipalRow) boundary() any {
	if p.BoundaryID == 0 {
		return nil
	}
	return p.BoundaryID
}

// Principal returns a principal by id. Errors: ErrNotFound.
func (tx *Tx) Principal(ctx context.Context, id int64) (PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM principals p WHERE p.id = $1`
	var p PrincipalRow
	err := tx.one(ctx, q, []any{id}, p.scan()...)
	return p, err
}

// PrincipalByName returns a principal by its exact name. Errors: ErrNotFound.
func (tx *Tx) PrincipalByName(ctx context.Context, a packhouse.AccountID, k packhouse.PrincipalKind, name string) (PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM principals p
		WHERE p.account_id = $1 AND p.kind = $2 AND p.name_key = $3 AND p.name = $4`
	var p PrincipalRow
	err := tx.one(ctx, q, []any{a, k, strings.ToLower(name), name}, p.scan()...)
	return p, err
}

// Principals returns an account's principals by kind and name.
func (tx *Tx) Principals(ctx context.Context, a packhouse.AccountID) ([]PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM principals p WHERE p.account_id = $1 ORDER BY p.kind, p.name_key`
	return list(ctx, tx, q, []any{a}, func(rows *sql.Rows) (p PrincipalRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}

// PrincipalsAfter returns a page of an account's principals of one kind by the lower
// case of their names, after the name given; "" begins. Their paths begin with prefix.
func (tx *Tx) PrincipalsAfter(ctx context.Context, a packhouse.AccountID, k packhouse.PrincipalKind, prefix, after string, limit int) ([]PrincipalRow, error) {
	const q = `SELECT ` + principalColumns + ` FROM principals p
		WHERE p.account_id = $1 AND p.kind = $2 AND p.name_key > $3 AND substr(p.path, 1, $4) = $5 ORDER BY p.name_key LIMIT $6`
	return list(ctx, tx, q, []any{a, k, strings.ToLower(after), len(prefix), prefix, limit}, func(rows *sql.Rows) (p PrincipalRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}

// CountPrincipals counts an account's principals of one kind.
func (tx *Tx) CountPrincipals(ctx context.Context, a packhouse.AccountID, k packhouse.PrincipalKind) (n int, err error) {
	const q = `SELECT COUNT(*) FROM principals WHERE account_id = $1 AND kind = $2`
	err = tx.one(ctx, q, []any{a, k}, &n)
	return n, err
}

// UpdatePrincipal stores name, path, ARN, description, tags, trust policy, longest session
// and permissions boundary of p.ID. Errors: ErrExists where another principal has the name; ErrNotFound.
func (tx *Tx) UpdatePrincipal(ctx context.Context, p PrincipalRow) error {
	const taken = `SELECT EXISTS (SELECT 1 FROM principals WHERE account_id = $1 AND kind = $2 AND name_key = $3 AND id <> $4)`
	const q = `UPDATE principals SET name = $2, name_key = $3, arn = $4, description = $5, tags = $6, trust_policy = $7, max_session = $8,
			path = $9, boundary_id = $10 WHERE id = $1`
	key, exists := strings.ToLower(p.Name), false
	if err := tx.one(ctx, taken, []any{p.Account, p.Kind, key, p.ID}, &exists); err != nil {
		return err
	}
	if exists {
		return ErrExists
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, q, p.ID, p.Name, key, p.ARN, p.Description, toDocument(p.Tags), p.Trust, int64(p.MaxSession/time.Second),
		p.Path, p.boundary()))
}

// DisablePrincipal disables or enables a principal, and raises its token epoch so that
// sealed tokens made before end (reliability.md S8). Errors: ErrNotFound.
func (tx *Tx) DisablePrincipal(ctx context.Context, id int64, disabled bool) error {
	const q = `UPDATE principals SET disabled_at = CASE WHEN $2 = 1 THEN CAST($3 AS BIGINT) END, token_epoch = token_epoch + 1 WHERE id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, id, flag(disabled), micros(tx.db.now())))
}

// DeletePrincipal removes a principal with its access keys, tokens, second factor,
// policies, policy attachments and memberships. Its id is never used again (reliability.md S15). Errors: ErrNotFound.
func (tx *Tx) DeletePrincipal(ctx context.Context, id int64) error {
	for _, q := range []string{
		`DELETE FROM access_keys WHERE principal_id = $1`,
		`DELETE FROM tokens WHERE principal_id = $1`,
		`DELETE FROM policy_attachments WHERE principal_id = $1`,
		`DELETE FROM inline_policies WHERE principal_id = $1`,
		`DELETE FROM group_members WHERE principal_id = $1`,
		`DELETE FROM group_members WHERE group_id = $1`,
		`DELETE FROM package_stars WHERE principal_id = $1`,
		`DELETE FROM second_factors WHERE principal_id = $1`,
	} {
		if _, err := tx.exec(ctx, q, id); err != nil {
			return err
		}
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, `DELETE FROM principals WHERE id = $1`, id))
}
