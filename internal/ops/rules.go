package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
)

// rules are what a decision about a domain, or about a repository and what is in it,
// reads: their policies, compiled, and the repository's administrator. They are current
// while their mark holds: every change above packages advances its domain's mark.
type rules struct {
	row  catalog.AccessRow
	mark feed.Mark

	both, domainOnly             []*authz.Policy // the domain's, and the repository's behind it
	bothBroken, domainOnlyBroken error           // a policy that cannot be compiled: nobody gets by it

	tags atomic.Pointer[map[string]string] // condition keys of the resource's tags, once asked for
}

// noRules are those of what does not exist, and of actions above domains.
var noRules rules

// maxRules is how many domains and repositories have their rules kept.
const maxRules = 8192

// rulesOf returns the rules about a resource. Warm it costs no SQL.
func (s *Service) rulesOf(ctx context.Context, r resource) (*rules, error) {
	key := r.repo
	key.Domain = r.domain
	if known, ok := s.rules.Get(key); ok && s.clock.Holds(known.mark) {
		return known, nil
	}
	// As for places: a mark needs the domain's id and counts only for what is read after
	// it was taken. Policies are no packages: nothing that was pulled is waited for.
	row, err := s.accessRow(ctx, key)
	if errors.Is(err, catalog.ErrNotFound) {
		return &noRules, nil
	}
	if err != nil {
		return nil, err
	}
	fresh := &rules{mark: s.clock.Domain(row.DomainID)}
	marked := row.DomainID
	if fresh.row, err = s.accessRow(ctx, key); errors.Is(err, catalog.ErrNotFound) {
		return &noRules, nil
	} else if err != nil {
		return nil, err
	}
	fresh.compile(key)
	if fresh.row.DomainID == marked {
		s.rules.Set(key, fresh)
	}
	return fresh, nil
}

func (s *Service) accessRow(ctx context.Context, ref packhouse.RepoRef) (row catalog.AccessRow, err error) {
	err = s.catalog.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Access(ctx, ref)
		return err
	})
	return row, err
}

func (r *rules) compile(ref packhouse.RepoRef) {
	add := func(name, document string) {
		if document == "" {
			return
		}
		p, err := authz.ParseResource(name, []byte(document))
		if err != nil {
			r.bothBroken = errors.Join(r.bothBroken, fmt.Errorf("%s: %w", name, err))
			return
		}
		r.both = append(r.both, p)
	}
	add("the policy of domain "+ref.Domain.Name, r.row.DomainPolicy)
	r.domainOnly, r.domainOnlyBroken = r.both[:len(r.both):len(r.both)], r.bothBroken
	add("the policy of repository "+ref.Name, r.row.RepositoryPolicy)
}

// policies returns the policies that decide about an action. Whoever may put a policy
// cannot be locked out by the one that is there (codeartifact.md 3.12, rule 4).
func (r *rules) policies(action packhouse.Action) ([]*authz.Policy, error) {
	switch action {
	case packhouse.ActionPutDomainPermissionsPolicy:
		return nil, nil
	case packhouse.ActionPutRepositoryPermissionsPolicy:
		return r.domainOnly, r.domainOnlyBroken
	}
	return r.both, r.bothBroken
}

// tagHolder says whose tags aws:ResourceTag is about.
type tagHolder uint8

const (
	noTags tagHolder = iota // packages and account-level actions have none
	tagsOfDomain
	tagsOfRepository
	tagsOfPackageGroup
)

// tagPrefix begins the condition keys of a resource's tags.
const tagPrefix = "aws:resourcetag/"

// tagsOf returns the condition keys of a resource's tags. They are read once and kept
// with the rules.
func (s *Service) tagsOf(ctx context.Context, r resource, known *rules) (map[string]string, error) {
	kind, id := "", int64(0)
	switch r.tags {
	case tagsOfDomain:
		kind, id = packhouse.ResourceDomain, known.row.DomainID
	case tagsOfRepository:
		if !known.row.Tagged {
			return nil, nil
		}
		kind, id = packhouse.ResourceRepository, known.row.RepoID
	case tagsOfPackageGroup: // the rules are the domain's
		return s.groupTags(ctx, r)
	}
	if id == 0 {
		return nil, nil
	}
	if tags := known.tags.Load(); tags != nil {
		return *tags, nil
	}
	keys := map[string]string{}
	err := s.catalog.DB.View(ctx, func(tx *catalog.Tx) error {
		tags, err := tx.ResourceTags(ctx, kind, id)
		for _, t := range tags {
			keys[tagPrefix+strings.ToLower(t.Key)] = t.Value
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	known.tags.Store(&keys)
	return keys, nil
}
