package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// set makes tags settings of a repository.
func (e *env) set(r packhouse.RepoRef, pairs ...string) {
	e.t.Helper()
	var tags []packhouse.ResourceTag
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, packhouse.ResourceTag{Key: pairs[i], Value: pairs[i+1]})
	}
	e.must(e.s.TagResource(e.ctx, e.admin, packhouse.RepositoryARN(testRegion, r), tags))
}

func overwriting(p *format.Publication) { p.Assets[0].Overwrite = true }

// generic.md 4: overwrite, in the repository that is set so and before the version is
// finished only.
func TestOverwriteSetting(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r, other := e.repo(d, "team"), e.repo(d, "other")
	e.set(r, "packhouse:assets.overwrite", "until-published")
	pkg := inAssets(r, "box")
	for _, content := range []string{"one", "two"} {
		out, err := e.tryPublish(pkg, "1.0", "a", content, unfinished, overwriting)
		e.must(err)
		if out.Repeated || out.Asset.Size != 3 {
			t.Errorf("%s: outcome %+v", content, out)
		}
	}
	_, err := e.tryPublish(pkg, "1.0", "a", "not asked for", unfinished)
	e.wantError(err, packhouse.KindConflict, "version_exists")
	_, err = e.tryPublish(pkg, "1.0", "a", "the last", overwriting)
	e.must(err)
	_, err = e.tryPublish(pkg, "1.0", "a", "too late", overwriting)
	e.wantError(err, packhouse.KindConflict, "version_exists")
	if got := e.size(d); got != int64(len("the last")) {
		t.Errorf("the domain has %d bytes, want those of the last file", got)
	}

	_, err = e.tryPublish(inAssets(other, "box"), "1.0", "a", "one", unfinished, overwriting)
	e.must(err)
	_, err = e.tryPublish(inAssets(other, "box"), "1.0", "a", "two", unfinished, overwriting)
	e.wantError(err, packhouse.KindConflict, "version_exists")
	e.set(r, "packhouse:assets.overwrite", "never")
	_, err = e.tryPublish(pkg, "2.0", "a", "one", unfinished, overwriting)
	e.must(err)
	_, err = e.tryPublish(pkg, "2.0", "a", "two", unfinished, overwriting)
	e.wantError(err, packhouse.KindConflict, "version_exists")
}

// generic.md 4: late files, which change neither status nor what is there.
func TestLateAssetsSetting(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	pkg := inAssets(r, "box")
	_, err := e.tryPublish(pkg, "1.0", "a", "one")
	e.must(err)
	_, err = e.tryPublish(pkg, "1.0", "b", "two")
	e.wantError(err, packhouse.KindConflict, "version_finished")
	e.set(r, "packhouse:assets.late_assets", "on")
	out, err := e.tryPublish(pkg, "1.0", "b", "two", unfinished)
	e.must(err)
	if out.Version.Status != packhouse.Published {
		t.Errorf("the version is %s, want Published still", out.Version.Status)
	}
	_, err = e.tryPublish(pkg, "1.0", "a", "other", overwriting)
	e.wantError(err, packhouse.KindConflict, "version_exists")
	held, err := e.s.Held(e.ctx, e.admin, pkg, "1.0")
	e.must(err)
	if !held.LateAssets || held.Overwrite || len(held.Versions[0].Assets) != 2 {
		t.Errorf("held %+v", held)
	}
	arn := packhouse.RepositoryARN(testRegion, r)
	e.must(e.s.UntagResource(e.ctx, e.admin, arn, []string{"packhouse:assets.late_assets"}))
	_, err = e.tryPublish(pkg, "1.0", "c", "three")
	e.wantError(err, packhouse.KindConflict, "version_finished")
}

