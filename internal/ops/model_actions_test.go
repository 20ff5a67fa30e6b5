package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

const (
	modelConnection = "public:model"
	modelAsset      = "package.tgz"
	modelStep       = time.Hour
)

// modelRegistry is a public registry: the versions of packages with their contents.
type modelRegistry struct {
	*httptest.Server
	mu       sync.Mutex
	packages map[string]map[string]string
}

func newModelRegistry(t *testing.T) *modelRegistry {
	g := &modelRegistry{packages: map[string]map[string]string{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *modelRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, version, isFile := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	versions := g.versions(name)
	content, found := versions[version]
	switch {
	case isFile && found:
		_, _ = io.WriteString(w, content)
	case !isFile && len(versions) > 0:
		_ = json.NewEncoder(w).Encode(versions)
	default:
		http.NotFound(w, r)
	}
}

// versions returns a copy of a package's versions; empty where there is no package.
func (g *modelRegistry) versions(name string) map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.packages[name])
}

func (g *modelRegistry) content(name, version string) (string, bool) {
	content, ok := g.versions(name)[version]
	return content, ok
}

// add puts a version into the registry, which never changes one that it has.
func (g *modelRegistry) add(name, version, content string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.packages[name] == nil {
		g.packages[name] = map[string]string{}
	}
	if _, ok := g.packages[name][version]; !ok {
		g.packages[name][version] = content
	}
}

// pulledRoom is a testRoom that speaks the registry's protocol.
type pulledRoom struct{ testRoom }

func (pulledRoom) Connections() []format.PublicConnection {
	return []format.PublicConnection{{Name: modelConnection}}
}

func (pulledRoom) FetchIndex(ctx context.Context, get format.Getter, name packhouse.PackageName, prior format.Validators) (format.FetchedIndex, error) {
	resp, err := get.Get(ctx, name.Name, nil, prior)
	return format.FetchedIndex{Body: resp.Body, Validators: resp.Validators}, err
}

func (pulledRoom) ReadIndex(name packhouse.PackageName, body []byte) (*format.RemoteIndex, error) {
	var versions map[string]string
	if err := json.Unmarshal(body, &versions); err != nil {
		return nil, err
	}
	index := &format.RemoteIndex{DisplayName: name.Name}
	for _, v := range slices.Sorted(maps.Keys(versions)) {
		sum := sha256.Sum256([]byte(versions[v]))
		index.Versions = append(index.Versions, format.RemoteVersion{Version: v, Assets: []format.RemoteAsset{{
			Name: modelAsset, URL: name.Name + "/" + v, Size: int64(len(versions[v])), Hashes: packhouse.Hashes{SHA256: hex.EncodeToString(sum[:])},
		}}})
	}
	return index, nil
}

var (
	modelVersions = []string{"1.0", "2.0", "3.0"}
	modelContents = []string{"", "x", "yy", "zzzz"}
	modelStatuses = []packhouse.Status{packhouse.Published, packhouse.Unlisted, packhouse.Archived, packhouse.Disposed, packhouse.Deleted}
)

// pick draws a repository and versions that may or may not exist there.
func (m *model) pick(t *rapid.T) (repo int, versions []string) {
	return rapid.IntRange(0, len(m.repos)-1).Draw(t, "repo"),
		rapid.SliceOfNDistinct(rapid.SampledFrom(modelVersions), 1, 3, rapid.ID[string]).Draw(t, "versions")
}

