package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type policyService interface {
	DomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (ops.ResourcePolicy, error)
	PutDomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, p ops.PutPolicy) (ops.ResourcePolicy, error)
	DeleteDomainPolicy(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, revision string) (ops.ResourcePolicy, error)
	RepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (ops.ResourcePolicy, error)
	PutRepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, p ops.PutPolicy) (ops.ResourcePolicy, error)
	DeleteRepositoryPolicy(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, revision string) (ops.ResourcePolicy, error)
}

// ResourcePolicy is the model's structure. The document is text, as it was put.
type ResourcePolicy struct {
	ResourceArn string `json:"resourceArn"`
	Revision    string `json:"revision"`
	Document    string `json:"document"`
}

// policyOutput is the answer of all operations about policies.
type policyOutput struct {
	Policy ResourcePolicy `json:"policy"`
}

func newPolicyOutput(p ops.ResourcePolicy, err error) (*policyOutput, error) {
	if err != nil {
		return nil, err
	}
	return &policyOutput{ResourcePolicy{p.ARN, p.Revision, p.Document}}, nil
}

func getDomainPermissionsPolicy(ctx context.Context, c *call, in *domainInput) (*policyOutput, error) {
	return newPolicyOutput(c.api.Service.DomainPolicy(ctx, c.who, c.domain(in.domainMembers)))
}

// putDomainPermissionsPolicyInput names its domain in the body, unlike every other input
// (codeartifact.md 1.1, rule 4).
type putDomainPermissionsPolicyInput struct {
	Domain         string `json:"domain" shape:"DomainName,required"`
	DomainOwner    string `json:"domainOwner" shape:"AccountId"`
	PolicyRevision string `json:"policyRevision" shape:"PolicyRevision"`
	PolicyDocument string `json:"policyDocument" shape:"PolicyDocument,required"`
}

func putDomainPermissionsPolicy(ctx context.Context, c *call, in *putDomainPermissionsPolicyInput) (*policyOutput, error) {
	d := c.domain(domainMembers{Domain: in.Domain, DomainOwner: in.DomainOwner})
	return newPolicyOutput(c.api.Service.PutDomainPolicy(ctx, c.who, d, ops.PutPolicy{Document: in.PolicyDocument, Revision: in.PolicyRevision}))
}

type deleteDomainPermissionsPolicyInput struct {
	domainMembers
	PolicyRevision string `query:"policy-revision" shape:"PolicyRevision"`
}

func deleteDomainPermissionsPolicy(ctx context.Context, c *call, in *deleteDomainPermissionsPolicyInput) (*policyOutput, error) {
	return newPolicyOutput(c.api.Service.DeleteDomainPolicy(ctx, c.who, c.domain(in.domainMembers), in.PolicyRevision))
}

func getRepositoryPermissionsPolicy(ctx context.Context, c *call, in *repositoryInput) (*policyOutput, error) {
	return newPolicyOutput(c.api.Service.RepositoryPolicy(ctx, c.who, c.repository(in.repositoryMembers)))
}

type putRepositoryPermissionsPolicyInput struct {
	repositoryMembers
	PolicyRevision string `json:"policyRevision" shape:"PolicyRevision"`
	PolicyDocument string `json:"policyDocument" shape:"PolicyDocument,required"`
}

func putRepositoryPermissionsPolicy(ctx context.Context, c *call, in *putRepositoryPermissionsPolicyInput) (*policyOutput, error) {
	p := ops.PutPolicy{Document: in.PolicyDocument, Revision: in.PolicyRevision}
	return newPolicyOutput(c.api.Service.PutRepositoryPolicy(ctx, c.who, c.repository(in.repositoryMembers), p))
}

type deleteRepositoryPermissionsPolicyInput struct {
	repositoryMembers
	PolicyRevision string `query:"policy-revision" shape:"PolicyRevision"`
}

func deleteRepositoryPermissionsPolicy(ctx context.Context, c *call, in *deleteRepositoryPermissionsPolicyInput) (*policyOutput, error) {
	return newPolicyOutput(c.api.Service.DeleteRepositoryPolicy(ctx, c.who, c.repository(in.repositoryMembers), in.PolicyRevision))
}
