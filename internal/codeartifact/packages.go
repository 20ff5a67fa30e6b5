package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type packageService interface {
	CanonicalPackage(f packhouse.FormatID, namespace, name string) (packhouse.PackageName, error)
	Packages(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, q ops.PackageQuery, p ops.Page) (list []packhouse.Package, next string, err error)
	Package(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (packhouse.Package, error)
	DeletePackage(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef) (packhouse.Package, error)
	PutControls(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, c packhouse.OriginControls) (packhouse.OriginControls, error)
}

// packageMembers name a package in a repository.
type packageMembers struct {
	repositoryMembers
	Format    string `query:"format" shape:"PackageFormat,required"`
	Namespace string `query:"namespace" shape:"PackageNamespace"`
	Package   string `query:"package" shape:"PackageName,required"`
}

// PackageOriginRestrictions is the model's structure.
type PackageOriginRestrictions struct {
	Publish  string `json:"publish" shape:"AllowPublish,required"`
	Upstream string `json:"upstream" shape:"AllowUpstream,required"`
}

// PackageOriginConfiguration is the model's structure.
type PackageOriginConfiguration struct {
	Restrictions PackageOriginRestrictions `json:"restrictions"`
}

// PackageSummary is the model's structure.
type PackageSummary struct {
	Format              string                     `json:"format"`
	Namespace           string                     `json:"namespace,omitempty"`
	Package             string                     `json:"package"`
	OriginConfiguration PackageOriginConfiguration `json:"originConfiguration"`
}

// PackageDescription is the model's structure; it calls the package name.
type PackageDescription struct {
	Format              string                     `json:"format"`
	Namespace           string                     `json:"namespace,omitempty"`
	Name                string                     `json:"name"`
	OriginConfiguration PackageOriginConfiguration `json:"originConfiguration"`
}

func originConfiguration(c packhouse.OriginControls) PackageOriginConfiguration {
	return PackageOriginConfiguration{PackageOriginRestrictions{string(c.Publish), string(c.Upstream)}}
}

func packageSummary(p packhouse.Package) PackageSummary {
	n := p.Ref.Package
	return PackageSummary{string(n.Format), n.Namespace, n.Name, originConfiguration(p.Controls)}
}

type listPackagesInput struct {
	repositoryMembers
	Format        string `query:"format" shape:"PackageFormat"`
	Namespace     string `query:"namespace" shape:"PackageNamespace"`
	PackagePrefix string `query:"package-prefix" shape:"PackageName"`
	pageMembers
	Publish  string `query:"publish" shape:"AllowPublish"`
	Upstream string `query:"upstream" shape:"AllowUpstream"`
}

type listPackagesOutput struct {
	Packages  []PackageSummary `json:"packages"`
	NextToken string           `json:"nextToken,omitempty"`
}

func listPackages(ctx context.Context, c *call, in *listPackagesInput) (*listPackagesOutput, error) {
	if in.Namespace != "" && in.Format == "" {
		return nil, packhouse.Invalidf(reasonConstraint, "A namespace can only be asked for together with a format.")
	}
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.Packages(ctx, c.who, c.repository(in.repositoryMembers), ops.PackageQuery{
		Format:          packhouse.FormatID(in.Format),
		NamespacePrefix: in.Namespace,
		NamePrefix:      in.PackagePrefix,
		Publish:         packhouse.Restriction(in.Publish),
		Upstream:        packhouse.Restriction(in.Upstream),
	}, p)
	if err != nil {
		return nil, err
	}
	return &listPackagesOutput{each(list, packageSummary), c.next(next)}, nil
}

type packageInput struct{ packageMembers }

type describePackageOutput struct {
	Package PackageDescription `json:"package"`
}

func describePackage(ctx context.Context, c *call, in *packageInput) (*describePackageOutput, error) {
	ref, err := c.packageRef(in.packageMembers)
	if err != nil {
		return nil, err
	}
	p, err := c.api.Service.Package(ctx, c.who, ref)
	n := p.Ref.Package
	return &describePackageOutput{PackageDescription{string(n.Format), n.Namespace, n.Name, originConfiguration(p.Controls)}}, err
}

type deletePackageOutput struct {
	DeletedPackage PackageSummary `json:"deletedPackage"`
}

func deletePackage(ctx context.Context, c *call, in *packageInput) (*deletePackageOutput, error) {
	ref, err := c.packageRef(in.packageMembers)
	if err != nil {
		return nil, err
	}
	p, err := c.api.Service.DeletePackage(ctx, c.who, ref)
	return &deletePackageOutput{packageSummary(p)}, err
}

type putPackageOriginConfigurationInput struct {
	packageMembers
	Restrictions PackageOriginRestrictions `json:"restrictions" shape:"PackageOriginRestrictions,required"`
}

type putPackageOriginConfigurationOutput struct {
	OriginConfiguration PackageOriginConfiguration `json:"originConfiguration"`
}

func putPackageOriginConfiguration(ctx context.Context, c *call, in *putPackageOriginConfigurationInput) (*putPackageOriginConfigurationOutput, error) {
	ref, err := c.packageRef(in.packageMembers)
	if err != nil {
		return nil, err
	}
	controls, err := c.api.Service.PutControls(ctx, c.who, ref, packhouse.OriginControls{
		Publish:  packhouse.Restriction(in.Restrictions.Publish),
		Upstream: packhouse.Restriction(in.Restrictions.Upstream),
	})
	return &putPackageOriginConfigurationOutput{originConfiguration(controls)}, err
}
