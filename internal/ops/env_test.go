package ops

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/catalog/catalogtest"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault"
	"github.com/packhouse/packhouse/internal/vault/vaulttest"
)

// The accounts, region and formats of the tests.
const (
	ours       packhouse.AccountID = "111122223333"
	theirs     packhouse.AccountID = "222222222222"
	testRegion                     = "us-west-2"

	tagFormat    packhouse.FormatID = "tagged"   // one asset, tags, upstreams, optional namespace
	assetsFormat packhouse.FormatID = "assets"   // assets by PublishAsset, needs a namespace
	plainFormat  packhouse.FormatID = "plain"    // no namespace, late assets always
	futureFormat packhouse.FormatID = "roomless" // known, without a room
	strictFormat packhouse.FormatID = "strict"   // the same, with a rule about namespaces
)

// testRoom is a format with as few rules as it takes: versions are what stands before
// "+", compared as text with shorter ones first.
type testRoom struct{ spec format.Spec }

func (r testRoom) Spec() format.Spec { return r.spec }

func (r testRoom) Canonical(namespace, name string) (packhouse.PackageName, error) {
	return packhouse.PackageName{Format: r.spec.ID, Namespace: strings.TrimPrefix(namespace, "@"), Name: name}, nil
}

func (r testRoom) VersionKey(version string) (string, error) {
	key, _, _ := strings.Cut(version, "+")
	if key == "" || strings.ContainsAny(key, " !") {
		return "", packhouse.Invalidf("invalid_version", "%q is not a version", version)
	}
	return key, nil
}

func (r testRoom) Compare(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func (r testRoom) Routes(format.House) []format.Route { return nil }

func testRooms() map[packhouse.FormatID]format.Format {
	rooms := make(map[packhouse.FormatID]format.Format)
	for _, spec := range []format.Spec{
		{ID: tagFormat, Namespace: format.NamespaceOptional, LateAssets: format.LateNever, Upstreams: true, HasReadme: true, DefaultTag: "latest"},
		{ID: assetsFormat, Namespace: format.NamespaceRequired, LateAssets: format.LateWhileUnfinished, ViaAPI: true},
		{ID: plainFormat, Namespace: format.NamespaceForbidden, LateAssets: format.LateAlways, Upstreams: true},
	} {
		rooms[spec.ID] = testRoom{spec}
	}
	return rooms
}

// env is an engine over stores in memory, with one account's administrator, a principal
// that no policy says anything about, and an administrator of another account.
type env struct {
	t        testing.TB
	ctx      context.Context
	s        *Service
	db       *catalog.DB
	vault    *vault.Vault
	blobs    blob.Store
	identity *identity.Service
	now      atomic.Int64 // unix nanoseconds
	changes  chan packhouse.Change
	opened   catalog.Options // what db was opened with
	made     Options         // what s was made with

	admin, nobody, stranger packhouse.Principal
}

// newEnv makes an engine; adjust may change its options.
func newEnv(t testing.TB, adjust ...func(*Options)) *env {
	t.Helper()
	e := &env{t: t, ctx: t.Context(), changes: make(chan packhouse.Change, 10000)}
	e.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, e.now.Load()).UTC() }
	v, blobs, provider := vaulttest.NewWithRows(t)
	clock := feed.NewClock()
	installation := vaulttest.KeyRef(t, v, provider, 0)
	e.opened = catalog.Options{
		DSN: catalogtest.PrivateDSN(t), Sealer: sealer{v, installation}, Now: now,
		OnCommit: func(changes []packhouse.Change) {
			clock.Advance(changes)
			for _, c := range changes {
				e.changes <- c
			}
		},
	}
	db := catalogtest.OpenWith(t, e.opened)
	e.must(db.Update(e.ctx, func(tx *catalog.Tx) error {
		err := tx.InsertInstallation(e.ctx, catalog.Installation{
			UUID: "test", TokenEpoch: 1, Keyset: installation.Keyset, KeyID: installation.KeyID, Created: now(),
		})
		if err != nil {
			return err
		}
		if err := tx.InsertAccount(e.ctx, ours, "ours"); err != nil {
			return err
		}
		return tx.InsertAccount(e.ctx, theirs, "theirs")
	}))
	blobs.Attach(db)
	e.vault, e.blobs, e.db = v, blobs, db
	var err error
	e.identity, err = identity.New(e.ctx, identity.Options{Catalog: db, TokenKey: bytes.Repeat([]byte{7}, 32), Now: now})
	e.must(err)
	o := Options{
		Catalog: db, Vault: v, Keys: provider, Identity: e.identity, Clock: clock, Formats: testRooms(),
		KeyARN: func(a packhouse.AccountID, keyID string) string {
			return "arn:aws:kms:" + testRegion + ":" + string(a) + ":key/" + keyID
		},
		KnownFormats: []packhouse.FormatID{tagFormat, assetsFormat, plainFormat, futureFormat, strictFormat},
		Namespaces:   map[packhouse.FormatID]format.NamespaceRule{strictFormat: format.NamespaceRequired},
		Connections: map[string]fetch.Connection{
			"public:first":  {Name: "public:first", Format: tagFormat},
			"public:second": {Name: "public:second", Format: futureFormat},
		},
		Region: testRegion, Account: ours, Now: now,
	}
	for _, f := range adjust {
		f(&o)
	}
	o.Resolver = resolve.New(resolve.Options{Catalog: db, Vault: v, Clock: clock, Formats: o.Formats, Connections: o.Connections, Now: now, Fetch: fetch.New(fetch.Options{})})
	t.Cleanup(func() { e.must(o.Resolver.Close(context.Background())) })
	e.s, e.made = New(o), o
	e.admin = e.user(ours, "admin", allowAll)
	e.stranger = e.user(theirs, "admin", allowAll)
	e.nobody = e.user(ours, "nobody", "")
	return e
}

