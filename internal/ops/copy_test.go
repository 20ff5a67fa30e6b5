package ops

import (
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// copyEnv is the setting of section 5.3: a package in my-repo, an empty test-repo2.
func copyEnv(t *testing.T) (e *env, from, to packhouse.PackageRef, r4, r5 string) {
	e = newEnv(t)
	d := e.domain("test-domain")
	from, to = in(e.repo(d, "my-repo"), "test-package"), in(e.repo(d, "test-repo2"), "test-package")
	r4 = e.publish(from, "4.0.0", "four").Revision
	r5 = e.publish(from, "5.0.0", "five").Revision
	return e, from, to, r4, r5
}

func (e *env) copy(from, to packhouse.PackageRef, c CopyVersions) Batch {
	e.t.Helper()
	c.Domain, c.Source, c.Destination, c.Package = from.Repo.Domain, from.Repo.Name, to.Repo.Name, from.Package
	b, err := e.s.CopyVersions(e.ctx, e.admin, c)
	e.must(err)
	return b
}

// Cases 003-1 and 003-2.
func TestCopy(t *testing.T) {
	e, from, to, r4, r5 := copyEnv(t)
	e.status(from, packhouse.Archived, "5.0.0")
	size := e.size(from.Repo.Domain)
	e.recorded()
	b := e.copy(from, to, CopyVersions{Versions: []string{"4.0.0", "5.0.0"}})
	wantBatch(e, b, map[string]string{"4.0.0": "Published " + r4, "5.0.0": "Archived " + r5})
	var copied int
	for _, c := range e.recorded() {
		if c.Repo != "test-repo2" || c.Sequence == 0 {
			t.Errorf("recorded %+v", c)
		}
		if c.Kind == packhouse.ChangeVersionCopied {
			copied++
		}
	}
	if copied != 2 {
		t.Errorf("recorded %d copies, want one per version", copied)
	}
	if e.size(from.Repo.Domain) != size {
		t.Errorf("the domain grew from %d to %d bytes by a copy (001-3)", size, e.size(from.Repo.Domain))
	}
	source, err := e.s.Version(e.ctx, e.admin, from.At("4.0.0"))
	e.must(err)
	got, err := e.s.Version(e.ctx, e.admin, to.At("4.0.0"))
	e.must(err)
	if got.Origin != source.Origin || got.Origin.Repository != "my-repo" || !got.Published.Equal(source.Published) || got.RevisionID != source.RevisionID {
		t.Errorf("copied %+v of %+v", got.PackageVersion, source.PackageVersion)
	}
	record, err := e.s.Package(e.ctx, e.admin, to)
	e.must(err)
	if record.Controls != (packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}) {
		t.Errorf("the new record has controls %v, want the source's", record.Controls)
	}
	e.recorded()
	wantBatch(e, e.copy(from, to, CopyVersions{Versions: []string{"4.0.0", "5.0.0"}}), map[string]string{})
	if c := e.recorded(); len(c) != 0 {
		t.Errorf("copying what is there recorded %v", c)
	}
	e.status(to, packhouse.Unlisted, "4.0.0")
	if s := e.list(from)["4.0.0"]; s != packhouse.Published {
		t.Errorf("a status change in the copy made the source %s", s)
	}
}

// Case 003-4.
func TestCopyByRevision(t *testing.T) {
	e, from, to, r4, r5 := copyEnv(t)
	b := e.copy(from, to, CopyVersions{Revisions: map[string]string{"4.0.0": r5, "5.0.0": r5}})
	wantBatch(e, b, map[string]string{
		"4.0.0": "MISMATCHED_REVISION current revision: " + r4 + ", expected revision: " + r5,
		"5.0.0": "SKIPPED Version 5.0.0 was skipped",
	})
	_, err := e.s.Package(e.ctx, e.admin, to)
	e.wantError(err, packhouse.KindNotFound, "package_not_found") // nothing was made
	wantBatch(e, e.copy(from, to, CopyVersions{Revisions: map[string]string{"4.0.0": r4}}), map[string]string{"4.0.0": "Published " + r4})
}

