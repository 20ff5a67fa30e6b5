package e2e

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// The rows of codeartifact.md 5.2 about domains, repositories, tokens, endpoints and tags.
func TestSeed001DomainsAndRepositories(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t, "--connection", "public:npmjs=http://127.0.0.1:9/")
	ctx := t.Context()

	t.Run("001-1 a domain is made once", func(t *testing.T) {
		before := time.Now()
		out, err := f.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: aws.String("one-domain")})
		if err != nil {
			t.Fatal(err)
		}
		d := out.Domain
		if d.Status != types.DomainStatusActive || d.RepositoryCount != 0 || d.AssetSizeBytes != 0 || aws.ToString(d.Owner) != seedAccount ||
			aws.ToString(d.Arn) != "arn:aws:codeartifact:us-west-2:111122223333:domain/one-domain" {
			t.Errorf("domain %+v", d)
		}
		if !regexp.MustCompile(`^arn:aws:kms:us-west-2:111122223333:key/`).MatchString(aws.ToString(d.EncryptionKey)) {
			t.Errorf("encryptionKey %q", aws.ToString(d.EncryptionKey))
		}
		if !regexp.MustCompile(`^arn:aws:s3:::assets-[0-9]{12}-us-west-2$`).MatchString(aws.ToString(d.S3BucketArn)) {
			t.Errorf("s3BucketArn %q", aws.ToString(d.S3BucketArn))
		}
		wantRecent(t, d.CreatedTime, before)
		_, err = f.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: aws.String("one-domain")})
		if e := wantError[*types.ConflictException](t, err); e.ResourceType != types.ResourceTypeDomain || aws.ToString(e.ResourceId) != "one-domain" {
			t.Errorf("conflict about %s %q", e.ResourceType, aws.ToString(e.ResourceId))
		}
	})
	t.Run("001-2 a domain with a repository stays", func(t *testing.T) {
		domain, repo := aws.String("two-domain"), aws.String("only")
		if _, err := f.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: domain}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: domain, Repository: repo}); err != nil {
			t.Fatal(err)
		}
		_, err := f.api.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: domain})
		wantError[*types.ConflictException](t, err)
		if _, err := f.api.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: domain, Repository: repo}); err != nil {
			t.Fatal(err)
		}
		out, err := f.api.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: domain})
		if err != nil || out.Domain.Status != types.DomainStatusDeleted {
			t.Fatalf("delete: %v %+v", err, out)
		}
		_, err = f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: domain})
		wantNotFound(t, err, types.ResourceTypeDomain, "two-domain")
		f.raw(t, "DELETE", "/v1/domain?domain=two-domain", "", true).wantAPIError(t, http.StatusNotFound, "ResourceNotFoundException", "")
	})
	t.Run("001-3 an asset is stored once in a domain", func(t *testing.T) {
		r1, r2, r3 := f.repo(t), f.repo(t), f.repo(t)
		before := f.size(t)
		if _, err := f.asset(ctx, r1, "sized", "1", "a.bin", bytes.Repeat([]byte("z"), 1000), false); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{r2, r3} {
			if _, err := f.api.CopyPackageVersions(ctx, &codeartifact.CopyPackageVersionsInput{Domain: aws.String(seedDomain), SourceRepository: &r1,
				DestinationRepository: aws.String(to), Format: types.PackageFormatGeneric, Namespace: aws.String("my-ns"), Package: aws.String("sized"), Versions: []string{"1"}}); err != nil {
				t.Fatal(err)
			}
		}
		for i, repo := range []string{r1, r2, r3} {
			if got := f.size(t) - before; got != 1000 {
				t.Errorf("with the asset in %d repositories the domain has grown by %d, want 1000", 3-i, got)
			}
			if _, err := f.api.DeletePackageVersions(ctx, &codeartifact.DeletePackageVersionsInput{Domain: aws.String(seedDomain), Repository: aws.String(repo),
				Format: types.PackageFormatGeneric, Namespace: aws.String("my-ns"), Package: aws.String("sized"), Versions: []string{"1"}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.size(t); got != before {
			t.Errorf("assetSizeBytes is %d after deleting all, want %d", got, before)
		}
	})
	t.Run("001-4 a repository holds packages of several formats", func(t *testing.T) {
		repo := f.repo(t)
		f.publish(t, repo, "left", "1.0.0")
		if _, err := f.asset(ctx, repo, "right", "1", "a.bin", nil, false); err != nil {
			t.Fatal(err)
		}
		out, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range out.Packages {
			got = append(got, string(p.Format)+"/"+aws.ToString(p.Namespace)+"/"+aws.ToString(p.Package))
		}
		if !slices.Equal(got, []string{"generic/my-ns/right", "npm//left"}) {
			t.Errorf("packages %v", got)
		}
	})
	t.Run("001-5 a repository is made, changed, described and deleted", func(t *testing.T) {
		before, repo := time.Now(), aws.String("Mixed.Case_1")
		out, err := f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: repo, Description: aws.String("first")})
		if err != nil {
			t.Fatal(err)
		}
		wantRecent(t, out.Repository.CreatedTime, before)
		if _, err := f.api.UpdateRepository(ctx, &codeartifact.UpdateRepositoryInput{Domain: aws.String(seedDomain), Repository: repo, Description: aws.String("second")}); err != nil {
			t.Fatal(err)
		}
		described, err := f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: aws.String(seedDomain), Repository: repo})
		if err != nil {
			t.Fatal(err)
		}
		r := described.Repository
		if aws.ToString(r.Description) != "second" || aws.ToString(r.AdministratorAccount) != seedAccount || aws.ToString(r.DomainOwner) != seedAccount ||
			aws.ToString(r.Arn) != "arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/Mixed.Case_1" ||
			r.Upstreams == nil || len(r.Upstreams) != 0 || r.ExternalConnections == nil || len(r.ExternalConnections) != 0 {
			t.Errorf("repository %+v", r)
		}
		deleted, err := f.api.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: aws.String(seedDomain), Repository: repo})
		if err != nil || aws.ToString(deleted.Repository.Description) != "second" {
			t.Errorf("delete: %v %+v", err, deleted)
		}
		_, err = f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: aws.String(seedDomain), Repository: repo})
		wantNotFound(t, err, types.ResourceTypeRepository, "Mixed.Case_1")
	})
	t.Run("001-8 one external connection per repository", func(t *testing.T) {
		repo := f.repo(t)
		associate := func(name string) (*codeartifact.AssociateExternalConnectionOutput, error) {
			return f.api.AssociateExternalConnection(ctx, &codeartifact.AssociateExternalConnectionInput{Domain: aws.String(seedDomain), Repository: &repo, ExternalConnection: &name})
		}
		out, err := associate("public:npmjs")
		if err != nil {
			t.Fatal(err)
		}
		if c := out.Repository.ExternalConnections; len(c) != 1 || aws.ToString(c[0].ExternalConnectionName) != "public:npmjs" ||
			c[0].PackageFormat != types.PackageFormatNpm || c[0].Status != types.ExternalConnectionStatusAvailable {
			t.Errorf("connections %+v", c)
		}
		_, err = associate("public:npmjs")
		wantError[*types.ConflictException](t, err)
		_, err = associate("public:pypi")
		wantError[*types.ServiceQuotaExceededException](t, err)
		gone, err := f.api.DisassociateExternalConnection(ctx, &codeartifact.DisassociateExternalConnectionInput{Domain: aws.String(seedDomain), Repository: &repo, ExternalConnection: aws.String("public:npmjs")})
		if err != nil || gone.Repository.ExternalConnections == nil || len(gone.Repository.ExternalConnections) != 0 {
			t.Errorf("disassociate: %v %+v", err, gone)
		}
	})
	t.Run("001-9 a client sees what upstreams have, and downloading keeps it", func(t *testing.T) {
		r2 := f.repo(t)
		f.publish(t, r2, "shared", "1.0.0")
		r1 := f.repo(t, r2)
		status, body := do(t, http.MethodGet, f.url(r1, "shared"), f.token, nil)
		if status != http.StatusOK || decode[packument](t, body).Versions["1.0.0"].Dist.Tarball == "" {
			t.Fatalf("packument: %d %s", status, body)
		}
		if f.has(t, r1, "shared", "1.0.0") {
			t.Error("r1 has the version before anybody downloaded it")
		}
		if status, _ := f.tarball(t, r1, "shared", "1.0.0"); status != http.StatusOK {
			t.Fatalf("tarball: %d", status)
		}
		if !f.has(t, r1, "shared", "1.0.0") {
			t.Error("r1 lacks the version after a download")
		}
	})
	t.Run("001-10 a token lives as long as asked, within limits", func(t *testing.T) {
		for _, c := range []struct {
			seconds *int64
			want    time.Duration // 0 for refused
		}{{nil, 12 * time.Hour}, {aws.Int64(43200), 12 * time.Hour}, {aws.Int64(900), 15 * time.Minute}, {aws.Int64(3600), time.Hour},
			{aws.Int64(899), 0}, {aws.Int64(1), 0}, {aws.Int64(43201), 0}, {aws.Int64(-1), 0}, {aws.Int64(0), 0}} {
			before := time.Now()
			out, err := f.api.GetAuthorizationToken(ctx, &codeartifact.GetAuthorizationTokenInput{Domain: aws.String(seedDomain), DurationSeconds: c.seconds})
			if c.want == 0 {
				if e := wantError[*types.ValidationException](t, err); aws.ToString(e.Message) == "" {
					t.Error("no message")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			// The answer is cut to milliseconds.
			if left := out.Expiration.Sub(before.Truncate(time.Second)); left < c.want || left > c.want+time.Since(before)+2*time.Second {
				t.Errorf("%v seconds: expires in %v, want %v", c.seconds, left, c.want)
			}
			if token := aws.ToString(out.AuthorizationToken); !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(token) || len(token) > 4000 {
				t.Errorf("token of %d characters has some that need escaping", len(token))
			}
		}
	})
	t.Run("001-11 a token needs both permissions", func(t *testing.T) {
		in := &codeartifact.GetAuthorizationTokenInput{Domain: aws.String(seedDomain)}
		for name, action := range map[string]string{"no-sts": `"codeartifact:*"`, "no-codeartifact": `"sts:GetServiceBearerToken"`} {
			_, err := f.user(t, name, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":`+action+`,"Resource":"*"}]}`).GetAuthorizationToken(ctx, in)
			wantError[*types.AccessDeniedException](t, err)
		}
		if _, err := f.user(t, "has-both", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["codeartifact:GetAuthorizationToken","sts:GetServiceBearerToken"],"Resource":"*"}]}`).GetAuthorizationToken(ctx, in); err != nil {
			t.Error(err)
		}
	})
	t.Run("001-12 every format has an endpoint that ends in a slash", func(t *testing.T) {
		repo := f.repo(t)
		for _, format := range types.PackageFormatNpm.Values() {
			for _, kind := range []types.EndpointType{"", types.EndpointTypeIpv4, types.EndpointTypeDualstack} {
				out, err := f.api.GetRepositoryEndpoint(ctx, &codeartifact.GetRepositoryEndpointInput{Domain: aws.String(seedDomain), Repository: &repo, Format: format, EndpointType: kind})
				if err != nil {
					t.Errorf("%s: %v", format, err)
					continue
				}
				if got, want := aws.ToString(out.RepositoryEndpoint), fmt.Sprintf("%s/%s/d/test-domain-111122223333/%s/", f.URL, format, repo); got != want {
					t.Errorf("%s %q: %s, want %s", format, kind, got, want)
				}
			}
		}
		_, err := f.api.GetRepositoryEndpoint(ctx, &codeartifact.GetRepositoryEndpointInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", EndpointType: "ipv6"})
		wantError[*types.ValidationException](t, err)
		_, err = f.api.GetRepositoryEndpoint(ctx, &codeartifact.GetRepositoryEndpointInput{Domain: aws.String(seedDomain), Repository: aws.String("nowhere"), Format: "npm"})
		wantNotFound(t, err, types.ResourceTypeRepository, "nowhere")
	})
	t.Run("001-12 with a host suffix the domain has a host of its own", func(t *testing.T) {
		f := startSeedServer(t, "--endpoint-host-suffix", "amazonaws.com")
		repo := f.repo(t)
		for kind, host := range map[types.EndpointType]string{
			"":                          "test-domain-111122223333.d.codeartifact.us-west-2.amazonaws.com",
			types.EndpointTypeIpv4:      "test-domain-111122223333.d.codeartifact.us-west-2.amazonaws.com",
			types.EndpointTypeDualstack: "test-domain-111122223333.d.codeartifact.us-west-2.on.aws",
		} {
			out, err := f.api.GetRepositoryEndpoint(ctx, &codeartifact.GetRepositoryEndpointInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "maven", EndpointType: kind})
			if err != nil {
				t.Fatal(err)
			}
			if u, err := url.Parse(aws.ToString(out.RepositoryEndpoint)); err != nil || u.Hostname() != host || u.Path != "/maven/"+repo+"/" {
				t.Errorf("%q: %s, want host %s", kind, aws.ToString(out.RepositoryEndpoint), host)
			}
		}
	})
	t.Run("001-28 tags are a list", func(t *testing.T) {
		repo := f.repo(t)
		for _, arn := range []string{"arn:aws:codeartifact:us-west-2:111122223333:domain/test-domain", "arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/" + repo} {
			tags := func() map[string]string {
				t.Helper()
				out, err := f.api.ListTagsForResource(ctx, &codeartifact.ListTagsForResourceInput{ResourceArn: &arn})
				if err != nil {
					t.Fatal(err)
				}
				if out.Tags == nil {
					t.Error("tags is absent, want a list")
				}
				all := map[string]string{}
				for _, tag := range out.Tags {
					all[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
				}
				return all
			}
			if got := tags(); len(got) != 0 {
				t.Errorf("tags of a new resource: %v", got)
			}
			tag := func(pairs ...string) error {
				in := &codeartifact.TagResourceInput{ResourceArn: &arn}
				for i := 0; i < len(pairs); i += 2 {
					in.Tags = append(in.Tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
				}
				_, err := f.api.TagResource(ctx, in)
				return err
			}
			if err := tag("team", "blue", "empty", "", "Team", "red"); err != nil {
				t.Fatal(err)
			}
			if err := tag("team", "green"); err != nil {
				t.Fatal(err)
			}
			if _, err := f.api.UntagResource(ctx, &codeartifact.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"Team", "absent"}}); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(tags()); got != "map[empty: team:green]" {
				t.Errorf("tags %s", got)
			}
			wantError[*types.ValidationException](t, tag("aws:x", "y"))
			many := make([]string, 0, 100)
			for i := range 50 {
				many = append(many, "k"+strconv.Itoa(i), "v")
			}
			wantError[*types.ServiceQuotaExceededException](t, tag(many...))
			if len(tags()) != 2 {
				t.Error("a refused call changed the tags")
			}
		}
		_, err := f.api.ListTagsForResource(ctx, &codeartifact.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:codeartifact:us-west-2:111122223333:domain/nowhere")})
		wantError[*types.ResourceNotFoundException](t, err)
	})
	t.Run("001-29 every operation of this server is routed and wants its members", func(t *testing.T) {
		for _, o := range []string{
			"POST /v1/repository/external-connection", "POST /v1/package/versions/copy", "POST /v1/domain", "POST /v1/repository", "DELETE /v1/domain",
			"DELETE /v1/package", "POST /v1/package/versions/delete", "DELETE /v1/repository", "GET /v1/domain", "GET /v1/package", "GET /v1/package/version",
			"GET /v1/repository", "DELETE /v1/repository/external-connection", "POST /v1/package/versions/dispose", "POST /v1/authorization-token",
			"GET /v1/package/version/asset", "GET /v1/package/version/readme", "GET /v1/repository/endpoint", "POST /v1/package/version/assets",
			"POST /v1/package/version/dependencies", "POST /v1/package/versions", "POST /v1/packages", "POST /v1/domain/repositories",
			"POST /v1/package/version/publish", "POST /v1/package", "POST /v1/package/versions/update_status", "PUT /v1/repository",
			"POST /v1/tag", "POST /v1/untag", "POST /v1/tags",
		} {
			method, path, _ := strings.Cut(o, " ")
			r := f.raw(t, method, path, "", true)
			if r.wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED"); t.Failed() {
				t.Fatalf("%s", o)
			}
		}
		for _, path := range []string{"/v1/domains", "/v1/repositories"} {
			if r := f.raw(t, "POST", path, "", true); r.status != http.StatusOK {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		f.raw(t, "POST", "/v1/nonsense", "", true).wantAPIError(t, http.StatusBadRequest, "ValidationException", "UNKNOWN_OPERATION")
	})
	t.Run("001-30 copying stays inside one domain", func(t *testing.T) {
		repo := f.seeded(t)
		if _, err := f.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: aws.String("far-domain")}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: aws.String("far-domain"), Repository: aws.String("far-away")}); err != nil {
			t.Fatal(err)
		}
		_, err := f.api.CopyPackageVersions(ctx, &codeartifact.CopyPackageVersionsInput{Domain: aws.String(seedDomain), SourceRepository: &repo,
			DestinationRepository: aws.String("far-away"), Format: "npm", Package: aws.String(seedPackage), Versions: []string{"4.0.0"}})
		wantNotFound(t, err, types.ResourceTypeRepository, "far-away")
	})
	t.Run("1.6 upstreams of a repository", func(t *testing.T) {
		a, b := f.repo(t), f.repo(t)
		update := func(repo string, names ...string) (*codeartifact.UpdateRepositoryOutput, error) {
			in := &codeartifact.UpdateRepositoryInput{Domain: aws.String(seedDomain), Repository: &repo, Upstreams: []types.UpstreamRepository{}}
			for _, n := range names {
				in.Upstreams = append(in.Upstreams, types.UpstreamRepository{RepositoryName: aws.String(n)})
			}
			return f.api.UpdateRepository(ctx, in)
		}
		if _, err := update(a, b); err != nil {
			t.Fatal(err)
		}
		for name, list := range map[string][]string{"itself": {b}, "a cycle": {a}, "twice": {a, a}} {
			if _, err := update(b, list...); err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				wantError[*types.ValidationException](t, err)
			}
		}
		_, err := update(b, "nowhere")
		wantNotFound(t, err, types.ResourceTypeRepository, "nowhere")
		var eleven []string
		for range 11 {
			eleven = append(eleven, f.repo(t))
		}
		_, err = update(a, eleven...)
		wantError[*types.ServiceQuotaExceededException](t, err)
		// Left out they stay, empty they go.
		kept, err := f.api.UpdateRepository(ctx, &codeartifact.UpdateRepositoryInput{Domain: aws.String(seedDomain), Repository: &a, Description: aws.String("x")})
		if err != nil || len(kept.Repository.Upstreams) != 1 {
			t.Errorf("left out: %v %+v", err, kept)
		}
		cleared, err := update(a)
		if err != nil || len(cleared.Repository.Upstreams) != 0 {
			t.Errorf("empty: %v %+v", err, cleared)
		}
	})
	t.Run("1.1 constraints are checked here, not by clients", func(t *testing.T) {
		for _, query := range []string{"domain=a", "domain=My_Domain", "domain=9lives", "domain=ends-", "domain=" + strings.Repeat("a", 51), "domain=", "domain=%00x", "domain=test-domain&domain-owner=12345"} {
			f.raw(t, "GET", "/v1/domain?"+query, "", true).wantAPIError(t, http.StatusBadRequest, "ValidationException", "FIELD_VALIDATION_FAILED")
		}
		f.raw(t, "POST", "/v1/domain?domain=key-domain", `{"encryptionKey":"alias/nobody"}`, true).
			wantAPIError(t, http.StatusBadRequest, "ValidationException", "ENCRYPTION_KEY_ERROR")
		for _, body := range []string{`{`, `[]`, `"x"`, "\x00", `{"description":1}`, strings.Repeat("[", 100)} {
			r := f.raw(t, "PUT", "/v1/repository?domain=test-domain&repository=repo-1", body, true)
			if r.status != http.StatusBadRequest || r.header.Get("X-Amzn-Errortype") != "ValidationException" {
				t.Errorf("body %q: %d %s", body, r.status, r.body)
			}
		}
	})
}

// size is the domain's assetSizeBytes.
func (f *seedServer) size(t *testing.T) int64 {
	t.Helper()
	out, err := f.api.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String(seedDomain)})
	if err != nil {
		t.Fatal(err)
	}
	return out.Domain.AssetSizeBytes
}

// wantRecent fails unless a time lies between before, to the millisecond, and now.
func wantRecent(t *testing.T, got *time.Time, before time.Time) {
	t.Helper()
	if got == nil || got.Before(before.Truncate(time.Millisecond)) || got.After(time.Now()) || !got.Equal(got.Truncate(time.Millisecond)) {
		t.Errorf("time %v, want one since %v in whole milliseconds", got, before)
	}
}

// The rows of codeartifact.md 5.2 about packages and versions.
func TestSeed001PackagesAndVersions(t *testing.T) {
	t.Parallel()
	public := newNPMRegistry(t, npmPackage{Name: "evil", Version: "6.6.6"})
	f := startSeedServer(t, "--connection", "public:npmjs="+public.URL+"/")
	ctx := t.Context()
	dispose := func(t *testing.T, repo string, versions ...string) {
		t.Helper()
		out, err := f.api.DisposePackageVersions(ctx, &codeartifact.DisposePackageVersionsInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: "npm", Package: aws.String(seedPackage), Versions: versions})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			if out.SuccessfulVersions[v].Status != types.PackageVersionStatusDisposed {
				t.Fatalf("dispose: %v, failed %v", out.SuccessfulVersions, out.FailedVersions)
			}
		}
	}

	t.Run("001-13 DeletePackage removes all versions", func(t *testing.T) {
		repo := f.seeded(t)
		out, err := f.api.DeletePackage(ctx, &codeartifact.DeletePackageInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String(seedPackage)})
		if err != nil {
			t.Fatal(err)
		}
		d := out.DeletedPackage
		if d.Format != types.PackageFormatNpm || aws.ToString(d.Package) != seedPackage || d.OriginConfiguration == nil ||
			d.OriginConfiguration.Restrictions.Publish != "ALLOW" || d.OriginConfiguration.Restrictions.Upstream != "BLOCK" {
			t.Errorf("deletedPackage %+v", d)
		}
		_, err = f.api.DescribePackage(ctx, &codeartifact.DescribePackageInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String(seedPackage)})
		if e := wantError[*types.ResourceNotFoundException](t, err); e.ResourceType != types.ResourceTypePackage {
			t.Errorf("resource type %s", e.ResourceType)
		}
	})
	t.Run("001-14 a deleted version published again has a revision of its content", func(t *testing.T) {
		repo := f.seeded(t)
		before, again := "", map[string]string{}
		for _, content := range []string{"", "other"} {
			before = aws.ToString(f.versions(t, repo, seedPackage, "")["4.0.0"].Revision)
			if _, err := f.api.DeletePackageVersions(ctx, &codeartifact.DeletePackageVersionsInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String(seedPackage), Versions: []string{"4.0.0"}}); err != nil {
				t.Fatal(err)
			}
			p := npmPackage{Name: seedPackage, Version: "4.0.0"}
			if content != "" {
				p.Files = map[string]string{"f": content}
			}
			if status, body := f.put(t, repo, p); status != http.StatusCreated {
				t.Fatalf("%d %s", status, body)
			}
			again[content] = aws.ToString(f.versions(t, repo, seedPackage, "")["4.0.0"].Revision)
		}
		if again[""] != before || again["other"] == before {
			t.Errorf("revisions: first %s, same content %s, other content %s", before, again[""], again["other"])
		}
	})
	t.Run("001-15 a disposed version is a tombstone", func(t *testing.T) {
		repo := f.seeded(t)
		before := f.versions(t, repo, seedPackage, "")["4.0.0"]
		dispose(t, repo, "4.0.0")
		dispose(t, repo, "4.0.0") // again is no error
		listed := f.versions(t, repo, seedPackage, types.PackageVersionStatusDisposed)
		if len(listed) != 1 || aws.ToString(listed["4.0.0"].Revision) != aws.ToString(before.Revision) {
			t.Errorf("listed as disposed: %v", listed)
		}
		if d, err := f.describe(t, repo, seedPackage, "4.0.0"); err != nil || d.Status != types.PackageVersionStatusDisposed {
			t.Errorf("describe: %v %+v", err, d)
		}
		out, err := f.api.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: "npm", Package: aws.String(seedPackage), Versions: []string{"4.0.0"}, TargetStatus: "Published"})
		if err != nil || out.FailedVersions["4.0.0"].ErrorCode != types.PackageVersionErrorCodeNotAllowed {
			t.Errorf("restore: %v %+v", err, out)
		}
		if status, _ := f.tarball(t, repo, seedPackage, "4.0.0"); status != http.StatusNotFound {
			t.Errorf("download: %d, want 404", status)
		}
		for name, files := range map[string]map[string]string{"same bytes": nil, "other bytes": {"f": "x"}} {
			if status, body := f.put(t, repo, npmPackage{Name: seedPackage, Version: "4.0.0", Files: files}); status != http.StatusConflict {
				t.Errorf("republish, %s: %d %s", name, status, body)
			}
		}
	})
	t.Run("001-16 all statuses are listed unless one is asked for", func(t *testing.T) {
		repo := f.repo(t)
		f.publish(t, repo, seedPackage, "1.0.0", "2.0.0", "3.0.0", "4.0.0")
		f.setStatus(t, repo, seedPackage, types.PackageVersionStatusUnlisted, "2.0.0")
		f.setStatus(t, repo, seedPackage, types.PackageVersionStatusArchived, "3.0.0")
		dispose(t, repo, "4.0.0")
		want := map[string]types.PackageVersionStatus{"1.0.0": "Published", "2.0.0": "Unlisted", "3.0.0": "Archived", "4.0.0": "Disposed"}
		all := f.versions(t, repo, seedPackage, "")
		if len(all) != len(want) {
			t.Errorf("listed %v", all)
		}
		for v, status := range want {
			if all[v].Status != status {
				t.Errorf("%s is %s, want %s", v, all[v].Status, status)
			}
			if got := f.versions(t, repo, seedPackage, status); len(got) != 1 || got[v].Status != status {
				t.Errorf("with status %s: %v", status, got)
			}
		}
		if _, err := f.asset(ctx, repo, "tool", "1", "a.bin", nil, true); err != nil {
			t.Fatal(err)
		}
		out, err := f.api.ListPackageVersions(ctx, &codeartifact.ListPackageVersionsInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "generic", Namespace: aws.String("my-ns"), Package: aws.String("tool")})
		if err != nil || len(out.Versions) != 1 || out.Versions[0].Status != types.PackageVersionStatusUnfinished || out.DefaultDisplayVersion != nil {
			t.Errorf("unfinished: %v %+v", err, out)
		}
	})
	t.Run("001-17 three statuses may be set and three may not", func(t *testing.T) {
		repo := f.seeded(t)
		before := f.versions(t, repo, seedPackage, "")["4.0.0"]
		for _, status := range []types.PackageVersionStatus{"Archived", "Published", "Unlisted", "Unlisted", "Published"} {
			f.setStatus(t, repo, seedPackage, status, "4.0.0")
			if got := f.versions(t, repo, seedPackage, "")["4.0.0"]; got.Status != status || aws.ToString(got.Revision) != aws.ToString(before.Revision) {
				t.Errorf("%s: %+v, revision before %s", status, got, aws.ToString(before.Revision))
			}
		}
		for _, status := range []types.PackageVersionStatus{"Disposed", "Unfinished", "Deleted", "Nonsense"} {
			_, err := f.api.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{Domain: aws.String(seedDomain), Repository: &repo,
				Format: "npm", Package: aws.String(seedPackage), Versions: []string{"4.0.0"}, TargetStatus: status})
			wantError[*types.ValidationException](t, err)
		}
		_, err := f.api.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: "npm", Package: aws.String(seedPackage), Versions: []string{"4.0.0"}, TargetStatus: "Archived",
			VersionRevisions: map[string]string{"5.0.0": "x"}})
		wantError[*types.ValidationException](t, err) // the keys are another set
	})
	t.Run("001-18 an asset comes with its three headers", func(t *testing.T) {
		repo := f.seeded(t)
		_, want := f.tarball(t, repo, seedPackage, "4.0.0")
		in := &codeartifact.GetPackageVersionAssetInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String(seedPackage),
			PackageVersion: aws.String("4.0.0"), Asset: aws.String("package.tgz")}
		out, err := f.api.GetPackageVersionAsset(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Asset.Close()
		got, err := io.ReadAll(out.Asset)
		revision := aws.ToString(f.versions(t, repo, seedPackage, "")["4.0.0"].Revision)
		if err != nil || !bytes.Equal(got, want) || aws.ToString(out.AssetName) != "package.tgz" || aws.ToString(out.PackageVersion) != "4.0.0" ||
			aws.ToString(out.PackageVersionRevision) != revision {
			t.Errorf("%v, %d bytes of %d, %+v", err, len(got), len(want), out)
		}
		in.PackageVersionRevision = aws.String("AAAA")
		_, err = f.api.GetPackageVersionAsset(ctx, in)
		wantError[*types.ConflictException](t, err)
		in.PackageVersionRevision = &revision
		if out, err := f.api.GetPackageVersionAsset(ctx, in); err != nil {
			t.Errorf("current revision: %v", err)
		} else {
			out.Asset.Close()
		}
		in.Asset = aws.String("nothing.tgz")
		_, err = f.api.GetPackageVersionAsset(ctx, in)
		wantNotFound(t, err, types.ResourceTypeAsset, "nothing.tgz")
	})
	t.Run("001-19 a readme is returned as it is", func(t *testing.T) {
		const readme = "# Title\n\n*Markdown*, <b>HTML</b> & `code` — \u00e9\n"
		repo := f.repo(t)
		p := npmPackage{Name: "@docs/with-readme", Version: "1.0.0", Files: map[string]string{"README.md": readme}}
		if status, body := f.put(t, repo, p); status != http.StatusCreated {
			t.Fatalf("%d %s", status, body)
		}
		in := &codeartifact.GetPackageVersionReadmeInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Namespace: aws.String("docs"), Package: aws.String("with-readme"), PackageVersion: aws.String("1.0.0")}
		out, err := f.api.GetPackageVersionReadme(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.Readme) != readme || out.Format != "npm" || aws.ToString(out.Namespace) != "docs" || aws.ToString(out.Package) != "with-readme" ||
			aws.ToString(out.Version) != "1.0.0" || aws.ToString(out.VersionRevision) == "" {
			t.Errorf("%+v with readme %q", out, aws.ToString(out.Readme))
		}
		f.publish(t, repo, "bare", "1.0.0")
		in.Namespace, in.Package = nil, aws.String("bare")
		_, err = f.api.GetPackageVersionReadme(ctx, in)
		wantError[*types.ResourceNotFoundException](t, err)
	})
	t.Run("001-20 dependencies are the direct ones of the package's own file", func(t *testing.T) {
		repo := f.repo(t)
		p := npmPackage{Name: "deps", Version: "1.0.0", Manifest: map[string]any{
			"dependencies": map[string]string{"@scope/a": "^1.0.0", "opt": "1.x"}, "devDependencies": map[string]string{"b": "~2.0.0"},
			"peerDependencies": map[string]string{"c": ">=3 <5"}, "optionalDependencies": map[string]string{"opt": "1.x"}}}
		if status, body := f.put(t, repo, p); status != http.StatusCreated {
			t.Fatalf("%d %s", status, body)
		}
		out, err := f.api.ListPackageVersionDependencies(ctx, &codeartifact.ListPackageVersionDependenciesInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String("deps"), PackageVersion: aws.String("1.0.0")})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range out.Dependencies {
			got = append(got, fmt.Sprintf("%s %s/%s %s", aws.ToString(d.DependencyType), aws.ToString(d.Namespace), aws.ToString(d.Package), aws.ToString(d.VersionRequirement)))
		}
		slices.Sort(got)
		if want := []string{"dev /b ~2.0.0", "optional /opt 1.x", "peer /c >=3 <5", "regular scope/a ^1.0.0"}; !slices.Equal(got, want) {
			t.Errorf("dependencies %q, want %q", got, want)
		}
	})
	t.Run("001-21 assets have four hashes", func(t *testing.T) {
		repo := f.repo(t)
		contents := map[string][]byte{"a.bin": []byte("first"), "b.bin": []byte("second")}
		for _, name := range []string{"a.bin", "b.bin"} {
			if _, err := f.asset(ctx, repo, "hashed", "1", name, contents[name], true); err != nil {
				t.Fatal(err)
			}
		}
		out, err := f.api.ListPackageVersionAssets(ctx, &codeartifact.ListPackageVersionAssetsInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: "generic", Namespace: aws.String("my-ns"), Package: aws.String("hashed"), PackageVersion: aws.String("1")})
		if err != nil || len(out.Assets) != 2 {
			t.Fatalf("%v %+v", err, out)
		}
		for _, a := range out.Assets {
			body := contents[aws.ToString(a.Name)]
			m, s1, s256, s512 := md5.Sum(body), sha1.Sum(body), sha256.Sum256(body), sha512.Sum512(body)
			want := map[string]string{"MD5": hex.EncodeToString(m[:]), "SHA-1": hex.EncodeToString(s1[:]), "SHA-256": hex.EncodeToString(s256[:]), "SHA-512": hex.EncodeToString(s512[:])}
			if fmt.Sprint(a.Hashes) != fmt.Sprint(want) || aws.ToInt64(a.Size) != int64(len(body)) {
				t.Errorf("%s: %d bytes, hashes %v", aws.ToString(a.Name), aws.ToInt64(a.Size), a.Hashes)
			}
		}
	})
	t.Run("001-22 generic versions are unfinished until told otherwise", func(t *testing.T) {
		repo := f.repo(t)
		first, err := f.asset(ctx, repo, "tool", "1", "a.bin", []byte("a"), true)
		if err != nil || first.Status != types.PackageVersionStatusUnfinished || aws.ToString(first.Asset.Name) != "a.bin" {
			t.Fatalf("%v %+v", err, first)
		}
		second, err := f.asset(ctx, repo, "tool", "1", "b.bin", []byte("b"), false)
		if err != nil || second.Status != types.PackageVersionStatusPublished || aws.ToString(second.VersionRevision) == aws.ToString(first.VersionRevision) {
			t.Fatalf("%v %+v", err, second)
		}
		_, err = f.asset(ctx, repo, "tool", "1", "c.bin", []byte("c"), false)
		wantError[*types.ConflictException](t, err)
		_, err = f.asset(ctx, repo, "tool", "1", "a.bin", []byte("other"), false)
		wantError[*types.ConflictException](t, err)
		if again, err := f.asset(ctx, repo, "tool", "1", "a.bin", []byte("a"), true); err != nil || again.Status != types.PackageVersionStatusPublished {
			t.Errorf("the same bytes again: %v %+v", err, again)
		}
		_, err = f.api.UpdatePackageVersionsStatus(ctx, &codeartifact.UpdatePackageVersionsStatusInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "generic",
			Namespace: aws.String("my-ns"), Package: aws.String("tool"), Versions: []string{"1"}, TargetStatus: "Unfinished"})
		wantError[*types.ValidationException](t, err)
		sum := sha256.Sum256(nil)
		in := &codeartifact.PublishPackageVersionInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String("tool"), PackageVersion: aws.String("1.0.0"),
			AssetName: aws.String("package.tgz"), AssetSHA256: aws.String(hex.EncodeToString(sum[:])), AssetContent: bytes.NewReader(nil)}
		_, err = f.api.PublishPackageVersion(ctx, in)
		wantError[*types.ValidationException](t, err)
		in.Format, in.Namespace, in.AssetName = "generic", aws.String("my-ns"), aws.String("d.bin")
		in.AssetContent = strings.NewReader("not what the hash says")
		_, err = f.api.PublishPackageVersion(ctx, in)
		wantError[*types.ValidationException](t, err)
		for _, name := range []string{"a/b", `a\b`, "a b", "..", "a\u202eb", "a*b", "a%b"} {
			_, err := f.asset(ctx, repo, "named", "1", name, []byte("x"), false)
			wantError[*types.ValidationException](t, err)
		}
		if _, err := f.asset(ctx, repo, "named", "1", "Ünïcödé~!@^&()-`_+[]{};,.1", []byte("x"), false); err != nil {
			t.Errorf("every character that is allowed: %v", err)
		}
	})
	t.Run("001-23 origin controls of an unknown package block it", func(t *testing.T) {
		repo := f.connect(t, f.repo(t))
		f.restrict(t, repo, "evil", "BLOCK", "BLOCK")
		list, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo})
		if err != nil || len(list.Packages) != 1 || aws.ToString(list.Packages[0].Package) != "evil" {
			t.Errorf("%v %+v", err, list)
		}
		r := f.raw(t, "POST", "/v1/package/versions?"+url.Values{"domain": {seedDomain}, "repository": {repo}, "format": {"npm"}, "package": {"evil"}}.Encode(), "", true)
		var members map[string]json.RawMessage
		if err := json.Unmarshal(r.body, &members); err != nil || string(members["versions"]) != "[]" {
			t.Errorf("versions: %s", r.body)
		}
		if status, body := f.put(t, repo, npmPackage{Name: "evil", Version: "1.0.0"}); status != http.StatusForbidden {
			t.Errorf("publish: %d %s", status, body)
		}
		if status, body := do(t, http.MethodGet, f.url(repo, "evil"), f.token, nil); status != http.StatusNotFound {
			t.Errorf("packument: %d %s", status, body)
		}
		if status, _ := f.tarball(t, repo, "evil", "6.6.6"); status != http.StatusNotFound {
			t.Errorf("tarball: %d", status)
		}
		if n := public.count("evil"); n != 0 {
			t.Errorf("the public registry got %d requests", n)
		}
	})
}

