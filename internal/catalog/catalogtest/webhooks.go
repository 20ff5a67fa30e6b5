package catalogtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// ledger writes changes of versions of packages, one transaction each, and returns them
// as they are read.
func (w *world) ledger(packages ...string) []packhouse.Change {
	for i, p := range packages {
		w.update(func(tx *catalog.Tx) error {
			return tx.Record(w.ctx, packhouse.Change{At: w.now.Add(time.Duration(i) * time.Minute), Kind: packhouse.ChangeVersionPublished,
				DomainID: w.domain.ID, RepoID: w.a.ID, Domain: w.domain.Ref, Repo: "a", Package: name(p), Version: fmt.Sprint(i)})
		})
	}
	var list []packhouse.Change
	w.view(func(tx *catalog.Tx) (err error) { list, err = tx.Changes(w.ctx, 0, 1000); return err })
	return list
}

func testChangesByTime(t *testing.T, w *world) {
	w.view(func(tx *catalog.Tx) error {
		latest, err := tx.LatestChange(w.ctx)
		before, err2 := tx.ChangeBefore(w.ctx, w.now)
		if latest != 0 || before != 0 {
			t.Errorf("empty ledger: latest %d, before now %d, want 0 and 0", latest, before)
		}
		return errors.Join(err, err2)
	})
	all := w.ledger("a", "b", "c", "d", "e")
	w.view(func(tx *catalog.Tx) error {
		if latest, err := tx.LatestChange(w.ctx); err != nil || latest != all[4].ID {
			t.Errorf("latest %d, %v, want %d", latest, err, all[4].ID)
		}
		for i := range 6 {
			at := w.now.Add(time.Duration(i) * time.Minute)
			id, err := tx.ChangeBefore(w.ctx, at)
			if err != nil {
				return err
			}
			rest, err := tx.Changes(w.ctx, id, 10)
			if err != nil {
				return err
			}
			if len(rest) != 5-i || i < 5 && !rest[0].At.Equal(at) {
				t.Errorf("behind change %d lie %d changes, want the %d since minute %d", id, len(rest), 5-i, i)
			}
		}
		return nil
	})
}

func testWebhooks(t *testing.T, w *world) {
	hook := catalog.WebhookRow{Secret: "whsec", Seen: 7, Webhook: packhouse.Webhook{Account: account, Name: "ci", URL: "https://ci.example/hook", Enabled: true, Created: w.now,
		Filter: packhouse.EventFilter{Domain: w.domain.Ref, Repository: "a", Format: "npm", DetailTypes: []string{packhouse.DetailVersionStateChange}}}}
	w.update(func(tx *catalog.Tx) (err error) { hook.ID, err = tx.InsertWebhook(w.ctx, hook); return err })
	w.update(func(tx *catalog.Tx) error {
		if _, err := tx.InsertWebhook(w.ctx, hook); !errors.Is(err, catalog.ErrExists) {
			t.Errorf("a second webhook of the name: %v, want ErrExists", err)
		}
		return nil
	})
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.Webhook(w.ctx, account, "ci")
		w.same("webhook", got, hook)
		byID, err2 := tx.WebhookByID(w.ctx, hook.ID)
		w.same("webhook by id", byID, hook)
		list, err3 := tx.Webhooks(w.ctx, account)
		w.same("webhooks", list, []catalog.WebhookRow{hook})
		return errors.Join(err, err2, err3)
	})
	if n := w.number(`SELECT count(*) FROM webhooks WHERE secret = $1`, []byte("whsec")); n != 0 {
		t.Error("a webhook's secret lies in the clear (S37)")
	}
	w.update(func(tx *catalog.Tx) error {
		if err := tx.MoveWebhook(w.ctx, hook.ID, 7, 9); err != nil {
			return err
		}
		if err := tx.MoveWebhook(w.ctx, hook.ID, 7, 8); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("moved from a place where it no longer is: %v, want ErrNotFound", err)
		}
		return tx.EnableWebhook(w.ctx, hook.ID, false)
	})
	w.view(func(tx *catalog.Tx) error {
		enabled, err := tx.EnabledWebhooks(w.ctx, 10)
		if len(enabled) != 0 {
			t.Errorf("enabled webhooks %v, want none", enabled)
		}
		return err
	})
	w.update(func(tx *catalog.Tx) error { return tx.DeleteWebhook(w.ctx, hook.ID) })
	w.view(func(tx *catalog.Tx) error {
		if _, err := tx.Webhook(w.ctx, account, "ci"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("deleted webhook: %v, want ErrNotFound", err)
		}
		return nil
	})
}

