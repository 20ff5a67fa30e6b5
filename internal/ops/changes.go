package ops

import (
	"context"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/httpx"
)

// domainChange begins a ledger row about a domain.
func (s *Service) domainChange(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, domainID int64, d packhouse.DomainRef) packhouse.Change {
	return packhouse.Change{
		At: s.now().UTC(), Principal: who.ARN, RequestID: httpx.RequestID(ctx), Door: httpx.Door(ctx), Kind: kind,
		DomainID: domainID, Domain: d, DedupID: uuid.NewString(),
	}
}

// change begins a ledger row about a repository or something in it; the caller adds
// what it is about below the repository.
func (s *Service) change(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, repo catalog.RepositoryRow) packhouse.Change {
	c := s.domainChange(ctx, who, kind, repo.DomainID, repo.Ref.Domain)
	c.RepoID, c.Repo = repo.ID, repo.Ref.Name
	return c
}

// versionChange begins a ledger row about a version: its revision and status before
// and after are the present ones until the caller says otherwise.
func (s *Service) versionChange(ctx context.Context, who packhouse.Principal, kind packhouse.ChangeKind, repo catalog.RepositoryRow, n packhouse.PackageName, v catalog.VersionRow) packhouse.Change {
	c := s.change(ctx, who, kind, repo)
	c.Package, c.Version = n, v.Ref.Version
	c.RevisionBefore, c.RevisionAfter = v.Revision, v.Revision
	c.StatusBefore, c.StatusAfter = v.Status, v.Status
	return c
}

// recordAll raises the package's count once and records the changes with it.
func (s *Service) recordAll(ctx context.Context, tx *catalog.Tx, packageID int64, changes []packhouse.Change) error {
	if len(changes) == 0 {
		return nil
	}
	seq, err := tx.BumpPackage(ctx, packageID, s.now().UTC())
	if err != nil {
		return err
	}
	for i := range changes {
		changes[i].Sequence = seq
	}
	return tx.Record(ctx, changes...)
}

// assetCounts returns how many assets versions hold, by version id, not counting those
// that lists do not show. A Disposed version holds none.
func assetCounts(ctx context.Context, tx *catalog.Tx, rows []catalog.VersionRow) (map[int64]int, error) {
	ids := make([]int64, 0, len(rows))
	for _, v := range rows {
		if v.Status != packhouse.Disposed {
			ids = append(ids, v.RevisionID)
		}
	}
	names, err := tx.AssetNames(ctx, ids)
	if err != nil {
		return nil, err
	}
	counts := make(map[int64]int, len(ids))
	for _, v := range rows {
		if v.Status != packhouse.Disposed {
			counts[v.ID] = len(names[v.RevisionID])
		}
	}
	return counts, nil
}

// deletion is the change of a version that is deleted with its assets.
func (s *Service) deletion(ctx context.Context, who packhouse.Principal, repo catalog.RepositoryRow, n packhouse.PackageName, v catalog.VersionRow, assets int) packhouse.Change {
	c := s.versionChange(ctx, who, packhouse.ChangeVersionDeleted, repo, n, v)
	c.RevisionAfter, c.StatusAfter, c.AssetsRemoved = "", packhouse.Deleted, assets
	return c
}
