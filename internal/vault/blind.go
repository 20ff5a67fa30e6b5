package vault

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/prf"

	"github.com/packhouse/packhouse"
)

// blindLabel is what the key of Blind is derived from. Names of objects come from the
// same key of 32-byte digests, so this must never have that length.
const blindLabel = "packhouse blinded texts"

// blindKey derives the key of Blind. It stays when the AEAD of the keyset is rotated.
func blindKey(names *prf.Set) ([]byte, error) {
	key, err := names.ComputePrimaryPRF([]byte(blindLabel), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

// Blind returns a keyed hash of a text, 32 bytes: equal texts have equal hashes under
// one keyset, and without it nobody can tell or guess the text. It is for columns in
// which sealed text is searched by whole values. Errors: keys.ErrUnknownKey.
func (v *Vault) Blind(ctx context.Context, k packhouse.KeyRef, text string) ([]byte, error) {
	ks, err := v.keysets.get(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("blind value: %w", err)
	}
	mac := hmac.New(sha256.New, ks.blind)
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}
