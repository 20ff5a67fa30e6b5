package iam

import (
	"context"
	"strconv"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type policyVersion struct {
	Document         string `xml:",omitempty"`
	VersionID        string `xml:"VersionId"`
	IsDefaultVersion bool
	CreateDate       timestamp
}

// versionOf is the id of a version.
func versionOf(number int64) string { return "v" + strconv.FormatInt(number, 10) }

// listedVersion is a version in lists: without its document.
func listedVersion(v identity.PolicyVersion) policyVersion {
	return policyVersion{"", versionOf(v.Number), v.Default, timestamp(v.Created)}
}

type versionInput struct {
	policyArn
	VersionID string `wire:"VersionId" rule:"versionId,required"`
}

// version reads what an input names.
func (in versionInput) version() (identity.PolicyRef, int64, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	number, _ := parseVersion(in.VersionID) // its rule has passed
	return ref, number, err
}

type versionOutput struct{ PolicyVersion policyVersion }

func getPolicyVersion(ctx context.Context, c *call, in *versionInput) (*versionOutput, error) {
	ref, number, err := in.version()
	if err != nil {
		return nil, err
	}
	v, err := c.api.Service.PolicyVersion(ctx, c.who, ref, number)
	if err != nil {
		return nil, err
	}
	out := versionOutput{listedVersion(v)}
	out.PolicyVersion.Document = escaped(v.Document)
	return &out, nil
}

type listPolicyVersionsInput struct {
	policyArn
	page
}

type listPolicyVersionsOutput struct {
	Versions members[policyVersion]
	paged
}

// listPolicyVersions has one page: there are few versions.
func listPolicyVersions(ctx context.Context, c *call, in *listPolicyVersionsInput) (*listPolicyVersionsOutput, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	list, err := c.api.Service.PolicyVersions(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	return &listPolicyVersionsOutput{Versions: each(list, listedVersion)}, nil
}

type createPolicyVersionInput struct {
	policyArn
	PolicyDocument string `rule:"document,required"`
	SetAsDefault   string `rule:"boolean"`
}

func createPolicyVersion(ctx context.Context, c *call, in *createPolicyVersionInput) (*versionOutput, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	v, err := c.api.Service.CreatePolicyVersion(ctx, c.who, ref, in.PolicyDocument, in.SetAsDefault == "true")
	if err != nil {
		return nil, err
	}
	return &versionOutput{listedVersion(v)}, nil
}

func setDefaultPolicyVersion(ctx context.Context, c *call, in *versionInput) (*nothing, error) {
	ref, number, err := in.version()
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.SetDefaultPolicyVersion(ctx, c.who, ref, number)
}

func deletePolicyVersion(ctx context.Context, c *call, in *versionInput) (*nothing, error) {
	ref, number, err := in.version()
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.DeletePolicyVersion(ctx, c.who, ref, number)
}

type tagPolicyInput struct {
	policyArn
	Tags []tag `rule:",required"`
}

func tagPolicy(ctx context.Context, c *call, in *tagPolicyInput) (*nothing, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.TagPolicy(ctx, c.who, ref, toTags(in.Tags))
}

type untagPolicyInput struct {
	policyArn
	TagKeys []string `rule:"tagKey,required"`
}

func untagPolicy(ctx context.Context, c *call, in *untagPolicyInput) (*nothing, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.UntagPolicy(ctx, c.who, ref, in.TagKeys)
}

type listPolicyTagsInput struct {
	policyArn
	page
}

func listPolicyTags(ctx context.Context, c *call, in *listPolicyTagsInput) (*listTagsOutput, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	tags, err := c.api.Service.PolicyTags(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	tags, next, err := slice(c, in.page, in.PolicyArn, tags, func(t packhouse.ResourceTag) string { return t.Key })
	if err != nil {
		return nil, err
	}
	return &listTagsOutput{fromTags(tags), next}, nil
}
