package authz_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

func boundary(t testing.TB, doc string) []*authz.Policy {
	t.Helper()
	p, err := authz.ParseBoundary("developers", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return []*authz.Policy{p}
}

// A permissions boundary narrows identity policies, and resource policies that do not
// name the caller's own ARN (reliability.md S13; IAM user guide, "Permissions boundaries
// for IAM entities": resource-based policies).
func TestPermissionsBoundaries(t *testing.T) {
	const (
		allowAll  = `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
		listOnly  = `{"Statement":{"Effect":"Allow","Action":"codeartifact:List*","Resource":"*"}}`
		readOnly  = `{"Statement":{"Effect":"Allow","Action":"codeartifact:Read*","Resource":"*"}}`
		denyReads = `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"no","Effect":"Deny","Action":"codeartifact:Read*","Resource":"*"}]}`
	)
	for _, tt := range []struct {
		name     string
		who      packhouse.Principal
		admin    packhouse.AccountID
		boundary string
		identity string // "" for none
		resource string // "" for none
		session  string // "" for none
		allowed  bool
		explicit bool
		why      string
	}{
		{name: "both allow", who: alice, boundary: readOnly, identity: allowAll, allowed: true, why: `policy "test"`},
		{name: "the boundary does not allow", who: alice, boundary: listOnly, identity: allowAll, why: "the permissions boundary developers does not allow it"},
		{name: "a boundary gives nothing", who: alice, boundary: allowAll, why: "no statement"},
		{name: "the boundary denies", who: alice, boundary: denyReads, identity: allowAll, explicit: true, why: `denied by statement "no" of the permissions boundary "developers"`},
		{name: "a resource policy that names the user is not limited", who: alice, boundary: listOnly, resource: to(`{"AWS":"` + alice.ARN + `"}`),
			allowed: true, why: `statement "to" of the policy of repository store`},
		{name: "a statement that names the user counts behind one for the account", who: alice, boundary: listOnly, identity: allowAll,
			resource: `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
				{"Effect":"Allow","Principal":{"AWS":"` + alice.ARN + `"},"Action":"*","Resource":"*"}]}`, allowed: true},
		{name: "the boundary's deny goes before the user's name", who: alice, boundary: denyReads, resource: to(`{"AWS":"` + alice.ARN + `"}`), explicit: true},
		{name: "one that names the account is limited", who: alice, boundary: listOnly, resource: to(`{"AWS":"111122223333"}`), why: "permissions boundary"},
		{name: "one that names everybody is limited", who: alice, boundary: listOnly, resource: to(`"*"`), why: "permissions boundary"},
		{name: "one that leaves others out names nobody", who: alice, boundary: listOnly,
			resource: strings.Replace(to(`{"AWS":"444455556666"}`), "Principal", "NotPrincipal", 1), why: "permissions boundary"},
		{name: "one that names the account, and the boundary allows", who: alice, boundary: readOnly, resource: to(`{"AWS":"111122223333"}`), allowed: true},
		{name: "one that names the session is not limited", who: session, boundary: listOnly, resource: to(`{"AWS":"` + sessionARN + `"}`), allowed: true},
		{name: "one that names the role is limited", who: session, boundary: listOnly, resource: to(`{"AWS":"` + roleARN + `"}`), why: "permissions boundary"},
		{name: "a session policy still limits what names the session", who: session, boundary: listOnly, resource: to(`{"AWS":"` + sessionARN + `"}`),
			session: listOnly, why: "session's own policy"},
		{name: "boundary, identity and session policy all allow", who: session, boundary: readOnly, identity: allowAll, session: readOnly, allowed: true},
		{name: "in another account the name is not enough", who: bob, boundary: listOnly, identity: allowAll, resource: to(`{"AWS":"` + bob.ARN + `"}`), why: "permissions boundary"},
		{name: "in another account, with the boundary", who: bob, boundary: readOnly, identity: allowAll, resource: to(`{"AWS":"` + bob.ARN + `"}`), allowed: true},
		{name: "the administrator's account is limited", who: bob, admin: other, boundary: listOnly, identity: allowAll, why: "permissions boundary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &authz.Set{Boundary: boundary(t, tt.boundary)}
			if tt.identity != "" {
				s.Identity = set(t, tt.identity).Identity
			}
			if tt.session != "" {
				s.Session = set(t, tt.session).Identity
			}
			if tt.resource != "" {
				s.Resource = []*authz.Policy{resourcePolicy(t, tt.resource)}
			}
			q := read(tt.who)
			q.Admin = tt.admin
			d := s.Decide(q)
			if d.Allowed != tt.allowed || d.Explicit != tt.explicit || !strings.Contains(d.Why, tt.why) {
				t.Errorf("Decide = %+v, want allowed %v, explicit %v, why %q", d, tt.allowed, tt.explicit, tt.why)
			}
		})
	}
}

// Conditions ask the request for the key that boundaries are about, and aws:PrincipalArn
// of a role's session is the role's, with its path.
func TestConditionsOnBoundariesAndPaths(t *testing.T) {
	const arn = "arn:aws:iam::111122223333:policy/developers"
	s := set(t, `{"Statement":{"Effect":"Allow","Action":"iam:CreateUser","Resource":"arn:aws:iam::111122223333:user/team/*",
		"Condition":{"StringEquals":{"iam:PermissionsBoundary":"`+arn+`"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ops/*"}}}}`)
	who := session
	who.RoleARN = "arn:aws:iam::111122223333:role/ops/ci"
	ask := func(resource string, context map[string]string) bool {
		return s.Decide(authz.Request{Who: who, Action: "iam:CreateUser", Resource: resource, Context: context}).Allowed
	}
	with := map[string]string{authz.KeyPermissionsBoundary: arn}
	if !ask("arn:aws:iam::111122223333:user/team/x/dana", with) {
		t.Error("a user below the path, with the boundary, is refused")
	}
	if ask("arn:aws:iam::111122223333:user/team/x/dana", nil) || ask("arn:aws:iam::111122223333:user/team", with) || ask("arn:aws:iam::111122223333:user/dana", with) {
		t.Error("a user without the boundary, or outside of the path, is allowed")
	}
	who.RoleARN = roleARN
	if ask("arn:aws:iam::111122223333:user/team/x/dana", with) {
		t.Error("a session of a role outside of the path is allowed")
	}
}

// Whatever Holds lets be handed out, whoever hands it out may do as well: the comparison
// of patterns is put against decisions (reliability.md S14).
func TestWhatHoldsIsHeld(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(2026, 14))}
	const all = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	document := func() *authz.Policy {
		text := []byte(all)
		if d.IntN(4) > 0 {
			var err error
			if text, err = json.Marshal(d.document(false)); err != nil {
				t.Fatal(err)
			}
		}
		p, err := authz.ParseIdentity("test", text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	held, allowed := 0, 0
	for range 6_000 {
		giver := &authz.Set{Identity: []*authz.Policy{document()}}
		given := &authz.Set{Identity: []*authz.Policy{document()}}
		if d.IntN(2) == 0 {
			giver.Boundary = []*authz.Policy{document()}
		}
		if d.IntN(2) == 0 {
			given.Boundary = []*authz.Policy{pick(d, document(), giver.Identity[0])}
		}
		if d.IntN(4) == 0 {
			given.Identity = append(given.Identity, giver.Identity...)
		}
		if ok, _ := giver.Holds(given); !ok {
			continue
		}
		held++
		for range 10 {
			q := d.request()
			q.Who.Scope = packhouse.Scope{}
			if !given.Decide(q).Allowed {
				continue
			}
			allowed++
			if got := giver.Decide(q); !got.Allowed {
				t.Fatalf("what is given allows %+v, and the giver may not: %s", q, got.Why)
			}
		}
	}
	if held < 200 || allowed < 200 {
		t.Errorf("%d sets are held, with %d requests allowed: the draw proves too little", held, allowed)
	}
}