func (m *model) publish(t *rapid.T) {
	i, versions := m.pick(t)
	r, version, content := m.repos[i], versions[0], rapid.SampledFrom(modelContents).Draw(t, "content")
	staged, err := m.e.s.Stage(m.e.ctx, m.e.admin, r.pkg, strings.NewReader(content), 0)
	if err == nil {
		_, err = m.e.s.Publish(m.e.ctx, m.e.admin, format.Publication{
			Package: r.pkg, DisplayName: m.name, Version: version, Assets: []format.NewAsset{{Name: modelAsset, Content: staged}},
		})
	}
	old, exists := r.version(version)
	want := packhouse.KindInternal // for no error
	switch {
	case r.record != nil && r.record.controls.Publish == packhouse.Block:
		want = packhouse.KindDenied
	case exists && (old.content != content || !old.shown()):
		want = packhouse.KindConflict
	case exists:
	default:
		if _, _, upstream := m.find(i, version, true); upstream {
			want = packhouse.KindConflict
		}
	}
	if want != packhouse.KindInternal {
		if packhouse.KindOf(err) != want {
			t.Fatalf("publish of %s over %+v: %v, want %s", version, old, err, want)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !exists {
		r.put(version, modelVersion{content, packhouse.Published, packhouse.Origin{Type: packhouse.OriginInternal, Repository: r.pkg.Repo.Name}}, allowBlock)
	}
}

// pull downloads an asset as a client does. It is kept in the asked repository and in
// the one whose connection had it, and nowhere between (3.2).
func (m *model) pull(t *rapid.T) {
	i, versions := m.pick(t)
	r, version := m.repos[i], versions[0]
	_, c, err := m.e.s.Asset(m.e.ctx, m.e.admin, packhouse.AssetRef{VersionRef: r.pkg.At(version), Asset: modelAsset})
	found, src, ok := m.find(i, version, true)
	if !ok || !found.shown() {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("pull of %s, %+v: %v, want NotFound", version, found, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("pull of %s, %+v: %v", version, found, err)
	}
	if got := read(t, c); got != found.content {
		t.Fatalf("pulled %q, want %q of %+v", got, found.content, src)
	}
	keep := []*modelRepo{r}
	if src.connection && src.repo != i {
		keep = append(keep, m.repos[src.repo])
	}
	for _, k := range keep {
		if _, has := k.version(version); !has {
			k.put(version, found, blockAllow)
			m.await(t, k.pkg.At(version))
		}
	}
}

// await waits until a version is kept, which may be after its last byte was served.
func (m *model) await(t *rapid.T, v packhouse.VersionRef) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := m.e.s.Version(m.e.ctx, m.e.admin, v)
		if err == nil {
			return
		}
		if packhouse.KindOf(err) != packhouse.KindNotFound || time.Now().After(deadline) {
			t.Fatalf("%s is not kept: %v", v, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// change changes versions in the engine and, where the rules say so, in the model.
func (m *model) change(t *rapid.T) {
	i, versions := m.pick(t)
	target := rapid.SampledFrom(modelStatuses).Draw(t, "target")
	in := ChangeVersions{Package: m.repos[i].pkg, Versions: versions,
		ExpectedStatus: rapid.SampledFrom(append([]packhouse.Status{"", "", ""}, modelStatuses...)).Draw(t, "expected")}
	var b Batch
	var err error
	switch target {
	case packhouse.Disposed:
		b, err = m.e.s.DisposeVersions(m.e.ctx, m.e.admin, in)
	case packhouse.Deleted:
		b, err = m.e.s.DeleteVersions(m.e.ctx, m.e.admin, in)
	default:
		b, err = m.e.s.UpdateVersionsStatus(m.e.ctx, m.e.admin, in, target)
	}
	record := m.repos[i].record
	if record == nil {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("change without a record: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !outcome(t, b, versions, m.judgeChange(i, versions, in.ExpectedStatus, target)) {
		return
	}
	for _, version := range versions {
		if target == packhouse.Deleted {
			delete(record.versions, version)
			continue
		}
		v := record.versions[version]
		v.status = target
		record.versions[version] = v
	}
}

func (m *model) copy(t *rapid.T) {
	from, versions := m.pick(t)
	to := (from + rapid.IntRange(1, len(m.repos)-1).Draw(t, "to")) % len(m.repos)
	overwrite, upstreams := rapid.Bool().Draw(t, "overwrite"), rapid.Bool().Draw(t, "includeFromUpstream")
	b, err := m.e.s.CopyVersions(m.e.ctx, m.e.admin, CopyVersions{
		Domain: m.repos[from].pkg.Repo.Domain, Source: m.repos[from].pkg.Repo.Name, Destination: m.repos[to].pkg.Repo.Name,
		Package: m.repos[from].pkg.Package, Versions: versions, AllowOverwrite: overwrite, IncludeFromUpstream: upstreams,
	})
	if err != nil {
		t.Fatal(err)
	}
	copied, failed := m.judgeCopy(from, to, versions, overwrite, upstreams)
	if !outcome(t, b, slices.Collect(maps.Keys(copied)), failed) || len(copied) == 0 {
		return
	}
	controls := m.copiedControls(from, copied)
	for version, v := range copied {
		m.repos[to].put(version, v, controls)
	}
}

// outcome checks a batch against the versions that had to fail and those that would be
// changed, and reports whether these were.
func outcome(t *rapid.T, b Batch, would []string, failed map[string]string) bool {
	want := maps.Clone(failed)
	for _, v := range would {
		if _, ok := want[v]; !ok && len(failed) > 0 {
			want[v] = FailedSkipped
		}
	}
	got := map[string]string{}
	for v, f := range b.Failed {
		got[v] = f.Code
	}
	if !maps.Equal(got, want) {
		t.Fatalf("failed %v, want %v", got, want)
	}
	done := slices.Sorted(maps.Keys(b.Done))
	if len(failed) > 0 {
		would = nil
	}
	if !slices.Equal(done, slices.Sorted(slices.Values(would))) {
		t.Fatalf("done %v, want %v", done, would)
	}
	return len(failed) == 0
}

func (m *model) putControls(t *rapid.T) {
	i, _ := m.pick(t)
	either := rapid.SampledFrom([]packhouse.Restriction{packhouse.Allow, packhouse.Block})
	c := packhouse.OriginControls{Publish: either.Draw(t, "publish"), Upstream: either.Draw(t, "upstream")}
	if _, err := m.e.s.PutControls(m.e.ctx, m.e.admin, m.repos[i].pkg, c); err != nil {
		t.Fatal(err)
	}
	if r := m.repos[i]; r.record == nil {
		r.record = &modelRecord{versions: map[string]modelVersion{}}
	}
	m.repos[i].record.controls = c
}

func (m *model) deletePackage(t *rapid.T) {
	i, _ := m.pick(t)
	r := m.repos[i]
	_, err := m.e.s.DeletePackage(m.e.ctx, m.e.admin, r.pkg)
	if (r.record == nil) == (err == nil) || err != nil && packhouse.KindOf(err) != packhouse.KindNotFound {
		t.Fatalf("delete package: %v, record %+v", err, r.record)
	}
	r.record = nil
}

// recreateRepository deletes a repository, which leaves the lists of others, and makes an
// empty one of the same name.
func (m *model) recreateRepository(t *rapid.T) {
	i, _ := m.pick(t)
	ref := m.repos[i].pkg.Repo
	if _, err := m.e.s.DeleteRepository(m.e.ctx, m.e.admin, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := m.e.s.CreateRepository(m.e.ctx, m.e.admin, CreateRepository{Ref: ref}); err != nil {
		t.Fatal(err)
	}
	m.repos[i] = &modelRepo{pkg: m.repos[i].pkg}
	for _, r := range m.repos {
		r.upstreams = slices.DeleteFunc(r.upstreams, func(up int) bool { return up == i })
	}
}

// rewire gives a repository other upstreams, in any order.
func (m *model) rewire(t *rapid.T) {
	i := rapid.IntRange(0, len(m.repos)-2).Draw(t, "repo")
	ups := rapid.SliceOfDistinct(rapid.IntRange(i+1, len(m.repos)-1), rapid.ID[int]).Draw(t, "upstreams")
	names := make([]string, len(ups))
	for n, up := range ups {
		names[n] = m.repos[up].pkg.Repo.Name
	}
	if _, err := m.e.s.UpdateRepository(m.e.ctx, m.e.admin, m.repos[i].pkg.Repo, nil, &names); err != nil {
		t.Fatal(err)
	}
	m.repos[i].upstreams = ups
}

// connect adds the connection to a repository, or removes it.
func (m *model) connect(t *rapid.T) {
	i, _ := m.pick(t)
	r := m.repos[i]
	do := m.e.s.AssociateConnection
	if r.connected {
		do = m.e.s.DisassociateConnection
	}
	if _, err := do(m.e.ctx, m.e.admin, r.pkg.Repo, modelConnection); err != nil {
		t.Fatal(err)
	}
	r.connected = !r.connected
}

func (m *model) registryPublish(t *rapid.T) {
	_, versions := m.pick(t)
	m.registry.add(m.name, versions[0], rapid.SampledFrom(modelContents[1:]).Draw(t, "content")) // an empty file is a fault of it
}

// check compares everything that can be seen: records, versions with status, origin and
// bytes, what clients are shown, and the domain's size.
func (m *model) check(t *rapid.T) {
	for i, r := range m.repos {
		m.checkShown(t, i)
		record, err := m.e.s.Package(m.e.ctx, m.e.admin, r.pkg)
		if r.record == nil {
			if packhouse.KindOf(err) != packhouse.KindNotFound {
				t.Fatalf("repository %d has a record: %v", i, err)
			}
			continue
		}
		if err != nil || record.Controls != r.record.controls {
			t.Fatalf("repository %d has controls %v, want %v: %v", i, record.Controls, r.record.controls, err)
		}
		rows, _, _, err := m.e.s.Versions(m.e.ctx, m.e.admin, r.pkg, VersionQuery{}, Page{})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]modelVersion{}
		for _, v := range rows {
			want := r.record.versions[v.Ref.Version]
			got[v.Ref.Version] = modelVersion{m.bytes(t, r.pkg.At(v.Ref.Version), v.Status, want.content), v.Status, v.Origin}
		}
		if !maps.Equal(got, r.record.versions) {
			t.Fatalf("repository %d holds %v, want %v", i, got, r.record.versions)
		}
	}
	d, err := m.e.s.Domain(m.e.ctx, m.e.admin, m.repos[0].pkg.Repo.Domain)
	if want := m.size(); err != nil || d.AssetSizeBytes != want {
		t.Fatalf("assetSizeBytes %d, %v; want %d", d.AssetSizeBytes, err, want)
	}
}

// checkShown compares the merged list of a repository.
func (m *model) checkShown(t *rapid.T, i int) {
	ctx, done := context.WithCancel(m.e.ctx)
	defer done()
	view, _, err := m.e.s.resolver.View(ctx, m.repos[i].pkg, false)
	want, known := m.merged(i)
	if !known {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("repository %d shows %+v, %v; nobody has the package", i, view.Entries, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]packhouse.Status{}
	for _, entry := range view.Entries {
		got[entry.Version] = entry.Status
		if _, own := m.repos[i].version(entry.Version); own != entry.Local {
			t.Fatalf("repository %d shows %s as its own: %v, want %v", i, entry.Version, entry.Local, own)
		}
	}
	if len(view.Entries) != len(got) || !maps.Equal(got, want) {
		t.Fatalf("repository %d shows %+v, want %v", i, view.Entries, want)
	}
}

// bytes reads a version's asset; where the status withholds it, it checks that and
// returns hidden.
func (m *model) bytes(t *rapid.T, v packhouse.VersionRef, status packhouse.Status, hidden string) string {
	_, _, c, err := m.e.s.VersionAsset(m.e.ctx, m.e.admin, packhouse.AssetRef{VersionRef: v, Asset: modelAsset}, "")
	if status == packhouse.Archived || status == packhouse.Disposed {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("read of an %s version: %v", status, err)
		}
		return hidden
	}
	if err != nil {
		t.Fatal(err)
	}
	return read(t, c)
}

// read reads content to its end and closes it.
func read(t *rapid.T, c *format.Content) string {
	defer func() { _ = c.Close() }()
	r := c.Stream
	if c.At != nil {
		r = io.NewSectionReader(c.At, 0, c.Size)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
