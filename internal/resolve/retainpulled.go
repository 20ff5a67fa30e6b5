package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
)

// unkeepable tells why a good transfer must not be kept; "" if it may be.
func (p *pull) unkeepable() string {
	switch o := p.order; {
	case o.asset.Hashes.Empty() && o.asset.Size < 0 && p.asset.Size < 0:
		return "neither a length nor a digest was declared" // R26
	case len(o.version.Assets) > 1:
		return "the version has further assets" // a revision is all of a version's assets
	}
	return ""
}

// retainPulled keeps verified bytes and records the version in the repository that has
// the connection and in those that asked, and in no other (codeartifact.md 3.2).
func (r *Resolver) retainPulled(ctx context.Context, o pullOrder, spool *vault.Staging, asked []*catalog.RepositoryRow) (err error) {
	defer contain(&err)
	domain := o.shape.domain
	asset := packhouse.Asset{Name: o.asset.Name, Digest: spool.Digest(), Size: spool.Size(), Hashes: spool.Hashes(), MediaType: o.asset.MediaType}
	facts, err := pulledFacts(ctx, o, asset, spool)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	in, err := r.intake(ctx, domain.Ref, o.name, o.holder)
	if err != nil {
		return err
	}
	var generation int64
	if err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		generation, err = tx.NextGeneration(ctx, domain.ID, asset.Digest)
		return err
	}); err != nil {
		return fmt.Errorf("next generation: %w", err)
	}
	ref, body, err := spool.KeepForRow(ctx, generation)
	if err != nil {
		return fmt.Errorf("keep blob: %w", err)
	}
	blob := catalog.BlobRow{BlobRef: ref, DomainID: domain.ID, Hashes: asset.Hashes, Body: body}
	used := false
	err = r.o.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		used, err = r.recordPulled(ctx, tx, o, in, asked, asset, facts, blob)
		return err
	})
	if errors.Is(err, catalog.ErrInDoubt) {
		return err // the object stays for the collector: when in doubt leak, never lose (R14)
	}
	if err != nil || !used {
		// It has a name that nobody else was ever given, so nobody can refer to it.
		if err := r.o.Vault.Remove(context.WithoutCancel(ctx), ref); err != nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "superfluous object left behind", slog.String("digest", ref.Digest.Hex()), slog.Any("error", err))
		}
	}
	return err
}

// pulledFacts returns what a pulled version says of itself. DisplayName is never empty.
func pulledFacts(ctx context.Context, o pullOrder, asset packhouse.Asset, content io.ReaderAt) (facts packhouse.Facts, err error) {
	facts = packhouse.Facts{Manifest: o.version.Manifest, Fragment: o.version.Fragment}
	if inspector, ok := o.format.(format.Inspector); ok {
		facts, err = inspector.Inspect(ctx, format.Upload{
			Package: o.name, DisplayName: o.name.Name, Version: o.version.Version, Manifest: o.version.Manifest,
			Files:  []format.UploadedFile{{Name: asset.Name, Size: asset.Size, Hashes: asset.Hashes, Content: content}},
			Pulled: true, PulledFragment: o.version.Fragment,
		})
	}
	if facts.DisplayName == "" {
		facts.DisplayName = o.name.Name
	}
	return facts, err
}

// recordPulled writes the version's pointers. used tells whether a row refers to the
// object that was kept for it.
func (r *Resolver) recordPulled(ctx context.Context, tx *catalog.Tx, o pullOrder, in intake, asked []*catalog.RepositoryRow,
	asset packhouse.Asset, facts packhouse.Facts, blob catalog.BlobRow) (used bool, err error) {
	domain, now := o.shape.domain, r.now().UTC()
	targets, err := r.lockTargets(ctx, tx, domain, append([]*catalog.RepositoryRow{o.holder}, asked...), o.name, facts.DisplayName, o.versionKey, in, now)
	// The repository with the connection decides: if it has the version by another way
	// since, or takes nothing any more, nobody gets this one.
	if err != nil || !slices.ContainsFunc(targets, func(t target) bool { return t.repo.ID == o.holder.ID }) {
		return false, err
	}
	row, used, err := tx.UseBlob(ctx, blob)
	if err != nil {
		return false, fmt.Errorf("use blob: %w", err)
	}
	revision := catalog.Revision{Domain: domain.Key, Format: o.name.Format, Facts: facts, Size: asset.Size,
		Name:   RevisionName(o.name, o.versionKey, []packhouse.Asset{asset}, facts.Manifest),
		Assets: []catalog.RevisionAsset{{Name: asset.Name, BlobID: row.ID, MediaType: asset.MediaType}}}
	id, err := tx.EnsureRevision(ctx, revision)
	if err != nil {
		return false, fmt.Errorf("ensure revision: %w", err)
	}
	published := o.version.Published
	if published.IsZero() {
		published = now
	}
	for _, t := range targets {
		if err := t.insert(ctx, tx, catalog.NewVersion{
			Version: o.version.Version, VersionKey: o.versionKey, RevisionID: id, Status: o.version.Status,
			Origin:    packhouse.Origin{Type: packhouse.OriginExternal, Connection: o.conn.Name},
			Published: published, Recorded: now, Overlay: o.version.Overlay,
		}, revision.Name, len(revision.Assets)); err != nil {
			return false, err
		}
	}
	return used, nil
}
