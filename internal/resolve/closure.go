package resolve

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/groups"
)

// domainShape is a domain with its repositories, their edges and its package groups, as of
// mark. It is
// shared and never changes.
type domainShape struct {
	mark   feed.Mark
	domain catalog.DomainRow
	groups *groups.Set
	byName map[string]*catalog.RepositoryRow
	byID   map[int64]*catalog.RepositoryRow

	cooldowns map[int64]Cooldown // by repository id; those that set none are not in it
	blocks    *Blocks

	closures sync.Map // repository id to []int64
	searched int      // how many upstreams a closure has; 0 means packhouse.MaxUpstreams
}

func newShape(domain catalog.DomainRow, rows []catalog.RepositoryRow) *domainShape {
	s := &domainShape{domain: domain, byName: make(map[string]*catalog.RepositoryRow, len(rows)), byID: make(map[int64]*catalog.RepositoryRow, len(rows))}
	for i := range rows {
		s.byName[rows[i].Ref.Name] = &rows[i]
		s.byID[rows[i].ID] = &rows[i]
	}
	return s
}

// shape returns the current shape of a domain, from memory while nothing in it changed.
// Errors: NotFound "domain_not_found".
func (r *Resolver) shape(ctx context.Context, ref packhouse.DomainRef) (*domainShape, error) {
	if s, ok := r.shapes.Load(ref); ok && r.o.Clock.Holds(s.(*domainShape).mark) {
		return s.(*domainShape), nil
	}
	// Two reads: the mark must be older than what it vouches for, and needs the id.
	var id int64
	if err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) error {
		d, err := tx.Domain(ctx, ref)
		id = d.ID
		return err
	}); err != nil {
		return nil, domainError(ref, err)
	}
	mark := r.o.Clock.Domain(id)
	var s *domainShape
	if err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if s, err = readShape(ctx, tx, ref); err == nil {
			s.cooldowns, err = r.cooldowns(ctx, tx, s.domain.ID)
		}
		if err == nil {
			var rows []catalog.BlockRow
			rows, err = tx.Blocks(ctx, s.domain.ID)
			s.blocks = newBlocks(rows)
		}
		return err
	}); err != nil {
		return nil, domainError(ref, err)
	}
	s.mark, s.searched = mark, r.o.MaxUpstreams
	if s.domain.ID == id { // else the domain was made anew in between: use it once
		r.shapes.Store(ref, s)
	}
	return s, nil
}

func readShape(ctx context.Context, tx *catalog.Tx, ref packhouse.DomainRef) (*domainShape, error) {
	domain, err := tx.Domain(ctx, ref)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Graph(ctx, domain.ID)
	if err != nil {
		return nil, err
	}
	s := newShape(domain, rows)
	s.groups, err = readGroups(ctx, tx, domain.ID)
	return s, err
}

func domainError(ref packhouse.DomainRef, err error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return packhouse.NotFoundf(packhouse.ResourceDomain, ref.Name, "domain %s does not exist in account %s", ref.Name, ref.Owner)
	}
	return StoreError("read shape of domain "+ref.String(), err)
}

// repository finds a repository of the domain. Errors: NotFound "repository_not_found".
func (s *domainShape) repository(ref packhouse.RepoRef) (*catalog.RepositoryRow, error) {
	if row, ok := s.byName[ref.Name]; ok {
		return row, nil
	}
	return nil, packhouse.NotFoundf(packhouse.ResourceRepository, ref.Name, "repository %s does not exist in domain %s", ref.Name, ref.Domain.Name)
}

// closure returns the ids of the repositories that are searched when repo is asked:
// itself first, then its upstreams depth-first in listed order, each once, at most
// s.searched after it. The slice is shared and must not be changed.
// Source: codeartifact.md 3.1 rules 1 and 2.
func (s *domainShape) closure(repo *catalog.RepositoryRow) []int64 {
	if ids, ok := s.closures.Load(repo.ID); ok {
		return ids.([]int64)
	}
	most := cmp.Or(s.searched, packhouse.MaxUpstreams)
	ids := make([]int64, 0, 8)
	seen := map[int64]bool{}
	var visit func(id int64)
	visit = func(id int64) {
		row, ok := s.byID[id]
		if !ok || seen[id] || len(ids) > most {
			return
		}
		seen[id] = true
		ids = append(ids, id)
		for _, up := range row.UpstreamIDs {
			visit(up)
		}
	}
	visit(repo.ID)
	s.closures.Store(repo.ID, ids)
	return ids
}

// source is one place where versions may come from: a repository's own content, or one
// of its connections.
type source struct {
	repo       *catalog.RepositoryRow
	connection string // "" for the repository's own content
}

// sources returns where a package is looked for, in the order of precedence: each
// repository's content, then what is beyond it, then its connections. Repositories for
// which closed is true show nothing beyond themselves; what lies there may still be
// reached on another way. Only repositories of the closure count.
// Source: codeartifact.md 3.1 rules 1-3, 3.7.
func (s *domainShape) sources(repo *catalog.RepositoryRow, closed func(repoID int64) bool) []source {
	inside := make(map[int64]bool)
	for _, id := range s.closure(repo) {
		inside[id] = true
	}
	var out []source
	var visit func(id int64)
	visit = func(id int64) {
		if !inside[id] {
			return
		}
		delete(inside, id) // once only
		row := s.byID[id]
		out = append(out, source{repo: row})
		if closed(id) {
			return
		}
		for _, up := range row.UpstreamIDs {
			visit(up)
		}
		for _, name := range row.Connections {
			out = append(out, source{repo: row, connection: name})
		}
	}
	visit(repo.ID)
	return out
}
