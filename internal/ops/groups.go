package ops

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/groups"
	"github.com/packhouse/packhouse/internal/resolve"
)

// maxPackageGroups bounds the package groups of a domain, which are all kept in memory.
const maxPackageGroups = 5000

// groupResource is a package group, as policies see it.
func (s *Service) groupResource(g packhouse.PackageGroupRef) resource {
	return resource{arn: packhouse.PackageGroupARN(s.region, g), domain: g.Domain, group: g.Pattern, tags: tagsOfPackageGroup}
}

// allowGroup is allow for the package group that a caller names, and returns its pattern.
// Errors: as of allow, then Invalid "invalid_pattern".
func (s *Service) allowGroup(ctx context.Context, who packhouse.Principal, action packhouse.Action, g packhouse.PackageGroupRef, conditions map[string]string) (groups.Pattern, error) {
	pattern, invalid := groups.Parse(g.Pattern, s.patternRule)
	if invalid == nil {
		g.Pattern = pattern.String()
	}
	if err := s.allow(ctx, who, action, s.groupResource(g), conditions); err != nil {
		return pattern, err
	}
	return pattern, invalid
}

// patternRule tells patterns which formats there are.
func (s *Service) patternRule(f packhouse.FormatID) groups.Rule {
	switch rule, ok := s.namespaceRule(f); {
	case !ok:
		return groups.NoFormat
	case rule == format.NamespaceForbidden:
		return groups.NamespaceForbidden
	case rule == format.NamespaceRequired:
		return groups.NamespaceRequired
	default:
		return groups.NamespaceOptional
	}
}

// CreatePackageGroup is the input of Service.CreatePackageGroup.
type CreatePackageGroup struct {
	Group       packhouse.PackageGroupRef
	Contact     string
	Description string
	Tags        []packhouse.ResourceTag
}

// CreatePackageGroup makes a package group that inherits everything. Needs
// CreatePackageGroup, and TagResource when there are tags. Errors: NotFound of the domain,
// Conflict "package_group_exists", Invalid "invalid_pattern" or "reserved_tag",
// QuotaExceeded "package_groups_per_domain" or "tags_per_resource".
func (s *Service) CreatePackageGroup(ctx context.Context, who packhouse.Principal, in CreatePackageGroup) (out packhouse.PackageGroup, err error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionCreatePackageGroup, in.Group, requestTags(in.Tags))
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	ref := packhouse.PackageGroupRef{Domain: in.Group.Domain, Pattern: pattern.String()}
	if err := s.allowTags(ctx, who, s.groupResource(ref), in.Tags); err != nil {
		return packhouse.PackageGroup{}, err
	}
	tags, err := s.newTags(nil, in.Tags, packhouse.ResourcePackageGroup, ref.Pattern)
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	err = s.catalog.DB.Update(ctx, func(tx *catalog.Tx) error {
		domain, rows, err := s.groupRows(ctx, tx, ref.Domain)
		if err != nil {
			return err
		}
		if len(rows) >= maxPackageGroups {
			return quotaExceeded("package_groups_per_domain", packhouse.ResourcePackageGroup, ref.Pattern,
				"domain %s has %d package groups; no more are allowed", ref.Domain.Name, len(rows))
		}
		row := catalog.PackageGroupRow{Pattern: ref.Pattern, Created: s.now().UTC().Truncate(time.Microsecond), Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{}}
		for _, t := range packhouse.RestrictionTypes {
			row.Modes[t] = packhouse.ModeInherit
		}
		texts := catalog.PackageGroupTexts{Contact: in.Contact, Description: in.Description}
		if row.ID, err = tx.InsertPackageGroup(ctx, domain.ID, row, texts); errors.Is(err, catalog.ErrExists) {
			return packhouse.Conflictf("package_group_exists", packhouse.ResourcePackageGroup, ref.Pattern,
				"package group %s already exists in domain %s", ref.Pattern, ref.Domain.Name)
		} else if err != nil {
			return err
		}
		if err := tx.PutResourceTags(ctx, packhouse.ResourcePackageGroup, row.ID, tags); err != nil {
			return err
		}
		set, err := resolve.GroupSet(append(rows, row))
		if err != nil {
			return err
		}
		out = describeGroup(ref.Domain, set, set.Find(ref.Pattern), texts)
		return tx.Record(ctx, s.groupChange(ctx, who, packhouse.ChangePackageGroupCreated, domain, ref.Pattern))
	})
	if err != nil {
		return packhouse.PackageGroup{}, storeError("create package group "+ref.Pattern, err)
	}
	return out, nil
}

