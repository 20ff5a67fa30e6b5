package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
)

// PackageQuery selects packages of a repository. Empty fields select everything.
type PackageQuery struct {
	Format          packhouse.FormatID
	NamespacePrefix string // needs Format
	NamePrefix      string
	Publish         packhouse.Restriction
	Upstream        packhouse.Restriction
}

// CanonicalPackage turns an API caller's spelling into a name: the format must be
// known, the namespace present or absent as its Spec says, else Invalid
// "format_not_supported", "namespace_required", "namespace_forbidden" or what the format
// says. A leading "@" is stripped where the format's Canonical does so. A known format
// without a room has no other rules yet: the spelling is taken as it is. It decides no
// access.
func (s *Service) CanonicalPackage(f packhouse.FormatID, namespace, name string) (packhouse.PackageName, error) {
	rule, ok := s.namespaceRule(f)
	switch {
	case !ok:
		return packhouse.PackageName{}, unknownFormat(f)
	case rule == format.NamespaceRequired && namespace == "":
		return packhouse.PackageName{}, packhouse.Invalidf("namespace_required", "packages of format %s need a namespace", f)
	case rule == format.NamespaceForbidden && namespace != "":
		return packhouse.PackageName{}, packhouse.Invalidf("namespace_forbidden", "packages of format %s have no namespace", f)
	}
	if room, ok := s.formats[f]; ok {
		return room.Canonical(namespace, name)
	}
	return packhouse.PackageName{Format: f, Namespace: namespace, Name: name}, nil
}

// namespaceRule returns a format's rule; ok is false for one that does not exist.
func (s *Service) namespaceRule(f packhouse.FormatID) (rule format.NamespaceRule, ok bool) {
	if room, ok := s.formats[f]; ok {
		return room.Spec().Namespace, true
	}
	if rule, ok := s.namespaces[f]; ok {
		return rule, true
	}
	return format.NamespaceOptional, slices.Contains(s.knownFormats, f)
}

// Packages lists packages by (format, namespace, name), those without versions too. next
// is "" on the last page; a page before it may be shorter than asked for where q has a
// restriction or a name prefix. Errors: NotFound of the repository, Invalid "namespace_prefix".
func (s *Service) Packages(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, q PackageQuery, p Page) (list []packhouse.Package, next string, err error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionListPackages, r); err != nil {
		return nil, "", err
	}
	if q.NamespacePrefix != "" && q.Format == "" {
		return nil, "", packhouse.Invalidf("namespace_prefix", "a namespace can be given only together with a format")
	}
	if room, ok := s.formats[q.Format]; ok && q.NamespacePrefix != "" {
		// The beginning of a namespace is spelled like a whole one (codeartifact.md 2.2); what
		// is none is the beginning of none.
		if n, err := room.Canonical(q.NamespacePrefix, "x"); err == nil {
			q.NamespacePrefix = n.Namespace
		}
	}
	repo, _, err := s.repository(ctx, r)
	if err != nil {
		return nil, "", err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		list, next, err = tx.Packages(ctx, catalog.PackageFilter{
			RepoID: repo.ID, Format: q.Format, NamespacePrefix: q.NamespacePrefix, NamePrefix: q.NamePrefix,
			Publish: q.Publish, Upstream: q.Upstream, After: p.After, Limit: p.limit(),
		})
		return err
	})
	if err != nil {
		return nil, "", storeError("list packages", err)
	}
	for i := range list {
		list[i].Ref.Repo = r
	}
	return list, next, nil
}

// Package describes a package record of this repository. Errors: NotFound.
func (s *Service) Package(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (out packhouse.Package, err error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionDescribePackage, pkg); err != nil {
		return packhouse.Package{}, err
	}
	repo, _, err := s.repository(ctx, pkg.Repo)
	if err != nil {
		return packhouse.Package{}, err
	}
	err = s.catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = s.packageIn(ctx, tx, repo, pkg)
		return err
	})
	return out, storeError("describe package", err)
}

