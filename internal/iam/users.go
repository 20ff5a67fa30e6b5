package iam

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// rootPath is the path of everything: identities here have no others.
const rootPath = "/"

type user struct {
	Path       string
	UserName   string
	UserID     string `xml:"UserId"`
	Arn        string
	CreateDate timestamp
	Tags       members[tag] `xml:",omitempty"`
}

func userOf(row packhouse.Identity) user {
	return user{rootPath, row.Name, row.UniqueID, row.ARN(), timestamp(row.Created), nil}
}

type userOutput struct{ User user }

type createUserInput struct {
	userName
	Path                string `rule:"path"`
	PermissionsBoundary string `rule:"unsupported"`
	Tags                []tag
}

func createUser(ctx context.Context, c *call, in *createUserInput) (*userOutput, error) {
	row, err := c.api.Service.CreateIdentity(ctx, c.who, c.ref(packhouse.KindUser, in.UserName), identity.NewIdentity{Tags: toTags(in.Tags)})
	if err != nil {
		return nil, err
	}
	out := userOutput{userOf(row)}
	out.User.Tags = fromTags(row.Tags)
	return &out, nil
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
	out := userOutput{userOf(row)}
	out.User.Tags = fromTags(row.Tags)
	return &out, nil
}

type listInput struct {
	page
	PathPrefix string `rule:"path"`
}

type listUsersOutput struct {
	Users members[user]
	paged
}

func listUsers(ctx context.Context, c *call, in *listInput) (*listUsersOutput, error) {
	rows, next, err := identities(ctx, c, in.page, packhouse.KindUser)
	if err != nil {
		return nil, err
	}
	return &listUsersOutput{each(rows, userOf), next}, nil
}

// identities returns a page of identities of one kind.
func identities(ctx context.Context, c *call, p page, kind packhouse.PrincipalKind) ([]packhouse.Identity, paged, error) {
	after, limit, err := p.begin(c, "")
	if err != nil {
		return nil, paged{}, err
	}
	rows, err := c.api.Service.Identities(ctx, c.who, c.who.Account, kind, after, limit+1)
	if err != nil {
		return nil, paged{}, err
	}
	rows, next := cut(c, "", rows, limit, nameOf)
	return rows, next, nil
}

func nameOf(row packhouse.Identity) string { return row.Name }

type updateUserInput struct {
	userName
	NewUserName *string `rule:"userName"`
	NewPath     string  `rule:"path"`
}

func updateUser(ctx context.Context, c *call, in *updateUserInput) (*nothing, error) {
	_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindUser, in.UserName), identity.Update{Name: in.NewUserName})
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
