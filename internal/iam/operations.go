package iam

import (
	"context"
	"reflect"

	"github.com/packhouse/packhouse"
)

// service is one of the two APIs.
type service struct{ name, version, namespace string }

var (
	iamService = service{"iam", "2010-05-08", "https://iam.amazonaws.com/doc/2010-05-08/"}
	stsService = service{"sts", "2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"}
)

// operation is one row of the table.
type operation struct {
	name    string
	service service
	// changes marks operations whose signature counts once (reliability.md S7).
	changes bool
	// unsigned marks the one that nobody has to be known for.
	unsigned bool
	input    reflect.Type
	output   reflect.Type
	run      func(ctx context.Context, c *call, in any) (any, error)
}

// op makes a row of IAM that reads.
func op[I, O any](name string, handle func(context.Context, *call, *I) (*O, error)) operation {
	return operation{
		name: name, service: iamService,
		input: reflect.TypeFor[I](), output: reflect.TypeFor[O](),
		run: func(ctx context.Context, c *call, in any) (any, error) {
			out, err := handle(ctx, c, in.(*I))
			return out, err
		},
	}
}

// change makes a row of IAM that changes something.
func change[I, O any](name string, handle func(context.Context, *call, *I) (*O, error)) operation {
	o := op(name, handle)
	o.changes = true
	return o
}

// sts makes a row of STS. Temporary credentials leave nothing behind, so that two jobs
// that ask within the same second both get some: none is a change.
func sts[I, O any](name string, handle func(context.Context, *call, *I) (*O, error)) operation {
	o := op(name, handle)
	o.service = stsService
	return o
}

// operations is the table.
func operations() []operation {
	webIdentity := sts("AssumeRoleWithWebIdentity", assumeRoleWithWebIdentity)
	webIdentity.unsigned = true
	table := []operation{
		change("CreateUser", createUser),
		op("GetUser", getUser),
		op("ListUsers", listUsers),
		change("UpdateUser", updateUser),
		change("DeleteUser", deleteUser),

		change("CreateAccessKey", createAccessKey),
		op("ListAccessKeys", listAccessKeys),
		change("UpdateAccessKey", updateAccessKey),
		change("DeleteAccessKey", deleteAccessKey),
		op("GetAccessKeyLastUsed", getAccessKeyLastUsed),

		change("CreateLoginProfile", createLoginProfile),
		op("GetLoginProfile", getLoginProfile),
		change("UpdateLoginProfile", updateLoginProfile),
		change("DeleteLoginProfile", deleteLoginProfile),

		change("CreateGroup", createGroup),
		op("GetGroup", getGroup),
		op("ListGroups", listGroups),
		change("UpdateGroup", updateGroup),
		change("DeleteGroup", deleteGroup),
		change("AddUserToGroup", addUserToGroup),
		change("RemoveUserFromGroup", removeUserFromGroup),
		op("ListGroupsForUser", listGroupsForUser),

		change("CreateRole", createRole),
		op("GetRole", getRole),
		op("ListRoles", listRoles),
		change("UpdateRole", updateRole),
		change("UpdateRoleDescription", updateRoleDescription),
		change("UpdateAssumeRolePolicy", updateAssumeRolePolicy),
		change("DeleteRole", deleteRole),

		change("CreatePolicy", createPolicy),
		op("GetPolicy", getPolicy),
		op("GetPolicyVersion", getPolicyVersion),
		op("ListPolicies", listPolicies),
		op("ListPolicyVersions", listPolicyVersions),
		change("CreatePolicyVersion", createPolicyVersion),
		change("SetDefaultPolicyVersion", setDefaultPolicyVersion),
		change("DeletePolicyVersion", deletePolicyVersion),
		change("DeletePolicy", deletePolicy),
		change("TagPolicy", tagPolicy),
		change("UntagPolicy", untagPolicy),
		op("ListPolicyTags", listPolicyTags),

		change("CreateOpenIDConnectProvider", createProvider),
		op("GetOpenIDConnectProvider", getProvider),
		op("ListOpenIDConnectProviders", listProviders),
		change("DeleteOpenIDConnectProvider", deleteProvider),

		sts("GetCallerIdentity", getCallerIdentity),
		sts("AssumeRole", assumeRole),
		webIdentity,
		sts("GetSessionToken", getSessionToken),
	}
	table = append(table, policyOperations[userName]("User", packhouse.KindUser)...)
	table = append(table, policyOperations[groupName]("Group", packhouse.KindGroup)...)
	table = append(table, policyOperations[roleName]("Role", packhouse.KindRole)...)
	table = append(table, noneOperations()...)
	table = append(table, boundaryOperations[userName]("User", packhouse.KindUser)...)
	table = append(table, boundaryOperations[roleName]("Role", packhouse.KindRole)...)
	table = append(table, tagOperations[userName]("User", packhouse.KindUser)...)
	return append(table, tagOperations[roleName]("Role", packhouse.KindRole)...)
}

// named is the part of an input that names an identity.
type named interface{ name() string }

type userName struct {
	UserName string `rule:"userName,required"`
}

type groupName struct {
	GroupName string `rule:"groupName,required"`
}

type roleName struct {
	RoleName string `rule:"roleName,required"`
}

func (n userName) name() string  { return n.UserName }
func (n groupName) name() string { return n.GroupName }
func (n roleName) name() string  { return n.RoleName }

// tag is a tag in inputs and outputs.
type tag struct {
	Key   string `rule:"tagKey,required"`
	Value string `rule:"tagValue"`
}

func toTags(list []tag) []packhouse.ResourceTag {
	tags := make([]packhouse.ResourceTag, len(list))
	for i, t := range list {
		tags[i] = packhouse.ResourceTag(t)
	}
	return tags
}

func fromTags(list []packhouse.ResourceTag) members[tag] {
	return each(list, func(t packhouse.ResourceTag) tag { return tag(t) })
}
