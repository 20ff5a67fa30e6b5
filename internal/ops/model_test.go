package ops

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/fetch"
)

// model is the plain data that the engine is compared with: one package in a few
// repositories with upstreams and a public registry, and the rules of codeartifact.md
// 3.1-3.7 in as few words as they take. What it does to the engine is in
// model_actions_test.go.
type model struct {
	e        *env
	registry *modelRegistry
	name     string // of the package
	repos    []*modelRepo
}

// modelRepo is a repository. Its upstreams come later in model.repos, so that there are
// no cycles.
type modelRepo struct {
	pkg       packhouse.PackageRef
	upstreams []int
	connected bool
	record    *modelRecord // of the package; nil without one
}

type modelRecord struct {
	controls packhouse.OriginControls
	versions map[string]modelVersion
}

// modelVersion is what the model keeps of a version; content is its one asset's.
type modelVersion struct {
	content string
	status  packhouse.Status
	origin  packhouse.Origin
}

func (v modelVersion) shown() bool {
	return v.status == packhouse.Published || v.status == packhouse.Unlisted
}

var (
	allowBlock = packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}
	blockAllow = packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}
)

// modelSource is a place where versions come from: what a repository holds, or its
// connection.
type modelSource struct {
	repo       int
	connection bool
}

// sources returns where a repository looks, in order: depth first, each repository once,
// a connection after the upstreams of its repository (3.1), and nothing beyond a
// repository that closed the package to upstreams (3.7).
func (m *model) sources(repo int) (out []modelSource) {
	seen := map[int]bool{}
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		out = append(out, modelSource{repo: i})
		r := m.repos[i]
		if r.record != nil && r.record.controls.Upstream == packhouse.Block {
			return
		}
		for _, up := range r.upstreams {
			visit(up)
		}
		if r.connected {
			out = append(out, modelSource{repo: i, connection: true})
		}
	}
	visit(repo)
	return out
}

// find returns what the nearest source has of a version (3.1 rule 4); with registries
// false connections are not asked.
func (m *model) find(repo int, version string, registries bool) (found modelVersion, at modelSource, ok bool) {
	for _, src := range m.sources(repo) {
		if src.connection {
			if content, has := m.registry.content(m.name, version); has && registries {
				return modelVersion{content, packhouse.Published, packhouse.Origin{Type: packhouse.OriginExternal, Connection: modelConnection}}, src, true
			}
			continue
		}
		if v, has := m.repos[src.repo].version(version); has {
			return v, src, true
		}
	}
	return modelVersion{}, modelSource{}, false
}

func (r *modelRepo) version(version string) (modelVersion, bool) {
	if r.record == nil {
		return modelVersion{}, false
	}
	v, ok := r.record.versions[version]
	return v, ok
}

// put writes a version, making the record with these controls where there is none.
func (r *modelRepo) put(version string, v modelVersion, controls packhouse.OriginControls) {
	if r.record == nil {
		r.record = &modelRecord{controls: controls, versions: map[string]modelVersion{}}
	}
	r.record.versions[version] = v
}

// merged is what clients are shown of the package in a repository: the union, where the
// nearest record of a version decides (3.1 rule 5); ok is false where nobody has it.
func (m *model) merged(repo int) (shown map[string]packhouse.Status, ok bool) {
	shown, decided := map[string]packhouse.Status{}, map[string]bool{}
	add := func(version string, v modelVersion) {
		if !decided[version] && v.shown() {
			shown[version] = v.status
		}
		decided[version] = true
	}
	for _, src := range m.sources(repo) {
		if src.connection {
			for version := range m.registry.versions(m.name) {
				ok = true
				add(version, modelVersion{status: packhouse.Published})
			}
			continue
		}
		if r := m.repos[src.repo].record; r != nil {
			ok = true
			for version, v := range r.versions {
				add(version, v)
			}
		}
	}
	return shown, ok
}

