// Package index keeps rendered index documents in memory and renders them when they
// are missing or out of date. A document stands for as long as its stamp holds: the
// marks taken before it was read, and the freshness of remote indexes (layout.md 9).
// Correctness depends on the marks only; nothing is ever told to expire.
//
// It is on the engine's floor. It decides no access and knows no format. Start reading
// with Index.
package index

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/resolve"
)

// DefaultMaxBytes bounds the documents kept in memory, plain and gzip together.
const DefaultMaxBytes = 48 << 20

// compressFrom is the size in bytes from which a document is kept compressed; its plain
// form is an entry of its own, made when somebody asks for it, up to maxIdentity bytes.
const (
	compressFrom = 1 << 10
	maxIdentity  = 8 << 20
)

// renderTimeout bounds one rendering, upstream requests included. It runs detached from
// the request that began it, because others wait for it too.
const renderTimeout = 2 * time.Minute

// viewer is what index needs of resolve.
type viewer interface {
	View(ctx context.Context, pkg packhouse.PackageRef, local bool) (format.View, resolve.Stamp, error)
}

// Options are what New needs.
type Options struct {
	Views     viewer
	Renderers map[packhouse.FormatID]format.Renderer
	Clock     *feed.Clock
	MaxBytes  int64            // 0 means DefaultMaxBytes
	Now       func() time.Time // nil means time.Now
}

// Index serves documents.
type Index struct {
	views     viewer
	renderers map[packhouse.FormatID]format.Renderer
	clock     *feed.Clock
	now       func() time.Time
	kept      *cache.Cache[format.DocKey, *entry]

	// rendering bounds the renderings at one time: each uses a core, and a megabyte for
	// compressing.
	rendering chan struct{}

	mu      sync.Mutex
	flights map[format.DocKey]*flight
}

// entry is a kept document with what it depends on.
type entry struct {
	doc   format.Doc
	stamp resolve.Stamp
}

// flight is a rendering under way; done is closed by the one goroutine that renders.
type flight struct {
	done  chan struct{}
	entry *entry
	err   error
}

// New makes an index.
func New(o Options) *Index {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Index{
		views:     o.Views,
		renderers: o.Renderers,
		clock:     o.Clock,
		now:       o.Now,
		rendering: make(chan struct{}, runtime.GOMAXPROCS(0)),
		flights:   make(map[format.DocKey]*flight),
		kept:      cache.NewWeighted(o.MaxBytes, weigh),
	}
}

// weigh counts a kept document in bytes, with an allowance for its key and marks.
func weigh(k format.DocKey, e *entry) int64 {
	const allowance = 512
	return int64(len(e.doc.Plain) + len(e.doc.Gzip) + len(k.Base) + allowance)
}

// Document returns the document that k names, from memory where its stamp holds. The
// result is shared and must not be changed. Warm it costs no SQL and no allocation.
//
// Errors: NotFound; Unsupported where the format renders nothing; what View returns.
func (x *Index) Document(ctx context.Context, k format.DocKey) (*format.Doc, error) {
	e, err := x.entry(ctx, k)
	if err != nil {
		return nil, err
	}
	return &e.doc, nil
}

func (x *Index) entry(ctx context.Context, k format.DocKey) (*entry, error) {
	if e, ok := x.kept.Get(k); ok && x.current(e) {
		return e, nil
	}
	// A flight that began before this request may have read before a write that this
	// request must see (reliability.md R10): its result counts only while its marks
	// hold. The next one that is joined began after this request did, and counts.
	for arrivedFirst := false; ; arrivedFirst = true {
		f, mine := x.join(k)
		if mine {
			go x.render(context.WithoutCancel(ctx), k, f)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
		}
		if f.err == nil && (mine || arrivedFirst || x.current(f.entry)) {
			return f.entry, nil
		}
		if f.err != nil && (mine || arrivedFirst) {
			return nil, f.err
		}
	}
}

// current reports whether a kept document may still be served.
func (x *Index) current(e *entry) bool {
	if !e.stamp.FreshUntil.IsZero() && x.now().After(e.stamp.FreshUntil) {
		return false
	}
	for _, m := range e.stamp.Marks {
		if !x.clock.Holds(m) {
			return false
		}
	}
	return true
}

// join returns the flight for k and whether the caller must render it.
func (x *Index) join(k format.DocKey) (f *flight, mine bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if f, ok := x.flights[k]; ok {
		return f, false
	}
	f = &flight{done: make(chan struct{})}
	x.flights[k] = f
	return f, true
}

// render renders k, keeps the result and wakes everybody who waits.
func (x *Index) render(ctx context.Context, k format.DocKey, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, renderTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			f.err = packhouse.Internal(fmt.Errorf("render %s of %s: panic: %v", k.Kind, k.Package, p))
		}
		x.mu.Lock()
		delete(x.flights, k)
		x.mu.Unlock()
		close(f.done)
	}()
	// Whoever looked before the flight before this one landed finds its document here.
	if e, ok := x.kept.Get(k); ok && x.current(e) {
		f.entry = e
		return
	}
	if k.Identity {
		f.entry, f.err = x.identity(ctx, k)
	} else {
		f.entry, f.err = x.build(ctx, k)
	}
	if f.err == nil && f.entry.stamp.Stale == 0 {
		x.kept.Set(k, f.entry)
	}
}

// build renders k from the resolver's view.
func (x *Index) build(ctx context.Context, k format.DocKey) (*entry, error) {
	r, ok := x.renderers[k.Package.Format]
	if !ok {
		return nil, &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "no_documents",
			Message: fmt.Sprintf("packages of format %s have no index documents", k.Package.Format)}
	}
	view, stamp, err := x.views.View(ctx, packhouse.PackageRef{Repo: k.Repo, Package: k.Package}, k.Local)
	if err != nil {
		return nil, err
	}
	select {
	case x.rendering <- struct{}{}:
		defer func() { <-x.rendering }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p := newPress()
	defer p.free()
	info, err := r.Render(ctx, p, k, view)
	if err != nil {
		return nil, err
	}
	e := &entry{stamp: stamp, doc: format.Doc{DocInfo: info, Stale: stamp.Stale}}
	if err := p.finish(&e.doc); err != nil {
		return nil, fmt.Errorf("compress %s of %s: %w", k.Kind, k.Package, err)
	}
	return e, nil
}

// identity makes the entry of a document's plain form from the other one.
func (x *Index) identity(ctx context.Context, k format.DocKey) (*entry, error) {
	k.Identity = false
	e, err := x.entry(ctx, k)
	if err != nil || e.doc.Plain != nil || e.doc.Size > maxIdentity {
		return e, err
	}
	plain, err := httpx.DocText(&e.doc)
	if err != nil {
		return nil, packhouse.Internal(fmt.Errorf("inflate %s of %s: %w", k.Kind, k.Package, err))
	}
	out := &entry{stamp: e.stamp, doc: e.doc}
	out.doc.Plain, out.doc.Gzip = plain, nil
	return out, nil
}
