package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/vault"
)

const (
	// pullTime bounds a pull as a whole: the longest transfer (reliability.md A8) and
	// what comes after it.
	pullTime = 35 * time.Minute
	// defaultMaxAsset bounds an asset of a format that names no limit (A8).
	defaultMaxAsset = 5 << 30
	// ReasonMismatch is the reason of the error that readers get when a registry's bytes
	// are not those that it declared.
	ReasonMismatch = "upstream_digest_mismatch"
)

// pullKey names an object that is fetched once, however many wait for it
// (reliability.md R28).
type pullKey struct {
	remote         remoteKey
	version, asset string // version's key
}

// pullOrder is what to pull, and for whom.
type pullOrder struct {
	shape      *domainShape
	holder     *catalog.RepositoryRow // has the connection
	asked      *catalog.RepositoryRow
	conn       fetch.Connection
	format     format.Format
	name       packhouse.PackageName
	versionKey string
	version    *format.RemoteVersion
	asset      *format.RemoteAsset
	looked     feed.Mark // of holder's package, from before the version was looked for
}

func (o pullOrder) LogValue() slog.Value {
	return slog.GroupValue(slog.String("upstream", o.conn.Name), slog.String("package", o.name.String()),
		slog.String("version", o.version.Version), slog.String("asset", o.asset.Name))
}

// pull is one transfer from a connection. Its goroutine, which Close waits for, leads: it
// writes the spool, and all clients, the first one included, follow it.
type pull struct {
	order pullOrder
	// ready is closed by the leader when asset and spool, or err, are set.
	ready chan struct{}
	asset packhouse.Asset
	spool *vault.Staging
	err   error
	// done is closed by the leader when the version is retained, or never will be.
	done chan struct{}

	// Guarded by Resolver.mu.
	asked  map[int64]*catalog.RepositoryRow // repositories that wait; they get the version
	sealed bool                             // nobody may join any more

	joining sync.WaitGroup // clients that joined and do not follow yet; the spool waits for them
}

// joinPull joins the running pull of an asset or starts one. It returns nil when a pull
// that could not be joined any more has just ended: then the asset is to be looked for
// again.
func (r *Resolver) joinPull(ctx context.Context, o pullOrder) (*pull, error) {
	k := pullKey{r.remotes.key(o.shape.domain.ID, o.conn, o.name), o.versionKey, o.asset.Name}
	r.mu.Lock()
	p, running := r.pulls[k]
	switch {
	case running && p.sealed:
		r.mu.Unlock()
		select {
		case <-p.done:
			return nil, nil
		case <-ctx.Done():
			return nil, notWaited(ctx, o.conn)
		}
	case !running:
		if r.o.Busy != nil {
			if err := r.o.Busy(); err != nil {
				r.mu.Unlock()
				return nil, err
			}
		}
		ctx, end, err := r.detachLocked(ctx, pullTime)
		if err != nil {
			r.mu.Unlock()
			return nil, err
		}
		p = &pull{order: o, ready: make(chan struct{}), done: make(chan struct{}), asked: map[int64]*catalog.RepositoryRow{}}
		r.pulls[k] = p
		go func() {
			defer end()
			r.lead(ctx, k, p)
		}()
	}
	p.asked[o.asked.ID] = o.asked
	p.joining.Add(1)
	r.mu.Unlock()
	return p, nil
}

// follow waits until the transfer has begun and returns a reader of it. It must be
// called once per join.
func (p *pull) follow(ctx context.Context) (packhouse.Asset, io.ReadCloser, error) {
	defer p.joining.Done()
	select {
	case <-p.ready:
	case <-ctx.Done():
		return packhouse.Asset{}, nil, notWaited(ctx, p.order.conn)
	}
	if p.err != nil {
		return packhouse.Asset{}, nil, p.err
	}
	return p.asset, p.spool.Follow(ctx), nil
}

// lead is the pull's own goroutine: transfer, verify, let go of the last bytes (R26, R27),
// retain.
func (r *Resolver) lead(ctx context.Context, k pullKey, p *pull) {
	defer close(p.done)
	defer r.forget(k, p)
	spool, body, err := r.begin(ctx, p)
	if err != nil {
		r.seal(p)
		r.forget(k, p) // before anybody hears of it, so that who asks again starts anew
		p.err = err
		close(p.ready)
		return
	}
	p.spool = spool
	close(p.ready)
	defer func() {
		p.joining.Wait()
		spool.Discard() // those that follow settled bytes read on
	}()

	if err = transfer(p, spool, body); err == nil {
		err = r.refuseBytes(ctx, p.order, spool.Digest())
	}
	repos := r.seal(p)
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "pull failed", slog.Any("pull", p.order), slog.Any("error", err))
		r.forget(k, p)
		spool.Fail(err)
		return
	}
	if why := p.unkeepable(); why != "" {
		r.log.LogAttrs(ctx, slog.LevelWarn, "pulled version not kept", slog.Any("pull", p.order), slog.String("reason", why))
		spool.Settle()
		return
	}
	// The bytes are what the registry declares: the clients get them now, and even if they
	// cannot be kept. Who looks for the version from here on waits for its record.
	o := p.order
	behind := r.behind.begin(o.shape.domain.ID, o.name, o.versionKey)
	defer r.behind.end(behind)
	if behind != nil {
		spool.Settle()
	}
	if err := r.retainPulled(ctx, o, spool, repos); err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errPanicked) {
			level = slog.LevelError
		}
		r.log.LogAttrs(ctx, level, "pulled version not retained", slog.Any("pull", o), slog.Any("error", err))
	}
	spool.Settle()
}

