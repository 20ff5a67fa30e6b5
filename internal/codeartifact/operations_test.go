package codeartifact

import (
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

var (
	inDomain     = aws.String(sampleDomain.Name)
	inRepo       = aws.String(sampleRepo.Name)
	inPackage    = aws.String("test-package")
	inNamespace  = aws.String("@acme")
	inVersion    = aws.String("4.0.0")
	inARN        = aws.String("arn:aws:codeartifact:us-west-2:111122223333:domain/test-domain")
	helloSHA256  = hexSHA256("hello")
	inVersionMap = map[string]string{"4.0.0": sampleRevision}
)

// TestEveryOperation calls each row once with the real SDK client and looks at what the
// engine was asked. The answers' members are TestOutputsAreTheSDKs' subject.
func TestEveryOperation(t *testing.T) {
	change := ops.ChangeVersions{Package: samplePackage, Versions: []string{"4.0.0"}, Revisions: inVersionMap, ExpectedStatus: packhouse.Unlisted}
	deleteChange := change
	deleteChange.Revisions = nil
	at := samplePackage.At("4.0.0")
	for _, tt := range []struct {
		in     any // of the SDK; its type names the operation
		method string
		given  []any
	}{
		{&sdk.CreateDomainInput{Domain: inDomain, EncryptionKey: aws.String("alias/k"), Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("")}}},
			"CreateDomain", []any{ops.CreateDomain{Name: "test-domain", EncryptionKey: "alias/k", Tags: []packhouse.ResourceTag{{Key: "a"}}}}},
		{&sdk.DescribeDomainInput{Domain: inDomain}, "Domain", []any{sampleDomain}},
		{&sdk.DeleteDomainInput{Domain: inDomain, DomainOwner: aws.String("222222222222")}, "DeleteDomain",
			[]any{packhouse.DomainRef{Owner: "222222222222", Name: "test-domain"}}},
		{&sdk.ListDomainsInput{MaxResults: aws.Int32(7)}, "Domains", []any{ops.Page{Limit: 7}}},
		{&sdk.CreateRepositoryInput{Domain: inDomain, Repository: inRepo, Description: aws.String("d"), Upstreams: []types.UpstreamRepository{{RepositoryName: aws.String("up-1")}}},
			"CreateRepository", []any{ops.CreateRepository{Ref: sampleRepo, Description: "d", Upstreams: []string{"up-1"}, Tags: []packhouse.ResourceTag{}}}},
		{&sdk.DescribeRepositoryInput{Domain: inDomain, Repository: inRepo}, "Repository", []any{sampleRepo}},
		{&sdk.UpdateRepositoryInput{Domain: inDomain, Repository: inRepo, Description: aws.String("")}, "UpdateRepository",
			[]any{sampleRepo, aws.String(""), (*[]string)(nil)}},
		{&sdk.UpdateRepositoryInput{Domain: inDomain, Repository: inRepo, Upstreams: []types.UpstreamRepository{}}, "UpdateRepository",
			[]any{sampleRepo, (*string)(nil), &[]string{}}},
		{&sdk.DeleteRepositoryInput{Domain: inDomain, Repository: inRepo}, "DeleteRepository", []any{sampleRepo}},
		{&sdk.ListRepositoriesInput{RepositoryPrefix: aws.String("te")}, "Repositories", []any{"te", ops.Page{Limit: 50}}},
		{&sdk.ListRepositoriesInDomainInput{Domain: inDomain, AdministratorAccount: aws.String("222222222222"), RepositoryPrefix: aws.String("te")},
			"RepositoriesInDomain", []any{sampleDomain, packhouse.AccountID("222222222222"), "te", ops.Page{Limit: 50}}},
		{&sdk.AssociateExternalConnectionInput{Domain: inDomain, Repository: inRepo, ExternalConnection: aws.String("public:npmjs")},
			"AssociateConnection", []any{sampleRepo, "public:npmjs"}},
		{&sdk.DisassociateExternalConnectionInput{Domain: inDomain, Repository: inRepo, ExternalConnection: aws.String("public:npmjs")},
			"DisassociateConnection", []any{sampleRepo, "public:npmjs"}},
		{&sdk.GetDomainPermissionsPolicyInput{Domain: inDomain}, "DomainPolicy", []any{sampleDomain}},
		{&sdk.PutDomainPermissionsPolicyInput{Domain: inDomain, DomainOwner: aws.String("222222222222"), PolicyDocument: aws.String(samplePolicy), PolicyRevision: aws.String("rev-1")},
			"PutDomainPolicy", []any{packhouse.DomainRef{Owner: "222222222222", Name: "test-domain"}, ops.PutPolicy{Document: samplePolicy, Revision: "rev-1"}}},
		{&sdk.DeleteDomainPermissionsPolicyInput{Domain: inDomain, PolicyRevision: aws.String("rev-1")}, "DeleteDomainPolicy", []any{sampleDomain, "rev-1"}},
		{&sdk.GetRepositoryPermissionsPolicyInput{Domain: inDomain, Repository: inRepo}, "RepositoryPolicy", []any{sampleRepo}},
		{&sdk.PutRepositoryPermissionsPolicyInput{Domain: inDomain, Repository: inRepo, PolicyDocument: aws.String(samplePolicy)},
			"PutRepositoryPolicy", []any{sampleRepo, ops.PutPolicy{Document: samplePolicy}}},
		{&sdk.DeleteRepositoryPermissionsPolicyInput{Domain: inDomain, Repository: inRepo, PolicyRevision: aws.String("rev-1")}, "DeleteRepositoryPolicy", []any{sampleRepo, "rev-1"}},
		{&sdk.GetRepositoryEndpointInput{Domain: inDomain, Repository: inRepo, Format: "cargo", EndpointType: "dualstack"},
			"Endpoint", []any{sampleRepo, packhouse.FormatID("cargo"), "dualstack", "DOOR"}},
		{&sdk.GetAuthorizationTokenInput{Domain: inDomain}, "RegistryToken", []any{sampleDomain, (*int64)(nil)}},
		{&sdk.GetAuthorizationTokenInput{Domain: inDomain, DurationSeconds: aws.Int64(0)}, "RegistryToken", []any{sampleDomain, aws.Int64(0)}},
		{&sdk.ListPackagesInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: aws.String("ac"), PackagePrefix: aws.String("te"), Publish: "ALLOW", Upstream: "BLOCK"},
			"Packages", []any{sampleRepo, ops.PackageQuery{Format: "npm", NamespacePrefix: "ac", NamePrefix: "te", Publish: packhouse.Allow, Upstream: packhouse.Block}, ops.Page{Limit: 100}}},
		{&sdk.DescribePackageInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage}, "Package", []any{samplePackage}},
		{&sdk.DeletePackageInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage}, "DeletePackage", []any{samplePackage}},
		{&sdk.PutPackageOriginConfigurationInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage,
			Restrictions: &types.PackageOriginRestrictions{Publish: "BLOCK", Upstream: "ALLOW"}},
			"PutControls", []any{samplePackage, packhouse.OriginControls{Publish: packhouse.Block, Upstream: packhouse.Allow}}},
		{&sdk.ListPackageVersionsInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, Status: "Archived", SortBy: "PUBLISHED_TIME", OriginType: "EXTERNAL"},
			"Versions", []any{samplePackage, ops.VersionQuery{Status: packhouse.Archived, OriginType: packhouse.OriginExternal, NewestFirst: true}, ops.Page{Limit: 50}}},
		{&sdk.DescribePackageVersionInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion}, "Version", []any{at}},
		{&sdk.GetPackageVersionReadmeInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion}, "Readme", []any{at}},
		{&sdk.ListPackageVersionDependenciesInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion}, "Dependencies", []any{at}},
		{&sdk.ListPackageVersionAssetsInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion}, "VersionAssets", []any{at, ops.Page{Limit: 100}}},
		{&sdk.GetPackageVersionAssetInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion,
			Asset: aws.String("package.tgz"), PackageVersionRevision: aws.String(sampleRevision)},
			"VersionAsset", []any{packhouse.AssetRef{VersionRef: at, Asset: "package.tgz"}, sampleRevision}},
		{&sdk.PublishPackageVersionInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage, PackageVersion: inVersion,
			AssetName: aws.String("a+b c.bin"), AssetSHA256: &helloSHA256, AssetContent: strings.NewReader("hello"), Unfinished: aws.Bool(true)},
			"PublishAsset", []any{ops.PublishAsset{Version: at, Asset: "a+b c.bin", SHA256: helloSHA256, Unfinished: true}}},
		{&sdk.CopyPackageVersionsInput{Domain: inDomain, SourceRepository: aws.String("my-repo"), DestinationRepository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage,
			VersionRevisions: inVersionMap, AllowOverwrite: aws.Bool(true), IncludeFromUpstream: aws.Bool(true)},
			"CopyVersions", []any{ops.CopyVersions{Domain: sampleDomain, Source: "my-repo", Destination: "test-repo", Package: samplePackage.Package,
				Revisions: inVersionMap, AllowOverwrite: true, IncludeFromUpstream: true}}},
		{&sdk.UpdatePackageVersionsStatusInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage,
			Versions: change.Versions, VersionRevisions: inVersionMap, ExpectedStatus: "Unlisted", TargetStatus: "Archived"},
			"UpdateVersionsStatus", []any{change, packhouse.Archived}},
		{&sdk.DisposePackageVersionsInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage,
			Versions: change.Versions, VersionRevisions: inVersionMap, ExpectedStatus: "Unlisted"}, "DisposeVersions", []any{change}},
		{&sdk.DeletePackageVersionsInput{Domain: inDomain, Repository: inRepo, Format: "npm", Namespace: inNamespace, Package: inPackage,
			Versions: change.Versions, ExpectedStatus: "Unlisted"}, "DeleteVersions", []any{deleteChange}},
		{&sdk.TagResourceInput{ResourceArn: inARN, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}, "TagResource", []any{*inARN, []packhouse.ResourceTag{{Key: "a", Value: "b"}}}},
		{&sdk.UntagResourceInput{ResourceArn: inARN, TagKeys: []string{"a"}}, "UntagResource", []any{*inARN, []string{"a"}}},
		{&sdk.ListTagsForResourceInput{ResourceArn: inARN}, "ResourceTags", []any{*inARN}},
	} {
		in := reflect.ValueOf(tt.in)
		name := strings.TrimSuffix(in.Elem().Type().Name(), "Input")
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			if _, err := invoke(t.Context(), d.client(), name, in); err != nil {
				t.Fatal(err)
			}
			method, given := d.service.last()
			want := append([]any{caller}, tt.given...)
			for i := range want {
				if want[i] == "DOOR" {
					want[i] = d.url
				}
			}
			if method != tt.method || !reflect.DeepEqual(given, want) {
				t.Errorf("engine was asked\n%s %#v, want\n%s %#v", method, given, tt.method, want)
			}
		})
	}
}

