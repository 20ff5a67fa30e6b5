package resolve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

const (
	// besideBytes bounds the documents beside indexes that are kept in memory, and
	// maxBeside one of them; larger ones are no good answer.
	besideBytes = 4 << 20
	maxBeside   = 4 << 20
)

// besideDocument is what is known of a document at a connection. It is shared and never
// changes.
type besideDocument struct {
	row     catalog.RemoteRow
	retryAt time.Time // not asked again before, because the connection just failed
}

// besides keeps the documents that registries have beside their indexes: few in memory,
// all of them as sealed rows among those of the indexes (reliability.md R29).
type besides struct {
	r       *Resolver
	memory  *cache.Cache[remoteKey, *besideDocument]
	flights singleflight.Group
}

func newBesides(r *Resolver) *besides {
	return &besides{r: r, memory: cache.NewWeighted(besideBytes, func(_ remoteKey, d *besideDocument) int64 {
		return int64(absentWeight + len(d.row.Body))
	})}
}

// besideName is the name of a document's row. No package's name begins with a slash.
func besideName(f packhouse.FormatID, path string) packhouse.PackageName {
	return packhouse.PackageName{Format: f, Name: "/" + path}
}

// get returns a document; its body is nil when the registry does not have it. ask false
// takes what is kept. Errors: NotFound "document_not_found" when nothing is kept and ask
// is false; Upstream kinds.
func (b *besides) get(ctx context.Context, domain packhouse.KeyRef, conn fetch.Connection, d format.Document, ask bool) (*besideDocument, error) {
	k := b.r.remotes.key(domain.DomainID, conn, besideName(d.Format, d.Path))
	if kept, ok := b.memory.Get(k); ok && b.usable(kept, d.Lasting, ask) {
		return kept, nil
	}
	flight := b.flights.DoChan(fmt.Sprint(ask, " ", k), func() (any, error) {
		ctx, end, err := b.r.detach(ctx, refreshTime)
		if err != nil {
			return nil, err
		}
		defer end()
		return b.load(ctx, k, domain, conn, d, ask)
	})
	select {
	case res := <-flight:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*besideDocument), nil
	case <-ctx.Done():
		return nil, notWaited(ctx, conn)
	}
}

// usable reports whether a document need not be asked for again.
func (b *besides) usable(d *besideDocument, lasting, ask bool) bool {
	now := b.r.now()
	has := len(d.row.Body) > 0
	switch {
	case has && (lasting || !ask):
		return true
	case now.Before(d.retryAt) && !d.retryAt.After(now.Add(failureFor)):
		return true
	}
	// A clock that was set back must not make anything last longer (R25).
	return now.Before(d.row.FreshUntil) && !d.row.FreshUntil.After(now.Add(max(b.r.o.FreshFor, b.r.o.AbsentFor)))
}

// load is what one flight does.
func (b *besides) load(ctx context.Context, k remoteKey, domain packhouse.KeyRef, conn fetch.Connection, d format.Document, ask bool) (_ *besideDocument, err error) {
	defer contain(&err)
	kept, err := b.stored(ctx, k, domain)
	if err != nil {
		return nil, err
	}
	if kept != nil && b.usable(kept, d.Lasting, ask) {
		b.memory.Set(k, kept)
		return kept, nil
	}
	if !ask {
		return nil, documentNotFound(d)
	}
	fresh, err := b.refresh(ctx, k, domain, conn, d, kept)
	if err == nil {
		b.memory.Set(k, fresh)
		return fresh, nil
	}
	now := b.r.now()
	if kept == nil || len(kept.row.Body) == 0 || now.Sub(kept.row.Fetched) > b.r.o.StaleFor {
		return nil, err
	}
	b.r.log.LogAttrs(ctx, slog.LevelWarn, "upstream document stale, using kept copy", slog.String("upstream", conn.Name),
		slog.String("document", d.Path), slog.Duration("age", now.Sub(kept.row.Fetched)), slog.Any("error", err))
	stale := &besideDocument{row: kept.row, retryAt: now.Add(failureFor)}
	b.memory.Set(k, stale)
	return stale, nil
}

// stored reads the row of a document; nil if there is none.
func (b *besides) stored(ctx context.Context, k remoteKey, domain packhouse.KeyRef) (*besideDocument, error) {
	row, err := b.r.remotes.unwritten.stored(ctx, domain, k)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil
	}
	return &besideDocument{row: row}, StoreError("read kept document "+k.name.Name+" of "+k.connection, err)
}

