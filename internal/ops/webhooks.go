package ops

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/events"
)

// webhookName is the form of a webhook's name: a path segment.
var webhookName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`) })

// Bounds of what a webhook is made of.
const (
	maxWebhookURL = 2000 // bytes
	minSecret     = 16   // bytes
	maxSecret     = 256
	maxFilter     = 255 // bytes of each name in a filter
)

// CreateWebhook is the input of Service.CreateWebhook.
type CreateWebhook struct {
	Name     string
	URL      string
	Secret   string // 16 to 256 bytes; "" for one that the server makes
	Filter   packhouse.EventFilter
	Disabled bool
}

// CreateWebhook makes a webhook of the caller's account. It gets the events that go to
// the account, from now on: those of the domains that the account owns and of the
// repositories that it administers (codeartifact.md 3.13). secret is shown this once.
// Errors: Conflict "webhook_exists", QuotaExceeded "webhooks_per_account", Invalid
// "invalid_name", "invalid_url", "invalid_secret", "invalid_filter".
func (s *Service) CreateWebhook(ctx context.Context, who packhouse.Principal, in CreateWebhook) (out packhouse.Webhook, secret string, err error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionCreateWebhook, in.Name); err != nil {
		return packhouse.Webhook{}, "", err
	}
	if err := s.checkWebhook(in); err != nil {
		return packhouse.Webhook{}, "", err
	}
	row := catalog.WebhookRow{Secret: in.Secret, Webhook: packhouse.Webhook{Account: who.Account, Name: in.Name, URL: in.URL, Filter: in.Filter,
		Enabled: !in.Disabled, Created: s.now().UTC().Truncate(time.Microsecond)}}
	if row.Secret == "" {
		row.Secret = events.NewSecret()
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		have, err := tx.Webhooks(ctx, who.Account)
		if err != nil {
			return err
		}
		if len(have) >= s.quotas.WebhooksPerAccount {
			return quotaExceeded("webhooks_per_account", "", in.Name, "the account has %d webhooks; at most %d are allowed", len(have), s.quotas.WebhooksPerAccount)
		}
		if row.Seen, err = tx.LatestChange(ctx); err != nil {
			return err
		}
		if _, err = tx.InsertWebhook(ctx, row); errors.Is(err, catalog.ErrExists) {
			return packhouse.Conflictf("webhook_exists", "", in.Name, "webhook %s already exists", in.Name)
		} else if err != nil {
			return err
		}
		return tx.Record(ctx, s.webhookChange(ctx, who, in.Name, "created"))
	})
	return row.Webhook, row.Secret, storeError("create webhook "+in.Name, err)
}

func (s *Service) checkWebhook(in CreateWebhook) error {
	switch {
	case !webhookName().MatchString(in.Name):
		return packhouse.Invalidf("invalid_name",
			"webhook name %q is not allowed: 1 to 63 letters, digits, dots, underscores and hyphens, a letter or digit first", in.Name)
	case len(in.URL) > maxWebhookURL:
		return packhouse.Invalidf("invalid_url", "the address has %d bytes; at most %d are allowed", len(in.URL), maxWebhookURL)
	case in.Secret != "" && (len(in.Secret) < minSecret || len(in.Secret) > maxSecret):
		return packhouse.Invalidf("invalid_secret", "a secret has %d to %d bytes", minSecret, maxSecret)
	case len(in.Filter.Domain.Name) > maxFilter, len(in.Filter.Repository) > maxFilter, len(in.Filter.Format) > maxFilter:
		return packhouse.Invalidf("invalid_filter", "a name in a filter has at most %d bytes", maxFilter)
	case in.Filter.Repository != "" && in.Filter.Domain.Name == "":
		return packhouse.Invalidf("invalid_filter", "a filter that names a repository names its domain too")
	}
	for _, t := range in.Filter.DetailTypes {
		if t != packhouse.DetailVersionStateChange {
			return packhouse.Invalidf("invalid_filter", "detail type %q is not known; allowed: %q", t, packhouse.DetailVersionStateChange)
		}
	}
	if err := s.webhooks.Check(in.URL); err != nil {
		return packhouse.Invalidf("invalid_url", "the address %q is not allowed: %v", in.URL, err)
	}
	return nil
}

// Webhooks lists the webhooks of the caller's account by name.
func (s *Service) Webhooks(ctx context.Context, who packhouse.Principal) (list []packhouse.Webhook, err error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionListWebhooks, "*"); err != nil {
		return nil, err
	}
	var rows []catalog.WebhookRow
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.Webhooks(ctx, who.Account)
		return err
	})
	for _, r := range rows {
		list = append(list, r.Webhook)
	}
	return list, storeError("list webhooks", err)
}

// Webhook describes a webhook of the caller's account. Errors: NotFound.
func (s *Service) Webhook(ctx context.Context, who packhouse.Principal, name string) (packhouse.Webhook, error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionGetWebhook, name); err != nil {
		return packhouse.Webhook{}, err
	}
	row, err := s.webhook(ctx, who, name)
	return row.Webhook, err
}

// EnableWebhook turns a webhook on or off. One that is off keeps its place: turned on
// again it gets what it missed. Errors: NotFound.
func (s *Service) EnableWebhook(ctx context.Context, who packhouse.Principal, name string, enabled bool) (packhouse.Webhook, error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionUpdateWebhook, name); err != nil {
		return packhouse.Webhook{}, err
	}
	detail := "disabled"
	if enabled {
		detail = "enabled"
	}
	row, err := s.changeWebhook(ctx, who, name, detail, func(tx *catalog.Tx, row *catalog.WebhookRow) error {
		row.Enabled = enabled
		return tx.EnableWebhook(ctx, row.ID, enabled)
	})
	return row.Webhook, err
}

// DeleteWebhook removes a webhook with its deliveries. Errors: NotFound.
func (s *Service) DeleteWebhook(ctx context.Context, who packhouse.Principal, name string) error {
	if err := s.allowWebhook(ctx, who, packhouse.ActionDeleteWebhook, name); err != nil {
		return err
	}
	_, err := s.changeWebhook(ctx, who, name, "deleted", func(tx *catalog.Tx, row *catalog.WebhookRow) error {
		return tx.DeleteWebhook(ctx, row.ID)
	})
	return err
}

// Attempt is how one attempt to deliver ended.
type Attempt = events.Outcome

// TestWebhook sends a test event once and tells how that went. Errors: NotFound; a
// receiver that refuses is none.
func (s *Service) TestWebhook(ctx context.Context, who packhouse.Principal, name string) (Attempt, error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionTestWebhook, name); err != nil {
		return Attempt{}, err
	}
	row, err := s.webhook(ctx, who, name)
	if err != nil {
		return Attempt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, events.AttemptTime)
	defer cancel()
	return events.Try(ctx, s.webhooks, row.URL, row.Secret, s.region, row.Account, row.Name, s.now()), nil
}

// Deliveries lists deliveries of a webhook, the newest first; state "" for any, before 0
// for the first page. next is 0 on the last page. Errors: NotFound, Invalid
// "delivery_state".
func (s *Service) Deliveries(ctx context.Context, who packhouse.Principal, name string, state packhouse.DeliveryState, before int64, limit int) (list []packhouse.Delivery, next int64, err error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionListDeliveries, name); err != nil {
		return nil, 0, err
	}
	switch state {
	case "", packhouse.DeliveryWaiting, packhouse.DeliveryDelivered, packhouse.DeliveryDead:
	default:
		return nil, 0, packhouse.Invalidf("delivery_state", "state %q is not known; allowed: %s, %s, %s",
			state, packhouse.DeliveryWaiting, packhouse.DeliveryDelivered, packhouse.DeliveryDead)
	}
	limit = Page{Limit: limit}.limit()
	var rows []catalog.DeliveryRow
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := s.webhookIn(ctx, tx, who, name)
		if err != nil {
			return err
		}
		rows, err = tx.Deliveries(ctx, row.ID, state, before, limit)
		return err
	})
	if err != nil {
		return nil, 0, storeError("list deliveries", err)
	}
	for i := range rows {
		list = append(list, s.describeDelivery(who.Account, &rows[i]))
	}
	if len(rows) == limit {
		next = rows[limit-1].ID
	}
	return list, next, nil
}

func (s *Service) describeDelivery(account packhouse.AccountID, r *catalog.DeliveryRow) packhouse.Delivery {
	d := packhouse.Delivery{ID: r.ID, Event: events.Of(&r.Change, s.region, account).ID, Version: r.Change.Version, Kind: r.Change.Kind,
		Package: packhouse.PackageRef{Repo: packhouse.RepoRef{Domain: r.Change.Domain, Name: r.Change.Repo}, Package: r.Change.Package},
		State:   r.State, Attempts: r.Attempts, Created: r.Created, Ended: r.Ended, Status: r.Status, Error: r.Error}
	if r.State == packhouse.DeliveryWaiting {
		d.Next = r.Next
	}
	return d
}

// Redeliver sends a delivery again that was delivered or given up, or with id 0 all that
// were given up. It returns how many. Errors: NotFound of the webhook or the delivery.
func (s *Service) Redeliver(ctx context.Context, who packhouse.Principal, name string, id int64) (n int64, err error) {
	if err := s.allowWebhook(ctx, who, packhouse.ActionRedeliver, name); err != nil {
		return 0, err
	}
	_, err = s.changeWebhook(ctx, who, name, "redelivered", func(tx *catalog.Tx, row *catalog.WebhookRow) (err error) {
		n, err = tx.Redeliver(ctx, row.ID, id, s.now().UTC())
		if err == nil && n == 0 && id != 0 {
			missing := packhouse.NotFoundf("", name, "webhook %s has no delivery %d that has ended", name, id)
			missing.Reason = "delivery_not_found"
			return missing
		}
		return err
	})
	return n, err
}

// allowWebhook is allow for a webhook of the caller's own account.
func (s *Service) allowWebhook(ctx context.Context, who packhouse.Principal, action packhouse.Action, name string) error {
	return s.allow(ctx, who, action, resource{arn: packhouse.WebhookARN(s.region, who.Account, name)}, nil)
}

func (s *Service) webhook(ctx context.Context, who packhouse.Principal, name string) (row catalog.WebhookRow, err error) {
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = s.webhookIn(ctx, tx, who, name)
		return err
	})
	return row, storeError("look up webhook", err)
}

func (s *Service) webhookIn(ctx context.Context, tx *catalog.Tx, who packhouse.Principal, name string) (catalog.WebhookRow, error) {
	row, err := tx.Webhook(ctx, who.Account, name)
	if errors.Is(err, catalog.ErrNotFound) {
		missing := packhouse.NotFoundf("", name, "webhook %s does not exist", name)
		missing.Reason = "webhook_not_found"
		err = missing
	}
	return row, err
}

// changeWebhook runs change on a webhook's row in one transaction and records it.
func (s *Service) changeWebhook(ctx context.Context, who packhouse.Principal, name, detail string, change func(*catalog.Tx, *catalog.WebhookRow) error) (row catalog.WebhookRow, err error) {
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if row, err = s.webhookIn(ctx, tx, who, name); err != nil {
			return err
		}
		if err := change(tx, &row); err != nil {
			return err
		}
		return tx.Record(ctx, s.webhookChange(ctx, who, name, detail))
	})
	return row, storeError(detail+" webhook "+name, err)
}

func (s *Service) webhookChange(ctx context.Context, who packhouse.Principal, name, detail string) packhouse.Change {
	c := s.domainChange(ctx, who, packhouse.ChangeWebhook, 0, packhouse.DomainRef{Owner: who.Account})
	c.Detail = name + " " + detail
	return c
}