// seal closes the pull to newcomers and returns the repositories that waited.
func (r *Resolver) seal(p *pull) []*catalog.RepositoryRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.sealed = true
	repos := make([]*catalog.RepositoryRow, 0, len(p.asked))
	for _, repo := range p.asked {
		repos = append(repos, repo)
	}
	return repos
}

// forget takes the pull out of the table.
func (r *Resolver) forget(k pullKey, p *pull) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulls[k] == p {
		delete(r.pulls, k)
	}
}

// errRecorded ends a pull of a version that another pull has recorded since its client
// looked for it.
var errRecorded = errors.New("the version has been recorded")

// recorded returns errRecorded if the repository with the connection has the version by
// now: its pull may have ended between a client's look and its joining (R28).
func (r *Resolver) recorded(ctx context.Context, o pullOrder) error {
	if r.o.Clock.Holds(o.looked) {
		return nil
	}
	held, err := r.holders(ctx, []int64{o.holder.ID}, o.name, o.versionKey, o.asset.Name)
	if _, ok := held.versions[o.holder.ID]; err == nil && ok {
		return errRecorded
	}
	return err
}

// begin opens spool and transfer and fills in what clients are told first.
func (r *Resolver) begin(ctx context.Context, p *pull) (spool *vault.Staging, body io.ReadCloser, err error) {
	defer contain(&err)
	o := p.order
	if err := r.recorded(ctx, o); err != nil {
		return nil, nil, err
	}
	limit := o.format.Spec().MaxAsset
	if limit == 0 {
		limit = defaultMaxAsset
	}
	// The file is made while the registry is asked. MD5 is costly and asked for seldom, so
	// only one that is declared is computed now.
	staged := make(chan struct{})
	var unstaged error
	go func() {
		defer close(staged)
		defer contain(&unstaged)
		spool, unstaged = r.o.Vault.Stage(ctx, o.shape.domain.Key, limit, o.asset.Hashes.MD5 != "")
	}()
	artifact, err := r.o.Fetch.Download(ctx, o.conn, o.asset.URL)
	<-staged
	switch {
	case unstaged != nil && err == nil:
		_ = artifact.Body.Close() // nothing of it was taken
		fallthrough
	case unstaged != nil:
		return nil, nil, StoreError("stage pull", unstaged)
	case err != nil:
		spool.Discard()
		return nil, nil, err
	}
	p.asset = declaredAsset(o.asset, artifact)
	if p.asset.Size > limit {
		_ = artifact.Body.Close()
		spool.Discard()
		return nil, nil, &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "too_large",
			Message: fmt.Sprintf("the asset has %d bytes, more than the %d allowed", p.asset.Size, limit)}
	}
	return spool, artifact.Body, nil
}

// declaredAsset is what is known of an asset before its bytes are here.
func declaredAsset(remote *format.RemoteAsset, artifact *fetch.Artifact) packhouse.Asset {
	a := packhouse.Asset{Name: remote.Name, Size: artifact.Size, Hashes: remote.Hashes, MediaType: remote.MediaType}
	if d, err := packhouse.ParseDigest(remote.Hashes.SHA256); err == nil {
		a.Digest = d
	}
	return a
}

// transferBuffer is how many bytes are moved at one time.
const transferBuffer = 64 << 10

// transfer moves the bytes into the spool and verifies them.
func transfer(p *pull, spool *vault.Staging, body io.ReadCloser) (err error) {
	defer contain(&err)
	defer func() { _ = body.Close() }()
	if _, err := io.CopyBuffer(struct{ io.Writer }{spool}, struct{ io.Reader }{body}, make([]byte, transferBuffer)); err != nil {
		return StoreError("transfer", err)
	}
	if err := spool.Finish(); err != nil {
		return StoreError("finish spool", err)
	}
	return verify(p.order.conn, p.order.asset, spool.Hashes(), spool.Size())
}

// verify compares what came with what the registry declares: every hash, or the size
// where it declares none (npm.md 5).
func verify(conn fetch.Connection, declared *format.RemoteAsset, got packhouse.Hashes, size int64) error {
	what := got.Mismatch(declared.Hashes)
	if declared.Hashes.Empty() && declared.Size >= 0 && declared.Size != size {
		what = "size"
	}
	if what == "" {
		return nil
	}
	return &packhouse.Error{Kind: packhouse.KindUpstream, Reason: ReasonMismatch,
		Message: fmt.Sprintf("connection %q sent bytes whose %s is not what it declares", conn.Name, what)}
}
