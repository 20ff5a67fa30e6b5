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

// allowedNow asks the service without telling it of a change: what one look sees must be
// enough (S9).
func (h *house) allowedNow(t testing.TB, who packhouse.Principal, action packhouse.Action) bool {
	t.Helper()
	if err := h.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	set, err := h.Policies(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return set.Decide(authz.Request{Who: who, Action: action, Resource: "*"}).Allowed
}

func (h *house) policy(t testing.TB, name, document string) PolicyRef {
	t.Helper()
	p, err := h.directory().CreatePolicy(t.Context(), PolicyRef{Account: account, Name: name}, NewPolicy{Document: document})
	if err != nil {
		t.Fatal(err)
	}
	return p.PolicyRef
}

// A permissions boundary narrows from the moment it is set, for sessions too, and until
// it is taken away (reliability.md S9, S13).
func TestPermissionsBoundariesActAtOnce(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	d := h.directory()
	dana := h.user(t, "dana", authz.AdminAccess).Principal
	lists := h.policy(t, "lists", allowing("codeartifact:List*"))
	role := h.role(t, "deploy", "codeartifact:*")
	session := h.session(t, role.ID, packhouse.Session{Name: "ci"}).Principal
	for _, tt := range []struct {
		ref packhouse.IdentityRef
		who packhouse.Principal
	}{{named(packhouse.KindUser, "dana"), dana}, {named(packhouse.KindRole, "deploy"), session}} {
		if !h.allowedNow(t, tt.who, packhouse.ActionCreateDomain) {
			t.Fatalf("%s may not create domains to begin with", tt.ref.ARN())
		}
		if _, err := d.Update(ctx, tt.ref, Update{Boundary: &lists}); err != nil {
			t.Fatal(err)
		}
		if h.allowedNow(t, tt.who, packhouse.ActionCreateDomain) || !h.allowedNow(t, tt.who, packhouse.ActionListDomains) {
			t.Errorf("the boundary does not narrow %s to codeartifact:List*", tt.ref.ARN())
		}
		if _, arn, err := d.Bounded(ctx, tt.ref); err != nil || arn != lists.ARN() {
			t.Errorf("boundary of %s: %q, %v", tt.ref.ARN(), arn, err)
		}
	}
	wantReason(t, d.DeletePolicy(ctx, lists), packhouse.KindConflict, ReasonInUse)
	made, err := d.CreatePolicyVersion(ctx, lists, allowing("codeartifact:*"), true)
	if err != nil || made.Number != 2 {
		t.Fatalf("version %+v: %v", made, err)
	}
	if !h.allowedNow(t, dana, packhouse.ActionCreateDomain) {
		t.Error("the boundary's new version does not hold")
	}
	if err := d.SetDefaultPolicyVersion(ctx, lists, 1); err != nil {
		t.Fatal(err)
	}
	if h.allowedNow(t, dana, packhouse.ActionCreateDomain) {
		t.Error("the boundary's first version does not hold again")
	}
	if _, err := d.Update(ctx, named(packhouse.KindUser, "dana"), Update{Boundary: &PolicyRef{}}); err != nil {
		t.Fatal(err)
	}
	if !h.allowedNow(t, dana, packhouse.ActionCreateDomain) {
		t.Error("the boundary outlives its removal")
	}
	if _, err := d.Create(ctx, named(packhouse.KindGroup, "g"), NewIdentity{Boundary: lists}); packhouse.ReasonOf(err) != "invalid_boundary" {
		t.Errorf("a group with a boundary: %v", err)
	}
	absent := PolicyRef{Account: account, Name: "absent"}
	_, err = d.Update(ctx, named(packhouse.KindUser, "dana"), Update{Boundary: &absent})
	if packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("a boundary that does not exist: %v", err)
	}
}

// A boundary that a later version wrote and this one cannot read denies everything
// (reliability.md S13).
func TestAnUnreadableBoundaryDeniesEverything(t *testing.T) {
	t.Parallel()
	h := open(t)
	dana := h.user(t, "dana", authz.AdministratorAccess).Principal
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		id, err := tx.PutPolicy(ctx, catalog.PolicyRow{Account: account, Name: "later", Document: `{"Version":"2030-01-01"}`})
		if err != nil {
			return err
		}
		row, err := tx.Principal(ctx, dana.ID)
		if err != nil {
			return err
		}
		row.BoundaryID = id
		return tx.UpdatePrincipal(ctx, row)
	})
	if h.allowedNow(t, dana, packhouse.ActionListDomains) {
		t.Error("a boundary that cannot be read is none")
	}
}

