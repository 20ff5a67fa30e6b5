package iam

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type managedPolicy struct {
	PolicyName                    string
	PolicyID                      string `xml:"PolicyId"`
	Arn                           string
	Path                          string
	DefaultVersionID              string `xml:"DefaultVersionId"`
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string `xml:",omitempty"`
	CreateDate                    timestamp
	UpdateDate                    timestamp
	Tags                          members[tag] `xml:",omitempty"`
}

// policyOf is a policy in lists: without tags.
func policyOf(p identity.ManagedPolicy) managedPolicy {
	return managedPolicy{PolicyName: p.Name, PolicyID: p.ID, Arn: p.ARN(), Path: p.Path, DefaultVersionID: versionOf(p.Version),
		AttachmentCount: p.Attachments, PermissionsBoundaryUsageCount: p.Boundaries, IsAttachable: true,
		Description: p.Description, CreateDate: timestamp(p.Created), UpdateDate: timestamp(p.Updated)}
}

func newPolicyOutput(p identity.ManagedPolicy) *policyOutput {
	out := policyOutput{policyOf(p)}
	out.Policy.Tags = fromTags(p.Tags)
	return &out
}

type policyOutput struct{ Policy managedPolicy }

type createPolicyInput struct {
	PolicyName     string `rule:"policyName,required"`
	PolicyDocument string `rule:"document,required"`
	Description    string `rule:"text"`
	Path           string `rule:"path"`
	Tags           []tag
}

func createPolicy(ctx context.Context, c *call, in *createPolicyInput) (*policyOutput, error) {
	p, err := c.api.Service.CreatePolicy(ctx, c.who, identity.PolicyRef{Account: c.who.Account, Name: in.PolicyName, Path: in.Path},
		identity.NewPolicy{Document: in.PolicyDocument, Description: in.Description, Tags: toTags(in.Tags)})
	if err != nil {
		return nil, err
	}
	return newPolicyOutput(p), nil
}

type policyArn struct {
	PolicyArn string `rule:"arn,required"`
}

