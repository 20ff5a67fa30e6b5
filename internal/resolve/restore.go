package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
)

// DamagedAsset is the answer to who asks for a file whose stored bytes are damaged
// (reliability.md R15).
func DamagedAsset(a packhouse.AssetRef, b catalog.BlobRow) error {
	return packhouse.Internal(fmt.Errorf("open %s: blob %s is quarantined since %s: %w", a, b.Digest, b.Quarantined.Format("2006-01-02 15:04:05"), vault.ErrDamaged))
}

// Restore fetches the bytes of a quarantined blob from the connection that a version got
// them from, and puts them in the place of what is stored. Bytes of another digest than the
// blob's are never taken, whatever the registry declares by now (reliability.md R15, R29).
// It asks only where an install of the version could ask too.
//
// Errors: why nothing was restored; catalog.ErrNotFound if the blob is good by now.
func (r *Resolver) Restore(ctx context.Context, b catalog.StoredBlob, use catalog.BlobUse) error {
	conn, remote, err := r.remoteOf(ctx, use)
	if err != nil {
		return err
	}
	artifact, err := r.o.Fetch.Download(ctx, conn, remote.URL)
	if err != nil {
		return err
	}
	defer func() { _ = artifact.Body.Close() }()
	spool, err := r.o.Vault.Stage(ctx, b.Key, b.Size, false)
	if err != nil {
		return StoreError("stage "+use.Asset.String(), err)
	}
	defer spool.Discard()
	if _, err := io.CopyBuffer(struct{ io.Writer }{spool}, struct{ io.Reader }{artifact.Body}, make([]byte, transferBuffer)); err != nil {
		return StoreError("transfer", err)
	}
	if err := spool.Finish(); err != nil {
		return StoreError("finish spool", err)
	}
	if spool.Digest() != b.Digest {
		return &packhouse.Error{Kind: packhouse.KindUpstream, Reason: ReasonMismatch,
			Message: fmt.Sprintf("connection %q has other bytes than those that were kept", conn.Name)}
	}
	return r.Replace(ctx, b.BlobRow, spool)
}

// remoteOf finds a file at the connection that its version came from.
func (r *Resolver) remoteOf(ctx context.Context, use catalog.BlobUse) (fetch.Connection, *format.RemoteAsset, error) {
	none := fetch.Connection{}
	f, err := r.format(use.Asset.Package.Format)
	if err != nil {
		return none, nil, err
	}
	versionKey, err := f.VersionKey(use.Asset.Version)
	if err != nil {
		return none, nil, err
	}
	shape, err := r.shape(ctx, use.Asset.Repo.Domain)
	if err != nil {
		return none, nil, err
	}
	repo, err := shape.repository(use.Asset.Repo)
	if err != nil {
		return none, nil, err
	}
	held, err := r.holders(ctx, shape.closure(repo), use.Asset.Package, versionKey, use.Asset.Asset)
	if err != nil {
		return none, nil, err
	}
	for _, src := range shape.origins(use.Asset.Package).admit(repo, shape.sources(repo, held.closed)) {
		if src.connection == "" || src.connection != use.Origin.Connection {
			continue
		}
		conn, ok := r.connection(ctx, src.connection, f)
		if !ok {
			continue
		}
		s := search{r: r, ref: use.Asset, format: f, shape: shape, repo: repo, versionKey: versionKey}
		v, err := s.atConnection(ctx, conn)
		if err != nil {
			return none, nil, err
		}
		if v != nil {
			if remote := remoteAsset(v, use.Asset.Asset); remote != nil {
				return conn, remote, nil
			}
		}
		return none, nil, assetNotFound(use.Asset)
	}
	return none, nil, fmt.Errorf("%s does not look for the package at connection %q any more", use.Asset.Repo, use.Origin.Connection)
}

// Replace keeps bytes that are those of a quarantined blob in the place of what is stored.
// The caller discards the spool. Errors: catalog.ErrNotFound if the blob is good by now;
// those of the stores.
func (r *Resolver) Replace(ctx context.Context, b catalog.BlobRow, spool *vault.Staging) error {
	var generation int64
	if err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		generation, err = tx.NextGeneration(ctx, b.DomainID, b.Digest)
		return err
	}); err != nil {
		return fmt.Errorf("next generation: %w", err)
	}
	fresh, body, err := spool.KeepForRow(ctx, generation)
	if err != nil {
		return fmt.Errorf("keep blob: %w", err)
	}
	err = r.o.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.ReplaceBlob(ctx, b, catalog.BlobRow{BlobRef: fresh, Body: body})
	})
	if errors.Is(err, catalog.ErrInDoubt) {
		return err // both objects stay for the collector: when in doubt leak, never lose (R14)
	}
	superfluous := b.BlobRef
	if err != nil {
		superfluous = fresh
	}
	if err := r.o.Vault.Remove(context.WithoutCancel(ctx), superfluous); err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "superfluous object left behind", slog.String("digest", b.Digest.Hex()), slog.Any("error", err))
	}
	return err
}
