package identity

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
)

const account packhouse.AccountID = "111122223333"

var domain = packhouse.DomainRef{Owner: account, Name: "main"}

// house is a service over a catalog of its own, with clocks that the test moves.
type house struct {
	*Service
	db     *catalog.DB
	wall   time.Time
	uptime time.Duration
	log    bytes.Buffer

	tokenKey []byte
}

func open(t testing.TB) *house {
	t.Helper()
	return openOn(t, catalogtest.Open(t))
}

func openOn(t testing.TB, db *catalog.DB) *house {
	t.Helper()
	ctx := context.Background()
	if err := db.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.InsertInstallation(ctx, catalog.Installation{UUID: "u", TokenEpoch: 1, Keyset: []byte("k"), KeyID: "k", Created: time.Now()}); err != nil {
			return err
		}
		return tx.InsertAccount(ctx, account, "main")
	}); err != nil {
		t.Fatal(err)
	}
	h := &house{db: db, wall: time.Now(), tokenKey: randomBytes(32)}
	s, err := New(ctx, Options{Catalog: db, TokenKey: h.tokenKey, Now: func() time.Time { return h.wall },
		Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s.uptime = func() time.Duration { return h.uptime }
	h.Service = s
	if err := s.look(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) user(t testing.TB, name string, policies ...string) Credentials {
	t.Helper()
	c, err := CreateUser(context.Background(), h.db, packhouse.Principal{}, NewUser{Account: account, Name: name, Policies: policies})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *house) token(t testing.TB, user string, readOnly bool, expires time.Time) string {
	t.Helper()
	token, err := CreateToken(context.Background(), h.db, packhouse.Principal{}, account, user,
		NewToken{Name: "laptop", Kind: TokenPerson, ReadOnly: readOnly, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (h *house) sealed(t testing.TB, who packhouse.Principal, life time.Duration) string {
	t.Helper()
	token, err := h.IssueRegistryToken(context.Background(), who, domain, h.wall.Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (h *house) update(t testing.TB, fn func(ctx context.Context, tx *catalog.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := h.db.Update(ctx, func(tx *catalog.Tx) error { return fn(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func wantReason(t testing.TB, err error, kind packhouse.Kind, reason string) {
	t.Helper()
	if packhouse.KindOf(err) != kind || packhouse.ReasonOf(err) != reason {
		t.Fatalf("error = %v (%v %q), want %v %q", err, packhouse.KindOf(err), packhouse.ReasonOf(err), kind, reason)
	}
}

func wantInvalidToken(t testing.TB, h *house, token string) {
	t.Helper()
	who, err := h.Token(context.Background(), token)
	if err == nil {
		t.Fatalf("a token is accepted as %s", who.ARN)
	}
	wantReason(t, err, packhouse.KindUnauthenticated, "invalid_token")
}

func accepts(t testing.TB, h *house, token string) packhouse.Principal {
	t.Helper()
	who, err := h.Token(context.Background(), token)
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice", authz.ReadOnlyAccess)
	if !isAccessKeyID(c.KeyID) || len(c.Secret) != 40 || c.Principal.ARN != "arn:aws:iam::111122223333:user/alice" || c.Principal.ID == 0 {
		t.Errorf("credentials = %s, %d characters of secret, %+v", c.KeyID, len(c.Secret), c.Principal)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, c.Secret) {
		t.Error("the secret is printed")
	}
	key, ok, err := h.AccessKey(ctx, c.KeyID, "")
	if err != nil || !ok || key.Secret != c.Secret || !key.Active || key.Principal != c.Principal {
		t.Errorf("AccessKey = %v, %v, %v", key.Principal, ok, err)
	}
	set, err := h.Policies(ctx, c.Principal)
	if err != nil || len(set.Identity) != 1 || set.Identity[0].Name() != authz.ReadOnlyAccess {
		t.Errorf("Policies = %+v, %v", set, err)
	}
	var changes []packhouse.Change
	if err := h.db.View(ctx, func(tx *catalog.Tx) (err error) {
		changes, err = tx.Changes(ctx, 0, 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, ch := range changes {
		kinds = append(kinds, string(ch.Kind))
		if strings.Contains(ch.Detail, c.Secret) {
			t.Error("the ledger holds the secret")
		}
	}
	if got, want := strings.Join(kinds, " "), "policy.changed principal.created credential.changed"; got != want {
		t.Errorf("ledger = %s, want %s", got, want)
	}

	for _, tt := range []struct {
		name   string
		user   NewUser
		kind   packhouse.Kind
		reason string
	}{
		{"a second one", NewUser{Account: account, Name: "alice"}, packhouse.KindConflict, "user_exists"},
		{"the same name in another case", NewUser{Account: account, Name: "Alice"}, packhouse.KindConflict, "user_exists"},
		{"no name", NewUser{Account: account}, packhouse.KindInvalid, "invalid_name"},
		{"a long name", NewUser{Account: account, Name: strings.Repeat("x", 65)}, packhouse.KindInvalid, "invalid_name"},
		{"a slash in the name", NewUser{Account: account, Name: "a/b"}, packhouse.KindInvalid, "invalid_name"},
		{"an unknown account", NewUser{Account: "999999999999", Name: "bob"}, packhouse.KindInvalid, "unknown_account"},
		{"an unknown policy", NewUser{Account: account, Name: "bob", Policies: []string{"admin"}}, packhouse.KindInvalid, "unknown_policy"},
		{"a broken document", NewUser{Account: account, Name: "bob", Document: "{}"}, packhouse.KindInvalid, "invalid_policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CreateUser(ctx, h.db, packhouse.Principal{}, tt.user)
			wantReason(t, err, tt.kind, tt.reason)
		})
	}
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice")
	for _, id := range []string{"", "AKIA", strings.Repeat("A", 20), "AKIA\x00" + strings.Repeat("A", 15), "AKIAAAAAAAAAAAAAAAAA"} {
		if _, ok, err := h.AccessKey(ctx, id, ""); ok || err != nil {
			t.Errorf("AccessKey(%q) = %v, %v", id, ok, err)
		}
	}
	active := func() bool {
		key, ok, err := h.AccessKey(ctx, c.KeyID, "")
		if err != nil || !ok {
			t.Fatalf("AccessKey = %v, %v", ok, err)
		}
		return key.Active
	}
	if !active() {
		t.Fatal("a new key is not active")
	}
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.SetAccessKeyActive(ctx, c.KeyID, false) })
	h.Flush()
	if active() {
		t.Error("a disabled key is active after Flush")
	}
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		if err := tx.SetAccessKeyActive(ctx, c.KeyID, true); err != nil {
			return err
		}
		return tx.DisablePrincipal(ctx, c.Principal.ID, true)
	})
	h.Flush()
	if active() {
		t.Error("the key of a disabled user is active")
	}
}

// Source: reliability.md S8.
func TestLongLivedTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice")
	token := h.token(t, "alice", true, time.Time{})
	who := accepts(t, h, token)
	if who.ID != c.Principal.ID || !who.Scope.ReadOnly || !who.Expires.IsZero() {
		t.Errorf("principal = %+v", who)
	}
	if !strings.HasPrefix(token, "phr_") || !isOf(token, func(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }) {
		t.Errorf("token has the wrong shape: %d characters", len(token))
	}
	if other := h.token(t, "alice", false, time.Time{}); other == token || accepts(t, h, other).Scope.ReadOnly {
		t.Error("a second token is not another one")
	}
	// A token of the same public id with another secret and a right checksum.
	at := len(tokenPrefix) + publicIDLength + 1
	forged := token[:at] + strings.Repeat("a", 52)
	wantInvalidToken(t, h, forged+checksum(forged))
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		wantInvalidToken(t, h, string(b))
	}
	for _, bad := range []string{"", "phr_", token + "a", token[:len(token)-1], " " + token, strings.Repeat("x", maxToken+1), "v4.local.", "v4.local.AAAA"} {
		wantInvalidToken(t, h, bad)
	}
	expiring := h.token(t, "alice", false, h.wall.Add(time.Hour))
	accepts(t, h, expiring)
	h.wall = h.wall.Add(time.Hour)
	_, err := h.Token(ctx, expiring)
	wantReason(t, err, packhouse.KindUnauthenticated, "expired_token")
	// Setting the clock back does not bring it back (R25).
	h.wall = h.wall.Add(-2 * time.Hour)
	_, err = h.Token(ctx, expiring)
	wantReason(t, err, packhouse.KindUnauthenticated, "expired_token")

	publicID, _ := parseToken(token)
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisableToken(ctx, publicID) })
	h.Flush()
	wantInvalidToken(t, h, token)

	_, err = CreateToken(ctx, h.db, packhouse.Principal{}, account, "nobody", NewToken{Name: "x"})
	wantReason(t, err, packhouse.KindInvalid, "unknown_user")
	_, err = CreateToken(ctx, h.db, packhouse.Principal{}, account, "alice", NewToken{Name: "a b"})
	wantReason(t, err, packhouse.KindInvalid, "invalid_name")
	_, err = CreateToken(ctx, h.db, packhouse.Principal{}, account, "alice", NewToken{Name: "x", Expires: time.Unix(1, 0)})
	wantReason(t, err, packhouse.KindInvalid, "invalid_expiry")
}

// Source: codeartifact.md 3.10; reliability.md S8, S14, R25.
func TestRegistryTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice")
	token := h.sealed(t, c.Principal, 12*time.Hour)
	who := accepts(t, h, token)
	if who.ID != c.Principal.ID || who.Scope != (packhouse.Scope{Domain: domain}) || who.Expires.Sub(h.wall).Round(time.Minute) != 12*time.Hour {
		t.Errorf("principal = %+v", who)
	}
	if len(token) > 1024 || !isOf(token, func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0
	}) {
		t.Errorf("token of %d characters has the wrong shape", len(token))
	}
	for i := len(sealedPrefix); i < len(token); i += 7 {
		b := []byte(token)
		b[i] = "AB"[b[i]&1]
		if string(b) != token {
			wantInvalidToken(t, h, string(b))
		}
	}
	limited := c.Principal
	limited.Scope = packhouse.Scope{Domain: domain, ReadOnly: true}
	if who := accepts(t, h, h.sealed(t, limited, time.Hour)); !who.Scope.ReadOnly {
		t.Error("a read-only credential made a token that writes")
	}
	_, err := h.IssueRegistryToken(ctx, limited, packhouse.DomainRef{Owner: account, Name: "other"}, h.wall.Add(time.Hour))
	wantReason(t, err, packhouse.KindDenied, "denied")
	_, err = h.IssueRegistryToken(ctx, packhouse.Anonymous, domain, h.wall.Add(time.Hour))
	wantReason(t, err, packhouse.KindDenied, "denied")
	for _, life := range []time.Duration{-time.Hour, 0, 13 * time.Hour} {
		_, err = h.IssueRegistryToken(ctx, c.Principal, domain, h.wall.Add(life))
		wantReason(t, err, packhouse.KindInvalid, "invalid_duration")
	}

	short := h.sealed(t, c.Principal, time.Hour)
	accepts(t, h, short)
	h.wall = h.wall.Add(time.Hour)
	for range 2 { // warm, then cold
		_, err = h.Token(ctx, short)
		wantReason(t, err, packhouse.KindUnauthenticated, "expired_token")
		h.Flush()
		h.wall = h.wall.Add(-30 * time.Minute)
	}

	h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisablePrincipal(ctx, c.Principal.ID, true) })
	h.Flush()
	wantInvalidToken(t, h, token)
	_, err = h.IssueRegistryToken(ctx, c.Principal, domain, h.wall.Add(2*time.Hour))
	wantReason(t, err, packhouse.KindDenied, "denied")
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		return tx.DisablePrincipal(ctx, c.Principal.ID, false)
	})
	h.Flush()
	wantInvalidToken(t, h, token) // its epoch has passed
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DeletePrincipal(ctx, c.Principal.ID) })
	h.Flush()
	wantInvalidToken(t, h, token)
}

