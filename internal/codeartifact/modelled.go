package codeartifact

import (
	"net/http"
	"slices"
)

// Codes of the model's errors.
const (
	accessDenied     = "AccessDeniedException"
	conflict         = "ConflictException"
	internalServer   = "InternalServerException"
	resourceNotFound = "ResourceNotFoundException"
	quotaExceeded    = "ServiceQuotaExceededException"
	throttling       = "ThrottlingException"
	validationFailed = "ValidationException"
)

// unlisted are, by operation, the errors that the model does not list for it: clients
// have no type for them there. Every error that is not here is listed.
// Source: codeartifact.md 1.2 and 1.3.
var unlisted = map[string][]string{
	"DeleteDomain":                          {resourceNotFound, quotaExceeded},
	"DeleteDomainPermissionsPolicy":         {quotaExceeded},
	"DeletePackage":                         {quotaExceeded},
	"DeletePackageVersions":                 {quotaExceeded},
	"DeleteRepository":                      {quotaExceeded},
	"DeleteRepositoryPermissionsPolicy":     {quotaExceeded},
	"DescribeDomain":                        {conflict, quotaExceeded},
	"DescribePackage":                       {conflict, quotaExceeded},
	"DescribePackageGroup":                  {conflict, quotaExceeded},
	"DescribePackageVersion":                {quotaExceeded},
	"DescribeRepository":                    {conflict, quotaExceeded},
	"DisposePackageVersions":                {quotaExceeded},
	"GetAssociatedPackageGroup":             {conflict, quotaExceeded, throttling},
	"GetAuthorizationToken":                 {conflict, quotaExceeded},
	"GetDomainPermissionsPolicy":            {conflict, quotaExceeded},
	"GetPackageVersionAsset":                {quotaExceeded},
	"GetPackageVersionReadme":               {conflict, quotaExceeded},
	"GetRepositoryEndpoint":                 {conflict, quotaExceeded},
	"GetRepositoryPermissionsPolicy":        {conflict, quotaExceeded},
	"ListAllowedRepositoriesForGroup":       {conflict},
	"ListAssociatedPackages":                {conflict, quotaExceeded, throttling},
	"ListDomains":                           {conflict, resourceNotFound, quotaExceeded},
	"ListPackageGroups":                     {conflict, quotaExceeded},
	"ListPackageVersionAssets":              {conflict, quotaExceeded},
	"ListPackageVersionDependencies":        {conflict, quotaExceeded},
	"ListPackageVersions":                   {conflict, quotaExceeded},
	"ListPackages":                          {conflict, quotaExceeded},
	"ListRepositories":                      {conflict, resourceNotFound, quotaExceeded},
	"ListRepositoriesInDomain":              {conflict, quotaExceeded},
	"ListSubPackageGroups":                  {conflict, quotaExceeded},
	"ListTagsForResource":                   {conflict, internalServer, quotaExceeded},
	"PutPackageOriginConfiguration":         {conflict, quotaExceeded},
	"TagResource":                           {conflict, internalServer},
	"UntagResource":                         {conflict, internalServer, quotaExceeded},
	"UpdatePackageGroup":                    {conflict},
	"UpdatePackageGroupOriginConfiguration": {conflict},
	"UpdatePackageVersionsStatus":           {quotaExceeded},
}

// listed turns an answer that clients have no type for at this operation into the one
// they have. What says nothing about the request itself stays: a failure of the server,
// a rate that is exceeded, and the domain that DeleteDomain did not find, which is
// better told plainly (codeartifact.md 1.6).
func (a answer) listed(operation string) answer {
	if !slices.Contains(unlisted[operation], a.code) {
		return a
	}
	switch {
	case a.status >= http.StatusInternalServerError, a.code == throttling,
		a.code == resourceNotFound && operation == "DeleteDomain":
		return a
	}
	return validation
}