// Nobody lifts a boundary, their own or another's, beyond what they hold (S14).
func TestTheGuardSeesBoundaries(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	lists, everything := h.policy(t, "lists", allowing("codeartifact:List*")), h.policy(t, "everything", allowing("*"))
	h.user(t, "boss", authz.AdministratorAccess)
	free := h.directory()
	if _, err := free.Update(ctx, named(packhouse.KindUser, "boss"), Update{Boundary: &lists}); err != nil {
		t.Fatal(err)
	}
	// Whoever asks has everything, within a boundary of codeartifact:List*.
	held, err := rights{policies: []catalog.PolicyRow{{Name: "held", Document: allowing("*")}},
		boundary: []catalog.PolicyRow{{Name: "lists", Document: allowing("codeartifact:List*")}}}.compile()
	if err != nil {
		t.Fatal(err)
	}
	d := free
	d.Guard = func(given *authz.Set) error {
		if ok, why := held.Holds(given); !ok {
			return packhouse.Deniedf("denied", "%s", why)
		}
		return nil
	}
	boss := named(packhouse.KindUser, "boss")
	for name, change := range map[string]func() error{
		"taking it away": func() error { _, err := d.Update(ctx, boss, Update{Boundary: &PolicyRef{}}); return err },
		"a wider one":    func() error { _, err := d.Update(ctx, boss, Update{Boundary: &everything}); return err },
		"a wider version": func() error {
			_, err := d.CreatePolicyVersion(ctx, lists, allowing("codeartifact:*"), true)
			return err
		},
	} {
		if err := change(); packhouse.KindOf(err) != packhouse.KindDenied {
			t.Errorf("%s: %v, want Denied", name, err)
		}
	}
	if _, arn, err := free.Bounded(ctx, boss); err != nil || arn != lists.ARN() {
		t.Errorf("after the refusals the boundary is %q: %v", arn, err)
	}
	if versions, err := free.PolicyVersion(ctx, account, lists, 1); err != nil || !versions.Default {
		t.Errorf("after the refusals version 1 is %+v: %v", versions, err)
	}
	if _, _, err := d.CreateAccessKey(ctx, boss); err != nil {
		t.Errorf("a key of somebody whose boundary leaves no more than is held: %v", err)
	}
	if _, err := d.Update(ctx, boss, Update{Boundary: &lists}); err != nil {
		t.Errorf("the same boundary again: %v", err)
	}
}

// Paths stand in ARNs and not in names, which differ in more than case whatever the paths
// are (IAM user guide, "IAM identifiers").
func TestPaths(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	d := h.directory()
	under := func(path, name string) packhouse.IdentityRef {
		ref := named(packhouse.KindUser, name)
		ref.Path = path
		return ref
	}
	row, err := d.Create(ctx, under("/team/x/", "Dana"), NewIdentity{})
	if err != nil || row.ARN != "arn:aws:iam::111122223333:user/team/x/Dana" {
		t.Fatalf("created %+v: %v", row, err)
	}
	_, err = d.Create(ctx, under("/team/y/", "dana"), NewIdentity{})
	wantReason(t, err, packhouse.KindConflict, "user_exists")
	if _, err := d.Get(ctx, named(packhouse.KindUser, "Dana")); err != nil {
		t.Errorf("by name alone: %v", err)
	}
	if _, err := d.Get(ctx, under("/", "Dana")); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("under a path where she is not: %v", err)
	}
	path := "/team/z/"
	if row, err = d.Update(ctx, under("/team/x/", "Dana"), Update{Path: &path}); err != nil || row.ARN != "arn:aws:iam::111122223333:user/team/z/Dana" {
		t.Errorf("moved: %+v: %v", row, err)
	}
	for _, bad := range []string{"team/", "/team", "/te am/", "/té/", "/" + strings.Repeat("x", 511) + "/", "/\x7f/"} {
		_, err := d.Create(ctx, under(bad, "other"), NewIdentity{})
		wantReason(t, err, packhouse.KindInvalid, "invalid_path")
	}
	if _, err := d.Create(ctx, under("/"+strings.Repeat("x", 510)+"/", "other"), NewIdentity{}); err != nil {
		t.Errorf("a path of 512 characters: %v", err)
	}
	role, err := d.Create(ctx, packhouse.IdentityRef{Account: account, Kind: packhouse.KindRole, Name: "deploy", Path: "/ci/"}, NewIdentity{Trust: trustAccount})
	if err != nil {
		t.Fatal(err)
	}
	who := h.session(t, role.ID, packhouse.Session{Name: "job"}).Principal
	if who.RoleARN != "arn:aws:iam::111122223333:role/ci/deploy" || who.ARN != "arn:aws:sts::111122223333:assumed-role/deploy/job" {
		t.Errorf("session %s of role %s", who.ARN, who.RoleARN)
	}
}

func TestPolicyARNsWithPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("p", 128)
	for arn, want := range map[string]PolicyRef{
		"arn:aws:iam::111122223333:policy/list":       {account, "list", "/"},
		"arn:aws:iam::111122223333:policy/a/b/list":   {account, "list", "/a/b/"},
		"arn:aws:iam::111122223333:policy/" + long:    {account, long, "/"},
		"arn:aws:iam::aws:policy/AdministratorAccess": {"aws", "AdministratorAccess", "/"},
		"arn:aws:iam::111122223333:policy/a//list":    {},
		"arn:aws:iam::111122223333:policy//list":      {},
		"arn:aws:iam::111122223333:policy/a*/list":    {},
		"arn:aws:iam::111122223333:policy/a/":         {},
		"arn:aws:iam::111122223333:user/list":         {},
	} {
		got, err := ParsePolicyARN(arn)
		if (err != nil) != (want == PolicyRef{}) || err == nil && (got != want || got.ARN() != arn) {
			t.Errorf("%s is %+v, %v, want %+v", arn, got, err, want)
		}
	}
	h, ctx := open(t), t.Context()
	made, err := h.directory().CreatePolicy(ctx, PolicyRef{account, "list", "/a/"}, NewPolicy{Document: allowing("*")})
	if err != nil || made.ARN() != "arn:aws:iam::111122223333:policy/a/list" {
		t.Fatalf("made %+v: %v", made, err)
	}
	h.user(t, "dana")
	dana := named(packhouse.KindUser, "dana")
	if err := h.directory().Attach(ctx, dana, PolicyRef{account, "list", "/"}); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("attaching it under another path: %v", err)
	}
	if err := h.directory().Attach(ctx, dana, made.PolicyRef); err != nil {
		t.Error(err)
	}
}

// A disabled user's keys, password, tokens, sessions and links stop at once; enabled
// again, what was sealed before stays ended (reliability.md S8, S9, S40).
func TestDisabledUsersAreOut(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	who := h.person(t, "dana")
	key, _, err := h.directory().CreateAccessKey(ctx, named(packhouse.KindUser, "dana"))
	if err != nil {
		t.Fatal(err)
	}
	token, registry := h.token(t, "dana", false, time.Time{}), h.sealed(t, who, time.Hour)
	session := h.session(t, who.ID, packhouse.Session{})
	lasting := map[string]func() bool{
		"access key":       func() bool { k, ok, err := h.AccessKey(ctx, key.KeyID, ""); return err == nil && ok && k.Active },
		"password":         func() bool { return h.signIn("dana", goodPassword, "") == nil },
		"long-lived token": func() bool { _, err := h.Token(ctx, token); return err == nil },
	}
	sealed := map[string]func() bool{
		"registry token": func() bool { _, err := h.Token(ctx, registry); return err == nil },
		"session": func() bool {
			_, ok, err := h.AccessKey(ctx, session.KeyID, session.SessionToken)
			return err == nil && ok
		},
	}
	check := func(when string, uses map[string]func() bool, want bool) {
		t.Helper()
		for name, good := range uses {
			if good() != want {
				t.Errorf("%s: the %s is good: %t, want %t", when, name, !want, want)
			}
		}
	}
	check("before", lasting, true)
	check("before", sealed, true)
	for _, disabled := range []bool{true, false} {
		row, err := h.directory().Disable(ctx, named(packhouse.KindUser, "dana"), disabled)
		if err != nil || row.Disabled != disabled {
			t.Fatalf("row %+v: %v", row, err)
		}
		if err := h.look(ctx); err != nil {
			t.Fatal(err)
		}
		check(map[bool]string{true: "disabled", false: "enabled again"}[disabled], lasting, !disabled)
		check(map[bool]string{true: "disabled", false: "enabled again"}[disabled], sealed, false)
	}
	var details []string
	h.update(t, func(ctx context.Context, tx *catalog.Tx) error {
		changes, err := tx.Changes(ctx, 0, 1000)
		details = nil
		for _, c := range changes {
			if c.Kind == packhouse.ChangePrincipalUpdated {
				details = append(details, c.Detail)
			}
		}
		return err
	})
	const arn = "arn:aws:iam::111122223333:user/dana"
	if got := strings.Join(details, "; "); got != "disabling of "+arn+"; enabling of "+arn {
		t.Errorf("the ledger says %q", got)
	}
	_, err = h.directory().Disable(ctx, named(packhouse.KindUser, "nobody"), true)
	if packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("disabling nobody: %v", err)
	}
}

