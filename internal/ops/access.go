package ops

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/httpx"
)

// resource is what an action is done to, as policies see it.
type resource struct {
	arn    string              // "*" for account-level actions
	asked  string              // the ARN as the request names it, where that is not all of arn; refusals tell only this
	domain packhouse.DomainRef // that it belongs to; zero for account-level actions
	repo   packhouse.RepoRef   // that it is or belongs to; zero above repositories
	group  string              // pattern of the package group that it is; "" for anything else
	tags   tagHolder           // whose tags aws:ResourceTag is about
}

// The resources of actions. None of them looks at what exists.
var anyResource = resource{arn: "*"}

func (s *Service) domainResource(d packhouse.DomainRef) resource {
	return resource{arn: packhouse.DomainARN(s.region, d), domain: d, tags: tagsOfDomain}
}

func (s *Service) repositoryResource(r packhouse.RepoRef) resource {
	return resource{arn: packhouse.RepositoryARN(s.region, r), domain: r.Domain, repo: r, tags: tagsOfRepository}
}

func (s *Service) packageResource(p packhouse.PackageRef) resource {
	return resource{arn: packhouse.PackageARN(s.region, p), domain: p.Repo.Domain, repo: p.Repo}
}

// allowDomain is allow for a domain.
func (s *Service) allowDomain(ctx context.Context, who packhouse.Principal, action packhouse.Action, d packhouse.DomainRef) error {
	return s.allow(ctx, who, action, s.domainResource(d), nil)
}

// allowRepository is allow for a repository.
func (s *Service) allowRepository(ctx context.Context, who packhouse.Principal, action packhouse.Action, r packhouse.RepoRef) error {
	return s.allow(ctx, who, action, s.repositoryResource(r), nil)
}

// allowPackage is allow for a package in a repository.
func (s *Service) allowPackage(ctx context.Context, who packhouse.Principal, action packhouse.Action, p packhouse.PackageRef) error {
	return s.allow(ctx, who, action, s.packageResource(p), nil)
}

// allow decides whether who may do action to r: a caller without the right gets the same
// answer whether r exists or not (reliability.md S12, S16). It is the first thing that
// every exported method does. conditions are further condition keys, lower case; nil for
// none.
//
// Errors: Unauthenticated for nobody, and with format.ReasonSecondFactor where policies
// allow it and the second factor is missing; Denied; what reading the policies returns.
func (s *Service) allow(ctx context.Context, who packhouse.Principal, action packhouse.Action, r resource, conditions map[string]string) error {
	_, err := s.decide(ctx, who, action, r, conditions)
	return err
}

// decide is allow that returns the decision as well. What a Denied says is what the
// caller may know; the decision has the reason.
func (s *Service) decide(ctx context.Context, who packhouse.Principal, action packhouse.Action, r resource, conditions map[string]string) (authz.Decision, error) {
	if who.IsAnonymous() {
		note(ctx, action, r, "", "")
		return authz.Decision{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "credentials_required",
			Message: "credentials are required"}
	}
	j, err := s.consult(ctx, who, action, r, conditions)
	if err != nil {
		return j.Decision, err
	}
	note(ctx, action, r, j.question.Admin, j.Why)
	if j.Allowed {
		return j.Decision, secondFactor(who, action)
	}
	return j.Decision, denied(j)
}

// judgement is a decision with what it was made of.
type judgement struct {
	authz.Decision
	set      authz.Set
	question authz.Request
	asked    string // resource.asked
}

