package authz_test

import (
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

const (
	roleARN    = "arn:aws:iam::111122223333:role/ci"
	sessionARN = "arn:aws:sts::111122223333:assumed-role/ci/run-7"
	provider   = "arn:aws:iam::111122223333:oidc-provider/ci.example.com"
)

var (
	bob     = packhouse.Principal{ID: 8, Account: other, Kind: packhouse.KindUser, Name: "bob", ARN: packhouse.UserARN(other, "bob")}
	session = packhouse.Principal{ID: 9, Account: own, Kind: packhouse.KindRole, Name: "ci", ARN: sessionARN, RoleARN: roleARN}
)

func resourcePolicy(t testing.TB, doc string) *authz.Policy {
	t.Helper()
	p, err := authz.ParseResource("the policy of repository store", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func trustPolicy(t testing.TB, doc string) *authz.Policy {
	t.Helper()
	p, err := authz.ParseTrust([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// to is a resource policy that allows everything to a principal.
func to(principal string) string {
	return statement(`"Sid":"to","Effect":"Allow","Principal":` + principal + `,"Action":"*","Resource":"*"`)
}

func denyTo(principal string) string { return strings.Replace(to(principal), "Allow", "Deny", 1) }

// Rules 5 to 7 of codeartifact.md 3.12: who needs which allow.
func TestResourcePoliciesDecide(t *testing.T) {
	const (
		allowAll  = `{"Statement":{"Sid":"all","Effect":"Allow","Action":"*","Resource":"*"}}`
		denyReads = `{"Statement":{"Sid":"no","Effect":"Deny","Action":"codeartifact:ReadFromRepository","Resource":"*"}}`
	)
	for _, tt := range []struct {
		name     string
		who      packhouse.Principal
		admin    packhouse.AccountID
		identity []string
		resource []string
		session  []string
		allowed  bool
		explicit bool
		why      string
	}{
		{name: "in the owner's account a resource policy is enough", who: alice, resource: []string{to(`{"AWS":"111122223333"}`)},
			allowed: true, why: `allowed by statement "to" of the policy of repository store`},
		{name: "in the owner's account an identity policy is enough", who: alice, identity: []string{allowAll}, allowed: true},
		{name: "absence from the resource policy is no denial", who: alice, identity: []string{allowAll},
			resource: []string{to(`{"AWS":"444455556666"}`)}, allowed: true},
		{name: "an identity's deny wins over the resource's allow", who: alice, identity: []string{denyReads},
			resource: []string{to(`"*"`)}, explicit: true, why: `denied by statement "no" of policy "test"`},
		{name: "the resource's deny wins over the identity's allow", who: alice, identity: []string{allowAll},
			resource: []string{denyTo(`{"AWS":"arn:aws:iam::111122223333:user/alice"}`)}, explicit: true, why: "denied by statement \"to\" of the policy"},
		{name: "one of two resource policies is enough", who: alice, resource: []string{to(`{"AWS":"444455556666"}`), to(`{"AWS":"111122223333"}`)}, allowed: true},
		{name: "a deny of either resource policy wins", who: alice, identity: []string{allowAll}, resource: []string{to(`"*"`), denyTo(`"*"`)}, explicit: true},
		{name: "a caller of another account needs both: only the resource's", who: bob, resource: []string{to(`"*"`)}, why: "identity policy must allow it too"},
		{name: "a caller of another account needs both: only the identity's", who: bob, identity: []string{allowAll}, why: "no resource policy allows"},
		{name: "a caller of another account with both", who: bob, identity: []string{allowAll}, resource: []string{to(`{"AWS":"arn:aws:iam::444455556666:root"}`)}, allowed: true},
		{name: "the administrator's account needs an identity policy only", who: bob, admin: other, identity: []string{allowAll}, allowed: true},
		{name: "the administrator's account is no owner: the resource's allow alone is not enough", who: bob, admin: other,
			resource: []string{to(`"*"`)}, why: "identity policy must allow it too"},
		{name: "a deny reaches the administrator's account", who: bob, admin: other, identity: []string{allowAll}, resource: []string{denyTo(`"*"`)}, explicit: true},
		{name: "nobody is not everybody", who: packhouse.Anonymous, resource: []string{to(`"*"`)}, why: "nobody"},
		{name: "a role's ARN means its sessions", who: session, resource: []string{to(`{"AWS":"` + roleARN + `"}`)}, allowed: true},
		{name: "a session's ARN means that session", who: session, resource: []string{to(`{"AWS":"` + sessionARN + `"}`)}, allowed: true},
		{name: "another session's ARN does not", who: session, resource: []string{to(`{"AWS":"` + sessionARN + `0"}`)}, why: "no statement"},
		{name: "a user's ARN is compared exactly", who: alice, resource: []string{to(`{"AWS":"arn:aws:iam::111122223333:user/ALICE"}`)}, why: "no statement"},
		{name: "a list names each of its members", who: alice, resource: []string{to(`{"AWS":["444455556666","111122223333"]}`)}, allowed: true},
		{name: "NotPrincipal leaves its principals out", who: alice, resource: []string{strings.Replace(to(`{"AWS":"`+alice.ARN+`"}`), "Principal", "NotPrincipal", 1)}, why: "no statement"},
		{name: "a deny with NotPrincipal reaches all others", who: alice, identity: []string{allowAll},
			resource: []string{strings.Replace(denyTo(`{"AWS":"444455556666"}`), "Principal", "NotPrincipal", 1)}, explicit: true},
		{name: "a session policy must allow as well", who: session, identity: []string{allowAll},
			session: []string{strings.Replace(allowAll, `"Action":"*"`, `"Action":"codeartifact:List*"`, 1)}, why: "session's own policy"},
		{name: "a session policy limits what a resource policy gives", who: session, resource: []string{to(`"*"`)}, session: []string{denyReads}, explicit: true},
		{name: "a session policy gives nothing by itself", who: session, session: []string{allowAll}, why: "no statement"},
		{name: "a session policy that allows", who: session, identity: []string{allowAll}, session: []string{allowAll}, allowed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, tt.identity...)
			s.Session = set(t, tt.session...).Identity
			for _, doc := range tt.resource {
				s.Resource = append(s.Resource, resourcePolicy(t, doc))
			}
			q := read(tt.who)
			if tt.admin != "" {
				q.Admin = tt.admin
			}
			got := s.Decide(q)
			if got.Allowed != tt.allowed || got.Explicit != tt.explicit || !strings.Contains(got.Why, tt.why) {
				t.Errorf("Decide = %+v, want allowed %v, explicit %v because %q", got, tt.allowed, tt.explicit, tt.why)
			}
		})
	}
}

// Source: reliability.md S13; the public description of trust policies.
func TestTrustPoliciesDecide(t *testing.T) {
	const assume = packhouse.Action("sts:AssumeRole")
	trust := func(principal, rest string) string {
		return statement(`"Effect":"Allow","Principal":` + principal + `,` + rest)
	}
	for _, tt := range []struct {
		name      string
		doc       string
		who       packhouse.Principal
		federated string
		action    packhouse.Action
		context   map[string]string
		allowed   bool
		direct    bool
	}{
		{name: "an account of its own", doc: trust(`{"AWS":"111122223333"}`, `"Action":"sts:AssumeRole"`), who: alice, action: assume, allowed: true},
		{name: "another account, named", doc: trust(`{"AWS":"444455556666"}`, `"Action":"sts:AssumeRole"`), who: bob, action: assume, allowed: true},
		{name: "a user who is named is trusted directly", doc: trust(`{"AWS":["111122223333","`+alice.ARN+`"]}`, `"Action":"sts:*"`), who: alice, action: assume, allowed: true, direct: true},
		{name: "another account, not named", doc: trust(`{"AWS":"111122223333"}`, `"Action":"sts:AssumeRole"`), who: bob, action: assume},
		{name: "a service is nobody here", doc: trust(`{"Service":"codebuild.amazonaws.com"}`, `"Action":"sts:AssumeRole"`), who: alice, action: assume},
		{name: "an external id that is right", doc: trust(`{"AWS":"*"}`, `"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}`), who: bob, action: assume,
			context: map[string]string{"sts:externalid": "x"}, allowed: true},
		{name: "an external id that is missing", doc: trust(`{"AWS":"*"}`, `"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}`), who: bob, action: assume},
		{name: "a token of the provider with the right claims",
			doc:       trust(`{"Federated":"`+provider+`"}`, `"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"ci.example.com:aud":"packhouse"},"StringLike":{"ci.example.com:sub":"repo:acme/*"}}`),
			federated: provider, action: "sts:AssumeRoleWithWebIdentity",
			context: map[string]string{"ci.example.com:aud": "packhouse", "ci.example.com:sub": "repo:acme/app"}, allowed: true, direct: true},
		{name: "a token with another subject",
			doc:       trust(`{"Federated":"`+provider+`"}`, `"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"ci.example.com:sub":"repo:acme/*"}}`),
			federated: provider, action: "sts:AssumeRoleWithWebIdentity", context: map[string]string{"ci.example.com:sub": "repo:evil/app"}},
		{name: "a token of another provider", doc: trust(`{"Federated":"`+provider+`"}`, `"Action":"sts:AssumeRoleWithWebIdentity"`),
			federated: provider + ".evil", action: "sts:AssumeRoleWithWebIdentity"},
		{name: "everybody with credentials is nobody with a token", doc: trust(`"*"`, `"Action":"sts:AssumeRoleWithWebIdentity"`),
			federated: provider, action: "sts:AssumeRoleWithWebIdentity"},
		{name: "the provider's name is no credential", doc: trust(`{"Federated":"`+provider+`"}`, `"Action":"sts:AssumeRole"`), who: alice, action: assume},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &authz.Set{Resource: []*authz.Policy{trustPolicy(t, tt.doc)}}
			got := s.Decide(authz.Request{Who: tt.who, Federated: tt.federated, Action: tt.action, Resource: roleARN, Context: tt.context})
			if got.Allowed != tt.allowed || got.Direct != tt.direct {
				t.Errorf("Decide = %+v, want allowed %v, direct %v", got, tt.allowed, tt.direct)
			}
		})
	}
	t.Run("a statement that names the caller goes before one that names its account", func(t *testing.T) {
		doc := `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"},
			{"Effect":"Allow","Principal":{"AWS":"` + alice.ARN + `"},"Action":"sts:AssumeRole"}]}`
		s := &authz.Set{Resource: []*authz.Policy{trustPolicy(t, doc)}}
		if got := s.Decide(authz.Request{Who: alice, Action: assume, Resource: roleARN}); !got.Direct {
			t.Errorf("Decide = %+v, want direct", got)
		}
	})
	t.Run("a resource policy does not let a token in", func(t *testing.T) {
		s := &authz.Set{Resource: []*authz.Policy{resourcePolicy(t, to(`"*"`))}}
		if got := s.Decide(authz.Request{Federated: provider, Action: assume, Resource: roleARN}); got.Allowed {
			t.Errorf("Decide = %+v", got)
		}
	})
}

// Source: codeartifact.md 3.12; the public description of policy variables.
func TestPolicyVariables(t *testing.T) {
	const arn = "arn:aws:codeartifact:us-east-1:111122223333:package/main/store/npm/"
	allow := func(resource string) string {
		return statement(`"Effect":"Allow","Action":"*","Resource":"` + resource + `"`)
	}
	where := func(c string) string {
		return statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":` + c)
	}
	for _, tt := range []struct {
		name, doc string
		resource  string
		who       packhouse.Principal
		tags      map[string]string
		context   map[string]string
		allowed   bool
	}{
		{name: "the user's name in a resource", doc: allow(arn + "${aws:username}/*"), resource: arn + "alice/lib", allowed: true},
		{name: "another user's name", doc: allow(arn + "${aws:username}/*"), resource: arn + "bob/lib"},
		{name: "roles have no user name", doc: allow(arn + "${aws:username}/*"), resource: arn + "ci/lib", who: session},
		{name: "a value's star is no wildcard", doc: allow(arn + "${aws:PrincipalTag/Team}/*"), tags: map[string]string{"team": "*"}, resource: arn + "blue/lib"},
		{name: "a value's star is a star", doc: allow(arn + "${aws:PrincipalTag/Team}/*"), tags: map[string]string{"team": "*"}, resource: arn + "*/lib", allowed: true},
		{name: "a default for a tag that is missing", doc: allow(arn + "${aws:PrincipalTag/Team, 'red'}/*"), resource: arn + "red/lib", allowed: true},
		{name: "no default where the tag is there", doc: allow(arn + "${aws:PrincipalTag/Team, 'red'}/*"), tags: map[string]string{"team": "blue"}, resource: arn + "red/lib"},
		{name: "a colon in a value stays in its part", doc: allow("arn:aws:codeartifact:${aws:PrincipalTag/Team}:*"), tags: map[string]string{"team": "us-east-1:111122223333"}, resource: arn + "x/lib"},
		{name: "the account in its part", doc: allow("arn:aws:codeartifact:*:${aws:PrincipalAccount}:*"), resource: arn + "x/lib", allowed: true},
		{name: "a variable beside an escape", doc: allow(arn + "${*}${aws:username}/*"), resource: arn + "*alice/lib", allowed: true},
		{name: "a condition that compares two tags", doc: where(`{"StringEquals":{"aws:ResourceTag/Team":"${aws:PrincipalTag/Team}"}}`),
			tags: map[string]string{"team": "blue"}, context: map[string]string{"aws:resourcetag/team": "blue"}, resource: arn + "x/lib", allowed: true},
		{name: "a condition whose variable has no value: the statement does not match, not even negated",
			doc: where(`{"StringNotEquals":{"aws:ResourceTag/Team":"${aws:PrincipalTag/Team}"}}`), context: map[string]string{"aws:resourcetag/team": "blue"}, resource: arn + "x/lib"},
		{name: "NotResource whose variable has no value", doc: statement(`"Effect":"Allow","Action":"*","NotResource":"` + arn + `${aws:PrincipalTag/Team}/*"`), resource: arn + "x/lib"},
		{name: "folding case folds values too", doc: where(`{"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${aws:PrincipalTag/Team}"}}`),
			tags: map[string]string{"team": "BLUE"}, context: map[string]string{"sts:rolesessionname": "blue"}, resource: arn + "x/lib", allowed: true},
		{name: "the user id", doc: where(`{"StringLike":{"aws:userid":"*:run-7"}}`), resource: arn + "x/lib", allowed: true},
		{name: "bytes that are no text are no value", doc: allow(arn + "${aws:PrincipalTag/Team}/*"), tags: map[string]string{"team": "\xff"}, resource: arn + "blue/lib"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, tt.doc)
			s.Tags, s.UserID = tt.tags, "AROA7:run-7"
			q := read(alice)
			if tt.who.ID != 0 {
				q.Who = tt.who
			}
			q.Resource, q.Context = tt.resource, tt.context
			if got := s.Decide(q); got.Allowed != tt.allowed {
				t.Errorf("Decide = %+v, want allowed %v", got, tt.allowed)
			}
		})
	}
}

