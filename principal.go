package packhouse

import (
	"strings"
	"time"
)

// PrincipalKind says what sort of identity a principal is.
type PrincipalKind string

// The kinds of principal.
const (
	KindUser      PrincipalKind = "user"
	KindRole      PrincipalKind = "role"
	KindRobot     PrincipalKind = "robot"
	KindAnonymous PrincipalKind = "anonymous"
)

// Principal is who asks. It carries no rights itself; the engine's policies decide.
// The zero value is nobody and is denied everything.
type Principal struct {
	ID      int64 // row; 0 for anonymous
	Account AccountID
	Kind    PrincipalKind
	Name    string
	// ARN is what policies match: arn:aws:iam::ACCOUNT:user/NAME, and for an assumed
	// role its session, arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
	ARN string
	// RoleARN is the ARN of the role that was assumed, "" for anybody else. Policies that
	// name the role mean its sessions too.
	RoleARN string
	// Scope limits the credential that was presented; the zero value does not.
	Scope Scope
	// Expires is when the presented credential ends; zero for long-lived ones.
	Expires time.Time
	// Temporary reports role credentials, whose remaining life a registry token
	// with duration 0 takes (codeartifact.md 3.10).
	Temporary bool
	// Session is what the credential of a session adds; nil for every other. Shared.
	Session *Session
}

// Anonymous is the principal of a request without credentials.
var Anonymous = Principal{Kind: KindAnonymous, ARN: "anonymous"}

// IsAnonymous reports whether the request carried no credentials.
func (p Principal) IsAnonymous() bool { return p.ID == 0 }

// Scope is what a credential is limited to, on top of its principal's rights.
type Scope struct {
	Domain       DomainRef // only this domain, where Name is set (a registry token)
	ReadOnly     bool      // only reading actions
	SecondFactor SecondFactor
}

// SecondFactor says what a credential still owes of its principal's second factor, and
// what the request has proved of it. The engine decides what follows.
type SecondFactor uint8

// The states of the second factor.
const (
	FactorNone    SecondFactor = iota // the principal has none, or the credential needs none
	FactorOwed                        // needed for writing, not given
	FactorRefused                     // given, and wrong or used before
	FactorProved                      // given, and right
)

// Action is a policy action, spelled "service:Name".
type Action string

// Service returns the part before the colon.
func (a Action) Service() string {
	s, _, _ := strings.Cut(string(a), ":")
	return s
}

