// Package rowblob reads small objects out of rows of a database and leaves all others to
// another store, so that whoever reads does not care where bytes lie. It is on the stores'
// floor. Start reading with Store.
package rowblob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/packhouse/packhouse/internal/blob"
)

// Rows are the objects that lie in rows. Keys are whole, with blob.RowPrefix.
type Rows interface {
	// Body returns the bytes of an object, nil if there is none. They are the caller's.
	Body(ctx context.Context, key string) ([]byte, error)
	// Bodies calls fn for each object after the key, in key order, with its size in bytes.
	Bodies(ctx context.Context, after string, fn func(key string, size int64) error) error
}

// Store is a blob.RowStore over another store.
type Store struct {
	blob.Store
	rows Rows
}

// New makes a store whose other objects are those of others. Attach completes it.
func New(others blob.Store) *Store { return &Store{Store: others} }

// Attach says where the rows are. It is called once, before the first object in a row is
// read: the database that holds them may need the store to be opened itself.
func (s *Store) Attach(rows Rows) { s.rows = rows }

// RowKey makes a key: the time, so that keys made one after the other lie side by side in
// an index, the generation, and something random.
func (s *Store) RowKey(generation int64) blob.Key {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return blob.Key(fmt.Sprintf("%s%014x-", blob.RowPrefix, time.Now().UnixMicro()) + strconv.FormatInt(generation, 10) + "-" +
		hex.EncodeToString(random[:]))
}

// Open opens an object. Errors: blob.ErrNotFound.
func (s *Store) Open(ctx context.Context, key blob.Key) (blob.Object, error) {
	if !key.InRow() {
		return s.Store.Open(ctx, key)
	}
	b, err := s.body(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	return object{bytes.NewReader(b)}, nil
}

// Stat describes an object. Errors: blob.ErrNotFound.
func (s *Store) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	if !key.InRow() {
		return s.Store.Stat(ctx, key)
	}
	b, err := s.body(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat object: %w", err)
	}
	return blob.Info{Key: key, Size: int64(len(b))}, nil
}

func (s *Store) body(ctx context.Context, key blob.Key) ([]byte, error) {
	if !key.Valid() {
		return nil, blob.ErrInvalidKey
	}
	b, err := s.rows.Body(ctx, string(key))
	if err == nil && b == nil {
		err = blob.ErrNotFound
	}
	return b, err
}

// Delete removes an object, but for those in rows: they go with their rows.
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	if !key.InRow() {
		return s.Store.Delete(ctx, key)
	}
	if !key.Valid() {
		return fmt.Errorf("delete object: %w", blob.ErrInvalidKey)
	}
	return ctx.Err()
}

// List calls fn for each object after the key, in key order: those in rows come first.
func (s *Store) List(ctx context.Context, after blob.Key, fn func(blob.Info) error) error {
	if after.InRow() || after < blob.RowPrefix {
		err := s.rows.Bodies(ctx, string(after), func(key string, size int64) error {
			return fn(blob.Info{Key: blob.Key(key), Size: size})
		})
		if err != nil {
			return fmt.Errorf("list objects in rows: %w", err)
		}
	}
	return s.Store.List(ctx, after, fn)
}

// object is the bytes of a row.
type object struct{ *bytes.Reader }

// Close does nothing: the bytes are the object's own.
func (object) Close() error { return nil }
