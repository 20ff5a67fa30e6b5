package ops

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/resolve"
)

// onPostgres makes an engine on PostgreSQL.
func onPostgres(t *testing.T) *env {
	t.Helper()
	catalogtest.PostgresServer(t)
	t.Setenv(catalogtest.EngineVariable, "postgres")
	return newEnv(t)
}

// node makes another engine over the stores of e, as another process would: it shares
// nothing with it but the database, the objects and the keys. dsn is the way to the
// database, "" for the same.
func (e *env) node(dsn string) *Service {
	e.t.Helper()
	clock, opened, o := feed.NewClock(), e.opened, e.made
	opened.OnCommit = clock.Advance
	if dsn != "" {
		opened.DSN = dsn
	}
	db := catalogtest.OpenWith(e.t, opened)
	ids, err := identity.New(e.ctx, identity.Options{Catalog: db, TokenKey: bytes.Repeat([]byte{7}, 32), Now: o.Now})
	e.must(err)
	o.Catalog, o.Clock, o.Identity = db, clock, ids
	o.Resolver = resolve.New(resolve.Options{Catalog: db, Vault: o.Vault, Clock: clock, Formats: o.Formats, Connections: o.Connections, Now: o.Now, Fetch: fetch.New(fetch.Options{})})
	e.t.Cleanup(func() { e.must(o.Resolver.Close(context.Background())) })
	return New(o)
}

// push publishes a version with one asset through a node, as a client does who tries
// again when the server says that it is busy or does not know.
func (e *env) push(s *Service, pkg packhouse.PackageRef, version string) error {
	for {
		staged, err := s.Stage(e.ctx, e.admin, pkg, strings.NewReader("bytes of "+version), 0)
		if err == nil {
			_, err = s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, DisplayName: pkg.Package.Name, Version: version,
				Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}}})
		}
		if packhouse.KindOf(err) != packhouse.KindUnavailable {
			return err
		}
	}
}

// Two nodes with 100 parallel publishers each lose none of 200 versions of one package,
// and none is told that it failed (reliability.md R9).
func TestTwoNodesPublishAtOnce(t *testing.T) {
	e := onPostgres(t)
	d := e.domain("main")
	repo := e.repo(d, "store")
	nodes := []*Service{e.s, e.node("")}
	const each = 100
	for round := range 3 {
		pkg := in(repo, fmt.Sprint("box", round))
		var wg sync.WaitGroup
		for n, s := range nodes {
			for i := range each {
				wg.Go(func() {
					if err := e.push(s, pkg, fmt.Sprintf("%d.0.%d", n+1, i)); err != nil {
						t.Errorf("round %d, node %d: %v", round, n, err)
					}
				})
			}
		}
		wg.Wait()
		for n, s := range nodes {
			rows, _, _, err := s.Versions(e.ctx, e.admin, pkg, VersionQuery{}, Page{})
			e.must(err)
			if len(rows) != len(nodes)*each {
				t.Errorf("round %d: node %d lists %d versions, want %d", round, n, len(rows), len(nodes)*each)
			}
		}
	}
	if got, want := e.size(d), e.assetBytes(repo); got != want {
		t.Errorf("the domain counts %d bytes, its versions have %d", got, want)
	}
}

// assetBytes sums the sizes of what the versions of a repository have, each digest once.
func (e *env) assetBytes(repo packhouse.RepoRef) (sum int64) {
	e.t.Helper()
	sizes := map[packhouse.Digest]int64{}
	packages, _, err := e.s.Packages(e.ctx, e.admin, repo, PackageQuery{}, Page{})
	e.must(err)
	for _, p := range packages {
		rows, _, _, err := e.s.Versions(e.ctx, e.admin, p.Ref, VersionQuery{}, Page{})
		e.must(err)
		for _, v := range rows {
			_, assets, _, err := e.s.VersionAssets(e.ctx, e.admin, v.Ref, Page{})
			e.must(err)
			for _, a := range assets {
				sizes[a.Digest] = a.Size
			}
		}
	}
	for _, n := range sizes {
		sum += n
	}
	return sum
}

// A first publish on one node against the deletion of its repository on another: either
// comes first, and nothing is left of the repository, no package and no byte that counts
// (reliability.md R8, R9).
func TestFirstPublishAgainstRepositoryDeletion(t *testing.T) {
	e := onPostgres(t)
	d := e.domain("main")
	other := e.node("")
	for round := range 25 {
		repo := e.repo(d, fmt.Sprint("store", round))
		pkg := in(repo, "box")
		var wg sync.WaitGroup
		var published, deleted error
		wg.Go(func() { published = e.push(e.s, pkg, "1.0.0") })
		wg.Go(func() { _, deleted = other.DeleteRepository(e.ctx, e.admin, repo) })
		wg.Wait()
		e.must(deleted)
		if published != nil && packhouse.KindOf(published) != packhouse.KindNotFound {
			t.Errorf("round %d: the publish: %v", round, published)
		}
		live, err := other.Repository(e.ctx, e.admin, repo)
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Errorf("round %d: the repository: %v, %v", round, live, err)
		}
	}
	if got := e.size(d); got != 0 {
		t.Errorf("the domain counts %d bytes, and has no repository", got)
	}
}