func TestAssetArrivesWhole(t *testing.T) {
	d := newDoor(t)
	out, err := d.client().GetPackageVersionAsset(t.Context(), &sdk.GetPackageVersionAssetInput{
		Domain: inDomain, Repository: inRepo, Format: "npm", Package: inPackage, PackageVersion: inVersion, Asset: aws.String("package.tgz")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Asset.Close()
	body, err := io.ReadAll(out.Asset)
	if err != nil || string(body) != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
	if *out.AssetName != "package.tgz" || *out.PackageVersion != "4.0.0" || *out.PackageVersionRevision != sampleRevision {
		t.Errorf("headers %s %s %s", *out.AssetName, *out.PackageVersion, *out.PackageVersionRevision)
	}
}

// TestAnswersThatAreEmpty: lists and maps that hold nothing are [] and {}, never null
// (codeartifact.md 1.2).
func TestAnswersThatAreEmpty(t *testing.T) {
	list, shapes := readModel(t)
	d := newDoor(t)
	d.service.empty = true
	for _, o := range list {
		if findRow(o.name) == nil || o.name == "GetPackageVersionAsset" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			r := d.sendModel(t, o, shapes, nil)
			var body any
			if err := json.Unmarshal([]byte(r.body), &body); r.status != 200 || err != nil {
				t.Fatalf("got %d %s", r.status, r.body)
			}
			if strings.Contains(r.body, "null") {
				t.Errorf("null in %s", r.body)
			}
			out := findRow(o.name).output
			for i := range out.NumField() {
				if k := out.Field(i).Type.Kind(); k == reflect.Slice || k == reflect.Map {
					name, _, _ := strings.Cut(out.Field(i).Tag.Get("json"), ",")
					if !strings.Contains(r.body, `"`+name+`":[]`) && !strings.Contains(r.body, `"`+name+`":{}`) {
						t.Errorf("%s is not empty but absent in %s", name, r.body)
					}
				}
			}
		})
	}
}

