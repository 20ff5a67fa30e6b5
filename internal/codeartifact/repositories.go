package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type repositoryService interface {
	CreateRepository(ctx context.Context, who packhouse.Principal, in ops.CreateRepository) (packhouse.Repository, error)
	Repository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error)
	UpdateRepository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, description *string, upstreams *[]string) (packhouse.Repository, error)
	DeleteRepository(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) (packhouse.Repository, error)
	Repositories(ctx context.Context, who packhouse.Principal, prefix string, p ops.Page) (list []packhouse.Repository, next string, err error)
	RepositoriesInDomain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, admin packhouse.AccountID, prefix string, p ops.Page) (list []packhouse.Repository, next string, err error)
	AssociateConnection(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error)
	DisassociateConnection(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error)
}

// repositoryMembers name a repository.
type repositoryMembers struct {
	domainMembers
	Repository string `query:"repository" shape:"RepositoryName,required"`
}

// UpstreamRepository is the model's structure, and its UpstreamRepositoryInfo.
type UpstreamRepository struct {
	RepositoryName string `json:"repositoryName" shape:"RepositoryName,required"`
}

// RepositoryExternalConnectionInfo is the model's structure.
type RepositoryExternalConnectionInfo struct {
	ExternalConnectionName string `json:"externalConnectionName"`
	PackageFormat          string `json:"packageFormat"`
	Status                 string `json:"status"` // always Available
}

// RepositorySummary is the model's structure.
type RepositorySummary struct {
	Name                 string    `json:"name"`
	AdministratorAccount string    `json:"administratorAccount"`
	DomainName           string    `json:"domainName"`
	DomainOwner          string    `json:"domainOwner"`
	Arn                  string    `json:"arn"`
	Description          string    `json:"description,omitempty"`
	CreatedTime          timestamp `json:"createdTime,omitzero"`
}

// RepositoryDescription is the model's structure.
type RepositoryDescription struct {
	RepositorySummary
	Upstreams           []UpstreamRepository               `json:"upstreams"`
	ExternalConnections []RepositoryExternalConnectionInfo `json:"externalConnections"`
}

// repositoryOutput is the answer of the operations about one repository.
type repositoryOutput struct {
	Repository RepositoryDescription `json:"repository"`
}

func (c *call) repositorySummary(r packhouse.Repository) RepositorySummary {
	return RepositorySummary{
		Name:                 r.Ref.Name,
		AdministratorAccount: string(r.Administrator),
		DomainName:           r.Ref.Domain.Name,
		DomainOwner:          string(r.Ref.Domain.Owner),
		Arn:                  packhouse.RepositoryARN(c.api.Region, r.Ref),
		Description:          r.Description,
		CreatedTime:          timestamp(r.Created),
	}
}

func (c *call) repositoryOutput(r packhouse.Repository, err error) (*repositoryOutput, error) {
	if err != nil {
		return nil, err
	}
	return &repositoryOutput{RepositoryDescription{
		RepositorySummary: c.repositorySummary(r),
		Upstreams: each(r.Upstreams, func(name string) UpstreamRepository {
			return UpstreamRepository{name}
		}),
		ExternalConnections: each(r.Connections, func(x packhouse.RepositoryConnection) RepositoryExternalConnectionInfo {
			return RepositoryExternalConnectionInfo{x.Name, string(x.Format), "Available"}
		}),
	}}, nil
}

func upstreamNames(list []UpstreamRepository) []string {
	return each(list, func(u UpstreamRepository) string { return u.RepositoryName })
}

type createRepositoryInput struct {
	repositoryMembers
	Description string               `json:"description" shape:"Description"`
	Upstreams   []UpstreamRepository `json:"upstreams" shape:"UpstreamRepositoryList"`
	Tags        []Tag                `json:"tags" shape:"TagList"`
}

func createRepository(ctx context.Context, c *call, in *createRepositoryInput) (*repositoryOutput, error) {
	return c.repositoryOutput(c.api.Service.CreateRepository(ctx, c.who, ops.CreateRepository{
		Ref:         c.repository(in.repositoryMembers),
		Description: in.Description,
		Upstreams:   upstreamNames(in.Upstreams),
		Tags:        resourceTags(in.Tags),
	}))
}

type repositoryInput struct{ repositoryMembers }

func describeRepository(ctx context.Context, c *call, in *repositoryInput) (*repositoryOutput, error) {
	return c.repositoryOutput(c.api.Service.Repository(ctx, c.who, c.repository(in.repositoryMembers)))
}

func deleteRepository(ctx context.Context, c *call, in *repositoryInput) (*repositoryOutput, error) {
	return c.repositoryOutput(c.api.Service.DeleteRepository(ctx, c.who, c.repository(in.repositoryMembers)))
}

// updateRepositoryInput changes what is there: an empty list of upstreams clears, an
// absent one keeps.
type updateRepositoryInput struct {
	repositoryMembers
	Description *string              `json:"description" shape:"Description"`
	Upstreams   []UpstreamRepository `json:"upstreams" shape:"UpstreamRepositoryList"`
}

func updateRepository(ctx context.Context, c *call, in *updateRepositoryInput) (*repositoryOutput, error) {
	var upstreams *[]string
	if in.Upstreams != nil {
		names := upstreamNames(in.Upstreams)
		upstreams = &names
	}
	return c.repositoryOutput(c.api.Service.UpdateRepository(ctx, c.who, c.repository(in.repositoryMembers), in.Description, upstreams))
}

// repositoryList is the answer of both lists of repositories.
type repositoryList struct {
	Repositories []RepositorySummary `json:"repositories"`
	NextToken    string              `json:"nextToken,omitempty"`
}

type listRepositoriesInput struct {
	RepositoryPrefix string `query:"repository-prefix" shape:"RepositoryName"`
	pageMembers
}

func listRepositories(ctx context.Context, c *call, in *listRepositoriesInput) (*repositoryList, error) {
	p, err := c.page(in.pageMembers, smallPage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.Repositories(ctx, c.who, in.RepositoryPrefix, p)
	if err != nil {
		return nil, err
	}
	return &repositoryList{each(list, c.repositorySummary), c.next(next)}, nil
}

type listRepositoriesInDomainInput struct {
	domainMembers
	AdministratorAccount string `query:"administrator-account" shape:"AccountId"`
	RepositoryPrefix     string `query:"repository-prefix" shape:"RepositoryName"`
	pageMembers
}

func listRepositoriesInDomain(ctx context.Context, c *call, in *listRepositoriesInDomainInput) (*repositoryList, error) {
	p, err := c.page(in.pageMembers, smallPage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.RepositoriesInDomain(ctx, c.who, c.domain(in.domainMembers),
		packhouse.AccountID(in.AdministratorAccount), in.RepositoryPrefix, p)
	if err != nil {
		return nil, err
	}
	return &repositoryList{each(list, c.repositorySummary), c.next(next)}, nil
}

type externalConnectionInput struct {
	repositoryMembers
	ExternalConnection string `query:"external-connection" shape:"ExternalConnectionName,required"`
}

func associateExternalConnection(ctx context.Context, c *call, in *externalConnectionInput) (*repositoryOutput, error) {
	return c.repositoryOutput(c.api.Service.AssociateConnection(ctx, c.who, c.repository(in.repositoryMembers), in.ExternalConnection))
}

func disassociateExternalConnection(ctx context.Context, c *call, in *externalConnectionInput) (*repositoryOutput, error) {
	return c.repositoryOutput(c.api.Service.DisassociateConnection(ctx, c.who, c.repository(in.repositoryMembers), in.ExternalConnection))
}