// sealer seals with the vault, what belongs to no domain under the installation's keyset.
type sealer struct {
	*vault.Vault
	installation packhouse.KeyRef
}

func (s sealer) key(k packhouse.KeyRef) packhouse.KeyRef {
	if k.DomainID == 0 {
		return s.installation
	}
	return k
}

func (s sealer) Seal(ctx context.Context, k packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	return s.Vault.Seal(ctx, s.key(k), aad, plain)
}

func (s sealer) Unseal(ctx context.Context, k packhouse.KeyRef, aad string, sealed []byte) ([]byte, error) {
	return s.Vault.Unseal(ctx, s.key(k), aad, sealed)
}

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// user makes a user with one inline policy, "" for none.
func (e *env) user(a packhouse.AccountID, name, document string) packhouse.Principal {
	e.t.Helper()
	c, err := identity.CreateUser(e.ctx, e.db, packhouse.Principal{}, identity.NewUser{Account: a, Name: name, Document: document})
	e.must(err)
	return c.Principal
}

// allowed makes a user who may do what the statements say, which are JSON objects.
func (e *env) allowed(name string, statements ...string) packhouse.Principal {
	e.t.Helper()
	return e.user(ours, name, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`)
}

func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// wantError fails unless err has the kind and, where given, the reason.
func (e *env) wantError(err error, kind packhouse.Kind, reason string) {
	e.t.Helper()
	if err == nil {
		e.t.Fatalf("no error, want %s %s", kind, reason)
	}
	if got := packhouse.KindOf(err); got != kind || reason != "" && packhouse.ReasonOf(err) != reason {
		e.t.Fatalf("error %s %q (%v), want %s %q", got, packhouse.ReasonOf(err), err, kind, reason)
	}
}

// domain makes a domain of ours.
func (e *env) domain(name string) packhouse.DomainRef {
	e.t.Helper()
	d, err := e.s.CreateDomain(e.ctx, e.admin, CreateDomain{Name: name})
	e.must(err)
	return d.Ref
}

// repo makes a repository.
func (e *env) repo(d packhouse.DomainRef, name string, upstreams ...string) packhouse.RepoRef {
	e.t.Helper()
	r, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: name}, Upstreams: upstreams})
	e.must(err)
	return r.Ref
}

// in names a package of tagFormat in a repository.
func in(r packhouse.RepoRef, name string) packhouse.PackageRef {
	return packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: tagFormat, Name: name}}
}

// publish publishes a version with one asset, package.tgz, holding content.
func (e *env) publish(pkg packhouse.PackageRef, version, content string, tags ...string) packhouse.PackageVersion {
	e.t.Helper()
	staged, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader(content), 0)
	e.must(err)
	out, err := e.s.Publish(e.ctx, e.admin, format.Publication{
		Package: pkg, DisplayName: pkg.Package.Name, Version: version, Tags: tags,
		Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}},
	})
	e.must(err)
	return out.Version
}

// status sets versions' status, or fails.
func (e *env) status(pkg packhouse.PackageRef, s packhouse.Status, versions ...string) {
	e.t.Helper()
	change := ChangeVersions{Package: pkg, Versions: versions}
	var b Batch
	var err error
	if s == packhouse.Disposed {
		b, err = e.s.DisposeVersions(e.ctx, e.admin, change)
	} else {
		b, err = e.s.UpdateVersionsStatus(e.ctx, e.admin, change, s)
	}
	e.must(err)
	if len(b.Failed) > 0 {
		e.t.Fatalf("status %s: failed %v", s, b.Failed)
	}
}

// list returns the versions of a package with their statuses.
func (e *env) list(pkg packhouse.PackageRef) map[string]packhouse.Status {
	e.t.Helper()
	rows, _, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{}, Page{})
	e.must(err)
	m := map[string]packhouse.Status{}
	for _, v := range rows {
		m[v.Ref.Version] = v.Status
	}
	return m
}

// size returns a domain's assetSizeBytes.
func (e *env) size(d packhouse.DomainRef) int64 {
	e.t.Helper()
	out, err := e.s.Domain(e.ctx, e.admin, d)
	e.must(err)
	return out.AssetSizeBytes
}

// recorded takes the changes that were committed since it was last called.
func (e *env) recorded() []packhouse.Change {
	var list []packhouse.Change
	for {
		select {
		case c := <-e.changes:
			list = append(list, c)
		default:
			return list
		}
	}
}

// objects returns how many objects the blob store holds.
func (e *env) objects() (n int) {
	e.t.Helper()
	e.must(e.blobs.List(e.ctx, "", func(blob.Info) error { n++; return nil }))
	return n
}
