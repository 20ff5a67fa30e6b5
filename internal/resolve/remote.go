package resolve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
)

// remoteIndex is what is known of a package at a connection. It is shared and never
// changes.
type remoteIndex struct {
	row      catalog.RemoteRow   // without Body
	packed   []byte              // the kept document while it has not been read
	index    *format.RemoteIndex // nil when the registry does not have the package, and while packed
	order    []int               // of index.Versions that count, by Format.Compare
	keys     []string            // of index.Versions; "" where the version is unusable or a repetition
	versions map[string]int      // by key
	weight   int
	mark     feed.Mark // taken before the row was read
	retryAt  time.Time // not asked again before
	failed   error     // why a stale index stands in; nil otherwise
}

// has reports whether the registry has the version.
func (i *remoteIndex) has(versionKey string) bool {
	_, ok := i.versions[versionKey]
	return ok
}

// version returns a version of the registry.
func (i *remoteIndex) version(versionKey string) (*format.RemoteVersion, bool) {
	at, ok := i.versions[versionKey]
	if !ok {
		return nil, false
	}
	return &i.index.Versions[at], true
}

// remoteKey names a remote index. Domain and credential are in it, so that what one
// tenant or credential may see is never shown to another (reliability.md S19).
type remoteKey struct {
	domain                 int64
	connection, credential string
	name                   packhouse.PackageName
}

func (k remoteKey) String() string {
	return fmt.Sprintf("%d\x00%s\x00%s\x00%s\x00%s\x00%s", k.domain, k.connection, k.credential, k.name.Format, k.name.Namespace, k.name.Name)
}

// remoteIndexes keeps the indexes of connections: read ones in bounded memory, all of
// them as sealed rows (reliability.md R29).
type remoteIndexes struct {
	r         *Resolver
	unwritten *unwritten
	memory    *cache.Cache[remoteKey, *remoteIndex]
	budget    *semaphore.Weighted // bytes of large documents; see flight.go
	encoder   func() (*zstd.Encoder, error)
	decoder   func() (*zstd.Decoder, error)
	ids       sync.Map // connection name to credential id, which is costly

	mu      sync.Mutex
	flights map[remoteKey]*indexFlight
	behind  map[remoteKey]bool // refreshes that nobody waits for
}

func newRemoteIndexes(r *Resolver) *remoteIndexes {
	return &remoteIndexes{
		r: r, unwritten: &unwritten{r: r, rows: map[remoteKey]*unwrittenRow{}},
		memory: cache.NewWeighted(int64(r.o.IndexBytes), func(_ remoteKey, i *remoteIndex) int64 { return int64(i.weight) }),
		budget: semaphore.NewWeighted(budgetBytes), flights: map[remoteKey]*indexFlight{}, behind: map[remoteKey]bool{},
		encoder: sync.OnceValues(func() (*zstd.Encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		}),
		decoder: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxIndexBytes+1))
		}),
	}
}

// connection returns the connection of a name if it is one of the format's.
func (r *Resolver) connection(ctx context.Context, name string, f format.Format) (fetch.Connection, bool) {
	puller, ok := f.(format.Puller)
	if !ok {
		return fetch.Connection{}, false
	}
	id := f.Spec().ID
	c, written := r.o.Connections[name]
	if !written {
		c.Format = id
		if !slices.ContainsFunc(puller.Connections(), func(p format.PublicConnection) bool { return p.Name == name }) {
			return fetch.Connection{}, false
		}
	}
	c.Name = name
	if c.URL == "" && r.o.Address != nil {
		c.URL = r.o.Address(ctx, name)
	}
	return c, c.Format == id
}

func (c *remoteIndexes) key(domainID int64, conn fetch.Connection, n packhouse.PackageName) remoteKey {
	id, ok := c.ids.Load(conn.Name)
	if !ok {
		id, _ = c.ids.LoadOrStore(conn.Name, conn.CredentialID())
	}
	return remoteKey{domainID, conn.Name, id.(string), n}
}

