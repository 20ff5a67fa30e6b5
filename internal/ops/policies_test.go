package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/httpx"
)

// policyFor is a resource policy of one statement about every resource.
func policyFor(effect, principal, action string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":%q,"Principal":%s,"Action":%q,"Resource":"*"}]}`, effect, principal, action)
}

const theirsAWS = `{"AWS":"222222222222"}`

// Source: codeartifact.md 3.12, cases 001-26 and 001-27.
func TestPoliciesOfResources(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	document := policyFor("Allow", theirsAWS, "codeartifact:DescribeDomain") + "\n\t"
	for _, kind := range []string{packhouse.ResourceDomain, packhouse.ResourceRepository} {
		t.Run(kind, func(t *testing.T) {
			get := func() (ResourcePolicy, error) { return e.s.DomainPolicy(e.ctx, e.admin, d) }
			put := func(p PutPolicy) (ResourcePolicy, error) { return e.s.PutDomainPolicy(e.ctx, e.admin, d, p) }
			remove := func(revision string) (ResourcePolicy, error) {
				return e.s.DeleteDomainPolicy(e.ctx, e.admin, d, revision)
			}
			arn := packhouse.DomainARN(testRegion, d)
			if kind == packhouse.ResourceRepository {
				get = func() (ResourcePolicy, error) { return e.s.RepositoryPolicy(e.ctx, e.admin, r) }
				put = func(p PutPolicy) (ResourcePolicy, error) { return e.s.PutRepositoryPolicy(e.ctx, e.admin, r, p) }
				remove = func(revision string) (ResourcePolicy, error) {
					return e.s.DeleteRepositoryPolicy(e.ctx, e.admin, r, revision)
				}
				arn = packhouse.RepositoryARN(testRegion, r)
			}
			e.recorded()
			_, err := get()
			e.wantError(err, packhouse.KindNotFound, "")
			_, err = remove("")
			e.wantError(err, packhouse.KindNotFound, "")
			_, err = put(PutPolicy{Document: document, Revision: "stale"})
			e.wantError(err, packhouse.KindConflict, "stale_policy_revision")
			_, err = put(PutPolicy{Document: `{"Statement":[]}`})
			e.wantError(err, packhouse.KindInvalid, "invalid_policy")

			first, err := put(PutPolicy{Document: document})
			e.must(err)
			if got, err := get(); err != nil || got != first || got.Document != document || got.ARN != arn {
				t.Errorf("got %+v, %v, want %+v", got, err, first)
			}
			second, err := put(PutPolicy{Document: document, Revision: first.Revision})
			e.must(err)
			if second.Revision == first.Revision || second.Revision == "" || len(second.Revision) > 100 {
				t.Errorf("revisions %q and %q of two puts", first.Revision, second.Revision)
			}
			_, err = remove(first.Revision)
			e.wantError(err, packhouse.KindConflict, "stale_policy_revision")
			if removed, err := remove(second.Revision); err != nil || removed != second {
				t.Errorf("deleted %+v, %v, want %+v", removed, err, second)
			}
			_, err = get()
			e.wantError(err, packhouse.KindNotFound, "")
			changes := e.recorded()
			if len(changes) != 3 {
				t.Fatalf("%d changes recorded, want 3: %v", len(changes), changes)
			}
			for _, c := range changes {
				if c.Kind != packhouse.ChangePolicyChanged || c.Principal != e.admin.ARN || c.DomainID == 0 || (c.RepoID != 0) != (kind == packhouse.ResourceRepository) {
					t.Errorf("change %+v", c)
				}
			}
		})
	}
}

// Policies die with their resource: who gets the name afterwards does not get them.
func TestPoliciesDieWithTheirResource(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	document := policyFor("Allow", theirsAWS, "*")
	_, err := e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: document})
	e.must(err)
	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: document})
	e.must(err)
	_, err = e.s.DeleteRepository(e.ctx, e.admin, r)
	e.must(err)
	_, err = e.s.DeleteDomain(e.ctx, e.admin, d)
	e.must(err)
	e.repo(e.domain("main"), "team")
	_, err = e.s.RepositoryPolicy(e.ctx, e.admin, r)
	e.wantError(err, packhouse.KindNotFound, "")
	_, err = e.s.Repository(e.ctx, e.stranger, r)
	e.wantError(err, packhouse.KindDenied, "")
}