// DeletePackage deletes a package with its versions and controls and returns it as it
// was. Every version leaves a change of its own. Errors: NotFound.
func (s *Service) DeletePackage(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (out packhouse.Package, err error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionDeletePackage, pkg); err != nil {
		return packhouse.Package{}, err
	}
	err = s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		repo, _, err := s.repositoryIn(ctx, tx, pkg.Repo)
		if err != nil {
			return err
		}
		if out, err = s.lockPackageIn(ctx, tx, repo, pkg); err != nil {
			return err
		}
		rows, err := tx.AllVersions(ctx, out.ID)
		if err != nil {
			return err
		}
		counts, err := assetCounts(ctx, tx, rows)
		if err != nil {
			return err
		}
		changes := make([]packhouse.Change, 0, len(rows)+1)
		for _, v := range rows {
			changes = append(changes, s.deletion(ctx, who, repo, pkg.Package, v, counts[v.ID]))
		}
		gone := s.change(ctx, who, packhouse.ChangePackageDeleted, repo)
		gone.Package, gone.Detail = pkg.Package, fmt.Sprintf("versions=%d", len(rows))
		if err := s.recordAll(ctx, tx, out.ID, append(changes, gone)); err != nil {
			return err
		}
		return tx.DeletePackage(ctx, out.ID)
	})
	if err != nil {
		return packhouse.Package{}, storeError("delete "+pkg.String(), err)
	}
	return out, nil
}

// PutControls sets origin controls, making an empty record where there is none. It
// returns what was set. Errors: Invalid "origin_controls", NotFound of the repository.
func (s *Service) PutControls(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, c packhouse.OriginControls) (packhouse.OriginControls, error) {
	if err := s.allowPackage(ctx, who, packhouse.ActionPutPackageOriginConfiguration, pkg); err != nil {
		return packhouse.OriginControls{}, err
	}
	if !validRestriction(c.Publish) || !validRestriction(c.Upstream) {
		return packhouse.OriginControls{}, packhouse.Invalidf("origin_controls", "both publish and upstream must be %s or %s", packhouse.Allow, packhouse.Block)
	}
	// A format without a room has no canonical names yet, so it gets no records.
	if _, ok := s.formats[pkg.Package.Format]; !ok {
		return packhouse.OriginControls{}, unknownFormat(pkg.Package.Format)
	}
	err := s.catalog.Update(ctx, func(tx *catalog.Tx) error {
		repo, _, err := s.repositoryIn(ctx, tx, pkg.Repo)
		if err != nil {
			return err
		}
		record, created, err := s.ensureRecord(ctx, tx, newRecord(repo, pkg.Package, "", c, s.now().UTC()))
		if err != nil || record.Controls == c && !created {
			return err
		}
		if err := tx.SetControls(ctx, record.ID, c); err != nil {
			return err
		}
		change := s.change(ctx, who, packhouse.ChangePackageControls, repo)
		change.Package = pkg.Package
		change.Detail = fmt.Sprintf("publish=%s upstream=%s", c.Publish, c.Upstream)
		changes := []packhouse.Change{change}
		if created {
			made := s.change(ctx, who, packhouse.ChangePackageCreated, repo)
			made.Package = pkg.Package
			changes = []packhouse.Change{made, change}
		}
		return s.recordAll(ctx, tx, record.ID, changes)
	})
	if err != nil {
		return packhouse.OriginControls{}, storeError("set origin controls of "+pkg.String(), err)
	}
	return c, nil
}

func validRestriction(r packhouse.Restriction) bool {
	return r == packhouse.Allow || r == packhouse.Block
}

// newRecord puts together a package record to insert.
func newRecord(repo catalog.RepositoryRow, n packhouse.PackageName, displayName string, c packhouse.OriginControls, at time.Time) catalog.NewPackage {
	return catalog.NewPackage{
		RepoID: repo.ID, DomainID: repo.DomainID, Name: n, DisplayName: displayName,
		CollisionKey: n.Namespace + "/" + n.Name, Controls: c, At: at,
	}
}

// ensureRecord locks the record of a package, inserting p where there is none. Errors: as
// of insertRecord.
func (s *Service) ensureRecord(ctx context.Context, tx *catalog.Tx, p catalog.NewPackage) (record packhouse.Package, created bool, err error) {
	record, err = tx.LockPackage(ctx, p.RepoID, p.Name)
	if !errors.Is(err, catalog.ErrNotFound) {
		return record, false, err
	}
	record, err = s.insertRecord(ctx, tx, p)
	return record, true, err
}

// insertRecord inserts the record of a package that has none. Errors: Conflict
// "name_taken" where the format takes the name for that of another package;
// catalog.ErrNotFound where the repository is gone.
func (s *Service) insertRecord(ctx context.Context, tx *catalog.Tx, p catalog.NewPackage) (packhouse.Package, error) {
	record, err := tx.InsertPackage(ctx, p)
	if errors.Is(err, catalog.ErrExists) {
		return record, packhouse.Conflictf("name_taken", packhouse.ResourcePackage, p.Name.Name,
			"the name %s is too much like that of another package in the repository", p.Name)
	}
	return record, err
}