// Passwords that the IAM API sets are those that users sign in with; whoever sets one must
// hold what the user may do (reliability.md S10, S14).
func TestLoginProfiles(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	d, dana := h.directory(), named(packhouse.KindUser, "dana")
	h.user(t, "dana", authz.AdministratorAccess)
	_, err := d.PasswordSince(ctx, dana)
	wantReason(t, err, packhouse.KindNotFound, "login profile_not_found")
	if _, err := d.SetPassword(ctx, dana, "hash", true); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("replacing what is not there: %v", err)
	}
	_, err = h.HashPassword(ctx, "short")
	wantReason(t, err, packhouse.KindInvalid, "weak_password")
	hash := func(password string) string {
		t.Helper()
		text, err := h.HashPassword(ctx, password)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	guarded := d
	guarded.Guard = func(*authz.Set) error { return packhouse.Deniedf("denied", "no") }
	if _, err := guarded.SetPassword(ctx, dana, "hash", false); packhouse.KindOf(err) != packhouse.KindDenied {
		t.Errorf("a password of somebody with more rights: %v", err)
	}
	before := time.Now().Add(-time.Minute)
	if since, err := d.SetPassword(ctx, dana, hash(goodPassword), false); err != nil || since.Before(before) {
		t.Fatalf("set at %v: %v", since, err)
	}
	if _, err := d.SetPassword(ctx, dana, "hash", false); packhouse.KindOf(err) != packhouse.KindConflict {
		t.Errorf("a second one: %v", err)
	}
	signsIn := func(password string) bool {
		if err := h.look(ctx); err != nil {
			t.Fatal(err)
		}
		return h.signIn("dana", password, "") == nil
	}
	if !signsIn(goodPassword) {
		t.Error("the password is not good")
	}
	if _, err := d.SetPassword(ctx, dana, hash(goodPassword+"2"), true); err != nil {
		t.Fatal(err)
	}
	if signsIn(goodPassword) || !signsIn(goodPassword+"2") {
		t.Error("the password was not replaced")
	}
	if err := d.RemovePassword(ctx, dana); err != nil {
		t.Fatal(err)
	}
	if signsIn(goodPassword + "2") {
		t.Error("the password outlives its removal")
	}
	if err := d.RemovePassword(ctx, dana); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("removing it twice: %v", err)
	}
}

// Accounts have numbers and names of their own, and an administrator who may do
// everything in it (data-model.md, accounts).
func TestCreateAccount(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), t.Context()
	made, admin, err := CreateAccount(ctx, h.db, NewAccount{Name: "research", Admin: "omar"})
	if err != nil || !packhouse.ValidAccountID(string(made.ID)) || made.ID[0] == '0' || admin.Principal.ARN != "arn:aws:iam::"+string(made.ID)+":user/omar" {
		t.Fatalf("made %+v with %+v: %v", made, admin.Principal, err)
	}
	if !h.may(t, admin.Principal, packhouse.ActionCreateDomain) {
		t.Error("its administrator may not create a domain")
	}
	for name, tt := range map[string]struct {
		n      NewAccount
		kind   packhouse.Kind
		reason string
	}{
		"a number that is taken":              {NewAccount{ID: account, Name: "again", Admin: "a"}, packhouse.KindConflict, "account_exists"},
		"a name that is taken":                {NewAccount{Name: "research", Admin: "a"}, packhouse.KindConflict, "account_exists"},
		"a short number":                      {NewAccount{ID: "123", Name: "again", Admin: "a"}, packhouse.KindInvalid, "invalid_account"},
		"a name of digits":                    {NewAccount{Name: "444455556666", Admin: "a"}, packhouse.KindInvalid, "invalid_name"},
		"a name in capitals":                  {NewAccount{Name: "Research", Admin: "a"}, packhouse.KindInvalid, "invalid_name"},
		"an administrator whose name is none": {NewAccount{Name: "again", Admin: "a b"}, packhouse.KindInvalid, "invalid_name"},
	} {
		if _, _, err := CreateAccount(ctx, h.db, tt.n); packhouse.KindOf(err) != tt.kind || packhouse.ReasonOf(err) != tt.reason {
			t.Errorf("%s: %v, want %v %q", name, err, tt.kind, tt.reason)
		}
	}
	all, err := Accounts(ctx, h.db)
	if err != nil || len(all) != 2 || all[0].ID != account || all[1].Name != "research" {
		t.Errorf("accounts %+v: %v", all, err)
	}
	for _, text := range []string{"research", string(made.ID)} {
		if found, err := FindAccount(ctx, h.db, text); err != nil || found.ID != made.ID {
			t.Errorf("%s is %+v: %v", text, found, err)
		}
	}
	if _, err := FindAccount(ctx, h.db, "none"); packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Errorf("an account that is none: %v", err)
	}
}