// consult puts the policies together that decide, and asks them. conditions go before what
// the request itself has.
func (s *Service) consult(ctx context.Context, who packhouse.Principal, action packhouse.Action, r resource, conditions map[string]string) (j judgement, err error) {
	identity, err := s.identity.Policies(ctx, who)
	if err != nil {
		return j, storeError("read policies", err)
	}
	rules := &noRules
	if r.domain.Name != "" {
		if rules, err = s.rulesOf(ctx, r); err != nil {
			return j, storeError("read resource policies", err)
		}
	}
	j.set, j.asked = *identity, r.asked // the set is shared; only this copy has the resource's policies
	if j.set.Resource, err = rules.policies(action); err != nil {
		return j, storeError("compile resource policies", err)
	}
	j.question = authz.Request{Who: who, Action: action, Resource: r.arn, Owner: r.domain.Owner, Admin: rules.row.Administrator, Context: conditions}
	if asks := j.set.Asks(); asks != 0 {
		if j.question.Context, err = s.answers(ctx, asks, r, rules, conditions); err != nil {
			return j, storeError("read resource tags", err)
		}
	}
	j.Decision = j.set.Decide(j.question)
	return j, nil
}

// denied says what the caller may know of a refusal: what its own policies say, and what
// the resource's say only to whom its own allow the action. Otherwise a domain with a
// policy could be told from one that does not exist (reliability.md S16).
func denied(j judgement) error {
	own, q, d := j.set, j.question, j.Decision
	own.Resource = nil
	if q.Who.Account != q.Owner && q.Who.Account != q.Admin { // nor may its own policies ask about the resource
		q.Context = maps.Clone(q.Context)
		maps.DeleteFunc(q.Context, func(key, _ string) bool { return strings.HasPrefix(key, tagPrefix) })
	}
	if known := own.Decide(q); !known.Allowed {
		d = known
	}
	if j.asked != "" {
		q.Resource = j.asked
		if known := own.Decide(q); !known.Allowed {
			d = known
		}
	}
	reason := reasonNoStatement
	if d.Explicit {
		reason = reasonDenied
	}
	return packhouse.Deniedf(reason, "%s %s may not perform %s on %s: %s", q.Who.Kind, q.Who.Name, q.Action, q.Resource, d.Why)
}

// The reasons of a Denied that allow returns. The second tells that no statement allows
// the action, as against one that denies it.
const (
	reasonDenied      = "access_denied"
	reasonNoStatement = "access_not_allowed"
)

// note tells the request's record what was decided about, for the audit log.
func note(ctx context.Context, action packhouse.Action, r resource, admin packhouse.AccountID, why string) {
	rec, ok := httpx.RecordIn(ctx)
	if !ok {
		return
	}
	if rec.Action == "" { // the first decision is about the request itself, others about what it needs besides
		rec.Action, rec.Resource, rec.Administrator = action, r.arn, admin
	}
	rec.Decision = why
}

// answers adds what policies ask for to the conditions of a request.
func (s *Service) answers(ctx context.Context, asks authz.Asks, r resource, rules *rules, conditions map[string]string) (map[string]string, error) {
	all := make(map[string]string, len(conditions)+4)
	if asks&authz.AsksRequest != 0 {
		all["aws:currenttime"] = s.now().UTC().Format(time.RFC3339)
		if rec, ok := httpx.RecordIn(ctx); ok {
			all["aws:sourceip"] = rec.Client
			all["aws:securetransport"] = strconv.FormatBool(rec.Secure)
		}
	}
	if asks&authz.AsksResourceTags != 0 {
		tags, err := s.tagsOf(ctx, r, rules)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, tags)
	}
	maps.Copy(all, conditions)
	return all, nil
}

// allowEither is allow for two resources of which one suffices, unless a statement
// denies the other explicitly.
func (s *Service) allowEither(ctx context.Context, who packhouse.Principal, action packhouse.Action, first, second resource, conditions map[string]string) error {
	one, errOne := s.decide(ctx, who, action, first, conditions)
	two, errTwo := s.decide(ctx, who, action, second, conditions)
	switch {
	case errOne == nil && errTwo == nil,
		errOne == nil && packhouse.KindOf(errTwo) == packhouse.KindDenied && !two.Explicit,
		errTwo == nil && packhouse.KindOf(errOne) == packhouse.KindDenied && !one.Explicit:
		return nil
	case errOne == nil:
		return errTwo
	}
	return errOne
}
