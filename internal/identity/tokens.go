package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// maxToken bounds a presented token, in bytes (S8).
const maxToken = 4 << 10

// tokenSum is the SHA-256 of a presented token: its name in memory.
type tokenSum = [sha256.Size]byte

// tokenEntry is a verified token.
type tokenEntry struct {
	generation uint64
	who        packhouse.Principal
	expires    int64 // nanoseconds since 1970; 0 for never
}

// Token returns the principal behind a bearer token of any kind: a sealed registry
// token or a long-lived one. Errors: Unauthenticated "invalid_token" (also revoked ones
// and those of disabled principals) or "expired_token"; Unavailable. Warm it costs no
// SQL, no decryption and under 5 µs.
func (s *Service) Token(ctx context.Context, token string) (packhouse.Principal, error) {
	if len(token) > maxToken {
		return packhouse.Principal{}, invalidToken()
	}
	generation, err := s.current(ctx)
	if err != nil {
		return packhouse.Principal{}, err
	}
	sum := sha256.Sum256([]byte(token))
	entry, ok := s.tokens.Get(sum)
	if !ok || entry.generation != generation {
		verified, err := s.verify(ctx, token, sum)
		if err != nil {
			return packhouse.Principal{}, err
		}
		verified.generation = generation
		entry = &verified
		s.tokens.Set(sum, entry)
	}
	if entry.expires != 0 && s.clock() >= entry.expires {
		return packhouse.Principal{}, expiredToken()
	}
	return entry.who, nil
}

func (s *Service) verify(ctx context.Context, token string, sum tokenSum) (tokenEntry, error) {
	if strings.HasPrefix(token, sealedPrefix) {
		return s.openRegistryToken(ctx, token)
	}
	return s.findToken(ctx, token, sum)
}

// findToken looks a long-lived token up.
func (s *Service) findToken(ctx context.Context, token string, sum tokenSum) (tokenEntry, error) {
	publicID, ok := parseToken(token)
	if !ok {
		return tokenEntry{}, invalidToken()
	}
	var row catalog.TokenRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.TokenByPublicID(ctx, publicID)
		return err
	})
	switch {
	case err != nil:
		return tokenEntry{}, err
	case !found, subtle.ConstantTimeCompare(row.SHA256, sum[:]) != 1, !row.Enabled, row.Principal.Disabled:
		return tokenEntry{}, invalidToken()
	}
	entry := tokenEntry{who: principal(row.Principal)}
	entry.who.Scope.ReadOnly = row.ReadOnly
	if row.Principal.SecondFactor && row.Kind != TokenAutomation {
		entry.who.Scope.SecondFactor = packhouse.FactorOwed
	}
	entry.who.Expires = row.Expires
	if !row.Expires.IsZero() {
		entry.expires = row.Expires.UnixNano()
	}
	return entry, nil
}

// sealedPrefix is how tokens sealed by v4.local begin.
const sealedPrefix = "v4.local."

// MaxRegistryToken is the longest life of a registry token (S8).
const MaxRegistryToken = 12 * time.Hour
