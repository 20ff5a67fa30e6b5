package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// plain names a package of plainFormat, which may have unfinished versions, late assets
// and upstreams, in a repository.
func plain(r packhouse.RepoRef) packhouse.PackageRef {
	return packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: plainFormat, Name: "lib"}}
}

// withStatus makes a repository with version 1 of a package in a status; its one asset
// is a, with the content "bytes".
func (e *env) withStatus(d packhouse.DomainRef, name string, status packhouse.Status) packhouse.PackageRef {
	e.t.Helper()
	pkg := plain(e.repo(d, name))
	e.must(e.put(pkg, "1", "a", "bytes", "", status == packhouse.Unfinished))
	if status != packhouse.Published && status != packhouse.Unfinished {
		e.status(pkg, status, "1")
	}
	return pkg
}

// single is what a batch says of version 1.
func single(b Batch, err error) string {
	if err != nil {
		return packhouse.KindOf(err).String()
	}
	if f, ok := b.Failed["1"]; ok {
		return f.Code
	}
	if d, ok := b.Done["1"]; ok {
		return string(d.Status)
	}
	return "neither"
}

// outcomeOf is "yes", or the kind of an error.
func outcomeOf(err error) string {
	if err != nil {
		return packhouse.KindOf(err).String()
	}
	return "yes"
}

