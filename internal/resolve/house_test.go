package resolve_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/blob/rowblob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault"
	"github.com/packhouse/packhouse/internal/vault/vaulttest"
)

// simple is a format with a public registry, as little of one as the resolver needs.
type simple struct {
	id        packhouse.FormatID
	upstreams bool
}

const (
	simpleID = packhouse.FormatID("simple")
	lonelyID = packhouse.FormatID("lonely") // never looks beyond its repository
	fileName = "file.bin"
)

// document is an index of the simple registry.
type document struct {
	Versions []documentVersion `json:"versions"`
	Tags     map[string]string `json:"tags,omitempty"`
}

type documentVersion struct {
	Version   string           `json:"version"`
	URL       string           `json:"url"`
	Size      int64            `json:"size"`
	Hashes    packhouse.Hashes `json:"hashes"`
	Status    packhouse.Status `json:"status,omitempty"`
	Published time.Time        `json:"published"`
}

func (f simple) Spec() format.Spec {
	return format.Spec{ID: f.id, Title: "Simple", Upstreams: f.upstreams, MaxAsset: 64 << 20, DefaultTag: "latest", SingleAsset: fileName}
}
func (f simple) Canonical(namespace, name string) (packhouse.PackageName, error) {
	return packhouse.PackageName{Format: f.id, Namespace: namespace, Name: name}, nil
}
func (f simple) VersionKey(v string) (string, error) {
	key, _, _ := strings.Cut(v, "+")
	if key == "" {
		return "", packhouse.Invalidf("invalid_version", "no version")
	}
	return key, nil
}
func (f simple) Compare(a, b string) int            { return strings.Compare(a, b) }
func (f simple) Routes(format.House) []format.Route { return nil }
func (f simple) Connections() []format.PublicConnection {
	return []format.PublicConnection{{Name: "public:" + string(f.id)}}
}
func (f simple) Inspect(_ context.Context, up format.Upload) (packhouse.Facts, error) {
	head := make([]byte, 4)
	if _, err := up.Files[0].Content.ReadAt(head, 0); err != nil {
		return packhouse.Facts{}, err
	}
	if string(head) == "EVIL" {
		return packhouse.Facts{}, packhouse.Invalidf("hostile_archive", "the archive is hostile")
	}
	if string(head) == "BOOM" {
		panic("the room did not expect that")
	}
	return packhouse.Facts{DisplayName: strings.ToUpper(up.Package.Name), Manifest: []byte(`{}`), Fragment: up.PulledFragment}, nil
}
func (f simple) FetchIndex(ctx context.Context, get format.Getter, name packhouse.PackageName, prior format.Validators) (format.FetchedIndex, error) {
	resp, err := get.Get(ctx, "index/"+name.Name, http.Header{"Accept": {"application/json"}}, prior)
	return format.FetchedIndex{Body: resp.Body, Validators: resp.Validators}, err
}
func (f simple) ReadIndex(name packhouse.PackageName, body []byte) (*format.RemoteIndex, error) {
	if string(body) == "BOOM" {
		panic("the room did not expect that")
	}
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, err
	}
	out := &format.RemoteIndex{DisplayName: strings.ToUpper(name.Name), Tags: d.Tags, Head: []byte("head of " + name.Name)}
	for _, v := range d.Versions {
		out.Versions = append(out.Versions, format.RemoteVersion{Version: v.Version, Published: v.Published, Status: v.Status, Fragment: []byte("remote " + v.Version),
			Assets: []format.RemoteAsset{{Name: fileName, URL: v.URL, Size: v.Size, Hashes: v.Hashes}}})
	}
	return out, nil
}

// registry is a public registry that counts what it is asked.
type registry struct {
	*httptest.Server
	mu       sync.Mutex
	packages map[string]*document
	files    map[string][]byte
	asked    map[string]int
	answer   func(w http.ResponseWriter, r *http.Request) bool // before the rest; reports whether it answered
}