// TestTimesAreNumbers: milliseconds survive the SDK (codeartifact.md 5.4, case 15).
func TestTimesAreNumbers(t *testing.T) {
	d := newDoor(t)
	r := d.send(t, "GET", "/v1/domain?domain=test-domain", "")
	if !strings.Contains(r.body, `"createdTime":1603211408.559,`) {
		t.Errorf("got %s", r.body)
	}
	out, err := d.client().DescribeDomain(t.Context(), &sdk.DescribeDomainInput{Domain: inDomain})
	if err != nil || !out.Domain.CreatedTime.Equal(sampleTime) {
		t.Errorf("got %v, %v, want %v", out, err, sampleTime)
	}
}

func TestPages(t *testing.T) {
	ctx := context.Background()
	in := &sdk.ListPackagesInput{Domain: inDomain, Repository: inRepo, Format: "npm"}
	first := func(t *testing.T) (*door, *string) {
		d := newDoor(t)
		d.service.next = "after me"
		out, err := d.client().ListPackages(ctx, in)
		if err != nil || out.NextToken == nil || *out.NextToken == "" {
			t.Fatalf("no token: %v, %v", out, err)
		}
		d.service.next = ""
		return d, out.NextToken
	}
	t.Run("a token gives the engine's cursor back, page size may change", func(t *testing.T) {
		d, token := first(t)
		out, err := d.client().ListPackages(ctx, &sdk.ListPackagesInput{Domain: inDomain, Repository: inRepo, Format: "npm", NextToken: token, MaxResults: aws.Int32(3)})
		if err != nil {
			t.Fatal(err)
		}
		if _, given := d.service.last(); given[3] != (ops.Page{Limit: 3, After: "after me"}) {
			t.Errorf("engine got %v", given[3])
		}
		if out.NextToken != nil {
			t.Errorf("token %q on the last page", *out.NextToken)
		}
	})
	for name, change := range map[string]func(*sdk.ListPackagesInput){
		"a token of other parameters is refused": func(in *sdk.ListPackagesInput) { in.Format = "pypi" },
		"a token with a parameter less":          func(in *sdk.ListPackagesInput) { in.Format = "" },
		"a token that is none":                   func(in *sdk.ListPackagesInput) { in.NextToken = aws.String("zz") },
	} {
		t.Run(name, func(t *testing.T) {
			d, token := first(t)
			in := *in
			in.NextToken = token
			change(&in)
			_, err := d.client().ListPackages(ctx, &in)
			wantTyped[*types.ValidationException](t, err)
		})
	}
	t.Run("a token of another operation is refused", func(t *testing.T) {
		d, token := first(t)
		r := d.send(t, "POST", "/v1/package/versions?domain=test-domain&repository=test-repo&format=npm&package=x&next-token="+*token, "")
		wantInvalid(t, r, "OTHER")
	})
}

