package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type groupService interface {
	CreatePackageGroup(ctx context.Context, who packhouse.Principal, in ops.CreatePackageGroup) (packhouse.PackageGroup, error)
	PackageGroup(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error)
	UpdatePackageGroup(ctx context.Context, who packhouse.Principal, in ops.UpdatePackageGroup) (packhouse.PackageGroup, error)
	DeletePackageGroup(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef) (packhouse.PackageGroup, error)
	PackageGroups(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, prefix string, p ops.Page) (list []packhouse.PackageGroup, next string, err error)
	SubPackageGroups(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, p ops.Page) (list []packhouse.PackageGroup, next string, err error)
	AssociatedPackageGroup(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, n packhouse.PackageName) (packhouse.PackageGroup, packhouse.PackageGroupAssociation, error)
	AssociatedPackages(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, preview bool, p ops.Page) (list []ops.AssociatedPackage, next string, err error)
	AllowedRepositories(ctx context.Context, who packhouse.Principal, g packhouse.PackageGroupRef, t packhouse.RestrictionType, p ops.Page) (list []string, next string, err error)
	UpdateGroupOrigin(ctx context.Context, who packhouse.Principal, in ops.UpdateGroupOrigin) (packhouse.PackageGroup, map[packhouse.RestrictionType]ops.AllowedUpdates, error)
}

// PackageGroupReference is the model's structure.
type PackageGroupReference struct {
	Arn     string `json:"arn"`
	Pattern string `json:"pattern"`
}

// PackageGroupOriginRestriction is the model's structure.
type PackageGroupOriginRestriction struct {
	Mode              string                `json:"mode"`
	EffectiveMode     string                `json:"effectiveMode"`
	InheritedFrom     PackageGroupReference `json:"inheritedFrom,omitzero"`
	RepositoriesCount int64                 `json:"repositoriesCount"`
}

// PackageGroupOriginConfiguration is the model's structure.
type PackageGroupOriginConfiguration struct {
	Restrictions map[string]PackageGroupOriginRestriction `json:"restrictions"`
}

// PackageGroupDescription is the model's structure, and its PackageGroupSummary.
type PackageGroupDescription struct {
	Arn                 string                          `json:"arn"`
	Pattern             string                          `json:"pattern"`
	DomainName          string                          `json:"domainName"`
	DomainOwner         string                          `json:"domainOwner"`
	CreatedTime         timestamp                       `json:"createdTime,omitzero"`
	ContactInfo         string                          `json:"contactInfo,omitempty"`
	Description         string                          `json:"description,omitempty"`
	OriginConfiguration PackageGroupOriginConfiguration `json:"originConfiguration"`
	Parent              PackageGroupReference           `json:"parent,omitzero"`
}

func (c *call) groupReference(d packhouse.DomainRef, pattern string) (r PackageGroupReference) {
	if pattern == "" {
		return r
	}
	return PackageGroupReference{packhouse.PackageGroupARN(c.api.Region, packhouse.PackageGroupRef{Domain: d, Pattern: pattern}), pattern}
}

func (c *call) groupDescription(g packhouse.PackageGroup) PackageGroupDescription {
	d := g.Ref.Domain
	restrictions := make(map[string]PackageGroupOriginRestriction, len(g.Restrictions))
	for t, r := range g.Restrictions {
		restrictions[string(t)] = PackageGroupOriginRestriction{
			Mode: string(r.Mode), EffectiveMode: string(r.Effective),
			InheritedFrom: c.groupReference(d, r.InheritedFrom), RepositoriesCount: int64(r.Repositories),
		}
	}
	return PackageGroupDescription{
		Arn: packhouse.PackageGroupARN(c.api.Region, g.Ref), Pattern: g.Ref.Pattern, DomainName: d.Name, DomainOwner: string(d.Owner),
		CreatedTime: timestamp(g.Created), ContactInfo: g.Contact, Description: g.Description,
		OriginConfiguration: PackageGroupOriginConfiguration{restrictions}, Parent: c.groupReference(d, g.Parent),
	}
}

// packageGroupOutput is the answer of the operations about one package group.
type packageGroupOutput struct {
	PackageGroup PackageGroupDescription `json:"packageGroup"`
}

func (c *call) packageGroupOutput(g packhouse.PackageGroup, err error) (*packageGroupOutput, error) {
	if err != nil {
		return nil, err
	}
	return &packageGroupOutput{c.groupDescription(g)}, nil
}

// groupMembers name a package group in the query.
type groupMembers struct {
	domainMembers
	PackageGroup string `query:"package-group" shape:"PackageGroupPattern,required"`
}

func (c *call) group(m domainMembers, pattern string) packhouse.PackageGroupRef {
	return packhouse.PackageGroupRef{Domain: c.domain(m), Pattern: pattern}
}

