// Package vaulttest makes vaults for tests of the floors above.
package vaulttest

import (
	"path/filepath"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/blob/memblob"
	"github.com/packhouse/packhouse/internal/blob/rowblob"
	"github.com/packhouse/packhouse/internal/keys"
	"github.com/packhouse/packhouse/internal/keys/local"
	"github.com/packhouse/packhouse/internal/vault"
)

// New returns a vault over an empty store in memory and a throw-away key file with one
// default key. When the test ends, it fails if something is still staged.
func New(t testing.TB) *vault.Vault {
	t.Helper()
	v, _, _ := NewParts(t)
	return v
}

// NewParts is New for tests that look beneath or need the key provider too.
func NewParts(t testing.TB) (*vault.Vault, *memblob.Store, keys.Provider) {
	t.Helper()
	store, provider := parts(t)
	return vault.New(store, provider), store, provider
}

// NewWithRows is NewParts for a vault whose small blobs lie in rows, once the store is
// attached to them.
func NewWithRows(t testing.TB) (*vault.Vault, *rowblob.Store, keys.Provider) {
	t.Helper()
	others, provider := parts(t)
	store := rowblob.New(others)
	return vault.New(store, provider), store, provider
}

func parts(t testing.TB) (*memblob.Store, keys.Provider) {
	t.Helper()
	provider := Keys(t)
	store := memblob.New()
	t.Cleanup(func() {
		if n := store.StagedCount(); n != 0 {
			t.Errorf("%d objects are still staged", n)
		}
	})
	return store, provider
}

// Keys returns a throw-away key provider with one default key.
func Keys(t testing.TB) *local.Provider {
	t.Helper()
	provider, err := local.Open(filepath.Join(t.TempDir(), "master.keys"))
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// KeyRef returns a new keyset of a domain under the default key.
func KeyRef(t testing.TB, v *vault.Vault, provider keys.Provider, domainID int64) packhouse.KeyRef {
	t.Helper()
	keyID, err := provider.Resolve(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	keyset, err := v.NewKeyset(t.Context(), keyID)
	if err != nil {
		t.Fatal(err)
	}
	return packhouse.KeyRef{DomainID: domainID, KeyID: keyID, Keyset: keyset}
}
