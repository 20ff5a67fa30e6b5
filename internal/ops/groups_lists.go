package ops

import (
	"context"
	"strconv"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/groups"
	"github.com/packhouse/packhouse/internal/resolve"
)

// PackageGroups lists the package groups of a domain whose patterns begin with prefix, by
// pattern. next is "" on the last page. Errors: NotFound of the domain.
func (s *Service) PackageGroups(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, prefix string, p Page) (list []packhouse.PackageGroup, next string, err error) {
	if err := s.allowDomain(ctx, who, packhouse.ActionListPackageGroups, d); err != nil {
		return nil, "", err
	}
	set, err := s.resolver.Groups(ctx, d)
	if err != nil {
		return nil, "", err
	}
	return s.pageOfGroups(ctx, d, set, p, func(after string, limit int) []*groups.Group { return set.WithPrefix(prefix, after, limit) })
}

// SubPackageGroups lists the direct children of a package group by pattern. next is "" on
// the last page. Errors: NotFound, Invalid "invalid_pattern".
func (s *Service) SubPackageGroups(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, p Page) (list []packhouse.PackageGroup, next string, err error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionListSubPackageGroups, g, nil)
	if err != nil {
		return nil, "", err
	}
	set, found, err := s.findGroup(ctx, g.Domain, pattern)
	if err != nil {
		return nil, "", err
	}
	return s.pageOfGroups(ctx, g.Domain, set, p, func(after string, limit int) []*groups.Group { return set.Children(found, after, limit) })
}

// pageOfGroups describes the groups that list returns behind the page's cursor.
func (s *Service) pageOfGroups(ctx context.Context, d packhouse.DomainRef, set resolve.Groups, p Page, list func(after string, limit int) []*groups.Group) ([]packhouse.PackageGroup, string, error) {
	after, err := patternAt(set, p.After)
	if err != nil {
		return nil, "", err
	}
	found, next := list(after, p.limit()+1), ""
	if len(found) > p.limit() {
		found = found[:p.limit()]
		next = patternCursor(found[len(found)-1])
	}
	out, err := s.describeGroups(ctx, d, set, found)
	return out, next, err
}

// maxPatternCursor is the length, in bytes, from which on a cursor names the group's row:
// 520 characters can have 2,080 bytes, and a page token has 2,000 characters
// (codeartifact.md 1.2).
const maxPatternCursor = 1200

func patternCursor(g *groups.Group) string {
	if text := g.Pattern.String(); len(text) <= maxPatternCursor {
		return text
	}
	return strconv.FormatInt(g.ID, 10) // every pattern begins with a slash
}

// patternAt reads a cursor. Errors: Invalid "invalid_page_token" for nonsense, and when it
// names a row that is gone.
func patternAt(set resolve.Groups, cursor string) (string, error) {
	if cursor == "" || cursor[0] == '/' {
		return cursor, nil
	}
	for _, g := range set.WithPrefix("", "", set.Len()) {
		if patternCursor(g) == cursor {
			return g.Pattern.String(), nil
		}
	}
	return "", packhouse.Invalidf("invalid_page_token", "the page token is not one that this list returned")
}

