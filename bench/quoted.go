package main

// quote is a figure of a peer that this program does not run, measured in November 2026
// beside the limit of its day. Its ratio to that limit is what it is worth on another
// machine.
type quote struct {
	name         string
	value, limit float64
}

// here is the quoted figure scaled by the limit as it was measured now.
func (q quote) here(limit float64) float64 { return q.value / q.limit * limit }

// The best quoted peer of each row where it beats Verdaccio.
var (
	quotedPackument = quote{"git-pkgs/proxy 0.1", 510, 22_400}  // requests a second
	quotedLarge     = quote{"git-pkgs/proxy 0.1", 5.2, 1_719}   // requests a second
	quotedTarball   = quote{"Gitea 1.26", 1_519, 22_300}        // requests a second
	quotedMegabyte  = quote{"Gitea 1.26", 1.38, 0.13}           // ms of CPU per MB
	quotedFifty     = quote{"git-pkgs/proxy 0.1", 0.37, 0.09}   // ms of CPU per MB
	quotedPullSmall = quote{"git-pkgs/proxy 0.1", 3.7, 0.3}     // ms over direct
	quotedPullLarge = quote{"git-pkgs/proxy 0.1", 11.6, 3}      // ms over direct
	quotedHerd      = quote{"git-pkgs/proxy 0.1", 22_000, 1300} // ms
	quotedStart     = quote{"git-pkgs/proxy 0.1", 21, 5}        // ms
	quotedIdle      = quote{"git-pkgs/proxy 0.1", 27, 8}        // MiB
)