// codeartifact.md 1.2: pages have the stated sizes, miss nothing, repeat nothing, and
// their tokens are good for the same question only.
func TestPages(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	ctx := t.Context()
	repo, other := f.repo(t), f.repo(t)
	inParallel(t, 120, func(i int) error {
		_, err := f.api.PutPackageOriginConfiguration(ctx, &codeartifact.PutPackageOriginConfigurationInput{Domain: aws.String(seedDomain), Repository: &repo,
			Format: "npm", Package: aws.String(fmt.Sprintf("p%03d", i)), Restrictions: &types.PackageOriginRestrictions{Publish: "ALLOW", Upstream: "BLOCK"}})
		return err
	})
	inParallel(t, 60, func(i int) error {
		_, err := f.asset(ctx, repo, "many", fmt.Sprintf("1.0.%d", i), "a.bin", []byte("x"), false)
		return err
	})
	inParallel(t, 60, func(i int) error {
		_, err := f.api.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: aws.String(fmt.Sprintf("paged-%02d", i))})
		return err
	})

	type page struct {
		names []string
		next  *string
	}
	lists := map[string]struct {
		size, total int
		get         func(max *int32, next *string) (page, error)
	}{
		"ListPackages": {100, 121, func(max *int32, next *string) (p page, err error) {
			out, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo, MaxResults: max, NextToken: next})
			if err == nil {
				p.next = out.NextToken
				for _, x := range out.Packages {
					p.names = append(p.names, string(x.Format)+"/"+aws.ToString(x.Namespace)+"/"+aws.ToString(x.Package))
				}
			}
			return p, err
		}},
		"ListPackageVersions": {50, 60, func(max *int32, next *string) (p page, err error) {
			out, err := f.api.ListPackageVersions(ctx, &codeartifact.ListPackageVersionsInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "generic",
				Namespace: aws.String("my-ns"), Package: aws.String("many"), MaxResults: max, NextToken: next})
			if err == nil {
				p.next = out.NextToken
				if aws.ToString(out.DefaultDisplayVersion) == "" || aws.ToString(out.Package) != "many" {
					t.Errorf("a page lacks the package's members: %+v", out)
				}
				for _, x := range out.Versions {
					p.names = append(p.names, aws.ToString(x.Version))
				}
			}
			return p, err
		}},
		"ListRepositories": {50, 62, func(max *int32, next *string) (p page, err error) {
			out, err := f.api.ListRepositories(ctx, &codeartifact.ListRepositoriesInput{MaxResults: max, NextToken: next})
			if err == nil {
				p.next = out.NextToken
				for _, x := range out.Repositories {
					p.names = append(p.names, aws.ToString(x.Name))
				}
			}
			return p, err
		}},
		"ListRepositoriesInDomain": {50, 60, func(max *int32, next *string) (p page, err error) {
			out, err := f.api.ListRepositoriesInDomain(ctx, &codeartifact.ListRepositoriesInDomainInput{Domain: aws.String(seedDomain),
				RepositoryPrefix: aws.String("paged-"), MaxResults: max, NextToken: next})
			if err == nil {
				p.next = out.NextToken
				for _, x := range out.Repositories {
					p.names = append(p.names, aws.ToString(x.Name))
				}
			}
			return p, err
		}},
	}
	tokens := map[string]*string{}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			for _, max := range []*int32{nil, aws.Int32(7), aws.Int32(1000)} {
				size := list.size
				if max != nil {
					size = int(*max)
				}
				var (
					all  []string
					next *string
				)
				for {
					p, err := list.get(max, next)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, p.names...)
					if p.next == nil {
						break
					}
					if len(p.names) != size || len(*p.next) > 2000 || strings.ContainsAny(*p.next, " \t\n") || (next != nil && *next == *p.next) {
						t.Fatalf("a page of %d, want %d, with token %q after %q", len(p.names), size, *p.next, aws.ToString(next))
					}
					next, tokens[name] = p.next, p.next
				}
				if len(all) != list.total || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != list.total {
					t.Errorf("max %v: %d names, want %d in order and once each", aws.ToInt32(max), len(all), list.total)
				}
			}
			for _, max := range []int32{0, 1001, -1} {
				_, err := list.get(&max, nil)
				wantError[*types.ValidationException](t, err)
			}
		})
	}
	t.Run("a token of another list, question or nobody is refused", func(t *testing.T) {
		for name, list := range lists {
			for from, token := range tokens {
				if from != name {
					if _, err := list.get(nil, token); err == nil {
						t.Errorf("%s takes a token of %s", name, from)
					} else {
						wantError[*types.ValidationException](t, err)
					}
				}
			}
			for _, token := range []string{"x", "AAAA", strings.Repeat("a", 2001), aws.ToString(tokens[name]) + "A"} {
				_, err := list.get(nil, &token)
				wantError[*types.ValidationException](t, err)
			}
		}
		_, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &other, NextToken: tokens["ListPackages"]})
		wantError[*types.ValidationException](t, err)
		reader := f.user(t, "page-reader", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}]}`)
		_, err = reader.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo, NextToken: tokens["ListPackages"]})
		wantError[*types.ValidationException](t, err)
	})
	t.Run("what is added and deleted between pages moves nothing else", func(t *testing.T) {
		first, err := lists["ListPackages"].get(aws.Int32(10), nil)
		if err != nil {
			t.Fatal(err)
		}
		f.restrict(t, repo, "a-new-one", "ALLOW", "BLOCK")
		if _, err := f.api.DeletePackage(ctx, &codeartifact.DeletePackageInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "npm", Package: aws.String("p008")}); err != nil {
			t.Fatal(err)
		}
		second, err := lists["ListPackages"].get(aws.Int32(10), first.next)
		if err != nil || len(second.names) != 10 || second.names[0] != "npm//p009" {
			t.Errorf("the second page begins with %v: %v; the first ended with %v", second.names, err, first.names)
		}
	})
	t.Run("filters", func(t *testing.T) {
		_, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo, Namespace: aws.String("my")})
		wantError[*types.ValidationException](t, err) // a namespace needs a format
		out, err := f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo, Format: "generic", Namespace: aws.String("my")})
		if err != nil || len(out.Packages) != 1 {
			t.Errorf("by the namespace's beginning: %v %+v", err, out)
		}
		out, err = f.api.ListPackages(ctx, &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &repo, PackagePrefix: aws.String("p11")})
		if err != nil || len(out.Packages) != 10 {
			t.Errorf("by the name's beginning: %v, %d", err, len(out.Packages))
		}
	})
	t.Run("empty lists are lists", func(t *testing.T) {
		for path, member := range map[string]string{
			"/v1/packages?domain=test-domain&repository=" + other:                                 "packages",
			"/v1/repositories?repository-prefix=nothing":                                          "repositories",
			"/v1/domain/repositories?domain=test-domain&repository-prefix=nothing":                "repositories",
			"/v1/tags?resourceArn=arn:aws:codeartifact:us-west-2:111122223333:domain/test-domain": "tags",
		} {
			r := f.raw(t, "POST", path, "", true)
			var members map[string]json.RawMessage
			if err := json.Unmarshal(r.body, &members); err != nil || r.status != http.StatusOK || string(members[member]) != "[]" {
				t.Errorf("%s: %d %s, want an empty list of %s", path, r.status, r.body, member)
			}
			if _, found := members["nextToken"]; found {
				t.Errorf("%s: the last page has a token: %s", path, r.body)
			}
		}
	})
}
