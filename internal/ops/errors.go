package ops

import (
	"fmt"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/resolve"
)

// storeError turns what a store returned into the engine's error; see
// resolve.StoreError.
func storeError(op string, err error) error { return resolve.StoreError(op, err) }

// unknownFormat refuses a format that has no room.
func unknownFormat(f packhouse.FormatID) error {
	return packhouse.Invalidf("format_not_supported", "package format %q is not supported by this server", f)
}

func repositoryNotFound(ref packhouse.RepoRef) error {
	return packhouse.NotFoundf(packhouse.ResourceRepository, ref.Name, "repository %s does not exist in domain %s", ref.Name, ref.Domain.Name)
}

// packageNotFound spells the message of public samples (codeartifact.md 1.2).
func packageNotFound(ref packhouse.PackageRef) error {
	n := ref.Package
	namespace := ""
	if n.Namespace != "" {
		namespace = "packageNamespace=" + n.Namespace + ", "
	}
	return packhouse.NotFoundf(packhouse.ResourcePackage, n.Name,
		"Package not found in repository. RepoId: %s, Package = PackageCoordinate{packageType=%s, %spackageName=%s},",
		ref.Repo, n.Format, namespace, n.Name)
}

func versionNotFound(version string) error {
	return packhouse.NotFoundf(packhouse.ResourceVersion, version, "Could not find version %s", version)
}

// quotaExceeded tells that a count of codeartifact.md 2.5 is reached.
func quotaExceeded(reason, resource, id, text string, args ...any) error {
	return &packhouse.Error{Kind: packhouse.KindQuotaExceeded, Reason: reason, Resource: resource, ResourceID: id,
		Message: fmt.Sprintf(text, args...)}
}
