package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// The rows of codeartifact.md 5.4 that need nothing but repositories and one public
// registry.
func TestCrossCuttingCases(t *testing.T) {
	t.Parallel()
	public := newNPMRegistry(t, npmPackage{Name: "outside", Version: "1.0.0"}, npmPackage{Name: "taken", Version: "1.0.0"}, npmPackage{Name: "pulled", Version: "1.0.0"})
	f := startSeedServer(t, "--connection", "public:npmjs="+public.URL+"/")
	ctx := t.Context()
	pull := func(t *testing.T, repo, name, version string) {
		t.Helper()
		if status, body := f.tarball(t, repo, name, version); status != http.StatusOK {
			t.Fatalf("%s@%s at %s: %d %s", name, version, repo, status, body)
		}
	}
	only := func(t *testing.T, name, version string, want map[string]bool) {
		t.Helper()
		for repo, kept := range want {
			if got := f.has(t, repo, name, version); got != kept {
				t.Errorf("%s has %s@%s: %v, want %v", repo, name, version, got, kept)
			}
		}
	}

	t.Run("5.4.1 intermediate repositories get nothing", func(t *testing.T) {
		c := f.connect(t, f.repo(t))
		b := f.repo(t, c)
		a := f.repo(t, b)
		pull(t, a, "outside", "1.0.0")
		only(t, "outside", "1.0.0", map[string]bool{a: true, b: false, c: true})
		d, err := f.describe(t, a, "outside", "1.0.0")
		if err != nil || d.Origin.OriginType != types.PackageVersionOriginTypeExternal ||
			aws.ToString(d.Origin.DomainEntryPoint.ExternalConnectionName) != "public:npmjs" || d.Origin.DomainEntryPoint.RepositoryName != nil {
			t.Errorf("origin: %v %+v", err, d)
		}
		if err == nil && !d.PublishedTime.Equal(published) {
			t.Errorf("publishedTime %v, want the public registry's %v", d.PublishedTime, published)
		}
	})
	t.Run("5.4.2 depth first, in the listed order", func(t *testing.T) {
		b, e, c := f.repo(t), f.repo(t), f.repo(t)
		d := f.repo(t, e)
		a := f.repo(t, c, d)
		mine := f.repo(t, a, b)
		for repo, content := range map[string]string{e: "from e", b: "from b"} {
			if status, body := f.put(t, repo, npmPackage{Name: "placed", Version: "1.0.0", Files: map[string]string{"f": content}}); status != http.StatusCreated {
				t.Fatalf("%d %s", status, body)
			}
		}
		pull(t, mine, "placed", "1.0.0")
		kept, err := f.describe(t, mine, "placed", "1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		want, err := f.describe(t, e, "placed", "1.0.0")
		if err != nil || aws.ToString(kept.Revision) != aws.ToString(want.Revision) || aws.ToString(kept.Origin.DomainEntryPoint.RepositoryName) != e {
			t.Errorf("kept %+v, want e's %+v: %v", kept, want, err)
		}
		only(t, "placed", "1.0.0", map[string]bool{a: false, c: false, d: false})
	})
	t.Run("5.4.3 the 26th upstream is not searched", func(t *testing.T) {
		last := f.repo(t) // number 26 from the client's view
		f.publish(t, last, "too-far", "1.0.0")
		up := last
		for n := 25; n >= 1; n-- {
			up = f.repo(t, up)
			if n == 25 {
				f.publish(t, up, "far", "1.0.0")
			}
		}
		mine := f.repo(t, up)
		pull(t, mine, "far", "1.0.0")
		if status, body := f.tarball(t, mine, "too-far", "1.0.0"); status != http.StatusNotFound {
			t.Errorf("too-far: %d %s", status, body)
		}
		if status, _ := do(t, http.MethodGet, f.url(mine, "too-far"), f.token, nil); status != http.StatusNotFound {
			t.Errorf("packument of too-far: %d", status)
		}
		pull(t, up, "too-far", "1.0.0") // one step nearer
	})
	t.Run("5.4.4 an upstream's tag wins over the local one", func(t *testing.T) {
		u := f.repo(t)
		f.publish(t, u, "tagged", "1.0.1")
		r := f.repo(t, u)
		f.restrict(t, r, "tagged", types.AllowPublishAllow, types.AllowUpstreamAllow)
		f.publish(t, r, "tagged", "1.0.2")
		latest := func() string {
			_, body := do(t, http.MethodGet, f.url(r, "-/package/tagged/dist-tags"), f.token, nil)
			return decode[map[string]string](t, body)["latest"]
		}
		if got := latest(); got != "1.0.1" {
			t.Errorf("latest is %s, want the upstream's 1.0.1", got)
		}
		f.restrict(t, r, "tagged", types.AllowPublishAllow, types.AllowUpstreamBlock)
		if got := latest(); got != "1.0.2" {
			t.Errorf("with upstream blocked latest is %s, want 1.0.2", got)
		}
	})
	t.Run("5.4.8 the first version decides about the next", func(t *testing.T) {
		repo := f.connect(t, f.repo(t))
		f.publish(t, repo, "own", "1.0.0")
		pull(t, repo, "pulled", "1.0.0")
		for name, want := range map[string]string{"own": "ALLOW/BLOCK", "pulled": "BLOCK/ALLOW"} {
			if got := f.restrictions(t, repo, name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		if status, body := f.put(t, repo, npmPackage{Name: "pulled", Version: "2.0.0"}); status != http.StatusForbidden {
			t.Errorf("publish of a pulled package: %d %s", status, body)
		}
	})
	t.Run("5.4.9 a version that exists upstream is taken until upstream is blocked", func(t *testing.T) {
		repo := f.connect(t, f.repo(t))
		p := npmPackage{Name: "taken", Version: "1.0.0", Files: map[string]string{"mine": "mine"}}
		if status, body := f.put(t, repo, p); status != http.StatusConflict {
			t.Errorf("%d %s, want 409", status, body)
		}
		if f.has(t, repo, "taken", "1.0.0") {
			t.Error("stored all the same")
		}
		f.restrict(t, repo, "taken", types.AllowPublishAllow, types.AllowUpstreamBlock)
		if status, body := f.put(t, repo, p); status != http.StatusCreated {
			t.Errorf("with upstream blocked: %d %s, want 201", status, body)
		}
	})
	t.Run("5.4.13 what was retained survives the repository it came from", func(t *testing.T) {
		u := f.repo(t)
		f.publish(t, u, "survivor", "1.0.0", "1.0.1")
		r := f.repo(t, u)
		pull(t, r, "survivor", "1.0.0")
		if _, err := f.api.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: aws.String(seedDomain), Repository: &u}); err != nil {
			t.Fatal(err)
		}
		pull(t, r, "survivor", "1.0.0")
		if status, _ := f.tarball(t, r, "survivor", "1.0.1"); status != http.StatusNotFound {
			t.Errorf("a version that was not retained: %d, want 404", status)
		}
		d, err := f.describe(t, r, "survivor", "1.0.0")
		if err != nil || d.Status != types.PackageVersionStatusPublished || aws.ToString(d.Origin.DomainEntryPoint.RepositoryName) != u {
			t.Errorf("%v %+v", err, d)
		}
		// A new repository of the same name starts empty.
		if _, err := f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: &u}); err != nil {
			t.Fatal(err)
		}
		if f.has(t, u, "survivor", "1.0.0") {
			t.Error("the new repository is not empty")
		}
	})
	t.Run("5.4.15 times have milliseconds and errors their resource", func(t *testing.T) {
		before, repo := time.Now(), f.repo(t)
		out, err := f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: aws.String(seedDomain), Repository: &repo})
		if err != nil {
			t.Fatal(err)
		}
		wantRecent(t, out.Repository.CreatedTime, before)
		_, err = f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: aws.String("nowhere")})
		wantNotFound(t, err, types.ResourceTypeDomain, "nowhere")
		_, err = f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: aws.String(seedDomain), Repository: aws.String("nowhere")})
		wantNotFound(t, err, types.ResourceTypeRepository, "nowhere")
		_, err = f.describe(t, repo, "lodash", "1.0.0")
		e := wantError[*types.ResourceNotFoundException](t, err)
		if want := fmt.Sprintf("RepoId: %s, Package = PackageCoordinate{packageType=npm, packageName=lodash}", repo); e.ResourceType != types.ResourceTypePackage ||
			!strings.HasPrefix(e.ErrorMessage(), "Package not found in repository. RepoId: ") || !strings.Contains(e.ErrorMessage(), repo) {
			t.Errorf("%s %q, want a package and %q", e.ResourceType, e.ErrorMessage(), want)
		}
		f.publish(t, repo, "lodash", "2.0.0")
		_, err = f.describe(t, repo, "lodash", "1.0.0")
		if e := wantError[*types.ResourceNotFoundException](t, err); e.ResourceType != types.ResourceTypePackageVersion {
			t.Errorf("resource type %s, want package-version", e.ResourceType)
		}
		_, err = f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: &repo})
		if e := wantError[*types.ConflictException](t, err); e.ResourceType != types.ResourceTypeRepository || aws.ToString(e.ResourceId) != repo {
			t.Errorf("conflict about %s %q", e.ResourceType, aws.ToString(e.ResourceId))
		}
	})
}
