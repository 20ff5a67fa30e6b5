package catalog

import (
	"context"
	"database/sql"

	"github.com/packhouse/packhouse"
)

// WebhookRow is a webhook as stored.
type WebhookRow struct {
	packhouse.Webhook
	ID     int64
	Secret string // sealed at rest
	// Seen is the last change that became a delivery or was none of its business.
	Seen int64
}

const webhookSecret = "webhooks.secret"

const selectWebhooks = `SELECT h.id, h.account_id, h.name, h.url, h.secret, h.filter, h.enabled = 1, h.seen, h.created_at FROM webhooks h`

// InsertWebhook adds a webhook. Errors: ErrExists.
func (tx *Tx) InsertWebhook(ctx context.Context, h WebhookRow) (id int64, err error) {
	const q = `INSERT INTO webhooks (account_id, name, url, secret, filter, enabled, seen, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id`
	sealed, err := tx.seal(ctx, packhouse.KeyRef{}, webhookSecret, h.secretName(), []byte(h.Secret))
	if err != nil {
		return 0, err
	}
	filter := toDocument([]packhouse.EventFilter{h.Filter})
	return tx.insert(ctx, q, h.Account, h.Name, h.URL, sealed, filter, flag(h.Enabled), h.Seen, micros(h.Created))
}

// secretName is the row name that a secret is bound to.
func (h *WebhookRow) secretName() string { return string(h.Account) + "/" + h.Name }

// Webhook returns a webhook of an account. Errors: ErrNotFound.
func (tx *Tx) Webhook(ctx context.Context, account packhouse.AccountID, name string) (WebhookRow, error) {
	return tx.oneWebhook(ctx, selectWebhooks+` WHERE h.account_id = $1 AND h.name = $2`, account, name)
}

// WebhookByID returns a webhook. Errors: ErrNotFound.
func (tx *Tx) WebhookByID(ctx context.Context, id int64) (WebhookRow, error) {
	return tx.oneWebhook(ctx, selectWebhooks+` WHERE h.id = $1`, id)
}

func (tx *Tx) oneWebhook(ctx context.Context, q string, args ...any) (WebhookRow, error) {
	rows, err := tx.webhooks(ctx, q, args...)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return WebhookRow{}, err
	}
	return rows[0], nil
}

// Webhooks returns the webhooks of an account by name.
func (tx *Tx) Webhooks(ctx context.Context, account packhouse.AccountID) ([]WebhookRow, error) {
	return tx.webhooks(ctx, selectWebhooks+` WHERE h.account_id = $1 ORDER BY h.name`, account)
}

// EnabledWebhooks returns the ids of all enabled webhooks, at most limit.
func (tx *Tx) EnabledWebhooks(ctx context.Context, limit int) ([]int64, error) {
	const q = `SELECT h.id FROM webhooks h WHERE h.enabled = 1 ORDER BY h.id LIMIT $1`
	return list(ctx, tx, q, []any{limit}, scanID)
}

func (tx *Tx) webhooks(ctx context.Context, q string, args ...any) ([]WebhookRow, error) {
	type sealedRow struct {
		row    WebhookRow
		secret []byte
	}
	found, err := list(ctx, tx, q, args, func(rows *sql.Rows) (s sealedRow, err error) {
		var filters []packhouse.EventFilter
		h := &s.row
		err = rows.Scan(&h.ID, &h.Account, &h.Name, &h.URL, &s.secret, document{&filters}, &h.Enabled, &h.Seen, moment{&h.Created})
		if len(filters) > 0 {
			h.Filter = filters[0]
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]WebhookRow, 0, len(found))
	for _, s := range found {
		secret, err := tx.unseal(ctx, packhouse.KeyRef{}, webhookSecret, s.row.secretName(), s.secret)
		if err != nil {
			return nil, err
		}
		s.row.Secret = string(secret)
		out = append(out, s.row)
	}
	return out, nil
}

// EnableWebhook sets whether a webhook is delivered to. Errors: ErrNotFound.
func (tx *Tx) EnableWebhook(ctx context.Context, id int64, enabled bool) error {
	return tx.execOne(ctx, `UPDATE webhooks SET enabled = $2 WHERE id = $1`, id, flag(enabled))
}

// MoveWebhook sets the last seen change of a webhook, if it still is from. Errors:
// ErrNotFound when somebody else has moved it, or it is gone.
func (tx *Tx) MoveWebhook(ctx context.Context, id, from, to int64) error {
	return tx.execOne(ctx, `UPDATE webhooks SET seen = $3 WHERE id = $1 AND seen = $2`, id, from, to)
}

// DeleteWebhook removes a webhook with its deliveries. Errors: ErrNotFound.
func (tx *Tx) DeleteWebhook(ctx context.Context, id int64) error {
	if _, err := tx.exec(ctx, `DELETE FROM deliveries WHERE webhook_id = $1`, id); err != nil {
		return err
	}
	return tx.execOne(ctx, `DELETE FROM webhooks WHERE id = $1`, id)
}
