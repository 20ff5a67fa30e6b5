package format

import (
	"github.com/packhouse/packhouse"
)

// Withheld is a version that exists and that a View does not show, because the repository
// is set so.
type Withheld struct {
	Version string
	// Reason is that of the error with which a direct request is refused, such as
	// ReasonCooldown.
	Reason string
	// Why goes on behind the version's name: what holds it back, until when, and what can
	// be had now. It has no full stop.
	Why string
}

// The reasons of versions that are held back: too young (reliability.md S45), or blocked
// (S47).
const (
	ReasonCooldown = "cooldown"
	ReasonBlocked  = "blocked"
)

// Refusal is the answer to a direct request for the version; name is how the caller knows
// the package.
func (h Withheld) Refusal(name string) error {
	return packhouse.Deniedf(h.Reason, "%s@%s %s", name, h.Version, h.Why)
}

// Prereleaser is the ability of formats whose clients tell pre-releases from other
// versions. Without it no version is one.
type Prereleaser interface {
	// Prerelease reports whether a version is a pre-release.
	Prerelease(version string) bool
}
