package ops

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// testPackage makes a repository with versions 4.0.0 and 5.0.0 of one package, as the
// acceptance cases want it, and returns their revisions.
func testPackage(e *env) (pkg packhouse.PackageRef, r4, r5 string) {
	pkg = in(e.repo(e.domain("test-domain"), "test-repo"), "test-package")
	return pkg, e.publish(pkg, "4.0.0", "four").Revision, e.publish(pkg, "5.0.0", "five").Revision
}

// wantBatch fails unless the batch has exactly the outcomes: per version, what was done
// ("Deleted <revision>") or "CODE message".
func wantBatch(e *env, b Batch, want map[string]string) {
	e.t.Helper()
	got := map[string]string{}
	for v, d := range b.Done {
		got[v] = string(d.Status) + " " + d.Revision
	}
	for v, f := range b.Failed {
		got[v] = f.Code + " " + f.Message
	}
	if !maps.Equal(got, want) {
		e.t.Errorf("outcome %v, want %v", got, want)
	}
	if b.Done == nil || b.Failed == nil {
		e.t.Errorf("a map is nil: %+v", b)
	}
}

// The rows of cases 000-1, 000-5, 000-6, 000-8, 001-15 and codeartifact.md 3.4.
func TestChangeVersions(t *testing.T) {
	const (
		update, dispose, remove = "update", "dispose", "delete"
		r4, r5                  = "<r4>", "<r5>"
	)
	for sentence, row := range map[string]struct {
		op      string
		target  packhouse.Status
		before  packhouse.Status // of 4.0.0, when not Published
		change  ChangeVersions
		want    map[string]string
		changed int
	}{
		"delete one (000-1)": {op: remove, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Deleted " + r4}, changed: 1},
		"delete with an unmet expected status (000-6)": {op: remove, change: ChangeVersions{Versions: []string{"4.0.0"}, ExpectedStatus: packhouse.Unlisted},
			want: map[string]string{"4.0.0": "MISMATCHED_STATUS current status: Published, expected status: Unlisted"}},
		"delete one that exists and one that does not (000-8)": {op: remove, change: ChangeVersions{Versions: []string{"4.0.0", "9.9.9"}},
			want: map[string]string{"4.0.0": "SKIPPED version 4.0.0 is skipped", "9.9.9": "NOT_FOUND Could not find version 9.9.9"}},
		"delete a disposed one":           {op: remove, before: packhouse.Disposed, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Deleted " + r4}, changed: 1},
		"expect the status Deleted":       {op: remove, change: ChangeVersions{Versions: []string{"4.0.0"}, ExpectedStatus: packhouse.Deleted}, want: map[string]string{"4.0.0": "MISMATCHED_STATUS current status: Published, expected status: Deleted"}},
		"archive two":                     {op: update, target: packhouse.Archived, change: ChangeVersions{Versions: []string{"4.0.0", "5.0.0"}}, want: map[string]string{"4.0.0": "Archived " + r4, "5.0.0": "Archived " + r5}, changed: 2},
		"unlist with the right revisions": {op: update, target: packhouse.Unlisted, change: ChangeVersions{Versions: []string{"4.0.0"}, Revisions: map[string]string{"4.0.0": r4}}, want: map[string]string{"4.0.0": "Unlisted " + r4}, changed: 1},
		"restore an archived one":         {op: update, target: packhouse.Published, before: packhouse.Archived, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Published " + r4}, changed: 1},
		"a status that it has already":    {op: update, target: packhouse.Published, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Published " + r4}},
		"the same version named twice":    {op: update, target: packhouse.Archived, change: ChangeVersions{Versions: []string{"4.0.0", "4.0.0"}}, want: map[string]string{"4.0.0": "Archived " + r4}, changed: 1},
		"two spellings of one version":    {op: update, target: packhouse.Archived, change: ChangeVersions{Versions: []string{"4.0.0", "4.0.0+b"}}, want: map[string]string{"4.0.0": "Archived " + r4, "4.0.0+b": "Archived " + r4}, changed: 1},
		"no version of the format":        {op: update, target: packhouse.Archived, change: ChangeVersions{Versions: []string{"not a version"}}, want: map[string]string{"not a version": "NOT_FOUND Could not find version not a version"}},
		"publish a disposed one (001-15)": {op: update, target: packhouse.Published, before: packhouse.Disposed, change: ChangeVersions{Versions: []string{"4.0.0", "5.0.0"}}, want: map[string]string{"4.0.0": "NOT_ALLOWED version 4.0.0 is Disposed: it can only be deleted", "5.0.0": "SKIPPED version 5.0.0 is skipped"}},
		"dispose (001-15)":                {op: dispose, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Disposed " + r4}, changed: 1},
		"dispose again":                   {op: dispose, before: packhouse.Disposed, change: ChangeVersions{Versions: []string{"4.0.0"}}, want: map[string]string{"4.0.0": "Disposed " + r4}},
		"dispose with a wrong revision": {op: dispose, change: ChangeVersions{Versions: []string{"4.0.0", "5.0.0"}, Revisions: map[string]string{"4.0.0": r5, "5.0.0": r5}},
			want: map[string]string{"4.0.0": "MISMATCHED_REVISION current revision: " + r4 + ", expected revision: " + r5, "5.0.0": "SKIPPED version 5.0.0 is skipped"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			e := newEnv(t)
			pkg, rev4, rev5 := testPackage(e)
			fill := strings.NewReplacer(r4, rev4, r5, rev5).Replace
			for v, text := range row.want {
				row.want[v] = fill(text)
			}
			for v, text := range row.change.Revisions {
				row.change.Revisions[v] = fill(text)
			}
			if row.before != "" {
				e.status(pkg, row.before, "4.0.0")
			}
			before := e.list(pkg)
			e.recorded()
			row.change.Package = pkg
			var b Batch
			var err error
			switch row.op {
			case update:
				b, err = e.s.UpdateVersionsStatus(e.ctx, e.admin, row.change, row.target)
			case dispose:
				b, err = e.s.DisposeVersions(e.ctx, e.admin, row.change)
			case remove:
				b, err = e.s.DeleteVersions(e.ctx, e.admin, row.change)
			}
			e.must(err)
			wantBatch(e, b, row.want)
			changes := e.recorded()
			if len(changes) != row.changed {
				t.Errorf("recorded %d changes, want %d: %+v", len(changes), row.changed, changes)
			}
			for _, c := range changes {
				if c.Sequence == 0 || c.DedupID == "" || c.Principal != e.admin.ARN || c.StatusAfter == c.StatusBefore || c.RevisionBefore == "" {
					t.Errorf("recorded %+v", c)
				}
			}
			after := e.list(pkg)
			for v, s := range before {
				want := s
				if d, ok := b.Done[v]; ok && row.changed > 0 {
					want = d.Status
				}
				if want == packhouse.Deleted {
					want = ""
				}
				if after[v] != want {
					t.Errorf("afterwards %s is %q, want %q", v, after[v], want)
				}
			}
		})
	}
}

// Cases 000-11, 000-13, 001-17 and the constraints of 3.4.
func TestChangeVersionsRefuses(t *testing.T) {
	e := newEnv(t)
	pkg, r4, _ := testPackage(e)
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint(i))
	}
	absentRepo, absentPackage := pkg, pkg
	absentRepo.Repo.Name, absentPackage.Package.Name = "absent", "absent"
	for sentence, row := range map[string]struct {
		change ChangeVersions
		target packhouse.Status
		kind   packhouse.Kind
		reason string
	}{
		"no versions":                 {ChangeVersions{Package: pkg}, packhouse.Archived, packhouse.KindInvalid, "versions_missing"},
		"101 versions":                {ChangeVersions{Package: pkg, Versions: many}, packhouse.Archived, packhouse.KindInvalid, "versions_too_many"},
		"revisions of other versions": {ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}, Revisions: map[string]string{"5.0.0": r4}}, packhouse.Archived, packhouse.KindInvalid, "revisions_mismatch"},
		"revisions of more versions":  {ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}, Revisions: map[string]string{"4.0.0": r4, "5.0.0": r4}}, packhouse.Archived, packhouse.KindInvalid, "revisions_mismatch"},
		"revisions of fewer versions": {ChangeVersions{Package: pkg, Versions: []string{"4.0.0", "5.0.0"}, Revisions: map[string]string{"4.0.0": r4}}, packhouse.Archived, packhouse.KindInvalid, "revisions_mismatch"},
		"the target Disposed":         {ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}}, packhouse.Disposed, packhouse.KindInvalid, "target_status"},
		"the target Unfinished":       {ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}}, packhouse.Unfinished, packhouse.KindInvalid, "target_status"},
		"the target Deleted":          {ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}}, packhouse.Deleted, packhouse.KindInvalid, "target_status"},
		"a repository that is not":    {ChangeVersions{Package: absentRepo, Versions: []string{"4.0.0"}}, packhouse.Archived, packhouse.KindNotFound, "repository_not_found"},
		"a package that is not":       {ChangeVersions{Package: absentPackage, Versions: []string{"4.0.0"}}, packhouse.Archived, packhouse.KindNotFound, "package_not_found"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := e.s.UpdateVersionsStatus(e.ctx, e.admin, row.change, row.target)
			e.wantError(err, row.kind, row.reason)
		})
	}
}