// Case 001-24: a domain policy that denies everything does not keep the owner from
// replacing it. Case 001-25: nor does a repository policy; a domain policy does.
func TestPoliciesLockNobodyOut(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	deny, allow := policyFor("Deny", `"*"`, "*"), policyFor("Allow", theirsAWS, "codeartifact:DescribeDomain")
	_, err := e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: deny})
	e.must(err)
	_, err = e.s.Repository(e.ctx, e.admin, r)
	e.wantError(err, packhouse.KindDenied, reasonDenied)
	_, err = e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: deny})
	e.must(err)

	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: deny})
	e.must(err)
	_, err = e.s.Domain(e.ctx, e.admin, d)
	e.wantError(err, packhouse.KindDenied, reasonDenied)
	_, err = e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: allow})
	e.wantError(err, packhouse.KindDenied, reasonDenied)
	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: allow})
	e.must(err)
	_, err = e.s.Domain(e.ctx, e.admin, d)
	e.must(err)

	// Nobody else can be given the right to replace a domain's policy (rule 4).
	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: policyFor("Allow", theirsAWS, "*")})
	e.must(err)
	_, err = e.s.DomainPolicy(e.ctx, e.stranger, d)
	e.must(err)
	_, err = e.s.PutDomainPolicy(e.ctx, e.stranger, d, PutPolicy{Document: allow})
	e.wantError(err, packhouse.KindDenied, "")
}

// Cases 001-6 and 001-7: what another account makes in a domain is its to administer.
func TestRepositoriesOfAnotherAccount(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	e.repo(d, "team")
	in := CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "other"}}
	_, err := e.s.CreateRepository(e.ctx, e.stranger, in)
	e.wantError(err, packhouse.KindDenied, "")
	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: policyFor("Allow", theirsAWS, "codeartifact:CreateRepository")})
	e.must(err)
	out, err := e.s.CreateRepository(e.ctx, e.stranger, in)
	e.must(err)
	if out.Administrator != theirs {
		t.Errorf("administrator %s, want %s", out.Administrator, theirs)
	}
	// An identity policy is enough for the administrator's account, on that repository only.
	_, err = e.s.Repository(e.ctx, e.stranger, in.Ref)
	e.must(err)
	_, err = e.s.Repository(e.ctx, e.stranger, packhouse.RepoRef{Domain: d, Name: "team"})
	e.wantError(err, packhouse.KindDenied, "")

	names := func(list []packhouse.Repository, _ string, err error) string {
		e.must(err)
		var all []string
		for _, r := range list {
			all = append(all, r.Ref.Name)
		}
		return strings.Join(all, " ")
	}
	if got := names(e.s.Repositories(e.ctx, e.admin, "", Page{})); got != "team" {
		t.Errorf("the owner administers %q, want team", got)
	}
	if got := names(e.s.Repositories(e.ctx, e.stranger, "", Page{})); got != "other" {
		t.Errorf("the other account administers %q, want other", got)
	}
	if got := names(e.s.RepositoriesInDomain(e.ctx, e.admin, d, "", "", Page{})); got != "other team" {
		t.Errorf("the domain has %q, want both", got)
	}
	if got := names(e.s.RepositoriesInDomain(e.ctx, e.admin, d, theirs, "", Page{})); got != "other" {
		t.Errorf("filtered by administrator: %q, want other", got)
	}
	if domains, _, err := e.s.Domains(e.ctx, e.stranger, Page{}); err != nil || len(domains) != 0 {
		t.Errorf("the other account owns %v, %v, want nothing", domains, err)
	}
}

