package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// AccessKeyRow is a signing credential. Secret is opened; never log it.
type AccessKeyRow struct {
	ID        string
	Principal PrincipalRow
	Secret    string
	Active    bool
	Created   time.Time
}

// TokenRow is a long-lived token; only its SHA-256 is stored.
type TokenRow struct {
	ID        int64
	PublicID  string
	SHA256    []byte
	Principal PrincipalRow
	Kind      string
	Name      string
	ReadOnly  bool
	Enabled   bool
	Expires   time.Time // zero for never
	Created   time.Time
}

// scopeReadOnly is what tokens.scopes holds for a token that may only read.
const scopeReadOnly = "read"

// InsertAccessKey adds an access key of k.Principal.ID. The secret is sealed under the
// installation's keyset. Errors: ErrExists.
func (tx *Tx) InsertAccessKey(ctx context.Context, k AccessKeyRow) error {
	const q = `INSERT INTO access_keys (id, principal_id, secret, active, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	secret, err := tx.seal(ctx, packhouse.KeyRef{}, "access_keys.secret", k.ID, []byte(k.Secret))
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, q, k.ID, k.Principal.ID, secret, flag(k.Active), micros(k.Created))
	if err == nil && n == 0 {
		err = ErrExists
	}
	return tx.identityChanged(ctx, err)
}

// AccessKey returns an access key with its principal. Errors: ErrNotFound.
func (tx *Tx) AccessKey(ctx context.Context, id string) (AccessKeyRow, error) {
	const q = `SELECT k.id, k.secret, k.active, k.created_at, ` + principalColumns + `
		FROM access_keys k JOIN principals p ON p.id = k.principal_id WHERE k.id = $1`
	var k AccessKeyRow
	var sealed []byte
	dest := append([]any{&k.ID, &sealed, &k.Active, moment{&k.Created}}, k.Principal.scan()...)
	if err := tx.one(ctx, q, []any{id}, dest...); err != nil {
		return k, err
	}
	secret, err := tx.unseal(ctx, packhouse.KeyRef{}, "access_keys.secret", k.ID, sealed)
	k.Secret = string(secret)
	return k, err
}

// SetAccessKeyActive switches an access key on or off. Errors: ErrNotFound.
func (tx *Tx) SetAccessKeyActive(ctx context.Context, id string, active bool) error {
	const q = `UPDATE access_keys SET active = $2 WHERE id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, id, flag(active)))
}

// AccessKeys returns a principal's access keys, oldest first.
func (tx *Tx) AccessKeys(ctx context.Context, principalID int64) ([]packhouse.AccessKey, error) {
	const q = `SELECT id, active, created_at, last_used_at, last_service FROM access_keys WHERE principal_id = $1 ORDER BY created_at, id`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (k packhouse.AccessKey, err error) {
		return k, rows.Scan(&k.ID, &k.Active, moment{&k.Created}, moment{&k.LastUsed}, &k.Service)
	})
}

// DeleteAccessKey removes an access key. Errors: ErrNotFound.
func (tx *Tx) DeleteAccessKey(ctx context.Context, id string) error {
	const q = `DELETE FROM access_keys WHERE id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, id))
}

// AccessKeyUsed notes when and for what an access key was last used; one that is gone or
// was used later is left alone. It changes no rights, so the epoch stays.
func (tx *Tx) AccessKeyUsed(ctx context.Context, id, service string, at time.Time) error {
	const q = `UPDATE access_keys SET last_used_at = $2, last_service = $3 WHERE id = $1 AND last_used_at < $2`
	_, err := tx.exec(ctx, q, id, micros(at), service)
	return err
}

// InsertToken adds a token of t.Principal.ID. Errors: ErrExists.
func (tx *Tx) InsertToken(ctx context.Context, t TokenRow) error {
	const q = `INSERT INTO tokens (public_id, sha256, principal_id, kind, name, scopes, enabled, expires_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id`
	scopes := ""
	if t.ReadOnly {
		scopes = scopeReadOnly
	}
	_, err := tx.insert(ctx, q, t.PublicID, t.SHA256, t.Principal.ID, t.Kind, t.Name, scopes, flag(t.Enabled), micros(t.Expires), micros(t.Created))
	return tx.identityChanged(ctx, err)
}

const selectTokens = `SELECT t.id, t.public_id, t.sha256, t.kind, t.name, t.scopes = 'read', t.enabled, t.expires_at, t.created_at, ` +
	principalColumns + ` FROM tokens t JOIN principals p ON p.id = t.principal_id`

// scan returns the destinations of selectTokens.
func (t *TokenRow) scan() []any {
	return append([]any{&t.ID, &t.PublicID, &t.SHA256, &t.Kind, &t.Name, &t.ReadOnly, &t.Enabled, moment{&t.Expires}, moment{&t.Created}},
		t.Principal.scan()...)
}

// TokenByPublicID returns a token with its principal. Errors: ErrNotFound.
func (tx *Tx) TokenByPublicID(ctx context.Context, publicID string) (TokenRow, error) {
	const q = selectTokens + ` WHERE t.public_id = $1`
	var t TokenRow
	err := tx.one(ctx, q, []any{publicID}, t.scan()...)
	return t, err
}

// Tokens returns a principal's tokens, oldest first.
func (tx *Tx) Tokens(ctx context.Context, principalID int64) ([]TokenRow, error) {
	const q = selectTokens + ` WHERE t.principal_id = $1 ORDER BY t.id`
	return list(ctx, tx, q, []any{principalID}, func(rows *sql.Rows) (t TokenRow, err error) {
		return t, rows.Scan(t.scan()...)
	})
}

// DisableToken ends a token. Errors: ErrNotFound.
func (tx *Tx) DisableToken(ctx context.Context, publicID string) error {
	const q = `UPDATE tokens SET enabled = 0 WHERE public_id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, publicID))
}
