package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/keys"
)

// maxKeysets bounds how many unwrapped keysets stay in memory.
const maxKeysets = 1024

// domainKeyset is a domain's keyset, unwrapped.
type domainKeyset struct {
	aead  tink.AEAD // columns and blob keys
	names *prf.Set  // digest to physical name
	blind []byte    // key of Blind
}

// wireKeyset is what keys.Provider wraps: two binary Tink keysets. They are apart so
// that the AEAD can be rotated while names stay.
type wireKeyset struct {
	AEAD  []byte `json:"aead"`
	Names []byte `json:"names"`
}

// object makes a new physical name for a digest. It begins with a keyed hash, so that
// a listing of the store reveals nothing, and ends at random, so that what a crashed
// attempt left behind never stands in the way of the next (reliability.md R7, R14).
func (k *domainKeyset) object(d packhouse.Digest, generation int64) (blob.Key, error) {
	name, err := k.names.ComputePrimaryPRF(d[:], sha256.Size)
	if err != nil {
		return "", fmt.Errorf("name object: %w", err)
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return blob.Key(hex.EncodeToString(name) + "-" + strconv.FormatInt(generation, 10) + "-" +
		hex.EncodeToString(random[:])), nil
}

// keysets makes keysets and remembers those it has unwrapped.
type keysets struct {
	provider keys.Provider

	mu   sync.RWMutex
	seen map[keysetID]*domainKeyset
}

// keysetID changes whenever a domain's keyset is wrapped anew.
type keysetID struct {
	domainID int64
	keyID    string
	wrapped  [sha256.Size]byte
}

func newKeysets(provider keys.Provider) *keysets {
	return &keysets{provider: provider, seen: map[keysetID]*domainKeyset{}}
}

func (s *keysets) create(ctx context.Context, keyID string) ([]byte, error) {
	// Cleartext keysets exist only between here and the Wrap below.
	aeadHandle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make keyset: %w", err)
	}
	namesHandle, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("make keyset: %w", err)
	}
	var wire wireKeyset
	if wire.AEAD, err = encodeKeyset(aeadHandle); err != nil {
		return nil, err
	}
	if wire.Names, err = encodeKeyset(namesHandle); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(wire)
	if err != nil {
		return nil, fmt.Errorf("encode keyset: %w", err)
	}
	wrapped, err := s.provider.Wrap(ctx, keyID, plain)
	if err != nil {
		return nil, fmt.Errorf("wrap keyset: %w", err)
	}
	return wrapped, nil
}

// get returns the unwrapped keyset of k. Two callers may unwrap the same one at the
// same time, which costs a little and harms nobody.
func (s *keysets) get(ctx context.Context, k packhouse.KeyRef) (*domainKeyset, error) {
	id := keysetID{domainID: k.DomainID, keyID: k.KeyID, wrapped: sha256.Sum256(k.Keyset)}
	s.mu.RLock()
	ks := s.seen[id]
	s.mu.RUnlock()
	if ks != nil {
		return ks, nil
	}
	plain, err := s.provider.Unwrap(ctx, k.KeyID, k.Keyset)
	if err != nil {
		return nil, fmt.Errorf("unwrap keyset of domain %d: %w", k.DomainID, err)
	}
	if ks, err = decodeKeysets(plain); err != nil {
		return nil, fmt.Errorf("keyset of domain %d: %w", k.DomainID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxKeysets {
		for victim := range s.seen { // any one: unwrapping again is cheap
			delete(s.seen, victim)
			break
		}
	}
	s.seen[id] = ks
	return ks, nil
}

func decodeKeysets(plain []byte) (*domainKeyset, error) {
	var wire wireKeyset
	if err := json.Unmarshal(plain, &wire); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	aeadHandle, err := decodeKeyset(wire.AEAD)
	if err != nil {
		return nil, err
	}
	namesHandle, err := decodeKeyset(wire.Names)
	if err != nil {
		return nil, err
	}
	ks := &domainKeyset{}
	if ks.aead, err = aead.New(aeadHandle); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if ks.names, err = prf.NewPRFSet(namesHandle); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	if ks.blind, err = blindKey(ks.names); err != nil {
		return nil, err
	}
	return ks, nil
}

func encodeKeyset(h *keyset.Handle) ([]byte, error) {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&buf)); err != nil {
		return nil, fmt.Errorf("encode keyset: %w", err)
	}
	return buf.Bytes(), nil
}

func decodeKeyset(b []byte) (*keyset.Handle, error) {
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(b)))
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return h, nil
}