// PackageGroup describes a package group. Errors: NotFound, Invalid "invalid_pattern".
func (s *Service) PackageGroup(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionDescribePackageGroup, g, nil)
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	set, found, err := s.findGroup(ctx, g.Domain, pattern)
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	list, err := s.describeGroups(ctx, g.Domain, set, []*groups.Group{found})
	if err == nil && len(list) == 0 { // deleted a moment ago
		err = groupNotFound(g.Domain, pattern.String())
	}
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	return list[0], nil
}

// UpdatePackageGroup is the input of Service.UpdatePackageGroup; what is nil stays.
type UpdatePackageGroup struct {
	Group                packhouse.PackageGroupRef
	Contact, Description *string
}

// UpdatePackageGroup changes what people wrote about a package group. Errors: NotFound,
// Invalid "invalid_pattern".
func (s *Service) UpdatePackageGroup(ctx context.Context, who packhouse.Principal, in UpdatePackageGroup) (packhouse.PackageGroup, error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionUpdatePackageGroup, in.Group, nil)
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	return s.changeGroup(ctx, in.Group.Domain, pattern, func(tx *catalog.Tx, g *changedGroup) error {
		old := g.texts
		if in.Contact != nil {
			g.texts.Contact = *in.Contact
		}
		if in.Description != nil {
			g.texts.Description = *in.Description
		}
		if g.texts == old {
			return nil
		}
		if err := tx.SetPackageGroupTexts(ctx, g.row.ID, g.texts); err != nil {
			return err
		}
		return tx.Record(ctx, s.groupChange(ctx, who, packhouse.ChangePackageGroupUpdated, g.domain, g.row.Pattern))
	})
}

// DeletePackageGroup deletes a package group and returns its last description. Its packages
// stay, and its children become those of its parent. Errors: NotFound, Invalid
// "invalid_pattern" or "root_package_group".
func (s *Service) DeletePackageGroup(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error) {
	pattern, err := s.allowGroup(ctx, who, packhouse.ActionDeletePackageGroup, g, nil)
	if err != nil {
		return packhouse.PackageGroup{}, err
	}
	return s.changeGroup(ctx, g.Domain, pattern, func(tx *catalog.Tx, g *changedGroup) error {
		if g.row.Pattern == packhouse.RootPattern {
			return packhouse.Invalidf("root_package_group", "package group %s cannot be deleted", packhouse.RootPattern)
		}
		if err := tx.DeletePackageGroup(ctx, g.row.ID); err != nil {
			return err
		}
		return tx.Record(ctx, s.groupChange(ctx, who, packhouse.ChangePackageGroupDeleted, g.domain, g.row.Pattern))
	})
}

// changedGroup is a package group that is being changed. What change does with row and
// texts is what changeGroup describes.
type changedGroup struct {
	domain catalog.DomainRow
	row    *catalog.PackageGroupRow
	texts  catalog.PackageGroupTexts
}

// changeGroup runs change on a package group in a transaction and describes the group.
// Errors: NotFound; what change returns.
func (s *Service) changeGroup(ctx context.Context, d packhouse.DomainRef, pattern groups.Pattern, change func(*catalog.Tx, *changedGroup) error) (out packhouse.PackageGroup, err error) {
	err = s.catalog.DB.Update(ctx, func(tx *catalog.Tx) error {
		domain, rows, err := s.groupRows(ctx, tx, d)
		if err != nil {
			return err
		}
		g := changedGroup{domain: domain}
		for i := range rows {
			if rows[i].Pattern == pattern.String() {
				g.row = &rows[i]
			}
		}
		if g.row == nil {
			return groupNotFound(d, pattern.String())
		}
		texts, err := tx.PackageGroupTexts(ctx, []int64{g.row.ID})
		if err != nil {
			return err
		}
		g.texts = texts[g.row.ID]
		if err := change(tx, &g); err != nil {
			return err
		}
		set, err := resolve.GroupSet(rows)
		if err != nil {
			return err
		}
		out = describeGroup(d, set, set.Find(g.row.Pattern), g.texts)
		return nil
	})
	if err != nil {
		return packhouse.PackageGroup{}, storeError("change package group "+pattern.String(), err)
	}
	return out, nil
}

