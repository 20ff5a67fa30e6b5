package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	store "github.com/packhouse/packhouse/internal/server"
)

const otherAccount = "222222222222"

// otherAdmin makes another account whose administrator may do everything there, and
// returns a client that is that administrator. Its key goes in beside the running server,
// as that of a user made on the command line does.
func (f *seedServer) otherAdmin(t *testing.T) (api *codeartifact.Client, keyID, secret string) {
	t.Helper()
	ctx := t.Context()
	s, err := store.OpenStore(ctx, store.StoreOptions{Dir: f.dataDir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.InsertAccount(ctx, otherAccount, "other") }); err != nil {
		t.Fatal(err)
	}
	c, err := identity.CreateUser(ctx, s.Catalog, packhouse.Principal{},
		identity.NewUser{Account: otherAccount, Name: "admin", Policies: []string{authz.AdminAccess}})
	if err != nil {
		t.Fatal(err)
	}
	api = f.client(c.KeyID, c.Secret)
	eventually(t, "the key of the other account", func() bool {
		_, err := api.ListDomains(ctx, &codeartifact.ListDomainsInput{})
		return err == nil
	})
	return api, c.KeyID, c.Secret
}

// awsCLI runs the real aws command with an access key and returns what it printed.
func (f *seedServer) awsCLI(t *testing.T, keyID, secret string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), client(t, "PACKHOUSE_AWS", "aws"), append([]string{"codeartifact"}, args...)...)
	cmd.Env = append(f.clientEnv(t.TempDir()), "AWS_REGION="+seedRegion, "AWS_DEFAULT_REGION="+seedRegion, "AWS_PAGER=",
		"AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, stderr.String())
	}
	return string(out), nil
}

// grant is a resource policy with one statement.
func grant(effect, principal, actions string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":{"AWS":"arn:aws:iam::` + principal +
		`:root"},"Action":[` + actions + `],"Resource":"*"}]}`
}

