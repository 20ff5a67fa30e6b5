// Package identity knows who is asking: accounts, users, access keys, long-lived
// tokens, sealed registry tokens, and the policies attached to them, cached for at most
// a second (reliability.md S8, S9). It decides nothing. It is on the stores' floor
// above catalog and keys. Start reading with Service.
package identity