// groupRows reads the package groups of a domain in a transaction. Errors: NotFound of the
// domain.
func (s *Service) groupRows(ctx context.Context, tx *catalog.Tx, d packhouse.DomainRef) (catalog.DomainRow, []catalog.PackageGroupRow, error) {
	domain, err := s.domainIn(ctx, tx, d)
	if err != nil {
		return domain, nil, err
	}
	rows, err := tx.PackageGroups(ctx, domain.ID)
	return domain, rows, err
}

// findGroup finds a package group as it is at this moment; warm it costs no SQL. Errors:
// NotFound of the domain or the group.
func (s *Service) findGroup(ctx context.Context, d packhouse.DomainRef, pattern groups.Pattern) (resolve.Groups, *groups.Group, error) {
	set, err := s.resolver.Groups(ctx, d)
	if err != nil {
		return set, nil, err
	}
	g := set.Find(pattern.String())
	if g == nil {
		return set, nil, groupNotFound(d, pattern.String())
	}
	return set, g, nil
}

func groupNotFound(d packhouse.DomainRef, pattern string) error {
	return packhouse.NotFoundf(packhouse.ResourcePackageGroup, pattern, "package group %s does not exist in domain %s", pattern, d.Name)
}

// groupChange begins a ledger row about a package group.
func (s *Service) groupChange(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, domain catalog.DomainRow, pattern string) packhouse.Change {
	c := s.domainChange(ctx, who, kind, domain.ID, domain.Ref)
	c.Detail = pattern
	return c
}

// describeGroups describes groups of a set, reading what people wrote about them. Those
// that are deleted by now are left out.
func (s *Service) describeGroups(ctx context.Context, d packhouse.DomainRef, set resolve.Groups, list []*groups.Group) ([]packhouse.PackageGroup, error) {
	ids := make([]int64, len(list))
	for i, g := range list {
		ids[i] = g.ID
	}
	var texts map[int64]catalog.PackageGroupTexts
	err := s.catalog.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		texts, err = tx.PackageGroupTexts(ctx, ids)
		return err
	})
	if err != nil {
		return nil, storeError("describe package groups", err)
	}
	out := make([]packhouse.PackageGroup, 0, len(list))
	for _, g := range list {
		if t, ok := texts[g.ID]; ok {
			out = append(out, describeGroup(d, set.Set, g, t))
		}
	}
	return out, nil
}

func describeGroup(d packhouse.DomainRef, set *groups.Set, g *groups.Group, t catalog.PackageGroupTexts) packhouse.PackageGroup {
	out := packhouse.PackageGroup{
		Ref: packhouse.PackageGroupRef{Domain: d, Pattern: g.Pattern.String()}, ID: g.ID,
		Contact: t.Contact, Description: t.Description, Created: g.Created,
		Restrictions: make(map[packhouse.RestrictionType]packhouse.GroupRestriction, len(packhouse.RestrictionTypes)),
	}
	if p := set.Parent(g); p != nil {
		out.Parent = p.Pattern.String()
	}
	for _, t := range packhouse.RestrictionTypes {
		e := set.Effective(g, t)
		r := packhouse.GroupRestriction{Mode: g.Modes[t], Effective: e.Mode, Repositories: len(e.Repositories)}
		if e.From != g {
			r.InheritedFrom = e.From.Pattern.String()
		}
		out.Restrictions[t] = r
	}
	return out
}

// groupTags returns the condition keys of a package group's tags.
func (s *Service) groupTags(ctx context.Context, r resource) (map[string]string, error) {
	set, err := s.resolver.Groups(ctx, r.domain)
	if packhouse.KindOf(err) == packhouse.KindNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	g := set.Find(r.group)
	if g == nil {
		return nil, nil
	}
	var tags []packhouse.ResourceTag
	err = s.catalog.DB.View(ctx, func(tx *catalog.Tx) (err error) {
		tags, err = tx.ResourceTags(ctx, packhouse.ResourcePackageGroup, g.ID)
		return err
	})
	keys := make(map[string]string, len(tags))
	for _, t := range tags {
		keys["aws:resourcetag/"+strings.ToLower(t.Key)] = t.Value
	}
	return keys, err
}
