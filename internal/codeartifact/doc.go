// Package codeartifact is the door of the CodeArtifact API: every operation is one row
// of a table (operations.go), with an input and an output struct whose tags say where
// each member travels and which shape of the public service model bounds it. One
// decoder, one validator, one encoder, one error writer and one paginator serve all
// rows; a row's function only translates to the engine and back.
//
// It is on the doors' floor, above ops, identity, sigv4 and httpx. It decides no
// access, knows no package format by name and touches no store. Start reading with
// API, then operations.go.
//
// Source: codeartifact.md 1.
package codeartifact
