// Package registry is the door of the package managers: it mounts every format's
// routes at the addresses of addresses.md 2, finds out who asks, and hands typed
// requests to the rooms. It decides no access and reads no package: the engine behind
// format.House does.
//
// It is on the doors' floor, above format, identity's answers and httpx, and never
// imports the engine. Start reading with Door.
package registry
