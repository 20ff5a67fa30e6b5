package catalog

import (
	"context"
	"database/sql"
	"time"

	"github.com/packhouse/packhouse"
)

// Installation is the one row about this installation.
type Installation struct {
	UUID       string
	TokenEpoch int64
	Keyset     []byte // wrapped installation keyset
	KeyID      string
	Created    time.Time
}

// Installation returns the one row. Errors: ErrNotFound before the first start.
func (tx *Tx) Installation(ctx context.Context) (Installation, error) {
	const q = `SELECT uuid, token_epoch, keyset, key_id, created_at FROM installation WHERE id = 1`
	var i Installation
	err := tx.one(ctx, q, nil, &i.UUID, &i.TokenEpoch, &i.Keyset, &i.KeyID, moment{&i.Created})
	return i, err
}

// InsertInstallation writes the one row at the first start. Errors: ErrExists.
func (tx *Tx) InsertInstallation(ctx context.Context, i Installation) error {
	const q = `INSERT INTO installation (id, uuid, token_epoch, keyset, key_id, clock_seen, created_at)
		VALUES (1, $1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING id`
	_, err := tx.insert(ctx, q, i.UUID, i.TokenEpoch, i.Keyset, i.KeyID, micros(i.Created))
	return err
}

// InsertAccount adds an account. Errors: ErrExists.
func (tx *Tx) InsertAccount(ctx context.Context, id packhouse.AccountID, name string) error {
	const q = `INSERT INTO accounts (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	n, err := tx.exec(ctx, q, id, name, micros(tx.db.now()))
	if err == nil && n == 0 {
		return ErrExists
	}
	return err
}

// Accounts returns all accounts, oldest first.
func (tx *Tx) Accounts(ctx context.Context) ([]packhouse.AccountID, error) {
	const q = `SELECT id FROM accounts ORDER BY created_at, id`
	return list(ctx, tx, q, nil, func(rows *sql.Rows) (id packhouse.AccountID, err error) {
		return id, rows.Scan(&id)
	})
}

// AccountRow is an account.
type AccountRow struct {
	ID      packhouse.AccountID
	Name    string
	Created time.Time
}

// AccountRows returns all accounts with their names, oldest first.
func (tx *Tx) AccountRows(ctx context.Context) ([]AccountRow, error) {
	const q = `SELECT id, name, created_at FROM accounts ORDER BY created_at, id`
	return list(ctx, tx, q, nil, func(rows *sql.Rows) (a AccountRow, err error) {
		return a, rows.Scan(&a.ID, &a.Name, moment{&a.Created})
	})
}

// Setting returns a setting's value. Errors: ErrNotFound.
func (tx *Tx) Setting(ctx context.Context, scope, key string) (string, error) {
	const q = `SELECT value FROM settings WHERE scope = $1 AND key = $2`
	var value string
	err := tx.one(ctx, q, []any{scope, key}, &value)
	return value, err
}

// PutSetting sets a setting.
func (tx *Tx) PutSetting(ctx context.Context, scope, key, value string) error {
	const q = `INSERT INTO settings (scope, key, value) VALUES ($1, $2, $3)
		ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value`
	_, err := tx.exec(ctx, q, scope, key, value)
	return err
}