// Source: reliability.md S9, R22.
func TestMemoryEnds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("a look sees what another process changed", func(t *testing.T) {
		h := open(t)
		c := h.user(t, "alice")
		token := h.token(t, "alice", false, time.Time{})
		accepts(t, h, token)
		h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisablePrincipal(ctx, c.Principal.ID, true) })
		accepts(t, h, token) // nobody has told us
		if err := h.look(ctx); err != nil {
			t.Fatal(err)
		}
		wantInvalidToken(t, h, token)
	})
	t.Run("Run looks by itself and ends with its context", func(t *testing.T) {
		h := open(t)
		c := h.user(t, "alice")
		token := h.token(t, "alice", false, time.Time{})
		accepts(t, h, token)
		running, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() { defer close(ended); h.Run(running) }()
		before := h.generation.Load()
		h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisablePrincipal(ctx, c.Principal.ID, true) })
		deadline := time.After(10 * time.Second)
		for tick := time.NewTicker(10 * time.Millisecond); h.generation.Load() == before; {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("the change was not seen")
			}
		}
		wantInvalidToken(t, h, token)
		stop()
		<-ended
	})
	t.Run("nothing is known once the database is away for 5 s", func(t *testing.T) {
		db, err := catalog.Open(ctx, catalog.Options{DSN: ":memory:", Sealer: catalogtest.PassThrough{}})
		if err != nil {
			t.Fatal(err)
		}
		h := openOn(t, db)
		c := h.user(t, "alice", authz.AdminAccess)
		token := h.token(t, "alice", false, time.Time{})
		accepts(t, h, token)
		if _, err := h.Policies(ctx, c.Principal); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		h.uptime = 5 * time.Second
		accepts(t, h, token)
		h.uptime += time.Millisecond
		_, err = h.Token(ctx, token)
		wantReason(t, err, packhouse.KindUnavailable, "identity_unavailable")
		_, err = h.Policies(ctx, c.Principal)
		wantReason(t, err, packhouse.KindUnavailable, "identity_unavailable")
		_, _, err = h.AccessKey(ctx, c.KeyID, "")
		wantReason(t, err, packhouse.KindUnavailable, "identity_unavailable")
	})
	t.Run("without Run the memory is renewed on use", func(t *testing.T) {
		h := open(t)
		c := h.user(t, "alice")
		token := h.token(t, "alice", false, time.Time{})
		accepts(t, h, token)
		h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return tx.DisablePrincipal(ctx, c.Principal.ID, true) })
		h.uptime = 6 * time.Second
		wantInvalidToken(t, h, token)
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice", authz.AdminAccess)
	decide := func() bool {
		set, err := h.Policies(ctx, c.Principal)
		if err != nil {
			t.Fatal(err)
		}
		return set.Decide(authz.Request{Who: c.Principal, Action: packhouse.ActionListDomains, Resource: "*"}).Allowed
	}
	if !decide() {
		t.Error("an administrator is denied")
	}
	set, err := h.Policies(ctx, packhouse.Anonymous)
	if err != nil || len(set.Identity) != 0 {
		t.Errorf("anonymous has policies: %v, %v", set, err)
	}
	// A stored document that is not readable takes all rights away (S13).
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		id, err := tx.PutPolicy(ctx, catalog.PolicyRow{Account: account, Name: "later", Document: `{"Version":"2030-01-01"}`})
		if err != nil {
			return err
		}
		return tx.AttachPolicy(ctx, id, c.Principal.ID)
	})
	h.Flush()
	if decide() {
		t.Error("an unreadable policy was passed over")
	}
	if !strings.Contains(h.log.String(), "stored policy cannot be read") {
		t.Errorf("log = %s", h.log.String())
	}

	bob, err := CreateUser(ctx, h.db, c.Principal, NewUser{Account: account, Name: "bob",
		Document: `{"Statement":{"Effect":"Allow","Action":"codeartifact:ListDomains","Resource":"*"}}`})
	if err != nil {
		t.Fatal(err)
	}
	c = bob
	if !decide() {
		t.Error("an inline document does not count")
	}
}

func TestPageTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	alice, bob := packhouse.Principal{ID: 1}, packhouse.Principal{ID: 12}
	for _, cursor := range []string{"", "3:npm0:5:react", "ü\x00 \n<&>" + strings.Repeat("x", 1200)} {
		token := h.SealPage(alice, "q", cursor)
		if len(token) > 2000 || strings.ContainsAny(token, " \t\r\n+/=") {
			t.Errorf("token of %d characters for a cursor of %d", len(token), len(cursor))
		}
		if got, err := h.OpenPage(alice, "q", token); err != nil || got != cursor {
			t.Errorf("OpenPage = %q, %v, want %q", got, err, cursor)
		}
	}
	token := h.SealPage(alice, "2q", "c")
	registry := h.sealed(t, h.user(t, "alice").Principal, time.Hour)
	for _, tt := range []struct {
		name  string
		who   packhouse.Principal
		query string
		token string
	}{
		{"another principal", bob, "2q", token},
		{"another query", alice, "2", token},
		{"the same text cut elsewhere", bob, "q", h.SealPage(packhouse.Principal{ID: 1}, "2q", "c")},
		{"no token", alice, "2q", ""},
		{"a token cut short", alice, "2q", token[:len(token)-1]},
		{"a registry token", alice, "2q", registry},
		{"a long text", alice, "2q", strings.Repeat("a", maxToken+1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.OpenPage(tt.who, tt.query, tt.token)
			wantReason(t, err, packhouse.KindInvalid, "invalid_page_token")
		})
	}
	wantInvalidToken(t, h, token) // nor is it a registry token
	h.wall = h.wall.Add(24*time.Hour + time.Second)
	_, err := h.OpenPage(alice, "2q", token)
	wantReason(t, err, packhouse.KindInvalid, "invalid_page_token")
}

