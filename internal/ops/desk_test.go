package ops

import (
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/identity"
)

const deskPassword = "correct horse battery"

// deskUser makes an administrator with a password and signs in.
func (e *env) deskUser(name string) (who packhouse.Principal, token string) {
	e.t.Helper()
	e.user(ours, name, allowAll)
	e.must(identity.SetPassword(e.ctx, e.db, packhouse.Principal{}, ours, name, deskPassword))
	token, err := e.s.SignIn(e.ctx, format.Credentials{Name: name, Password: deskPassword})
	e.must(err)
	e.identity.Flush()
	who, err = e.identity.Token(e.ctx, token)
	e.must(err)
	return who, token
}

// S8, S14: what signing in gives lasts as configured; what a credential makes holds no
// more than itself, and not for longer.
func TestTokensHoldNoMoreThanTheirMaker(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.LoginTokenLife = 48 * time.Hour })
	d := e.domain("main")
	repo := e.repo(d, "team")
	who, _ := e.deskUser("dana")
	if got := who.Expires.Sub(e.s.now()); got != 48*time.Hour {
		t.Errorf("a login lasts %s, want 48h", got)
	}
	ask := format.NewToken{Password: deskPassword, Name: "ci"}
	limited, readOnly, temporary := who, who, who
	limited.Scope.Domain, readOnly.Scope.ReadOnly, temporary.Temporary = d, true, true
	for sentence, maker := range map[string]packhouse.Principal{"a registry token": limited, "a read-only token": readOnly, "temporary credentials": temporary} {
		t.Run(sentence, func(t *testing.T) {
			_, _, err := e.s.CreateToken(e.ctx, maker, repo, ask)
			e.wantError(err, packhouse.KindDenied, "limited_credential")
			e.wantError(e.s.RevokeToken(e.ctx, maker, repo, "x"), packhouse.KindDenied, "limited_credential")
		})
	}
	_, _, err := e.s.CreateToken(e.ctx, who, repo, format.NewToken{Password: "wrong password"})
	e.wantError(err, packhouse.KindDenied, format.ReasonWrongPassword)
	_, _, err = e.s.CreateToken(e.ctx, who, repo, format.NewToken{Password: deskPassword, Life: -1})
	e.wantError(err, packhouse.KindInvalid, "invalid_expiry")
	ask.Life = 1000 * time.Hour
	token, made, err := e.s.CreateToken(e.ctx, who, repo, ask)
	e.must(err)
	if !made.Expires.Equal(who.Expires) || made.Name != "ci" || made.Prefix != token[:len(made.Prefix)] {
		t.Errorf("made %+v, want one that ends with its maker at %s", made, who.Expires)
	}
	ask.Life, ask.ReadOnly, ask.Automation = time.Hour, true, true
	_, made, err = e.s.CreateToken(e.ctx, who, repo, ask)
	e.must(err)
	if made.Expires.Sub(e.s.now()) != time.Hour || !made.ReadOnly || !made.Automation {
		t.Errorf("made %+v", made)
	}
	list, err := e.s.Tokens(e.ctx, who, repo)
	e.must(err)
	if len(list) != 3 {
		t.Errorf("%d tokens, want 3", len(list))
	}
	e.must(e.s.RevokeToken(e.ctx, who, repo, list[1].Key))
	if _, err := e.identity.Token(e.ctx, token); packhouse.ReasonOf(err) != "invalid_token" {
		t.Errorf("the revoked token: %v", err)
	}
}

// npm.md 8.11: with a second factor owed, reading goes on and nothing changes.
func TestSecondFactorIsDecidedWhereTheActionIs(t *testing.T) {
	e := newEnv(t)
	repo := e.repo(e.domain("main"), "team")
	e.publish(in(repo, "lib"), "1.0.0", "bytes")
	pkg := in(repo, "lib")
	for _, row := range []struct {
		factor packhouse.SecondFactor
		may    bool
	}{{packhouse.FactorNone, true}, {packhouse.FactorOwed, false}, {packhouse.FactorRefused, false}, {packhouse.FactorProved, true}} {
		who := e.admin
		who.Scope.SecondFactor = row.factor
		if _, err := e.s.Held(e.ctx, who, pkg, ""); err != nil {
			t.Errorf("factor %d: reading: %v", row.factor, err)
		}
		err := e.s.Tag(e.ctx, who, pkg, format.TagChange{Tag: "stable", Version: "1.0.0"})
		if row.may {
			e.must(err)
			continue
		}
		e.wantError(err, packhouse.KindUnauthenticated, format.ReasonSecondFactor)
		_, _, err = e.s.CreateToken(e.ctx, who, repo, format.NewToken{Password: deskPassword})
		e.wantError(err, packhouse.KindUnauthenticated, format.ReasonSecondFactor)
	}
	// Who may not do it anyway learns that, and is not asked for a code.
	nobody := e.nobody
	nobody.Scope.SecondFactor = packhouse.FactorOwed
	e.wantError(e.s.Tag(e.ctx, nobody, pkg, format.TagChange{Tag: "stable", Version: "1.0.0"}), packhouse.KindDenied, "")
}

// S40: signing in and out, making and ending tokens each leave a row.
func TestSigningInIsRecorded(t *testing.T) {
	e := newEnv(t)
	repo := e.repo(e.domain("main"), "team")
	who, token := e.deskUser("dana")
	ticket, err := e.s.BeginLogin(e.ctx, format.LoginRequest{Repo: repo, Client: "192.0.2.1", Agent: "client"})
	e.must(err)
	e.recorded()
	page := ticket.Page[len(LoginPages):]
	login, err := e.s.Login(e.ctx, page)
	e.must(err)
	e.must(e.s.ApproveLogin(e.ctx, page, Approval{FormToken: login.FormToken, Credentials: format.Credentials{Name: "dana", Password: deskPassword}}))
	second, err := e.s.EndLogin(e.ctx, ticket.Secret)
	e.must(err)
	list, err := e.s.Tokens(e.ctx, who, repo)
	e.must(err)
	e.must(e.s.SignOut(e.ctx, second))
	e.must(e.s.RevokeToken(e.ctx, who, repo, list[0].Key))
	if _, err := e.identity.Token(e.ctx, token); packhouse.ReasonOf(err) != "invalid_token" {
		t.Errorf("the first token: %v", err)
	}
	want := []packhouse.ChangeKind{packhouse.ChangeSignedIn, packhouse.ChangeTokenCreated, packhouse.ChangeSignedOut, packhouse.ChangeTokenRevoked}
	rows := e.recorded()
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d: %+v", len(rows), len(want), rows)
	}
	for i, row := range rows {
		if row.Kind != want[i] || row.Principal != who.ARN {
			t.Errorf("row %d is %s by %s, want %s by %s", i, row.Kind, row.Principal, want[i], who.ARN)
		}
	}
}
