package ops

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// Case 000-10.
func TestCanonicalPackage(t *testing.T) {
	e := newEnv(t)
	for sentence, row := range map[string]struct {
		format          packhouse.FormatID
		namespace, name string
		want            packhouse.PackageName
		reason          string
	}{
		"an optional namespace, absent":        {tagFormat, "", "x", packhouse.PackageName{Format: tagFormat, Name: "x"}, ""},
		"an optional namespace, decorated":     {tagFormat, "@scope", "x", packhouse.PackageName{Format: tagFormat, Namespace: "scope", Name: "x"}, ""},
		"a needed namespace, absent":           {assetsFormat, "", "x", packhouse.PackageName{}, "namespace_required"},
		"a needed namespace, present":          {assetsFormat, "ns", "x", packhouse.PackageName{Format: assetsFormat, Namespace: "ns", Name: "x"}, ""},
		"a forbidden namespace":                {plainFormat, "ns", "x", packhouse.PackageName{}, "namespace_forbidden"},
		"a format without a room, taken as is": {futureFormat, "ns", "X", packhouse.PackageName{Format: futureFormat, Namespace: "ns", Name: "X"}, ""},
		"a format without a room, by its rule": {strictFormat, "", "x", packhouse.PackageName{}, "namespace_required"},
		"a format that does not exist (000-9)": {"foo", "", "x", packhouse.PackageName{}, "format_not_supported"},
		"no format at all":                     {"", "", "x", packhouse.PackageName{}, "format_not_supported"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := e.s.CanonicalPackage(row.format, row.namespace, row.name)
			if row.reason != "" {
				e.wantError(err, packhouse.KindInvalid, row.reason)
				return
			}
			e.must(err)
			if got != row.want {
				t.Errorf("name %+v, want %+v", got, row.want)
			}
		})
	}
}

// Case 001-23, without the clients.
func TestControlsOfAnUnknownPackageMakeARecord(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	evil := in(r, "evil")
	blocked := packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Block}
	got, err := e.s.PutControls(e.ctx, e.admin, evil, blocked)
	e.must(err)
	if got != blocked {
		t.Errorf("answer %v", got)
	}
	list, _, err := e.s.Packages(e.ctx, e.admin, r, PackageQuery{}, Page{})
	e.must(err)
	if len(list) != 1 || list[0].Ref != evil || list[0].Controls != blocked {
		t.Errorf("packages %+v", list)
	}
	if v := e.list(evil); len(v) != 0 {
		t.Errorf("versions %v", v)
	}
	staged, err := e.s.Stage(e.ctx, e.admin, evil, strings.NewReader("bytes"), 0)
	e.must(err)
	_, err = e.s.Publish(e.ctx, e.admin, format.Publication{Package: evil, Version: "1.0.0", Assets: []format.NewAsset{{Name: "package.tgz", Content: staged}}})
	e.wantError(err, packhouse.KindDenied, "publish_blocked")

	_, err = e.s.PutControls(e.ctx, e.admin, evil, packhouse.OriginControls{Publish: packhouse.Allow})
	e.wantError(err, packhouse.KindInvalid, "origin_controls")
	_, err = e.s.PutControls(e.ctx, e.admin, packhouse.PackageRef{Repo: r, Package: packhouse.PackageName{Format: futureFormat, Name: "x"}}, blocked)
	e.wantError(err, packhouse.KindInvalid, "format_not_supported")
	e.recorded()
	_, err = e.s.PutControls(e.ctx, e.admin, evil, blocked)
	e.must(err)
	if c := e.recorded(); len(c) != 0 {
		t.Errorf("setting what is set recorded %v", c)
	}
}

