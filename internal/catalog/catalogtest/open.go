// Package catalogtest is the catalog's conformance suite, and a catalog for the tests
// of other packages. It belongs to the stores' floor. Start reading with Open and Run.
package catalogtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Open returns a private, empty catalog that is closed when the test ends: in memory, or
// on the server of PACKHOUSE_TEST_POSTGRES where PACKHOUSE_TEST_ENGINE is "postgres".
// Columns are not sealed.
func Open(t testing.TB) *catalog.DB {
	t.Helper()
	return OpenWith(t, catalog.Options{})
}

// OpenWith is Open with options; DSN and Sealer are filled in where empty.
func OpenWith(t testing.TB, o catalog.Options) *catalog.DB {
	t.Helper()
	if o.DSN == "" {
		o.DSN = PrivateDSN(t)
	}
	if o.Sealer == nil {
		o.Sealer = PassThrough{}
	}
	db, err := catalog.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open catalog: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close catalog: %v", err)
		}
	})
	return db
}

// PassThrough is a catalog.Sealer that seals nothing. It is for tests only.
type PassThrough struct{}

// Seal returns a copy of plain.
func (PassThrough) Seal(_ context.Context, _ packhouse.KeyRef, _ string, plain []byte) ([]byte, error) {
	return bytes.Clone(plain), nil
}

// Blind returns the SHA-256 of text.
func (PassThrough) Blind(_ context.Context, _ packhouse.KeyRef, text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	return sum[:], nil
}

// Unseal returns a copy of sealed.
func (PassThrough) Unseal(_ context.Context, _ packhouse.KeyRef, _ string, sealed []byte) ([]byte, error) {
	return bytes.Clone(sealed), nil
}
