// Package keys is the contract of whoever holds master keys: it wraps and unwraps
// small secrets, and the master key never leaves it. keys/local keeps them in a file.
// It is on the stores' floor. Start reading with Provider.
package keys

import (
	"context"
	"errors"
)

// ErrUnknownKey tells that the provider has no usable key of that name.
var ErrUnknownKey = errors.New("keys: unknown key")

// Provider wraps and unwraps.
type Provider interface {
	// Resolve returns the key id for what an operator may write: "" for the default,
	// a key id, a key ARN, an alias ("alias/name") or an alias ARN. Errors:
	// ErrUnknownKey.
	Resolve(ctx context.Context, name string) (keyID string, err error)
	// Wrap seals plain, at most 64 KiB, under the key.
	Wrap(ctx context.Context, keyID string, plain []byte) ([]byte, error)
	// Unwrap opens what Wrap made. Errors: ErrUnknownKey; anything else means that
	// the bytes were not made by this key.
	Unwrap(ctx context.Context, keyID string, wrapped []byte) ([]byte, error)
}
