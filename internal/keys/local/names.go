package local

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/keys"
)

const (
	arnPrefix   = "arn:aws:kms:"
	aliasPrefix = "alias/"
	keyPrefix   = "key/"

	maxAliasLength = 256 // of "alias/" and the name together, as in KMS
	maxNameLength  = 2048
)

// ARN returns the name by which the outside knows a key:
// "arn:aws:kms:REGION:ACCOUNT:key/ID".
func ARN(region string, account packhouse.AccountID, keyID string) string {
	return arnPrefix + region + ":" + string(account) + ":" + keyPrefix + keyID
}

// name is what an operator wrote, understood: at most one field is set, none for the
// default key.
type name struct {
	keyID string
	alias string // without "alias/"
}

// parseName understands "", a key id, a key ARN, "alias/NAME" and an alias ARN; region
// and account of an ARN must be well-formed and are otherwise not looked at, because
// there is one key file. Errors: keys.ErrUnknownKey.
func parseName(s string) (name, error) {
	if s == "" {
		return name{}, nil
	}
	if len(s) > maxNameLength {
		return name{}, fmt.Errorf("name of %d characters: %w", len(s), keys.ErrUnknownKey)
	}
	if rest, ok := strings.CutPrefix(s, arnPrefix); ok {
		region, rest, ok1 := strings.Cut(rest, ":")
		account, resource, ok2 := strings.Cut(rest, ":")
		if !ok1 || !ok2 || !validRegion(region) || !packhouse.ValidAccountID(account) {
			return name{}, fmt.Errorf("%q is no key ARN: %w", s, keys.ErrUnknownKey)
		}
		if id, ok := strings.CutPrefix(resource, keyPrefix); ok && validKeyID(id) {
			return name{keyID: id}, nil
		}
		if alias, ok := strings.CutPrefix(resource, aliasPrefix); ok && validAlias(alias) {
			return name{alias: alias}, nil
		}
		return name{}, fmt.Errorf("%q names no key: %w", s, keys.ErrUnknownKey)
	}
	if alias, ok := strings.CutPrefix(s, aliasPrefix); ok && validAlias(alias) {
		return name{alias: alias}, nil
	}
	if validKeyID(s) {
		return name{keyID: s}, nil
	}
	return name{}, fmt.Errorf("%q names no key: %w", s, keys.ErrUnknownKey)
}

// validKeyID accepts a UUID in its one canonical spelling.
func validKeyID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}

func validRegion(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// validAlias accepts what KMS accepts behind "alias/", without the reserved "aws/".
func validAlias(s string) bool {
	if s == "" || len(aliasPrefix)+len(s) > maxAliasLength || strings.HasPrefix(s, "aws/") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '/' {
			return false
		}
	}
	return true
}