var uploaded = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func newRegistry(t testing.TB) *registry {
	t.Helper()
	g := &registry{packages: map[string]*document{}, files: map[string][]byte{}, asked: map[string]int{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked[r.URL.Path]++
	answer := g.answer
	file, isFile := g.files[r.URL.Path]
	doc, isIndex := g.packages[strings.TrimPrefix(r.URL.Path, "/index/")]
	var body []byte
	if isIndex {
		body, _ = json.Marshal(doc)
	}
	g.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	switch {
	case isFile:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	case isIndex:
		sum := sha512.Sum512(body)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
		w.Header().Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	default:
		http.Error(w, "no such thing", http.StatusNotFound)
	}
}

// add puts a version into the registry, with its digest declared.
func (g *registry) add(name, version string, body []byte) {
	sum := sha512.Sum512(body)
	g.addAs(name, documentVersion{Version: version, Size: int64(len(body)), Hashes: packhouse.Hashes{SHA512: hex.EncodeToString(sum[:])}}, body)
}

func (g *registry) addAs(name string, v documentVersion, body []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.URL == "" {
		v.URL = filePath(name, v.Version)[1:]
	}
	v.Published = uploaded
	if g.packages[name] == nil {
		g.packages[name] = &document{}
	}
	g.packages[name].Versions = append(g.packages[name].Versions, v)
	g.files[filePath(name, v.Version)] = body
}

// replace offers other bytes for every version of a package.
func (g *registry) replace(name string, body []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := sha512.Sum512(body)
	for i := range g.packages[name].Versions {
		v := &g.packages[name].Versions[i]
		v.Size, v.Hashes = int64(len(body)), packhouse.Hashes{SHA512: hex.EncodeToString(sum[:])}
		g.files[filePath(name, v.Version)] = body
	}
}

func (g *registry) setTags(name string, tags map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.packages[name].Tags = tags
}

func filePath(name, version string) string { return "/files/" + name + "-" + version }

// set changes how the registry answers.
func (g *registry) set(answer func(w http.ResponseWriter, r *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

func (g *registry) fail(code int) {
	g.set(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true })
}

func (g *registry) requests(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path]
}

func (g *registry) total() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for v := range maps.Values(g.asked) {
		n += v
	}
	return n
}

// house is a resolver over real stores in memory.
type house struct {
	t       testing.TB
	db      *catalog.DB
	vault   *vault.Vault
	blobs   *memblob.Store
	clock   *feed.Clock
	domain  catalog.DomainRow
	repos   map[string]int64
	o       resolve.Options
	r       *resolve.Resolver
	offset  atomic.Int64 // of the clock, in nanoseconds
	diskLow atomic.Bool
	sealing failingSealer
}

const (
	account    = packhouse.AccountID("123456789012")
	connection = "public:simple"
)

// guardedStore takes nothing in while the disk is low, as the server's does.
type guardedStore struct {
	blob.Store
	low *atomic.Bool
}

func (s guardedStore) Stage(ctx context.Context) (blob.Staged, error) {
	if s.low.Load() {
		return nil, &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_low"}
	}
	return s.Store.Stage(ctx)
}

// failingSealer lets transactions fail half-way, or stay there.
type failingSealer struct {
	catalog.Sealer
	fails atomic.Bool
	held  atomic.Pointer[chan struct{}] // closed by who lets them go on; nil for none
}

// hold keeps all transactions from ending that write a revision, until release is called.
func (s *failingSealer) hold() (release func()) {
	held := make(chan struct{})
	s.held.Store(&held)
	return sync.OnceFunc(func() { s.held.Store(nil); close(held) })
}

func (s *failingSealer) Seal(ctx context.Context, k packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	if strings.HasPrefix(aad, "revisions.") {
		if s.fails.Load() {
			return nil, errors.New("sealing fails")
		}
		if held := s.held.Load(); held != nil {
			<-*held
		}
	}
	return s.Sealer.Seal(ctx, k, aad, plain)
}

func newHouse(t testing.TB, g *registry) *house {
	t.Helper()
	h := &house{t: t, clock: feed.NewClock(), repos: map[string]int64{}}
	_, blobs, keys := vaulttest.NewParts(t)
	store := rowblob.New(guardedStore{blobs, &h.diskLow})
	v := vault.New(store, keys)
	h.vault, h.blobs = v, blobs
	h.sealing.Sealer = v
	h.db = catalogtest.OpenWith(t, catalog.Options{Sealer: &h.sealing, OnCommit: h.clock.Advance})
	store.Attach(h.db)
	h.o = resolve.Options{
		Catalog: h.db, Vault: v, Clock: h.clock, Now: h.now,
		Fetch:   fetch.New(fetch.Options{RetryDelay: time.Millisecond}),
		Formats: map[packhouse.FormatID]format.Format{simpleID: simple{simpleID, true}, lonelyID: simple{lonelyID, false}},
	}
	if g != nil {
		h.o.Connections = map[string]fetch.Connection{connection: {Format: simpleID, URL: g.URL + "/"}}
	}
	h.domain = h.newDomain("main", func() packhouse.KeyRef { return vaulttest.KeyRef(t, v, keys, 0) })
	h.restart()
	return h
}

// now is a clock that only moves with pass.
func (h *house) now() time.Time {
	return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Add(time.Duration(h.offset.Load()))
}

func (h *house) pass(d time.Duration) { h.offset.Add(int64(d)) }

// restart closes the resolver and makes a new one over the same stores: all memory is gone.
func (h *house) restart() {
	h.t.Helper()
	if h.r != nil {
		if err := h.r.Close(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
	h.r = resolve.New(h.o)
	h.t.Cleanup(func() { _ = h.r.Close(context.WithoutCancel(h.t.Context())) })
}

func (h *house) newDomain(name string, key func() packhouse.KeyRef) catalog.DomainRow {
	h.t.Helper()
	ref := packhouse.DomainRef{Owner: account, Name: name}
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		if accounts, err := tx.Accounts(ctx); err != nil || len(accounts) == 0 {
			if err := errors.Join(err, tx.InsertAccount(ctx, account, "test")); err != nil {
				return err
			}
		}
		k := key()
		id, err := tx.InsertDomain(ctx, catalog.DomainRow{Ref: ref, KeyARN: "arn", Key: k, Mode: "sealed", Bucket: "assets-" + name, Created: h.now()})
		if err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeDomainCreated, DomainID: id, Domain: ref, At: h.now()})
	})
	var row catalog.DomainRow
	h.view(func(ctx context.Context, tx *catalog.Tx) (err error) { row, err = tx.Domain(ctx, ref); return err })
	return row
}

