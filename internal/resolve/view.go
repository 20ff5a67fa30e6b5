package resolve

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/format"
)

// View returns the package as repo shows it: own versions, upstreams depth-first,
// connections, nearest record first, origin controls applied. With local only the
// repository's own. A failing connection is stood in for by its kept index, or else by
// what repositories hold of the package; Stamp.Stale tells. Until ctx ends, a view of a
// large remote index counts against the memory for all such indexes: ctx should end when
// the view is no longer needed.
//
// Errors: NotFound "repository_not_found", "package_not_found" (nobody has it);
// KindUpstream when a connection that had to be asked failed and nothing kept may stand
// in; Denied with the reason of the highest version when all are held back. Source:
// codeartifact.md 3.1 rule 5, 4.1 (tags).
func (r *Resolver) View(ctx context.Context, pkg packhouse.PackageRef, local bool) (format.View, Stamp, error) {
	v, stamp, err := r.view(ctx, pkg, local)
	if n := len(v.Withheld); err == nil && n > 0 && len(v.Entries) == 0 {
		return format.View{}, Stamp{}, v.Withheld[n-1].Refusal(pkg.Package.String())
	}
	return v, stamp, err
}

// view is View where versions that are held back are no error.
func (r *Resolver) view(ctx context.Context, pkg packhouse.PackageRef, local bool) (format.View, Stamp, error) {
	f, err := r.format(pkg.Package.Format)
	if err != nil {
		return format.View{}, Stamp{}, err
	}
	shape, err := r.shape(ctx, pkg.Repo.Domain)
	if err != nil {
		return format.View{}, Stamp{}, err
	}
	repo, err := shape.repository(pkg.Repo)
	if err != nil {
		return format.View{}, Stamp{}, err
	}
	ids := shape.closure(repo)
	if local || !f.Spec().Upstreams {
		ids = ids[:1]
	}
	if err := r.settlePackage(ctx, shape.domain.ID, pkg.Package, ""); err != nil {
		return format.View{}, Stamp{}, err
	}
	m := merger{
		format: f, asked: repo, blocks: shape.blocks,
		view:  format.View{Repo: pkg.Repo, Package: pkg.Package, DisplayName: pkg.Package.Name},
		stamp: Stamp{Marks: make([]feed.Mark, 0, len(ids)+2)},
		seen:  map[string]bool{},
	}
	// Marks are older than what they vouch for.
	m.stamp.Marks = append(m.stamp.Marks, shape.mark)
	for _, id := range ids {
		m.stamp.Marks = append(m.stamp.Marks, r.o.Clock.Package(id, pkg.Package))
	}
	held := make(map[int64]*catalog.Found, len(ids))
	if err := r.o.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err := tx.Resolve(ctx, ids, pkg.Package)
		clear(held)
		for i := range found {
			held[found[i].RepoID] = &found[i]
		}
		return err
	}); err != nil {
		return format.View{}, Stamp{}, StoreError("resolve "+pkg.String(), err)
	}
	sources := []source{{repo: repo}}
	if len(ids) > 1 || !local && f.Spec().Upstreams {
		sources = shape.origins(pkg.Package).admit(repo, shape.sources(repo, func(id int64) bool {
			if found, ok := held[id]; ok {
				return effectiveControls(&found.Package).Upstream == packhouse.Block
			}
			return effectiveControls(nil).Upstream == packhouse.Block
		}))
	}
	asked := map[string]bool{}
	for _, src := range sources {
		if src.connection == "" {
			if found, ok := held[src.repo.ID]; ok {
				m.addRepository(src.repo, found)
			}
			continue
		}
		conn, ok := r.connection(ctx, src.connection, f)
		if !ok || asked[conn.Name] {
			continue
		}
		asked[conn.Name] = true
		mark := r.o.Clock.Remote(shape.domain.ID, conn.Name, pkg.Package)
		index, err := r.remotes.hold(ctx, shape.domain.Key, conn, pkg.Package, time.Time{})
		if err != nil {
			m.failConnection(mark, err)
			continue
		}
		ctx = context.WithValue(ctx, holding{}, true)
		m.addRemote(index, r.sieve(shape, src, f, pkg.Package))
	}
	return m.result(pkg, r.now())
}

