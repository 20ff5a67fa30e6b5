package catalogtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Opened is a fresh, empty catalog on an engine, and ways to its tables past it.
type Opened struct {
	DB  *catalog.DB
	Raw *sql.DB // the same database, over a connection of its own
	// SetNextID makes the next identity key of a table at least id.
	SetNextID func(table string, id int64)
}

// Run checks that a catalog on an engine keeps its contract. open returns a fresh
// database for each test and closes it when that ends; it fills in nothing of the
// options but the DSN, and the Sealer where that is nil.
func Run(t *testing.T, open func(t testing.TB, o catalog.Options) Opened) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *world)
	}{
		{"every row comes back as it was written", testRoundTrip},
		{"tombstones hide everywhere", testTombstones},
		{"usage is exact whatever happens (data model 5)", testUsage},
		{"use of blobs follows R14", testBlobs},
		{"a failing update undoes only itself", testGroupIsolation},
		{"changes are told before Update returns, and only committed ones", testOnCommit},
		{"64 parallel inserts of one version make one (R7)", testLostRace},
		{"parallel counters lose nothing", testParallelBumps},
		{"settled changes come once and in order", testSettled},
		{"the ledger is append-only (S40)", testAppendOnly},
		{"statement counts do not grow with rows", testStatementCounts},
		{"lists page without gap or repeat", testPaging},
		{"sealed columns hold no plaintext (S36)", testSealed},
		{"identity keys end at 2^31", testExhaustion},
		{"identity writes raise the epoch (S9)", testIdentityEpoch},
		{"who is late to make a record starts over", testFirstRecord},
		{"a signature is remembered until it expires (S7)", testReplays},
		{"a domain has one current signing key, and its older ones", testSigningKeys},
		{"origins of many names", testOrigins},
		{"a login in a browser is decided once and taken once (npm.md 3)", testLogins},
		{"waiting logins are bounded, and old ones go", testLoginLimits},
		{"passwords, second factors and revocations are kept (S8, S10)", testSignIn},
		{"groups, roles, policies, keys and providers are kept (codeartifact.md 3.12)", testIdentities},
		{"paths, permissions boundaries and versions of policies are kept (codeartifact.md 3.12)", testPlaces},
		{"searches find by names, keywords, words and authors (npm.md 4)", testSearch},
		{"searches follow every change and show what is listed", testSearchFollows},
		{"what an older release wrote becomes searchable, in batches (R20)", testBackfill},
		{"stars are kept per principal and package", testStars},
		{"uploads grow at their end only, and expire (R12)", testUploads},
		{"package groups are kept with their lists (codeartifact.md 3.7)", testPackageGroups},
		{"blocks are kept, with the revisions that have blocked bytes (S47)", testBlocks},
		{"tags of repositories are found by the beginning of their keys", testRepositoryTags},
		{"packages of a domain are listed once, in the order of weak paths", testDomainPackages},
		{"changes are found by their time", testChangesByTime},
		{"webhooks are kept with a sealed secret (S37)", testWebhooks},
		{"deliveries of a package never overtake (codeartifact.md 3.13)", testDeliveries},
		{"assets of revisions by name", testAssetNames},
		{"what an insert returns is what was stored", testWritten},
		{"no package in a repository that is gone", testGoneRepository},
		{"new blobs, and rows found before (R14)", testNewBlobs},
		{"bodies of small blobs come and go with their rows (R2, R14)", testBodies},
		{"changes recorded together keep their order", testRecordMany},
		{"cursors stay short with the longest names (codeartifact.md 1.2)", testLongCursors},
		{"a lease has one holder, and a fencing number (R14)", testLeases},
		{"damaged blobs are marked, released and replaced (R15)", testQuarantine},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.test(t, newWorld(t, open))
		})
	}
}

const account packhouse.AccountID = "123456789012"

// world is a catalog with a domain and two repositories.
type world struct {
	Opened
	t       *testing.T
	ctx     context.Context
	now     time.Time
	changes chan []packhouse.Change // what OnCommit told
	domain  catalog.DomainRow
	a, b    catalog.RepositoryRow
	serial  int
}

func newWorld(t *testing.T, open func(testing.TB, catalog.Options) Opened) *world {
	w := &world{t: t, ctx: t.Context(), now: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), changes: make(chan []packhouse.Change, 10_000)}
	w.Opened = open(t, catalog.Options{Sealer: marking{}, Now: func() time.Time { return w.now }, OnCommit: func(c []packhouse.Change) { w.changes <- c }})
	w.update(func(tx *catalog.Tx) error {
		if err := tx.InsertAccount(w.ctx, account, "main"); err != nil {
			return err
		}
		return w.makeDomain(tx, "dom", &w.domain)
	})
	w.a, w.b = w.repository("a"), w.repository("b")
	return w
}

func (w *world) makeDomain(tx *catalog.Tx, name string, d *catalog.DomainRow) (err error) {
	*d = catalog.DomainRow{Ref: packhouse.DomainRef{Owner: account, Name: name}, KeyARN: "arn:key", Mode: "sealed", Bucket: "assets-1-here",
		Key: packhouse.KeyRef{KeyID: "local", Keyset: []byte("wrapped " + name)}, Created: w.now}
	d.ID, err = tx.InsertDomain(w.ctx, *d)
	d.Key.DomainID = d.ID
	return err
}