// get returns the index of a package at a connection: from memory or its row while
// fresh, else asked for again. since, where not zero, asks again even while it is fresh,
// unless that was done after since. When the upstream fails and a kept index may stand
// in, that is returned with failed set. The caller looks something up in it and lets go
// of it. Errors: Upstream kinds. A package that the registry does not have is an index
// without versions.
func (c *remoteIndexes) get(ctx context.Context, domain packhouse.KeyRef, conn fetch.Connection, n packhouse.PackageName, since time.Time) (*remoteIndex, error) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	return c.hold(ctx, domain, conn, n, since)
}

// hold is get for a caller who keeps the index until ctx ends: for so long a large one
// counts against the memory for all of them.
func (c *remoteIndexes) hold(ctx context.Context, domain packhouse.KeyRef, conn fetch.Connection, n packhouse.PackageName, since time.Time) (*remoteIndex, error) {
	k := c.key(domain.DomainID, conn, n)
	if i, ok := c.memory.Get(k); ok && c.r.o.Clock.Holds(i.mark) && c.usable(i, since) {
		return i, nil
	}
	// One refresh for all who wait; it is detached from the first one's context and
	// bounded by a time of its own, and each waiter goes when its own context ends. A
	// flight that others began may have found fresh enough what is too old for since: the
	// next one that is joined began after this call.
	for joined := false; ; joined = true {
		f, mine, err := c.join(ctx, k, func(ctx context.Context, f *indexFlight) (*remoteIndex, error) {
			return c.load(ctx, f, k, domain, conn, since)
		})
		if err != nil {
			return nil, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			c.leave(f)
			return nil, notWaited(ctx, conn)
		}
		if f.err == nil && (joined || mine || c.usable(f.index, since)) {
			c.leaveAfter(ctx, f)
			return f.index, nil
		}
		c.leave(f)
		if f.err != nil {
			return nil, f.err
		}
	}
}

// usable reports whether an index need not be asked for again.
func (c *remoteIndexes) usable(i *remoteIndex, since time.Time) bool {
	now := c.r.now()
	// A clock that was set back must not make anything last longer (R25).
	if now.Before(i.retryAt) && !i.retryAt.After(now.Add(failureFor)) {
		return true
	}
	fresh := i.failed == nil && now.Before(i.row.FreshUntil) && !i.row.FreshUntil.After(now.Add(max(c.r.o.FreshFor, c.r.o.AbsentFor)))
	if since.IsZero() || i.row.Absent {
		return fresh
	}
	return fresh && i.row.Fetched.After(since)
}

// load is what one flight does.
func (c *remoteIndexes) load(ctx context.Context, f *indexFlight, k remoteKey, domain packhouse.KeyRef, conn fetch.Connection, since time.Time) (_ *remoteIndex, err error) {
	defer contain(&err)
	kept, ok := c.memory.Get(k)
	if !ok || !c.r.o.Clock.Holds(kept.mark) {
		if kept, err = c.stored(ctx, k, domain); err != nil {
			return nil, err
		}
	}
	if kept != nil && !f.behind && c.usable(kept, since) {
		if kept, err = c.unpack(ctx, f, k, kept); err != nil {
			return nil, err
		}
		if kept != nil {
			c.memory.Set(k, kept)
			return kept, nil
		}
	}
	if kept != nil && since.IsZero() && !f.behind && c.tolerable(kept) {
		if kept, err = c.unpack(ctx, f, k, kept); err != nil {
			return nil, err
		}
		if kept != nil {
			return c.tolerate(ctx, k, domain, conn, kept), nil
		}
	}
	fresh, err := c.refresh(ctx, f, k, domain, conn, kept)
	if err == nil {
		c.memory.Set(k, fresh)
		return fresh, nil
	}
	now := c.r.now()
	if kept == nil || kept.row.Absent || now.Sub(kept.row.Fetched) > c.r.o.StaleFor {
		return nil, err
	}
	failed := err
	if kept, err = c.unpack(ctx, f, k, kept); kept == nil {
		return nil, errors.Join(failed, err)
	}
	c.r.log.LogAttrs(ctx, slog.LevelWarn, "upstream index stale, using kept copy", slog.String("upstream", conn.Name),
		slog.String("package", k.name.String()), slog.Duration("age", now.Sub(kept.row.Fetched)), slog.Any("error", failed))
	stale := *kept
	stale.failed, stale.retryAt = failed, now.Add(failureFor)
	c.memory.Set(k, &stale)
	return &stale, nil
}

