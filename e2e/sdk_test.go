package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// What the acceptance cases of codeartifact.md section 5 take for granted.
const (
	seedRegion  = "us-west-2"
	seedAccount = "111122223333"
	seedDomain  = "test-domain"
	seedPackage = "test-package"
)

// seedServer is a server as the acceptance cases describe it: region us-west-2, account
// 111122223333 whose administrator may do everything, and the domain test-domain. Each
// case makes the repositories that it needs, so that cases do not meet.
type seedServer struct {
	*server
	api    *codeartifact.Client
	token  string
	serial atomic.Int64
}

func startSeedServer(t *testing.T, flags ...string) *seedServer {
	t.Helper()
	s := startServer(t, append([]string{"--region", seedRegion, "--account-id", seedAccount}, flags...)...)
	f := &seedServer{server: s}
	f.api = f.client(s.profile())
	if _, err := f.api.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String(seedDomain)}); err != nil {
		t.Fatal(err)
	}
	f.token = f.registryToken(t, seedDomain)
	return f
}

// registryToken makes a registry token for a domain.
func (f *seedServer) registryToken(t *testing.T, domain string) string {
	t.Helper()
	out, err := f.api.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: &domain})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.AuthorizationToken)
}

// client is the Go SDK's client with an access key.
func (f *seedServer) client(keyID, secret string) *codeartifact.Client {
	return codeartifact.New(codeartifact.Options{
		Region: seedRegion, BaseEndpoint: aws.String(f.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
	})
}

// user makes a user with an identity policy and returns a client that is that user.
func (f *seedServer) user(t *testing.T, name, policy string) *codeartifact.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "user", "create", name, "--policy", file, "--data-dir", f.dataDir)
	cmd.Env = serverEnv()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("user create: %v: %s", err, stderr.String())
	}
	return f.client(parseProfile(out))
}

// repo makes a repository that no other case uses.
func (f *seedServer) repo(t *testing.T, upstreams ...string) string {
	t.Helper()
	name := fmt.Sprintf("repo-%d", f.serial.Add(1))
	in := &codeartifact.CreateRepositoryInput{Domain: aws.String(seedDomain), Repository: &name}
	for _, u := range upstreams {
		in.Upstreams = append(in.Upstreams, types.UpstreamRepository{RepositoryName: aws.String(u)})
	}
	if _, err := f.api.CreateRepository(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return name
}

// connect gives a repository the connection public:npmjs.
func (f *seedServer) connect(t *testing.T, repo string) string {
	t.Helper()
	if _, err := f.api.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{
		Domain: aws.String(seedDomain), Repository: &repo, ExternalConnection: aws.String("public:npmjs")}); err != nil {
		t.Fatal(err)
	}
	return repo
}

// url is the address of a package or a path below a repository's npm base.
func (f *seedServer) url(repo, path string) string { return f.base("npm", seedDomain, repo) + path }

// put publishes a version as npm does and returns the status and the answer.
func (f *seedServer) put(t *testing.T, repo string, p npmPackage) (int, string) {
	t.Helper()
	status, body := do(t, http.MethodPut, f.url(repo, url.PathEscape(p.Name)), f.token, p.publishDoc(t, p.tarball(t)))
	return status, string(body)
}

// publish publishes versions of one npm package.
func (f *seedServer) publish(t *testing.T, repo, name string, versions ...string) {
	t.Helper()
	for _, v := range versions {
		if status, body := f.put(t, repo, npmPackage{Name: name, Version: v}); status != http.StatusCreated {
			t.Fatalf("publish %s@%s to %s: %d %s", name, v, repo, status, body)
		}
	}
}

// seeded makes a repository with test-package 4.0.0 and 5.0.0.
func (f *seedServer) seeded(t *testing.T) string {
	t.Helper()
	repo := f.repo(t)
	f.publish(t, repo, seedPackage, "4.0.0", "5.0.0")
	return repo
}

