package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/groups"
)

// What may enter a repository is decided in this file: what the package's own record says
// and what its package group says, where blocking wins. A record speaks for its repository
// and what lies beyond it; groups speak for where a version is published, where it comes
// out of a public registry and where it is asked for (codeartifact.md 3.7).

// effectiveControls are the controls of a package's record in a repository; record is nil
// where the repository has none. Source: codeartifact.md 3.6 step 3, 3.7.
func effectiveControls(record *packhouse.Package) packhouse.OriginControls {
	if record == nil {
		return packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}
	}
	return record.Controls
}

// Origins is what may enter the repositories of a domain of one package, as its package
// groups say. The zero value lets nothing in.
type Origins struct{ ruling groups.Ruling }

// Origins returns what may enter the repositories of a domain of a package at this moment;
// warm it costs no SQL. Errors: NotFound "domain_not_found".
func (r *Resolver) Origins(ctx context.Context, domain packhouse.DomainRef, n packhouse.PackageName) (Origins, error) {
	shape, err := r.shape(ctx, domain)
	if err != nil {
		return Origins{}, err
	}
	return shape.origins(n), nil
}

func (s *domainShape) origins(n packhouse.PackageName) Origins { return Origins{s.groups.Rule(n)} }

// MayPublish refuses what must not be published to a repository; record is the package's
// there, nil for none. Errors: Denied "publish_blocked".
func (o Origins) MayPublish(pkg packhouse.PackageRef, repoID int64, record *packhouse.Package) error {
	switch group := o.ruling.Group(); {
	case effectiveControls(record).Publish == packhouse.Block:
		return packhouse.Deniedf("publish_blocked",
			"the origin controls of %s do not allow publishing; allow it with put-package-origin-configuration", pkg)
	case o.ruling.Allows(packhouse.RestrictPublish, repoID):
		return nil
	case group != nil && o.ruling.Association == packhouse.AssociationWeak:
		return packhouse.Deniedf("publish_blocked",
			"the name of %s resembles those of package group %s too much to be published; to allow it, make a package group for it", pkg, group.Pattern)
	case group != nil:
		return packhouse.Deniedf("publish_blocked",
			"package group %s does not allow publishing %s; allow it with update-package-group-origin-configuration", group.Pattern, pkg)
	}
	return packhouse.Deniedf("publish_blocked", "%s belongs to no package group", pkg)
}

// Published are the controls of a package record that a first publish makes, retained those
// of one that a pull makes. Each keeps the other way closed, unless the groups look after
// that. Source: codeartifact.md 3.2, 3.7 (defaults).
func (o Origins) Published() packhouse.OriginControls {
	return o.firstControls(packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
}

func (o Origins) retained() packhouse.OriginControls {
	return o.firstControls(packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow})
}

func (o Origins) firstControls(strict packhouse.OriginControls) packhouse.OriginControls {
	if o.ruling.Open() {
		return strict
	}
	return packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}
}

// intake is what may be said about a version that repositories take in.
type intake struct {
	Origins
	holder int64 // the repository with the connection that it comes through, 0 for none
}

// allows reports whether a repository may take the version in.
func (i intake) allows(repoID int64) bool {
	if repoID == i.holder {
		return i.ruling.Allows(packhouse.RestrictExternalUpstream, repoID)
	}
	return i.ruling.Allows(packhouse.RestrictInternalUpstream, repoID)
}

// intake returns what the package groups say at this moment about a version that comes
// through a connection of holder, nil for one of another repository. A transfer may have
// taken long.
func (r *Resolver) intake(ctx context.Context, domain packhouse.DomainRef, n packhouse.PackageName, holder *catalog.RepositoryRow) (in intake, err error) {
	if in.Origins, err = r.Origins(ctx, domain, n); holder != nil {
		in.holder = holder.ID
	}
	return in, err
}

// admit returns those of the sources of repo that a package may come from: what the
// repository has itself, from other repositories if it may take that in, and from
// connections if moreover the repository that has the connection may.
func (o Origins) admit(repo *catalog.RepositoryRow, sources []source) []source {
	if o.ruling.Open() {
		return sources
	}
	internal := o.ruling.Allows(packhouse.RestrictInternalUpstream, repo.ID)
	return slices.DeleteFunc(sources, func(s source) bool {
		return s.repo != repo && !internal || s.connection != "" && !o.ruling.Allows(packhouse.RestrictExternalUpstream, s.repo.ID)
	})
}

// readGroups reads the package groups of a domain.
func readGroups(ctx context.Context, tx *catalog.Tx, domainID int64) (*groups.Set, error) {
	rows, err := tx.PackageGroups(ctx, domainID)
	if err != nil {
		return nil, err
	}
	return GroupSet(rows)
}

// GroupSet compiles package groups as they are stored.
func GroupSet(rows []catalog.PackageGroupRow) (*groups.Set, error) {
	list := make([]groups.Group, len(rows))
	for i, r := range rows {
		// Which formats there are was asked when the group was made.
		p, err := groups.Parse(r.Pattern, func(packhouse.FormatID) groups.Rule { return groups.NamespaceOptional })
		if err != nil {
			return nil, fmt.Errorf("package group %d: %w", r.ID, err)
		}
		list[i] = groups.Group{ID: r.ID, Pattern: p, Modes: r.Modes, Allowed: r.Allowed, Created: r.Created}
	}
	return groups.NewSet(list), nil
}

// Groups are the package groups of a domain with its repositories, at one moment.
type Groups struct {
	*groups.Set
	Domain catalog.DomainRow
	shape  *domainShape
}