// merger joins what sources have, nearest first.
type merger struct {
	format  format.Format
	asked   *catalog.RepositoryRow
	blocks  *Blocks
	view    format.View
	stamp   Stamp
	seen    map[string]bool // version keys that a nearer record decided
	known   bool            // somebody has the package
	named   bool            // the display name is set
	failed  error           // of the first connection for which nothing stands in
	newest  time.Time       // newest record, the age of what stands in for a failed one
	ownTags map[string]string

	withheld []withheldVersion // in the order of their sources
}

// withheldVersion is a version that a source holds back, with its key.
type withheldVersion struct {
	key   string
	final bool // whatever later sources have
	format.Withheld
}

func (m *merger) addRepository(repo *catalog.RepositoryRow, found *catalog.Found) {
	m.known = true
	m.name(found.Package.DisplayName)
	m.span(found.Package.Created, found.Package.Updated)
	entries := make([]format.Entry, 0, len(found.Versions))
	for i := range found.Versions {
		v := &found.Versions[i]
		if m.seen[v.VersionKey] {
			continue
		}
		m.seen[v.VersionKey] = true // a record hides what is further away even where it is not shown
		if v.Recorded.After(m.newest) {
			m.newest = v.Recorded
		}
		if by := m.blocks.Held(m.view.Package, &v.VersionRow); by != nil {
			m.withheld = append(m.withheld, withheldVersion{v.VersionKey, true, Blocked(v.Ref.Version, by)})
			continue
		}
		if v.Status.Downloadable() {
			entries = append(entries, format.Entry{Version: v.Ref.Version, Status: v.Status, Published: v.Published,
				Fragment: v.Fragment, Overlay: v.Overlay, Local: repo.ID == m.asked.ID})
		}
	}
	slices.SortFunc(entries, m.compare)
	m.add(entries)
	if repo.ID == m.asked.ID {
		m.view.Seq = found.Package.Seq
		m.ownTags = found.Tags
		return
	}
	m.addTags(found.Tags)
}

// addRemote adds what is open of a remote index. Versions that are held back are as if they
// were not there, and what is made of them must not outlive the moment in which one opens.
func (m *merger) addRemote(i *remoteIndex, s sieve) {
	m.stamp.Marks = append(m.stamp.Marks, i.mark)
	until := i.row.FreshUntil
	if i.retryAt.After(until) {
		until = i.retryAt
	}
	if i.failed != nil {
		until = i.retryAt
		m.stamp.Stale = max(m.stamp.Stale, s.now.Sub(i.row.Fetched), time.Second)
	}
	m.freshUntil(until)
	if i.index == nil {
		return
	}
	m.known = true
	m.name(i.index.DisplayName)
	m.span(i.index.Created, i.index.Modified)
	if m.view.Head == nil {
		m.view.Head = i.index.Head
	}
	entries := make([]format.Entry, 0, len(i.order))
	var closed []int
	for _, at := range i.order {
		if m.seen[i.keys[at]] {
			continue
		}
		v := &i.index.Versions[at]
		if by := m.blocks.Version(m.view.Package, i.keys[at]); by != nil {
			m.seen[i.keys[at]] = true
			m.withheld = append(m.withheld, withheldVersion{i.keys[at], true, Blocked(v.Version, by)})
			continue
		}
		if open, opens := s.open(v, i.keys[at]); !open {
			closed = append(closed, at)
			if !opens.IsZero() {
				m.freshUntil(opens)
			}
			continue
		}
		m.seen[i.keys[at]] = true
		entries = append(entries, format.Entry{Version: v.Version, Status: v.Status, Published: v.Published, Fragment: v.Fragment, Overlay: v.Overlay})
	}
	m.add(entries)
	m.addTags(m.withhold(i, s, closed))
}

// maxWithheld bounds the versions of an index of which a view tells that they are held
// back: the highest.
const maxWithheld = 64

