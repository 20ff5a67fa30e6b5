package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

// ProviderRow is an OpenID Connect provider that an account trusts.
type ProviderRow struct {
	ID int64
	packhouse.Provider
}

const selectProviders = `SELECT id, account_id, issuer, url, audiences, thumbprints, created_at FROM oidc_providers`

func (p *ProviderRow) scan() []any {
	return []any{&p.ID, &p.Account, &p.Issuer, &p.URL, document{&p.Audiences}, document{&p.Thumbprints}, moment{&p.Created}}
}

// InsertProvider adds a provider. Errors: ErrExists.
func (tx *Tx) InsertProvider(ctx context.Context, p packhouse.Provider) (int64, error) {
	const q = `INSERT INTO oidc_providers (account_id, issuer, url, audiences, thumbprints, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id`
	id, err := tx.insert(ctx, q, p.Account, p.Issuer, p.URL, emptyDocument(p.Audiences), emptyDocument(p.Thumbprints), micros(p.Created))
	return id, tx.identityChanged(ctx, err)
}

// emptyDocument is toDocument for a column that is never absent.
func emptyDocument[T any](list []T) []byte {
	if b := toDocument(list); b != nil {
		return b
	}
	return []byte("[]")
}

// Provider returns an account's provider by its issuer. Errors: ErrNotFound.
func (tx *Tx) Provider(ctx context.Context, a packhouse.AccountID, issuer string) (ProviderRow, error) {
	const q = selectProviders + ` WHERE account_id = $1 AND issuer = $2`
	var p ProviderRow
	err := tx.one(ctx, q, []any{a, issuer}, p.scan()...)
	return p, err
}

// Providers returns an account's providers by issuer.
func (tx *Tx) Providers(ctx context.Context, a packhouse.AccountID) ([]ProviderRow, error) {
	const q = selectProviders + ` WHERE account_id = $1 ORDER BY issuer`
	return list(ctx, tx, q, []any{a}, func(rows *sql.Rows) (p ProviderRow, err error) {
		return p, rows.Scan(p.scan()...)
	})
}

// DeleteProvider removes a provider. Errors: ErrNotFound.
func (tx *Tx) DeleteProvider(ctx context.Context, id int64) error {
	const q = `DELETE FROM oidc_providers WHERE id = $1`
	return tx.identityChanged(ctx, tx.execOne(ctx, q, id))
}
