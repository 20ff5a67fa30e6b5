// Package authz is the policy language: IAM-style JSON documents, parsed, validated,
// compiled, and one pure function that decides and says why (codeartifact.md 3.12,
// reliability.md S13). It is on the workshop floor: no state, no SQL, no HTTP. Start
// reading with Set.
package authz
