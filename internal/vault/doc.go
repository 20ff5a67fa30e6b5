// Package vault is the one gate for content: it hashes and seals what comes in, gives
// random access to what is kept, and seals the catalog's columns. Each domain has a
// keyset of its own, each blob a key of its own (reliability.md R15, S17, S36).
//
//	master key (keys.Provider)
//	  wraps a domain's keyset: an AEAD and a naming function
//	    the AEAD seals columns, and each blob's key bound to domain, digest, generation
//	      the blob's key seals the blob: DARE 2.0, 64 KiB authenticated packages
//	    the naming function turns a digest into a physical name
//
// It is on the stores' floor above blob and keys; it knows digests and keysets, and
// neither SQL nor formats. Start reading with Vault.
package vault