// Source: codeartifact.md 3.12; reliability.md S13.
func TestParseResourceAndTrustRefuse(t *testing.T) {
	asResource := func(doc []byte) error { _, err := authz.ParseResource("p", doc); return err }
	asTrust := func(doc []byte) error { _, err := authz.ParseTrust(doc); return err }
	long := func(n int) string { return `{"Id":"` + strings.Repeat("é", n) + `"}` }
	for _, tt := range []struct {
		name  string
		parse func([]byte) error
		doc   string
		want  string
	}{
		{"a resource policy without a principal", asResource, statement(`"Effect":"Allow","Action":"*","Resource":"*"`), "exactly one of Principal and NotPrincipal"},
		{"both kinds of principal", asResource, statement(`"Effect":"Allow","Principal":"*","NotPrincipal":"*","Action":"*","Resource":"*"`), "exactly one of Principal"},
		{"a resource policy without a resource", asResource, statement(`"Effect":"Allow","Principal":"*","Action":"*"`), "Resource and NotResource"},
		{"a principal that is a list", asResource, to(`["*"]`), `Statement[0].Principal: must be "*" or an object`},
		{"a principal that is an account without its kind", asResource, to(`"111122223333"`), "must be"},
		{"an empty principal", asResource, to(`{}`), "must be"},
		{"an empty list", asResource, to(`{"AWS":[]}`), "Statement[0].Principal.AWS: the list is empty"},
		{"an unknown kind of principal", asResource, to(`{"CanonicalUser":"x"}`), "allowed are AWS"},
		{"a service", asResource, to(`{"Service":"codebuild.amazonaws.com"}`), "allowed are AWS"},
		{"a short account", asResource, to(`{"AWS":"11112222333"}`), "12 digits"},
		{"a wildcard in an ARN", asResource, to(`{"AWS":"arn:aws:iam::111122223333:user/*"}`), "12 digits"},
		{"a group", asResource, to(`{"AWS":"arn:aws:iam::111122223333:group/x"}`), "12 digits"},
		{"a user without a name", asResource, to(`{"AWS":"arn:aws:iam::111122223333:user/"}`), "12 digits"},
		{"a session without a name", asResource, to(`{"AWS":"arn:aws:sts::111122223333:assumed-role/ci"}`), "12 digits"},
		{"a variable in a principal", asResource, to(`{"AWS":"arn:aws:iam::111122223333:user/${aws:username}"}`), "12 digits"},
		{"a claim in a resource policy", asResource, statement(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringLike":{"ci.example.com:sub":"x"}}`), "unknown condition key"},
		{"7,169 characters", asResource, long(7160), "7169 characters, at most 7168"},
		{"4,097 characters", asTrust, long(4088), "4097 characters, at most 4096"},
		{"a trust policy with a resource", asTrust, statement(`"Effect":"Allow","Principal":"*","Resource":"*"`), "a trust policy has no Resource"},
		{"a trust policy for all actions", asTrust, statement(`"Effect":"Allow","Principal":"*","Action":"*"`), "sts:AssumeRole"},
		{"a trust policy for another service", asTrust, statement(`"Effect":"Allow","Principal":"*","Action":"codeartifact:*"`), "sts:AssumeRole"},
		{"a trust policy for other actions", asTrust, statement(`"Effect":"Allow","Principal":"*","Action":"sts:Get*"`), "sts:AssumeRole"},
		{"a trust policy with NotAction", asTrust, statement(`"Effect":"Allow","Principal":"*","NotAction":"sts:TagSession"`), "no NotAction"},
		{"a trust policy with NotPrincipal", asTrust, statement(`"Effect":"Allow","NotPrincipal":"*","Action":"sts:AssumeRole"`), "no NotPrincipal"},
		{"a trust policy without a principal", asTrust, statement(`"Effect":"Allow","Action":"sts:AssumeRole"`), "Principal is missing"},
		{"a provider that is no ARN", asTrust, statement(`"Effect":"Allow","Principal":{"Federated":"ci.example.com"},"Action":"sts:AssumeRoleWithWebIdentity"`), "oidc-provider/HOST"},
		{"an unknown aws: key", asTrust, statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringLike":{"aws:Referer":"x"}}`), "unknown condition key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.parse([]byte(tt.doc))
			if packhouse.ReasonOf(err) != "invalid_policy" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want invalid_policy with %q", err, tt.want)
			}
		})
	}
	if err := asResource([]byte(long(7159))); err == nil || strings.Contains(err.Error(), "characters") {
		t.Errorf("7,168 characters of two bytes each: %v, want another reason", err)
	}
}

