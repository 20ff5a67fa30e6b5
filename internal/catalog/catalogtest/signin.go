package catalogtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// insertLogin adds a login that waits for five minutes.
func (w *world) insertLogin(name, origin string, limits catalog.LoginLimits) error {
	return w.DB.Update(w.ctx, func(tx *catalog.Tx) error {
		return tx.InsertLogin(w.ctx, catalog.LoginRow{Page: []byte("page " + name), Poll: []byte("poll " + name), Origin: origin, Address: "192.0.2.1",
			Agent: "agent", Repo: packhouse.RepoRef{Domain: w.domain.Ref, Name: "a"}, Created: w.now, Expires: w.now.Add(5 * time.Minute)}, limits)
	})
}

func (w *world) person() (p catalog.PrincipalRow) {
	p = catalog.PrincipalRow{Account: account, Kind: packhouse.KindUser, Name: "Dana", ARN: "arn:dana", Created: w.now}
	w.update(func(tx *catalog.Tx) (err error) { p.ID, err = tx.InsertPrincipal(w.ctx, p); return err })
	return p
}

func testLogins(t *testing.T, w *world) {
	who := w.person()
	many := catalog.LoginLimits{PerOrigin: 10, Total: 10}
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := w.insertLogin(name, "o", many); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.insertLogin("a", "o", many); !errors.Is(err, catalog.ErrExists) {
		t.Errorf("the same login again: %v", err)
	}
	try := func(what string, want error, fn func(*catalog.Tx) error) {
		t.Helper()
		if err := w.DB.Update(w.ctx, fn); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	approve := func(name string) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error { return tx.ApproveLogin(w.ctx, []byte("page "+name), who.ID) }
	}
	take := func(name string) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error { return tx.TakeLogin(w.ctx, []byte("poll "+name)) }
	}
	deny := func(name string) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error { return tx.DenyLogin(w.ctx, []byte("page "+name)) }
	}
	try("taken before it is approved", catalog.ErrNotFound, take("a"))
	try("approved by the secret that polls", catalog.ErrNotFound, func(tx *catalog.Tx) error { return tx.ApproveLogin(w.ctx, []byte("poll a"), who.ID) })
	try("approved", nil, approve("a"))
	try("approved twice", catalog.ErrNotFound, approve("a"))
	try("denied after that", catalog.ErrNotFound, deny("a"))
	try("taken", nil, take("a"))
	try("taken twice", catalog.ErrNotFound, take("a"))
	try("denied", nil, deny("b"))
	try("approved after that", catalog.ErrNotFound, approve("b"))
	try("approved in time", nil, approve("c"))
	w.view(func(tx *catalog.Tx) error {
		got, err := tx.LoginByPoll(w.ctx, []byte("poll c"))
		if got.State != catalog.LoginApproved || got.Principal != who.ID || got.Repo.Name != "a" || got.Agent != "agent" || !got.Expires.Equal(w.now.Add(5*time.Minute)) {
			t.Errorf("login c = %+v", got)
		}
		if other, err := tx.LoginByPage(w.ctx, []byte("page c")); err != nil || other.ID != got.ID {
			t.Errorf("by its page: %+v, %v", other, err)
		}
		return err
	})
	w.now = w.now.Add(5 * time.Minute)
	try("taken too late", catalog.ErrNotFound, take("c"))
	try("approved too late", catalog.ErrNotFound, approve("d"))
	try("denied too late", catalog.ErrNotFound, deny("d"))
}

func testLoginLimits(t *testing.T, w *world) {
	limits := catalog.LoginLimits{PerOrigin: 2, Total: 3}
	for i, step := range []struct {
		origin string
		full   bool
	}{{"o1", false}, {"o1", false}, {"o1", true}, {"o2", false}, {"o3", true}} {
		if err := w.insertLogin(fmt.Sprint(i), step.origin, limits); errors.Is(err, catalog.ErrFull) != step.full || err != nil && !step.full {
			t.Errorf("login %d of %s: %v", i, step.origin, err)
		}
	}
	w.now = w.now.Add(6 * time.Minute)
	if err := w.insertLogin("later", "o1", limits); err != nil {
		t.Errorf("when the others have expired: %v", err)
	}
	if n := w.number(`SELECT count(*) FROM logins`); n != 4 {
		t.Errorf("%d rows, want 4: an expired login is still known for a while", n)
	}
	w.now = w.now.Add(10 * time.Minute)
	if err := w.insertLogin("last", "o1", limits); err != nil {
		t.Fatal(err)
	}
	if n := w.number(`SELECT count(*) FROM logins`); n != 2 {
		t.Errorf("%d rows, want 2: old ones go", n)
	}
}

