// Package memblob keeps objects in memory, with the meaning of every other driver and
// none of the durability: for tests and for trying things out. It is on the stores'
// floor. Start reading with Store.
package memblob

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/packhouse/packhouse/internal/blob"
)

// Store is a blob.Store in memory. Its methods may be used from several goroutines.
type Store struct {
	mu      sync.Mutex
	objects map[blob.Key][]byte
	staged  int
}

// New makes an empty store.
func New() *Store { return &Store{objects: map[blob.Key][]byte{}} }

// StagedCount returns how many objects are staged and neither committed nor discarded:
// what a test looks at to see that nothing is left behind.
func (s *Store) StagedCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.staged
}

// Corrupt replaces the bytes of an object by what change returns; change gets a copy.
// It stands for a disk or a person that meddles. Errors: blob.ErrNotFound.
func (s *Store) Corrupt(key blob.Key, change func([]byte) []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[key]
	if !ok {
		return fmt.Errorf("corrupt %s: %w", key, blob.ErrNotFound)
	}
	s.objects[key] = change(slices.Clone(b))
	return nil
}

// Stage begins an object.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staged++
	return &staged{store: s}, nil
}

// Open opens an object. Errors: blob.ErrNotFound.
func (s *Store) Open(ctx context.Context, key blob.Key) (blob.Object, error) {
	b, err := s.get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	return &object{bytes: b}, nil
}

// Stat describes an object. Errors: blob.ErrNotFound.
func (s *Store) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	b, err := s.get(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return blob.Info{Key: key, Size: int64(len(b))}, nil
}

func (s *Store) get(ctx context.Context, key blob.Key) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !key.Valid() {
		return nil, blob.ErrInvalidKey
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[key]
	if !ok {
		return nil, blob.ErrNotFound
	}
	return b, nil
}

// Delete removes an object; an absent one is not an error. Open objects stay readable.
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !key.Valid() {
		return fmt.Errorf("delete: %w", blob.ErrInvalidKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

// List calls fn for each object after the key, in key order, without holding a lock.
func (s *Store) List(ctx context.Context, after blob.Key, fn func(blob.Info) error) error {
	s.mu.Lock()
	infos := make([]blob.Info, 0, len(s.objects))
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if key > after {
			infos = append(infos, blob.Info{Key: key, Size: int64(len(s.objects[key]))})
		}
	}
	s.mu.Unlock()
	for _, info := range infos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(info); err != nil {
			return err
		}
	}
	return nil
}

// SweepStaging returns 0: memory keeps nothing of earlier processes.
func (s *Store) SweepStaging(ctx context.Context) (int, error) { return 0, ctx.Err() }

// staged is an object being written.
type staged struct {
	store *Store
	mu    sync.RWMutex
	bytes []byte // only ever appended to, so that a slice of it may be read without the lock
	ended bool   // committed or failed: no more writes
	gone  bool   // discarded
}

func (s *staged) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.gone {
		return 0, blob.ErrClosed
	}
	s.bytes = append(s.bytes, p...)
	return len(p), nil
}

func (s *staged) ReadAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	bytes, gone := s.bytes, s.gone
	s.mu.RUnlock()
	if gone {
		return 0, blob.ErrClosed
	}
	return readAt(bytes, p, off)
}

func (s *staged) Commit(ctx context.Context, key blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !key.Valid() {
		return fmt.Errorf("commit: %w", blob.ErrInvalidKey)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.gone {
		return fmt.Errorf("commit %s: %w", key, blob.ErrClosed)
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.ended = true
	s.store.staged--
	if _, ok := s.store.objects[key]; ok {
		s.gone = true
		return fmt.Errorf("commit %s: %w", key, blob.ErrExists)
	}
	s.store.objects[key] = s.bytes
	return nil
}

func (s *staged) Discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	s.gone = true
	if !s.ended {
		s.store.mu.Lock()
		s.store.staged--
		s.store.mu.Unlock()
	}
	return nil
}

// object is an open object. Stored bytes never change, so it needs no lock of its own
// for them.
type object struct {
	mu    sync.RWMutex
	bytes []byte
	gone  bool
}

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if o.gone {
		return 0, blob.ErrClosed
	}
	return readAt(o.bytes, p, off)
}

func (o *object) Size() int64 { return int64(len(o.bytes)) }

func (o *object) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = true
	return nil
}

func readAt(bytes, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at negative offset %d", off)
	}
	if off >= int64(len(bytes)) {
		return 0, io.EOF
	}
	n := copy(p, bytes[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