func (h *house) update(fn func(context.Context, *catalog.Tx) error) {
	h.t.Helper()
	h.recorded()
	if err := h.db.Update(h.t.Context(), func(tx *catalog.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) view(fn func(context.Context, *catalog.Tx) error) {
	h.t.Helper()
	h.recorded()
	if err := h.db.View(h.t.Context(), func(tx *catalog.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// recorded waits for what clients have pulled, as everybody does who reads records.
func (h *house) recorded() {
	h.t.Helper()
	if h.r == nil {
		return
	}
	if err := h.r.Settle(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) ref(repo string) packhouse.RepoRef {
	return packhouse.RepoRef{Domain: h.domain.Ref, Name: repo}
}

// repo makes a repository; upstreams exist already, and "@name" is a connection.
func (h *house) repo(name string, upstreams ...string) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		id, err := tx.InsertRepository(ctx, catalog.RepositoryRow{UUID: h.domain.Ref.Name + name, DomainID: h.domain.ID, Ref: h.ref(name), Administrator: account, Created: h.now()})
		if err != nil {
			return err
		}
		h.repos[name] = id
		var ids []int64
		for _, up := range upstreams {
			if c, ok := strings.CutPrefix(up, "@"); ok {
				if err := tx.AddConnection(ctx, id, c); err != nil {
					return err
				}
				continue
			}
			ids = append(ids, h.repos[up])
		}
		if err := tx.ReplaceUpstreams(ctx, id, ids); err != nil {
			return err
		}
		return tx.Record(ctx, packhouse.Change{Kind: packhouse.ChangeRepositoryCreated, DomainID: h.domain.ID, RepoID: id, Domain: h.domain.Ref, Repo: name, At: h.now()})
	})
}

func pkgName(name string) packhouse.PackageName {
	return packhouse.PackageName{Format: simpleID, Name: name}
}

func (h *house) pkg(repo, name string) packhouse.PackageRef {
	return packhouse.PackageRef{Repo: h.ref(repo), Package: pkgName(name)}
}

// publish puts a version into a repository as a publishing client would.
func (h *house) publish(repo, name, version string, status packhouse.Status, body []byte) {
	h.t.Helper()
	h.publishAs(repo, pkgName(name), version, status, body, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow})
}

func (h *house) publishAs(repo string, n packhouse.PackageName, version string, status packhouse.Status, body []byte, controls packhouse.OriginControls) {
	h.t.Helper()
	s, err := h.vault.Stage(h.t.Context(), h.domain.Key, 1<<20, true)
	if err != nil {
		h.t.Fatal(err)
	}
	defer s.Discard()
	if _, err := s.Write(body); err != nil {
		h.t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		h.t.Fatal(err)
	}
	blob, err := s.Keep(h.t.Context(), 1)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		p, err := tx.LockPackage(ctx, h.repos[repo], n)
		if errors.Is(err, catalog.ErrNotFound) {
			p, err = tx.InsertPackage(ctx, catalog.NewPackage{RepoID: h.repos[repo], DomainID: h.domain.ID, Name: n, DisplayName: n.Name + " of " + repo,
				CollisionKey: "/" + n.Name, Controls: controls, At: h.now()})
		}
		if err != nil {
			return err
		}
		row, _, err := tx.UseBlob(ctx, catalog.BlobRow{BlobRef: blob, DomainID: h.domain.ID, Hashes: s.Hashes()})
		if err != nil {
			return err
		}
		id, err := tx.EnsureRevision(ctx, catalog.Revision{Domain: h.domain.Key, Format: n.Format, Size: s.Size(),
			Name:   resolve.RevisionName(n, version, []packhouse.Asset{{Name: fileName, Digest: s.Digest()}}, nil),
			Facts:  packhouse.Facts{Fragment: []byte("local " + version + " of " + repo)},
			Assets: []catalog.RevisionAsset{{Name: fileName, BlobID: row.ID}}})
		if err != nil {
			return err
		}
		if _, err = tx.InsertVersion(ctx, catalog.NewVersion{PackageID: p.ID, Version: version, VersionKey: version, RevisionID: id, Status: status,
			Origin: packhouse.Origin{Type: packhouse.OriginInternal, Repository: repo}, Published: uploaded.Add(time.Hour), Recorded: h.now()}); err != nil {
			return err
		}
		return h.changed(ctx, tx, repo, n, p.ID, packhouse.ChangeVersionPublished)
	})
}

