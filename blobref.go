package packhouse

// KeyRef names the keyset that seals a domain's blobs and columns. The catalog keeps
// it, the vault uses it. DomainID 0 is the installation itself.
type KeyRef struct {
	DomainID int64
	KeyID    string // of the master key that wrapped Keyset
	Keyset   []byte // wrapped
}

// BlobRef is all that the vault needs to open a kept blob of a domain; the catalog
// keeps it.
type BlobRef struct {
	Digest     Digest
	Size       int64  // bytes, plain
	Generation int64  // reliability.md R14
	Object     string // physical name in the blob store
	WrappedKey []byte // the blob's own key under the domain's keyset, bound to domain, digest and generation
	KeyID      string // of the keyset that wrapped it
}
