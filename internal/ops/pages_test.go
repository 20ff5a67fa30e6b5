package ops

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// pagedList is a list with what fills it.
type pagedList struct {
	add, remove func(name string)
	read        func(Page) (names []string, next string, err error)
	unordered   bool // not by name
}

// pagedLists makes every list that is read in pages, empty, over a domain of its own.
func (e *env) pagedLists(domain string) map[string]pagedList {
	d := e.domain(domain)
	home := e.repo(d, "home")
	versions, newest, single := plain(home), plain(home), files(home)
	newest.Package.Name = "newest"
	for _, pkg := range []packhouse.PackageRef{versions, newest} {
		_, err := e.s.PutControls(e.ctx, e.admin, pkg, allowBlock)
		e.must(err)
	}
	e.must(e.put(single, "1", "zz", "the last asset keeps the version", "", true))
	repository := func(name string) packhouse.RepoRef { return packhouse.RepoRef{Domain: d, Name: name} }
	inDomain := func(name string) { e.repo(d, name) }
	outOfDomain := func(name string) {
		_, err := e.s.DeleteRepository(e.ctx, e.admin, repository(name))
		e.must(err)
	}
	publish := func(pkg packhouse.PackageRef) func(string) {
		return func(name string) {
			e.now.Add(1e9)
			e.must(e.put(pkg, name, "a", "bytes", "", false))
		}
	}
	drop := func(pkg packhouse.PackageRef) func(string) {
		return func(name string) {
			_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{name}})
			e.must(err)
		}
	}
	readVersions := func(pkg packhouse.PackageRef, q VersionQuery) func(Page) ([]string, string, error) {
		return func(p Page) ([]string, string, error) {
			rows, _, next, err := e.s.Versions(e.ctx, e.admin, pkg, q, p)
			return namesOf(rows, func(v packhouse.PackageVersion) string { return v.Ref.Version }), next, err
		}
	}
	repositoryName := func(r packhouse.Repository) string { return r.Ref.Name }
	return map[string]pagedList{
		"domains": {
			add: func(name string) { e.domain(domain + name) },
			remove: func(name string) {
				_, err := e.s.DeleteDomain(e.ctx, e.admin, packhouse.DomainRef{Owner: ours, Name: domain + name})
				e.must(err)
			},
			read: func(p Page) ([]string, string, error) {
				rows, next, err := e.s.Domains(e.ctx, e.admin, p)
				return namesOf(rows, func(d packhouse.Domain) string {
					name, _ := strings.CutPrefix(d.Ref.Name, domain)
					return name
				}), next, err
			},
			unordered: true, // other domains are there too
		},
		"repositories": {add: inDomain, remove: outOfDomain, unordered: true, // by domain first
			read: func(p Page) ([]string, string, error) {
				rows, next, err := e.s.Repositories(e.ctx, e.admin, "n", p)
				rows = slices.DeleteFunc(rows, func(r packhouse.Repository) bool { return r.Ref.Domain != d })
				return namesOf(rows, repositoryName), next, err
			}},
		"repositories in a domain": {add: inDomain, remove: outOfDomain,
			read: func(p Page) ([]string, string, error) {
				rows, next, err := e.s.RepositoriesInDomain(e.ctx, e.admin, d, "", "n", p)
				return namesOf(rows, repositoryName), next, err
			}},
		"packages": {
			add: func(name string) {
				_, err := e.s.PutControls(e.ctx, e.admin, in(home, name), allowBlock)
				e.must(err)
			},
			remove: func(name string) {
				_, err := e.s.DeletePackage(e.ctx, e.admin, in(home, name))
				e.must(err)
			},
			read: func(p Page) ([]string, string, error) {
				rows, next, err := e.s.Packages(e.ctx, e.admin, home, PackageQuery{Format: tagFormat}, p)
				return namesOf(rows, func(p packhouse.Package) string { return p.Ref.Package.Name }), next, err
			}},
		"versions":              {add: publish(versions), remove: drop(versions), read: readVersions(versions, VersionQuery{})},
		"versions by status":    {add: publish(versions), remove: drop(versions), read: readVersions(versions, VersionQuery{Status: packhouse.Published})},
		"versions newest first": {add: publish(newest), remove: drop(newest), read: readVersions(newest, VersionQuery{NewestFirst: true}), unordered: true},
		"assets": {
			add:    func(name string) { e.must(e.put(single, "1", name, "bytes of "+name, "", true)) },
			remove: func(name string) { e.must(e.s.Remove(e.ctx, e.admin, single.At("1"), name)) },
			read: func(p Page) ([]string, string, error) {
				_, rows, next, err := e.s.VersionAssets(e.ctx, e.admin, single.At("1"), p)
				names := namesOf(rows, func(a packhouse.Asset) string { return a.Name })
				return slices.DeleteFunc(names, func(name string) bool { return name == "zz" }), next, err
			}},
	}
}

func namesOf[T any](rows []T, name func(T) string) []string {
	var names []string
	for _, r := range rows {
		names = append(names, name(r))
	}
	return names
}

// Whatever is added and deleted between the pages of a list, what is there all the time
// is read exactly once, nothing twice, in order, and no cursor is empty or repeated
// before the end (codeartifact.md 1.2).
func TestPagesAreStable(t *testing.T) {
	e := newEnv(t, func(o *Options) { o.Quotas.DomainsPerAccount = 1 << 30 })
	for i, what := range slices.Sorted(maps.Keys(e.pagedLists("names-of-lists"))) {
		t.Run(what, func(t *testing.T) {
			for round := range 10 {
				list := e.pagedLists(fmt.Sprintf("paged-%d-%d-x", i, round))[what]
				checkPages(t, rand.New(rand.NewPCG(uint64(i), uint64(round))), list)
			}
		})
	}
}

func checkPages(t *testing.T, random *rand.Rand, list pagedList) {
	there := map[string]bool{}
	toggle := func() string {
		name := fmt.Sprintf("n%02d", random.IntN(25))
		if there[name] {
			list.remove(name)
			delete(there, name)
		} else {
			list.add(name)
			there[name] = true
		}
		return name
	}
	for range 30 {
		toggle()
	}
	always, touched := maps.Clone(there), map[string]bool{}
	var all []string
	p := Page{Limit: 1 + random.IntN(6)}
	for {
		names, next, err := list.read(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(names) > p.Limit {
			t.Fatalf("%d rows on a page of %d", len(names), p.Limit)
		}
		all = append(all, names...)
		if next == "" {
			break
		}
		if next == p.After {
			t.Fatalf("cursor %q again", next)
		}
		p.After = next
		for range random.IntN(4) {
			touched[toggle()] = true
		}
	}
	// Other domains are listed too.
	all = slices.DeleteFunc(all, func(name string) bool { return len(name) != 3 || name[0] != 'n' })
	seen := map[string]int{}
	for _, name := range all {
		seen[name]++
	}
	for name := range always {
		if !touched[name] && seen[name] != 1 {
			t.Errorf("%s was there all the time and was read %d times", name, seen[name])
		}
	}
	for name, times := range seen {
		if times > 1 || !always[name] && !touched[name] {
			t.Errorf("%s was read %d times", name, times)
		}
	}
	if !list.unordered && !slices.IsSorted(all) {
		t.Errorf("not in order: %v", all)
	}
}