// TestDependenciesInPages: one page holds 1000, and a token belongs to its revision.
func TestDependenciesInPages(t *testing.T) {
	c := &call{api: &API{Options: Options{Identity: identityDouble{}}}, who: caller, row: findRow("ListPackageVersionDependencies")}
	detail := ops.VersionDetail{PackageVersion: packhouse.PackageVersion{Revision: "r1"}}
	detail.Facts.Dependencies = make([]packhouse.Dependency, 1001)
	c.api.Service = &manyDependencies{detail: &detail}
	in := &listPackageVersionDependenciesInput{}
	out, err := listPackageVersionDependencies(t.Context(), c, in)
	if err != nil || len(out.Dependencies) != 1000 || out.NextToken == "" {
		t.Fatalf("first page: %v, %v", out, err)
	}
	in.NextToken = out.NextToken
	out, err = listPackageVersionDependencies(t.Context(), c, in)
	if err != nil || len(out.Dependencies) != 1 || out.NextToken != "" {
		t.Fatalf("second page: %v, %v", out, err)
	}
	detail.Revision = "r2"
	if _, err = listPackageVersionDependencies(t.Context(), c, in); packhouse.ReasonOf(err) != "invalid_page_token" {
		t.Errorf("token of an old revision: %v", err)
	}
}

type manyDependencies struct {
	serviceDouble
	detail *ops.VersionDetail
}

func (m *manyDependencies) Dependencies(context.Context, packhouse.Principal, packhouse.VersionRef) (ops.VersionDetail, error) {
	return *m.detail, nil
}
