package ops

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// repositoryName is the form of a repository's name (codeartifact.md 1.4): a path
// segment.
var repositoryName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,99}$`) })

// CreateRepository is the input of Service.CreateRepository.
type CreateRepository struct {
	Ref         packhouse.RepoRef
	Description string
	Upstreams   []string
	Tags        []packhouse.ResourceTag
}

// CreateRepository makes a repository administered by the caller's account. Needs
// CreateRepository on the repository or on the domain, TagResource when there are tags,
// and AssociateWithDownstreamRepository on every upstream. Errors: Conflict
// "repository_exists", NotFound (the domain, an upstream), QuotaExceeded (repositories,
// upstreams, tags), Invalid "invalid_name", "upstream_duplicate", "upstream_self",
// "reserved_tag".
func (s *Service) CreateRepository(ctx context.Context, who packhouse.Principal, in CreateRepository) (out packhouse.Repository, err error) {
	if err := s.allowCreateRepository(ctx, who, in); err != nil {
		return packhouse.Repository{}, err
	}
	if !repositoryName().MatchString(in.Ref.Name) {
		return packhouse.Repository{}, packhouse.Invalidf("invalid_name",
			"repository name %q is not allowed: 2 to 100 letters, digits, dots, underscores and hyphens, a letter or digit first", in.Ref.Name)
	}
	if err := s.checkUpstreams(in.Ref, in.Upstreams); err != nil {
		return packhouse.Repository{}, err
	}
	tags, err := s.newTags(nil, in.Tags, packhouse.ResourceRepository, in.Ref.Name)
	if err != nil {
		return packhouse.Repository{}, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		domain, err := s.domainIn(ctx, tx, in.Ref.Domain)
		if err != nil {
			return err
		}
		if err := s.roomForRepository(ctx, tx, domain, in.Ref); err != nil {
			return err
		}
		row := catalog.RepositoryRow{
			UUID: uuid.NewString(), DomainID: domain.ID, Ref: in.Ref, Administrator: who.Account, Description: in.Description, Created: s.now().UTC().Truncate(time.Microsecond),
		}
		if row.ID, err = tx.InsertRepository(ctx, row); err != nil {
			if errors.Is(err, catalog.ErrExists) {
				return repositoryExists(in.Ref)
			}
			return err
		}
		if err := s.replaceUpstreams(ctx, tx, &row, in.Upstreams); err != nil {
			return err
		}
		if len(tags) > 0 {
			if err := tx.PutResourceTags(ctx, packhouse.ResourceRepository, row.ID, tags); err != nil {
				return err
			}
		}
		out = s.describeRepository(row)
		return tx.Record(ctx, s.change(ctx, who, packhouse.ChangeRepositoryCreated, row))
	})
	if err != nil {
		return packhouse.Repository{}, storeError("create repository "+in.Ref.String(), err)
	}
	return out, nil
}

// allowCreateRepository decides all that creating a repository needs.
func (s *Service) allowCreateRepository(ctx context.Context, who packhouse.Principal, in CreateRepository) error {
	resource := s.repositoryResource(in.Ref)
	if err := s.allowEither(ctx, who, packhouse.ActionCreateRepository, resource, s.domainResource(in.Ref.Domain), requestTags(in.Tags)); err != nil {
		return err
	}
	if err := s.allowTags(ctx, who, resource, in.Tags); err != nil {
		return err
	}
	return s.allowUpstreams(ctx, who, in.Ref.Domain, in.Upstreams)
}

// allowUpstreams decides whether who may put a repository downstream of the named ones.
func (s *Service) allowUpstreams(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, names []string) error {
	for _, name := range names {
		if err := s.allowRepository(ctx, who, packhouse.ActionAssociateWithDownstreamRepository, packhouse.RepoRef{Domain: d, Name: name}); err != nil {
			return err
		}
	}
	return nil
}

// roomForRepository refuses a name that is taken and a repository beyond the domain's
// quota.
func (s *Service) roomForRepository(ctx context.Context, tx *catalog.Tx, domain catalog.DomainRow, ref packhouse.RepoRef) error {
	switch _, err := tx.Repository(ctx, ref); {
	case err == nil:
		return repositoryExists(ref)
	case !errors.Is(err, catalog.ErrNotFound):
		return err
	}
	n, err := tx.CountRepositories(ctx, domain.ID)
	if err == nil && n >= s.quotas.RepositoriesPerDomain {
		err = quotaExceeded("repositories_per_domain", packhouse.ResourceRepository, ref.Name,
			"domain %s has %d repositories; at most %d are allowed", ref.Domain.Name, n, s.quotas.RepositoriesPerDomain)
	}
	return err
}

func repositoryExists(ref packhouse.RepoRef) error {
	return packhouse.Conflictf("repository_exists", packhouse.ResourceRepository, ref.Name,
		"repository %s already exists in domain %s", ref.Name, ref.Domain.Name)
}

// checkUpstreams checks a list of upstreams as far as that goes without looking at what
// exists.
func (s *Service) checkUpstreams(ref packhouse.RepoRef, names []string) error {
	if len(names) > s.quotas.DirectUpstreams {
		return quotaExceeded("direct_upstreams", packhouse.ResourceRepository, ref.Name,
			"repository %s would have %d upstreams; at most %d are allowed", ref.Name, len(names), s.quotas.DirectUpstreams)
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		switch {
		case name == ref.Name:
			return packhouse.Invalidf("upstream_self", "repository %s cannot be its own upstream", name)
		case seen[name]:
			return packhouse.Invalidf("upstream_duplicate", "upstream %s is listed more than once", name)
		}
		seen[name] = true
	}
	return nil
}

// replaceUpstreams makes the named repositories the upstreams of row, in the catalog and
// in row itself.
func (s *Service) replaceUpstreams(ctx context.Context, tx *catalog.Tx, row *catalog.RepositoryRow, names []string) error {
	row.Upstreams, row.UpstreamIDs = slices.Clone(names), nil
	if len(names) > 0 {
		rows, err := tx.Graph(ctx, row.DomainID)
		if err != nil {
			return err
		}
		byName := make(map[string]catalog.RepositoryRow, len(rows))
		for _, r := range rows {
			byName[r.Ref.Name] = r
		}
		for _, name := range names {
			up, ok := byName[name]
			if !ok {
				return repositoryNotFound(packhouse.RepoRef{Domain: row.Ref.Domain, Name: name})
			}
			if reaches(byName, name, row.Ref.Name) {
				return packhouse.Invalidf("upstream_cycle",
					"repository %s has %s upstream, directly or through others; making it an upstream would close a circle", name, row.Ref.Name)
			}
			row.UpstreamIDs = append(row.UpstreamIDs, up.ID)
		}
	}
	return tx.ReplaceUpstreams(ctx, row.ID, row.UpstreamIDs)
}

// reaches reports whether the search order of from comes by target.
func reaches(byName map[string]catalog.RepositoryRow, from, target string) bool {
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at == target {
			return true
		}
		for _, next := range byName[at].Upstreams {
			if !seen[next] {
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	return false
}

// Repository describes a repository. Errors: NotFound.
func (s *Service) Repository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionDescribeRepository, r); err != nil {
		return packhouse.Repository{}, err
	}
	row, _, err := s.repository(ctx, r)
	if err != nil {
		return packhouse.Repository{}, err
	}
	return s.describeRepository(row), nil
}

// UpdateRepository changes what is not nil; upstreams replace the old ones. Needs
// UpdateRepository, and AssociateWithDownstreamRepository on every upstream. Errors: as
// CreateRepository, and Invalid "upstream_cycle".
func (s *Service) UpdateRepository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, description *string, upstreams *[]string) (packhouse.Repository, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionUpdateRepository, r); err != nil {
		return packhouse.Repository{}, err
	}
	if upstreams != nil {
		if err := s.allowUpstreams(ctx, who, r.Domain, *upstreams); err != nil {
			return packhouse.Repository{}, err
		}
		if err := s.checkUpstreams(r, *upstreams); err != nil {
			return packhouse.Repository{}, err
		}
	}
	return s.changeRepository(ctx, who, packhouse.ChangeRepositoryUpdated, r, func(tx *catalog.Tx, row *catalog.RepositoryRow) error {
		if description != nil {
			row.Description = *description
			if err := tx.SetDescription(ctx, row.ID, *description); err != nil {
				return err
			}
		}
		if upstreams != nil {
			return s.replaceUpstreams(ctx, tx, row, *upstreams)
		}
		return nil
	})
}

// DeleteRepository deletes a repository and all that is in it; it returns its last
// description. What other repositories retained from it stays. Every version and every
// package leaves a change of its own, so a large repository goes in steps, the repository
// itself with the last: a deletion that was interrupted is taken up by the next call.
// Errors: NotFound.
func (s *Service) DeleteRepository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionDeleteRepository, r); err != nil {
		return packhouse.Repository{}, err
	}
	for {
		out, done, err := s.deletionStep(ctx, who, r)
		if err != nil {
			return packhouse.Repository{}, storeError("delete "+r.String(), err)
		}
		if done {
			return out, nil
		}
	}
}

// changeRepository runs change on a repository's row in one transaction, records it, and
// describes the repository as change left the row.
func (s *Service) changeRepository(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, r packhouse.RepoRef, change func(*catalog.Tx, *catalog.RepositoryRow) error) (out packhouse.Repository, err error) {
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		row, _, err := s.repositoryIn(ctx, tx, r)
		if err != nil {
			return err
		}
		if err := change(tx, &row); err != nil {
			return err
		}
		out = s.describeRepository(row)
		return tx.Record(ctx, s.change(ctx, who, kind, row))
	})
	if err != nil {
		return packhouse.Repository{}, storeError(string(kind)+" "+r.String(), err)
	}
	return out, nil
}

// Repositories lists the repositories that the caller's account administers, in any
// domain, without their upstreams and connections. next is "" on the last page.
func (s *Service) Repositories(ctx context.Context, who packhouse.Principal, prefix string, p Page) (list []packhouse.Repository, next string, err error) {
	if err := s.allow(ctx, who, packhouse.ActionListRepositories, anyResource, nil); err != nil {
		return nil, "", err
	}
	return s.listRepositories(ctx, packhouse.DomainRef{}, catalog.RepositoryFilter{
		Administrator: who.Account, Prefix: prefix, After: p.After, Limit: p.limit(),
	})
}

// RepositoriesInDomain lists a domain's repositories, without their upstreams and
// connections; admin "" for any administrator. next is "" on the last page. Errors:
// NotFound of the domain.
func (s *Service) RepositoriesInDomain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, admin packhouse.AccountID, prefix string, p Page) (list []packhouse.Repository, next string, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionListRepositoriesInDomain, d); err != nil {
		return nil, "", err
	}
	return s.listRepositories(ctx, d, catalog.RepositoryFilter{
		Administrator: admin, Prefix: prefix, After: p.After, Limit: p.limit(),
	})
}

// listRepositories lists what f selects, in domain d only unless d is zero.
func (s *Service) listRepositories(ctx context.Context, d packhouse.DomainRef, f catalog.RepositoryFilter) (list []packhouse.Repository, next string, err error) {
	var rows []catalog.RepositoryRow
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		if d != (packhouse.DomainRef{}) {
			domain, err := s.domainIn(ctx, tx, d)
			if err != nil {
				return err
			}
			f.DomainID = domain.ID
		}
		rows, next, err = tx.Repositories(ctx, f)
		return err
	})
	if err != nil {
		return nil, "", storeError("list repositories", err)
	}
	for _, r := range rows {
		list = append(list, s.describeRepository(r))
	}
	return list, next, nil
}

// describeRepository turns a row into what doors show. The result shares nothing with
// the row.
func (s *Service) describeRepository(r catalog.RepositoryRow) packhouse.Repository {
	out := packhouse.Repository{
		Ref: r.Ref, ID: r.ID, DomainID: r.DomainID, Administrator: r.Administrator, Description: r.Description,
		Upstreams: slices.Clone(r.Upstreams), Created: r.Created,
	}
	for _, name := range r.Connections {
		out.Connections = append(out.Connections, packhouse.RepositoryConnection{Name: name, Format: s.connections[name]})
	}
	return out
}