// The table of codeartifact.md 3.4: what may be done to and with a version in each
// status. The columns are in the order of the table's head.
func TestEveryStatusAndOperation(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	reader := e.allowed("reader", `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	update := func(target packhouse.Status) func(packhouse.PackageRef) string {
		return func(pkg packhouse.PackageRef) string {
			return single(e.s.UpdateVersionsStatus(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1"}}, target))
		}
	}
	download := func(pkg packhouse.PackageRef) string {
		_, c, err := e.s.Asset(e.ctx, reader, packhouse.AssetRef{VersionRef: pkg.At("1"), Asset: "a"})
		if err == nil {
			e.must(c.Close())
		}
		return outcomeOf(err)
	}
	columns := map[string]func(packhouse.PackageRef) string{
		"shown to clients": func(pkg packhouse.PackageRef) string {
			view, _, err := e.s.resolver.View(e.ctx, pkg, false)
			e.must(err)
			for _, entry := range view.Entries {
				return string(entry.Status)
			}
			return "no"
		},
		"downloaded": download,
		"downloaded through a repository below": func(pkg packhouse.PackageRef) string {
			below := plain(e.repo(d, pkg.Repo.Name+"-below", pkg.Repo.Name))
			got := download(below)
			kept, err := e.s.Version(e.ctx, e.admin, below.At("1"))
			if err == nil {
				return got + " " + string(kept.Status)
			}
			return got
		},
		"read by the API": func(pkg packhouse.PackageRef) string {
			_, _, c, err := e.s.VersionAsset(e.ctx, e.admin, packhouse.AssetRef{VersionRef: pkg.At("1"), Asset: "a"}, "")
			if err == nil {
				e.must(c.Close())
			}
			return outcomeOf(err)
		},
		"described": func(pkg packhouse.PackageRef) string {
			v, err := e.s.Version(e.ctx, e.admin, pkg.At("1"))
			e.must(err)
			return string(v.Status)
		},
		"listed with its status": func(pkg packhouse.PackageRef) string {
			v, err := e.s.Version(e.ctx, e.admin, pkg.At("1"))
			e.must(err)
			rows, _, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{Status: v.Status}, Page{})
			e.must(err)
			return fmt.Sprint(len(rows))
		},
		"the same asset published": func(pkg packhouse.PackageRef) string { return outcomeOf(e.put(pkg, "1", "a", "bytes", "", true)) },
		"other bytes published":    func(pkg packhouse.PackageRef) string { return outcomeOf(e.put(pkg, "1", "a", "other", "", true)) },
		"another asset published":  func(pkg packhouse.PackageRef) string { return outcomeOf(e.put(pkg, "1", "b", "b", "", true)) },
		"set to Published":         update(packhouse.Published),
		"set to Unlisted":          update(packhouse.Unlisted),
		"set to Archived":          update(packhouse.Archived),
		"set to Unfinished":        update(packhouse.Unfinished),
		"set to Disposed":          update(packhouse.Disposed),
		"disposed": func(pkg packhouse.PackageRef) string {
			return single(e.s.DisposeVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1"}}))
		},
		"deleted": func(pkg packhouse.PackageRef) string {
			return single(e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1"}}))
		},
		"published after deletion": func(pkg packhouse.PackageRef) string {
			columnDelete(e, pkg)
			return outcomeOf(e.put(pkg, "1", "a", "other", "", false))
		},
		"bytes that it is paid for": func(packhouse.PackageRef) string { return "" }, // looked at below
	}
	const (
		yes, conflict, notFound, notAllowed, invalid = "yes", "conflict", "not_found", FailedNotAllowed, "invalid"
	)
	for status, want := range map[packhouse.Status]map[string]string{
		packhouse.Published: {
			"shown to clients": "Published", "downloaded": yes, "downloaded through a repository below": "yes Published", "read by the API": yes,
			"the same asset published": yes, "other bytes published": conflict, "another asset published": yes,
			"set to Published": "Published", "set to Unlisted": "Unlisted", "set to Archived": "Archived", "bytes that it is paid for": "5",
		},
		packhouse.Unfinished: {
			"shown to clients": "no", "downloaded": notFound, "downloaded through a repository below": notFound, "read by the API": yes,
			"the same asset published": yes, "other bytes published": conflict, "another asset published": yes,
			"set to Published": "Published", "set to Unlisted": "Unlisted", "set to Archived": "Archived", "bytes that it is paid for": "5",
		},
		packhouse.Unlisted: {
			"shown to clients": "Unlisted", "downloaded": yes, "downloaded through a repository below": "yes Unlisted", "read by the API": yes,
			"the same asset published": yes, "other bytes published": conflict, "another asset published": yes,
			"set to Published": "Published", "set to Unlisted": "Unlisted", "set to Archived": "Archived", "bytes that it is paid for": "5",
		},
		packhouse.Archived: {
			"shown to clients": "no", "downloaded": notFound, "downloaded through a repository below": notFound, "read by the API": notFound,
			"the same asset published": conflict, "other bytes published": conflict, "another asset published": conflict,
			"set to Published": "Published", "set to Unlisted": "Unlisted", "set to Archived": "Archived", "bytes that it is paid for": "5",
		},
		packhouse.Disposed: {
			"shown to clients": "no", "downloaded": notFound, "downloaded through a repository below": notFound, "read by the API": notFound,
			"the same asset published": conflict, "other bytes published": conflict, "another asset published": conflict,
			"set to Published": notAllowed, "set to Unlisted": notAllowed, "set to Archived": notAllowed, "bytes that it is paid for": "0",
		},
	} {
		// The same in every status.
		for column, all := range map[string]string{"described": string(status), "listed with its status": "1", "set to Unfinished": invalid, "set to Disposed": invalid,
			"disposed": "Disposed", "deleted": "Deleted", "published after deletion": yes} {
			want[column] = all
		}
		for column, look := range columns {
			t.Run(fmt.Sprintf("%s, %s", status, column), func(t *testing.T) {
				name := strings.NewReplacer(" ", "-", ",", "").Replace(string(status) + "-" + column)
				home := d
				paid := column == "bytes that it is paid for"
				if paid {
					home = e.domain("paid-" + strings.ToLower(string(status)))
				}
				pkg := e.withStatus(home, name, status)
				got := look(pkg)
				if paid {
					got = fmt.Sprint(e.size(home))
				}
				if got != want[column] {
					t.Errorf("got %s, want %s", got, want[column])
				}
			})
		}
	}
}

func columnDelete(e *env, pkg packhouse.PackageRef) {
	_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"1"}})
	e.must(err)
}

// Steps 3 to 7 of codeartifact.md 3.5 for every status of the source and every state of
// the destination: version 1 is as the row says, version 2 could be copied.
func TestEveryStatusIsCopiedOrNot(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	n := 0
	for _, status := range []packhouse.Status{"", packhouse.Published, packhouse.Unfinished, packhouse.Unlisted, packhouse.Archived, packhouse.Disposed} {
		for _, there := range []string{"nothing", "the same", "the same, Archived", "the same, Disposed", "other bytes"} {
			for _, overwrite := range []bool{false, true} {
				t.Run(fmt.Sprintf("%q onto %s, overwrite %v", status, there, overwrite), func(t *testing.T) {
					n++
					var from, to packhouse.PackageRef
					if status == "" {
						from = plain(e.repo(d, fmt.Sprint("from-", n)))
					} else {
						from = e.withStatus(d, fmt.Sprint("from-", n), status)
					}
					e.must(e.put(from, "2", "a", "two", "", false))
					switch there {
					case "the same":
						to = e.withStatus(d, fmt.Sprint("to-", n), packhouse.Published)
					case "the same, Archived":
						to = e.withStatus(d, fmt.Sprint("to-", n), packhouse.Archived)
					case "the same, Disposed":
						to = e.withStatus(d, fmt.Sprint("to-", n), packhouse.Disposed)
					default:
						to = plain(e.repo(d, fmt.Sprint("to-", n)))
						if there == "other bytes" {
							e.must(e.put(to, "1", "a", "other", "", false))
						}
					}
					b := e.copy(from, to, CopyVersions{Versions: []string{"1", "2"}, AllowOverwrite: overwrite})
					want := map[string]string{}
					switch same := strings.HasPrefix(there, "the same") && there != "the same, Disposed"; {
					case status == "":
						want["1"] = "NOT_FOUND Could not find version 1"
					case status == packhouse.Unfinished || status == packhouse.Disposed:
						want["1"] = fmt.Sprintf("NOT_ALLOWED version 1 is %s and cannot be copied", status)
					case same:
					case there != "nothing" && !overwrite:
						want["1"] = "ALREADY_EXISTS Version 1 already exists"
					default:
						want["1"] = string(status)
					}
					want["2"] = string(packhouse.Published)
					if want["1"] != "" && want["1"] != string(status) {
						want["2"] = "SKIPPED Version 2 was skipped"
					}
					got := map[string]string{}
					for v, done := range b.Done {
						got[v] = string(done.Status)
					}
					for v, f := range b.Failed {
						got[v] = f.Code + " " + f.Message
					}
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("got %v, want %v", got, want)
					}
				})
			}
		}
	}
}