// testDeliveries follows the deliveries of two packages: those of one go one after the
// other, and never overtake.
func testDeliveries(t *testing.T, w *world) {
	changes := w.ledger("x", "x", "y", "x")
	hook := catalog.WebhookRow{Secret: "whsec", Webhook: packhouse.Webhook{Account: account, Name: "ci", URL: "u", Enabled: true, Created: w.now}}
	w.update(func(tx *catalog.Tx) (err error) {
		if hook.ID, err = tx.InsertWebhook(w.ctx, hook); err != nil {
			return err
		}
		var list []catalog.NewDelivery
		for _, c := range changes {
			list = append(list, catalog.NewDelivery{ChangeID: c.ID, Line: c.Package.Name})
		}
		return tx.InsertDeliveries(w.ctx, hook.ID, list, w.now)
	})
	due := func(at time.Time) (versions string, rows []catalog.DeliveryRow) {
		w.view(func(tx *catalog.Tx) (err error) { rows, err = tx.DueDeliveries(w.ctx, hook.ID, at, 10); return err })
		var words []string
		for _, d := range rows {
			words = append(words, d.Change.Package.Name+d.Change.Version)
		}
		return strings.Join(words, " "), rows
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q are due, want %q", what, got, want)
		}
	}
	put := func(d catalog.DeliveryRow) {
		w.update(func(tx *catalog.Tx) error { return tx.PutDelivery(w.ctx, d) })
	}
	got, rows := due(w.now)
	want("at first", got, "x0 y2")
	first := rows[0]
	first.Attempts, first.Next, first.Status, first.Error = 1, w.now.Add(time.Hour), 500, "no"
	put(first)
	got, _ = due(w.now.Add(time.Minute))
	want("while the first of x waits", got, "y2")
	got, rows = due(w.now.Add(time.Hour))
	want("when it is due again", got, "x0 y2")
	first.Ended = w.now
	w.same("delivery", rows[0].Change, changes[0])
	first.State = packhouse.DeliveryDead
	put(first)
	second := rows[1]
	second.State, second.Ended = packhouse.DeliveryDelivered, w.now.Add(2*time.Hour)
	put(second)
	got, _ = due(w.now)
	want("when the first of x is dead", got, "x1")
	w.update(func(tx *catalog.Tx) error {
		if n, err := tx.Redeliver(w.ctx, hook.ID, 0, w.now); n != 1 || err != nil {
			t.Errorf("redelivered %d, %v; want the dead one", n, err)
		}
		if n, err := tx.Redeliver(w.ctx, hook.ID, first.ID, w.now); n != 0 || err != nil {
			t.Errorf("redelivered %d, %v; one that waits cannot be", n, err)
		}
		return nil
	})
	got, _ = due(w.now)
	want("when it is redelivered", got, "x0")
	w.view(func(tx *catalog.Tx) error {
		n, err := tx.CountWaiting(w.ctx, hook.ID)
		if n != 3 {
			t.Errorf("%d wait, want 3", n)
		}
		newest, err2 := tx.Deliveries(w.ctx, hook.ID, "", 0, 2)
		older, err3 := tx.Deliveries(w.ctx, hook.ID, "", newest[1].ID, 10)
		ended, err4 := tx.Deliveries(w.ctx, hook.ID, packhouse.DeliveryDelivered, 0, 10)
		if len(newest) != 2 || newest[0].ID < newest[1].ID || len(older) != 2 || len(ended) != 1 || ended[0].ID != second.ID {
			t.Errorf("pages of %d and %d, %d delivered; want 2, 2 and 1", len(newest), len(older), len(ended))
		}
		return errors.Join(err, err2, err3, err4)
	})
	w.update(func(tx *catalog.Tx) error {
		early, err := tx.PruneDeliveries(w.ctx, hook.ID, w.now.Add(time.Hour), 10)
		late, err2 := tx.PruneDeliveries(w.ctx, hook.ID, w.now.Add(3*time.Hour), 10)
		if early != 0 || late != 1 {
			t.Errorf("pruned %d and %d, want 0 before and 1 after its end: those that wait stay", early, late)
		}
		return errors.Join(err, err2)
	})
	w.update(func(tx *catalog.Tx) error { return tx.DeleteWebhook(w.ctx, hook.ID) })
	if n := w.number(`SELECT count(*) FROM deliveries`); n != 0 {
		t.Errorf("%d deliveries outlive their webhook", n)
	}
}

func testAssetNames(t *testing.T, w *world) {
	var one, two, none int64
	w.update(func(tx *catalog.Tx) (err error) {
		one, err = w.revision(tx, "one", "main", "side", "more")
		var err2, err3 error
		two, err2 = w.revision(tx, "two", "main")
		none, err3 = w.revision(tx, "none")
		return errors.Join(err, err2, err3)
	})
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.AssetNames(w.ctx, []int64{one, two, none})
		if len(got) != 2 || len(got[one]) != 2 || len(got[two]) != 1 || got[one]["file-0"] != got[two]["file-0"] || got[one]["file-1"] != 0 {
			t.Errorf("names %v: want file-0 and file-2 of one, the same file-0 of two, no side asset", got)
		}
		return err
	})
}
