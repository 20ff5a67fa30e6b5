package ops

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
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
	lists := map[string]pagedList{
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
	maps.Copy(lists, e.pagedGroupLists(d, home))
	maps.Copy(lists, e.pagedIdentityLists(domain))
	return lists
}

// pagedGroupLists are the lists about package groups (codeartifact.md 3.7).
func (e *env) pagedGroupLists(d packhouse.DomainRef, home packhouse.RepoRef) map[string]pagedList {
	group := func(pattern string) packhouse.PackageGroupRef {
		return packhouse.PackageGroupRef{Domain: d, Pattern: pattern}
	}
	pattern := func(name string) packhouse.PackageGroupRef { return group("/tagged//" + name + "~") }
	create := func(name string) {
		_, err := e.s.CreatePackageGroup(e.ctx, e.admin, CreatePackageGroup{Group: pattern(name)})
		e.must(err)
	}
	drop := func(name string) {
		_, err := e.s.DeletePackageGroup(e.ctx, e.admin, pattern(name))
		e.must(err)
	}
	named := func(rows []packhouse.PackageGroup, next string, err error) ([]string, string, error) {
		return namesOf(rows, func(g packhouse.PackageGroup) string {
			return strings.TrimSuffix(strings.TrimPrefix(g.Ref.Pattern, "/tagged//"), "~")
		}), next, err
	}
	packages := func(pattern string, preview bool) pagedList {
		return pagedList{
			add: func(name string) {
				_, err := e.s.PutControls(e.ctx, e.admin, in(home, name), allowBlock)
				e.must(err)
			},
			remove: func(name string) {
				_, err := e.s.DeletePackage(e.ctx, e.admin, in(home, name))
				e.must(err)
			},
			read: func(p Page) ([]string, string, error) {
				rows, next, err := e.s.AssociatedPackages(e.ctx, e.admin, group(pattern), preview, p)
				return namesOf(rows, func(p AssociatedPackage) string { return p.Name.Name }), next, err
			},
			unordered: true, // by folded paths
		}
	}
	const restricted = packhouse.RestrictPublish
	made := map[string]bool{}
	allowed := func(change func(*UpdateGroupOrigin, []AllowedRepository)) func(string) {
		return func(name string) {
			if !made[name] {
				e.repo(d, name)
				made[name] = true
			}
			in := UpdateGroupOrigin{Group: group("/*"), Modes: map[packhouse.RestrictionType]packhouse.RestrictionMode{restricted: packhouse.ModeAllowSpecific}}
			change(&in, []AllowedRepository{{Type: restricted, Name: name}})
			_, _, err := e.s.UpdateGroupOrigin(e.ctx, e.admin, in)
			e.must(err)
		}
	}
	return map[string]pagedList{
		"package groups": {add: create, remove: drop, read: func(p Page) ([]string, string, error) {
			return named(e.s.PackageGroups(e.ctx, e.admin, d, "/tagged", p))
		}},
		"children of a package group": {add: create, remove: drop, read: func(p Page) ([]string, string, error) {
			return named(e.s.SubPackageGroups(e.ctx, e.admin, group("/*"), p))
		}},
		"packages of a package group":              packages("/*", false),
		"packages that a package group is to take": packages("/tagged/*", true),
		"repositories that a package group allows": {
			add:    allowed(func(in *UpdateGroupOrigin, list []AllowedRepository) { in.Add = list }),
			remove: allowed(func(in *UpdateGroupOrigin, list []AllowedRepository) { in.Remove = list }),
			read: func(p Page) ([]string, string, error) {
				return e.s.AllowedRepositories(e.ctx, e.admin, group("/*"), restricted, p)
			},
		},
	}
}

// pagedIdentityLists are the lists of identities and policies, read as the IAM API reads
// them: one row more than the page has, and the name of its last row is the marker. The
// names of a test begin with a prefix of its own.
func (e *env) pagedIdentityLists(prefix string) map[string]pagedList {
	identityOf := func(kind packhouse.PrincipalKind) func(string) packhouse.IdentityRef {
		return func(name string) packhouse.IdentityRef {
			return packhouse.IdentityRef{Account: ours, Kind: kind, Name: prefix + name}
		}
	}
	user, group := identityOf(packhouse.KindUser), identityOf(packhouse.KindGroup)
	made := map[packhouse.IdentityRef]bool{}
	ensure := func(ref packhouse.IdentityRef) {
		if !made[ref] {
			_, err := e.s.CreateIdentity(e.ctx, e.admin, ref, identity.NewIdentity{})
			e.must(err)
			made[ref] = true
		}
	}
	page := func(p Page, read func(after string, limit int) ([]string, error)) ([]string, string, error) {
		names, err := read(p.After, p.Limit+1)
		next := ""
		if len(names) > p.Limit {
			names = names[:p.Limit]
			next = names[p.Limit-1]
		}
		for i, name := range names {
			names[i] = strings.TrimPrefix(name, prefix)
		}
		return names, next, err
	}
	nameOf := func(i packhouse.Identity) string { return i.Name }
	identities := func(kind packhouse.PrincipalKind) pagedList {
		of := identityOf(kind)
		return pagedList{
			add: func(name string) { ensure(of(name)) },
			remove: func(name string) {
				e.must(e.s.DeleteIdentity(e.ctx, e.admin, of(name)))
				delete(made, of(name))
			},
			read: func(p Page) ([]string, string, error) {
				return page(p, func(after string, limit int) ([]string, error) {
					rows, err := e.s.Identities(e.ctx, e.admin, ours, kind, "", after, limit)
					return namesOf(rows, nameOf), err
				})
			},
			unordered: true, // others are there too
		}
	}
	return map[string]pagedList{
		"users":  identities(packhouse.KindUser),
		"groups": identities(packhouse.KindGroup),
		"members of a group": {
			add: func(name string) {
				ensure(group("crew"))
				ensure(user(name))
				e.must(e.s.AddGroupMember(e.ctx, e.admin, group("crew"), prefix+name))
			},
			remove: func(name string) {
				e.must(e.s.RemoveGroupMember(e.ctx, e.admin, group("crew"), prefix+name))
			},
			read: func(p Page) ([]string, string, error) {
				return page(p, func(after string, limit int) ([]string, error) {
					_, rows, err := e.s.GroupMembers(e.ctx, e.admin, group("crew"), after, limit)
					return namesOf(rows, nameOf), err
				})
			},
		},
		"policies": {
			add: func(name string) {
				_, err := e.s.CreatePolicy(e.ctx, e.admin, identity.PolicyRef{Account: ours, Name: prefix + name}, identity.NewPolicy{Document: allowAll})
				e.must(err)
			},
			remove: func(name string) {
				e.must(e.s.DeletePolicy(e.ctx, e.admin, identity.PolicyRef{Account: ours, Name: prefix + name}))
			},
			read: func(p Page) ([]string, string, error) {
				return page(p, func(after string, limit int) ([]string, error) {
					rows, err := e.s.ManagedPolicies(e.ctx, e.admin, ours, "", after, limit)
					return namesOf(rows, func(p identity.ManagedPolicy) string { return p.Name }), err
				})
			},
			unordered: true, // others are there too
		},
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
				e.recorded() // makes room for more
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
