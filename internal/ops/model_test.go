package ops

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// modelVersion is what the model keeps of a version: its one asset's bytes and status.
type modelVersion struct {
	content string
	status  packhouse.Status
}

// model is the plain map that the engine is compared with: repository to version. A
// repository is a key when it has a record of the package.
type model struct {
	e     *env
	repos []packhouse.PackageRef // the one package in each repository
	held  map[int]map[string]modelVersion
}

func newModel(e *env, d packhouse.DomainRef) *model {
	m := &model{e: e, held: map[int]map[string]modelVersion{}}
	for i := range 3 {
		m.repos = append(m.repos, in(e.repo(d, fmt.Sprintf("repo-%d", i)), "lib"))
	}
	return m
}

// pick draws a repository and versions that may or may not exist there.
func (m *model) pick(t *rapid.T) (repo int, versions []string) {
	return rapid.IntRange(0, len(m.repos)-1).Draw(t, "repo"),
		rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1.0", "2.0", "3.0"}), 1, 3, rapid.ID[string]).Draw(t, "versions")
}

func (m *model) publish(t *rapid.T) {
	repo, versions := m.pick(t)
	v, content := versions[0], rapid.SampledFrom([]string{"", "x", "yy", "zzzz"}).Draw(t, "content")
	staged, err := m.e.s.Stage(m.e.ctx, m.e.admin, m.repos[repo], strings.NewReader(content), 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.e.s.Publish(m.e.ctx, m.e.admin, format.Publication{
		Package: m.repos[repo], DisplayName: "lib", Version: v, Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}},
	})
	old, exists := m.held[repo][v]
	if exists && (old.content != content || old.status == packhouse.Archived || old.status == packhouse.Disposed) {
		if packhouse.KindOf(err) != packhouse.KindConflict {
			t.Fatalf("publish over %+v: %v, want Conflict", old, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if m.held[repo] == nil {
		m.held[repo] = map[string]modelVersion{}
	}
	if !exists {
		m.held[repo][v] = modelVersion{content, packhouse.Published}
	}
}

// change changes versions in the engine and, where the rules say so, in the model.
func (m *model) change(t *rapid.T) {
	repo, versions := m.pick(t)
	target := rapid.SampledFrom([]packhouse.Status{packhouse.Published, packhouse.Unlisted, packhouse.Archived, packhouse.Disposed, packhouse.Deleted}).Draw(t, "target")
	in := ChangeVersions{Package: m.repos[repo], Versions: versions}
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
	if m.held[repo] == nil {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("change without a record: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, v := range versions {
		old, exists := m.held[repo][v]
		switch {
		case !exists:
			want[v] = FailedNotFound
		case old.status == packhouse.Disposed && target != packhouse.Disposed && target != packhouse.Deleted:
			want[v] = FailedNotAllowed
		}
	}
	if m.outcome(t, b, versions, want) {
		for _, v := range versions {
			if target == packhouse.Deleted {
				delete(m.held[repo], v)
				continue
			}
			m.held[repo][v] = modelVersion{m.held[repo][v].content, target}
		}
	}
}

func (m *model) copy(t *rapid.T) {
	from, versions := m.pick(t)
	to := (from + rapid.IntRange(1, len(m.repos)-1).Draw(t, "to")) % len(m.repos)
	overwrite := rapid.Bool().Draw(t, "overwrite")
	b, err := m.e.s.CopyVersions(m.e.ctx, m.e.admin, CopyVersions{
		Domain: m.repos[from].Repo.Domain, Source: m.repos[from].Repo.Name, Destination: m.repos[to].Repo.Name,
		Package: m.repos[from].Package, Versions: versions, AllowOverwrite: overwrite,
	})
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]string{}
	var copied []string
	for _, v := range versions {
		source, found := m.held[from][v]
		old, exists := m.held[to][v]
		switch {
		case !found:
			failed[v] = FailedNotFound
		case source.status == packhouse.Disposed:
			failed[v] = FailedNotAllowed
		case exists && old.content == source.content && old.status != packhouse.Disposed:
		case exists && !overwrite:
			failed[v] = FailedAlreadyExists
		default:
			copied = append(copied, v)
		}
	}
	if m.outcome(t, b, copied, failed) && len(copied) > 0 {
		if m.held[to] == nil {
			m.held[to] = map[string]modelVersion{}
		}
		for _, v := range copied {
			m.held[to][v] = m.held[from][v]
		}
	}
}

// outcome checks a batch against the versions that had to fail and those that would be
// changed, and reports whether these were.
func (m *model) outcome(t *rapid.T, b Batch, would []string, failed map[string]string) bool {
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

func (m *model) deletePackage(t *rapid.T) {
	repo, _ := m.pick(t)
	_, err := m.e.s.DeletePackage(m.e.ctx, m.e.admin, m.repos[repo])
	if exists := m.held[repo] != nil; exists != (err == nil) {
		t.Fatalf("delete package: %v, existed %v", err, exists)
	}
	delete(m.held, repo)
}

func (m *model) recreateRepository(t *rapid.T) {
	repo, _ := m.pick(t)
	ref := m.repos[repo].Repo
	if _, err := m.e.s.DeleteRepository(m.e.ctx, m.e.admin, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := m.e.s.CreateRepository(m.e.ctx, m.e.admin, CreateRepository{Ref: ref}); err != nil {
		t.Fatal(err)
	}
	delete(m.held, repo)
}

// check compares everything that can be seen: lists, bytes, and the domain's size, which
// counts each distinct asset of a version that is not Disposed once.
func (m *model) check(t *rapid.T) {
	distinct := map[string]bool{}
	for i, pkg := range m.repos {
		rows, _, _, err := m.e.s.Versions(m.e.ctx, m.e.admin, pkg, VersionQuery{}, Page{})
		if m.held[i] == nil {
			if packhouse.KindOf(err) != packhouse.KindNotFound {
				t.Fatalf("list without a record: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]modelVersion{}
		for _, v := range rows {
			got[v.Ref.Version] = modelVersion{m.bytes(t, pkg.At(v.Ref.Version), v.Status, m.held[i][v.Ref.Version].content), v.Status}
		}
		if !maps.Equal(got, m.held[i]) {
			t.Fatalf("repository %d holds %v, want %v", i, got, m.held[i])
		}
		for _, v := range m.held[i] {
			if v.status != packhouse.Disposed {
				distinct[v.content] = true
			}
		}
	}
	var want int64
	for content := range distinct {
		want += int64(len(content))
	}
	d, err := m.e.s.Domain(m.e.ctx, m.e.admin, m.repos[0].Repo.Domain)
	if err != nil || d.AssetSizeBytes != want {
		t.Fatalf("assetSizeBytes %d, %v; want %d", d.AssetSizeBytes, err, want)
	}
}

// bytes reads a version's asset; where the status withholds it, it checks that and
// returns hidden.
func (m *model) bytes(t *rapid.T, v packhouse.VersionRef, status packhouse.Status, hidden string) string {
	_, _, c, err := m.e.s.VersionAsset(m.e.ctx, m.e.admin, packhouse.AssetRef{VersionRef: v, Asset: "package.tgz"}, "")
	if status == packhouse.Archived || status == packhouse.Disposed {
		if packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Fatalf("read of an %s version: %v", status, err)
		}
		return hidden
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	b, err := io.ReadAll(io.NewSectionReader(c.At, 0, c.Size))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Random sequences of publishes, status changes, copies, disposals and deletions show
// the same as a plain map does (layout.md 11, codeartifact.md 2.4, 3.4-3.6).
func TestModel(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.DomainsPerAccount = 1 << 30 })
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := newModel(e, e.domain(fmt.Sprintf("model-%d", n)))
		t.Repeat(map[string]func(*rapid.T){
			"":                   m.check,
			"publish":            m.publish,
			"change":             m.change,
			"copy":               m.copy,
			"deletePackage":      m.deletePackage,
			"recreateRepository": m.recreateRepository,
		})
		e.recorded()
	})
}
