package ops

import (
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

func user(name string) packhouse.IdentityRef {
	return packhouse.IdentityRef{Account: ours, Kind: packhouse.KindUser, Name: name}
}

func under(path string, ref packhouse.IdentityRef) packhouse.IdentityRef {
	ref.Path = path
	return ref
}

// create makes a user under a path, in the administrator's name.
func (e *env) create(path, name string) {
	e.t.Helper()
	_, err := e.s.CreateIdentity(e.ctx, e.admin, under(path, user(name)), identity.NewIdentity{})
	e.must(err)
}

func (e *env) policy(name, statements string) identity.PolicyRef {
	e.t.Helper()
	p, err := e.s.CreatePolicy(e.ctx, e.admin, identity.PolicyRef{Account: ours, Name: name},
		identity.NewPolicy{Document: `{"Version":"2012-10-17","Statement":[` + statements + `]}`})
	e.must(err)
	return p.PolicyRef
}

const ourIAM = "arn:aws:iam::" + string(ours) + ":"

// Policies are asked about the path under which an identity stands, though requests name
// it without; who has no right learns neither the path nor whether there is anybody
// (IAM user guide, "IAM identifiers"; reliability.md S16).
func TestPoliciesSeePaths(t *testing.T) {
	e := newEnv(t)
	e.create("/team/x/", "dana")
	e.create("/boss/", "omar")
	lead := e.allowed("lead", `{"Effect":"Allow","Action":["iam:GetUser","iam:UpdateUser","iam:CreateUser","iam:ListUsers"],"Resource":"`+ourIAM+`user/team/*"}`)

	found, err := e.s.Identity(e.ctx, lead, user("dana"))
	e.must(err)
	if found.ARN() != ourIAM+"user/team/x/dana" {
		t.Errorf("found %s", found.ARN())
	}
	_, other := e.s.Identity(e.ctx, lead, user("omar"))
	e.wantError(other, packhouse.KindDenied, "")
	_, absent := e.s.Identity(e.ctx, lead, user("zora"))
	e.wantError(absent, packhouse.KindDenied, "")
	if text := strings.ReplaceAll(other.Error(), "omar", "zora"); text != absent.Error() || strings.Contains(text, "boss") {
		t.Errorf("somebody outside of the path: %q, nobody: %q", other, absent)
	}
	// A move needs the right on both sides.
	to := func(path string) identity.Update { return identity.Update{Path: &path} }
	_, err = e.s.UpdateIdentity(e.ctx, lead, user("dana"), to("/boss/"))
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.UpdateIdentity(e.ctx, lead, user("omar"), to("/team/"))
	e.wantError(err, packhouse.KindDenied, "")
	moved, err := e.s.UpdateIdentity(e.ctx, lead, user("dana"), to("/team/y/"))
	e.must(err)
	if moved.ARN() != ourIAM+"user/team/y/dana" {
		t.Errorf("moved to %s", moved.ARN())
	}
	_, err = e.s.CreateIdentity(e.ctx, lead, user("eve"), identity.NewIdentity{})
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.CreateIdentity(e.ctx, lead, under("/team/", user("eve")), identity.NewIdentity{})
	e.must(err)
	list, err := e.s.Identities(e.ctx, lead, ours, packhouse.KindUser, "/team/", "", 10)
	e.must(err)
	if len(list) != 2 || list[0].Name != "dana" || list[1].Name != "eve" {
		t.Errorf("below /team/: %+v", list)
	}
	_, err = e.s.Identities(e.ctx, lead, ours, packhouse.KindUser, "/", "", 10)
	e.wantError(err, packhouse.KindDenied, "")
	// A denial of the path holds for whoever may look at everybody.
	warden := e.allowed("warden", `{"Effect":"Allow","Action":"iam:GetUser","Resource":"*"}`, `{"Effect":"Deny","Action":"iam:GetUser","Resource":"`+ourIAM+`user/boss/*"}`)
	_, err = e.s.Identity(e.ctx, warden, user("omar"))
	e.wantError(err, packhouse.KindDenied, reasonDenied)
	_, err = e.s.Identity(e.ctx, warden, user("dana"))
	e.must(err)
}

// A user looks at itself without a policy, wherever it stands, unless its path is denied.
func TestAUserUnderAPathSeesItself(t *testing.T) {
	e := newEnv(t)
	c, err := identity.CreateUser(e.ctx, e.db, packhouse.Principal{}, identity.NewUser{Account: ours, Name: "dana", Path: "/team/"})
	e.must(err)
	found, err := e.s.Identity(e.ctx, c.Principal, user("dana"))
	e.must(err)
	if found.ARN() != c.Principal.ARN {
		t.Errorf("found %s, is %s", found.ARN(), c.Principal.ARN)
	}
	denied, err := identity.CreateUser(e.ctx, e.db, packhouse.Principal{}, identity.NewUser{Account: ours, Name: "eve", Path: "/team/",
		Document: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:*","Resource":"` + ourIAM + `user/team/*"}}`})
	e.must(err)
	_, err = e.s.Identity(e.ctx, denied.Principal, user("eve"))
	e.wantError(err, packhouse.KindDenied, "")
}

// Whoever may make users with one boundary only cannot make, widen or free one without
// (IAM user guide, "Delegating responsibility to others using permissions boundaries";
// reliability.md S14).
func TestDelegationWithinABoundary(t *testing.T) {
	e := newEnv(t)
	limit := e.policy("limit", `{"Effect":"Allow","Action":"codeartifact:List*","Resource":"*"}`)
	wide := e.policy("wide", `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	e.create("/", "free")
	lead := e.allowed("lead", `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}`,
		`{"Effect":"Allow","Action":["iam:CreateUser","iam:PutUserPermissionsBoundary","iam:DeleteUserPermissionsBoundary","iam:PutUserPolicy"],"Resource":"*",
			"Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+limit.ARN()+`"}}}`)
	_, err := e.s.CreateIdentity(e.ctx, lead, user("none"), identity.NewIdentity{})
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.CreateIdentity(e.ctx, lead, user("other"), identity.NewIdentity{Boundary: wide})
	e.wantError(err, packhouse.KindDenied, "")
	made, err := e.s.CreateIdentity(e.ctx, lead, user("dana"), identity.NewIdentity{Boundary: limit})
	e.must(err)
	if made.Boundary != limit.ARN() {
		t.Errorf("made with the boundary %q", made.Boundary)
	}
	// Within the boundary any document may be given: what it leaves is less than the lead has.
	e.must(e.s.PutInlinePolicy(e.ctx, lead, user("dana"), "own", allowAll))
	e.wantError(e.s.PutInlinePolicy(e.ctx, lead, user("free"), "own", allowAll), packhouse.KindDenied, "")
	_, err = e.s.UpdateIdentity(e.ctx, lead, user("dana"), identity.Update{Boundary: &wide})
	e.wantError(err, packhouse.KindDenied, "")
	// The policy lets the boundary be taken away; what would be left is more than the lead holds.
	_, err = e.s.UpdateIdentity(e.ctx, lead, user("dana"), identity.Update{Boundary: &identity.PolicyRef{}})
	e.wantError(err, packhouse.KindDenied, reasonDenied)
	found, err := e.s.Identity(e.ctx, e.admin, user("dana"))
	e.must(err)
	if found.Boundary != limit.ARN() {
		t.Errorf("after the refusals the boundary is %q", found.Boundary)
	}
}

// A boundary is for those who assume roles too: a trust policy that names the user is not
// limited by it, one that names the account is. A role is named with its path.
func TestAssumingRolesWithinABoundary(t *testing.T) {
	e := newEnv(t)
	limit := e.policy("limit", `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}`)
	c, err := identity.CreateUser(e.ctx, e.db, packhouse.Principal{}, identity.NewUser{Account: ours, Name: "dana", Path: "/team/", Document: allowAll, Boundary: limit})
	e.must(err)
	trusting := func(name, principal string) packhouse.IdentityRef {
		ref := packhouse.IdentityRef{Account: ours, Kind: packhouse.KindRole, Name: name, Path: "/ci/"}
		_, err := e.s.CreateIdentity(e.ctx, e.admin, ref, identity.NewIdentity{
			Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}}`})
		e.must(err)
		return ref
	}
	byName, byAccount := trusting("by-name", c.Principal.ARN), trusting("by-account", string(ours))
	made, err := e.s.AssumeRole(e.ctx, c.Principal, RoleSession{Role: byName, Name: "job"})
	e.must(err)
	if made.Principal.RoleARN != ourIAM+"role/ci/by-name" {
		t.Errorf("session of %s", made.Principal.RoleARN)
	}
	_, err = e.s.AssumeRole(e.ctx, c.Principal, RoleSession{Role: byAccount, Name: "job"})
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.AssumeRole(e.ctx, e.admin, RoleSession{Role: byAccount, Name: "job"})
	e.must(err)
	_, err = e.s.AssumeRole(e.ctx, e.admin, RoleSession{Role: under("/", byAccount), Name: "job"})
	e.wantError(err, packhouse.KindDenied, "")

	// A role's session that goes on to another role: the role's name is limited by the
	// role's boundary, the session's is not.
	_, err = e.s.UpdateIdentity(e.ctx, e.admin, byAccount, identity.Update{Boundary: &limit})
	e.must(err)
	first, err := e.s.AssumeRole(e.ctx, e.admin, RoleSession{Role: byAccount, Name: "job"})
	e.must(err)
	byRole, bySession := trusting("by-role", byAccount.ARN()), trusting("by-session", first.Principal.ARN)
	_, err = e.s.AssumeRole(e.ctx, first.Principal, RoleSession{Role: byRole, Name: "next"})
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.AssumeRole(e.ctx, first.Principal, RoleSession{Role: bySession, Name: "next"})
	e.must(err)
}