// generic.md 4: a repository's own largest file and quota, at their boundaries.
func TestSizeSettings(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	e.set(r, "packhouse:limits.asset", "8", "packhouse:quotas.bytes", "20B")
	pkg := inAssets(r, "box")
	_, err := e.s.Stage(e.ctx, e.admin, pkg, strings.NewReader("123456789"), 0)
	e.wantError(err, packhouse.KindTooLarge, "")
	for i, step := range []struct {
		version, asset, content string
		change                  func(*format.Publication)
		full                    bool
	}{
		{"1.0", "a", "12345678", unfinished, false},
		{"1.0", "b", "12345678", unfinished, false}, // the same bytes count again
		{"1.0", "c", "12345", unfinished, true},
		{"2.0", "a", "12345", unfinished, true},
		{"1.0", "a", "12345678", unfinished, false}, // what is there already needs no room
		{"1.0", "c", "1234", unfinished, false},     // the last that fits
	} {
		_, err := e.tryPublish(pkg, step.version, step.asset, step.content, step.change)
		if step.full {
			e.wantError(err, packhouse.KindQuotaExceeded, "repository_bytes")
		} else if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	// Replacing gives room back before it takes some.
	e.set(r, "packhouse:assets.overwrite", "until-published")
	_, err = e.tryPublish(pkg, "1.0", "a", "1234567", unfinished, overwriting)
	e.must(err)
	_, err = e.tryPublish(pkg, "2.0", "a", "12", unfinished)
	e.wantError(err, packhouse.KindQuotaExceeded, "repository_bytes")
	_, err = e.tryPublish(in(r, "another-format"), "1.0", "package.tgz", "12")
	e.wantError(err, packhouse.KindQuotaExceeded, "repository_bytes")
	e.status(pkg, packhouse.Disposed, "1.0")
	_, err = e.tryPublish(pkg, "2.0", "a", "12", unfinished)
	e.must(err)
	deleted, err := e.s.DeleteVersions(e.ctx, e.admin, ChangeVersions{Package: pkg, Versions: []string{"2.0"}})
	e.must(err)
	if len(deleted.Failed) > 0 {
		t.Fatalf("delete: %v", deleted.Failed)
	}
	_, err = e.tryPublish(pkg, "4.0", "a", "12345678", unfinished)
	e.must(err)
	_, err = e.tryPublish(pkg, "4.0", "b", "12345678", unfinished)
	e.must(err)
	_, err = e.tryPublish(pkg, "4.0", "c", "1234", unfinished) // 20 with what was deleted and disposed of gone
	e.must(err)
	// A quota of nothing is one, too; no other repository has any.
	e.set(r, "packhouse:quotas.bytes", "0")
	_, err = e.tryPublish(pkg, "3.0", "a", "1")
	e.wantError(err, packhouse.KindQuotaExceeded, "repository_bytes")
	other := e.repo(r.Domain, "other")
	_, err = e.tryPublish(inAssets(other, "box"), "1.0", "a", "123456789")
	e.must(err)
}

// What looks like a setting is one, with a value that it takes, and on a repository.
func TestSettingsAreChecked(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	arn := packhouse.RepositoryARN(testRegion, e.repo(d, "team"))
	for _, tt := range []struct{ arn, key, value, says string }{
		{arn, "packhouse:quota.bytes", "1", "packhouse:limits.asset, packhouse:quotas.bytes"},
		{arn, "Packhouse:quotas.bytes", "1", "not a setting"},
		{arn, "packhouse:", "", "not a setting"},
		{arn, "packhouse:plain.overwrite", "never", "not a setting"},
		{arn, "packhouse:assets.overwrite", "always", "never or until-published"},
		{arn, "packhouse:assets.overwrite", "", "never or until-published"},
		{arn, "packhouse:assets.late_assets", "true", "on or off"},
		{arn, "packhouse:limits.asset", "0", "a size"},
		{arn, "packhouse:quotas.bytes", "-1", "a size"},
		{packhouse.DomainARN(testRegion, d), "packhouse:quotas.bytes", "1", "repositories have only"},
	} {
		tags := []packhouse.ResourceTag{{Key: "ok", Value: "1"}, {Key: tt.key, Value: tt.value}}
		err := e.s.TagResource(e.ctx, e.admin, tt.arn, tags)
		e.wantError(err, packhouse.KindInvalid, "invalid_setting")
		if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s=%s: %v, want it to say %q", tt.key, tt.value, err, tt.says)
		}
	}
	_, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "made"},
		Tags: []packhouse.ResourceTag{{Key: "packhouse:quotas.bytes", Value: "many"}}})
	e.wantError(err, packhouse.KindInvalid, "invalid_setting")
	made, err := e.s.CreateRepository(e.ctx, e.admin, CreateRepository{Ref: packhouse.RepoRef{Domain: d, Name: "made"},
		Tags: []packhouse.ResourceTag{{Key: "packhouse:quotas.bytes", Value: "3"}}})
	e.must(err)
	_, err = e.tryPublish(inAssets(made.Ref, "box"), "1.0", "a", "1234")
	e.wantError(err, packhouse.KindQuotaExceeded, "repository_bytes")
}

// Whoever may tag a repository, and no more than that, changes none of its settings.
func TestSettingsNeedUpdateRepository(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	arn := packhouse.RepositoryARN(testRegion, r)
	e.set(r, "packhouse:quotas.bytes", "5")
	const statement = `{"Effect":"Allow","Action":[%s],"Resource":"*"}`
	tagger := e.allowed("tagger", fmt.Sprintf(statement, `"codeartifact:TagResource","codeartifact:UntagResource"`))
	keeper := e.allowed("keeper", fmt.Sprintf(statement, `"codeartifact:TagResource","codeartifact:UntagResource","codeartifact:UpdateRepository"`))
	tags := []packhouse.ResourceTag{{Key: "team", Value: "a"}, {Key: "packhouse:quotas.bytes", Value: "50"}}
	e.must(e.s.TagResource(e.ctx, tagger, arn, tags[:1]))
	e.wantError(e.s.TagResource(e.ctx, tagger, arn, tags), packhouse.KindDenied, "")
	e.wantError(e.s.UntagResource(e.ctx, tagger, arn, []string{"team", "packhouse:quotas.bytes"}), packhouse.KindDenied, "")
	e.must(e.s.UntagResource(e.ctx, tagger, arn, []string{"team"}))
	e.must(e.s.TagResource(e.ctx, keeper, arn, tags))
	e.must(e.s.UntagResource(e.ctx, keeper, arn, []string{"packhouse:quotas.bytes"}))
}