// Repository returns the name of a repository of the domain; ok is false where it is gone.
func (g Groups) Repository(id int64) (name string, ok bool) {
	row, ok := g.shape.byID[id]
	if !ok {
		return "", false
	}
	return row.Ref.Name, true
}

// Groups returns the package groups of a domain; warm it costs no SQL. Errors: NotFound
// "domain_not_found".
func (r *Resolver) Groups(ctx context.Context, domain packhouse.DomainRef) (Groups, error) {
	shape, err := r.shape(ctx, domain)
	if err != nil {
		return Groups{}, err
	}
	return Groups{shape.groups, shape.domain, shape}, nil
}

// Upstream reports whether a version is present anywhere beyond the repository itself:
// in a reachable upstream, whatever its status, or in a connection of one
// (codeartifact.md 3.6 step 3). where names it for people. A connection without an
// address counts as empty; one that fails is an error.
func (r *Resolver) Upstream(ctx context.Context, pkg packhouse.PackageRef, versionKey string) (where string, found bool, err error) {
	f, err := r.format(pkg.Package.Format)
	if err != nil {
		return "", false, err
	}
	shape, err := r.shape(ctx, pkg.Repo.Domain)
	if err != nil {
		return "", false, err
	}
	repo, err := shape.repository(pkg.Repo)
	if err != nil || !f.Spec().Upstreams {
		return "", false, err
	}
	if err := r.settlePackage(ctx, shape.domain.ID, pkg.Package, versionKey); err != nil {
		return "", false, err
	}
	held, err := r.holders(ctx, shape.closure(repo), pkg.Package, versionKey, "")
	if err != nil {
		return "", false, err
	}
	for _, src := range shape.origins(pkg.Package).admit(repo, shape.sources(repo, held.closed)) {
		if src.connection == "" {
			if _, ok := held.versions[src.repo.ID]; ok && src.repo != repo {
				return fmt.Sprintf("repository %q", src.repo.Ref.Name), true, nil
			}
			continue
		}
		conn, ok := r.connection(ctx, src.connection, f)
		if !ok || conn.URL == "" {
			continue
		}
		index, err := r.remotes.get(ctx, shape.domain.Key, conn, pkg.Package, time.Time{})
		if err == nil && !index.has(versionKey) && index.failed == nil {
			index, err = r.remotes.get(ctx, shape.domain.Key, conn, pkg.Package, r.now().Add(-r.o.RecheckFor))
		}
		switch {
		case err != nil:
			return "", false, err
		case index.has(versionKey):
			return fmt.Sprintf("connection %q", conn.Name), true, nil
		case index.failed != nil:
			return "", false, index.failed
		}
	}
	return "", false, nil
}

// Held finds the version rows that hold the keys in the closure of pkg's repository,
// nearest first and whatever their status, without asking connections: for copies with
// includeFromUpstream, with which package groups have nothing to do. Keys that nobody holds are not in the result. It reads within tx
// alone. Errors: NotFound "domain_not_found", "repository_not_found".
func (r *Resolver) Held(ctx context.Context, tx *catalog.Tx, pkg packhouse.PackageRef, keys []string) (map[string]catalog.VersionRow, error) {
	f, err := r.format(pkg.Package.Format)
	if err != nil {
		return nil, err
	}
	shape, err := readShape(ctx, tx, pkg.Repo.Domain)
	if err != nil {
		return nil, domainError(pkg.Repo.Domain, err)
	}
	repo, err := shape.repository(pkg.Repo)
	if err != nil {
		return nil, err
	}
	ids := shape.closure(repo)
	if !f.Spec().Upstreams {
		ids = ids[:1]
	}
	records := make(map[int64]*packhouse.Package, len(ids))
	for _, id := range ids {
		switch p, err := tx.Package(ctx, id, pkg.Package); {
		case err == nil:
			records[id] = &p
		case !errors.Is(err, catalog.ErrNotFound):
			return nil, StoreError("look for versions of "+pkg.Package.String(), err)
		}
	}
	missing := append([]string(nil), keys...)
	out := make(map[string]catalog.VersionRow, len(keys))
	for _, src := range shape.sources(repo, func(id int64) bool {
		return effectiveControls(records[id]).Upstream == packhouse.Block
	}) {
		record := records[src.repo.ID]
		if src.connection != "" || record == nil || len(missing) == 0 {
			continue
		}
		rows, err := tx.VersionsByKey(ctx, record.ID, missing)
		if err != nil {
			return nil, StoreError("look for versions of "+pkg.Package.String(), err)
		}
		missing = missing[:0]
		for _, key := range keys {
			if row, ok := rows[key]; ok {
				out[key] = row
			} else if _, ok := out[key]; !ok {
				missing = append(missing, key)
			}
		}
	}
	return out, nil
}

// holders is who holds one version.
type holders struct {
	versions map[int64]catalog.FoundAsset // by repository
	packages map[int64]packhouse.Package
}

func (h holders) closed(repoID int64) bool {
	if p, ok := h.packages[repoID]; ok {
		return effectiveControls(&p).Upstream == packhouse.Block
	}
	return effectiveControls(nil).Upstream == packhouse.Block
}

func (r *Resolver) holders(ctx context.Context, repoIDs []int64, n packhouse.PackageName, versionKey, asset string) (holders, error) {
	var h holders
	err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, packages, err := tx.ResolveAsset(ctx, repoIDs, n, versionKey, asset)
		if err != nil {
			return err
		}
		h = holders{versions: make(map[int64]catalog.FoundAsset, len(found)), packages: packages}
		for _, f := range found {
			h.versions[f.RepoID] = f
		}
		return nil
	})
	if err != nil {
		return h, StoreError(fmt.Sprintf("resolve %s of %s", versionKey, n), err)
	}
	return h, nil
}