func (h *house) changed(ctx context.Context, tx *catalog.Tx, repo string, n packhouse.PackageName, packageID int64, kind packhouse.ChangeKind) error {
	seq, err := tx.BumpPackage(ctx, packageID, h.now())
	if err != nil {
		return err
	}
	return tx.Record(ctx, packhouse.Change{Kind: kind, DomainID: h.domain.ID, RepoID: h.repos[repo], Domain: h.domain.Ref, Repo: repo, Package: n, Sequence: seq, At: h.now()})
}

// control sets the origin controls of a package, making the record if need be.
func (h *house) control(repo, name string, c packhouse.OriginControls) {
	h.t.Helper()
	n := pkgName(name)
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		p, err := tx.LockPackage(ctx, h.repos[repo], n)
		if errors.Is(err, catalog.ErrNotFound) {
			p, err = tx.InsertPackage(ctx, catalog.NewPackage{RepoID: h.repos[repo], DomainID: h.domain.ID, Name: n, DisplayName: name, CollisionKey: "/" + name, Controls: c, At: h.now()})
		}
		if err != nil {
			return err
		}
		if err := tx.SetControls(ctx, p.ID, c); err != nil {
			return err
		}
		return h.changed(ctx, tx, repo, n, p.ID, packhouse.ChangePackageControls)
	})
}

