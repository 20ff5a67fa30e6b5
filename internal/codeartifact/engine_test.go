package codeartifact

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/feed"
	"github.com/packhouse/packhouse/internal/fetch"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/format/generic"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/ops"
	"github.com/packhouse/packhouse/internal/resolve"
	"github.com/packhouse/packhouse/internal/vault/vaulttest"
)

// sealer seals what belongs to no domain under the installation's keyset.
type sealer struct {
	catalog.Sealer
	installation packhouse.KeyRef
}

func (s sealer) key(k packhouse.KeyRef) packhouse.KeyRef {
	if k.DomainID == 0 {
		return s.installation
	}
	return k
}

func (s sealer) Seal(ctx context.Context, k packhouse.KeyRef, aad string, plain []byte) ([]byte, error) {
	return s.Sealer.Seal(ctx, s.key(k), aad, plain)
}

func (s sealer) Unseal(ctx context.Context, k packhouse.KeyRef, aad string, sealed []byte) ([]byte, error) {
	return s.Sealer.Unseal(ctx, s.key(k), aad, sealed)
}

// newEngine is the real client before the real engine over stores in memory.
func newEngine(t *testing.T) *sdk.Client {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	v, _, keyProvider := vaulttest.NewParts(t)
	installation := vaulttest.KeyRef(t, v, keyProvider, 0)
	clock := feed.NewClock()
	db, err := catalog.Open(ctx, catalog.Options{DSN: ":memory:", Sealer: sealer{v, installation},
		OnCommit: func(changes []packhouse.Change) { clock.Advance(changes) }})
	must(err)
	t.Cleanup(func() { must(db.Close()) })
	must(db.Update(ctx, func(tx *catalog.Tx) error {
		err := tx.InsertInstallation(ctx, catalog.Installation{
			UUID: "test", TokenEpoch: 1, Keyset: installation.Keyset, KeyID: installation.KeyID, Created: sampleTime})
		if err != nil {
			return err
		}
		return tx.InsertAccount(ctx, testAccount, "ours")
	}))
	ids, err := identity.New(ctx, identity.Options{Catalog: db, TokenKey: bytes.Repeat([]byte{7}, 32)})
	must(err)
	user, err := identity.CreateUser(ctx, db, packhouse.Principal{}, identity.NewUser{Account: testAccount, Name: "alice",
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`})
	must(err)
	o := ops.Options{
		Catalog: db, Vault: v, Keys: keyProvider, Identity: ids, Clock: clock,
		Formats: map[packhouse.FormatID]format.Format{generic.ID: generic.New()},
		KeyARN: func(a packhouse.AccountID, id string) string {
			return "arn:aws:kms:us-west-2:" + string(a) + ":key/" + id
		},
		KnownFormats: sdkFormats(),
		Connections:  map[string]fetch.Connection{"public:npmjs": {Name: "public:npmjs", Format: "npm"}},
		Region:       testRegion, Account: testAccount,
	}
	o.Resolver = resolve.New(resolve.Options{Catalog: db, Vault: v, Clock: clock, Formats: o.Formats, Fetch: fetch.New(fetch.Options{})})
	t.Cleanup(func() { must(o.Resolver.Close(context.Background())) })
	server := httptest.NewServer(New(Options{Service: ops.New(o), Identity: ids, Replays: &replaysDouble{}, Region: testRegion,
		Formats: sdkFormats(), Address: func(r *http.Request) string { return "http://" + r.Host }}))
	t.Cleanup(server.Close)
	return sdk.New(sdk.Options{Region: testRegion, BaseEndpoint: aws.String(server.URL), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(user.KeyID, user.Secret, "")})
}

// TestThroughTheEngine walks one package through its life with the real client and the
// real engine, so that what the double promises is what the engine does.
func TestThroughTheEngine(t *testing.T) {
	ctx, c := t.Context(), newEngine(t)
	domain, box, format, ns := aws.String("test-domain"), aws.String("box"), types.PackageFormat(generic.ID), aws.String("acme")
	version := aws.String("1.0")
	r1, r2 := aws.String("r1"), aws.String("r2")
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	made, err := c.CreateDomain(ctx, &sdk.CreateDomainInput{Domain: domain, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("")}}})
	ok(err)
	if made.Domain.Status != types.DomainStatusActive || *made.Domain.EncryptionKey == "" || !strings.HasPrefix(*made.Domain.S3BucketArn, "arn:aws:s3:::assets-") {
		t.Errorf("domain %+v", made.Domain)
	}
	_, err = c.CreateDomain(ctx, &sdk.CreateDomainInput{Domain: domain})
	wantTyped[*types.ConflictException](t, err)
	tags, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceArn: made.Domain.Arn})
	ok(err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "" {
		t.Errorf("tags %+v", tags.Tags)
	}
	for _, repo := range []*string{r1, r2} {
		_, err = c.CreateRepository(ctx, &sdk.CreateRepositoryInput{Domain: domain, Repository: repo})
		ok(err)
	}

	publish := func(asset, content, declared string, unfinished bool) (*sdk.PublishPackageVersionOutput, error) {
		sum := hexSHA256(declared)
		return c.PublishPackageVersion(ctx, &sdk.PublishPackageVersionInput{Domain: domain, Repository: r1, Format: format, Namespace: ns, Package: box,
			PackageVersion: version, AssetName: &asset, AssetSHA256: &sum, AssetContent: strings.NewReader(content), Unfinished: &unfinished})
	}
	first, err := publish("a.bin", "hello", "hello", true)
	ok(err)
	if first.Status != types.PackageVersionStatusUnfinished || *first.Asset.Size != 5 || len(first.Asset.Hashes) != 4 {
		t.Errorf("published %+v %+v", first, first.Asset)
	}
	_, err = publish("b.bin", "hello", "something else", true)
	wantTyped[*types.ValidationException](t, err)
	_, err = publish("b.bin", "world", "world", false)
	ok(err)
	_, err = publish("c.bin", "late", "late", false)
	wantTyped[*types.ConflictException](t, err)

	// Two pages of one asset each, and the declared-wrong one left nothing behind.
	var names []string
	pages := sdk.NewListPackageVersionAssetsPaginator(c, &sdk.ListPackageVersionAssetsInput{Domain: domain, Repository: r1, Format: format,
		Namespace: ns, Package: box, PackageVersion: version, MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		ok(err)
		for _, a := range page.Assets {
			names = append(names, *a.Name)
		}
	}
	if got := strings.Join(names, " "); got != "a.bin b.bin" {
		t.Errorf("assets %s", got)
	}

	copied, err := c.CopyPackageVersions(ctx, &sdk.CopyPackageVersionsInput{Domain: domain, SourceRepository: r1, DestinationRepository: r2,
		Format: format, Namespace: ns, Package: box, Versions: []string{"1.0"}})
	ok(err)
	if copied.SuccessfulVersions["1.0"].Status != types.PackageVersionStatusPublished || len(copied.FailedVersions) > 0 {
		t.Errorf("copy %+v", copied)
	}
	asset, err := c.GetPackageVersionAsset(ctx, &sdk.GetPackageVersionAssetInput{Domain: domain, Repository: r2, Format: format, Namespace: ns, Package: box,
		PackageVersion: version, Asset: aws.String("b.bin"), PackageVersionRevision: copied.SuccessfulVersions["1.0"].Revision})
	ok(err)
	content, err := io.ReadAll(asset.Asset)
	_ = asset.Asset.Close()
	if err != nil || string(content) != "world" {
		t.Errorf("asset %q, %v", content, err)
	}
	described, err := c.DescribeDomain(ctx, &sdk.DescribeDomainInput{Domain: domain, DomainOwner: aws.String(testAccount)})
	ok(err)
	if described.Domain.AssetSizeBytes != 10 || described.Domain.RepositoryCount != 2 {
		t.Errorf("domain holds %d bytes in %d repositories", described.Domain.AssetSizeBytes, described.Domain.RepositoryCount)
	}

	where := func(repo *string) (*string, *string, types.PackageFormat, *string, *string) {
		return domain, repo, format, ns, box
	}
	change := &sdk.UpdatePackageVersionsStatusInput{Versions: []string{"1.0", "9.9"}, TargetStatus: types.PackageVersionStatusArchived}
	change.Domain, change.Repository, change.Format, change.Namespace, change.Package = where(r2)
	changed, err := c.UpdatePackageVersionsStatus(ctx, change)
	ok(err)
	if len(changed.SuccessfulVersions) != 0 || changed.FailedVersions["9.9"].ErrorCode != types.PackageVersionErrorCodeNotFound ||
		changed.FailedVersions["1.0"].ErrorCode != types.PackageVersionErrorCodeSkipped {
		t.Errorf("status %+v", changed)
	}
	change.Versions, change.TargetStatus = []string{"1.0"}, types.PackageVersionStatusDisposed
	_, err = c.UpdatePackageVersionsStatus(ctx, change)
	wantTyped[*types.ValidationException](t, err)

	for _, repo := range []*string{r1, r2} {
		in := &sdk.DeletePackageInput{}
		in.Domain, in.Repository, in.Format, in.Namespace, in.Package = where(repo)
		_, err = c.DeletePackage(ctx, in)
		ok(err)
		_, err = c.DeletePackage(ctx, in)
		if e := wantTyped[*types.ResourceNotFoundException](t, err); e != nil && e.ResourceType != types.ResourceTypePackage {
			t.Errorf("resource type %s", e.ResourceType)
		}
	}
	_, err = c.DeleteDomain(ctx, &sdk.DeleteDomainInput{Domain: domain})
	wantTyped[*types.ConflictException](t, err)
	for _, repo := range []*string{r1, r2} {
		_, err = c.DeleteRepository(ctx, &sdk.DeleteRepositoryInput{Domain: domain, Repository: repo})
		ok(err)
	}
	gone, err := c.DeleteDomain(ctx, &sdk.DeleteDomainInput{Domain: domain})
	ok(err)
	if gone.Domain.Status != types.DomainStatusDeleted {
		t.Errorf("status %s", gone.Domain.Status)
	}
}