func (w *world) repository(name string) catalog.RepositoryRow {
	r := catalog.RepositoryRow{UUID: "uuid-" + name + fmt.Sprint(w.next()), DomainID: w.domain.ID, Ref: packhouse.RepoRef{Domain: w.domain.Ref, Name: name},
		Administrator: account, Description: "repository " + name, Created: w.now}
	w.update(func(tx *catalog.Tx) (err error) {
		r.ID, err = tx.InsertRepository(w.ctx, r)
		return err
	})
	return r
}

func (w *world) next() int { w.serial++; return w.serial }

// errUndo ends an update whose writes are not wanted.
var errUndo = errors.New("undo")

// update runs fn, which may fail with errUndo only.
func (w *world) update(fn func(*catalog.Tx) error) {
	w.t.Helper()
	if err := w.DB.Update(w.ctx, fn); err != nil && !errors.Is(err, errUndo) {
		w.t.Fatalf("update: %v", err)
	}
}

func (w *world) view(fn func(*catalog.Tx) error) {
	w.t.Helper()
	if err := w.DB.View(w.ctx, fn); err != nil {
		w.t.Fatalf("view: %v", err)
	}
}

// number runs a query past the catalog.
func (w *world) number(q string, args ...any) (n int64) {
	w.t.Helper()
	if err := w.Raw.QueryRowContext(w.ctx, q, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", q, err)
	}
	return n
}

func name(s string) packhouse.PackageName {
	return packhouse.PackageName{Format: "npm", Namespace: "acme", Name: s}
}

// pkg finds or adds a package record.
func (w *world) pkg(tx *catalog.Tx, repo catalog.RepositoryRow, n packhouse.PackageName) (packhouse.Package, error) {
	p, err := tx.LockPackage(w.ctx, repo.ID, n)
	if err == nil {
		return p, nil
	}
	return tx.InsertPackage(w.ctx, catalog.NewPackage{RepoID: repo.ID, DomainID: w.domain.ID, Name: n, DisplayName: n.Name + "!",
		CollisionKey: n.Namespace + "/" + n.Name, Controls: packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}, At: w.now})
}

// blob uses the blob of some content; its size is the content's length.
func (w *world) blob(tx *catalog.Tx, content string) (catalog.BlobRow, error) {
	row, _, err := tx.UseBlob(w.ctx, w.blobRow(content))
	return row, err
}

func (w *world) blobRow(content string) catalog.BlobRow {
	d := digest(content)
	return catalog.BlobRow{DomainID: w.domain.ID, BlobRef: packhouse.BlobRef{Digest: d, Size: int64(len(content)), Object: fmt.Sprintf("%s-%d", d.Hex()[:8], w.next()),
		WrappedKey: []byte("key of " + content[:1]), KeyID: "k1"}}
}

// revision ensures a revision whose files are contents, each "name=content".
func (w *world) revision(tx *catalog.Tx, revision string, contents ...string) (int64, error) {
	r := catalog.Revision{Domain: w.domain.Key, Name: revision, Format: "npm", Facts: facts(revision)}
	for i, c := range contents {
		b, err := w.blob(tx, c)
		if err != nil {
			return 0, err
		}
		r.Assets = append(r.Assets, catalog.RevisionAsset{Name: fmt.Sprintf("file-%d", i), BlobID: b.ID, MediaType: "text/plain", Side: i == 1})
		r.Size += b.Size
	}
	return tx.EnsureRevision(w.ctx, r)
}

func facts(s string) packhouse.Facts {
	return packhouse.Facts{Summary: "summary of " + s, Keywords: []string{"k"}, Readme: "readme of " + s,
		Dependencies: []packhouse.Dependency{{Package: "dep", Type: "regular", Requirement: "^1"}},
		Manifest:     []byte(`{"manifest":"` + s + `"}`), Fragment: []byte(`{"fragment":"` + s + `"}`), FragmentVersion: 3}
}

// publish adds a version of a package with the given contents as files.
func (w *world) publish(tx *catalog.Tx, repo catalog.RepositoryRow, n packhouse.PackageName, version string, contents ...string) (catalog.VersionRow, error) {
	p, err := w.pkg(tx, repo, n)
	if err != nil {
		return catalog.VersionRow{}, err
	}
	revision, err := w.revision(tx, n.Name+"@"+version+fmt.Sprint(contents), contents...)
	if err != nil {
		return catalog.VersionRow{}, err
	}
	v, err := tx.InsertVersion(w.ctx, catalog.NewVersion{PackageID: p.ID, Version: version, VersionKey: version, RevisionID: revision, Status: packhouse.Published,
		Origin: packhouse.Origin{Type: packhouse.OriginInternal, Repository: repo.Ref.Name}, Published: w.now, Recorded: w.now, Overlay: []byte(`{"deprecated":"no"}`)})
	if err != nil {
		return v, err
	}
	_, err = tx.BumpPackage(w.ctx, p.ID, w.now)
	return v, err
}