type createPackageGroupInput struct {
	domainMembers
	PackageGroup string `json:"packageGroup" shape:"PackageGroupPattern,required"`
	ContactInfo  string `json:"contactInfo" shape:"PackageGroupContactInfo"`
	Description  string `json:"description" shape:"Description"`
	Tags         []Tag  `json:"tags" shape:"TagList"`
}

func createPackageGroup(ctx context.Context, c *call, in *createPackageGroupInput) (*packageGroupOutput, error) {
	return c.packageGroupOutput(c.api.Service.CreatePackageGroup(ctx, c.who, ops.CreatePackageGroup{
		Group: c.group(in.domainMembers, in.PackageGroup), Contact: in.ContactInfo, Description: in.Description, Tags: resourceTags(in.Tags),
	}))
}

type groupInput struct{ groupMembers }

func describePackageGroup(ctx context.Context, c *call, in *groupInput) (*packageGroupOutput, error) {
	return c.packageGroupOutput(c.api.Service.PackageGroup(ctx, c.who, c.group(in.domainMembers, in.PackageGroup)))
}

type updatePackageGroupInput struct {
	domainMembers
	PackageGroup string  `json:"packageGroup" shape:"PackageGroupPattern,required"`
	ContactInfo  *string `json:"contactInfo" shape:"PackageGroupContactInfo"`
	Description  *string `json:"description" shape:"Description"`
}

func updatePackageGroup(ctx context.Context, c *call, in *updatePackageGroupInput) (*packageGroupOutput, error) {
	return c.packageGroupOutput(c.api.Service.UpdatePackageGroup(ctx, c.who, ops.UpdatePackageGroup{
		Group: c.group(in.domainMembers, in.PackageGroup), Contact: in.ContactInfo, Description: in.Description,
	}))
}

// deletePackageGroupInput has no constraint on the pattern; the engine refuses what is none.
type deletePackageGroupInput struct {
	domainMembers
	PackageGroup string `query:"package-group" shape:"String,required"`
}

func deletePackageGroup(ctx context.Context, c *call, in *deletePackageGroupInput) (*packageGroupOutput, error) {
	return c.packageGroupOutput(c.api.Service.DeletePackageGroup(ctx, c.who, c.group(in.domainMembers, in.PackageGroup)))
}

type listPackageGroupsInput struct {
	domainMembers
	pageMembers
	Prefix string `query:"prefix" shape:"PackageGroupPatternPrefix"`
}

type packageGroupsOutput struct {
	PackageGroups []PackageGroupDescription `json:"packageGroups"`
	NextToken     string                    `json:"nextToken,omitempty"`
}

func (c *call) packageGroupsOutput(list []packhouse.PackageGroup, next string, err error) (*packageGroupsOutput, error) {
	if err != nil {
		return nil, err
	}
	return &packageGroupsOutput{each(list, c.groupDescription), c.next(next)}, nil
}

func listPackageGroups(ctx context.Context, c *call, in *listPackageGroupsInput) (*packageGroupsOutput, error) {
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	return c.packageGroupsOutput(c.api.Service.PackageGroups(ctx, c.who, c.domain(in.domainMembers), in.Prefix, p))
}

type listSubPackageGroupsInput struct {
	groupMembers
	pageMembers
}

func listSubPackageGroups(ctx context.Context, c *call, in *listSubPackageGroupsInput) (*packageGroupsOutput, error) {
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	return c.packageGroupsOutput(c.api.Service.SubPackageGroups(ctx, c.who, c.group(in.domainMembers, in.PackageGroup), p))
}

type getAssociatedPackageGroupInput struct {
	domainMembers
	Format    string `query:"format" shape:"PackageFormat,required"`
	Namespace string `query:"namespace" shape:"PackageNamespace"`
	Package   string `query:"package" shape:"PackageName,required"`
}

type getAssociatedPackageGroupOutput struct {
	PackageGroup    PackageGroupDescription `json:"packageGroup"`
	AssociationType string                  `json:"associationType"`
}

func getAssociatedPackageGroup(ctx context.Context, c *call, in *getAssociatedPackageGroupInput) (*getAssociatedPackageGroupOutput, error) {
	name, err := c.api.Service.CanonicalPackage(packhouse.FormatID(in.Format), in.Namespace, in.Package)
	if err != nil {
		return nil, err
	}
	g, association, err := c.api.Service.AssociatedPackageGroup(ctx, c.who, c.domain(in.domainMembers), name)
	if err != nil {
		return nil, err
	}
	return &getAssociatedPackageGroupOutput{c.groupDescription(g), string(association)}, nil
}

