package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// AllowedRepository is a repository on one of a package group's lists.
type AllowedRepository struct {
	Type packhouse.RestrictionType
	Name string
}

// UpdateGroupOrigin is the input of Service.UpdateGroupOrigin.
type UpdateGroupOrigin struct {
	Group packhouse.PackageGroupRef
	// Modes are the types that change.
	Modes map[packhouse.RestrictionType]packhouse.RestrictionMode
	// Add comes before Remove, so what is in both is not allowed in the end.
	Add, Remove []AllowedRepository
}

// AllowedUpdates are the repositories that came on a list and went from it, by name.
type AllowedUpdates struct{ Added, Removed []string }

// UpdateGroupOrigin changes what may enter repositories of the packages of a group. A list
// goes when its type gets another mode than ModeAllowSpecific. updates has the types of
// which a list changed.
//
// Errors: NotFound of the domain, the group or a repository; Invalid "invalid_pattern",
// "invalid_restriction", "root_package_group" when the root is to inherit, and
// "no_allowed_list" when a list of a type with another mode is to change.
func (s *Service) UpdateGroupOrigin(ctx context.Context, who packhouse.Principal, in UpdateGroupOrigin) (out packhouse.PackageGroup, updates map[packhouse.RestrictionType]AllowedUpdates, err error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionUpdatePackageGroupOriginConfiguration, in.Group, nil)
	if err != nil {
		return packhouse.PackageGroup{}, nil, err
	}
	if err := in.check(pattern.String()); err != nil {
		return packhouse.PackageGroup{}, nil, err
	}
	out, err = s.changeGroup(ctx, in.Group.Domain, pattern, func(tx *catalog.Tx, g *changedGroup) error {
		lists, err := s.allowedLists(ctx, tx, g)
		if err != nil {
			return err
		}
		detail := g.row.Pattern
		for _, t := range packhouse.RestrictionTypes {
			if mode, named := in.Modes[t]; named && mode != g.row.Modes[t] {
				g.row.Modes[t] = mode
				detail += fmt.Sprintf(" %s=%s", t, mode)
			}
		}
		for _, a := range slices.Concat(in.Add, in.Remove) {
			if g.row.Modes[a.Type] != packhouse.ModeAllowSpecific {
				return packhouse.Invalidf("no_allowed_list", "the mode of %s is %s; only with %s there are allowed repositories",
					a.Type, g.row.Modes[a.Type], packhouse.ModeAllowSpecific)
			}
		}
		if err := lists.change(ctx, tx, in); err != nil {
			return err
		}
		for _, t := range packhouse.RestrictionTypes {
			if g.row.Modes[t] != packhouse.ModeAllowSpecific {
				lists.clear(t)
			}
			if u, ok := lists.updates[t]; ok {
				detail += fmt.Sprintf(" %s+%d-%d", t, len(u.Added), len(u.Removed))
			}
			g.row.Allowed[t] = lists.ids(t)
		}
		updates = lists.updates
		if detail == g.row.Pattern {
			return nil
		}
		if err := tx.SetPackageGroupOrigin(ctx, *g.row); err != nil {
			return err
		}
		return tx.Record(ctx, s.groupChange(ctx, who, packhouse.ChangePackageGroupOrigin, g.domain, detail))
	})
	if err != nil {
		return packhouse.PackageGroup{}, nil, err
	}
	return out, updates, nil
}

// check looks at what does not depend on the group as it is.
func (in UpdateGroupOrigin) check(pattern string) error {
	known := func(t packhouse.RestrictionType) bool { return slices.Contains(packhouse.RestrictionTypes, t) }
	for t, mode := range in.Modes {
		switch {
		case !known(t):
			return packhouse.Invalidf("invalid_restriction", "%q is no restriction type; there are %v", t, packhouse.RestrictionTypes)
		case mode == packhouse.ModeInherit && pattern == packhouse.RootPattern:
			return packhouse.Invalidf("root_package_group", "package group %s has nothing to inherit from", packhouse.RootPattern)
		case !slices.Contains([]packhouse.RestrictionMode{packhouse.ModeAllow, packhouse.ModeAllowSpecific, packhouse.ModeBlock, packhouse.ModeInherit}, mode):
			return packhouse.Invalidf("invalid_restriction", "%q is no restriction mode", mode)
		}
	}
	for _, a := range slices.Concat(in.Add, in.Remove) {
		if !known(a.Type) || a.Name == "" {
			return packhouse.Invalidf("invalid_restriction", "an allowed repository has a name and one of the types %v", packhouse.RestrictionTypes)
		}
	}
	return nil
}