// The rows of codeartifact.md 5.2 about policies and a second account, through the Go SDK
// and the aws command.
func TestSeed001Policies(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	ctx := t.Context()
	domain, owner := aws.String(seedDomain), aws.String(seedAccount)
	other, otherID, otherSecret := f.otherAdmin(t)
	putDomain := func(api *codeartifact.Client, document string, revision *string) (*codeartifact.PutDomainPermissionsPolicyOutput, error) {
		return api.PutDomainPermissionsPolicy(ctx, &codeartifact.PutDomainPermissionsPolicyInput{Domain: domain, DomainOwner: owner, PolicyDocument: &document, PolicyRevision: revision})
	}
	names := func(list []types.RepositorySummary) string {
		var all []string
		for _, r := range list {
			all = append(all, aws.ToString(r.Name)+" "+aws.ToString(r.AdministratorAccount))
		}
		return strings.Join(all, ", ")
	}
	mine := f.repo(t)

	t.Run("another account without a grant learns nothing", func(t *testing.T) {
		_, there := other.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: &mine})
		_, absent := other.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: aws.String("absent")})
		_, nowhere := other.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: aws.String("no-domain"), DomainOwner: owner, Repository: aws.String("absent")})
		for _, err := range []error{there, absent, nowhere} {
			wantError[*types.AccessDeniedException](t, err)
		}
		if got := strings.NewReplacer("absent", mine, "no-domain", seedDomain); got.Replace(wantError[*types.AccessDeniedException](t, nowhere).ErrorMessage()) !=
			wantError[*types.AccessDeniedException](t, there).ErrorMessage() {
			t.Errorf("texts differ: %v and %v", there, nowhere)
		}
	})
	t.Run("001-6 and 001-7 lists are those of the caller's account", func(t *testing.T) {
		if _, err := putDomain(f.api, grant("Allow", otherAccount, `"codeartifact:CreateRepository","codeartifact:ListRepositoriesInDomain","codeartifact:DescribeDomain"`), nil); err != nil {
			t.Fatal(err)
		}
		made, err := other.CreateRepository(ctx, &codeartifact.CreateRepositoryInput{Domain: domain, DomainOwner: owner, Repository: aws.String("other")})
		if err != nil || aws.ToString(made.Repository.AdministratorAccount) != otherAccount || aws.ToString(made.Repository.DomainOwner) != seedAccount ||
			aws.ToString(made.Repository.Arn) != "arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/other" {
			t.Fatalf("%v %+v", err, made)
		}
		ours, err := f.api.ListRepositories(ctx, &codeartifact.ListRepositoriesInput{})
		if err != nil || names(ours.Repositories) != mine+" "+seedAccount {
			t.Errorf("our account's repositories: %s: %v", names(ours.Repositories), err)
		}
		theirs, err := other.ListRepositories(ctx, &codeartifact.ListRepositoriesInput{})
		if err != nil || names(theirs.Repositories) != "other "+otherAccount {
			t.Errorf("the other account's repositories: %s: %v", names(theirs.Repositories), err)
		}
		all, err := f.api.ListRepositoriesInDomain(ctx, &codeartifact.ListRepositoriesInDomainInput{Domain: domain})
		if err != nil || names(all.Repositories) != "other "+otherAccount+", "+mine+" "+seedAccount {
			t.Errorf("the domain's repositories: %s: %v", names(all.Repositories), err)
		}
		out, err := f.awsCLI(t, otherID, otherSecret, "list-repositories-in-domain", "--domain", seedDomain, "--domain-owner", seedAccount,
			"--administrator-account", otherAccount, "--query", "repositories[].name", "--output", "text")
		if err != nil || strings.TrimSpace(out) != "other" {
			t.Errorf("by administrator: %q: %v", out, err)
		}
		domains, err := other.ListDomains(ctx, &codeartifact.ListDomainsInput{})
		if err != nil || len(domains.Domains) != 0 {
			t.Errorf("the other account's domains: %+v: %v", domains, err)
		}
		// The administrator's identity policy is enough for the repository, and for no other.
		if _, err := other.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: aws.String("other")}); err != nil {
			t.Error(err)
		}
		_, err = other.DescribeRepository(ctx, &codeartifact.DescribeRepositoryInput{Domain: domain, DomainOwner: owner, Repository: &mine})
		wantError[*types.AccessDeniedException](t, err)
		if _, err := f.api.DeleteRepository(ctx, &codeartifact.DeleteRepositoryInput{Domain: domain, Repository: aws.String("other")}); err != nil {
			t.Error(err)
		}
	})
	t.Run("001-24 the owner can always replace the domain's policy", func(t *testing.T) {
		if _, err := putDomain(f.api, grant("Deny", seedAccount, `"*"`), nil); err != nil {
			t.Fatal(err)
		}
		_, err := f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: domain})
		wantError[*types.AccessDeniedException](t, err)
		_, err = f.api.GetDomainPermissionsPolicy(ctx, &codeartifact.GetDomainPermissionsPolicyInput{Domain: domain})
		wantError[*types.AccessDeniedException](t, err)
		if _, err := putDomain(f.api, grant("Allow", otherAccount, `"codeartifact:*"`), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := f.api.DescribeDomain(ctx, &codeartifact.DescribeDomainInput{Domain: domain}); err != nil {
			t.Error(err)
		}
		// Nobody else can be granted that right (3.12, rule 4).
		_, err = putDomain(other, grant("Allow", otherAccount, `"codeartifact:*"`), nil)
		wantError[*types.AccessDeniedException](t, err)
	})
	putRepository := func(document string, revision *string) (*codeartifact.PutRepositoryPermissionsPolicyOutput, error) {
		return f.api.PutRepositoryPermissionsPolicy(ctx, &codeartifact.PutRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine, PolicyDocument: &document, PolicyRevision: revision})
	}
	t.Run("001-25 nor can a repository's policy lock the owner out", func(t *testing.T) {
		for range 2 {
			if _, err := putRepository(grant("Deny", seedAccount, `"codeartifact:PutRepositoryPermissionsPolicy"`), nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("001-26 a policy is read back as it was written, and deleted once", func(t *testing.T) {
		document := strings.Replace(grant("Allow", otherAccount, `"codeartifact:ReadFromRepository"`), "{", "{ \n ", 1)
		put, err := putRepository(document, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.api.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine})
		if err != nil || aws.ToString(got.Policy.Document) != document || aws.ToString(got.Policy.Revision) != aws.ToString(put.Policy.Revision) ||
			aws.ToString(got.Policy.ResourceArn) != "arn:aws:codeartifact:us-west-2:111122223333:repository/test-domain/"+mine {
			t.Errorf("%v %+v", err, got)
		}
		r := f.raw(t, "DELETE", "/v1/repository/permissions/policies?domain=test-domain&repository="+mine, "", true)
		if r.status != http.StatusOK || !strings.Contains(string(r.body), aws.ToString(put.Policy.Revision)) {
			t.Errorf("delete: %d %s", r.status, r.body)
		}
		_, err = f.api.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine})
		wantError[*types.ResourceNotFoundException](t, err)
		_, err = f.api.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine})
		wantError[*types.ResourceNotFoundException](t, err)
	})
	t.Run("001-27 a stale revision changes nothing", func(t *testing.T) {
		first, err := putRepository(grant("Allow", otherAccount, `"codeartifact:ReadFromRepository"`), nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := putRepository(grant("Allow", otherAccount, `"codeartifact:DescribeRepository"`), first.Policy.Revision)
		if err != nil {
			t.Fatal(err)
		}
		_, err = putRepository(grant("Allow", otherAccount, `"codeartifact:*"`), first.Policy.Revision)
		wantError[*types.ConflictException](t, err)
		_, err = f.api.DeleteRepositoryPermissionsPolicy(ctx, &codeartifact.DeleteRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine, PolicyRevision: first.Policy.Revision})
		wantError[*types.ConflictException](t, err)
		got, err := f.api.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine})
		if err != nil || aws.ToString(got.Policy.Revision) != aws.ToString(second.Policy.Revision) {
			t.Errorf("%v %+v", err, got)
		}
		if aws.ToString(first.Policy.Revision) == aws.ToString(second.Policy.Revision) {
			t.Error("two puts have one revision")
		}
	})
	t.Run("a policy that is none is refused and keeps the old one", func(t *testing.T) {
		for _, document := range []string{"{", `{"Statement":[]}`, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps","Principal":"*","Action":"*","Resource":"*"}]}`, strings.Repeat(" ", 7169)} {
			_, err := putRepository(document, nil)
			wantError[*types.ValidationException](t, err)
		}
		if _, err := f.api.GetRepositoryPermissionsPolicy(ctx, &codeartifact.GetRepositoryPermissionsPolicyInput{Domain: domain, Repository: &mine}); err != nil {
			t.Error(err)
		}
	})
	t.Run("a grant in the domain's policy opens the registry to another account", func(t *testing.T) {
		f.publish(t, mine, "shared-out", "1.0.0")
		if _, err := putDomain(f.api, grant("Allow", otherAccount, `"codeartifact:GetAuthorizationToken"`), nil); err != nil {
			t.Fatal(err)
		}
		out, err := other.GetAuthorizationToken(ctx, &codeartifact.GetAuthorizationTokenInput{Domain: domain, DomainOwner: owner})
		if err != nil {
			t.Fatal(err)
		}
		read := func(name string) int {
			status, _ := do(t, http.MethodGet, f.url(mine, name), aws.ToString(out.AuthorizationToken), nil)
			return status
		}
		if there, absent := read("shared-out"), read("absent"); there != http.StatusForbidden || absent != there {
			t.Errorf("without a grant: %d, and %d for what is absent", there, absent)
		}
		if _, err := putDomain(f.api, grant("Allow", otherAccount, `"codeartifact:ReadFromRepository"`), nil); err != nil {
			t.Fatal(err)
		}
		if got := read("shared-out"); got != http.StatusOK {
			t.Errorf("with a grant: %d", got)
		}
	})
}
