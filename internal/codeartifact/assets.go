package codeartifact

import (
	"context"
	"io"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
)

type assetService interface {
	VersionAssets(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef, p ops.Page) (version packhouse.PackageVersion, list []packhouse.Asset, next string, err error)
	VersionAsset(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef, revision string) (packhouse.PackageVersion, packhouse.Asset, *format.Content, error)
	PublishAsset(ctx context.Context, who packhouse.Principal, in ops.PublishAsset) (packhouse.PackageVersion, packhouse.Asset, error)
}

// AssetSummary is the model's structure.
type AssetSummary struct {
	Name   string            `json:"name"`
	Size   int64             `json:"size"` // bytes
	Hashes map[string]string `json:"hashes"`
}

// assetSummary leaves out a hash that is not computed yet.
func assetSummary(a packhouse.Asset) AssetSummary {
	hashes := make(map[string]string, 4)
	for algorithm, value := range map[string]string{
		"MD5": a.Hashes.MD5, "SHA-1": a.Hashes.SHA1, "SHA-256": a.Hashes.SHA256, "SHA-512": a.Hashes.SHA512,
	} {
		if value != "" {
			hashes[algorithm] = value
		}
	}
	return AssetSummary{a.Name, a.Size, hashes}
}

type listPackageVersionAssetsInput struct {
	versionMembers
	pageMembers
}

type listPackageVersionAssetsOutput struct {
	versionCoordinates
	NextToken string         `json:"nextToken,omitempty"`
	Assets    []AssetSummary `json:"assets"`
}

func listPackageVersionAssets(ctx context.Context, c *call, in *listPackageVersionAssetsInput) (*listPackageVersionAssetsOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	v, list, next, err := c.api.Service.VersionAssets(ctx, c.who, ref, p)
	if err != nil {
		return nil, err
	}
	return &listPackageVersionAssetsOutput{coordinates(v), c.next(next), each(list, assetSummary)}, nil
}

type getPackageVersionAssetInput struct {
	versionMembers
	Asset                  string `query:"asset" shape:"AssetName,required"`
	PackageVersionRevision string `query:"revision" shape:"PackageVersionRevision"`
}

// getPackageVersionAssetOutput is the asset's bytes with the three headers.
type getPackageVersionAssetOutput struct {
	version packhouse.PackageVersion
	asset   packhouse.Asset
	content *format.Content
}

func getPackageVersionAsset(ctx context.Context, c *call, in *getPackageVersionAssetInput) (*getPackageVersionAssetOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	v, asset, content, err := c.api.Service.VersionAsset(ctx, c.who, packhouse.AssetRef{VersionRef: ref, Asset: in.Asset}, in.PackageVersionRevision)
	return &getPackageVersionAssetOutput{v, asset, content}, err
}

func (o *getPackageVersionAssetOutput) respond(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("X-Assetname", o.asset.Name)
	h.Set("X-Packageversion", o.version.Ref.Version)
	h.Set("X-Packageversionrevision", o.version.Revision)
	return httpx.WriteAsset(w, r, o.asset, o.content, httpx.AssetOptions{})
}

type publishPackageVersionInput struct {
	versionMembers
	AssetName    string    `query:"asset" shape:"AssetName,required"`
	Unfinished   bool      `query:"unfinished" shape:"BooleanOptional"`
	AssetSHA256  string    `header:"X-Amz-Content-Sha256" shape:"SHA256,required"`
	AssetContent io.Reader `body:"stream"`
}

type publishPackageVersionOutput struct {
	versionCoordinates
	Status string       `json:"status"`
	Asset  AssetSummary `json:"asset"`
}

func publishPackageVersion(ctx context.Context, c *call, in *publishPackageVersionInput) (*publishPackageVersionOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	v, asset, err := c.api.Service.PublishAsset(ctx, c.who, ops.PublishAsset{
		Version:    ref,
		Asset:      in.AssetName,
		SHA256:     in.AssetSHA256,
		Unfinished: in.Unfinished,
		Body:       in.AssetContent,
	})
	return &publishPackageVersionOutput{coordinates(v), string(v.Status), assetSummary(asset)}, err
}