func testSignIn(t *testing.T, w *world) {
	who := w.person()
	epoch := func() (n int64) {
		w.view(func(tx *catalog.Tx) (err error) { n, err = tx.IdentityEpoch(w.ctx); return err })
		return n
	}
	raises := func(what string, fn func(*catalog.Tx) error) {
		t.Helper()
		before := epoch()
		w.update(fn)
		if epoch() != before+1 {
			t.Errorf("%s does not raise the epoch once (S9)", what)
		}
	}
	hash := func() (h string) {
		w.view(func(tx *catalog.Tx) (err error) {
			var p catalog.PrincipalRow
			p, h, err = tx.PasswordByName(w.ctx, account, packhouse.KindUser, "Dana")
			if p.ID != who.ID {
				t.Errorf("the password of %+v", p)
			}
			return err
		})
		return h
	}
	if hash() != "" {
		t.Error("a new principal has a password")
	}
	raises("a password", func(tx *catalog.Tx) error { return tx.SetPassword(w.ctx, who.ID, "$phc") })
	if hash() != "$phc" {
		t.Errorf("password %q", hash())
	}
	raises("no password", func(tx *catalog.Tx) error { return tx.SetPassword(w.ctx, who.ID, "") })
	if hash() != "" {
		t.Error("a removed password is there")
	}

	factor := func() (has bool) {
		w.view(func(tx *catalog.Tx) error {
			p, err := tx.Principal(w.ctx, who.ID)
			has = p.SecondFactor
			return err
		})
		return has
	}
	use := func(step int64) error {
		return w.DB.Update(w.ctx, func(tx *catalog.Tx) error { return tx.UseStep(w.ctx, who.ID, step) })
	}
	if factor() {
		t.Error("a new principal has a second factor")
	}
	raises("a second factor", func(tx *catalog.Tx) error { return tx.PutSecondFactor(w.ctx, who.ID, "SECRET") })
	if !factor() {
		t.Error("the second factor is not told")
	}
	if err := errors.Join(use(7), use(9)); err != nil {
		t.Errorf("later codes: %v", err)
	}
	for _, step := range []int64{9, 8} {
		if err := use(step); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("step %d after 9: %v", step, err)
		}
	}
	raises("another one", func(tx *catalog.Tx) error { return tx.PutSecondFactor(w.ctx, who.ID, Canary) })
	w.view(func(tx *catalog.Tx) error {
		secret, err := tx.SecondFactor(w.ctx, who.ID)
		if secret != Canary {
			t.Errorf("secret %q", secret)
		}
		return err
	})
	var stored []byte
	if err := w.Raw.QueryRowContext(w.ctx, `SELECT secret FROM second_factors`).Scan(&stored); err != nil || string(stored) == Canary {
		t.Errorf("the secret is stored in the clear (S36): %v", err)
	}
	raises("no second factor", func(tx *catalog.Tx) error { return tx.RemoveSecondFactor(w.ctx, who.ID) })
	if factor() {
		t.Error("a removed second factor is told")
	}

	revoked := func(id string) (yes bool) {
		w.view(func(tx *catalog.Tx) (err error) { yes, err = tx.Revoked(w.ctx, id); return err })
		return yes
	}
	raises("a revocation", func(tx *catalog.Tx) error { return tx.RevokeSealed(w.ctx, "one", w.now.Add(time.Hour)) })
	w.update(func(tx *catalog.Tx) error { return tx.RevokeSealed(w.ctx, "one", w.now.Add(time.Hour)) })
	if !revoked("one") || revoked("two") {
		t.Error("the wrong token is revoked")
	}
	w.now = w.now.Add(26 * time.Hour)
	w.update(func(tx *catalog.Tx) error { return tx.RevokeSealed(w.ctx, "two", w.now.Add(time.Hour)) })
	if n := w.number(`SELECT count(*) FROM revocations`); n != 1 {
		t.Errorf("%d revocations, want 1: a day after its token one may go", n)
	}

	token := func(id string, enabled bool, expires time.Time) catalog.TokenRow {
		return catalog.TokenRow{PublicID: id, SHA256: []byte(id), Principal: who, Enabled: enabled, Expires: expires, Created: w.now}
	}
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.InsertToken(w.ctx, token("for ever", true, time.Time{})), tx.InsertToken(w.ctx, token("off", false, time.Time{})),
			tx.InsertToken(w.ctx, token("over", true, w.now)), tx.InsertToken(w.ctx, token("good", true, w.now.Add(time.Second))))
	})
	w.view(func(tx *catalog.Tx) error {
		live, err := tx.LiveTokens(w.ctx, who.ID, 10)
		if len(live) != 2 || live[0].PublicID != "for ever" || live[1].PublicID != "good" {
			t.Errorf("live tokens: %+v", live)
		}
		if one, _ := tx.LiveTokens(w.ctx, who.ID, 1); len(one) != 1 {
			t.Errorf("%d tokens with a limit of 1", len(one))
		}
		return err
	})
	w.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.PutSecondFactor(w.ctx, who.ID, "x"), tx.DeletePrincipal(w.ctx, who.ID))
	})
}