// Source: the contract of Token: warm it costs no SQL.
func TestWarmCostsNoSQL(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := context.Background()
	c := h.user(t, "alice", authz.AdminAccess)
	tokens := []string{h.token(t, "alice", false, time.Time{}), h.sealed(t, c.Principal, time.Hour)}
	ask := func() {
		for _, token := range tokens {
			accepts(t, h, token)
		}
		if _, err := h.Policies(ctx, c.Principal); err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.AccessKey(ctx, c.KeyID, ""); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	before := h.db.Statements()
	for range 10 {
		ask()
	}
	if n := h.db.Statements() - before; n != 0 {
		t.Errorf("%d statements, want none", n)
	}
}

func BenchmarkTokenWarm(b *testing.B) {
	h := open(b)
	c := h.user(b, "alice")
	ctx := context.Background()
	for name, token := range map[string]string{"sealed": h.sealed(b, c.Principal, time.Hour), "long-lived": h.token(b, "alice", false, time.Time{})} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Token(ctx, token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzToken(f *testing.F) {
	h := open(f)
	c := h.user(f, "alice")
	good := map[string]bool{h.token(f, "alice", false, time.Time{}): true, h.sealed(f, c.Principal, time.Hour): true}
	for token := range good {
		f.Add(token)
	}
	f.Add("phr_aaaaaaaaaaaaaaaa_")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := h.Token(context.Background(), token); (err == nil) != good[token] {
			t.Fatalf("Token(%q): %v", token, err)
		}
	})
}
