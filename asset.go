package packhouse

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is the SHA-256 of an asset's plain bytes: its name inside a domain.
type Digest [sha256.Size]byte

// ParseDigest reads 64 lower-case hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, fmt.Errorf("digest has %d characters, want %d", len(s), 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return d, fmt.Errorf("digest: %w", err)
	}
	if d.Hex() != s {
		return d, fmt.Errorf("digest is not in lower case")
	}
	return d, nil
}

// Hex returns the digest in lower-case hexadecimal.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return d.Hex() }

// Hashes are the four hashes of an asset that every door can show, in lower-case
// hexadecimal. An empty field means "not declared" or "not computed yet".
type Hashes struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	SHA512 string `json:"sha512,omitempty"`
}

// Empty reports whether no hash is set.
func (h Hashes) Empty() bool { return h == Hashes{} }

// Complete reports whether all four hashes are set.
func (h Hashes) Complete() bool {
	return h.MD5 != "" && h.SHA1 != "" && h.SHA256 != "" && h.SHA512 != ""
}

// Mismatch compares h, what was computed, with what want declares and returns the
// name of the first declared hash that differs, "" if none does. A hash that is
// declared but not computed counts as a mismatch.
func (h Hashes) Mismatch(want Hashes) string {
	switch {
	case want.SHA512 != "" && want.SHA512 != h.SHA512:
		return "SHA-512"
	case want.SHA256 != "" && want.SHA256 != h.SHA256:
		return "SHA-256"
	case want.SHA1 != "" && want.SHA1 != h.SHA1:
		return "SHA-1"
	case want.MD5 != "" && want.MD5 != h.MD5:
		return "MD5"
	}
	return ""
}

// Asset is one file of a revision.
type Asset struct {
	Name      string // path inside the version in the format's own spelling, no leading slash
	Digest    Digest // SHA-256 of the plain bytes
	Size      int64  // bytes, plain
	Hashes    Hashes // lower-case hex; complete once the background hasher has passed
	MediaType string // "" means application/octet-stream
}
