package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// SigningKeyRow is a key with which a domain signs what is published in it.
type SigningKeyRow struct {
	KeyID   string // "SHA256:…", unique in the domain
	Public  []byte // SubjectPublicKeyInfo, DER
	Private []byte // PKCS #8, DER; sealed at rest
	Created time.Time
	Expires time.Time // zero for the current key
}

const signingKeyPrivate = "signing_keys.private"

// SigningKeys returns a domain's keys without their private halves, newest first.
func (tx *Tx) SigningKeys(ctx context.Context, domainID int64) ([]SigningKeyRow, error) {
	const q = `SELECT key_id, public, created_at, coalesce(expires_at, $2) FROM signing_keys WHERE domain_id = $1 ORDER BY id DESC`
	return list(ctx, tx, q, []any{domainID, micros(time.Time{})}, func(rows *sql.Rows) (k SigningKeyRow, err error) {
		return k, rows.Scan(&k.KeyID, &k.Public, moment{&k.Created}, moment{&k.Expires})
	})
}

// CurrentSigningKey returns the key that a domain signs with, opened. Errors:
// ErrNotFound before the first one.
func (tx *Tx) CurrentSigningKey(ctx context.Context, domain packhouse.KeyRef) (SigningKeyRow, error) {
	const q = `SELECT key_id, public, private, created_at FROM signing_keys WHERE domain_id = $1 AND expires_at IS NULL`
	var k SigningKeyRow
	var sealed []byte
	if err := tx.one(ctx, q, []any{domain.DomainID}, &k.KeyID, &k.Public, &sealed, moment{&k.Created}); err != nil {
		return k, err
	}
	var err error
	k.Private, err = tx.unseal(ctx, domain, signingKeyPrivate, k.KeyID, sealed)
	return k, err
}

// InsertSigningKey adds a domain's current key. Errors: ErrExists when it has one.
func (tx *Tx) InsertSigningKey(ctx context.Context, domain packhouse.KeyRef, k SigningKeyRow) error {
	const q = `INSERT INTO signing_keys (domain_id, key_id, public, private, created_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id`
	sealed, err := tx.seal(ctx, domain, signingKeyPrivate, k.KeyID, k.Private)
	if err != nil {
		return err
	}
	_, err = tx.insert(ctx, q, domain.DomainID, k.KeyID, k.Public, sealed, micros(k.Created))
	return err
}

// ExpireSigningKey ends the current key of a domain. Errors: ErrNotFound.
func (tx *Tx) ExpireSigningKey(ctx context.Context, domainID int64, at time.Time) error {
	const q = `UPDATE signing_keys SET expires_at = $2 WHERE domain_id = $1 AND expires_at IS NULL`
	return tx.execOne(ctx, q, domainID, micros(at))
}