// Cases 000-2, 000-3, 000-5 and 001-14.
func TestDeletedVersionsAreGone(t *testing.T) {
	e := newEnv(t)
	pkg, r4, _ := testPackage(e)
	_, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}})
	e.must(err)
	for _, s := range []packhouse.Status{"", packhouse.Published, packhouse.Unfinished, packhouse.Unlisted, packhouse.Archived, packhouse.Disposed, packhouse.Deleted} {
		rows, _, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{Status: s}, Page{})
		e.must(err)
		for _, v := range rows {
			if v.Ref.Version == "4.0.0" {
				t.Errorf("4.0.0 is listed with status filter %q", s)
			}
		}
	}
	b, err := e.s.UpdateVersionsStatus(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"4.0.0"}}, packhouse.Published)
	e.must(err)
	wantBatch(e, b, map[string]string{"4.0.0": "NOT_FOUND Could not find version 4.0.0"})
	_, err = e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"5.0.0"}})
	e.must(err)
	if _, err := e.s.Package(e.ctx, e.admin, pkg); err != nil {
		t.Errorf("the record went with its last version: %v", err)
	}
	if again := e.publish(pkg, "4.0.0", "other content"); again.Revision == r4 {
		t.Errorf("other content has the revision of the deleted version")
	}
}

