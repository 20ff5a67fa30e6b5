package format

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

// Keyring is the part of House that tells with which keys versions are signed.
type Keyring interface {
	// SigningKeys returns the keys with which versions that were published in the
	// repository's domain are signed, the current one first; none before the first
	// signature. Needs ReadFromRepository.
	SigningKeys(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef) ([]SigningKey, error)
}

// SigningKey is the public half of a domain's signing key: ECDSA on P-256.
type SigningKey struct {
	ID      string    // "SHA256:" and the unpadded base64 of the SHA-256 of Public
	Public  []byte    // SubjectPublicKeyInfo, DER
	Expires time.Time // what is published later is signed with another key; zero for the current one
}

// Signature is a signature over a text.
type Signature struct {
	KeyID string // of a SigningKey
	Value []byte // ECDSA over the text's SHA-256, ASN.1 DER
}

// SignFunc signs a text. The same text and key make the same signature.
type SignFunc func(text []byte) (Signature, error)
