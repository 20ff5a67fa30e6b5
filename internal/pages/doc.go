// Package pages serves what people see in a browser: everything below /ui/. Pages are
// rendered on the server, work without scripts, load nothing from other hosts and keep
// no session: they take no cookie, and refuse tokens (reliability.md S10). It is on the
// doors' floor. It decides nothing; what it may show and do is the engine's to say.
//
// Start reading with Pages; routes.go lists the pages, guard.go is what all of them have
// in common.
package pages
