package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

const (
	goodPassword = "correct horse battery"
	testClient   = "192.0.2.7"
)

// person makes a user with a password.
func (h *house) person(t testing.TB, name string) packhouse.Principal {
	t.Helper()
	c := h.user(t, name)
	if err := SetPassword(context.Background(), h.db, packhouse.Principal{}, account, name, goodPassword); err != nil {
		t.Fatal(err)
	}
	h.Flush()
	return c.Principal
}

func (h *house) signIn(name, password, code string) error {
	_, err := h.SignIn(context.Background(), Attempt{Account: account, Name: name, Password: password, Code: code, Client: testClient})
	return err
}

// factor gives a user a second factor and returns what makes its codes.
func (h *house) factor(t testing.TB, name string) func() string {
	t.Helper()
	key, err := EnrolSecondFactor(context.Background(), h.db, packhouse.Principal{}, account, name)
	if err != nil {
		t.Fatal(err)
	}
	if u, err := url.Parse(key.URL); err != nil || u.Scheme != "otpauth" || u.Query().Get("secret") != key.Secret || !strings.Contains(u.Path, name) {
		t.Errorf("the key's address is %v, %v", u.Redacted(), err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", key, key, key), key.Secret) {
		t.Error("the key prints its secret (S38)")
	}
	h.Flush()
	return func() string {
		code, err := totp.GenerateCode(key.Secret, h.wall)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
}

// S10: a stranger's name, a user without a password and a disabled one are answered like
// a wrong password, after the same work.
func TestSignInTellsNobodyWhoExists(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.person(t, "dana")
	h.user(t, "without")
	off := h.person(t, "off")
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisablePrincipal(ctx, off.ID, true) })
	if err := h.signIn("dana", goodPassword, ""); err != nil {
		t.Fatal(err)
	}
	wrong := h.signIn("dana", "wrong horse battery", "")
	for sentence, try := range map[string]func() error{
		"wrong password":     func() error { return h.signIn("dana", "wrong", "") },
		"no password":        func() error { return h.signIn("dana", "", "") },
		"unknown user":       func() error { return h.signIn("nobody", goodPassword, "") },
		"user without any":   func() error { return h.signIn("without", "", "") },
		"disabled user":      func() error { return h.signIn("off", goodPassword, "") },
		"other case of name": func() error { return h.signIn("Dana", goodPassword, "") },
		"endless password":   func() error { return h.signIn("dana", strings.Repeat("x", 1<<16), "") },
	} {
		before := h.hasher.runs.Load()
		err := try()
		wantReason(t, err, packhouse.KindUnauthenticated, ReasonWrongPassword)
		if err.Error() != wrong.Error() {
			t.Errorf("%s: %q differs from %q", sentence, err, wrong)
		}
		if n := h.hasher.runs.Load() - before; n != 1 {
			t.Errorf("%s: %d hashes, want 1", sentence, n)
		}
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", strings.Repeat("x", MaxPassword+1), "two\nlines here", "bytes\xff that are none"} {
		_, err := HashPassword(bad)
		wantReason(t, err, packhouse.KindInvalid, "weak_password")
	}
	first, err := HashPassword(goodPassword)
	second, err2 := HashPassword(goodPassword)
	if err != nil || err2 != nil || first == second || !strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hashes have no salt, or another form: %v, %v", err, err2)
	}
	h := newHasher()
	for hash, want := range map[string]bool{first: true, second: true, "": false, "x": false, strings.Replace(first, "argon2id", "argon2i", 1): false,
		strings.Replace(first, "m=19456", "m=4294967295", 1): false, strings.Replace(first, "t=2", "t=0", 1): false} {
		if got, err := h.matches(t.Context(), hash, goodPassword); got != want || err != nil {
			t.Errorf("%.40s: %v, %v, want %v", hash, got, err, want)
		}
	}
	// No more than maxHashes at a time; who waits in vain is told to come back.
	for range maxHashes {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.matches(ctx, first, goodPassword)
	wantReason(t, err, packhouse.KindThrottled, "too_many_logins")
}

