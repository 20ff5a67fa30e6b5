package iam

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

type createProviderInput struct {
	URL            string   `wire:"Url" rule:"url,required"`
	ClientIDList   []string `rule:"url"`
	ThumbprintList []string `rule:"text"`
	Tags           []tag
}

type providerArn struct {
	OpenIDConnectProviderArn string `rule:"arn,required"`
}

type createProviderOutput struct{ OpenIDConnectProviderArn string }

func createProvider(ctx context.Context, c *call, in *createProviderInput) (*createProviderOutput, error) {
	if len(in.Tags) > 0 {
		return nil, packhouse.Invalidf(reasonConstraint, "Tags of OpenID Connect providers are not supported by this server")
	}
	row, err := c.api.Service.CreateProvider(ctx, c.who, in.URL, in.ClientIDList, in.ThumbprintList)
	if err != nil {
		return nil, err
	}
	return &createProviderOutput{packhouse.ProviderARN(row.Account, row.Issuer)}, nil
}

type getProviderOutput struct {
	URL            string `xml:"Url"`
	ClientIDList   members[string]
	ThumbprintList members[string]
	CreateDate     timestamp
}

func getProvider(ctx context.Context, c *call, in *providerArn) (*getProviderOutput, error) {
	name, err := identity.ProviderName(c.who.Account, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	row, err := c.api.Service.Provider(ctx, c.who, name)
	if err != nil {
		return nil, err
	}
	return &getProviderOutput{row.Issuer, row.Audiences, row.Thumbprints, timestamp(row.Created)}, nil
}

type providerEntry struct{ Arn string }

type listProvidersOutput struct {
	OpenIDConnectProviderList members[providerEntry]
}

func listProviders(ctx context.Context, c *call, _ *struct{}) (*listProvidersOutput, error) {
	rows, err := c.api.Service.Providers(ctx, c.who)
	if err != nil {
		return nil, err
	}
	return &listProvidersOutput{each(rows, func(row packhouse.Provider) providerEntry {
		return providerEntry{packhouse.ProviderARN(row.Account, row.Issuer)}
	})}, nil
}

func deleteProvider(ctx context.Context, c *call, in *providerArn) (*nothing, error) {
	name, err := identity.ProviderName(c.who.Account, in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	return &nothing{}, c.api.Service.DeleteProvider(ctx, c.who, name)
}