func getPolicy(ctx context.Context, c *call, in *policyArn) (*policyOutput, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	p, err := c.api.Service.ManagedPolicy(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	return newPolicyOutput(p), nil
}

type listPoliciesInput struct {
	page
	PathPrefix        string `rule:"pathPrefix"`
	Scope             string `rule:"scope"`
	OnlyAttached      string `rule:"boolean"`
	PolicyUsageFilter string `rule:"usage"`
}

// The values of PolicyUsageFilter. Every policy can give permissions.
const (
	usagePermissions = "PermissionsPolicy"
	usageBoundary    = "PermissionsBoundary"
)

type listPoliciesOutput struct {
	Policies members[managedPolicy]
	paged
}

// listPolicies lists the shipped policies on the first page, the account's own behind
// them.
func listPolicies(ctx context.Context, c *call, in *listPoliciesInput) (*listPoliciesOutput, error) {
	prefix := cmp.Or(in.PathPrefix, packhouse.RootPath)
	about := strings.Join([]string{in.Scope, in.OnlyAttached, in.PolicyUsageFilter, prefix}, "\x00")
	after, limit, err := in.begin(c, about)
	if err != nil {
		return nil, err
	}
	own, err := c.api.Service.ManagedPolicies(ctx, c.who, c.who.Account, prefix, after, limit+1)
	if err != nil {
		return nil, err
	}
	if in.Scope == "AWS" {
		own = nil
	}
	own, next := cut(c, about, own, limit, func(p identity.ManagedPolicy) string { return p.Name })
	var list []identity.ManagedPolicy
	if in.Scope != "Local" && in.Marker == "" && prefix == packhouse.RootPath {
		list = identity.ShippedPolicies()
	}
	list = append(list, own...)
	out := listPoliciesOutput{paged: next}
	for _, p := range list {
		if (in.OnlyAttached != "true" || p.Attachments > 0) && (in.PolicyUsageFilter != usageBoundary || p.Boundaries > 0) {
			out.Policies = append(out.Policies, policyOf(p))
		}
	}
	return &out, nil
}

func deletePolicy(ctx context.Context, c *call, in *policyArn) (*nothing, error) {
	ref, err := identity.ParsePolicyARN(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.DeletePolicy(ctx, c.who, ref)
}

type attachInput[N named] struct {
	Of        N
	PolicyArn string `rule:"arn,required"`
}

type inlineInput[N named] struct {
	Of         N
	PolicyName string `rule:"policyName,required"`
}

type putInlineInput[N named] struct {
	Of             N
	PolicyName     string `rule:"policyName,required"`
	PolicyDocument string `rule:"document,required"`
}

type listOfInput[N named] struct {
	Of N
	page
	PathPrefix string `rule:"pathPrefix"`
}

type attachedPolicy struct{ PolicyName, PolicyArn string }

type listAttachedOutput struct {
	AttachedPolicies members[attachedPolicy]
	paged
}

type listInlineOutput struct {
	PolicyNames members[string]
	paged
}

// inlineOutput names the identity in an element of its kind.
type inlineOutput struct {
	UserName       string `xml:",omitempty"`
	GroupName      string `xml:",omitempty"`
	RoleName       string `xml:",omitempty"`
	PolicyName     string
	PolicyDocument string
}

func (o *inlineOutput) of(kind packhouse.PrincipalKind, name string) {
	switch kind {
	case packhouse.KindUser:
		o.UserName = name
	case packhouse.KindGroup:
		o.GroupName = name
	default:
		o.RoleName = name
	}
}

// policyOperations are the rows that users, groups and roles have alike.
func policyOperations[N named](title string, kind packhouse.PrincipalKind) []operation {
	return []operation{
		change("Attach"+title+"Policy", func(ctx context.Context, c *call, in *attachInput[N]) (*nothing, error) {
			ref, err := identity.ParsePolicyARN(in.PolicyArn)
			if err != nil {
				return nil, err
			}
			return &nothing{}, c.api.Service.AttachPolicy(ctx, c.who, c.ref(kind, in.Of.name()), ref)
		}),
		change("Detach"+title+"Policy", func(ctx context.Context, c *call, in *attachInput[N]) (*nothing, error) {
			ref, err := identity.ParsePolicyARN(in.PolicyArn)
			if err != nil {
				return nil, err
			}
			return &nothing{}, c.api.Service.DetachPolicy(ctx, c.who, c.ref(kind, in.Of.name()), ref)
		}),
		op("ListAttached"+title+"Policies", func(ctx context.Context, c *call, in *listOfInput[N]) (*listAttachedOutput, error) {
			list, err := c.api.Service.AttachedPolicies(ctx, c.who, c.ref(kind, in.Of.name()))
			if err != nil {
				return nil, err
			}
			list = slices.DeleteFunc(list, func(p identity.PolicyRef) bool { return !strings.HasPrefix(p.Path, in.PathPrefix) })
			list, next, err := slice(c, in.page, in.Of.name()+"\x00"+in.PathPrefix, list, func(p identity.PolicyRef) string { return p.Name })
			if err != nil {
				return nil, err
			}
			return &listAttachedOutput{each(list, func(p identity.PolicyRef) attachedPolicy { return attachedPolicy{p.Name, p.ARN()} }), next}, nil
		}),
		change("Put"+title+"Policy", func(ctx context.Context, c *call, in *putInlineInput[N]) (*nothing, error) {
			return &nothing{}, c.api.Service.PutInlinePolicy(ctx, c.who, c.ref(kind, in.Of.name()), in.PolicyName, in.PolicyDocument)
		}),
		op("Get"+title+"Policy", func(ctx context.Context, c *call, in *inlineInput[N]) (*inlineOutput, error) {
			document, err := c.api.Service.InlinePolicy(ctx, c.who, c.ref(kind, in.Of.name()), in.PolicyName)
			if err != nil {
				return nil, err
			}
			out := inlineOutput{PolicyName: in.PolicyName, PolicyDocument: escaped(document)}
			out.of(kind, in.Of.name())
			return &out, nil
		}),
		change("Delete"+title+"Policy", func(ctx context.Context, c *call, in *inlineInput[N]) (*nothing, error) {
			return &nothing{}, c.api.Service.DeleteInlinePolicy(ctx, c.who, c.ref(kind, in.Of.name()), in.PolicyName)
		}),
		op("List"+title+"Policies", func(ctx context.Context, c *call, in *listOfInput[N]) (*listInlineOutput, error) {
			names, err := c.api.Service.InlinePolicies(ctx, c.who, c.ref(kind, in.Of.name()))
			if err != nil {
				return nil, err
			}
			names, next, err := slice(c, in.page, in.Of.name(), names, func(s string) string { return s })
			if err != nil {
				return nil, err
			}
			return &listInlineOutput{names, next}, nil
		}),
	}
}

type tagInput[N named] struct {
	Of   N
	Tags []tag `rule:",required"`
}

type untagInput[N named] struct {
	Of      N
	TagKeys []string `rule:"tagKey,required"`
}

type listTagsOutput struct {
	Tags members[tag]
	paged
}

// tagOperations are the rows that users and roles have alike.
func tagOperations[N named](title string, kind packhouse.PrincipalKind) []operation {
	return []operation{
		change("Tag"+title, func(ctx context.Context, c *call, in *tagInput[N]) (*nothing, error) {
			return &nothing{}, c.api.Service.TagIdentity(ctx, c.who, c.ref(kind, in.Of.name()), toTags(in.Tags))
		}),
		change("Untag"+title, func(ctx context.Context, c *call, in *untagInput[N]) (*nothing, error) {
			return &nothing{}, c.api.Service.UntagIdentity(ctx, c.who, c.ref(kind, in.Of.name()), in.TagKeys)
		}),
		op("List"+title+"Tags", func(ctx context.Context, c *call, in *listOfInput[N]) (*listTagsOutput, error) {
			tags, err := c.api.Service.IdentityTags(ctx, c.who, c.ref(kind, in.Of.name()))
			if err != nil {
				return nil, err
			}
			tags, next, err := slice(c, in.page, in.Of.name(), tags, func(t packhouse.ResourceTag) string { return t.Key })
			if err != nil {
				return nil, err
			}
			return &listTagsOutput{fromTags(tags), next}, nil
		}),
	}
}