// Cases 003-5 and 003-6.
func TestCopyOverOtherContent(t *testing.T) {
	e, from, to, r4, r5 := copyEnv(t)
	other := e.publish(to, "4.0.0", "other four").Revision
	b := e.copy(from, to, CopyVersions{Versions: []string{"4.0.0", "5.0.0"}})
	wantBatch(e, b, map[string]string{"4.0.0": "ALREADY_EXISTS Version 4.0.0 already exists", "5.0.0": "SKIPPED Version 5.0.0 was skipped"})
	if v, err := e.s.Version(e.ctx, e.admin, to.At("4.0.0")); err != nil || v.Revision != other {
		t.Errorf("the destination has %+v, %v", v, err)
	}
	size := e.size(from.Repo.Domain)
	b = e.copy(from, to, CopyVersions{Versions: []string{"4.0.0", "5.0.0"}, AllowOverwrite: true})
	wantBatch(e, b, map[string]string{"4.0.0": "Published " + r4, "5.0.0": "Published " + r5})
	v, err := e.s.Version(e.ctx, e.admin, to.At("4.0.0"))
	e.must(err)
	if v.Revision != r4 || v.Origin.Repository != "my-repo" {
		t.Errorf("the destination has %+v", v)
	}
	if got := e.size(from.Repo.Domain); got != size-int64(len("other four")) {
		t.Errorf("the domain holds %d bytes, want the overwritten asset gone from %d", got, size)
	}
}

func TestCopyJudgesStatuses(t *testing.T) {
	e, from, to, r4, _ := copyEnv(t)
	e.status(from, packhouse.Disposed, "5.0.0")
	b := e.copy(from, to, CopyVersions{Versions: []string{"4.0.0", "5.0.0", "5.6.7"}})
	wantBatch(e, b, map[string]string{
		"4.0.0": "SKIPPED Version 4.0.0 was skipped",
		"5.0.0": "NOT_ALLOWED version 5.0.0 is Disposed and cannot be copied",
		"5.6.7": "NOT_FOUND Could not find version 5.6.7",
	})
	e.copy(from, to, CopyVersions{Versions: []string{"4.0.0"}})
	e.status(to, packhouse.Disposed, "4.0.0")
	b = e.copy(from, to, CopyVersions{Versions: []string{"4.0.0"}})
	wantBatch(e, b, map[string]string{"4.0.0": "ALREADY_EXISTS Version 4.0.0 already exists"}) // its assets are gone there
	b = e.copy(from, to, CopyVersions{Versions: []string{"4.0.0"}, AllowOverwrite: true})
	wantBatch(e, b, map[string]string{"4.0.0": "Published " + r4})
	assets, list, _, err := e.s.VersionAssets(e.ctx, e.admin, to.At("4.0.0"), Page{})
	e.must(err)
	if assets.Status != packhouse.Published || len(list) != 1 {
		t.Errorf("restored %+v with assets %v", assets, list)
	}
}

// Case 003-7.
func TestCopyFromUpstream(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	base, source, dest := in(e.repo(d, "base"), "lib"), in(e.repo(d, "source", "base"), "lib"), in(e.repo(d, "dest"), "lib")
	rev := e.publish(base, "1.0.0", "bytes", "beta").Revision
	_, err := e.s.PutControls(e.ctx, e.admin, base, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow})
	e.must(err)
	b := e.copy(source, dest, CopyVersions{Versions: []string{"1.0.0"}})
	wantBatch(e, b, map[string]string{"1.0.0": "NOT_FOUND Could not find version 1.0.0"})
	b = e.copy(source, dest, CopyVersions{Versions: []string{"1.0.0"}, IncludeFromUpstream: true})
	wantBatch(e, b, map[string]string{"1.0.0": "Published " + rev})
	_, err = e.s.Package(e.ctx, e.admin, source)
	e.wantError(err, packhouse.KindNotFound, "package_not_found") // the source itself still lacks it
	record, err := e.s.Package(e.ctx, e.admin, dest)
	e.must(err)
	if record.Controls != (packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Allow}) {
		t.Errorf("the new record has controls %v, want those of the record it came from", record.Controls)
	}
	if tags := e.tags(dest); tags["beta"] != "1.0.0" {
		t.Errorf("tags %v, want beta to follow", tags)
	}
}

