package authz_test

import (
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

const (
	own   packhouse.AccountID = "111122223333"
	other packhouse.AccountID = "444455556666"
)

var (
	domain = packhouse.DomainRef{Owner: own, Name: "main"}
	repo   = packhouse.RepoRef{Domain: domain, Name: "store"}
	alice  = packhouse.Principal{ID: 7, Account: own, Kind: packhouse.KindUser, Name: "alice", ARN: packhouse.UserARN(own, "alice")}
)

func set(t testing.TB, docs ...string) *authz.Set {
	t.Helper()
	s := &authz.Set{}
	for _, doc := range docs {
		p, err := authz.ParseIdentity("test", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		s.Identity = append(s.Identity, p)
	}
	return s
}

func managed(t testing.TB, name string) *authz.Set {
	t.Helper()
	doc, _ := authz.Managed(name)
	return set(t, doc)
}

func read(who packhouse.Principal) authz.Request {
	return authz.Request{
		Who: who, Action: packhouse.ActionReadFromRepository, Owner: own, Admin: own,
		Resource: packhouse.RepositoryARN("us-east-1", repo),
	}
}

// Source: codeartifact.md 3.12, rules 5-7; reliability.md S12, S13.
func TestDecide(t *testing.T) {
	const (
		allowAll  = `{"Statement":{"Sid":"all","Effect":"Allow","Action":"*","Resource":"*"}}`
		denyReads = `{"Statement":{"Sid":"no","Effect":"Deny","Action":"CODEARTIFACT:readfrom*","Resource":"*"}}`
		notReads  = `{"Statement":{"Effect":"Allow","NotAction":"codeartifact:Read*","Resource":"*"}}`
		elsewhere = `{"Statement":{"Effect":"Allow","Action":"*","NotResource":"arn:aws:codeartifact:*:*:repository/main/*"}}`
	)
	bob := alice
	bob.Account = other
	scoped := func(s packhouse.Scope) packhouse.Principal { p := alice; p.Scope = s; return p }
	for _, tt := range []struct {
		name    string
		docs    []string
		change  func(*authz.Request)
		allowed bool
		why     string
	}{
		{name: "no policy, no right", why: "no statement"},
		{name: "an allow is enough in one's own account", docs: []string{allowAll}, allowed: true, why: `statement "all" of policy "test"`},
		{name: "a deny wins whatever the order", docs: []string{denyReads, allowAll}, why: `denied by statement "no"`},
		{name: "a deny wins in the other order", docs: []string{allowAll, denyReads}, why: `denied by statement "no"`},
		{name: "NotAction leaves its actions out", docs: []string{notReads}, why: "no statement"},
		{name: "NotResource leaves its resources out", docs: []string{elsewhere}, why: "no statement"},
		{name: "nobody is allowed nothing", docs: []string{allowAll}, change: func(q *authz.Request) { q.Who = packhouse.Principal{} }, why: "nobody"},
		{name: "the anonymous principal is allowed nothing", docs: []string{allowAll}, change: func(q *authz.Request) { q.Who = packhouse.Anonymous }, why: "nobody"},
		{name: "another account needs a resource policy", docs: []string{allowAll}, change: func(q *authz.Request) { q.Who = bob }, why: "neither owns"},
		{name: "the administrator's account decides for its repository", docs: []string{allowAll},
			change: func(q *authz.Request) { q.Who, q.Admin = bob, other }, allowed: true},
		{name: "a forgotten owner is taken from the ARN", docs: []string{allowAll},
			change: func(q *authz.Request) { q.Who, q.Owner, q.Admin = bob, "", "" }, why: "neither owns"},
		{name: "account-level actions are one's own account's", docs: []string{allowAll},
			change: func(q *authz.Request) {
				q.Action, q.Resource, q.Owner, q.Admin = packhouse.ActionListDomains, "*", "", ""
			}, allowed: true},
		{name: "an ARN does not match an account-level action",
			docs: []string{`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*"}}`},
			change: func(q *authz.Request) {
				q.Action, q.Resource, q.Owner, q.Admin = packhouse.ActionListDomains, "*", "", ""
			}, why: "no statement"},
		{name: "a star does not swallow colons inside an ARN",
			docs: []string{`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:111122223333:domain/dev"}}`},
			change: func(q *authz.Request) {
				q.Resource = "arn:aws:codeartifact:us-east-1:111122223333:package/main/store/generic/a:111122223333:domain/dev"
			}, why: "no statement"},
		{name: "an escaped star is a star",
			docs: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:repository/main/s${*}"}}`},
			why:  "no statement"},
		{name: "resources are compared exactly",
			docs: []string{`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:repository/MAIN/*"}}`},
			why:  "no statement"},
		{name: "a read-only credential reads", docs: []string{allowAll},
			change: func(q *authz.Request) { q.Who = scoped(packhouse.Scope{ReadOnly: true}) }, allowed: true},
		{name: "a read-only credential does not publish", docs: []string{allowAll},
			change: func(q *authz.Request) {
				q.Who, q.Action = scoped(packhouse.Scope{ReadOnly: true}), packhouse.ActionPublishPackageVersion
			}, why: "read-only"},
		{name: "a domain's credential works in its domain", docs: []string{allowAll},
			change: func(q *authz.Request) { q.Who = scoped(packhouse.Scope{Domain: domain}) }, allowed: true},
		{name: "a domain's credential ends at its domain", docs: []string{allowAll},
			change: func(q *authz.Request) {
				q.Who = scoped(packhouse.Scope{Domain: packhouse.DomainRef{Owner: own, Name: "mai"}})
			}, why: "another domain"},
		{name: "a domain of the same name has another owner", docs: []string{allowAll},
			change: func(q *authz.Request) {
				q.Who = scoped(packhouse.Scope{Domain: packhouse.DomainRef{Owner: other, Name: "main"}})
			}, why: "another domain"},
		{name: "a domain's credential does nothing at account level", docs: []string{allowAll},
			change: func(q *authz.Request) {
				q.Who = scoped(packhouse.Scope{Domain: domain})
				q.Action, q.Resource, q.Owner, q.Admin = packhouse.ActionListDomains, "*", "", ""
			}, why: "another domain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := read(alice)
			if tt.change != nil {
				tt.change(&q)
			}
			got := set(t, tt.docs...).Decide(q)
			if got.Allowed != tt.allowed || !strings.Contains(got.Why, tt.why) {
				t.Errorf("Decide = %+v, want allowed %v because %q", got, tt.allowed, tt.why)
			}
		})
	}
}

// Source: codeartifact.md 3.10, 3.12.
func TestManagedPoliciesDecide(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		action       packhouse.Action
		service      string // sts:AWSServiceName
		allowed      bool
	}{
		{"admin publishes", authz.AdminAccess, packhouse.ActionPublishPackageVersion, "", true},
		{"admin gets tokens of the service", authz.AdminAccess, packhouse.ActionGetServiceBearerToken, "codeartifact.amazonaws.com", true},
		{"admin gets no token of another service", authz.AdminAccess, packhouse.ActionGetServiceBearerToken, "s3.amazonaws.com", false},
		{"admin gets no token of an unnamed service", authz.AdminAccess, packhouse.ActionGetServiceBearerToken, "", false},
		{"reader reads", authz.ReadOnlyAccess, packhouse.ActionReadFromRepository, "", true},
		{"reader lists", authz.ReadOnlyAccess, packhouse.ActionListDomains, "", true},
		{"reader gets tokens", authz.ReadOnlyAccess, packhouse.ActionGetServiceBearerToken, "codeartifact.amazonaws.com", true},
		{"reader does not publish", authz.ReadOnlyAccess, packhouse.ActionPublishPackageVersion, "", false},
		{"reader does not delete", authz.ReadOnlyAccess, packhouse.ActionDeletePackageVersions, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := read(alice)
			q.Action = tt.action
			if tt.service != "" {
				q.Context = map[string]string{"sts:awsservicename": tt.service}
			}
			if got := managed(t, tt.policy).Decide(q); got.Allowed != tt.allowed {
				t.Errorf("Decide = %+v, want allowed %v", got, tt.allowed)
			}
			// A read-only credential of an administrator is what a reader is.
			if tt.policy == authz.ReadOnlyAccess {
				q.Who.Scope.ReadOnly = true
				if got := managed(t, authz.AdminAccess).Decide(q); got.Allowed != tt.allowed {
					t.Errorf("read-only credential of an administrator: %+v, want allowed %v", got, tt.allowed)
				}
			}
		})
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	s := set(t, fiftyStatements())
	q := read(alice)
	q.Context = map[string]string{"aws:sourceip": "10.0.0.1"}
	admin := managed(t, authz.AdminAccess)
	if n := testing.AllocsPerRun(100, func() {
		if !s.Decide(q).Allowed || !admin.Decide(q).Allowed {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Errorf("%v allocations per decision, want none", n)
	}
}

func BenchmarkDecideFiftyStatements(b *testing.B) {
	s := set(b, fiftyStatements())
	q := read(alice)
	b.ReportAllocs()
	for b.Loop() {
		if !s.Decide(q).Allowed {
			b.Fatal("denied")
		}
	}
}

func BenchmarkDecideAdmin(b *testing.B) {
	s := managed(b, authz.AdminAccess)
	q := read(alice)
	b.ReportAllocs()
	for b.Loop() {
		if !s.Decide(q).Allowed {
			b.Fatal("denied")
		}
	}
}
