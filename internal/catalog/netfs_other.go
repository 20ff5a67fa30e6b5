//go:build !linux

package catalog

// onNetwork names the network filesystem that a directory is on. Only Linux tells.
func onNetwork(string) (string, error) { return "", nil }
