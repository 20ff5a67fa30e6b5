package jobs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	"github.com/packhouse/packhouse/internal/keys"
	"github.com/packhouse/packhouse/internal/vault"
	"github.com/packhouse/packhouse/internal/vault/vaulttest"
)

// house is a catalog and a vault with one domain and one repository.
type house struct {
	Store
	t      *testing.T
	keys   keys.Provider
	blobs  *memblob.Store
	opened *opens
	log    *logBuffer
	runner *Runner
	domain catalog.DomainRow
	repo   catalog.RepositoryRow

	mu      sync.Mutex
	changes []packhouse.Change
}

// opens is a store that tells which objects were opened.
type opens struct {
	blob.Store
	mu   sync.Mutex
	keys []string
	then func(n int) // called before the n-th opening; nil for nothing
}

func (s *opens) Open(ctx context.Context, key blob.Key) (blob.Object, error) {
	s.mu.Lock()
	s.keys = append(s.keys, string(key))
	n, then := len(s.keys), s.then
	s.mu.Unlock()
	if then != nil {
		then(n)
	}
	return s.Store.Open(ctx, key)
}

func (s *opens) forget(then func(int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.then = nil, then
}

func (s *opens) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.keys)
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const account packhouse.AccountID = "123456789012"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, log: &logBuffer{}}
	_, h.blobs, h.keys = vaulttest.NewParts(t)
	h.opened = &opens{Store: h.blobs}
	h.Vault = vault.New(h.opened, h.keys)
	h.Log = slog.New(slog.NewJSONHandler(h.log, nil))
	h.Catalog = catalogtest.OpenWith(t, catalog.Options{OnCommit: func(c []packhouse.Change) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.changes = append(h.changes, c...)
	}})
	h.runner = NewRunner(h.Catalog, h.Log)
	h.domain = catalog.DomainRow{Ref: packhouse.DomainRef{Owner: account, Name: "main"}, KeyARN: "arn", Mode: "sealed", Bucket: "b", Created: time.Now(),
		Key: vaulttest.KeyRef(t, h.Vault, h.keys, 0)}
	h.update(func(ctx context.Context, tx *catalog.Tx) (err error) {
		if err := tx.InsertAccount(ctx, account, "main"); err != nil {
			return err
		}
		h.domain.ID, err = tx.InsertDomain(ctx, h.domain)
		return err
	})
	h.domain.Key.DomainID = h.domain.ID
	h.repo = h.repository("store")
	return h
}

func (h *house) repository(name string) catalog.RepositoryRow {
	h.t.Helper()
	r := catalog.RepositoryRow{UUID: name, DomainID: h.domain.ID, Ref: packhouse.RepoRef{Domain: h.domain.Ref, Name: name}, Administrator: account, Created: time.Now()}
	h.update(func(ctx context.Context, tx *catalog.Tx) (err error) {
		r.ID, err = tx.InsertRepository(ctx, r)
		return err
	})
	return r
}

func (h *house) update(fn func(context.Context, *catalog.Tx) error) {
	h.t.Helper()
	if err := h.Catalog.Update(h.t.Context(), func(tx *catalog.Tx) error { return fn(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// publish puts a version of one file into a repository and returns the blob's row.
func (h *house) publish(repo catalog.RepositoryRow, name string, body []byte) (row catalog.BlobRow) {
	h.t.Helper()
	ref := h.keep(body, 1)
	h.update(func(ctx context.Context, tx *catalog.Tx) (err error) {
		if row, _, err = tx.UseBlob(ctx, catalog.BlobRow{BlobRef: ref, DomainID: h.domain.ID}); err != nil {
			return err
		}
		n := packhouse.PackageName{Format: "npm", Namespace: "acme", Name: name}
		p, err := tx.InsertPackage(ctx, catalog.NewPackage{RepoID: repo.ID, DomainID: h.domain.ID, Name: n, DisplayName: name, CollisionKey: "acme/" + name, At: time.Now()})
		if err != nil {
			return err
		}
		id, err := tx.EnsureRevision(ctx, catalog.Revision{Domain: h.domain.Key, Format: "npm", Name: "revision of " + name, Size: ref.Size,
			Assets: []catalog.RevisionAsset{{Name: name + ".tgz", BlobID: row.ID}}})
		if err != nil {
			return err
		}
		_, err = tx.InsertVersion(ctx, catalog.NewVersion{PackageID: p.ID, Version: "1.0.0", VersionKey: "1.0.0", RevisionID: id, Status: packhouse.Published,
			Origin: packhouse.Origin{Type: packhouse.OriginInternal, Repository: repo.Ref.Name}, Published: time.Now(), Recorded: time.Now()})
		return err
	})
	return row
}

func (h *house) keep(body []byte, generation int64) packhouse.BlobRef {
	h.t.Helper()
	st, err := h.Vault.Stage(h.t.Context(), h.domain.Key, int64(len(body)), false)
	if err != nil {
		h.t.Fatal(err)
	}
	defer st.Discard()
	if _, err := st.Write(body); err != nil {
		h.t.Fatal(err)
	}
	if err := st.Finish(); err != nil {
		h.t.Fatal(err)
	}
	ref, err := st.Keep(h.t.Context(), generation)
	if err != nil {
		h.t.Fatal(err)
	}
	return ref
}

// flip flips a random bit of a stored object and returns how to mend it.
func (h *house) flip(b catalog.BlobRow) (mend func()) {
	h.t.Helper()
	info, err := h.blobs.Stat(h.t.Context(), blob.Key(b.Object))
	if err != nil {
		h.t.Fatal(err)
	}
	bit := rand.IntN(int(info.Size) * 8)
	change := func() {
		h.t.Helper()
		if err := h.blobs.Corrupt(blob.Key(b.Object), func(p []byte) []byte { p[bit/8] ^= 1 << (bit % 8); return p }); err != nil {
			h.t.Fatal(err)
		}
	}
	change()
	return change
}

// quarantined returns the digests of what is marked.
func (h *house) quarantined() map[packhouse.Digest]bool {
	h.t.Helper()
	blobs, err := h.Store.blobs(h.t.Context(), catalog.BlobFilter{Quarantined: true, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	out := map[packhouse.Digest]bool{}
	for _, b := range blobs {
		out[b.Digest] = true
	}
	return out
}

// told returns what was recorded since it was asked last.
func (h *house) told() (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.changes {
		out = append(out, fmt.Sprintf("%s %s/%s %s@%s", c.Kind, c.Domain.Name, c.Repo, c.Package, c.Version))
	}
	h.changes = nil
	return out
}

// scrub makes one pass, or goes on with one.
func (h *house) scrub(s *Scrub) error {
	h.t.Helper()
	return h.runner.once(h.t.Context(), s.Work())
}

func (h *house) newScrub() *Scrub {
	return &Scrub{Store: h.Store, Cycle: time.Nanosecond, Rate: 1 << 40}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// engines opens catalogs on one database of each engine.
func engines(t *testing.T, test func(t *testing.T, open func() *catalog.DB)) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "shared.db") },
		"postgres": func(t *testing.T) string { return catalogtest.Schema(t, catalogtest.PostgresServer(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			at := dsn(t)
			test(t, func() *catalog.DB { return catalogtest.OpenWith(t, catalog.Options{DSN: at}) })
		})
	}
}