// S41: ten failures per account, a hundred per address, per minute.
func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	f := newFailures(func() time.Time { return now })
	for i := range failuresPerAccount {
		if _, err := f.begin("dana", fmt.Sprint("192.0.2.", i)); err != nil {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	_, err := f.begin("dana", "198.51.100.1")
	wantReason(t, err, packhouse.KindThrottled, "too_many_failures")
	var throttled *packhouse.Error
	if !errors.As(err, &throttled) || throttled.RetryAfter != time.Minute {
		t.Errorf("to come back after %s, want a minute", throttled.RetryAfter)
	}
	if _, err := f.begin("omar", "198.51.100.1"); err != nil {
		t.Errorf("another account: %v", err)
	}
	now = now.Add(time.Minute)
	forgive, err := f.begin("dana", "198.51.100.1")
	if err != nil {
		t.Errorf("a minute later: %v", err)
	}
	forgive()
	for i := range failuresPerAccount {
		if _, err := f.begin("dana", ""); err != nil {
			t.Errorf("attempt %d after one that was no failure: %v", i, err)
		}
	}
	now = now.Add(time.Minute)
	for i := range failuresPerAddress {
		if _, err := f.begin(fmt.Sprint("user", i), fmt.Sprintf("2001:db8::%x", i)); err != nil {
			t.Fatalf("failure %d of an address: %v", i, err)
		}
	}
	_, err = f.begin("one more", "2001:db8::ffff:1")
	wantReason(t, err, packhouse.KindThrottled, "too_many_failures")
	for i := range 2 * maxFailureKeys {
		_, _ = f.begin(fmt.Sprint("flood", i), fmt.Sprint(i))
	}
	if len(f.counts) > maxFailureKeys {
		t.Errorf("%d counts are kept, want %d at most", len(f.counts), maxFailureKeys)
	}
}

func TestSignInStopsAfterTenFailures(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.person(t, "dana")
	for range failuresPerAccount {
		wantReason(t, h.signIn("dana", "wrong password", ""), packhouse.KindUnauthenticated, ReasonWrongPassword)
	}
	before := h.hasher.runs.Load()
	wantReason(t, h.signIn("dana", goodPassword, ""), packhouse.KindThrottled, "too_many_failures")
	if h.hasher.runs.Load() != before {
		t.Error("a throttled attempt was hashed")
	}
	h.wall = h.wall.Add(time.Minute)
	if err := h.signIn("dana", goodPassword, ""); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// npm.md 8.11: a code is good once, in its time, and only for its user's own tokens.
func TestSecondFactor(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := t.Context()
	dana := h.person(t, "dana")
	token := h.token(t, "dana", false, time.Time{})
	if got := accepts(t, h, token).Scope.SecondFactor; got != packhouse.FactorNone {
		t.Errorf("before there is one, a token owes %d", got)
	}
	code := h.factor(t, "dana")
	automation, err := CreateToken(ctx, h.db, packhouse.Principal{}, account, "dana", NewToken{Name: "ci", Kind: TokenAutomation})
	if err != nil {
		t.Fatal(err)
	}
	for sentence, row := range map[string]struct {
		token string
		want  packhouse.SecondFactor
	}{
		"a person's token owes it": {token, packhouse.FactorOwed},
		"automation does not":      {automation, packhouse.FactorNone},
		"a registry token neither": {h.sealed(t, dana, time.Hour), packhouse.FactorNone},
	} {
		if got := accepts(t, h, row.token).Scope.SecondFactor; got != row.want {
			t.Errorf("%s: %d, want %d", sentence, got, row.want)
		}
	}

	wantReason(t, h.signIn("dana", goodPassword, ""), packhouse.KindUnauthenticated, ReasonCodeMissing)
	wantReason(t, h.signIn("dana", goodPassword, "000"), packhouse.KindUnauthenticated, ReasonCodeWrong)
	first := code()
	wantReason(t, h.signIn("dana", "wrong password", first), packhouse.KindUnauthenticated, ReasonWrongPassword)
	if err := h.signIn("dana", goodPassword, first); err != nil {
		t.Errorf("with a good code, which a wrong password must not use up: %v", err)
	}
	wantReason(t, h.signIn("dana", goodPassword, first), packhouse.KindUnauthenticated, ReasonCodeWrong)

	prove := func(code string) packhouse.SecondFactor {
		t.Helper()
		who, err := h.ProveSecondFactor(ctx, accepts(t, h, token), code, testClient)
		if err != nil {
			t.Fatal(err)
		}
		return who.Scope.SecondFactor
	}
	if got := prove(first); got != packhouse.FactorRefused {
		t.Errorf("a code that a login has used: %d", got)
	}
	if got := prove(""); got != packhouse.FactorOwed {
		t.Errorf("no code: %d", got)
	}
	h.wall = h.wall.Add(30 * time.Second)
	second := code()
	var wins sync.Map
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			who, err := h.ProveSecondFactor(ctx, packhouse.Principal{ID: dana.ID, Account: account, Name: "dana",
				Scope: packhouse.Scope{SecondFactor: packhouse.FactorOwed}}, second, testClient)
			if err == nil && who.Scope.SecondFactor == packhouse.FactorProved {
				wins.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one code was accepted %d times", n)
	}
	late := code()
	h.wall = h.wall.Add(61 * time.Second)
	if got := prove(late); got != packhouse.FactorRefused {
		t.Errorf("a code of a minute ago: %d", got)
	}
	if err := RemoveSecondFactor(ctx, h.db, packhouse.Principal{}, account, "dana"); err != nil {
		t.Fatal(err)
	}
	wantReason(t, RemoveSecondFactor(ctx, h.db, packhouse.Principal{}, account, "dana"), packhouse.KindInvalid, "no_second_factor")
	if err := h.signIn("dana", goodPassword, ""); err != nil {
		t.Errorf("without a second factor again: %v", err)
	}
}

// npm.md 3: a login yields its token once, after somebody approved it, within five
// minutes; neither end is enough alone.
func TestLoginInBrowser(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := t.Context()
	dana := h.person(t, "dana")
	repo := packhouse.RepoRef{Domain: domain, Name: "team"}
	begin := func() (page, secret, form string) {
		t.Helper()
		page, secret, err := h.BeginLogin(ctx, repo, testClient, "npm/1\x1b[31m\n"+strings.Repeat("x", 1000))
		if err != nil {
			t.Fatal(err)
		}
		login, err := h.Login(ctx, page)
		if err != nil || login.State != LoginPending || login.Repo != repo || login.Client != testClient || len(login.Agent) > maxAgent || strings.ContainsAny(login.Agent, "\x1b\n") {
			t.Fatalf("login = %+v, %v", login, err)
		}
		return page, secret, login.FormToken
	}
	end := func(secret string) (string, error) {
		return h.EndLogin(ctx, secret, NewToken{Name: "login", Kind: TokenLogin, Expires: h.wall.Add(time.Hour)}, packhouse.Change{At: h.wall, DedupID: secret[len(secret)-8:]})
	}
	approve := func(page, form, password string) error {
		return h.ApproveLogin(ctx, page, form, Attempt{Account: account, Name: "dana", Password: password, Client: testClient}, packhouse.Change{At: h.wall, DedupID: page[:8]})
	}
	gone := func(err error) {
		t.Helper()
		wantReason(t, err, packhouse.KindNotFound, "login_not_found")
	}

	page, secret, form := begin()
	if page == secret || strings.Contains(secret, page) {
		t.Error("the page's id is the secret")
	}
	if token, err := end(secret); token != "" || err != nil {
		t.Errorf("before anybody decided: %v", err)
	}
	_, err := end(pollPrefix + page)
	gone(err)
	_, err = h.Login(ctx, secret[len(pollPrefix):])
	gone(err)
	wantReason(t, approve(page, "", goodPassword), packhouse.KindInvalid, "form_token")
	_, _, otherForm := begin()
	wantReason(t, approve(page, otherForm, goodPassword), packhouse.KindInvalid, "form_token")
	wantReason(t, approve(page, form, "wrong password"), packhouse.KindUnauthenticated, ReasonWrongPassword)
	if err := approve(page, form, goodPassword); err != nil {
		t.Fatal(err)
	}
	gone(approve(page, form, goodPassword))
	gone(h.DenyLogin(ctx, page, form))

	// Of several that poll at the same time one gets the token.
	tokens := make(chan string, 8)
	var all sync.WaitGroup
	for range cap(tokens) {
		all.Go(func() {
			if token, err := end(secret); err == nil && token != "" {
				tokens <- token
			}
		})
	}
	all.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d got a token, want 1", len(tokens))
	}
	if who := accepts(t, h, <-tokens); who.ID != dana.ID || who.Expires.Sub(h.wall).Round(time.Second) != time.Hour {
		t.Errorf("the token is of %+v", who)
	}
	_, err = end(secret)
	gone(err)
	if login, _ := h.Login(ctx, page); login.State != LoginTaken {
		t.Errorf("afterwards the page is %s", login.State)
	}

	page, secret, form = begin()
	if err := h.DenyLogin(ctx, page, form); err != nil {
		t.Fatal(err)
	}
	_, err = end(secret)
	wantReason(t, err, packhouse.KindDenied, "login_denied")
	gone(approve(page, form, goodPassword))

	page, secret, form = begin()
	approvedPage, approvedSecret, approvedForm := begin()
	if err := approve(approvedPage, approvedForm, goodPassword); err != nil {
		t.Fatal(err)
	}
	h.wall = h.wall.Add(loginLife)
	gone(approve(page, form, goodPassword))
	for _, late := range []string{secret, approvedSecret} {
		_, err = end(late)
		gone(err)
	}
	if login, _ := h.Login(ctx, page); login.State != LoginExpired {
		t.Errorf("after five minutes the page is %s", login.State)
	}
}

// S8, S9: signing out ends a token of either kind at once, and only itself.
func TestSignOut(t *testing.T) {
	t.Parallel()
	h := open(t)
	other := openOnSame(t, h)
	ctx := t.Context()
	dana := h.person(t, "dana")
	note := func() packhouse.Change {
		return packhouse.Change{At: h.wall, DedupID: tokenAlphabet.EncodeToString(randomBytes(8))}
	}
	for sentence, make := range map[string]func() string{
		"a long-lived token": func() string { return h.token(t, "dana", false, time.Time{}) },
		"a registry token":   func() string { return h.sealed(t, dana, time.Hour) },
	} {
		t.Run(sentence, func(t *testing.T) {
			token, stays := make(), make()
			accepts(t, h, token)
			accepts(t, h, stays)
			if _, err := other.Token(ctx, token); err != nil {
				t.Fatal(err)
			}
			if err := h.SignOut(ctx, token, note()); err != nil {
				t.Fatal(err)
			}
			wantInvalidToken(t, h, token)
			accepts(t, h, stays)
			if err := other.look(ctx); err != nil { // what another node does every half second
				t.Fatal(err)
			}
			if _, err := other.Token(ctx, token); packhouse.ReasonOf(err) != "invalid_token" {
				t.Errorf("another node: %v", err)
			}
			if err := h.SignOut(ctx, token, note()); err != nil {
				t.Errorf("signing out again: %v", err)
			}
			forged := token[:len(token)-1] + "!"
			wantReason(t, h.SignOut(ctx, forged, note()), packhouse.KindUnauthenticated, "invalid_token")
		})
	}
	wantReason(t, h.SignOut(ctx, h.SealPage(dana, "q", "c"), note()), packhouse.KindUnauthenticated, "invalid_token")
	var kinds []string
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		changes, err := tx.Changes(ctx, 0, 100)
		for _, c := range changes {
			if c.Kind == packhouse.ChangeSignedOut {
				kinds = append(kinds, c.Principal)
			}
		}
		return err
	})
	if len(kinds) != 2 || kinds[0] != dana.ARN {
		t.Errorf("the ledger has %v, want two of %s", kinds, dana.ARN)
	}
}