// AssociatedPackageGroup describes the group of a package, which need not exist anywhere.
// Its resource is the package group of that package alone, whether there is one or not: the
// pattern of the one that is found would be no secret otherwise. Errors: NotFound of the
// domain.
func (s *Service) AssociatedPackageGroup(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, n packhouse.PackageName) (packhouse.PackageGroup, packhouse.PackageGroupAssociation, error) {
	action := packhouse.ActionGetAssociatedPackageGroup
	if err := s.allow(ctx, who, action, s.groupResource(packhouse.PackageGroupRef{Domain: d, Pattern: groups.PathOf(n) + "$"}), nil); err != nil {
		return packhouse.PackageGroup{}, "", err
	}
	set, err := s.resolver.Groups(ctx, d)
	if err != nil {
		return packhouse.PackageGroup{}, "", err
	}
	ruling := set.Rule(n)
	g := ruling.Group()
	if g == nil {
		return packhouse.PackageGroup{}, "", groupNotFound(d, packhouse.RootPattern)
	}
	ref := packhouse.PackageGroupRef{Domain: d, Pattern: g.Pattern.String()}
	if decision, err := s.decide(ctx, who, action, s.groupResource(ref), nil); err != nil && (decision.Explicit || packhouse.KindOf(err) != packhouse.KindDenied) {
		return packhouse.PackageGroup{}, "", err
	}
	list, err := s.describeGroups(ctx, d, set, []*groups.Group{g})
	if err == nil && len(list) == 0 { // deleted a moment ago
		err = groupNotFound(d, ref.Pattern)
	}
	if err != nil {
		return packhouse.PackageGroup{}, "", err
	}
	return list[0], ruling.Association, nil
}

// AssociatedPackage is a package that belongs to a group.
type AssociatedPackage struct {
	Name        packhouse.PackageName
	Association packhouse.PackageGroupAssociation
}

// AssociatedPackages lists the packages in repositories of the domain that belong to a
// group, each once, by their folded paths. With preview the group need not exist: they are
// those that it would own. next is "" on the last page; a page may be shorter than asked
// for. Errors: NotFound, Invalid "invalid_pattern".
func (s *Service) AssociatedPackages(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, preview bool, p Page) (list []AssociatedPackage, next string, err error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionListAssociatedPackages, g, nil)
	if err != nil {
		return nil, "", err
	}
	groupsNow, err := s.resolver.Groups(ctx, g.Domain)
	if err != nil {
		return nil, "", err
	}
	o := owning{set: groupsNow.Set, domainID: groupsNow.Domain.ID, limit: p.limit()}
	if preview {
		o.set = o.set.With(groups.Group{Pattern: pattern})
	}
	if o.group = o.set.Find(pattern.String()); o.group == nil {
		return nil, "", groupNotFound(g.Domain, pattern.String())
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) error {
		o.list, o.next = nil, ""
		return o.collect(ctx, tx, p.After)
	})
	if err != nil {
		return nil, "", storeError("list packages of group "+pattern.String(), err)
	}
	return o.list, o.next, nil
}

// maxSkips bounds the statements of one page of packages. Narrower groups, and words that
// only begin alike, are skipped with one statement each.
const maxSkips = 50

// owning is a list of the packages of a group in the making.
type owning struct {
	set      *groups.Set
	group    *groups.Group
	domainID int64
	limit    int
	list     []AssociatedPackage
	next     string
}

// collect goes along the folded paths that the group's pattern matches and skips those that
// are other groups'.
func (o *owning) collect(ctx context.Context, tx *catalog.Tx, cursor string) error {
	at, err := tx.DomainPackageAt(ctx, o.domainID, cursor)
	if err != nil {
		return err
	}
	from, until := o.group.Pattern.Range()
	if cursor != "" && o.set.Rule(at.Name).Group() != o.group {
		if from = o.set.MayFollow(o.group, at.WeakPath); from == "" {
			return nil
		}
	}
	batch := o.limit + 1
	for range maxSkips {
		rows, err := tx.DomainPackages(ctx, o.domainID, at, from, until, batch)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.WeakPath < from { // skipped
				continue
			}
			ruling := o.set.Rule(row.Name)
			if ruling.Group() != o.group {
				if from = o.set.MayFollow(o.group, row.WeakPath); from == "" {
					o.next = ""
					return nil
				}
				at = row
				continue
			}
			if len(o.list) == o.limit {
				o.next = at.Cursor()
				return nil
			}
			o.list = append(o.list, AssociatedPackage{row.Name, ruling.Association})
			at = row
		}
		if len(rows) < batch {
			return nil
		}
	}
	o.next = at.Cursor()
	return nil
}
