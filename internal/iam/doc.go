// Package iam is the door of the IAM and STS query APIs, as far as people need them to
// manage the identities of this server with the tools they have: users, groups, roles,
// access keys, policies, OpenID Connect providers, and temporary credentials. Every
// operation is one row of a table (operations.go) with an input and an output struct;
// one decoder, one validator, one encoder and one error writer serve all rows.
//
// It is on the doors' floor, above ops, identity, sigv4 and httpx. It decides no access
// and touches no store. Start reading with API, then operations.go.
//
// Source: addresses.md 5; the public IAM (2010-05-08) and STS (2011-06-15) references.
package iam
