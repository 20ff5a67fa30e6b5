// Package e2e drives the real binary with real clients: scripts in testdata/script,
// the README's tour as written, the kill test and the smoke test against the public
// registry. It has no code of its own besides tests.
//
// A client that is not installed skips its tests on a laptop; where
// PACKHOUSE_REQUIRE_CLIENTS=1, as in CI, it fails them.
package e2e