// Case 003-12.
func TestTagsFollowCopies(t *testing.T) {
	e, from, to, _, _ := copyEnv(t)
	e.publish(to, "3.0.0", "three", "latest", "old")
	e.publish(from, "6.0.0", "six", "latest", "next")
	e.copy(from, to, CopyVersions{Versions: []string{"5.0.0", "6.0.0"}})
	tags := e.tags(to)
	if len(tags) != 3 || tags["latest"] != "6.0.0" || tags["next"] != "6.0.0" || tags["old"] != "3.0.0" {
		t.Errorf("tags %v", tags)
	}
}

// tags returns a package's tags.
func (e *env) tags(pkg packhouse.PackageRef) (tags map[string]string) {
	e.t.Helper()
	record, err := e.s.Package(e.ctx, e.admin, pkg)
	e.must(err)
	e.must(e.db.View(e.ctx, func(tx *catalog.Tx) (err error) {
		tags, err = tx.Tags(e.ctx, record.ID)
		return err
	}))
	return tags
}

// Cases 003-3, 003-13, 003-14 and 001-30.
func TestCopyRefuses(t *testing.T) {
	e, from, to, r4, _ := copyEnv(t)
	d := from.Repo.Domain
	elsewhere := e.repo(e.domain("other"), "elsewhere")
	reader := e.allowed("reader", `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"*"}`)
	writer := e.allowed("writer", `{"Effect":"Allow","Action":"codeartifact:CopyPackageVersions","Resource":"*"}`)
	both := e.allowed("both", `{"Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/my-repo"}`,
		`{"Effect":"Allow","Action":"codeartifact:CopyPackageVersions","Resource":["arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/test-repo2","arn:aws:codeartifact:us-west-2:111122223333:package/test-domain/test-repo2/*"]}`)
	one := []string{"4.0.0"}
	for sentence, row := range map[string]struct {
		who    packhouse.Principal
		in     CopyVersions
		kind   packhouse.Kind
		reason string
	}{
		"neither versions nor revisions":  {e.admin, CopyVersions{Destination: "test-repo2"}, packhouse.KindInvalid, "versions_or_revisions"},
		"both versions and revisions":     {e.admin, CopyVersions{Destination: "test-repo2", Versions: one, Revisions: map[string]string{"4.0.0": r4}}, packhouse.KindInvalid, "versions_or_revisions"},
		"onto itself":                     {e.admin, CopyVersions{Destination: "my-repo", Versions: one}, packhouse.KindInvalid, "same_repository"},
		"into a repository that is not":   {e.admin, CopyVersions{Destination: "absent", Versions: one}, packhouse.KindNotFound, "repository_not_found"},
		"into another domain (001-30)":    {e.admin, CopyVersions{Destination: elsewhere.Name, Versions: one}, packhouse.KindNotFound, "repository_not_found"},
		"without the right to write":      {reader, CopyVersions{Destination: "test-repo2", Versions: one}, packhouse.KindDenied, ""},
		"without the right to read":       {writer, CopyVersions{Destination: "test-repo2", Versions: one}, packhouse.KindDenied, ""},
		"by another account":              {e.stranger, CopyVersions{Destination: "test-repo2", Versions: one}, packhouse.KindDenied, ""},
		"with rights only on another one": {both, CopyVersions{Destination: "test-repo3", Versions: one}, packhouse.KindDenied, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			row.in.Domain, row.in.Source, row.in.Package = d, "my-repo", from.Package
			_, err := e.s.CopyVersions(e.ctx, row.who, row.in)
			e.wantError(err, row.kind, row.reason)
		})
	}
	b, err := e.s.CopyVersions(e.ctx, both, CopyVersions{Domain: d, Source: "my-repo", Destination: to.Repo.Name, Package: from.Package, Versions: one})
	e.must(err)
	wantBatch(e, b, map[string]string{"4.0.0": "Published " + r4})
}
