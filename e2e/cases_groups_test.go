package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// group makes a package group with modes, "PUBLISH=BLOCK" and the like, and repositories
// that one of them allows, "EXTERNAL_UPSTREAM=repo".
func (f *seedServer) group(t *testing.T, pattern string, settings ...string) {
	t.Helper()
	if pattern != "/*" {
		if _, err := f.api.CreatePackageGroup(t.Context(), &codeartifact.CreatePackageGroupInput{Domain: aws.String(seedDomain), PackageGroup: &pattern}); err != nil {
			t.Fatal(err)
		}
	}
	in := &codeartifact.UpdatePackageGroupOriginConfigurationInput{Domain: aws.String(seedDomain), PackageGroup: &pattern,
		Restrictions: map[string]types.PackageGroupOriginRestrictionMode{}}
	for _, s := range settings {
		kind, value, _ := strings.Cut(s, "=")
		switch value {
		case "ALLOW", "BLOCK", "INHERIT":
			in.Restrictions[kind] = types.PackageGroupOriginRestrictionMode(value)
		default:
			in.Restrictions[kind] = types.PackageGroupOriginRestrictionModeAllowSpecificRepositories
			in.AddAllowedRepositories = append(in.AddAllowedRepositories, types.PackageGroupAllowedRepository{
				RepositoryName: &value, OriginRestrictionType: types.PackageGroupOriginRestrictionType(kind)})
		}
	}
	if _, err := f.api.UpdatePackageGroupOriginConfiguration(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// The rows of codeartifact.md 5.4 about package groups, through the Go SDK and the aws
// command, with npm's own requests for what packages may do.
func TestPackageGroupCases(t *testing.T) {
	t.Parallel()
	var public []npmPackage
	for _, name := range []string{"anycompany-spicy-client", "anycompany.spicy.client", "walled", "open-pulled", "walled-pulled"} {
		public = append(public, npmPackage{Name: name, Version: "9.0.0"})
	}
	upstream := newNPMRegistry(t, public...)
	f := startSeedServer(t, "--connection", "public:npmjs="+upstream.URL+"/")
	ctx := t.Context()
	publishes := func(t *testing.T, repo, name string) int {
		t.Helper()
		status, _ := f.put(t, repo, npmPackage{Name: name, Version: "1.0.0"})
		return status
	}
	associated := func(t *testing.T, namespace, name string) (pattern string, kind types.PackageGroupAssociationType) {
		t.Helper()
		in := &codeartifact.GetAssociatedPackageGroupInput{Domain: aws.String(seedDomain), Format: "npm", Package: &name}
		if namespace != "" {
			in.Namespace = &namespace
		}
		out, err := f.api.GetAssociatedPackageGroup(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.PackageGroup.Pattern), out.AssociationType
	}

	t.Run("5.4.8 the group decides which controls a first version brings", func(t *testing.T) {
		repo := f.connect(t, f.repo(t))
		pull := func(name string) {
			if status, body := f.tarball(t, repo, name, "9.0.0"); status != http.StatusOK {
				t.Fatalf("pull of %s: %d %s", name, status, body)
			}
		}
		f.publish(t, repo, "open-own", "1.0.0")
		pull("open-pulled")
		f.group(t, "/npm//walled~", "PUBLISH="+repo)
		f.publish(t, repo, "walled-own", "1.0.0")
		pull("walled-pulled")
		for name, want := range map[string]string{"open-own": "ALLOW/BLOCK", "open-pulled": "BLOCK/ALLOW", "walled-own": "ALLOW/ALLOW", "walled-pulled": "ALLOW/ALLOW"} {
			if got := f.restrictions(t, repo, name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	})
	t.Run("5.4.5 a name that is like another one is blocked", func(t *testing.T) {
		f.group(t, "/npm/*", "PUBLISH=BLOCK")
		f.group(t, "/npm//anycompany-spicy-client$", "PUBLISH=ALLOW", "EXTERNAL_UPSTREAM=BLOCK")
		repo := f.connect(t, f.repo(t))
		if status, body := f.put(t, repo, npmPackage{Name: "anycompany-spicy-client", Version: "1.0.0"}); status != http.StatusCreated {
			t.Errorf("publish of the name itself: %d %s", status, body)
		}
		for _, name := range []string{"AnyCompany-spicy-client", "anycompany.spicy.client", "anycompany_spicy_client"} {
			// A new name with capitals is refused by npm's own rules before that.
			if got := publishes(t, repo, name); got != http.StatusForbidden && got != http.StatusBadRequest {
				t.Errorf("publish of %s: %d", name, got)
			}
			if status, _ := f.tarball(t, repo, name, "9.0.0"); status != http.StatusNotFound {
				t.Errorf("pull of %s: %d", name, status)
			}
			if pattern, kind := associated(t, "", name); pattern != "/npm//anycompany-spicy-client$" || kind != types.PackageGroupAssociationTypeWeak {
				t.Errorf("%s is associated with %s, %s", name, pattern, kind)
			}
		}
		if pattern, kind := associated(t, "", "anycompany-spicy-client"); pattern != "/npm//anycompany-spicy-client$" || kind != types.PackageGroupAssociationTypeStrong {
			t.Errorf("associated with %s, %s", pattern, kind)
		}
		if n := upstream.count("spicy"); n != 0 {
			t.Errorf("the public registry got %d requests", n)
		}
	})
	t.Run("5.4.6 a prefix ends with a word", func(t *testing.T) {
		f.group(t, "/npm/space/foo~")
		for name, want := range map[string]string{"foo": "/npm/space/foo~", "foo-bar": "/npm/space/foo~", "foo.bar": "/npm/space/foo~", "food": "/npm/*", "foot": "/npm/*"} {
			if pattern, kind := associated(t, "space", name); pattern != want || kind != types.PackageGroupAssociationTypeStrong {
				t.Errorf("@space/%s is associated with %s, %s, want %s", name, pattern, kind, want)
			}
		}
	})
	t.Run("5.4.7 only listed repositories take versions in", func(t *testing.T) {
		b := f.connect(t, f.repo(t))
		a, third := f.repo(t, b), f.repo(t, b)
		f.group(t, "/npm//walled$", "INTERNAL_UPSTREAM="+a, "EXTERNAL_UPSTREAM="+b, "PUBLISH=BLOCK")
		if status, body := f.tarball(t, a, "walled", "9.0.0"); status != http.StatusOK {
			t.Fatalf("at the listed repository: %d %s", status, body)
		}
		if status, _ := f.tarball(t, third, "walled", "9.0.0"); status != http.StatusNotFound {
			t.Errorf("at a third repository: %d", status)
		}
		for _, repo := range []string{a, b, third} {
			if got := publishes(t, repo, "walled"); got != http.StatusForbidden {
				t.Errorf("publish to %s: %d", repo, got)
			}
		}
		if !f.has(t, a, "walled", "9.0.0") || !f.has(t, b, "walled", "9.0.0") || f.has(t, third, "walled", "9.0.0") {
			t.Error("kept in the wrong repositories")
		}
	})
	t.Run("5.4.17 the root group's ARN survives the aws command", func(t *testing.T) {
		root, err := f.api.DescribePackageGroup(ctx, &codeartifact.DescribePackageGroupInput{Domain: aws.String(seedDomain), PackageGroup: aws.String("/*")})
		if err != nil {
			t.Fatal(err)
		}
		arn := aws.ToString(root.PackageGroup.Arn)
		if arn != "arn:aws:codeartifact:us-west-2:111122223333:package-group/test-domain/%2a" {
			t.Errorf("ARN %s", arn)
		}
		id, secret := f.profile()
		if _, err := f.awsCLI(t, id, secret, "tag-resource", "--resource-arn", arn, "--tags", "key=team,value=blue"); err != nil {
			t.Fatal(err)
		}
		out, err := f.awsCLI(t, id, secret, "list-tags-for-resource", "--resource-arn", arn, "--query", "tags[].[key,value]", "--output", "text")
		if err != nil || strings.Fields(out)[0] != "team" {
			t.Errorf("tags %q: %v", out, err)
		}
		out, err = f.awsCLI(t, id, secret, "list-package-groups", "--domain", seedDomain, "--prefix", "/npm/", "--query", "packageGroups[].pattern", "--output", "text")
		if err != nil || !strings.Contains(out, "/npm/space/foo~") || strings.HasPrefix(out, "/*") {
			t.Errorf("groups %q: %v", out, err)
		}
		r := f.raw(t, "DELETE", "/v1/package-group?"+url.Values{"domain": {seedDomain}, "package-group": {"/*"}}.Encode(), "", true)
		r.wantAPIError(t, http.StatusBadRequest, "ValidationException", "OTHER")
	})
}
