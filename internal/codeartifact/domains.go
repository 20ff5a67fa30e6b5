package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type domainService interface {
	CreateDomain(ctx context.Context, who packhouse.Principal, in ops.CreateDomain) (packhouse.Domain, error)
	Domain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (packhouse.Domain, error)
	DeleteDomain(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef) (packhouse.Domain, error)
	Domains(ctx context.Context, who packhouse.Principal, p ops.Page) (list []packhouse.Domain, next string, err error)
}

// domainMembers name a domain; nearly every input begins with them.
type domainMembers struct {
	Domain      string `query:"domain" shape:"DomainName,required"`
	DomainOwner string `query:"domain-owner" shape:"AccountId"`
}

// DomainDescription is the model's structure.
type DomainDescription struct {
	DomainSummary
	RepositoryCount int    `json:"repositoryCount"`
	AssetSizeBytes  int64  `json:"assetSizeBytes"`
	S3BucketArn     string `json:"s3BucketArn"`
}

// DomainSummary is the model's structure.
type DomainSummary struct {
	Name          string    `json:"name"`
	Owner         string    `json:"owner"`
	Arn           string    `json:"arn"`
	Status        string    `json:"status"` // Active or Deleted
	CreatedTime   timestamp `json:"createdTime,omitzero"`
	EncryptionKey string    `json:"encryptionKey"`
}

// domainOutput is the answer of the operations about one domain.
type domainOutput struct {
	Domain DomainDescription `json:"domain"`
}

func (c *call) domainSummary(d packhouse.Domain) DomainSummary {
	s := DomainSummary{
		Name:          d.Ref.Name,
		Owner:         string(d.Ref.Owner),
		Arn:           packhouse.DomainARN(c.api.Region, d.Ref),
		Status:        "Active",
		CreatedTime:   timestamp(d.Created),
		EncryptionKey: d.KeyARN,
	}
	if d.Deleted {
		s.Status = "Deleted"
	}
	return s
}

func (c *call) domainOutput(d packhouse.Domain, err error) (*domainOutput, error) {
	if err != nil {
		return nil, err
	}
	return &domainOutput{DomainDescription{
		DomainSummary:   c.domainSummary(d),
		RepositoryCount: d.RepositoryCount,
		AssetSizeBytes:  d.AssetSizeBytes,
		S3BucketArn:     "arn:" + packhouse.Partition + ":s3:::" + d.BucketName,
	}}, nil
}

type createDomainInput struct {
	Domain        string `query:"domain" shape:"DomainName,required"`
	EncryptionKey string `json:"encryptionKey" shape:"Arn"`
	Tags          []Tag  `json:"tags" shape:"TagList"`
}

func createDomain(ctx context.Context, c *call, in *createDomainInput) (*domainOutput, error) {
	return c.domainOutput(c.api.Service.CreateDomain(ctx, c.who, ops.CreateDomain{
		Name:          in.Domain,
		EncryptionKey: in.EncryptionKey,
		Tags:          resourceTags(in.Tags),
	}))
}

type domainInput struct{ domainMembers }

func describeDomain(ctx context.Context, c *call, in *domainInput) (*domainOutput, error) {
	return c.domainOutput(c.api.Service.Domain(ctx, c.who, c.domain(in.domainMembers)))
}

func deleteDomain(ctx context.Context, c *call, in *domainInput) (*domainOutput, error) {
	ref := c.domain(in.domainMembers)
	d, err := c.api.Service.DeleteDomain(ctx, c.who, ref)
	d.Deleted = true
	return c.domainOutput(d, err)
}

// listDomainsInput has its paging in the body, unlike every other list.
type listDomainsInput struct {
	MaxResults *int32 `json:"maxResults" shape:"MaxResults"`
	NextToken  string `json:"nextToken" shape:"PaginationToken"`
}

type listDomainsOutput struct {
	Domains   []DomainSummary `json:"domains"`
	NextToken string          `json:"nextToken,omitempty"`
}

func listDomains(ctx context.Context, c *call, in *listDomainsInput) (*listDomainsOutput, error) {
	p, err := c.page(pageMembers(*in), largePage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.Domains(ctx, c.who, p)
	if err != nil {
		return nil, err
	}
	return &listDomainsOutput{each(list, c.domainSummary), c.next(next)}, nil
}