// tarball downloads an npm archive through a repository.
func (f *seedServer) tarball(t *testing.T, repo, name, version string) (int, []byte) {
	t.Helper()
	return do(t, http.MethodGet, f.url(repo, name+"/-/"+archiveName(npmPackage{Name: name, Version: version})), f.token, nil)
}

// asset publishes one asset of a generic version.
func (f *seedServer) asset(ctx context.Context, repo, pkg, version, name string, body []byte, unfinished bool) (*codeartifact.PublishPackageVersionOutput, error) {
	sum := sha256.Sum256(body)
	in := &codeartifact.PublishPackageVersionInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatGeneric, Namespace: aws.String("my-ns"),
		Package: &pkg, PackageVersion: &version, AssetName: &name, AssetSHA256: aws.String(hex.EncodeToString(sum[:])),
		AssetContent: bytes.NewReader(body),
	}
	if unfinished {
		in.Unfinished = aws.Bool(true)
	}
	return f.api.PublishPackageVersion(ctx, in)
}

// versions lists the npm package's versions with their statuses.
func (f *seedServer) versions(t *testing.T, repo, pkg string, status types.PackageVersionStatus) map[string]types.PackageVersionSummary {
	t.Helper()
	out, err := f.api.ListPackageVersions(t.Context(), &codeartifact.ListPackageVersionsInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: &pkg, Status: status})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]types.PackageVersionSummary, len(out.Versions))
	for _, v := range out.Versions {
		got[aws.ToString(v.Version)] = v
	}
	return got
}

// describe describes a version of an npm package.
func (f *seedServer) describe(t *testing.T, repo, pkg, version string) (*types.PackageVersionDescription, error) {
	t.Helper()
	out, err := f.api.DescribePackageVersion(t.Context(), &codeartifact.DescribePackageVersionInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: &pkg, PackageVersion: &version})
	if err != nil {
		return nil, err
	}
	return out.PackageVersion, nil
}

// has reports whether a repository itself has a version of an npm package.
func (f *seedServer) has(t *testing.T, repo, pkg, version string) bool {
	t.Helper()
	_, err := f.describe(t, repo, pkg, version)
	if err != nil {
		wantError[*types.ResourceNotFoundException](t, err)
	}
	return err == nil
}

// restrict sets an npm package's origin controls in a repository.
func (f *seedServer) restrict(t *testing.T, repo, pkg string, publish types.AllowPublish, upstream types.AllowUpstream) {
	t.Helper()
	if _, err := f.api.PutPackageOriginConfiguration(t.Context(), &codeartifact.PutPackageOriginConfigurationInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: &pkg,
		Restrictions: &types.PackageOriginRestrictions{Publish: publish, Upstream: upstream}}); err != nil {
		t.Fatal(err)
	}
}

// restrictions reads an npm package's origin controls as "PUBLISH/UPSTREAM".
func (f *seedServer) restrictions(t *testing.T, repo, pkg string) string {
	t.Helper()
	out, err := f.api.DescribePackage(t.Context(), &codeartifact.DescribePackageInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: &pkg})
	if err != nil {
		t.Fatal(err)
	}
	r := out.Package.OriginConfiguration.Restrictions
	return string(r.Publish) + "/" + string(r.Upstream)
}

// setStatus changes the status of versions of an npm package and expects success.
func (f *seedServer) setStatus(t *testing.T, repo, pkg string, status types.PackageVersionStatus, versions ...string) {
	t.Helper()
	out, err := f.api.UpdatePackageVersionsStatus(t.Context(), &codeartifact.UpdatePackageVersionsStatusInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatNpm, Package: &pkg,
		Versions: versions, TargetStatus: status})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.FailedVersions) != 0 || len(out.SuccessfulVersions) != len(versions) {
		t.Fatalf("%v to %s: %v, failed %v", versions, status, out.SuccessfulVersions, out.FailedVersions)
	}
}

// wantError fails unless err decodes to the SDK's type E, and returns it.
func wantError[E error](t testing.TB, err error) E {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Fatalf("got error %v, want a %T", err, want)
	}
	return want
}

