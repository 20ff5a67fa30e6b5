package resolve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// target is a package record, locked, that is about to get a version.
type target struct {
	domain catalog.DomainRow
	repo   *catalog.RepositoryRow
	record packhouse.Package
	name   packhouse.PackageName
	first  packhouse.OriginControls // of a record that is made
	now    time.Time
}

// lockTargets locks the package's record in each of the repositories, making those that
// are missing, in the order of repositories so that two retentions never wait for each
// other. Left out are repositories that have the version by now, closed the package to
// upstreams, may not take it in, or are gone.
func (r *Resolver) lockTargets(ctx context.Context, tx *catalog.Tx, domain catalog.DomainRow, repos []*catalog.RepositoryRow,
	n packhouse.PackageName, display, versionKey string, in intake, now time.Time) ([]target, error) {
	byID := make(map[int64]*catalog.RepositoryRow, len(repos))
	ids := make([]int64, 0, len(repos))
	for _, repo := range repos {
		byID[repo.ID] = repo
		ids = append(ids, repo.ID)
	}
	receivers, err := tx.Receivers(ctx, ids, n, versionKey)
	if err != nil {
		return nil, err
	}
	targets := make([]target, 0, len(receivers))
	for _, receiver := range receivers {
		if receiver.Has || !in.allows(receiver.RepoID) {
			continue
		}
		t := target{domain: domain, repo: byID[receiver.RepoID], name: n, first: in.retained(), now: now}
		err := catalog.ErrNotFound
		if receiver.PackageID != 0 {
			t.record, err = tx.LockPackage(ctx, receiver.RepoID, n)
		}
		if errors.Is(err, catalog.ErrNotFound) {
			err = t.create(ctx, tx, display)
		}
		if err != nil {
			return nil, fmt.Errorf("package record: %w", err)
		}
		if effectiveControls(&t.record).Upstream == packhouse.Allow {
			targets = append(targets, t)
		}
	}
	return targets, nil
}

// create makes the package record (codeartifact.md 3.2, 3.7).
func (t *target) create(ctx context.Context, tx *catalog.Tx, display string) (err error) {
	t.record, err = tx.InsertPackage(ctx, catalog.NewPackage{
		RepoID: t.repo.ID, DomainID: t.domain.ID, Name: t.name, DisplayName: display,
		CollisionKey: t.name.Namespace + "/" + t.name.Name, Controls: t.first, At: t.now,
	})
	if err != nil {
		return err
	}
	c := t.change(packhouse.ChangePackageCreated)
	c.Sequence = t.record.Seq
	return tx.Record(ctx, c)
}

// insert writes the version and its change; revision is the name of the row's revision,
// assets how many it holds.
// A version that came in since the record was looked at stays.
func (t *target) insert(ctx context.Context, tx *catalog.Tx, v catalog.NewVersion, revision string, assets int) error {
	v.PackageID = t.record.ID
	if _, err := tx.InsertVersion(ctx, v); errors.Is(err, catalog.ErrExists) {
		return nil
	} else if err != nil {
		return fmt.Errorf("insert version: %w", err)
	}
	seq, err := tx.BumpPackage(ctx, t.record.ID, t.now)
	if err != nil {
		return fmt.Errorf("bump package: %w", err)
	}
	c := t.change(packhouse.ChangeVersionRetained)
	c.Version, c.RevisionAfter, c.StatusAfter, c.Sequence = v.Version, revision, v.Status, seq
	c.AssetsAdded, c.MetadataUpdated = assets, true
	return tx.Record(ctx, c)
}

// change is a change that the server itself makes to the package.
func (t *target) change(kind packhouse.ChangeKind) packhouse.Change {
	return packhouse.Change{At: t.now, Kind: kind, DomainID: t.domain.ID, RepoID: t.repo.ID, Domain: t.domain.Ref, Repo: t.repo.Ref.Name,
		Package: t.name, DedupID: uuid.NewString()}
}

// retainPointer records in repo a version that another repository of the domain holds:
// a pointer at the same revision, so no byte moves. Whoever asks at the same time shares
// one transaction. Source: codeartifact.md 3.2.
func (r *Resolver) retainPointer(ctx context.Context, shape *domainShape, repo *catalog.RepositoryRow, n packhouse.PackageName, display string, from catalog.VersionRow) error {
	key := fmt.Sprintf("%d\x00%s\x00%s\x00%s\x00%s", repo.ID, n.Format, n.Namespace, n.Name, from.VersionKey)
	_, err, _ := r.retains.Do(key, func() (any, error) {
		// One client's leaving must not undo it for the others.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retainTime)
		defer cancel()
		in, err := r.intake(ctx, shape.domain.Ref, n, nil)
		if err != nil {
			return nil, err
		}
		return nil, r.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			// The source again, as it is now: it may have been archived or deleted since.
			source, err := tx.Version(ctx, from.PackageID, from.VersionKey)
			if errors.Is(err, catalog.ErrNotFound) || err == nil && !source.Status.Downloadable() {
				return nil
			}
			if err != nil {
				return err
			}
			now := r.now().UTC()
			targets, err := r.lockTargets(ctx, tx, shape.domain, []*catalog.RepositoryRow{repo}, n, display, from.VersionKey, in, now)
			if err != nil || len(targets) == 0 {
				return err
			}
			names, err := tx.AssetNames(ctx, []int64{source.RevisionID})
			if err != nil {
				return err
			}
			return targets[0].insert(ctx, tx, catalog.NewVersion{
				Version: source.Ref.Version, VersionKey: source.VersionKey, RevisionID: source.RevisionID, Status: source.Status,
				Origin: source.Origin, Published: source.Published, Recorded: now, Overlay: source.Overlay,
			}, source.Revision, len(names[source.RevisionID]))
		})
	})
	return err
}

// retainTime bounds the transaction that retains a pointer (reliability.md A8).
const retainTime = 10 * time.Second
