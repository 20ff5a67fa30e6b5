package e2e

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The calls that Terraform's aws provider makes for aws_iam_user, _group, _policy, _role,
// _user_policy_attachment and _access_key, in its order, through the SDK that it is built
// with: create, read, plan without a difference, update, delete (codeartifact.md 3.15).
func TestTerraformIdentityCalls(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--account-id", seedAccount, "--region", seedRegion)
	api, ctx := identityClient(s), t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name, path, moved := aws.String("tf"), aws.String("/team/web/"), aws.String("/team/api/")
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}}
	document := func(action string) *string {
		return aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":"*"}]}`, action))
	}

	// aws_iam_policy: its document is read through the default version, and an update is a
	// new version, before which the oldest goes when there are five.
	policy, err := api.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: name, Path: path, PolicyDocument: document("codeartifact:List*"), Description: aws.String("lists"), Tags: tags})
	ok(err)
	arn := policy.Policy.Arn
	readPolicy := func(version, action string) {
		t.Helper()
		p, err := api.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn})
		ok(err)
		v, err := api.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: p.Policy.DefaultVersionId})
		ok(err)
		text, err := url.QueryUnescape(*v.PolicyVersion.Document)
		ok(err)
		if *p.Policy.Arn != "arn:aws:iam::111122223333:policy/team/web/tf" || *p.Policy.Path != *path || *p.Policy.Description != "lists" || len(p.Policy.Tags) != 1 ||
			*p.Policy.DefaultVersionId != version || !v.PolicyVersion.IsDefaultVersion || text != *document(action) {
			t.Errorf("policy %+v with version %+v: %s", p.Policy, v.PolicyVersion, text)
		}
	}
	readPolicy("v1", "codeartifact:List*")
	for i := range 6 {
		versions, err := api.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: arn})
		ok(err)
		if n := len(versions.Versions); n == 5 {
			_, err := api.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: document("codeartifact:Get*")})
			wantError[*types.LimitExceededException](t, err)
			_, err = api.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: versions.Versions[n-1].VersionId})
			ok(err)
		}
		made, err := api.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: document("codeartifact:Get*"), SetAsDefault: true})
		ok(err)
		if want := fmt.Sprintf("v%d", i+2); *made.PolicyVersion.VersionId != want {
			t.Errorf("version %s, want %s", *made.PolicyVersion.VersionId, want)
		}
	}
	readPolicy("v7", "codeartifact:Get*")
	_, err = api.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v7")})
	wantError[*types.DeleteConflictException](t, err)
	_, err = api.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
	wantError[*types.NoSuchEntityException](t, err)
	_, err = api.SetDefaultPolicyVersion(ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v6")})
	ok(err)
	_, err = api.UntagPolicy(ctx, &iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"team"}})
	ok(err)
	_, err = api.TagPolicy(ctx, &iam.TagPolicyInput{PolicyArn: arn, Tags: tags})
	ok(err)
	readPolicy("v6", "codeartifact:Get*")

	// aws_iam_user with a path, a boundary and tags.
	user, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: name, Path: path, PermissionsBoundary: arn, Tags: tags})
	ok(err)
	readUser := func(name, path, boundary string) {
		t.Helper()
		got, err := api.GetUser(ctx, &iam.GetUserInput{UserName: &name})
		ok(err)
		limit := ""
		if b := got.User.PermissionsBoundary; b != nil {
			limit = aws.ToString(b.PermissionsBoundaryArn)
		}
		if *got.User.Arn != "arn:aws:iam::111122223333:user"+path+name || *got.User.Path != path || *got.User.UserId != *user.User.UserId || limit != boundary || len(got.User.Tags) != 1 {
			t.Errorf("user %+v with boundary %q, want %s%s with %q", got.User, limit, path, name, boundary)
		}
	}
	if b := user.User.PermissionsBoundary; b == nil || b.PermissionsBoundaryType != types.PermissionsBoundaryAttachmentTypePolicy || *b.PermissionsBoundaryArn != *arn {
		t.Errorf("created with the boundary %+v", b)
	}
	readUser("tf", *path, *arn)
	_, err = api.UpdateUser(ctx, &iam.UpdateUserInput{UserName: name, NewUserName: aws.String("tf2"), NewPath: moved})
	ok(err)
	_, err = api.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: aws.String("tf2")})
	ok(err)
	readUser("tf2", *moved, "")
	_, err = api.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: aws.String("tf2"), PermissionsBoundary: arn})
	ok(err)
	readUser("tf2", *moved, *arn)
	name2 := aws.String("tf2")

	// aws_iam_user_policy_attachment and aws_iam_access_key.
	_, err = api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: name2, PolicyArn: arn})
	ok(err)
	attached, err := api.ListAttachedUserPolicies(ctx, &iam.ListAttachedUserPoliciesInput{UserName: name2})
	ok(err)
	if len(attached.AttachedPolicies) != 1 || *attached.AttachedPolicies[0].PolicyArn != *arn {
		t.Errorf("attached: %+v", attached.AttachedPolicies)
	}
	key, err := api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: name2})
	ok(err)
	_, err = api.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: name2, AccessKeyId: key.AccessKey.AccessKeyId, Status: types.StatusTypeInactive})
	ok(err)
	keys, err := api.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: name2})
	ok(err)
	if len(keys.AccessKeyMetadata) != 1 || keys.AccessKeyMetadata[0].Status != types.StatusTypeInactive {
		t.Errorf("keys: %+v", keys.AccessKeyMetadata)
	}

	// aws_iam_user_login_profile.
	_, err = api.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: name2})
	wantError[*types.NoSuchEntityException](t, err)
	_, err = api.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: name2, Password: aws.String("short")})
	wantError[*types.PasswordPolicyViolationException](t, err)
	_, err = api.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: name2, Password: aws.String("a good long password")})
	ok(err)
	_, err = api.CreateLoginProfile(ctx, &iam.CreateLoginProfileInput{UserName: name2, Password: aws.String("a good long password")})
	wantError[*types.EntityAlreadyExistsException](t, err)
	profile, err := api.GetLoginProfile(ctx, &iam.GetLoginProfileInput{UserName: name2})
	ok(err)
	if *profile.LoginProfile.UserName != *name2 || profile.LoginProfile.CreateDate == nil || profile.LoginProfile.PasswordResetRequired {
		t.Errorf("login profile %+v", profile.LoginProfile)
	}
	_, err = api.UpdateLoginProfile(ctx, &iam.UpdateLoginProfileInput{UserName: name2, Password: aws.String("another good password")})
	ok(err)
	_, err = api.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: name2})
	ok(err)

	// aws_iam_group.
	_, err = api.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: name, Path: path})
	ok(err)
	_, err = api.UpdateGroup(ctx, &iam.UpdateGroupInput{GroupName: name, NewGroupName: name2, NewPath: moved})
	ok(err)
	group, err := api.GetGroup(ctx, &iam.GetGroupInput{GroupName: name2})
	ok(err)
	if *group.Group.Arn != "arn:aws:iam::111122223333:group/team/api/tf2" {
		t.Errorf("group %+v", group.Group)
	}

	// aws_iam_role.
	trust := aws.String(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}]}`, seedAccount))
	_, err = api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, Path: path, AssumeRolePolicyDocument: trust, PermissionsBoundary: arn, Description: aws.String("made by terraform"), Tags: tags})
	ok(err)
	_, err = api.UpdateRoleDescription(ctx, &iam.UpdateRoleDescriptionInput{RoleName: name, Description: aws.String("changed")})
	ok(err)
	_, err = api.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(7200)})
	ok(err)
	_, err = api.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name})
	ok(err)
	_, err = api.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: arn})
	ok(err)
	role, err := api.GetRole(ctx, &iam.GetRoleInput{RoleName: name})
	ok(err)
	if r := role.Role; *r.Arn != "arn:aws:iam::111122223333:role/team/web/tf" || *r.Description != "changed" || *r.MaxSessionDuration != 7200 || len(r.Tags) != 1 ||
		r.PermissionsBoundary == nil || *r.PermissionsBoundary.PermissionsBoundaryArn != *arn {
		t.Errorf("role %+v", role.Role)
	}
	_, err = api.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	ok(err)
	_, err = api.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: name})
	ok(err)

	// Destroy.
	_, err = api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	wantError[*types.DeleteConflictException](t, err)
	_, err = api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: name2, PolicyArn: arn})
	ok(err)
	_, err = api.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name2, AccessKeyId: key.AccessKey.AccessKeyId})
	ok(err)
	_, err = api.ListGroupsForUser(ctx, &iam.ListGroupsForUserInput{UserName: name2})
	ok(err)
	for what, list := range map[string]func() (int, error){ // force_destroy
		"SSH keys": func() (int, error) {
			out, err := api.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: name2})
			return len(out.SSHPublicKeys), err
		},
		"certificates": func() (int, error) {
			out, err := api.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{UserName: name2})
			return len(out.Certificates), err
		},
		"credentials of one service": func() (int, error) {
			out, err := api.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{UserName: name2})
			return len(out.ServiceSpecificCredentials), err
		},
		"devices": func() (int, error) {
			out, err := api.ListMFADevices(ctx, &iam.ListMFADevicesInput{UserName: name2})
			return len(out.MFADevices), err
		},
		"virtual devices": func() (int, error) {
			out, err := api.ListVirtualMFADevices(ctx, &iam.ListVirtualMFADevicesInput{})
			return len(out.VirtualMFADevices), err
		},
	} {
		if n, err := list(); err != nil || n > 0 {
			t.Errorf("%d %s: %v", n, what, err)
		}
	}
	_, err = api.DeleteLoginProfile(ctx, &iam.DeleteLoginProfileInput{UserName: name2})
	wantError[*types.NoSuchEntityException](t, err)
	_, err = api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: name2})
	ok(err)
	_, err = api.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: name2})
	ok(err)
	profiles, err := api.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: name})
	ok(err)
	if len(profiles.InstanceProfiles) > 0 {
		t.Errorf("instance profiles %+v", profiles.InstanceProfiles)
	}
	_, err = api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	wantError[*types.DeleteConflictException](t, err) // the role's boundary
	_, err = api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
	ok(err)
	_, err = api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	ok(err)
	_, err = api.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn})
	wantError[*types.NoSuchEntityException](t, err)
}

// GetAccessKeyLastUsed tells nothing of a key that was never used, and date, service and
// region of the last signed call afterwards (IAM API reference, AccessKeyLastUsed).
func TestAccessKeyLastUsed(t *testing.T) {
	t.Parallel()
	f := startSeedServer(t)
	api, ctx, dana := identityClient(f.server), t.Context(), aws.String("dana")
	if _, err := api.CreateUser(ctx, &iam.CreateUserInput{UserName: dana}); err != nil {
		t.Fatal(err)
	}
	key, err := api.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: dana})
	if err != nil {
		t.Fatal(err)
	}
	last := func() *types.AccessKeyLastUsed {
		t.Helper()
		out, err := api.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: key.AccessKey.AccessKeyId})
		if err != nil || *out.UserName != *dana {
			t.Fatalf("last use %+v: %v", out, err)
		}
		return out.AccessKeyLastUsed
	}
	if l := last(); l.LastUsedDate != nil || *l.ServiceName != "N/A" || *l.Region != "N/A" {
		t.Errorf("before any use: %+v", l)
	}
	asDana := sts.New(sts.Options{Region: seedRegion, BaseEndpoint: aws.String(f.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")})
	if _, err := asDana.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
		t.Fatal(err)
	}
	first := last()
	if first.LastUsedDate == nil || first.LastUsedDate.Before(key.AccessKey.CreateDate.Add(-1e9)) || *first.ServiceName != "sts" || *first.Region != seedRegion {
		t.Errorf("after a call of STS: %+v", first)
	}
	// A refused call is a use too: its signature was good.
	_, err = f.client(*key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey).ListDomains(ctx, nil)
	wantCode(t, "a user without policies", err, "AccessDeniedException")
	if l := last(); l.LastUsedDate == nil || l.LastUsedDate.Before(*first.LastUsedDate) || *l.ServiceName != "codeartifact" || *l.Region != seedRegion {
		t.Errorf("after a call of CodeArtifact: %+v", l)
	}
	// The use is kept over a restart.
	f.stop()
	f.start()
	api = identityClient(f.server)
	if l := last(); l.LastUsedDate == nil || *l.ServiceName != "codeartifact" {
		t.Errorf("after a restart: %+v", l)
	}
}