// wantNotFound fails unless err is ResourceNotFoundException about this resource.
func wantNotFound(t testing.TB, err error, resourceType types.ResourceType, id string) {
	t.Helper()
	e := wantError[*types.ResourceNotFoundException](t, err)
	if e.ResourceType != resourceType || aws.ToString(e.ResourceId) != id {
		t.Errorf("not found: %s %q, want %s %q", e.ResourceType, aws.ToString(e.ResourceId), resourceType, id)
	}
}

// wantFailed fails unless exactly these versions failed, each with "CODE message".
func wantFailed(t testing.TB, got map[string]types.PackageVersionError, want map[string]string) {
	t.Helper()
	all := make(map[string]string, len(got))
	for v, e := range got {
		all[v] = string(e.ErrorCode) + " " + aws.ToString(e.ErrorMessage)
	}
	if len(all) != len(want) {
		t.Errorf("failed versions %v, want %v", all, want)
		return
	}
	for v, w := range want {
		if all[v] != w {
			t.Errorf("failed version %s: %q, want %q", v, all[v], w)
		}
	}
}

// wantSucceeded fails unless exactly these versions succeeded, each with its status.
func wantSucceeded(t testing.TB, got map[string]types.SuccessfulPackageVersionInfo, want map[string]types.PackageVersionStatus) {
	t.Helper()
	if got == nil || len(got) != len(want) {
		t.Errorf("successful versions %v, want %v", got, want)
		return
	}
	for v, status := range want {
		if got[v].Status != status || aws.ToString(got[v].Revision) == "" {
			t.Errorf("successful version %s: %s with revision %q, want %s", v, got[v].Status, aws.ToString(got[v].Revision), status)
		}
	}
}

// reply is the answer to a raw request.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// apiError is the body of an error of the control plane.
type apiError struct {
	Message      string `json:"message"`
	Reason       string `json:"reason"`
	ResourceID   string `json:"resourceId"`
	ResourceType string `json:"resourceType"`
}

var rawSerial atomic.Int64

// raw sends a request that the SDK would not: any method, path, query and body, signed
// with the administrator's key when signed is true.
func (f *seedServer) raw(t *testing.T, method, pathAndQuery, body string, signed bool) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+pathAndQuery, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if signed {
		// As the SDKs do, so that no two requests have the same signature.
		req.Header.Set("Amz-Sdk-Invocation-Id", fmt.Sprintf("raw-%d", rawSerial.Add(1)))
		id, secret := f.profile()
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, req,
			hex.EncodeToString(sum[:]), "codeartifact", seedRegion, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: b}
}

// wantAPIError fails unless the reply is a control-plane error of the type and reason.
func (r reply) wantAPIError(t testing.TB, status int, errorType, reason string) {
	t.Helper()
	var e apiError
	if err := json.Unmarshal(r.body, &e); err != nil {
		t.Errorf("the error's body is no JSON: %v: %q", err, r.body)
	}
	if r.status != status || r.header.Get("X-Amzn-Errortype") != errorType || e.Reason != reason || e.Message == "" ||
		r.header.Get("X-Amzn-Requestid") == "" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v %s, want %d %s reason %q with a message and a request id", r.status, r.header, r.body, status, errorType, reason)
	}
}

// inParallel runs n pieces of work that a case needs and does not test, some at a time.
func inParallel(t testing.TB, n int, work func(i int) error) {
	t.Helper()
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range 8 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := work(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// assetNames lists the assets of a generic version.
func (f *seedServer) assetNames(t *testing.T, repo, pkg, version string) []string {
	t.Helper()
	out, err := f.api.ListPackageVersionAssets(t.Context(), &codeartifact.ListPackageVersionAssetsInput{
		Domain: aws.String(seedDomain), Repository: &repo, Format: types.PackageFormatGeneric, Namespace: aws.String("my-ns"),
		Package: &pkg, PackageVersion: &version})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(out.Assets))
	for _, a := range out.Assets {
		names = append(names, aws.ToString(a.Name))
	}
	return names
}
