package codeartifact

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

type accessService interface {
	Endpoint(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, f packhouse.FormatID, endpointType, address string) (string, error)
	RegistryToken(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, seconds *int64) (token string, expires time.Time, err error)
}

type getRepositoryEndpointInput struct {
	repositoryMembers
	Format       string `query:"format" shape:"PackageFormat,required"`
	EndpointType string `query:"endpointType" shape:"EndpointType"`
}

type getRepositoryEndpointOutput struct {
	RepositoryEndpoint string `json:"repositoryEndpoint"`
}

func getRepositoryEndpoint(ctx context.Context, c *call, in *getRepositoryEndpointInput) (*getRepositoryEndpointOutput, error) {
	url, err := c.api.Service.Endpoint(ctx, c.who, c.repository(in.repositoryMembers),
		packhouse.FormatID(in.Format), in.EndpointType, c.api.Address(c.request))
	return &getRepositoryEndpointOutput{url}, err
}

type getAuthorizationTokenInput struct {
	domainMembers
	DurationSeconds *int64 `query:"duration" shape:"AuthorizationTokenDurationSeconds"`
}

type getAuthorizationTokenOutput struct {
	AuthorizationToken string    `json:"authorizationToken"`
	Expiration         timestamp `json:"expiration,omitzero"`
}

// getAuthorizationToken leaves 1..899 seconds, which the model's range allows and the
// service refuses, to the engine.
func getAuthorizationToken(ctx context.Context, c *call, in *getAuthorizationTokenInput) (*getAuthorizationTokenOutput, error) {
	token, expires, err := c.api.Service.RegistryToken(ctx, c.who, c.domain(in.domainMembers), in.DurationSeconds)
	return &getAuthorizationTokenOutput{token, timestamp(expires)}, err
}