// Who must not know whether a domain exists cannot tell one with a policy from none at
// all, whatever the policy says of them (S16).
func TestPoliciesDoNotBetrayWhatExists(t *testing.T) {
	e := newEnv(t)
	there := e.domain("zz-there")
	absent := packhouse.DomainRef{Owner: ours, Name: "zz-where"}
	e.must(e.s.TagResource(e.ctx, e.admin, packhouse.DomainARN(testRegion, there), []packhouse.ResourceTag{{Key: "team", Value: "red"}}))
	asksTags := e.user(theirs, "asks", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
		{"Sid":"red","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}}]}`)
	for _, document := range []string{
		policyFor("Deny", `"*"`, "*"),
		policyFor("Allow", `"*"`, "codeartifact:ListPackages"),
		policyFor("Allow", `{"AWS":"`+e.stranger.ARN+`"}`, "codeartifact:ListPackages"),
	} {
		_, err := e.s.PutDomainPolicy(e.ctx, e.admin, there, PutPolicy{Document: document})
		e.must(err)
		for _, who := range []packhouse.Principal{e.stranger, e.nobody, asksTags, e.user(theirs, fmt.Sprint("n", len(document)), "")} {
			_, one := e.s.Domain(e.ctx, who, there)
			_, two := e.s.Domain(e.ctx, who, absent)
			e.wantError(one, packhouse.KindDenied, packhouse.ReasonOf(two))
			if got, want := strings.ReplaceAll(one.Error(), there.Name, absent.Name), two.Error(); got != want {
				t.Errorf("%s: %q there, %q absent", who.ARN, got, want)
			}
		}
	}
}

// Warm, a decision costs no SQL and no allocation with policies either, and a change acts
// at once.
func TestDecisionsAreWarm(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	_, err := e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: policyFor("Allow", theirsAWS, "codeartifact:ReadFromRepository")})
	e.must(err)
	_, err = e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: policyFor("Allow", theirsAWS, "codeartifact:ListPackages")})
	e.must(err)
	at := e.s.repositoryResource(r)
	read := func(who packhouse.Principal) error {
		return e.s.allow(e.ctx, who, packhouse.ActionReadFromRepository, at, nil)
	}
	e.must(read(e.stranger))
	e.must(read(e.admin))
	before := e.db.Statements()
	for _, who := range []packhouse.Principal{e.admin, e.stranger} {
		// Who has which identity policies is the identities' to find.
		known := testing.AllocsPerRun(100, func() { _, err := e.identity.Policies(e.ctx, who); e.must(err) })
		if n := testing.AllocsPerRun(100, func() { e.must(read(who)) }); n > known {
			t.Errorf("%s: %v allocations for a warm decision, want none beside %v of identities", who.ARN, n, known)
		}
	}
	if n := e.db.Statements() - before; n != 0 {
		t.Errorf("%d statements for warm decisions, want none", n)
	}
	_, err = e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: policyFor("Deny", theirsAWS, "*")})
	e.must(err)
	e.wantError(read(e.stranger), packhouse.KindDenied, "")
	_, err = e.s.DeleteRepositoryPolicy(e.ctx, e.admin, r, "")
	e.must(err)
	e.must(read(e.stranger))
	_, err = e.s.DeleteDomainPolicy(e.ctx, e.admin, d, "")
	e.must(err)
	e.wantError(read(e.stranger), packhouse.KindDenied, "")
}