type listAssociatedPackagesInput struct {
	groupMembers
	pageMembers
	Preview bool `query:"preview" shape:"BooleanOptional"`
}

// AssociatedPackage is the model's structure.
type AssociatedPackage struct {
	Format          string `json:"format"`
	Namespace       string `json:"namespace,omitempty"`
	Package         string `json:"package"`
	AssociationType string `json:"associationType"`
}

type listAssociatedPackagesOutput struct {
	Packages  []AssociatedPackage `json:"packages"`
	NextToken string              `json:"nextToken,omitempty"`
}

func listAssociatedPackages(ctx context.Context, c *call, in *listAssociatedPackagesInput) (*listAssociatedPackagesOutput, error) {
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.AssociatedPackages(ctx, c.who, c.group(in.domainMembers, in.PackageGroup), in.Preview, p)
	if err != nil {
		return nil, err
	}
	return &listAssociatedPackagesOutput{each(list, func(a ops.AssociatedPackage) AssociatedPackage {
		return AssociatedPackage{string(a.Name.Format), a.Name.Namespace, a.Name.Name, string(a.Association)}
	}), c.next(next)}, nil
}

type listAllowedRepositoriesForGroupInput struct {
	groupMembers
	OriginRestrictionType string `query:"originRestrictionType" shape:"PackageGroupOriginRestrictionType,required"`
	pageMembers
}

type listAllowedRepositoriesForGroupOutput struct {
	AllowedRepositories []string `json:"allowedRepositories"`
	NextToken           string   `json:"nextToken,omitempty"`
}

func listAllowedRepositoriesForGroup(ctx context.Context, c *call, in *listAllowedRepositoriesForGroupInput) (*listAllowedRepositoriesForGroupOutput, error) {
	p, err := c.page(in.pageMembers, largePage)
	if err != nil {
		return nil, err
	}
	list, next, err := c.api.Service.AllowedRepositories(ctx, c.who, c.group(in.domainMembers, in.PackageGroup),
		packhouse.RestrictionType(in.OriginRestrictionType), p)
	if err != nil {
		return nil, err
	}
	return &listAllowedRepositoriesForGroupOutput{append([]string{}, list...), c.next(next)}, nil
}

// PackageGroupAllowedRepository is the model's structure. The model requires neither
// member; the engine refuses one without the other.
type PackageGroupAllowedRepository struct {
	RepositoryName        string `json:"repositoryName" shape:"RepositoryName"`
	OriginRestrictionType string `json:"originRestrictionType" shape:"PackageGroupOriginRestrictionType"`
}

type updatePackageGroupOriginConfigurationInput struct {
	groupMembers
	Restrictions              map[string]string               `json:"restrictions" shape:"OriginRestrictions"`
	AddAllowedRepositories    []PackageGroupAllowedRepository `json:"addAllowedRepositories" shape:"PackageGroupAllowedRepositoryList"`
	RemoveAllowedRepositories []PackageGroupAllowedRepository `json:"removeAllowedRepositories" shape:"PackageGroupAllowedRepositoryList"`
}

type updatePackageGroupOriginConfigurationOutput struct {
	PackageGroup PackageGroupDescription `json:"packageGroup"`
	// AllowedRepositoryUpdates has, by type, the lists ADDED and REMOVED.
	AllowedRepositoryUpdates map[string]map[string][]string `json:"allowedRepositoryUpdates"`
}

func updatePackageGroupOriginConfiguration(ctx context.Context, c *call, in *updatePackageGroupOriginConfigurationInput) (*updatePackageGroupOriginConfigurationOutput, error) {
	modes := make(map[packhouse.RestrictionType]packhouse.RestrictionMode, len(in.Restrictions))
	for t, mode := range in.Restrictions {
		modes[packhouse.RestrictionType(t)] = packhouse.RestrictionMode(mode)
	}
	repository := func(a PackageGroupAllowedRepository) ops.AllowedRepository {
		return ops.AllowedRepository{Type: packhouse.RestrictionType(a.OriginRestrictionType), Name: a.RepositoryName}
	}
	g, updates, err := c.api.Service.UpdateGroupOrigin(ctx, c.who, ops.UpdateGroupOrigin{
		Group: c.group(in.domainMembers, in.PackageGroup), Modes: modes,
		Add: each(in.AddAllowedRepositories, repository), Remove: each(in.RemoveAllowedRepositories, repository),
	})
	if err != nil {
		return nil, err
	}
	told := make(map[string]map[string][]string, len(updates))
	for t, u := range updates {
		told[string(t)] = map[string][]string{"ADDED": append([]string{}, u.Added...), "REMOVED": append([]string{}, u.Removed...)}
	}
	return &updatePackageGroupOriginConfigurationOutput{c.groupDescription(g), told}, nil
}
