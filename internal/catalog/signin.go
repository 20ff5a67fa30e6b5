package catalog

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// PasswordByName returns a principal by its exact name, with its password's hash in PHC
// form, "" for none; never log it. Errors: ErrNotFound.
func (tx *Tx) PasswordByName(ctx context.Context, a packhouse.AccountID, k packhouse.PrincipalKind, name string) (p PrincipalRow, hash string, err error) {
	const q = `SELECT COALESCE(p.password, ''), ` + principalColumns + ` FROM principals p
		WHERE p.account_id = $1 AND p.kind = $2 AND p.name_key = $3 AND p.name = $4`
	err = tx.one(ctx, q, []any{a, k, strings.ToLower(name), name}, append([]any{&hash}, p.scan()...)...)
	return p, hash, err
}

// SetPassword sets the hash of a principal's password; "" takes it away. Errors:
// ErrNotFound.
func (tx *Tx) SetPassword(ctx context.Context, principalID int64, hash string) error {
	const q = `UPDATE principals SET password = $2, password_at = $3 WHERE id = $1`
	var value any
	if hash != "" {
		value = hash
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, q, principalID, value, micros(tx.db.now())))
}

// PasswordSince returns when a principal's password was set; ok is false where it has
// none. Passwords from before this was kept are as old as their principal. Errors:
// ErrNotFound.
func (tx *Tx) PasswordSince(ctx context.Context, principalID int64) (since time.Time, ok bool, err error) {
	const q = `SELECT password IS NOT NULL, CASE WHEN password_at > 0 THEN password_at ELSE created_at END FROM principals WHERE id = $1`
	err = tx.one(ctx, q, []any{principalID}, &ok, moment{&since})
	return since, ok, err
}

// PutSecondFactor gives a principal a second factor, in the place of any other. The
// secret is sealed under the installation's keyset.
func (tx *Tx) PutSecondFactor(ctx context.Context, principalID int64, secret string) error {
	const q = `INSERT INTO second_factors (principal_id, secret, last_step, created_at) VALUES ($1, $2, 0, $3)
		ON CONFLICT (principal_id) DO UPDATE SET secret = excluded.secret, last_step = 0, created_at = excluded.created_at`
	sealed, err := tx.seal(ctx, packhouse.KeyRef{}, "second_factors.secret", strconv.FormatInt(principalID, 10), []byte(secret))
	if err != nil {
		return err
	}
	return tx.identityChanged(ctx, tx.execOne(ctx, q, principalID, sealed, micros(tx.db.now())))
}

// RemoveSecondFactor takes a principal's second factor away. Errors: ErrNotFound.
func (tx *Tx) RemoveSecondFactor(ctx context.Context, principalID int64) error {
	const q = `DELETE FROM second_factors WHERE principal_id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, principalID))
}

// SecondFactor returns the secret of a principal's second factor, opened; never log it.
// Errors: ErrNotFound.
func (tx *Tx) SecondFactor(ctx context.Context, principalID int64) (secret string, err error) {
	const q = `SELECT secret FROM second_factors WHERE principal_id = $1`
	var sealed []byte
	if err := tx.one(ctx, q, []any{principalID}, &sealed); err != nil {
		return "", err
	}
	plain, err := tx.unseal(ctx, packhouse.KeyRef{}, "second_factors.secret", strconv.FormatInt(principalID, 10), sealed)
	return string(plain), err
}

// UseStep notes the time step of a code that is accepted. Errors: ErrNotFound when that
// step or a later one was used before.
func (tx *Tx) UseStep(ctx context.Context, principalID, step int64) error {
	const q = `UPDATE second_factors SET last_step = $2 WHERE principal_id = $1 AND last_step < $2`
	return tx.execOne(ctx, q, principalID, step)
}

// LiveTokens returns a principal's tokens that are enabled and not expired, oldest
// first, at most limit.
func (tx *Tx) LiveTokens(ctx context.Context, principalID int64, limit int) ([]TokenRow, error) {
	const q = selectTokens + ` WHERE t.principal_id = $1 AND t.enabled = 1 AND (t.expires_at = $2 OR t.expires_at > $3) ORDER BY t.id LIMIT $4`
	return list(ctx, tx, q, []any{principalID, micros(time.Time{}), micros(tx.db.now()), limit}, func(rows *sql.Rows) (t TokenRow, err error) {
		return t, rows.Scan(t.scan()...)
	})
}

// RevokeSealed ends a sealed token by its id. The row may go when the token would have
// ended anyway. Revoking twice is no error.
func (tx *Tx) RevokeSealed(ctx context.Context, tokenID string, expires time.Time) error {
	const sweep = `DELETE FROM revocations WHERE token_id IN (SELECT token_id FROM revocations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`
	const q = `INSERT INTO revocations (token_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	if _, err := tx.exec(ctx, sweep, micros(tx.db.now().Add(-keepRevocations)), sweepAtMost); err != nil {
		return err
	}
	_, err := tx.exec(ctx, q, tokenID, micros(expires))
	return tx.identityChanged(ctx, err)
}

// keepRevocations is how much longer than its token a revocation is kept, for clocks
// that are set back.
const keepRevocations = 24 * time.Hour

// Revoked reports whether a sealed token was ended.
func (tx *Tx) Revoked(ctx context.Context, tokenID string) (revoked bool, err error) {
	const q = `SELECT EXISTS (SELECT 1 FROM revocations WHERE token_id = $1)`
	err = tx.one(ctx, q, []any{tokenID}, &revoked)
	return revoked, err
}
