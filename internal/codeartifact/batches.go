package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/ops"
)

type batchService interface {
	CopyVersions(ctx context.Context, who packhouse.Principal, in ops.CopyVersions) (ops.Batch, error)
	UpdateVersionsStatus(ctx context.Context, who packhouse.Principal, in ops.ChangeVersions, target packhouse.Status) (ops.Batch, error)
	DisposeVersions(ctx context.Context, who packhouse.Principal, in ops.ChangeVersions) (ops.Batch, error)
	DeleteVersions(ctx context.Context, who packhouse.Principal, in ops.ChangeVersions) (ops.Batch, error)
}

// SuccessfulPackageVersionInfo is the model's structure.
type SuccessfulPackageVersionInfo struct {
	Revision string `json:"revision"`
	Status   string `json:"status"`
}

// PackageVersionError is the model's structure.
type PackageVersionError struct {
	ErrorCode    string `json:"errorCode"`
	ErrorMessage string `json:"errorMessage"`
}

// batchOutput is the answer of the operations that change several versions. A version
// that a copy found equal is in neither map.
type batchOutput struct {
	SuccessfulVersions map[string]SuccessfulPackageVersionInfo `json:"successfulVersions"`
	FailedVersions     map[string]PackageVersionError          `json:"failedVersions"`
}

func newBatchOutput(b ops.Batch, err error) (*batchOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &batchOutput{
		SuccessfulVersions: make(map[string]SuccessfulPackageVersionInfo, len(b.Done)),
		FailedVersions:     make(map[string]PackageVersionError, len(b.Failed)),
	}
	for version, done := range b.Done {
		out.SuccessfulVersions[version] = SuccessfulPackageVersionInfo{done.Revision, string(done.Status)}
	}
	for version, failure := range b.Failed {
		out.FailedVersions[version] = PackageVersionError{failure.Code, failure.Message}
	}
	return out, nil
}

type copyPackageVersionsInput struct {
	domainMembers
	SourceRepository      string            `query:"source-repository" shape:"RepositoryName,required"`
	DestinationRepository string            `query:"destination-repository" shape:"RepositoryName,required"`
	Format                string            `query:"format" shape:"PackageFormat,required"`
	Namespace             string            `query:"namespace" shape:"PackageNamespace"`
	Package               string            `query:"package" shape:"PackageName,required"`
	Versions              []string          `json:"versions" shape:"PackageVersionList"`
	VersionRevisions      map[string]string `json:"versionRevisions" shape:"PackageVersionRevisionMap"`
	AllowOverwrite        bool              `json:"allowOverwrite" shape:"BooleanOptional"`
	IncludeFromUpstream   bool              `json:"includeFromUpstream" shape:"BooleanOptional"`
}

func copyPackageVersions(ctx context.Context, c *call, in *copyPackageVersionsInput) (*batchOutput, error) {
	if (in.Versions == nil) == (in.VersionRevisions == nil) {
		return nil, packhouse.Invalidf(reasonConstraint, "Give exactly one of 'versions' and 'versionRevisions'.")
	}
	name, err := c.api.Service.CanonicalPackage(packhouse.FormatID(in.Format), in.Namespace, in.Package)
	if err != nil {
		return nil, err
	}
	return newBatchOutput(c.api.Service.CopyVersions(ctx, c.who, ops.CopyVersions{
		Domain:              c.domain(in.domainMembers),
		Source:              in.SourceRepository,
		Destination:         in.DestinationRepository,
		Package:             name,
		Versions:            in.Versions,
		Revisions:           in.VersionRevisions,
		AllowOverwrite:      in.AllowOverwrite,
		IncludeFromUpstream: in.IncludeFromUpstream,
	}))
}

// versionsMembers select versions of a package to change.
type versionsMembers struct {
	packageMembers
	Versions       []string `json:"versions" shape:"PackageVersionList,required"`
	ExpectedStatus string   `json:"expectedStatus" shape:"PackageVersionStatus"`
}

func (c *call) versions(m versionsMembers, revisions map[string]string) (ops.ChangeVersions, error) {
	ref, err := c.packageRef(m.packageMembers)
	return ops.ChangeVersions{
		Package:        ref,
		Versions:       m.Versions,
		Revisions:      revisions,
		ExpectedStatus: packhouse.Status(m.ExpectedStatus),
	}, err
}

type updatePackageVersionsStatusInput struct {
	versionsMembers
	VersionRevisions map[string]string `json:"versionRevisions" shape:"PackageVersionRevisionMap"`
	TargetStatus     string            `json:"targetStatus" shape:"PackageVersionStatus,required"`
}

func updatePackageVersionsStatus(ctx context.Context, c *call, in *updatePackageVersionsStatusInput) (*batchOutput, error) {
	change, err := c.versions(in.versionsMembers, in.VersionRevisions)
	if err != nil {
		return nil, err
	}
	return newBatchOutput(c.api.Service.UpdateVersionsStatus(ctx, c.who, change, packhouse.Status(in.TargetStatus)))
}

type disposePackageVersionsInput struct {
	versionsMembers
	VersionRevisions map[string]string `json:"versionRevisions" shape:"PackageVersionRevisionMap"`
}

func disposePackageVersions(ctx context.Context, c *call, in *disposePackageVersionsInput) (*batchOutput, error) {
	change, err := c.versions(in.versionsMembers, in.VersionRevisions)
	if err != nil {
		return nil, err
	}
	return newBatchOutput(c.api.Service.DisposeVersions(ctx, c.who, change))
}

type deletePackageVersionsInput struct{ versionsMembers }

func deletePackageVersions(ctx context.Context, c *call, in *deletePackageVersionsInput) (*batchOutput, error) {
	change, err := c.versions(in.versionsMembers, nil)
	if err != nil {
		return nil, err
	}
	return newBatchOutput(c.api.Service.DeleteVersions(ctx, c.who, change))
}