// The actions of CodeArtifact's authorisation reference that the engine checks
// (codeartifact.md 3.12).
const (
	ActionAssociateExternalConnection           Action = "codeartifact:AssociateExternalConnection"
	ActionAssociateWithDownstreamRepository     Action = "codeartifact:AssociateWithDownstreamRepository"
	ActionCopyPackageVersions                   Action = "codeartifact:CopyPackageVersions"
	ActionCreateDomain                          Action = "codeartifact:CreateDomain"
	ActionCreatePackageGroup                    Action = "codeartifact:CreatePackageGroup"
	ActionCreateRepository                      Action = "codeartifact:CreateRepository"
	ActionDeleteDomain                          Action = "codeartifact:DeleteDomain"
	ActionDeleteDomainPermissionsPolicy         Action = "codeartifact:DeleteDomainPermissionsPolicy"
	ActionDeletePackage                         Action = "codeartifact:DeletePackage"
	ActionDeletePackageGroup                    Action = "codeartifact:DeletePackageGroup"
	ActionDeletePackageVersions                 Action = "codeartifact:DeletePackageVersions"
	ActionDeleteRepository                      Action = "codeartifact:DeleteRepository"
	ActionDeleteRepositoryPermissionsPolicy     Action = "codeartifact:DeleteRepositoryPermissionsPolicy"
	ActionDescribeDomain                        Action = "codeartifact:DescribeDomain"
	ActionDescribePackage                       Action = "codeartifact:DescribePackage"
	ActionDescribePackageGroup                  Action = "codeartifact:DescribePackageGroup"
	ActionDescribePackageVersion                Action = "codeartifact:DescribePackageVersion"
	ActionDescribeRepository                    Action = "codeartifact:DescribeRepository"
	ActionDisassociateExternalConnection        Action = "codeartifact:DisassociateExternalConnection"
	ActionDisposePackageVersions                Action = "codeartifact:DisposePackageVersions"
	ActionGetAssociatedPackageGroup             Action = "codeartifact:GetAssociatedPackageGroup"
	ActionGetAuthorizationToken                 Action = "codeartifact:GetAuthorizationToken"
	ActionGetDomainPermissionsPolicy            Action = "codeartifact:GetDomainPermissionsPolicy"
	ActionGetPackageVersionAsset                Action = "codeartifact:GetPackageVersionAsset"
	ActionGetPackageVersionReadme               Action = "codeartifact:GetPackageVersionReadme"
	ActionGetRepositoryEndpoint                 Action = "codeartifact:GetRepositoryEndpoint"
	ActionGetRepositoryPermissionsPolicy        Action = "codeartifact:GetRepositoryPermissionsPolicy"
	ActionListAllowedRepositoriesForGroup       Action = "codeartifact:ListAllowedRepositoriesForGroup"
	ActionListAssociatedPackages                Action = "codeartifact:ListAssociatedPackages"
	ActionListDomains                           Action = "codeartifact:ListDomains"
	ActionListPackageGroups                     Action = "codeartifact:ListPackageGroups"
	ActionListPackages                          Action = "codeartifact:ListPackages"
	ActionListPackageVersionAssets              Action = "codeartifact:ListPackageVersionAssets"
	ActionListPackageVersionDependencies        Action = "codeartifact:ListPackageVersionDependencies"
	ActionListPackageVersions                   Action = "codeartifact:ListPackageVersions"
	ActionListRepositories                      Action = "codeartifact:ListRepositories"
	ActionListRepositoriesInDomain              Action = "codeartifact:ListRepositoriesInDomain"
	ActionListSubPackageGroups                  Action = "codeartifact:ListSubPackageGroups"
	ActionListTagsForResource                   Action = "codeartifact:ListTagsForResource"
	ActionPublishPackageVersion                 Action = "codeartifact:PublishPackageVersion"
	ActionPutDomainPermissionsPolicy            Action = "codeartifact:PutDomainPermissionsPolicy"
	ActionPutPackageMetadata                    Action = "codeartifact:PutPackageMetadata"
	ActionPutPackageOriginConfiguration         Action = "codeartifact:PutPackageOriginConfiguration"
	ActionPutRepositoryPermissionsPolicy        Action = "codeartifact:PutRepositoryPermissionsPolicy"
	ActionReadFromRepository                    Action = "codeartifact:ReadFromRepository"
	ActionTagResource                           Action = "codeartifact:TagResource"
	ActionUntagResource                         Action = "codeartifact:UntagResource"
	ActionUpdatePackageGroup                    Action = "codeartifact:UpdatePackageGroup"
	ActionUpdatePackageGroupOriginConfiguration Action = "codeartifact:UpdatePackageGroupOriginConfiguration"
	ActionUpdatePackageVersionsStatus           Action = "codeartifact:UpdatePackageVersionsStatus"
	ActionUpdateRepository                      Action = "codeartifact:UpdateRepository"
	ActionGetServiceBearerToken                 Action = "sts:GetServiceBearerToken" //nolint:gosec // an action, no credential
)

// Partition is the partition of every ARN that this server makes.
const Partition = "aws"

// DomainARN returns the ARN of a domain (codeartifact.md 2.1).
func DomainARN(region string, d DomainRef) string {
	return arn(region, d.Owner) + "domain/" + d.Name
}

// RepositoryARN returns the ARN of a repository; its account is the domain's owner.
func RepositoryARN(region string, r RepoRef) string {
	return arn(region, r.Domain.Owner) + "repository/" + r.Domain.Name + "/" + r.Name
}

// PackageARN returns the ARN of a package; an absent namespace leaves "//".
func PackageARN(region string, p PackageRef) string {
	return arn(region, p.Repo.Domain.Owner) + "package/" + p.Repo.Domain.Name + "/" + p.Repo.Name + "/" +
		string(p.Package.Format) + "/" + p.Package.Namespace + "/" + p.Package.Name
}

// UserARN returns the ARN of a user.
func UserARN(a AccountID, name string) string {
	return "arn:" + Partition + ":iam::" + string(a) + ":user/" + name
}

func arn(region string, a AccountID) string {
	return "arn:" + Partition + ":codeartifact:" + region + ":" + string(a) + ":"
}
