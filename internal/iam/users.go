package iam

import (
	"cmp"
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type user struct {
	Path                string
	UserName            string
	UserID              string `xml:"UserId"`
	Arn                 string
	CreateDate          timestamp
	PermissionsBoundary *attachedBoundary `xml:",omitempty"`
	Tags                members[tag]      `xml:",omitempty"`
}

// userOf is a user in lists: without permissions boundary and tags.
func userOf(row packhouse.Identity) user {
	return user{Path: row.Path, UserName: row.Name, UserID: row.UniqueID, Arn: row.ARN(), CreateDate: timestamp(row.Created)}
}

type userOutput struct{ User user }

func newUserOutput(row packhouse.Identity) *userOutput {
	out := userOutput{userOf(row)}
	out.User.PermissionsBoundary, out.User.Tags = boundaryOf(row), fromTags(row.Tags)
	return &out
}

type createUserInput struct {
	userName
	Path                string `rule:"path"`
	PermissionsBoundary string `rule:"arn"`
	Tags                []tag
}

func createUser(ctx context.Context, c *call, in *createUserInput) (*userOutput, error) {
	limit, err := parseBoundary(in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	row, err := c.api.Service.CreateIdentity(ctx, c.who, c.at(packhouse.KindUser, in.Path, in.UserName), identity.NewIdentity{Tags: toTags(in.Tags), Boundary: limit})
	if err != nil {
		return nil, err
	}
	return newUserOutput(row), nil
}

type ownUserInput struct {
	UserName string `rule:"userName"`
}

func getUser(ctx context.Context, c *call, in *ownUserInput) (*userOutput, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	row, err := c.api.Service.Identity(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	return newUserOutput(row), nil
}

type listInput struct {
	page
	PathPrefix string `rule:"pathPrefix"`
}

type listUsersOutput struct {
	Users members[user]
	paged
}

func listUsers(ctx context.Context, c *call, in *listInput) (*listUsersOutput, error) {
	rows, next, err := identities(ctx, c, in, packhouse.KindUser)
	if err != nil {
		return nil, err
	}
	return &listUsersOutput{each(rows, userOf), next}, nil
}

// identities returns a page of identities of one kind.
func identities(ctx context.Context, c *call, in *listInput, kind packhouse.PrincipalKind) ([]packhouse.Identity, paged, error) {
	prefix := cmp.Or(in.PathPrefix, packhouse.RootPath)
	after, limit, err := in.begin(c, prefix)
	if err != nil {
		return nil, paged{}, err
	}
	rows, err := c.api.Service.Identities(ctx, c.who, c.who.Account, kind, prefix, after, limit+1)
	if err != nil {
		return nil, paged{}, err
	}
	rows, next := cut(c, prefix, rows, limit, nameOf)
	return rows, next, nil
}

func nameOf(row packhouse.Identity) string { return row.Name }

type updateUserInput struct {
	userName
	NewUserName *string `rule:"userName"`
	NewPath     *string `rule:"path"`
}

func updateUser(ctx context.Context, c *call, in *updateUserInput) (*nothing, error) {
	_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindUser, in.UserName), identity.Update{Name: in.NewUserName, Path: in.NewPath})
	return &nothing{}, err
}

func deleteUser(ctx context.Context, c *call, in *userName) (*nothing, error) {
	return &nothing{}, c.api.Service.DeleteIdentity(ctx, c.who, c.ref(packhouse.KindUser, in.UserName))
}

type createAccessKeyOutput struct {
	AccessKey struct {
		UserName        string
		AccessKeyID     string `xml:"AccessKeyId"`
		Status          string
		SecretAccessKey string
		CreateDate      timestamp
	}
}

// The states of access keys.
const (
	statusActive   = "Active"
	statusInactive = "Inactive"
)

func createAccessKey(ctx context.Context, c *call, in *ownUserInput) (*createAccessKeyOutput, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	made, created, err := c.api.Service.CreateAccessKey(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	var out createAccessKeyOutput
	k := &out.AccessKey
	k.UserName, k.AccessKeyID, k.Status, k.SecretAccessKey, k.CreateDate = ref.Name, made.KeyID, statusActive, made.Secret, timestamp(created)
	return &out, nil
}

type listAccessKeysInput struct {
	page
	UserName string `rule:"userName"`
}

type accessKey struct {
	UserName    string
	AccessKeyID string `xml:"AccessKeyId"`
	Status      string
	CreateDate  timestamp
}

type listAccessKeysOutput struct {
	AccessKeyMetadata members[accessKey]
	paged
}

func listAccessKeys(ctx context.Context, c *call, in *listAccessKeysInput) (*listAccessKeysOutput, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	keys, err := c.api.Service.AccessKeys(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	// All of them: there are two at most.
	return &listAccessKeysOutput{AccessKeyMetadata: each(keys, func(k packhouse.AccessKey) accessKey {
		status := statusInactive
		if k.Active {
			status = statusActive
		}
		return accessKey{ref.Name, k.ID, status, timestamp(k.Created)}
	})}, nil
}

type updateAccessKeyInput struct {
	UserName    string `rule:"userName"`
	AccessKeyID string `wire:"AccessKeyId" rule:"keyId,required"`
	Status      string `rule:"status,required"`
}

func updateAccessKey(ctx context.Context, c *call, in *updateAccessKeyInput) (*nothing, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.UpdateAccessKey(ctx, c.who, ref, in.AccessKeyID, in.Status == statusActive)
}

type deleteAccessKeyInput struct {
	UserName    string `rule:"userName"`
	AccessKeyID string `wire:"AccessKeyId" rule:"keyId,required"`
}

func deleteAccessKey(ctx context.Context, c *call, in *deleteAccessKeyInput) (*nothing, error) {
	ref, err := c.user(in.UserName)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.DeleteAccessKey(ctx, c.who, ref, in.AccessKeyID)
}

type lastUsedInput struct {
	AccessKeyID string `wire:"AccessKeyId" rule:"keyId,required"`
}

type lastUsedOutput struct {
	UserName          string
	AccessKeyLastUsed struct {
		LastUsedDate *timestamp `xml:",omitempty"`
		ServiceName  string
		Region       string
	}
}

func getAccessKeyLastUsed(ctx context.Context, c *call, in *lastUsedInput) (*lastUsedOutput, error) {
	owner, key, err := c.api.Service.AccessKeyUse(ctx, c.who, in.AccessKeyID)
	if err != nil {
		return nil, err
	}
	out := lastUsedOutput{UserName: owner.Name}
	used := &out.AccessKeyLastUsed
	used.ServiceName, used.Region = "N/A", "N/A"
	if !key.LastUsed.IsZero() {
		at := timestamp(key.LastUsed)
		used.LastUsedDate, used.ServiceName, used.Region = &at, key.Service, c.api.Region
	}
	return &out, nil
}