// openOnSame is another node on the same database.
func openOnSame(t testing.TB, h *house) *Service {
	t.Helper()
	s, err := New(context.Background(), Options{Catalog: h.db, TokenKey: h.tokenKey, Now: func() time.Time { return h.wall }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// S14: of others' tokens nothing is listed or ended.
func TestOwnTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := t.Context()
	dana, omar := h.person(t, "dana"), h.person(t, "omar")
	h.token(t, "omar", false, time.Time{})
	token, made, err := h.IssueToken(ctx, dana, NewToken{Name: "ci", Kind: TokenAutomation, ReadOnly: true, Expires: h.wall.Add(time.Hour)}, packhouse.Change{At: h.wall, DedupID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if who := accepts(t, h, token); who.ID != dana.ID || !who.Scope.ReadOnly || !strings.HasPrefix(token, made.Prefix()) {
		t.Errorf("the token is of %+v", who)
	}
	list, err := h.OwnTokens(ctx, dana)
	if err != nil || len(list) != 1 || list[0].PublicID != made.PublicID || list[0].Kind != TokenAutomation || !list[0].ReadOnly {
		t.Errorf("dana's tokens: %+v, %v", list, err)
	}
	note := packhouse.Change{At: h.wall, DedupID: "2"}
	for sentence, err := range map[string]error{
		"somebody else's": h.RevokeOwnToken(ctx, omar, made.PublicID, note),
		"unknown":         h.RevokeOwnToken(ctx, dana, strings.Repeat("a", publicIDLength), note),
		"nonsense":        h.RevokeOwnToken(ctx, dana, "x", note),
	} {
		if packhouse.ReasonOf(err) != "token_not_found" {
			t.Errorf("%s: %v", sentence, err)
		}
	}
	accepts(t, h, token)
	if err := h.RevokeOwnToken(ctx, dana, token, note); err != nil {
		t.Fatal(err)
	}
	wantInvalidToken(t, h, token)
	_, _, err = h.IssueToken(ctx, dana, NewToken{Name: "a b"}, note)
	wantReason(t, err, packhouse.KindInvalid, "invalid_name")
}