// refresh asks the registry and keeps the answer.
func (b *besides) refresh(ctx context.Context, k remoteKey, domain packhouse.KeyRef, conn fetch.Connection, d format.Document, kept *besideDocument) (*besideDocument, error) {
	var prior format.Validators
	if kept != nil && len(kept.row.Body) > 0 {
		prior = format.Validators{ETag: kept.row.ETag, LastModified: kept.row.LastModified}
	}
	answer, err := b.r.o.Fetch.Get(ctx, conn, d.Path, http.Header{"Accept": {"application/json"}}, prior)
	now := b.r.now()
	row := catalog.RemoteRow{DomainID: k.domain, Connection: k.connection, CredentialID: k.credential, Name: k.name,
		Fetched: now, FreshUntil: now.Add(b.r.o.FreshFor)}
	switch {
	case errors.Is(err, format.ErrNotModified):
		if kept == nil || len(kept.row.Body) == 0 {
			return nil, badIndex(conn, "answered that nothing changed, but nothing was kept", nil)
		}
		renewed := &besideDocument{row: kept.row}
		renewed.row.Fetched, renewed.row.FreshUntil = row.Fetched, row.FreshUntil
		b.r.remotes.unwritten.touch(ctx, domain, k, renewed.row)
		return renewed, nil
	case err != nil && packhouse.KindOf(err) == packhouse.KindNotFound:
		row.Absent, row.FreshUntil = true, now.Add(b.r.o.AbsentFor)
	case err != nil:
		return nil, err
	case len(answer.Body) > maxBeside || !json.Valid(answer.Body):
		return nil, badIndex(conn, "sent a document that cannot be read", nil)
	default:
		name := sha256.Sum256(answer.Body)
		row.Body, row.BodyName = answer.Body, hex.EncodeToString(name[:])
		row.ETag, row.LastModified = answer.Validators.ETag, answer.Validators.LastModified
	}
	b.r.remotes.unwritten.put(ctx, domain, k, row)
	return &besideDocument{row: row}, nil
}

func documentNotFound(d format.Document) error {
	e := packhouse.NotFoundf("document", d.Path, "no registry behind repository %s has %s", d.Repo.Name, d.Path)
	e.Reason = "document_not_found"
	return e
}

// Beside returns a document that registries keep beside their indexes; see format.Relay.
func (r *Resolver) Beside(ctx context.Context, d format.Document) ([]format.Response, error) {
	f, err := r.format(d.Format)
	if err != nil {
		return nil, err
	}
	shape, err := r.shape(ctx, d.Repo.Domain)
	if err != nil {
		return nil, err
	}
	repo, err := shape.repository(d.Repo)
	if err != nil {
		return nil, err
	}
	names := shape.connections(repo)
	ask := func(string) bool { return true }
	if d.Version != "" {
		origin, reached, err := r.originOf(ctx, f, shape, repo, d)
		if err != nil {
			return nil, err
		}
		names, ask = []string{origin}, func(string) bool { return reached }
	}
	var out []format.Response
	var failed error
	for _, name := range names {
		conn, ok := r.connection(ctx, name, f)
		if !ok || conn.URL == "" && ask(name) && d.Version == "" {
			continue // without an address it has nothing to offer
		}
		document, err := r.besides.get(ctx, shape.domain.Key, conn, d, ask(name))
		switch {
		case err == nil && len(document.row.Body) > 0:
			out = append(out, format.Response{Body: document.row.Body,
				Validators: format.Validators{ETag: document.row.ETag, LastModified: document.row.LastModified}})
		case err != nil && packhouse.KindOf(err) != packhouse.KindNotFound && failed == nil:
			failed = err
		}
	}
	switch {
	case failed != nil && (d.Whole || len(out) == 0):
		return nil, failed
	case len(out) > 0:
		return out, nil
	}
	return nil, documentNotFound(d)
}

// originOf finds the connection that a version comes from. reached tells whether the
// package may still be asked for there. Errors: NotFound "document_not_found" when the
// version was published in the domain, or is nowhere.
func (r *Resolver) originOf(ctx context.Context, f format.Format, shape *domainShape, repo *catalog.RepositoryRow, d format.Document) (connection string, reached bool, err error) {
	versionKey, err := f.VersionKey(d.Version)
	if err != nil {
		return "", false, err
	}
	if err := r.settlePackage(ctx, shape.domain.ID, d.Package, versionKey); err != nil {
		return "", false, err
	}
	held, err := r.holders(ctx, shape.closure(repo), d.Package, versionKey, "")
	if err != nil {
		return "", false, err
	}
	sources := shape.origins(d.Package).admit(repo, shape.sources(repo, held.closed))
	for _, src := range sources {
		if src.connection == "" {
			found, ok := held.versions[src.repo.ID]
			if !ok {
				continue
			}
			if from := found.Version.Origin; from.Type == packhouse.OriginExternal && found.Version.Status.Downloadable() {
				return from.Connection, reaches(sources, from.Connection), nil
			}
			return "", false, documentNotFound(d)
		}
		conn, ok := r.connection(ctx, src.connection, f)
		if !ok || conn.URL == "" {
			continue
		}
		index, err := r.remotes.get(ctx, shape.domain.Key, conn, d.Package, time.Time{})
		if err != nil {
			return "", false, err
		}
		if index.has(versionKey) && r.sieve(shape, src, f, d.Package).refusal(index, versionKey) == nil {
			return conn.Name, true, nil
		}
	}
	return "", false, documentNotFound(d)
}
