package codeartifact

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/ops"
)

// serviceDouble answers every method with a sample and remembers what it was given.
// The engine's own tests, and the end-to-end ones, prove what the methods do; here only
// the translation counts.
type serviceDouble struct {
	mu    sync.Mutex
	calls []string
	given []any // arguments of the last call
	fail  error // what every method answers, nil for the sample
	next  string
	empty bool // samples without anything that may be absent
	body  string
}

func (s *serviceDouble) called(name string, given ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	s.given = given
	return s.fail
}

// last returns the last call's name and arguments.
func (s *serviceDouble) last() (string, []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) == 0 {
		return "", nil
	}
	return s.calls[len(s.calls)-1], s.given
}

var (
	sampleTime     = time.Date(2020, 10, 20, 16, 30, 8, 559_000_000, time.UTC)
	sampleDomain   = packhouse.DomainRef{Owner: testAccount, Name: "test-domain"}
	sampleRepo     = packhouse.RepoRef{Domain: sampleDomain, Name: "test-repo"}
	samplePackage  = packhouse.PackageRef{Repo: sampleRepo, Package: packhouse.PackageName{Format: "npm", Namespace: "acme", Name: "test-package"}}
	sampleRevision = "Ciqe5/9yicvkJT13b5/LdLpCyE6fqA7poa9qp+FilPs="
	samplePolicy   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`
	sampleTags     = []packhouse.ResourceTag{{Key: "team", Value: "blue"}, {Key: "empty"}}
)

func (s *serviceDouble) domain() packhouse.Domain {
	return packhouse.Domain{Ref: sampleDomain, KeyARN: "arn:aws:kms:us-west-2:111122223333:key/1",
		BucketName: "assets-111122223333-us-west-2", Created: sampleTime}
}

func (s *serviceDouble) repository() packhouse.Repository {
	r := packhouse.Repository{Ref: sampleRepo, Administrator: testAccount, Created: sampleTime}
	if !s.empty {
		r.Description = "for tests"
		r.Upstreams = []string{"up-1", "up-2"}
		r.Connections = []packhouse.RepositoryConnection{{Name: "public:npmjs", Format: "npm"}}
	}
	return r
}

func (s *serviceDouble) pkg() packhouse.Package {
	return packhouse.Package{Ref: samplePackage, Controls: packhouse.OriginControls{Publish: packhouse.Allow, Upstream: packhouse.Block}}
}

func (s *serviceDouble) version() packhouse.PackageVersion {
	return packhouse.PackageVersion{Ref: samplePackage.At("4.0.0"), Revision: sampleRevision, Status: packhouse.Published,
		Origin: packhouse.Origin{Type: packhouse.OriginExternal, Connection: "public:npmjs"}, Published: sampleTime}
}

func (s *serviceDouble) detail() ops.VersionDetail {
	d := ops.VersionDetail{PackageVersion: s.version()}
	if !s.empty {
		d.Facts = packhouse.Facts{DisplayName: "@acme/test-package", Summary: "sum", HomePage: "home", SourceRepository: "src",
			Readme:   "# Hello <b>",
			Licenses: []packhouse.License{{Name: "MIT", URL: "url"}},
			Dependencies: []packhouse.Dependency{
				{Namespace: "types", Package: "node", Type: "dev", Requirement: ">=1 <2"}}}
	}
	return d
}

func (s *serviceDouble) asset() packhouse.Asset {
	a := packhouse.Asset{Name: "package.tgz", Size: 5, Digest: packhouse.Digest{1}}
	if !s.empty {
		a.Hashes = packhouse.Hashes{MD5: strings.Repeat("1", 32), SHA1: strings.Repeat("2", 40),
			SHA256: strings.Repeat("3", 64), SHA512: strings.Repeat("4", 128)}
	}
	return a
}

func one[T any](s *serviceDouble, v T) []T {
	if s.empty {
		return nil
	}
	return []T{v}
}

func (s *serviceDouble) CreateDomain(_ context.Context, who packhouse.Principal, in ops.CreateDomain) (packhouse.Domain, error) {
	return s.domain(), s.called("CreateDomain", who, in)
}

func (s *serviceDouble) Domain(_ context.Context, who packhouse.Principal, d packhouse.DomainRef) (packhouse.Domain, error) {
	return s.domain(), s.called("Domain", who, d)
}

func (s *serviceDouble) DeleteDomain(_ context.Context, who packhouse.Principal, d packhouse.DomainRef) (packhouse.Domain, error) {
	return s.domain(), s.called("DeleteDomain", who, d)
}

func (s *serviceDouble) Domains(_ context.Context, who packhouse.Principal, p ops.Page) ([]packhouse.Domain, string, error) {
	return one(s, s.domain()), s.next, s.called("Domains", who, p)
}

func (s *serviceDouble) CreateRepository(_ context.Context, who packhouse.Principal, in ops.CreateRepository) (packhouse.Repository, error) {
	return s.repository(), s.called("CreateRepository", who, in)
}

func (s *serviceDouble) Repository(_ context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error) {
	return s.repository(), s.called("Repository", who, r)
}

func (s *serviceDouble) UpdateRepository(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, description *string, upstreams *[]string) (packhouse.Repository, error) {
	return s.repository(), s.called("UpdateRepository", who, r, description, upstreams)
}

func (s *serviceDouble) DeleteRepository(_ context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error) {
	return s.repository(), s.called("DeleteRepository", who, r)
}

func (s *serviceDouble) Repositories(_ context.Context, who packhouse.Principal, prefix string, p ops.Page) ([]packhouse.Repository, string, error) {
	return one(s, s.repository()), s.next, s.called("Repositories", who, prefix, p)
}

func (s *serviceDouble) RepositoriesInDomain(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, admin packhouse.AccountID, prefix string, p ops.Page) ([]packhouse.Repository, string, error) {
	return one(s, s.repository()), s.next, s.called("RepositoriesInDomain", who, d, admin, prefix, p)
}

func (s *serviceDouble) AssociateConnection(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error) {
	return s.repository(), s.called("AssociateConnection", who, r, name)
}

func (s *serviceDouble) DisassociateConnection(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error) {
	return s.repository(), s.called("DisassociateConnection", who, r, name)
}

func (s *serviceDouble) Endpoint(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, f packhouse.FormatID, endpointType, address string) (string, error) {
	return address + "/" + string(f) + "/", s.called("Endpoint", who, r, f, endpointType, address)
}

func (s *serviceDouble) policy(arn string) ops.ResourcePolicy {
	return ops.ResourcePolicy{ARN: arn, Revision: "rev-2", Document: samplePolicy}
}

func (s *serviceDouble) DomainPolicy(_ context.Context, who packhouse.Principal, d packhouse.DomainRef) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.DomainARN("us-west-2", d)), s.called("DomainPolicy", who, d)
}

func (s *serviceDouble) PutDomainPolicy(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, p ops.PutPolicy) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.DomainARN("us-west-2", d)), s.called("PutDomainPolicy", who, d, p)
}

func (s *serviceDouble) DeleteDomainPolicy(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, revision string) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.DomainARN("us-west-2", d)), s.called("DeleteDomainPolicy", who, d, revision)
}

func (s *serviceDouble) RepositoryPolicy(_ context.Context, who packhouse.Principal, r packhouse.RepoRef) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.RepositoryARN("us-west-2", r)), s.called("RepositoryPolicy", who, r)
}

func (s *serviceDouble) PutRepositoryPolicy(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, p ops.PutPolicy) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.RepositoryARN("us-west-2", r)), s.called("PutRepositoryPolicy", who, r, p)
}

func (s *serviceDouble) DeleteRepositoryPolicy(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, revision string) (ops.ResourcePolicy, error) {
	return s.policy(packhouse.RepositoryARN("us-west-2", r)), s.called("DeleteRepositoryPolicy", who, r, revision)
}

func (s *serviceDouble) RegistryToken(_ context.Context, who packhouse.Principal, d packhouse.DomainRef, seconds *int64) (string, time.Time, error) {
	return "v4.local.token", sampleTime, s.called("RegistryToken", who, d, seconds)
}

func (s *serviceDouble) CanonicalPackage(f packhouse.FormatID, namespace, name string) (packhouse.PackageName, error) {
	return packhouse.PackageName{Format: f, Namespace: strings.TrimPrefix(namespace, "@"), Name: name}, nil
}

func (s *serviceDouble) Packages(_ context.Context, who packhouse.Principal, r packhouse.RepoRef, q ops.PackageQuery, p ops.Page) ([]packhouse.Package, string, error) {
	return one(s, s.pkg()), s.next, s.called("Packages", who, r, q, p)
}

func (s *serviceDouble) Package(_ context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (packhouse.Package, error) {
	return s.pkg(), s.called("Package", who, pkg)
}

func (s *serviceDouble) DeletePackage(_ context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (packhouse.Package, error) {
	return s.pkg(), s.called("DeletePackage", who, pkg)
}

func (s *serviceDouble) PutControls(_ context.Context, who packhouse.Principal, pkg packhouse.PackageRef, c packhouse.OriginControls) (packhouse.OriginControls, error) {
	return c, s.called("PutControls", who, pkg, c)
}

func (s *serviceDouble) Versions(_ context.Context, who packhouse.Principal, pkg packhouse.PackageRef, q ops.VersionQuery, p ops.Page) ([]packhouse.PackageVersion, string, string, error) {
	display := "4.0.0"
	if s.empty {
		display = ""
	}
	return one(s, s.version()), display, s.next, s.called("Versions", who, pkg, q, p)
}

func (s *serviceDouble) Version(_ context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error) {
	return s.detail(), s.called("Version", who, v)
}

func (s *serviceDouble) Readme(_ context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error) {
	return s.detail(), s.called("Readme", who, v)
}

func (s *serviceDouble) Dependencies(_ context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error) {
	return s.detail(), s.called("Dependencies", who, v)
}

func (s *serviceDouble) VersionAssets(_ context.Context, who packhouse.Principal, v packhouse.VersionRef, p ops.Page) (packhouse.PackageVersion, []packhouse.Asset, string, error) {
	return s.version(), one(s, s.asset()), s.next, s.called("VersionAssets", who, v, p)
}

func (s *serviceDouble) VersionAsset(_ context.Context, who packhouse.Principal, a packhouse.AssetRef, revision string) (packhouse.PackageVersion, packhouse.Asset, *format.Content, error) {
	content := strings.NewReader("hello")
	return s.version(), s.asset(), &format.Content{Size: content.Size(), At: content}, s.called("VersionAsset", who, a, revision)
}

func (s *serviceDouble) PublishAsset(_ context.Context, who packhouse.Principal, in ops.PublishAsset) (packhouse.PackageVersion, packhouse.Asset, error) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return packhouse.PackageVersion{}, packhouse.Asset{}, err
	}
	in.Body = nil
	err = s.called("PublishAsset", who, in)
	s.body = string(body)
	return s.version(), s.asset(), err
}

func (s *serviceDouble) batch() ops.Batch {
	if s.empty {
		return ops.Batch{}
	}
	return ops.Batch{
		Done:   map[string]ops.Done{"4.0.0": {Revision: sampleRevision, Status: packhouse.Published}},
		Failed: map[string]ops.Failure{"9.9.9": {Code: "NOT_FOUND", Message: "Could not find version 9.9.9"}},
	}
}

func (s *serviceDouble) CopyVersions(_ context.Context, who packhouse.Principal, in ops.CopyVersions) (ops.Batch, error) {
	return s.batch(), s.called("CopyVersions", who, in)
}

func (s *serviceDouble) UpdateVersionsStatus(_ context.Context, who packhouse.Principal, in ops.ChangeVersions, target packhouse.Status) (ops.Batch, error) {
	return s.batch(), s.called("UpdateVersionsStatus", who, in, target)
}

func (s *serviceDouble) DisposeVersions(_ context.Context, who packhouse.Principal, in ops.ChangeVersions) (ops.Batch, error) {
	return s.batch(), s.called("DisposeVersions", who, in)
}

func (s *serviceDouble) DeleteVersions(_ context.Context, who packhouse.Principal, in ops.ChangeVersions) (ops.Batch, error) {
	return s.batch(), s.called("DeleteVersions", who, in)
}

func (s *serviceDouble) TagResource(_ context.Context, who packhouse.Principal, arn string, tags []packhouse.ResourceTag) error {
	return s.called("TagResource", who, arn, tags)
}

func (s *serviceDouble) UntagResource(_ context.Context, who packhouse.Principal, arn string, keys []string) error {
	return s.called("UntagResource", who, arn, keys)
}

func (s *serviceDouble) ResourceTags(_ context.Context, who packhouse.Principal, arn string) ([]packhouse.ResourceTag, error) {
	return one(s, sampleTags[0]), s.called("ResourceTags", who, arn)
}
