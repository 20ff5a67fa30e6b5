package codeartifact

import (
	"context"
	"reflect"
	"sync"
)

// operation is one row of the table.
type operation struct {
	name, method, path string
	// changes marks operations whose signature counts once (reliability.md S7).
	changes bool
	input   reflect.Type
	output  reflect.Type
	run     func(ctx context.Context, c *call, in any) (any, error)
}

// op makes a row that reads.
func op[I, O any](name, method, path string, handle func(context.Context, *call, *I) (*O, error)) operation {
	return operation{
		name: name, method: method, path: path,
		input:  reflect.TypeFor[I](),
		output: reflect.TypeFor[O](),
		run: func(ctx context.Context, c *call, in any) (any, error) {
			out, err := handle(ctx, c, in.(*I))
			return out, err
		},
	}
}

// change makes a row that changes something.
func change[I, O any](name, method, path string, handle func(context.Context, *call, *I) (*O, error)) operation {
	o := op(name, method, path, handle)
	o.changes = true
	return o
}

// row is an operation in service. What its struct tags say is worked out when it is
// first called, which keeps the start short.
type row struct {
	operation
	plan func() *plan
}

func newRow(o operation, shapes shapes) *row {
	return &row{operation: o, plan: sync.OnceValue(func() *plan { return newPlan(o.input, shapes) })}
}

// operations is the table. GetAuthorizationToken is no change: it leaves nothing
// behind, and two jobs that ask within the same second must both get a token.
//
// Source: codeartifact.md 1.3.
func operations() []operation {
	return []operation{
		change("CreateDomain", "POST", "/v1/domain", createDomain),
		op("DescribeDomain", "GET", "/v1/domain", describeDomain),
		change("DeleteDomain", "DELETE", "/v1/domain", deleteDomain),
		op("ListDomains", "POST", "/v1/domains", listDomains),
		op("GetDomainPermissionsPolicy", "GET", "/v1/domain/permissions/policy", getDomainPermissionsPolicy),
		change("PutDomainPermissionsPolicy", "PUT", "/v1/domain/permissions/policy", putDomainPermissionsPolicy),
		change("DeleteDomainPermissionsPolicy", "DELETE", "/v1/domain/permissions/policy", deleteDomainPermissionsPolicy),

		change("CreateRepository", "POST", "/v1/repository", createRepository),
		op("DescribeRepository", "GET", "/v1/repository", describeRepository),
		change("UpdateRepository", "PUT", "/v1/repository", updateRepository),
		change("DeleteRepository", "DELETE", "/v1/repository", deleteRepository),
		op("ListRepositories", "POST", "/v1/repositories", listRepositories),
		op("ListRepositoriesInDomain", "POST", "/v1/domain/repositories", listRepositoriesInDomain),
		change("AssociateExternalConnection", "POST", "/v1/repository/external-connection", associateExternalConnection),
		change("DisassociateExternalConnection", "DELETE", "/v1/repository/external-connection", disassociateExternalConnection),
		op("GetRepositoryPermissionsPolicy", "GET", "/v1/repository/permissions/policy", getRepositoryPermissionsPolicy),
		change("PutRepositoryPermissionsPolicy", "PUT", "/v1/repository/permissions/policy", putRepositoryPermissionsPolicy),
		// Deleted at a path of its own (codeartifact.md 1.1, rule 5).
		change("DeleteRepositoryPermissionsPolicy", "DELETE", "/v1/repository/permissions/policies", deleteRepositoryPermissionsPolicy),

		op("GetRepositoryEndpoint", "GET", "/v1/repository/endpoint", getRepositoryEndpoint),
		op("GetAuthorizationToken", "POST", "/v1/authorization-token", getAuthorizationToken),

		op("ListPackages", "POST", "/v1/packages", listPackages),
		op("DescribePackage", "GET", "/v1/package", describePackage),
		change("DeletePackage", "DELETE", "/v1/package", deletePackage),
		change("PutPackageOriginConfiguration", "POST", "/v1/package", putPackageOriginConfiguration),

		change("CreatePackageGroup", "POST", "/v1/package-group", createPackageGroup),
		op("DescribePackageGroup", "GET", "/v1/package-group", describePackageGroup),
		change("UpdatePackageGroup", "PUT", "/v1/package-group", updatePackageGroup),
		change("DeletePackageGroup", "DELETE", "/v1/package-group", deletePackageGroup),
		op("ListPackageGroups", "POST", "/v1/package-groups", listPackageGroups),
		op("ListSubPackageGroups", "POST", "/v1/package-groups/sub-groups", listSubPackageGroups),
		op("GetAssociatedPackageGroup", "GET", "/v1/get-associated-package-group", getAssociatedPackageGroup),
		op("ListAssociatedPackages", "GET", "/v1/list-associated-packages", listAssociatedPackages),
		op("ListAllowedRepositoriesForGroup", "GET", "/v1/package-group-allowed-repositories", listAllowedRepositoriesForGroup),
		change("UpdatePackageGroupOriginConfiguration", "PUT", "/v1/package-group-origin-configuration", updatePackageGroupOriginConfiguration),

		op("ListPackageVersions", "POST", "/v1/package/versions", listPackageVersions),
		op("DescribePackageVersion", "GET", "/v1/package/version", describePackageVersion),
		op("GetPackageVersionReadme", "GET", "/v1/package/version/readme", getPackageVersionReadme),
		op("ListPackageVersionDependencies", "POST", "/v1/package/version/dependencies", listPackageVersionDependencies),
		op("ListPackageVersionAssets", "POST", "/v1/package/version/assets", listPackageVersionAssets),
		op("GetPackageVersionAsset", "GET", "/v1/package/version/asset", getPackageVersionAsset),
		change("PublishPackageVersion", "POST", "/v1/package/version/publish", publishPackageVersion),

		change("CopyPackageVersions", "POST", "/v1/package/versions/copy", copyPackageVersions),
		change("UpdatePackageVersionsStatus", "POST", "/v1/package/versions/update_status", updatePackageVersionsStatus),
		change("DisposePackageVersions", "POST", "/v1/package/versions/dispose", disposePackageVersions),
		change("DeletePackageVersions", "POST", "/v1/package/versions/delete", deletePackageVersions),

		change("TagResource", "POST", "/v1/tag", tagResource),
		change("UntagResource", "POST", "/v1/untag", untagResource),
		op("ListTagsForResource", "POST", "/v1/tags", listTagsForResource),
	}
}
