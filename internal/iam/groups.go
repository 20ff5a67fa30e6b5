package iam

import (
	"context"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type group struct {
	Path       string
	GroupName  string
	GroupID    string `xml:"GroupId"`
	Arn        string
	CreateDate timestamp
}

func groupOf(row packhouse.Identity) group {
	return group{row.Path, row.Name, row.UniqueID, row.ARN(), timestamp(row.Created)}
}

type createGroupInput struct {
	groupName
	Path string `rule:"path"`
}

type groupOutput struct{ Group group }

func createGroup(ctx context.Context, c *call, in *createGroupInput) (*groupOutput, error) {
	row, err := c.api.Service.CreateIdentity(ctx, c.who, c.at(packhouse.KindGroup, in.Path, in.GroupName), identity.NewIdentity{})
	if err != nil {
		return nil, err
	}
	return &groupOutput{groupOf(row)}, nil
}

type getGroupInput struct {
	groupName
	page
}

type getGroupOutput struct {
	Group group
	Users members[user]
	paged
}

func getGroup(ctx context.Context, c *call, in *getGroupInput) (*getGroupOutput, error) {
	after, limit, err := in.begin(c, in.GroupName)
	if err != nil {
		return nil, err
	}
	row, list, err := c.api.Service.GroupMembers(ctx, c.who, c.ref(packhouse.KindGroup, in.GroupName), after, limit+1)
	if err != nil {
		return nil, err
	}
	list, next := cut(c, in.GroupName, list, limit, nameOf)
	return &getGroupOutput{groupOf(row), each(list, userOf), next}, nil
}

type listGroupsOutput struct {
	Groups members[group]
	paged
}

func listGroups(ctx context.Context, c *call, in *listInput) (*listGroupsOutput, error) {
	rows, next, err := identities(ctx, c, in, packhouse.KindGroup)
	if err != nil {
		return nil, err
	}
	return &listGroupsOutput{each(rows, groupOf), next}, nil
}

type updateGroupInput struct {
	groupName
	NewGroupName *string `rule:"groupName"`
	NewPath      *string `rule:"path"`
}

func updateGroup(ctx context.Context, c *call, in *updateGroupInput) (*nothing, error) {
	_, err := c.api.Service.UpdateIdentity(ctx, c.who, c.ref(packhouse.KindGroup, in.GroupName), identity.Update{Name: in.NewGroupName, Path: in.NewPath})
	return &nothing{}, err
}

func deleteGroup(ctx context.Context, c *call, in *groupName) (*nothing, error) {
	return &nothing{}, c.api.Service.DeleteIdentity(ctx, c.who, c.ref(packhouse.KindGroup, in.GroupName))
}

type memberInput struct {
	groupName
	userName
}

func addUserToGroup(ctx context.Context, c *call, in *memberInput) (*nothing, error) {
	return &nothing{}, c.api.Service.AddGroupMember(ctx, c.who, c.ref(packhouse.KindGroup, in.GroupName), in.UserName)
}

func removeUserFromGroup(ctx context.Context, c *call, in *memberInput) (*nothing, error) {
	return &nothing{}, c.api.Service.RemoveGroupMember(ctx, c.who, c.ref(packhouse.KindGroup, in.GroupName), in.UserName)
}

// keyOf is what lists of identities are in order of.
func keyOf(row packhouse.Identity) string { return strings.ToLower(row.Name) }

type groupsForUserInput struct {
	userName
	page
}

func listGroupsForUser(ctx context.Context, c *call, in *groupsForUserInput) (*listGroupsOutput, error) {
	rows, err := c.api.Service.GroupsOfUser(ctx, c.who, c.ref(packhouse.KindUser, in.UserName))
	if err != nil {
		return nil, err
	}
	rows, next, err := slice(c, in.page, in.UserName, rows, keyOf)
	if err != nil {
		return nil, err
	}
	return &listGroupsOutput{each(rows, groupOf), next}, nil
}