// A connection that dies while COMMIT is on its way leaves nobody believing what is not
// so: what was told to be there is, what is unknown is told as such, and whoever tries
// again has it once (reliability.md R6, R7).
func TestCommitsInDoubt(t *testing.T) {
	e := onPostgres(t)
	d := e.domain("main")
	repo := e.repo(d, "store")
	r := newRelay(t, e.opened.DSN)
	s := e.node(r.dsn)
	r.cutting.Store(true)
	const publishes = 300
	unknown := 0
	for i := range publishes {
		pkg, version := in(repo, fmt.Sprint("box", i%10)), fmt.Sprint("1.0.", i)
		for {
			staged, err := s.Stage(e.ctx, e.admin, pkg, strings.NewReader("bytes of "+version), 0)
			e.must(err)
			_, err = s.Publish(e.ctx, e.admin, format.Publication{Package: pkg, DisplayName: pkg.Package.Name, Version: version,
				Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}}})
			if err == nil {
				break
			}
			switch reason := packhouse.ReasonOf(err); {
			case packhouse.KindOf(err) != packhouse.KindUnavailable || reason != "outcome_unknown" && reason != "catalog_busy":
				t.Fatalf("publish %d: %v", i, err)
			case reason == "outcome_unknown":
				unknown++
			}
		}
	}
	r.cutting.Store(false)
	if r.lost.Load() == 0 || r.kept.Load() == 0 || unknown == 0 {
		t.Errorf("%d commits were cut before the server had them, %d after, %d outcomes unknown: that tells nothing", r.lost.Load(), r.kept.Load(), unknown)
	}
	found := 0
	for i := range 10 {
		found += len(e.list(in(repo, fmt.Sprint("box", i))))
	}
	if found != publishes {
		t.Errorf("%d versions, want %d", found, publishes)
	}
	if got, want := e.size(d), e.assetBytes(repo); got != want {
		t.Errorf("the domain counts %d bytes, its versions have %d", got, want)
	}
	var told []packhouse.Change
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) (err error) { told, err = tx.Changes(e.ctx, 0, 10_000); return err }))
	times := map[string]int{}
	for _, c := range told {
		if c.Kind == packhouse.ChangeVersionPublished {
			times[c.Version]++
		}
	}
	for version, n := range times {
		if n != 1 {
			t.Errorf("the ledger tells %d times that %s was published", n, version)
		}
	}
	if len(times) != publishes {
		t.Errorf("the ledger tells of %d versions, want %d", len(times), publishes)
	}
}

// relay passes connections on to a PostgreSQL server. While it is cutting, it closes some
// of those that commit a transaction that may write: before the server has the COMMIT, or
// after the server has answered it, with the answer withheld.
type relay struct {
	dsn        string
	cutting    atomic.Bool
	lost, kept atomic.Int64 // commits cut before the server had them, and after

	server string
	mu     sync.Mutex
	random *rand.Rand
}

func newRelay(t *testing.T, dsn string) *relay {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{server: u.Host, random: rand.New(rand.NewPCG(6, 6))}
	u.Host = l.Addr().String()
	r.dsn = u.String()
	var running sync.WaitGroup
	ctx := context.WithoutCancel(t.Context())
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { r.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return r
}

// fate says what becomes of a commit.
func (r *relay) fate() (lose, keep bool) {
	if !r.cutting.Load() {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.random.IntN(8)
	return n == 0, n == 1
}

func (r *relay) serve(ctx context.Context, client net.Conn) {
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", r.server)
	if err != nil {
		_ = client.Close()
		return
	}
	var withhold atomic.Bool
	answered := make(chan struct{}) // closed when the server has said its last
	go func() {
		defer close(answered)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if withhold.Load() || err != nil {
				break
			}
			if _, err := client.Write(buf[:n]); err != nil {
				break
			}
		}
		_ = client.Close()
	}()
	defer func() {
		_ = server.Close()
		_ = client.Close()
		<-answered
	}()
	writes := false
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		text := bytes.ToLower(buf[:n])
		if bytes.Contains(text, []byte("begin")) {
			writes = !bytes.Contains(text, []byte("read only"))
		}
		if writes && bytes.HasPrefix(text, []byte("q")) && bytes.Contains(text, []byte("commit")) {
			lose, keep := r.fate()
			if lose {
				r.lost.Add(1)
				return
			}
			if keep {
				r.kept.Add(1)
				withhold.Store(true)
				if _, err := server.Write(buf[:n]); err == nil {
					select {
					case <-answered:
					case <-time.After(10 * time.Second): // a server that says nothing; the test fails by its counts
					}
				}
				return
			}
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}