func (h *house) tag(repo, name, tag, version string) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *catalog.Tx) error {
		p, err := tx.LockPackage(ctx, h.repos[repo], pkgName(name))
		if err != nil {
			return err
		}
		v, err := tx.Version(ctx, p.ID, version)
		if err != nil {
			return err
		}
		if err := tx.SetTag(ctx, p.ID, tag, v.ID, h.now()); err != nil {
			return err
		}
		return h.changed(ctx, tx, repo, pkgName(name), p.ID, packhouse.ChangeTagSet)
	})
}

// held returns the version row of a repository; nil if it has none.
func (h *house) held(repo, name, version string) *catalog.VersionRow {
	h.t.Helper()
	var out *catalog.VersionRow
	h.view(func(ctx context.Context, tx *catalog.Tx) error {
		out = nil
		p, err := tx.Package(ctx, h.repos[repo], pkgName(name))
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		v, err := tx.Version(ctx, p.ID, version)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		out = &v
		return err
	})
	return out
}

// wantHeld checks which of the repositories have the version.
func (h *house) wantHeld(name, version string, want ...string) {
	h.t.Helper()
	var got []string
	for repo := range h.repos {
		if h.held(repo, name, version) != nil {
			got = append(got, repo)
		}
	}
	if len(got) != len(want) {
		h.t.Errorf("%s %s is in %v, want in %v", name, version, got, want)
		return
	}
	for _, repo := range want {
		if h.held(repo, name, version) == nil {
			h.t.Errorf("%s %s is in %v, want in %v", name, version, got, want)
		}
	}
}

// get downloads an asset and reads it to its end.
func (h *house) get(repo, name, version string) ([]byte, error) {
	return h.getAs(h.t.Context(), repo, pkgName(name), version)
}

func (h *house) getAs(ctx context.Context, repo string, n packhouse.PackageName, version string) ([]byte, error) {
	ref := packhouse.PackageRef{Repo: h.ref(repo), Package: n}
	_, c, err := h.r.Asset(ctx, packhouse.AssetRef{VersionRef: ref.At(version), Asset: fileName})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if c.At != nil {
		return io.ReadAll(io.NewSectionReader(c.At, 0, c.Size))
	}
	return io.ReadAll(c.Stream)
}

func (h *house) wantGet(repo, name, version string, want []byte) {
	h.t.Helper()
	got, err := h.get(repo, name, version)
	if err != nil || !bytes.Equal(got, want) {
		h.t.Fatalf("%s %s at %s: %d bytes, %v; want %d bytes", name, version, repo, len(got), err, len(want))
	}
}

func (h *house) wantReason(repo, name, version, reason string) {
	h.t.Helper()
	if _, err := h.get(repo, name, version); packhouse.ReasonOf(err) != reason {
		h.t.Errorf("%s %s at %s: error %v with reason %q, want %q", name, version, repo, err, packhouse.ReasonOf(err), reason)
	}
}

// settle waits until pulls are over, by closing the resolver, and starts a new one.
func (h *house) settle() {
	h.t.Helper()
	h.restart()
}

// shown lists a view's versions as "version status fragment".
func (h *house) shown(repo, name string) []string {
	h.t.Helper()
	v, _, err := h.r.View(h.t.Context(), h.pkg(repo, name), false)
	if err != nil {
		h.t.Fatal(err)
	}
	out := make([]string, len(v.Entries))
	for i, e := range v.Entries {
		out[i] = fmt.Sprintf("%s %s: %s", e.Version, e.Status, e.Fragment)
	}
	return out
}

// bytesOf makes n bytes that differ by seed.
func bytesOf(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// objects counts what lies in the blob store.
func (h *house) objects() int {
	h.t.Helper()
	h.recorded()
	n := 0
	if err := h.blobs.List(h.t.Context(), "", func(blob.Info) error { n++; return nil }); err != nil {
		h.t.Fatal(err)
	}
	return n
}