// size is the domain's assetSizeBytes: each distinct asset of a version that is not
// Disposed, once (2.4).
func (m *model) size() (total int64) {
	distinct := map[string]bool{}
	for _, r := range m.repos {
		if r.record == nil {
			continue
		}
		for _, v := range r.record.versions {
			if v.status != packhouse.Disposed && !distinct[v.content] {
				distinct[v.content] = true
				total += int64(len(v.content))
			}
		}
	}
	return total
}

// judgeChange says by the rules of 3.4 how each version fails; none fails where the
// change happens.
func (m *model) judgeChange(repo int, versions []string, expected, target packhouse.Status) map[string]string {
	failed := map[string]string{}
	for _, version := range versions {
		v, exists := m.repos[repo].version(version)
		switch {
		case !exists:
			failed[version] = FailedNotFound
		case expected != "" && expected != v.status:
			failed[version] = FailedMismatchedStatus
		case v.status == packhouse.Disposed && target != packhouse.Disposed && target != packhouse.Deleted:
			failed[version] = FailedNotAllowed
		}
	}
	return failed
}

// judgeCopy says by the rules of 3.5 what is copied and how versions fail.
func (m *model) judgeCopy(from, to int, versions []string, overwrite, upstreams bool) (copied map[string]modelVersion, failed map[string]string) {
	copied, failed = map[string]modelVersion{}, map[string]string{}
	for _, version := range versions {
		source, found := m.repos[from].version(version)
		if upstreams {
			source, _, found = m.find(from, version, false)
		}
		old, exists := m.repos[to].version(version)
		switch {
		case !found:
			failed[version] = FailedNotFound
		case source.status == packhouse.Disposed:
			failed[version] = FailedNotAllowed
		case exists && old.content == source.content && old.status != packhouse.Disposed:
		case exists && !overwrite:
			failed[version] = FailedAlreadyExists
		default:
			copied[version] = source
		}
	}
	return copied, failed
}

// copiedControls are those of a record that a copy makes: the source's, or those of the
// record in which the first version was found.
func (m *model) copiedControls(from int, copied map[string]modelVersion) packhouse.OriginControls {
	if r := m.repos[from].record; r != nil {
		return r.controls
	}
	_, src, _ := m.find(from, slices.Min(slices.Collect(maps.Keys(copied))), false)
	return m.repos[src.repo].record.controls
}

// Random sequences of publishes, pulls, status changes, copies, disposals, deletions and
// changes of repositories show the same as plain data does (layout.md 11, codeartifact.md
// 2.4, 3.1-3.7). -rapid.checks=N makes it longer.
func TestModel(t *testing.T) {
	registry := newModelRegistry(t)
	e := newEnv(t, func(o *Options) {
		o.Quotas.DomainsPerAccount = 1 << 30
		o.Formats[tagFormat] = pulledRoom{o.Formats[tagFormat].(testRoom)}
		o.Connections[modelConnection] = fetch.Connection{Name: modelConnection, Format: tagFormat, URL: registry.URL + "/"}
	})
	n, steps := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		m := newModel(e, registry, n)
		act := func(do func(*rapid.T)) func(*rapid.T) {
			return func(t *rapid.T) {
				steps++
				e.now.Add(int64(modelStep)) // whatever the engine keeps of the registry is stale
				do(t)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"":                   m.check,
			"publish":            act(m.publish),
			"pull":               act(m.pull),
			"change":             act(m.change),
			"copy":               act(m.copy),
			"putControls":        act(m.putControls),
			"deletePackage":      act(m.deletePackage),
			"recreateRepository": act(m.recreateRepository),
			"rewire":             act(m.rewire),
			"connect":            act(m.connect),
			"registryPublish":    act(m.registryPublish),
		})
		e.recorded()
	})
	t.Logf("%d sequences, %d steps", n, steps)
}

func newModel(e *env, registry *modelRegistry, n int) *model {
	m := &model{e: e, registry: registry, name: fmt.Sprintf("lib-%d", n)}
	d := e.domain(fmt.Sprintf("model-%d", n))
	for i := range 4 {
		m.repos = append(m.repos, &modelRepo{pkg: in(e.repo(d, fmt.Sprintf("repo-%d", i)), m.name)})
	}
	return m
}