// withhold notes the versions at some places of an index as held back, and returns the
// index's tags without those that point at them. The default tag stays: result repairs it.
func (m *merger) withhold(i *remoteIndex, s sieve, closed []int) map[string]string {
	if len(closed) == 0 {
		return i.index.Tags
	}
	versions := make(map[string]bool, len(closed))
	for _, at := range closed {
		versions[i.keys[at]] = true
	}
	for _, at := range closed[max(0, len(closed)-maxWithheld):] {
		v := &i.index.Versions[at]
		_, opens := s.open(v, i.keys[at])
		m.withheld = append(m.withheld, withheldVersion{i.keys[at], false, s.withheld(v, opens, s.fallback(i, v.Version))})
	}
	tags := make(map[string]string, len(i.index.Tags))
	for tag, version := range i.index.Tags {
		if key, err := m.format.VersionKey(version); err != nil || !versions[key] || tag == m.format.Spec().DefaultTag {
			tags[tag] = version
		}
	}
	return tags
}

// repair points the default tag at what can be had instead of a version that is held back.
func (m *merger) repair() {
	tag := m.format.Spec().DefaultTag
	version, ok := m.view.Tags[tag]
	if !ok || tag == "" || !slices.ContainsFunc(m.view.Withheld, func(h format.Withheld) bool { return m.format.Compare(h.Version, version) == 0 }) {
		return
	}
	instead := fallback(m.format, version, func(yield func(string) bool) {
		for i := range m.view.Entries {
			if e := &m.view.Entries[i]; e.Status.Listed() && !yield(e.Version) {
				return
			}
		}
	})
	m.view.Tags = maps.Clone(m.view.Tags) // it may be an index's own
	delete(m.view.Tags, tag)
	if instead != "" {
		m.view.Tags[tag] = instead
	}
}

func (m *merger) failConnection(mark feed.Mark, err error) {
	m.stamp.Marks = append(m.stamp.Marks, mark)
	if m.failed == nil {
		m.failed = err
	}
}

// add merges entries, which are in order.
func (m *merger) add(entries []format.Entry) {
	if len(m.view.Entries) == 0 {
		m.view.Entries = entries
		return
	}
	a, b := m.view.Entries, entries
	out := make([]format.Entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if m.compare(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	m.view.Entries = append(append(out, a...), b...)
}

func (m *merger) compare(a, b format.Entry) int { return m.format.Compare(a.Version, b.Version) }

// addTags merges tags from beyond the asked repository: the first source in search
// order wins over later ones.
func (m *merger) addTags(tags map[string]string) {
	if m.view.Tags == nil {
		m.view.Tags = make(map[string]string, len(tags))
	}
	for tag, version := range tags {
		if _, taken := m.view.Tags[tag]; !taken {
			m.view.Tags[tag] = version
		}
	}
}

func (m *merger) name(display string) {
	if !m.named && display != "" {
		m.view.DisplayName, m.named = display, true
	}
}

func (m *merger) span(created, modified time.Time) {
	if !created.IsZero() && (m.view.Created.IsZero() || created.Before(m.view.Created)) {
		m.view.Created = created
	}
	if modified.After(m.view.Modified) {
		m.view.Modified = modified
	}
}

func (m *merger) freshUntil(t time.Time) {
	if m.stamp.FreshUntil.IsZero() || t.Before(m.stamp.FreshUntil) {
		m.stamp.FreshUntil = t
	}
}

func (m *merger) result(pkg packhouse.PackageRef, now time.Time) (format.View, Stamp, error) {
	if m.failed != nil {
		if len(m.view.Entries) == 0 {
			return format.View{}, Stamp{}, m.failed
		}
		// What repositories hold goes on working without the registry (codeartifact.md 3.2).
		m.freshUntil(now.Add(failureFor))
		m.stamp.Stale = max(m.stamp.Stale, now.Sub(m.newest), time.Second)
	}
	if !m.known {
		return format.View{}, Stamp{}, packageNotFound(pkg)
	}
	// Own tags come last: for one tag the upstream's value wins (4.1).
	if len(m.view.Tags) == 0 {
		m.view.Tags = maps.Clone(m.ownTags)
	} else {
		m.addTags(m.ownTags)
	}
	for _, h := range m.withheld {
		if h.final || !m.seen[h.key] { // else a later source has it
			m.seen[h.key] = true
			m.view.Withheld = append(m.view.Withheld, h.Withheld)
		}
	}
	slices.SortFunc(m.view.Withheld, func(a, b format.Withheld) int { return m.format.Compare(a.Version, b.Version) })
	m.repair()
	return m.view, m.stamp, nil
}