// Rule 8 of codeartifact.md 3.12, and the keys that a request brings.
func TestConditionsOfResources(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	when := func(c string) packhouse.Principal {
		return e.allowed(fmt.Sprint("u", len(c)), `{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+c+`}`)
	}
	arn := packhouse.RepositoryARN(testRegion, r)
	e.must(e.s.TagResource(e.ctx, e.admin, arn, []packhouse.ResourceTag{{Key: "Team", Value: "red"}}))
	red := when(`{"StringEquals":{"aws:ResourceTag/team":"red"}}`)
	_, err := e.s.Repository(e.ctx, red, r)
	e.must(err)
	_, err = e.s.Domain(e.ctx, red, d) // which has no tags
	e.wantError(err, packhouse.KindDenied, "")
	_, _, err = e.s.Packages(e.ctx, red, r, PackageQuery{}, Page{})
	e.must(err)
	e.must(e.s.TagResource(e.ctx, e.admin, arn, []packhouse.ResourceTag{{Key: "Team", Value: "blue"}}))
	_, err = e.s.Repository(e.ctx, red, r)
	e.wantError(err, packhouse.KindDenied, "")

	near := when(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":true},"DateLessThan":{"aws:CurrentTime":"2026-03-01T12:00:01Z"}}`)
	for _, tt := range []struct {
		name    string
		rec     httpx.Record
		allowed bool
	}{
		{"from the network, over TLS", httpx.Record{Client: "10.1.2.3", Secure: true}, true},
		{"from elsewhere", httpx.Record{Client: "11.1.2.3", Secure: true}, false},
		{"in the clear", httpx.Record{Client: "10.1.2.3"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := e.s.Domain(httpx.WithRecord(e.ctx, &tt.rec), near, d)
			if allowed := err == nil; allowed != tt.allowed {
				t.Errorf("error %v, want allowed %v", err, tt.allowed)
			}
			if tt.rec.Action != packhouse.ActionDescribeDomain || tt.rec.Resource != packhouse.DomainARN(testRegion, d) || tt.rec.Decision == "" {
				t.Errorf("the record has %+v", tt.rec)
			}
		})
	}
}

// A stored policy that this version cannot read denies: it might hold a deny (S13).
func TestUnreadablePolicyDenies(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	out, err := e.s.Domain(e.ctx, e.admin, d)
	e.must(err)
	e.must(e.db.Update(e.ctx, func(tx *catalog.Tx) error {
		if err := tx.PutResourcePolicy(e.ctx, packhouse.ResourceDomain, out.ID, catalog.ResourcePolicyRow{Revision: "1", Document: "{}"}); err != nil {
			return err
		}
		return tx.Record(e.ctx, packhouse.Change{Kind: packhouse.ChangePolicyChanged, DomainID: out.ID, DedupID: "d"})
	}))
	if _, err := e.s.Domain(e.ctx, e.admin, d); err == nil {
		t.Error("allowed by a domain whose policy cannot be read")
	}
	_, err = e.s.PutDomainPolicy(e.ctx, e.admin, d, PutPolicy{Document: policyFor("Allow", theirsAWS, "*")})
	e.must(err)
	_, err = e.s.Domain(e.ctx, e.admin, d)
	e.must(err)
}

func TestExplainSaysWhatDecides(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	_, err := e.s.PutRepositoryPolicy(e.ctx, e.admin, r, PutPolicy{Document: policyFor("Deny", theirsAWS, "codeartifact:ReadFromRepository")})
	e.must(err)
	x := NewExplainer(e.db, e.identity, testRegion)
	for _, tt := range []struct {
		name, arn string
		who       packhouse.Principal
		allowed   bool
		why       string
	}{
		{"the owner's administrator", packhouse.RepositoryARN(testRegion, r), e.admin, true, `allowed by statement 1 of policy "`},
		{"a stranger whom the repository denies", packhouse.RepositoryARN(testRegion, r), e.stranger, false, `denied by statement "s" of the policy of repository team`},
		{"a package in it", packhouse.PackageARN(testRegion, in(r, "lib")), e.stranger, false, `the policy of repository team`},
		{"a stranger in the domain", packhouse.DomainARN(testRegion, d), e.stranger, false, "no resource policy allows it"},
		{"account level", "*", e.stranger, true, "allowed by"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := x.Explain(e.ctx, tt.who, packhouse.ActionReadFromRepository, tt.arn, nil)
			if err != nil || got.Allowed != tt.allowed || !strings.Contains(got.Why, tt.why) {
				t.Errorf("%+v, %v, want allowed %v because %q", got, err, tt.allowed, tt.why)
			}
		})
	}
	for _, arn := range []string{"main/team", "arn:aws:codeartifact:us-west-2:111122223333:repository/main", "arn:aws:codeartifact:us-west-2:111122223333:bucket/main"} {
		_, err := x.Explain(e.ctx, e.admin, packhouse.ActionReadFromRepository, arn, nil)
		e.wantError(err, packhouse.KindInvalid, "invalid_arn")
	}
}
