// Package arch holds the tests that keep the house in shape: who may import whom
// (floors.txt), where a format may be called by its name, that no two routes answer one
// request, and that no address of a public registry stands in the tree.
package arch