// stored reads the row of an index; nil if there is none.
func (c *remoteIndexes) stored(ctx context.Context, k remoteKey, domain packhouse.KeyRef) (*remoteIndex, error) {
	mark := c.r.o.Clock.Remote(k.domain, k.connection, k.name)
	row, err := c.unwritten.stored(ctx, domain, k)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, StoreError(fmt.Sprintf("read kept index of %s at %s", k.name, k.connection), err)
	}
	i := &remoteIndex{row: row, packed: row.Body, mark: mark, weight: absentWeight}
	i.row.Body = nil
	return i, nil
}

// unpack returns an index with its document read, itself where it is already. A row that
// an older release wrote in another encoding is no reason to fail: it yields nil, and the
// registry is asked again. Errors: those of waiting for memory.
func (c *remoteIndexes) unpack(ctx context.Context, f *indexFlight, k remoteKey, i *remoteIndex) (*remoteIndex, error) {
	if i.index != nil || i.row.Absent {
		return i, nil
	}
	var header zstd.Header
	if err := header.Decode(i.packed); err == nil && header.HasFCS && header.FrameContentSize <= maxIndexBytes {
		if err := f.admit(ctx, int64(header.FrameContentSize)); err != nil {
			return nil, err
		}
	}
	decoder, err := c.decoder()
	if err != nil {
		return nil, packhouse.Internal(err)
	}
	body, err := decoder.DecodeAll(i.packed, nil)
	if err == nil {
		var read *remoteIndex
		if read, err = c.read(k, body); err == nil {
			read.row, read.mark = i.row, i.mark
			return read, nil
		}
	}
	c.r.log.LogAttrs(ctx, slog.LevelWarn, "kept upstream index unreadable", slog.String("upstream", k.connection),
		slog.String("package", k.name.String()), slog.Any("error", err))
	return nil, nil
}

// What a read index costs in memory besides its body, roughly: as a whole, and for each
// version.
const (
	absentWeight  = 512
	versionWeight = 640
)

// read reads an index document.
func (c *remoteIndexes) read(k remoteKey, body []byte) (_ *remoteIndex, err error) {
	defer contain(&err) // what cannot be read must not stand in the way of a better answer
	f, err := c.r.format(k.name.Format)
	if err != nil {
		return nil, err
	}
	index, err := f.(format.Puller).ReadIndex(k.name, body)
	if err != nil {
		return nil, err
	}
	i := &remoteIndex{index: index, keys: make([]string, len(index.Versions)), versions: make(map[string]int, len(index.Versions)),
		order: make([]int, 0, len(index.Versions)), weight: absentWeight + len(body) + versionWeight*len(index.Versions)}
	for at := range index.Versions {
		v := &index.Versions[at]
		key, err := f.VersionKey(v.Version)
		if err != nil {
			continue // a version that nobody could ask for
		}
		if _, repeated := i.versions[key]; repeated {
			continue
		}
		if v.Status == "" {
			v.Status = packhouse.Published
		}
		i.keys[at], i.versions[key] = key, at
		i.order = append(i.order, at)
	}
	slices.SortFunc(i.order, func(a, b int) int { return f.Compare(index.Versions[a].Version, index.Versions[b].Version) })
	return i, nil
}
