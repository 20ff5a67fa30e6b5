package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// codeartifact.md 5.4, case 16, and 3.15: the calls that Terraform's aws provider makes
// for its CodeArtifact resources, in its order, through the SDK that it is built with:
// apply, plan without a difference, destroy.
func TestTerraformCalls(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t, "--connection", "public:npmjs=http://127.0.0.1:9/")
	ctx := t.Context()
	domain, owner, repo, upstream := aws.String("tf-domain"), aws.String(seedAccount), aws.String("tf-repo"), aws.String("tf-upstream")
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
	document := aws.String(grant("Allow", seedAccount, `"codeartifact:ReadFromRepository"`))

	created, err := f.api.CreateDomain(ctx, &codeartifact.CreateDomainInput{Domain: domain, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	wantTags := func(arn *string) {
		t.Helper()
		out, err := f.api.ListTagsForResource(ctx, &codeartifact.ListTagsForResourceInput{ResourceArn: arn})
		if err != nil || len(out.Tags) != 1 || aws.ToString(out.Tags[0].Value) != "blue" {
			t.Errorf("tags of %s: %+v: %v", aws.ToString(arn), out, err)
		}
	}
	readDomain := func() *types.DomainDescription {
		t.Helper()
		out, err := f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: domain, DomainOwner: owner})
		if err != nil {
			t.Fatal(err)
		}
		wantTags(out.Domain.Arn)
		return out.Domain
	}
	// The id is the ARN of the first answer; the key is compared with what was read.
	if d := readDomain(); aws.ToString(d.Arn) != aws.ToString(created.Domain.Arn) || aws.ToString(d.EncryptionKey) != aws.ToString(created.Domain.EncryptionKey) ||
		aws.ToString(d.S3BucketArn) != aws.ToString(created.Domain.S3BucketArn) || !d.CreatedTime.Equal(*created.Domain.CreatedTime) {
		t.Errorf("read %+v, created %+v", d, created.Domain)
	}

	_, err = f.api.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain, DomainOwner: owner})
	wantError[*types.ResourceNotFoundException](t, err)
	put, err := f.api.PutDomainPermissionsPolicy(ctx, &codeartifact.PutDomainPermissionsPolicyInput{Domain: domain, DomainOwner: owner, PolicyDocument: document})
	if err != nil {
		t.Fatal(err)
	}
	read, err := f.api.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain, DomainOwner: owner})
	if err != nil || *read.Policy.Document != *document || *read.Policy.Revision != *put.Policy.Revision || aws.ToString(read.Policy.ResourceArn) != aws.ToString(created.Domain.Arn) {
		t.Errorf("the domain's policy: %+v: %v", read, err)
	}

	for _, name := range []*string{upstream, repo} {
		in := &codeartifact.CreateRepositoryInput{Domain: domain, DomainOwner: owner, Repository: name, Description: aws.String("made by terraform"), Tags: tags}
		if name == repo {
			in.Upstreams = []types.UpstreamRepository{{RepositoryName: upstream}}
		}
		if _, err := f.api.CreateRepository(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	connection := aws.String("public:npmjs")
	if _, err := f.api.AssociateExternalConnection(ctx, &codeartifact.AssociateExternalConnectionInput{Domain: domain, DomainOwner: owner, Repository: upstream, ExternalConnection: connection}); err != nil {
		t.Fatal(err)
	}
	readRepository := func(name *string) *types.RepositoryDescription {
		t.Helper()
		out, err := f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: name})
		if err != nil {
			t.Fatal(err)
		}
		wantTags(out.Repository.Arn)
		return out.Repository
	}
	if r := readRepository(upstream); len(r.ExternalConnections) != 1 || r.ExternalConnections[0].Status != types.ExternalConnectionStatusAvailable ||
		r.ExternalConnections[0].PackageFormat != types.PackageFormatNpm {
		t.Errorf("connections %+v", r.ExternalConnections)
	}
	if r := readRepository(repo); len(r.Upstreams) != 1 || aws.ToString(r.Upstreams[0].RepositoryName) != *upstream || aws.ToString(r.Description) != "made by terraform" {
		t.Errorf("repository %+v", r)
	}
	_, err = f.api.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, DomainOwner: owner, Repository: repo})
	wantError[*types.ResourceNotFoundException](t, err)
	if _, err := f.api.PutRepositoryPermissionsPolicy(ctx, &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: domain, DomainOwner: owner, Repository: repo, PolicyDocument: document}); err != nil {
		t.Fatal(err)
	}
	restrictions := &types.PackageOriginRestrictions{Publish: types.AllowPublishBlock, Upstream: types.AllowUpstreamAllow}
	if _, err := f.api.PutPackageOriginConfiguration(ctx, &codeartifact.PutPackageOriginConfigurationInput{Domain: domain, DomainOwner: owner, Repository: repo,
		Format: types.PackageFormatNpm, Package: aws.String("tf-package"), Restrictions: restrictions}); err != nil {
		t.Fatal(err)
	}
	p, err := f.api.DescribePackage(ctx, &codeartifact.DescribePackageInput{Domain: domain, DomainOwner: owner, Repository: repo, Format: types.PackageFormatNpm, Package: aws.String("tf-package")})
	if err != nil || *p.Package.OriginConfiguration.Restrictions != *restrictions {
		t.Errorf("package %+v: %v", p, err)
	}

	// The two data sources.
	if out, err := f.api.GetAuthorizationToken(ctx, &codeartifact.GetAuthorizationTokenInput{Domain: domain, DomainOwner: owner}); err != nil || out.Expiration == nil {
		t.Errorf("token: %v", err)
	}
	if out, err := f.api.GetRepositoryEndpoint(ctx, &codeartifact.GetRepositoryEndpointInput{Domain: domain, DomainOwner: owner, Repository: repo, Format: types.PackageFormatNpm}); err != nil || aws.ToString(out.RepositoryEndpoint) == "" {
		t.Errorf("endpoint: %v", err)
	}

	// A changed connection is associated without taking the old one away first, which is
	// one too many; a removed upstreams block leaves the member out and changes nothing.
	_, err = f.api.AssociateExternalConnection(ctx, &codeartifact.AssociateExternalConnectionInput{Domain: domain, DomainOwner: owner, Repository: upstream, ExternalConnection: aws.String("public:pypi")})
	wantError[*types.ServiceQuotaExceededException](t, err)
	if _, err := f.api.UpdateRepository(ctx, &codeartifact.UpdateRepositoryInput{Domain: domain, DomainOwner: owner, Repository: repo, Description: aws.String("changed")}); err != nil {
		t.Fatal(err)
	}
	if r := readRepository(repo); aws.ToString(r.Description) != "changed" || len(r.Upstreams) != 1 {
		t.Errorf("after an update: %+v", r)
	}

	// Destroy, in the reverse order; what is gone is told by a typed error.
	if _, err := f.api.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, DomainOwner: owner, Repository: repo}); err != nil {
		t.Error(err)
	}
	if _, err := f.api.DisassociateExternalConnection(ctx, &codeartifact.DisassociateExternalConnectionInput{Domain: domain, DomainOwner: owner, Repository: upstream, ExternalConnection: connection}); err != nil {
		t.Error(err)
	}
	for _, name := range []*string{repo, upstream} {
		if _, err := f.api.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: domain, DomainOwner: owner, Repository: name}); err != nil {
			t.Error(err)
		}
		_, err := f.api.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: name})
		wantNotFound(t, err, types.ResourceTypeRepository, *name)
	}
	if _, err := f.api.DeleteDomainPermissionsPolicy(ctx, &codeartifact.DeleteDomainPermissionsPolicyInput{Domain: domain, DomainOwner: owner}); err != nil {
		t.Error(err)
	}
	if _, err := f.api.DeleteDomain(ctx, &codeartifact.DeleteDomainInput{Domain: domain, DomainOwner: owner}); err != nil {
		t.Error(err)
	}
	_, err = f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: domain, DomainOwner: owner})
	wantNotFound(t, err, types.ResourceTypeDomain, *domain)
}
