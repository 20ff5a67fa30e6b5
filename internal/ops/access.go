package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

// resource is what an action is done to, as policies see it.
type resource struct {
	arn    string              // "*" for account-level actions
	domain packhouse.DomainRef // that it belongs to; zero for account-level actions
	repo   packhouse.RepoRef   // that it is or belongs to; zero above repositories
}

// The resources of actions. None of them looks at what exists.
var anyResource = resource{arn: "*"}

func (s *Service) domainResource(d packhouse.DomainRef) resource {
	return resource{arn: packhouse.DomainARN(s.region, d), domain: d}
}

func (s *Service) repositoryResource(r packhouse.RepoRef) resource {
	return resource{arn: packhouse.RepositoryARN(s.region, r), domain: r.Domain, repo: r}
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

// allow decides whether who may do action to r, before anybody looks whether r exists:
// a caller without the right gets the same answer either way (reliability.md S12, S16).
// It is the first thing that every exported method does. conditions are further
// condition keys, lower case; nil for none.
//
// Errors: Unauthenticated for nobody, and with format.ReasonSecondFactor where policies
// allow it and the second factor is missing; Denied; what reading the policies returns.
func (s *Service) allow(ctx context.Context, who packhouse.Principal, action packhouse.Action, r resource, conditions map[string]string) error {
	if who.IsAnonymous() {
		return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "credentials_required",
			Message: "credentials are required"}
	}
	set, err := s.identity.Policies(ctx, who)
	if err != nil {
		return storeError("read policies", err)
	}
	q := authz.Request{Who: who, Action: action, Resource: r.arn, Owner: r.domain.Owner, Context: conditions}
	if r.repo.Name != "" {
		// As long as only resource policies could let other accounts make repositories
		// in a domain, and there are none, the owner administers all of them.
		q.Admin = r.domain.Owner
	}
	if d := set.Decide(q); !d.Allowed {
		reason := reasonNoStatement
		if d.Explicit {
			reason = reasonDenied
		}
		return packhouse.Deniedf(reason, "%s %s may not perform %s on %s: %s", who.Kind, who.Name, action, r.arn, d.Why)
	}
	return secondFactor(who, action)
}

// The reasons of a Denied that allow returns. The second tells that no statement allows
// the action, as against one that denies it.
const (
	reasonDenied      = "access_denied"
	reasonNoStatement = "access_not_allowed"
)

// allowEither is allow for two resources of which one suffices, unless a statement
// denies the other explicitly.
func (s *Service) allowEither(ctx context.Context, who packhouse.Principal, action packhouse.Action, first, second resource, conditions map[string]string) error {
	errFirst := s.allow(ctx, who, action, first, conditions)
	errSecond := s.allow(ctx, who, action, second, conditions)
	switch {
	case errFirst == nil && errSecond == nil:
		return nil
	case errFirst == nil && packhouse.ReasonOf(errSecond) == reasonNoStatement,
		errSecond == nil && packhouse.ReasonOf(errFirst) == reasonNoStatement:
		return nil
	case errFirst == nil:
		return errSecond
	}
	return errFirst
}
