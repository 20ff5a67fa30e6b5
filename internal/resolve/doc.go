// Package resolve answers which version of a package a repository shows and where its
// bytes are: the upstream closure, precedence, origin controls, remote indexes and
// pull-through (codeartifact.md 3.1-3.3, 3.7). It is on the engine's floor below ops,
// which decides access before it asks. It renders nothing and knows no protocol. Start
// reading with Resolver.
package resolve