// allowedLists are the lists of a group while they are changed.
type allowedLists struct {
	domain  packhouse.DomainRef
	byType  map[packhouse.RestrictionType]map[string]int64 // names and ids
	updates map[packhouse.RestrictionType]AllowedUpdates
}

// allowedLists reads a group's lists with the names of the repositories.
func (s *Service) allowedLists(ctx context.Context, tx *catalog.Tx, g *changedGroup) (*allowedLists, error) {
	l := &allowedLists{domain: g.domain.Ref, byType: map[packhouse.RestrictionType]map[string]int64{}, updates: map[packhouse.RestrictionType]AllowedUpdates{}}
	for _, t := range packhouse.RestrictionTypes {
		l.byType[t] = map[string]int64{}
	}
	if len(g.row.Allowed) == 0 {
		return l, nil
	}
	graph, err := tx.Graph(ctx, g.domain.ID)
	for _, r := range graph {
		for t, ids := range g.row.Allowed {
			if slices.Contains(ids, r.ID) {
				l.byType[t][r.Ref.Name] = r.ID
			}
		}
	}
	return l, err
}

// change adds and removes repositories. Errors: NotFound of a repository.
func (l *allowedLists) change(ctx context.Context, tx *catalog.Tx, in UpdateGroupOrigin) error {
	known := map[string]int64{}
	for i, a := range slices.Concat(in.Add, in.Remove) {
		id, seen := known[a.Name]
		if !seen {
			ref := packhouse.RepoRef{Domain: l.domain, Name: a.Name}
			row, err := tx.Repository(ctx, ref)
			if errors.Is(err, catalog.ErrNotFound) {
				return repositoryNotFound(ref)
			}
			if err != nil {
				return err
			}
			id = row.ID
			known[a.Name] = id
		}
		if _, has := l.byType[a.Type][a.Name]; has == (i < len(in.Add)) {
			continue
		}
		u := l.updates[a.Type]
		if i < len(in.Add) {
			l.byType[a.Type][a.Name] = id
			u.Added = append(u.Added, a.Name)
		} else {
			delete(l.byType[a.Type], a.Name)
			u.Removed = append(u.Removed, a.Name)
		}
		l.updates[a.Type] = u
	}
	return nil
}

// clear drops the list of a type.
func (l *allowedLists) clear(t packhouse.RestrictionType) {
	if len(l.byType[t]) == 0 {
		return
	}
	u := l.updates[t]
	for name := range l.byType[t] {
		u.Removed = append(u.Removed, name)
	}
	slices.Sort(u.Removed)
	l.updates[t] = u
	clear(l.byType[t])
}

func (l *allowedLists) ids(t packhouse.RestrictionType) []int64 {
	var out []int64
	for _, id := range l.byType[t] {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// AllowedRepositories lists the repositories that are allowed for a group and a type, by
// name: the list of the group that the mode is inherited from where it is inherited, and
// none unless that mode is ModeAllowSpecific. next is "" on the last page. Errors:
// NotFound, Invalid "invalid_pattern".
func (s *Service) AllowedRepositories(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, t packhouse.RestrictionType, p Page) (list []string, next string, err error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionListAllowedRepositoriesForGroup, g, nil)
	if err != nil {
		return nil, "", err
	}
	set, found, err := s.findGroup(ctx, g.Domain, pattern)
	if err != nil {
		return nil, "", err
	}
	for _, id := range set.Effective(found, t).Repositories {
		if name, ok := set.Repository(id); ok && name > p.After {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	if len(list) > p.limit() {
		list = list[:p.limit()]
		next = list[len(list)-1]
	}
	return list, next, nil
}
