package resolve

import (
	"context"
	"log/slog"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// tellChanged records in the ledger that a registry now declares other bytes for versions
// that were pulled from it. What was pulled stays as it is (reliability.md R29). A change
// that the index before had already is not told again.
func (c *remoteIndexes) tellChanged(ctx context.Context, f *indexFlight, k remoteKey, fresh, before *remoteIndex) {
	var changed []catalog.PulledAsset
	repos := map[int64]*catalog.RepositoryRow{}
	err := c.r.o.Catalog.View(ctx, func(tx *catalog.Tx) error {
		changed = nil
		rows, err := tx.Graph(ctx, k.domain)
		if err != nil {
			return err
		}
		ids := make([]int64, len(rows))
		for i := range rows {
			ids[i], repos[rows[i].ID] = rows[i].ID, &rows[i]
		}
		pulled, err := tx.PulledAssets(ctx, ids, k.name, k.connection)
		for _, a := range pulled {
			if fresh.declaresOther(a) {
				changed = append(changed, a)
			}
		}
		return err
	})
	if err == nil && len(changed) > 0 {
		if before, err = c.unpack(ctx, f, k, before); err == nil {
			err = c.recordChanged(ctx, k, repos, changed, before)
		}
	}
	if err != nil {
		c.r.log.LogAttrs(ctx, slog.LevelWarn, "changes at an upstream not recorded", slog.String("upstream", k.connection),
			slog.String("package", k.name.String()), slog.Any("error", err))
	}
}

// declaresOther reports whether the registry declares another digest for an asset than
// its bytes have.
func (i *remoteIndex) declaresOther(a catalog.PulledAsset) bool {
	v, ok := i.version(a.VersionKey)
	if !ok {
		return false
	}
	declared := remoteAsset(v, a.Name)
	return declared != nil && a.Hashes.Mismatch(declared.Hashes) != ""
}

func (c *remoteIndexes) recordChanged(ctx context.Context, k remoteKey, repos map[int64]*catalog.RepositoryRow, changed []catalog.PulledAsset, before *remoteIndex) error {
	return c.r.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, a := range changed {
			if before != nil && before.index != nil && before.declaresOther(a) {
				continue
			}
			repo := repos[a.RepoID]
			c.r.log.LogAttrs(ctx, slog.LevelWarn, "upstream offers other bytes for a version that is kept; the kept ones stay",
				slog.String("upstream", k.connection), slog.String("repo", repo.Ref.String()), slog.String("package", k.name.String()), slog.String("version", a.Version))
			if err := tx.Record(ctx, packhouse.Change{At: c.r.now().UTC(), Kind: packhouse.ChangeUpstreamChanged, DomainID: k.domain, RepoID: a.RepoID,
				Domain: repo.Ref.Domain, Repo: repo.Ref.Name, Package: k.name, Version: a.Version, DedupID: uuid.NewString(), Detail: k.connection}); err != nil {
				return err
			}
		}
		return nil
	})
}