func TestListPackages(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	for _, n := range []packhouse.PackageName{
		{Format: tagFormat, Name: "alpha"}, {Format: tagFormat, Name: "beta"}, {Format: tagFormat, Namespace: "scope", Name: "alpha"},
		{Format: tagFormat, Namespace: "score", Name: "gamma"}, {Format: plainFormat, Name: "alpha"},
	} {
		_, err := e.s.PutControls(e.ctx, e.admin, packhouse.PackageRef{Repo: r, Package: n}, packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block})
		e.must(err)
	}
	_, err := e.s.PutControls(e.ctx, e.admin, in(r, "beta"), packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow})
	e.must(err)
	for sentence, row := range map[string]struct {
		q    PackageQuery
		want []string
	}{
		"everything, by format, namespace, name": {PackageQuery{}, []string{"plain/alpha", "tagged/alpha", "tagged/beta", "tagged/scope/alpha", "tagged/score/gamma"}},
		"one format":                             {PackageQuery{Format: plainFormat}, []string{"plain/alpha"}},
		"a name prefix without a format":         {PackageQuery{NamePrefix: "al"}, []string{"plain/alpha", "tagged/alpha", "tagged/scope/alpha"}},
		"a namespace prefix":                     {PackageQuery{Format: tagFormat, NamespacePrefix: "sco"}, []string{"tagged/scope/alpha", "tagged/score/gamma"}},
		"both prefixes":                          {PackageQuery{Format: tagFormat, NamespacePrefix: "scop", NamePrefix: "a"}, []string{"tagged/scope/alpha"}},
		"a publish restriction":                  {PackageQuery{Publish: packhouse.Block}, []string{"tagged/beta"}},
		"an upstream restriction":                {PackageQuery{Upstream: packhouse.Allow}, []string{"tagged/beta"}},
		"a format without a room":                {PackageQuery{Format: futureFormat}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			var got []string
			p := Page{Limit: 2}
			for {
				list, next, err := e.s.Packages(e.ctx, e.admin, r, row.q, p)
				e.must(err)
				for _, pkg := range list {
					got = append(got, pkg.Ref.Package.String())
				}
				if next == "" {
					break
				}
				p.After = next
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("listed %v, want %v", got, row.want)
			}
		})
	}
	_, _, err = e.s.Packages(e.ctx, e.admin, r, PackageQuery{NamespacePrefix: "s"}, Page{})
	e.wantError(err, packhouse.KindInvalid, "namespace_prefix")
}

// Case 001-13.
func TestDeletePackage(t *testing.T) {
	e := newEnv(t)
	d := e.domain("main")
	r := e.repo(d, "team")
	pkg := in(r, "lib")
	e.publish(pkg, "4.0.0", "four")
	e.publish(pkg, "5.0.0", "five")
	e.recorded()
	gone, err := e.s.DeletePackage(e.ctx, e.admin, pkg)
	e.must(err)
	if gone.Ref != pkg || gone.Controls != (packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}) {
		t.Errorf("deleted %+v", gone)
	}
	var deletions []string
	for _, c := range e.recorded() {
		if c.Kind == packhouse.ChangeVersionDeleted {
			deletions = append(deletions, fmt.Sprintf("%s %s>%s", c.Version, c.StatusBefore, c.StatusAfter))
		}
	}
	if want := []string{"4.0.0 Published>Deleted", "5.0.0 Published>Deleted"}; !slices.Equal(deletions, want) {
		t.Errorf("recorded %v, want %v", deletions, want)
	}
	_, err = e.s.Package(e.ctx, e.admin, pkg)
	e.wantError(err, packhouse.KindNotFound, "package_not_found")
	_, err = e.s.DeletePackage(e.ctx, e.admin, pkg)
	e.wantError(err, packhouse.KindNotFound, "package_not_found")
	if e.size(d) != 0 {
		t.Errorf("domain holds %d bytes after its only package is gone", e.size(d))
	}
}

func TestPackageNotFoundSpeaksAsTheServiceDoes(t *testing.T) {
	e := newEnv(t)
	r := e.repo(e.domain("main"), "team")
	_, err := e.s.Version(e.ctx, e.admin, in(r, "lodash").At("1.0.0"))
	e.wantError(err, packhouse.KindNotFound, "package_not_found")
	if !strings.HasPrefix(err.Error(), "Package not found in repository. RepoId: ") ||
		!strings.HasSuffix(err.Error(), ", Package = PackageCoordinate{packageType=tagged, packageName=lodash},") {
		t.Errorf("message %q", err)
	}
}