// Case 001-16 and the default display version of 1.6.
func TestVersionsAndTheirDisplayVersion(t *testing.T) {
	e := newEnv(t)
	pkg := in(e.repo(e.domain("main"), "team"), "lib")
	display := func() string {
		t.Helper()
		_, v, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{}, Page{Limit: 1})
		e.must(err)
		return v
	}
	for i, v := range []string{"1.0.0", "2.0.0", "10.0.0", "3.0.0"} {
		e.publish(pkg, v, v)
		e.now.Add(int64(i+1) * 1e9)
	}
	if got := display(); got != "1.0.0" {
		t.Errorf("display version %q, want the one tagged latest", got)
	}
	e.status(pkg, packhouse.Unlisted, "1.0.0")
	if got := display(); got != "10.0.0" {
		t.Errorf("display version %q, want the highest Published one", got)
	}
	e.status(pkg, packhouse.Archived, "10.0.0")
	e.status(pkg, packhouse.Disposed, "3.0.0")
	if got := display(); got != "2.0.0" {
		t.Errorf("display version %q, want the highest Published one", got)
	}
	want := map[string]packhouse.Status{"1.0.0": packhouse.Unlisted, "2.0.0": packhouse.Published, "10.0.0": packhouse.Archived, "3.0.0": packhouse.Disposed}
	if got := e.list(pkg); !maps.Equal(got, want) {
		t.Errorf("listed %v, want every status: %v", got, want)
	}
	e.status(pkg, packhouse.Archived, "2.0.0")
	if got := display(); got != "" {
		t.Errorf("display version %q with nothing Published", got)
	}
	rows, _, _, err := e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{NewestFirst: true, OriginType: packhouse.OriginInternal}, Page{})
	e.must(err)
	order := ""
	for _, v := range rows {
		order += v.Ref.Version + " "
	}
	if order != "3.0.0 10.0.0 2.0.0 1.0.0 " {
		t.Errorf("newest first: %s", order)
	}
	rows, _, _, err = e.s.Versions(e.ctx, e.admin, pkg, VersionQuery{OriginType: packhouse.OriginExternal}, Page{})
	e.must(err)
	if len(rows) != 0 {
		t.Errorf("external versions %v", rows)
	}
}