func TestPolicyAsks(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      authz.Asks
	}{
		{"nothing", statement(`"Effect":"Allow","Action":"*","Resource":"*"`), 0},
		{"the address, by a condition", condition(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), authz.AsksRequest},
		{"the resource's tags, by a variable", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:package/${aws:ResourceTag/Team}/*"`), authz.AsksResourceTags},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := set(t, tt.doc).Asks(); got != tt.want {
				t.Errorf("Asks = %b, want %b", got, tt.want)
			}
		})
	}
}

func FuzzParseResource(f *testing.F) {
	f.Add([]byte(to(`{"AWS":["111122223333","arn:aws:iam::111122223333:role/ci"]}`)))
	f.Add([]byte(statement(`"Effect":"Deny","NotPrincipal":"*","NotAction":"a:B","NotResource":"arn:aws:codeartifact:*:*:package/${aws:username, 'x'}/*"`)))
	fuzzParse(f, func(doc []byte) (*authz.Policy, error) { return authz.ParseResource("fuzz", doc) })
}

func FuzzParseTrust(f *testing.F) {
	f.Add([]byte(statement(`"Effect":"Allow","Principal":{"Federated":"` + provider + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"ci.example.com:sub":"a*"}}`)))
	f.Add([]byte(statement(`"Effect":"Allow","Principal":{"AWS":"*","Service":"x.amazonaws.com"},"Action":["sts:AssumeRole","sts:Tag*"]`)))
	fuzzParse(f, authz.ParseTrust)
}

// fuzzParse checks that documents are refused with their reason, and that those that are
// taken decide the same twice, never for nobody.
func fuzzParse(f *testing.F, parse func([]byte) (*authz.Policy, error)) {
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := parse(doc)
		if err != nil {
			if packhouse.ReasonOf(err) != "invalid_policy" {
				t.Fatalf("error without the reason: %v", err)
			}
			return
		}
		set := authz.Set{Resource: []*authz.Policy{p}}
		q := read(alice)
		if first, again := set.Decide(q), set.Decide(q); first != again {
			t.Fatalf("two answers to one question: %v, %v", first, again)
		}
		q.Who = packhouse.Anonymous
		if d := set.Decide(q); d.Allowed {
			t.Fatalf("nobody is allowed: %v by %s", d, doc)
		}
	})
}

// Identity and resource policies of 50 statements together: no allocation.
func TestDecideWithResourcePoliciesDoesNotAllocate(t *testing.T) {
	s := fiftyOfBoth(t)
	q := read(alice)
	if n := testing.AllocsPerRun(100, func() {
		if !s.Decide(q).Allowed {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Errorf("%v allocations per decision, want none", n)
	}
}

func fiftyOfBoth(t testing.TB) *authz.Set {
	half := strings.Split(fiftyStatements(), `{"Sid":"s25"`)
	identity := strings.TrimSuffix(half[0], ",") + "]}"
	resource := `{"Version":"2012-10-17","Statement":[{"Sid":"s25"` + half[1]
	resource = strings.ReplaceAll(resource, `"Effect":`, `"Principal":{"AWS":["`+alice.ARN+`","444455556666"]},"Effect":`)
	s := set(t, identity)
	s.Resource = append(s.Resource, resourcePolicy(t, resource))
	return s
}

func BenchmarkDecideFiftyOfBoth(b *testing.B) {
	s := fiftyOfBoth(b)
	q := read(alice)
	b.ReportAllocs()
	for b.Loop() {
		if !s.Decide(q).Allowed {
			b.Fatal("denied")
		}
	}
}
