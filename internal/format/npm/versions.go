package npm

import (
	"net/url"
	"strings"

	depsdev "deps.dev/util/semver"
	"github.com/Masterminds/semver/v3"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

const (
	maxVersion = 255 // characters, so that the control plane can name it
	maxTag     = 128 // characters
	maxSafe    = 1<<53 - 1
)

// VersionKey returns a version without its build metadata: 1.0.0+a and 1.0.0+b are one
// version. Errors: Invalid "invalid_version" for what is not strict SemVer 2 of at most
// 255 characters with numbers below 2^53. Source: npm.md 4 step 3.
func (Format) VersionKey(version string) (string, error) {
	if reason := badVersion(version); reason != "" {
		return "", packhouse.Invalidf("invalid_version", "version %s", reason)
	}
	return withoutBuild(version), nil
}

func badVersion(version string) string {
	if version == "" || len(version) > maxVersion {
		return "must have 1 to 255 characters"
	}
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return "must be a semantic version such as 1.0.0"
	}
	if v.Major() > maxSafe || v.Minor() > maxSafe || v.Patch() > maxSafe {
		return "has a number that clients cannot hold"
	}
	return ""
}

func withoutBuild(version string) string {
	key, _, _ := strings.Cut(version, "+")
	return key
}

// Prerelease reports whether a version is a pre-release.
func (Format) Prerelease(version string) bool { return isPrerelease(version) }

// isPrerelease reports whether a valid version is a pre-release.
func isPrerelease(version string) bool { return strings.Contains(withoutBuild(version), "-") }

// Compare orders versions as npm does. What npm cannot read comes first, ordered as
// text; what npm holds equal but has different keys is ordered as text too.
func (f Format) Compare(a, b string) int {
	if a == b {
		return 0
	}
	va, errA := depsdev.NPM.Parse(a)
	vb, errB := depsdev.NPM.Parse(b)
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
	return strings.Compare(f.tieKey(a), f.tieKey(b))
}

// tieKey is a version's key, or the text itself where it has none.
func (f Format) tieKey(version string) string {
	if key, err := f.VersionKey(version); err == nil {
		return key
	}
	return version
}

// checkTag checks a dist-tag. A tag that reads as a range would make "name@tag" mean
// two things. Errors: Invalid "invalid_tag". Source: npm.md 4 step 7.
func checkTag(tag string) error {
	if tag == "" || len(tag) > maxTag {
		return packhouse.Invalidf("invalid_tag", "tag must have 1 to %d characters", maxTag)
	}
	for _, r := range tag {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\"<>%?#`, r) {
			return packhouse.Invalidf("invalid_tag", "tag may hold printable ASCII without spaces, slashes and quotes")
		}
	}
	if _, err := depsdev.NPM.ParseConstraint(tag); err == nil {
		return packhouse.Invalidf("invalid_tag", "tag %s reads as a version or range", tag)
	}
	// What no address can name could never be removed (reliability.md S1).
	if _, err := httpx.SplitPath("/" + url.PathEscape(tag)); err != nil {
		return packhouse.Invalidf("invalid_tag", "tag %s cannot stand in an address", tag)
	}
	return nil
}
