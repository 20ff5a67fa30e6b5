// Package sigv4 verifies AWS Signature Version 4 of received requests by signing them
// again with the SDK's signer (libraries.md; reliability.md S6). It is on the workshop
// floor: it looks no key up itself and keeps no state. Start reading with Verifier.
package sigv4
