package iam

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type role struct {
	Path                     string
	RoleName                 string
	RoleID                   string `xml:"RoleId"`
	Arn                      string
	CreateDate               timestamp
	AssumeRolePolicyDocument string
	Description              string `xml:",omitempty"`
	MaxSessionDuration       int
	PermissionsBoundary      *attachedBoundary `xml:",omitempty"`
	Tags                     members[tag]      `xml:",omitempty"`
}

// roleOf is a role in lists: without permissions boundary and tags.
func roleOf(row packhouse.Identity) role {
	return role{Path: row.Path, RoleName: row.Name, RoleID: row.UniqueID, Arn: row.ARN(), CreateDate: timestamp(row.Created),
		AssumeRolePolicyDocument: escaped(row.Trust), Description: row.Description, MaxSessionDuration: int(row.MaxSession / time.Second)}
}

// escaped is how documents travel in answers: percent-encoded by RFC 3986.
func escaped(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

type createRoleInput struct {
	roleName
	AssumeRolePolicyDocument string `rule:"document,required"`
	Description              string `rule:"text"`
	MaxSessionDuration       int    `rule:"seconds"`
	Path                     string `rule:"path"`
	PermissionsBoundary      string `rule:"arn"`
	Tags                     []tag
}

type roleOutput struct{ Role role }

func newRoleOutput(row packhouse.Identity) *roleOutput {
	out := roleOutput{roleOf(row)}
	out.Role.PermissionsBoundary, out.Role.Tags = boundaryOf(row), fromTags(row.Tags)
	return &out
}

func createRole(ctx context.Context, c *call, in *createRoleInput) (*roleOutput, error) {
	limit, err := parseBoundary(in.PermissionsBoundary)
	if err != nil {
		return nil, err
	}
	row, err := c.api.Service.CreateIdentity(ctx, c.who, c.at(packhouse.KindRole, in.Path, in.RoleName), identity.NewIdentity{
		Tags: toTags(in.Tags), Trust: in.AssumeRolePolicyDocument, Description: in.Description,
		MaxSession: time.Duration(in.MaxSessionDuration) * time.Second, Boundary: limit,
	})
	if err != nil {
		return nil, err
	}
	return newRoleOutput(row), nil
}

func getRole(ctx context.Context, c *call, in *roleName) (*roleOutput, error) {
	row, err := c.api.Service.Identity(ctx, c.who, c.ref(packhouse.KindRole, in.RoleName))
	if err != nil {
		return nil, err
	}
	return newRoleOutput(row), nil
}

type listRolesOutput struct {
	Roles members[role]
	paged
}

func listRoles(ctx context.Context, c *call, in *listInput) (*listRolesOutput, error) {
	rows, next, err := identities(ctx, c, in, packhouse.KindRole)
	if err != nil {
		return nil, err
	}
	return &listRolesOutput{each(rows, roleOf), next}, nil
}

type updateRoleInput struct {
	roleName
	Description        *string `rule:"text"`
	MaxSessionDuration *int    `rule:"seconds"`
}

func updateRole(ctx context.Context, c *call, in *updateRoleInput) (*struct{}, error) {
	u := identity.Update{Description: in.Description}
	if in.MaxSessionDuration != nil {
		longest := time.Duration(*in.MaxSessionDuration) * time.Second
		u.MaxSession = &longest
	}
	_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindRole, in.RoleName), u)
	return &struct{}{}, err
}

type updateRoleDescriptionInput struct {
	roleName
	Description *string `rule:"text,required"`
}

func updateRoleDescription(ctx context.Context, c *call, in *updateRoleDescriptionInput) (*roleOutput, error) {
	row, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindRole, in.RoleName), identity.Update{Description: in.Description})
	if err != nil {
		return nil, err
	}
	return newRoleOutput(row), nil
}

type updateTrustInput struct {
	roleName
	PolicyDocument string `rule:"document,required"`
}

func updateAssumeRolePolicy(ctx context.Context, c *call, in *updateTrustInput) (*nothing, error) {
	_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindRole, in.RoleName), identity.Update{Trust: &in.PolicyDocument})
	return &nothing{}, err
}

func deleteRole(ctx context.Context, c *call, in *roleName) (*nothing, error) {
	return &nothing{}, c.api.Service.DeleteIdentity(ctx, c.who, c.ref(packhouse.KindRole, in.RoleName))
}
