package codeartifact

import (
	"context"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type versionService interface {
	Versions(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, q ops.VersionQuery, p ops.Page) (list []packhouse.PackageVersion, display, next string, err error)
	Version(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error)
	Readme(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error)
	Dependencies(ctx context.Context, who packhouse.Principal, v packhouse.VersionRef) (ops.VersionDetail, error)
}

// sortPublishedTime is the only value of PackageVersionSortType.
const sortPublishedTime = "PUBLISHED_TIME"

// maxDependencies is the page size of ListPackageVersionDependencies. Callers cannot
// choose it, and SDKs have no paginator for it, so it is as large as may be.
const maxDependencies = 1000

// versionMembers name a version of a package.
type versionMembers struct {
	packageMembers
	PackageVersion string `query:"version" shape:"PackageVersion,required"`
}

// PackageVersionOrigin is the model's structure.
type PackageVersionOrigin struct {
	DomainEntryPoint DomainEntryPoint `json:"domainEntryPoint,omitzero"`
	OriginType       string           `json:"originType"`
}

// DomainEntryPoint is the model's structure; one member is set.
type DomainEntryPoint struct {
	RepositoryName         string `json:"repositoryName,omitempty"`
	ExternalConnectionName string `json:"externalConnectionName,omitempty"`
}

// LicenseInfo is the model's structure.
type LicenseInfo struct {
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

// PackageVersionSummary is the model's structure.
type PackageVersionSummary struct {
	Version  string               `json:"version"`
	Revision string               `json:"revision"`
	Status   string               `json:"status"`
	Origin   PackageVersionOrigin `json:"origin"`
}

// PackageVersionDescription is the model's structure; it calls the package packageName.
type PackageVersionDescription struct {
	Format               string               `json:"format"`
	Namespace            string               `json:"namespace,omitempty"`
	PackageName          string               `json:"packageName"`
	DisplayName          string               `json:"displayName,omitempty"`
	Version              string               `json:"version"`
	Summary              string               `json:"summary,omitempty"`
	HomePage             string               `json:"homePage,omitempty"`
	SourceCodeRepository string               `json:"sourceCodeRepository,omitempty"`
	PublishedTime        timestamp            `json:"publishedTime,omitzero"`
	Licenses             []LicenseInfo        `json:"licenses"`
	Revision             string               `json:"revision"`
	Status               string               `json:"status"`
	Origin               PackageVersionOrigin `json:"origin"`
}

// PackageDependency is the model's structure.
type PackageDependency struct {
	Namespace          string `json:"namespace,omitempty"`
	Package            string `json:"package"`
	DependencyType     string `json:"dependencyType,omitempty"`
	VersionRequirement string `json:"versionRequirement"`
}

// versionCoordinates are the members that several answers about a version repeat.
type versionCoordinates struct {
	Format          string `json:"format"`
	Namespace       string `json:"namespace,omitempty"`
	Package         string `json:"package"`
	Version         string `json:"version"`
	VersionRevision string `json:"versionRevision"`
}

func coordinates(v packhouse.PackageVersion) versionCoordinates {
	n := v.Ref.Package
	return versionCoordinates{string(n.Format), n.Namespace, n.Name, v.Ref.Version, v.Revision}
}

func origin(o packhouse.Origin) PackageVersionOrigin {
	return PackageVersionOrigin{DomainEntryPoint{o.Repository, o.Connection}, string(o.Type)}
}

func versionSummary(v packhouse.PackageVersion) PackageVersionSummary {
	return PackageVersionSummary{v.Ref.Version, v.Revision, string(v.Status), origin(v.Origin)}
}

type listPackageVersionsInput struct {
	packageMembers
	Status string `query:"status" shape:"PackageVersionStatus"`
	SortBy string `query:"sortBy" shape:"PackageVersionSortType"`
	pageMembers
	OriginType string `query:"originType" shape:"PackageVersionOriginType"`
}

// listPackageVersionsOutput repeats the package's members on every page: the CLI takes
// them from the first.
type listPackageVersionsOutput struct {
	DefaultDisplayVersion string                  `json:"defaultDisplayVersion,omitempty"`
	Format                string                  `json:"format"`
	Namespace             string                  `json:"namespace,omitempty"`
	Package               string                  `json:"package"`
	Versions              []PackageVersionSummary `json:"versions"`
	NextToken             string                  `json:"nextToken,omitempty"`
}

func listPackageVersions(ctx context.Context, c *call, in *listPackageVersionsInput) (*listPackageVersionsOutput, error) {
	ref, err := c.packageRef(in.packageMembers)
	if err != nil {
		return nil, err
	}
	p, err := c.page(in.pageMembers, smallPage)
	if err != nil {
		return nil, err
	}
	list, display, next, err := c.api.Service.Versions(ctx, c.who, ref, ops.VersionQuery{
		Status:      packhouse.Status(in.Status),
		OriginType:  packhouse.OriginType(in.OriginType),
		NewestFirst: in.SortBy == sortPublishedTime,
	}, p)
	if err != nil {
		return nil, err
	}
	n := ref.Package
	return &listPackageVersionsOutput{display, string(n.Format), n.Namespace, n.Name, each(list, versionSummary), c.next(next)}, nil
}

type versionInput struct{ versionMembers }

type describePackageVersionOutput struct {
	PackageVersion PackageVersionDescription `json:"packageVersion"`
}

func describePackageVersion(ctx context.Context, c *call, in *versionInput) (*describePackageVersionOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	v, err := c.api.Service.Version(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	n := v.Ref.Package
	return &describePackageVersionOutput{PackageVersionDescription{
		Format:               string(n.Format),
		Namespace:            n.Namespace,
		PackageName:          n.Name,
		DisplayName:          v.Facts.DisplayName,
		Version:              v.Ref.Version,
		Summary:              v.Facts.Summary,
		HomePage:             v.Facts.HomePage,
		SourceCodeRepository: v.Facts.SourceRepository,
		PublishedTime:        timestamp(v.Published),
		Licenses:             each(v.Facts.Licenses, func(l packhouse.License) LicenseInfo { return LicenseInfo(l) }),
		Revision:             v.Revision,
		Status:               string(v.Status),
		Origin:               origin(v.Origin),
	}}, nil
}

type getPackageVersionReadmeOutput struct {
	versionCoordinates
	Readme string `json:"readme"`
}

func getPackageVersionReadme(ctx context.Context, c *call, in *versionInput) (*getPackageVersionReadmeOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	v, err := c.api.Service.Readme(ctx, c.who, ref)
	return &getPackageVersionReadmeOutput{coordinates(v.PackageVersion), v.Facts.Readme}, err
}

type listPackageVersionDependenciesInput struct {
	versionMembers
	NextToken string `query:"next-token" shape:"PaginationToken"`
}

type listPackageVersionDependenciesOutput struct {
	versionCoordinates
	NextToken    string              `json:"nextToken,omitempty"`
	Dependencies []PackageDependency `json:"dependencies"`
}

// listPackageVersionDependencies pages over a list that the engine gives whole. Its
// cursor names the revision, because a position means nothing in another one.
func listPackageVersionDependencies(ctx context.Context, c *call, in *listPackageVersionDependenciesInput) (*listPackageVersionDependenciesOutput, error) {
	ref, err := c.versionRef(in.versionMembers)
	if err != nil {
		return nil, err
	}
	p, err := c.page(pageMembers{NextToken: in.NextToken}, maxDependencies)
	if err != nil {
		return nil, err
	}
	v, err := c.api.Service.Dependencies(ctx, c.who, ref)
	if err != nil {
		return nil, err
	}
	from := 0
	if p.After != "" {
		position, revision, _ := strings.Cut(p.After, " ")
		from, err = strconv.Atoi(position)
		if err != nil || revision != v.Revision || from < 0 || from > len(v.Facts.Dependencies) {
			return nil, invalidToken()
		}
	}
	to := min(from+p.Limit, len(v.Facts.Dependencies))
	out := &listPackageVersionDependenciesOutput{
		versionCoordinates: coordinates(v.PackageVersion),
		Dependencies: each(v.Facts.Dependencies[from:to], func(d packhouse.Dependency) PackageDependency {
			return PackageDependency{d.Namespace, d.Package, d.Type, d.Requirement}
		}),
	}
	if to < len(v.Facts.Dependencies) {
		out.NextToken = c.next(strconv.Itoa(to) + " " + v.Revision)
	}
	return out, nil
}
