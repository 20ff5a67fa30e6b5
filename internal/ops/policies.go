package ops

import (
	"context"
	"crypto/rand"
	"errors"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// ResourcePolicy is the policy of a domain or a repository.
type ResourcePolicy struct {
	ARN      string // of the resource
	Revision string // opaque, new with each put
	Document string // as it was put
}

// PutPolicy is a policy on its way in.
type PutPolicy struct {
	Document string
	Revision string // of the policy that it replaces; "" for whatever there is
}

// DomainPolicy returns a domain's policy. Errors: NotFound, of the domain or its policy.
func (s *Service) DomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (ResourcePolicy, error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionGetDomainPermissionsPolicy, d); err != nil {
		return ResourcePolicy{}, err
	}
	return s.readPolicy(ctx, s.domainResource(d))
}

// RepositoryPolicy returns a repository's policy. Errors: NotFound, of the repository or
// its policy.
func (s *Service) RepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (ResourcePolicy, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionGetRepositoryPermissionsPolicy, r); err != nil {
		return ResourcePolicy{}, err
	}
	return s.readPolicy(ctx, s.repositoryResource(r))
}

func (s *Service) readPolicy(ctx context.Context, r resource) (out ResourcePolicy, err error) {
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		held, err := s.policyIn(ctx, tx, r)
		if err != nil {
			return err
		}
		if held.row.Revision == "" {
			return policyNotFound(r)
		}
		out = ResourcePolicy{r.arn, held.row.Revision, held.row.Document}
		return nil
	})
	return out, storeError("read policy", err)
}

// PutDomainPolicy gives a domain a policy in place of the one that it may have. The
// domain's own policy has no say in it (codeartifact.md 3.12, rule 4). Errors: NotFound,
// Invalid "invalid_policy", Conflict "stale_policy_revision".
func (s *Service) PutDomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, p PutPolicy) (ResourcePolicy, error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionPutDomainPermissionsPolicy, d); err != nil {
		return ResourcePolicy{}, err
	}
	return s.putPolicy(ctx, who, s.domainResource(d), p)
}

// PutRepositoryPolicy is PutDomainPolicy for a repository; the domain's policy has a say
// in it.
func (s *Service) PutRepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, p PutPolicy) (ResourcePolicy, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionPutRepositoryPermissionsPolicy, r); err != nil {
		return ResourcePolicy{}, err
	}
	return s.putPolicy(ctx, who, s.repositoryResource(r), p)
}

func (s *Service) putPolicy(ctx context.Context, who packhouse.Principal, r resource, p PutPolicy) (ResourcePolicy, error) {
	if _, err := authz.ParseResource(r.arn, []byte(p.Document)); err != nil {
		return ResourcePolicy{}, err
	}
	if n := utf8.RuneCountInString(p.Document); n > s.quotas.PolicyCharacters {
		return ResourcePolicy{}, quotaExceeded("policy_characters", "", r.arn, "the policy has %d characters; at most %d are allowed", n, s.quotas.PolicyCharacters)
	}
	row := catalog.ResourcePolicyRow{Revision: rand.Text(), Document: p.Document}
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		held, err := s.policyToChange(ctx, tx, r, p.Revision)
		if err != nil {
			return err
		}
		if err := tx.PutResourcePolicy(ctx, held.kind, held.id, row); err != nil {
			return err
		}
		held.change.Principal, held.change.Detail = who.ARN, "put"
		held.change.RevisionBefore, held.change.RevisionAfter = held.row.Revision, row.Revision
		return tx.Record(ctx, held.change)
	})
	return ResourcePolicy{r.arn, row.Revision, row.Document}, storeError("put policy", err)
}

// DeleteDomainPolicy takes a domain's policy away and returns it; revision, unless "",
// must be the current one. Errors: NotFound, of the domain or its policy; Conflict
// "stale_policy_revision".
func (s *Service) DeleteDomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, revision string) (ResourcePolicy, error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionDeleteDomainPermissionsPolicy, d); err != nil {
		return ResourcePolicy{}, err
	}
	return s.deletePolicy(ctx, who, s.domainResource(d), revision)
}

// DeleteRepositoryPolicy is DeleteDomainPolicy for a repository.
func (s *Service) DeleteRepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, revision string) (ResourcePolicy, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionDeleteRepositoryPermissionsPolicy, r); err != nil {
		return ResourcePolicy{}, err
	}
	return s.deletePolicy(ctx, who, s.repositoryResource(r), revision)
}

func (s *Service) deletePolicy(ctx context.Context, who packhouse.Principal, r resource, revision string) (out ResourcePolicy, err error) {
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		held, err := s.policyToChange(ctx, tx, r, revision)
		if err != nil {
			return err
		}
		if held.row.Revision == "" {
			return policyNotFound(r)
		}
		if err := tx.DeleteResourcePolicy(ctx, held.kind, held.id); err != nil {
			return err
		}
		out = ResourcePolicy{r.arn, held.row.Revision, held.row.Document}
		held.change.Principal, held.change.Detail, held.change.RevisionBefore = who.ARN, "deleted", held.row.Revision
		return tx.Record(ctx, held.change)
	})
	return out, storeError("delete policy", err)
}

// heldPolicy is what a resource has; its row is zero without a policy.
type heldPolicy struct {
	kind   string
	id     int64
	row    catalog.ResourcePolicyRow
	change packhouse.Change // about the resource, begun; without a principal
}

// policyIn looks a resource up, and its policy. Errors: NotFound of the resource.
func (s *Service) policyIn(ctx context.Context, tx *catalog.Tx, r resource) (held heldPolicy, err error) {
	if r.repo.Name != "" {
		row, _, err := s.repositoryIn(ctx, tx, r.repo)
		if err != nil {
			return held, err
		}
		held = heldPolicy{kind: packhouse.ResourceRepository, id: row.ID,
			change: s.change(ctx, packhouse.Principal{}, packhouse.ChangePolicyChanged, row)}
	} else {
		row, err := s.domainIn(ctx, tx, r.domain)
		if err != nil {
			return held, err
		}
		held = heldPolicy{kind: packhouse.ResourceDomain, id: row.ID,
			change: s.domainChange(ctx, packhouse.Principal{}, packhouse.ChangePolicyChanged, row.ID, r.domain)}
	}
	held.row, err = tx.ResourcePolicy(ctx, held.kind, held.id)
	if errors.Is(err, catalog.ErrNotFound) {
		err = nil
	}
	return held, err
}

// policyToChange is policyIn for who knows the revision that is to be replaced; "" for
// any, also for none.
func (s *Service) policyToChange(ctx context.Context, tx *catalog.Tx, r resource, revision string) (heldPolicy, error) {
	held, err := s.policyIn(ctx, tx, r)
	if err == nil && revision != "" && revision != held.row.Revision {
		kind, name := r.kindAndName()
		err = packhouse.Conflictf("stale_policy_revision", kind, name,
			"the policy of %s %s has another revision than %s; read it again", kind, name, revision)
	}
	return held, err
}

func policyNotFound(r resource) error {
	kind, name := r.kindAndName()
	return packhouse.NotFoundf(kind, name, "%s %s has no permissions policy", kind, name)
}

// kindAndName says which domain or repository it is.
func (r resource) kindAndName() (kind, name string) {
	if r.repo.Name != "" {
		return packhouse.ResourceRepository, r.repo.Name
	}
	return packhouse.ResourceDomain, r.domain.Name
}
