package resolve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// effectiveControls is the one place that says what may enter a package in a
// repository; record is nil where the repository has no record of the package. The
// modes of package groups are to be ANDed in here.
// Source: codeartifact.md 3.6 step 3, 3.7.
func effectiveControls(record *packhouse.Package) packhouse.OriginControls {
	if record == nil {
		return packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}
	}
	return record.Controls
}

// retainedControls are those of a package record that a pull makes.
// Source: codeartifact.md 3.2, 3.7 (defaults); groups that are not all ALLOW will make
// both ALLOW here.
func retainedControls() packhouse.OriginControls {
	return packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}
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
	held, err := r.holders(ctx, shape.closure(repo), pkg.Package, versionKey, "")
	if err != nil {
		return "", false, err
	}
	for _, src := range shape.sources(repo, held.closed) {
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
// includeFromUpstream. Keys that nobody holds are not in the result. It reads within tx
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
