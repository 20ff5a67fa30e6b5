// Package generic is the room for generic packages: any files below a namespace, a name
// and a version. They come in and go out through the control plane and over plain HTTP,
// which routes.go has the table of. Start reading with Format.
package generic

import (
	"context"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// ID is the format's identifier.
const ID packhouse.FormatID = "generic"

// Format is the generic room.
type Format struct{}

var (
	_ format.Format      = Format{}
	_ format.Inspector   = Format{}
	_ format.ErrorWriter = Format{}
	_ format.Hosted      = Format{}
)

// New returns the room.
func New() Format { return Format{} }

// Spec describes the format. Source: codeartifact.md 3.1, 3.6, 3.8; generic.md.
func (Format) Spec() format.Spec {
	return format.Spec{
		ID:         ID,
		Title:      "Generic",
		Namespace:  format.NamespaceRequired,
		LateAssets: format.LateWhileUnfinished,
		ViaAPI:     true,
		MaxAsset:   5 << 30,
	}
}

// HostedPath puts the default namespace before a name (generic.md 1).
func (Format) HostedPath() []string { return []string{"-"} }

// Canonical checks a namespace and a name, which are kept exactly as given. Errors:
// Invalid "invalid_namespace", "invalid_name". Source: generic.md 1.
func (Format) Canonical(namespace, name string) (packhouse.PackageName, error) {
	if namespace == "" {
		return packhouse.PackageName{}, packhouse.Invalidf("invalid_namespace", "a generic package has a namespace")
	}
	if reason := badName(namespace); reason != "" {
		return packhouse.PackageName{}, packhouse.Invalidf("invalid_namespace", "namespace %s", reason)
	}
	if reason := badName(name); reason != "" {
		return packhouse.PackageName{}, packhouse.Invalidf("invalid_name", "package name %s", reason)
	}
	return packhouse.PackageName{Format: ID, Namespace: namespace, Name: name}, nil
}

// VersionKey returns the version itself: versions are compared exactly. The word
// "latest" stands for a version in addresses and cannot name one (addresses.md 2).
// Errors: Invalid "invalid_version".
func (Format) VersionKey(version string) (string, error) {
	switch {
	case len(version) < 1 || len(version) > maxName:
		return "", packhouse.Invalidf("invalid_version", "version must have 1 to %d characters", maxName)
	case strings.Trim(version, ".") == "" || strings.HasSuffix(version, "."):
		return "", packhouse.Invalidf("invalid_version", "version must not end with a dot")
	case version == "latest":
		return "", packhouse.Invalidf("invalid_version", "version must not be %q, which stands for the newest one", version)
	}
	for i := range len(version) {
		if c := version[i]; !isAlphanumeric(c) && !strings.ContainsRune("._+~-", rune(c)) {
			return "", packhouse.Invalidf("invalid_version", "version may hold letters, digits and . _ + ~ - only")
		}
	}
	return version, nil
}

// Compare orders versions that read as semantic versions by precedence, missing numbers
// counting as zero, above all others, which are ordered as text. Versions of equal
// precedence are ordered as text, so that zero means equal.
func (Format) Compare(a, b string) int {
	if a == b {
		return 0
	}
	va, errA := semver.NewVersion(a)
	vb, errB := semver.NewVersion(b)
	switch {
	case errA != nil && errB == nil:
		return -1
	case errA == nil && errB != nil:
		return 1
	case errA == nil && errB == nil:
		if c := va.Compare(vb); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

// Inspect checks the names of the assets: the control plane takes plain names, plain HTTP
// paths. The files are not read: a generic package says nothing of itself
// (codeartifact.md 2.6, 3.8). Errors: Invalid "invalid_asset_name", and what Canonical
// and VersionKey say.
func (f Format) Inspect(_ context.Context, up format.Upload) (packhouse.Facts, error) {
	if _, err := f.Canonical(up.Package.Namespace, up.Package.Name); err != nil {
		return packhouse.Facts{}, err
	}
	if _, err := f.VersionKey(up.Version); err != nil {
		return packhouse.Facts{}, err
	}
	for _, file := range up.Files {
		bad := badAssetPath
		if up.ViaAPI {
			bad = badAssetName
		}
		if reason := bad(file.Name); reason != "" {
			return packhouse.Facts{}, packhouse.Invalidf("invalid_asset_name", "asset name %s", reason)
		}
	}
	return packhouse.Facts{DisplayName: up.Package.Name}, nil
}
