package identity

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

const trustAccount = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}`

func allowing(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

func (h *house) directory() Directory { return Directory{Catalog: h.db} }

func named(kind packhouse.PrincipalKind, name string) packhouse.IdentityRef {
	return packhouse.IdentityRef{Account: account, Kind: kind, Name: name}
}

// may asks whether a principal's policies allow an action, as of now.
func (h *house) may(t testing.TB, who packhouse.Principal, action packhouse.Action) bool {
	t.Helper()
	h.Flush()
	set, err := h.Policies(context.Background(), who)
	if err != nil {
		t.Fatal(err)
	}
	return set.Decide(authz.Request{Who: who, Action: action, Resource: "*"}).Allowed
}

func (h *house) role(t testing.TB, name, action string) catalog.PrincipalRow {
	t.Helper()
	row, err := h.directory().Create(context.Background(), named(packhouse.KindRole, name), NewIdentity{Trust: trustAccount})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.directory().PutInline(context.Background(), row.IdentityRef(), catalog.InlinePolicyRow{Name: "p", Document: allowing(action)}); err != nil {
		t.Fatal(err)
	}
	return row
}

// A group's policies hold for its members, and end with the membership (S9).
func TestGroupPoliciesHoldForMembers(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), context.Background()
	dana := h.user(t, "dana").Principal
	d := h.directory()
	group := named(packhouse.KindGroup, "readers")
	if _, err := d.Create(ctx, group, NewIdentity{}); err != nil {
		t.Fatal(err)
	}
	if err := d.PutInline(ctx, group, catalog.InlinePolicyRow{Name: "p", Document: allowing("codeartifact:ListDomains")}); err != nil {
		t.Fatal(err)
	}
	if h.may(t, dana, packhouse.ActionListDomains) {
		t.Error("the policy holds for somebody outside of the group")
	}
	if err := d.AddMember(ctx, account, "readers", "dana"); err != nil {
		t.Fatal(err)
	}
	if !h.may(t, dana, packhouse.ActionListDomains) {
		t.Error("the policy does not hold for a member")
	}
	if err := d.RemoveMember(ctx, account, "readers", "dana"); err != nil {
		t.Fatal(err)
	}
	if h.may(t, dana, packhouse.ActionListDomains) {
		t.Error("the policy holds for a former member")
	}
}

// A guard that refuses undoes the change: nobody hands out more than they hold (S14).
func TestTheGuardSeesTheRightsAfterTheChange(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), context.Background()
	dana := h.user(t, "dana").Principal
	held, err := rights{policies: []catalog.PolicyRow{{Name: "held", Document: allowing("codeartifact:List*")}}}.compile()
	if err != nil {
		t.Fatal(err)
	}
	d := h.directory()
	d.Guard = func(given *authz.Set) error {
		if ok, why := held.Holds(given); !ok {
			return packhouse.Deniedf("denied", "%s", why)
		}
		return nil
	}
	ref := named(packhouse.KindUser, "dana")
	if err := d.PutInline(ctx, ref, catalog.InlinePolicyRow{Name: "p", Document: allowing("codeartifact:ListDomains")}); err != nil {
		t.Errorf("less than what is held: %v", err)
	}
	err = d.PutInline(ctx, ref, catalog.InlinePolicyRow{Name: "q", Document: allowing("codeartifact:*")})
	wantReason(t, err, packhouse.KindDenied, "denied")
	if err := d.Attach(ctx, ref, shippedRef(authz.AdministratorAccess)); packhouse.KindOf(err) != packhouse.KindDenied {
		t.Errorf("attaching AdministratorAccess: %v", err)
	}
	if h.may(t, dana, packhouse.ActionCreateDomain) {
		t.Error("a refused change is in force")
	}
	h.role(t, "boss", "*")
	trust := trustAccount
	if _, err := d.Update(ctx, named(packhouse.KindRole, "boss"), Update{Trust: &trust}); packhouse.KindOf(err) != packhouse.KindDenied {
		t.Errorf("opening a role with more rights: %v", err)
	}
	h.user(t, "admin2", authz.AdministratorAccess)
	if err := h.directory().DeleteAccessKey(ctx, named(packhouse.KindUser, "admin2"), "AKIAAAAAAAAAAAAAAAAA"); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("deleting an unknown key: %v", err)
	}
	if _, _, err := d.CreateAccessKey(ctx, named(packhouse.KindUser, "admin2")); packhouse.KindOf(err) != packhouse.KindDenied {
		t.Errorf("a key of somebody with more rights: %v", err)
	}
}

func TestAUserHasTwoAccessKeysAtMost(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), context.Background()
	h.user(t, "dana") // with one
	if _, _, err := h.directory().CreateAccessKey(ctx, named(packhouse.KindUser, "dana")); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.directory().CreateAccessKey(ctx, named(packhouse.KindUser, "dana"))
	wantReason(t, err, packhouse.KindQuotaExceeded, "limit_exceeded")
}

func (h *house) session(t testing.TB, id int64, session packhouse.Session) TemporaryCredentials {
	t.Helper()
	made, err := h.BeginSession(context.Background(), id, NewSession{Session: session, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Temporary credentials open with their token and their id alone.
func TestSessionTokens(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), context.Background()
	role := h.role(t, "deploy", "codeartifact:*")
	made := h.session(t, role.ID, packhouse.Session{Name: "ci", Policies: []string{allowing("codeartifact:List*")},
		Tags: []packhouse.ResourceTag{{Key: "Team", Value: "web"}}})
	key, ok, err := h.AccessKey(ctx, made.KeyID, made.SessionToken)
	if err != nil || !ok || key.Secret != made.Secret || !key.Principal.Temporary {
		t.Fatalf("key = %v, %t, %v", key, ok, err)
	}
	who := key.Principal
	if who.ARN != "arn:aws:sts::111122223333:assumed-role/deploy/ci" || who.RoleARN != role.ARN {
		t.Errorf("ARN %s of role %s", who.ARN, who.RoleARN)
	}
	set, err := h.Policies(ctx, who)
	if err != nil || set.UserID != UniqueID(role)+":ci" || set.Tags["team"] != "web" {
		t.Errorf("user id %q, tags %v, error %v", set.UserID, set.Tags, err)
	}
	if !h.may(t, who, packhouse.ActionListDomains) || h.may(t, who, packhouse.ActionCreateDomain) {
		t.Error("the session policy does not narrow to codeartifact:List*")
	}
	other := h.session(t, role.ID, packhouse.Session{Name: "ci"})
	for name, tt := range map[string][2]string{
		"the token of another key":    {made.KeyID, other.SessionToken},
		"a registry token":            {made.KeyID, h.sealed(t, who, time.Hour)},
		"a token with a byte changed": {made.KeyID, made.SessionToken[:60] + "AAAA" + made.SessionToken[64:]},
		"no token at all":             {made.KeyID, "x"},
	} {
		_, ok, err := h.AccessKey(ctx, tt[0], tt[1])
		if ok {
			t.Errorf("%s is taken", name)
		}
		wantReason(t, err, packhouse.KindUnauthenticated, "unrecognized_client")
	}
	if _, ok, err := h.AccessKey(ctx, made.KeyID, ""); ok || err != nil {
		t.Errorf("without the token: %t, %v", ok, err)
	}
	wantInvalidToken(t, h, made.SessionToken) // it is no bearer token
}

// A registry token keeps the session: its ARN and its narrowing (codeartifact.md 3.10).
func TestRegistryTokensKeepTheSession(t *testing.T) {
	t.Parallel()
	h := open(t)
	role := h.role(t, "deploy", "codeartifact:*")
	made := h.session(t, role.ID, packhouse.Session{Name: "ci", Policies: []string{allowing("codeartifact:List*")}})
	who := accepts(t, h, h.sealed(t, made.Principal, time.Hour))
	if who.ARN != made.Principal.ARN || who.RoleARN != role.ARN {
		t.Errorf("ARN %s of role %s", who.ARN, who.RoleARN)
	}
	who.Scope = packhouse.Scope{} // what the domain limits is another test's
	if h.may(t, who, packhouse.ActionCreateDomain) || !h.may(t, who, packhouse.ActionListDomains) {
		t.Error("the session policy is lost")
	}
}

// The role's token epoch and its end revoke sessions (S8, S9).
func TestSessionsEndWithTheirRole(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context, tx *catalog.Tx, id int64) error{
		"deleted":  func(ctx context.Context, tx *catalog.Tx, id int64) error { return tx.DeletePrincipal(ctx, id) },
		"disabled": func(ctx context.Context, tx *catalog.Tx, id int64) error { return tx.DisablePrincipal(ctx, id, true) },
		"disabled and enabled again": func(ctx context.Context, tx *catalog.Tx, id int64) error {
			if err := tx.DisablePrincipal(ctx, id, true); err != nil {
				return err
			}
			return tx.DisablePrincipal(ctx, id, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, ctx := open(t), context.Background()
			role := h.role(t, "deploy", "*")
			made := h.session(t, role.ID, packhouse.Session{Name: "ci"})
			if _, ok, err := h.AccessKey(ctx, made.KeyID, made.SessionToken); !ok || err != nil {
				t.Fatalf("before: %t, %v", ok, err)
			}
			h.update(t, func(ctx context.Context, tx *catalog.Tx) error { return end(ctx, tx, role.ID) })
			if err := h.look(ctx); err != nil {
				t.Fatal(err)
			}
			_, ok, err := h.AccessKey(ctx, made.KeyID, made.SessionToken)
			if ok {
				t.Error("the session lives on")
			}
			wantReason(t, err, packhouse.KindUnauthenticated, "unrecognized_client")
		})
	}
}

// The largest session that is taken makes tokens below 4 kB (codeartifact.md 3.10).
func TestPackedSessionsFitIntoTokens(t *testing.T) {
	t.Parallel()
	h := open(t)
	role := h.role(t, "deploy", "*")
	session := packhouse.Session{Name: strings.Repeat("n", maxSessionName)}
	for {
		next := session
		next.Tags = append(next.Tags[:len(next.Tags):len(next.Tags)],
			packhouse.ResourceTag{Key: tokenAlphabet.EncodeToString(randomBytes(20)), Value: tokenAlphabet.EncodeToString(randomBytes(100))})
		if err := ValidSession(&next); err != nil {
			wantReason(t, err, packhouse.KindInvalid, "packed_policy_too_large")
			break
		}
		session = next
	}
	made := h.session(t, role.ID, session)
	if n := len(made.SessionToken); n > maxToken {
		t.Errorf("a session token has %d bytes, at most %d are read back", n, maxToken)
	}
	registry := h.sealed(t, made.Principal, time.Hour)
	if len(registry) > maxToken {
		t.Errorf("a registry token has %d bytes", len(registry))
	}
	accepts(t, h, registry)
}

func FuzzOpenSession(f *testing.F) {
	h := open(f)
	role := h.role(f, "deploy", "*")
	made := h.session(f, role.ID, packhouse.Session{Name: "ci"})
	f.Add(made.SessionToken + "A")
	f.Add("v4.local.AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		if token == made.SessionToken {
			return
		}
		if _, ok := h.openSession(token); ok {
			t.Errorf("a token that nobody made is opened: %q", token)
		}
	})
}
