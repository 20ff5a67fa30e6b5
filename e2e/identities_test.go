package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// identityClient is the Go SDK's IAM client as the administrator of a server.
func identityClient(s *server) *iam.Client {
	id, secret := s.profile()
	return iam.New(iam.Options{Region: seedRegion, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
}

// The life of every kind of identity through the Go SDK, which decodes the answers and
// the errors into its own types (codeartifact.md 3.12, 3.15).
func TestIdentitiesThroughTheSDK(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--account-id", seedAccount, "--region", seedRegion)
	api, ctx := identityClient(s), t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dana, group, role, document := aws.String("dana"), aws.String("readers"), aws.String("deploy"), aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["codeartifact:ListDomains","sts:AssumeRole"],"Resource":"*"}]}`)

	// A user with tags.
	user, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: dana, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("web")}}})
	ok(err)
	got, err := api.GetUser(ctx, &iam.GetUserInput{UserName: dana})
	ok(err)
	if *got.User.Arn != "arn:aws:iam::111122223333:user/dana" || *got.User.UserId != *user.User.UserId || !got.User.CreateDate.Equal(*user.User.CreateDate) ||
		len(got.User.Tags) != 1 || *got.User.Tags[0].Value != "web" {
		t.Errorf("got %+v, created %+v", got.User, user.User)
	}
	_, err = api.CreateUser(ctx, &iam.CreateUserInput{UserName: dana})
	wantError[*types.EntityAlreadyExistsException](t, err)
	_, err = api.GetUser(ctx, &iam.GetUserInput{UserName: aws.String("nobody")})
	wantError[*types.NoSuchEntityException](t, err)

	// Her keys, two at most, of which an inactive one is not let in.
	key, err := api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: dana})
	ok(err)
	_, err = api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: dana})
	ok(err)
	_, err = api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: dana})
	wantError[*types.LimitExceededException](t, err)
	keys, err := api.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: dana})
	ok(err)
	if len(keys.AccessKeyMetadata) != 2 || keys.AccessKeyMetadata[0].Status != types.StatusTypeActive {
		t.Errorf("keys: %+v", keys.AccessKeyMetadata)
	}
	asDana := sts.New(sts.Options{Region: seedRegion, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")})
	who, err := asDana.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	ok(err)
	if *who.Arn != *user.User.Arn || *who.Account != seedAccount || *who.UserId != *user.User.UserId {
		t.Errorf("dana is %+v", who)
	}

	// A group that she is in, with a policy of its own making.
	_, err = api.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: group})
	ok(err)
	_, err = api.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: group, UserName: dana})
	ok(err)
	policy, err := api.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("list"), PolicyDocument: document, Description: aws.String("lists domains")})
	ok(err)
	_, err = api.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("bad"), PolicyDocument: aws.String(`{"Statement":1}`)})
	wantError[*types.MalformedPolicyDocumentException](t, err)
	_, err = api.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: group, PolicyArn: policy.Policy.Arn})
	ok(err)
	attached, err := api.ListAttachedGroupPolicies(ctx, &iam.ListAttachedGroupPoliciesInput{GroupName: group})
	ok(err)
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyArn != *policy.Policy.Arn {
		t.Errorf("attached to the group: %+v", attached.AttachedPolicies)
	}
	version, err := api.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: policy.Policy.Arn, VersionId: aws.String("v1")})
	ok(err)
	if text, err := url.QueryUnescape(*version.PolicyVersion.Document); err != nil || text != *document || !version.PolicyVersion.IsDefaultVersion {
		t.Errorf("version v1: %+v", version.PolicyVersion)
	}
	_, err = api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: policy.Policy.Arn})
	wantError[*types.DeleteConflictException](t, err)
	_, err = api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: dana})
	wantError[*types.DeleteConflictException](t, err)

	// A role, which she may assume by the group's policy.
	trust := aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}]}`, seedAccount))
	created, err := api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: role, AssumeRolePolicyDocument: trust, MaxSessionDuration: aws.Int32(7200)})
	ok(err)
	if *created.Role.MaxSessionDuration != 7200 {
		t.Errorf("created %+v", created.Role)
	}
	_, err = api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("own"), PolicyDocument: document})
	ok(err)
	inline, err := api.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: aws.String("own")})
	ok(err)
	if text, err := url.QueryUnescape(*inline.PolicyDocument); err != nil || text != *document {
		t.Errorf("inline policy: %s", *inline.PolicyDocument)
	}
	session, err := asDana.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: created.Role.Arn, RoleSessionName: aws.String("job"), DurationSeconds: aws.Int32(7200)})
	ok(err)
	if *session.AssumedRoleUser.AssumedRoleId != *created.Role.RoleId+":job" {
		t.Errorf("session of %+v, role %+v", session.AssumedRoleUser, created.Role)
	}
	_, err = asDana.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: created.Role.Arn, RoleSessionName: aws.String("job"), DurationSeconds: aws.Int32(7201)})
	wantCode(t, "a session longer than the role's longest", err, "ValidationError")
	_, err = asDana.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/absent"), RoleSessionName: aws.String("job")})
	wantCode(t, "a role that does not exist", err, "AccessDenied")
	own, err := asDana.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	ok(err)
	asSession := sts.New(sts.Options{Region: seedRegion, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider(
		*own.Credentials.AccessKeyId, *own.Credentials.SecretAccessKey, *own.Credentials.SessionToken)})
	if who, err := asSession.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil || *who.Arn != *user.User.Arn {
		t.Errorf("dana's session is %+v: %v", who, err)
	}

	// Lists come in pages.
	for i := range 5 {
		_, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(fmt.Sprintf("robot-%d", i))})
		ok(err)
	}
	var names []string
	for pages := iam.NewListUsersPaginator(api, &iam.ListUsersInput{MaxItems: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		ok(err)
		if len(page.Users) > 2 {
			t.Errorf("a page of %d users, want at most 2", len(page.Users))
		}
		for _, u := range page.Users {
			names = append(names, *u.UserName)
		}
	}
	if want := []string{"admin", "dana", "robot-0", "robot-1", "robot-2", "robot-3", "robot-4"}; !slices.Equal(names, want) {
		t.Errorf("users %v, want %v", names, want)
	}

	// An inactive key is not let in, and all goes in the order that IAM wants.
	_, err = api.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: dana, AccessKeyId: key.AccessKey.AccessKeyId, Status: types.StatusTypeInactive})
	ok(err)
	_, err = asDana.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	wantCode(t, "an inactive key", err, "SignatureDoesNotMatch") // as a wrong secret: S6
	for _, k := range keys.AccessKeyMetadata {
		_, err := api.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: dana, AccessKeyId: k.AccessKeyId})
		ok(err)
	}
	_, err = api.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: group, UserName: dana})
	ok(err)
	_, err = api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: dana})
	ok(err)
	_, err = api.DetachGroupPolicy(ctx, &iam.DetachGroupPolicyInput{GroupName: group, PolicyArn: policy.Policy.Arn})
	ok(err)
	_, err = api.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: group})
	ok(err)
	_, err = api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: policy.Policy.Arn})
	ok(err)
	_, err = api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: aws.String("own")})
	ok(err)
	_, err = api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role})
	ok(err)
	_, err = api.GetRole(ctx, &iam.GetRoleInput{RoleName: role})
	wantError[*types.NoSuchEntityException](t, err)
}
