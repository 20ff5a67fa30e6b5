package fileblob

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/packhouse/packhouse/internal/blob"
)

// staged is a file in staging, made when it is first needed.
type staged struct {
	store *Store

	// Of the writer. Readers do not wait for it while it waits for the disk.
	mu     sync.Mutex
	file   file // being written; nil before it is made, and when closed
	ended  bool // committed, or dropped: nothing more is written
	kept   bool
	failed error

	// Of readers.
	rmu    sync.Mutex
	name   string // where the bytes lie, "" while there are none
	reader file   // apart from file, which Commit must close; nil before the first ReadAt
	gone   bool   // dropped or discarded
}

// Write takes bytes. After an error, the object can only be discarded.
func (s *staged) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, blob.ErrClosed
	}
	if s.failed != nil {
		return 0, s.failed
	}
	if err := s.create(); err != nil {
		s.failed = err
		return 0, err
	}
	n, err := s.file.Write(p)
	if err != nil {
		s.failed = fmt.Errorf("write object: %w", err)
		return n, s.failed
	}
	return n, nil
}

// create makes the file unless there is one. The caller holds mu.
func (s *staged) create() error {
	if s.file != nil {
		return nil
	}
	name := path.Join(s.store.run, strings.ToLower(rand.Text()))
	f, err := s.store.disk.Create(name)
	if err != nil {
		return fmt.Errorf("stage object: %w", err)
	}
	s.file = f
	s.move(name)
	return nil
}

// ReadAt reads what was written so far; after Commit too, until Discard.
func (s *staged) ReadAt(p []byte, off int64) (int, error) {
	r, err := s.openReader()
	if err != nil {
		return 0, err
	}
	return r.ReadAt(p, off)
}

func (s *staged) openReader() (file, error) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	if s.gone {
		return nil, blob.ErrClosed
	}
	if s.name == "" {
		return nil, io.EOF
	}
	if s.reader == nil {
		r, err := s.store.disk.Open(s.name)
		if err != nil {
			return nil, fmt.Errorf("read staged object: %w", err)
		}
		s.reader = r
	}
	return s.reader, nil
}

// where returns where the bytes lie.
func (s *staged) where() string {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	return s.name
}

// move says where the bytes lie from now on and returns where they lay.
func (s *staged) move(name string) (from string) {
	s.rmu.Lock()
	defer s.rmu.Unlock()
	from, s.name = s.name, name
	return from
}

// Commit makes the object durable and visible, in the order of reliability.md R2:
// the bytes, then the name, then the directory, then all directories that are new to
// this process. Any failure drops the object, and the descriptor of a failed sync is
// never used again (R4). Errors: blob.ErrExists.
func (s *staged) Commit(ctx context.Context, key blob.Key) error {
	name, err := nameOf(ctx, key)
	if err != nil {
		return fmt.Errorf("commit object: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return fmt.Errorf("commit object: %w", blob.ErrClosed)
	}
	s.ended = true
	if err := s.commit(name); err != nil {
		s.drop()
		return fmt.Errorf("commit object: %w", err)
	}
	s.kept = true
	// The first name has no more use. If it cannot be removed now, it is swept.
	_ = s.store.disk.Remove(s.move(name))
	return nil
}

func (s *staged) commit(name string) error {
	if s.failed != nil {
		return s.failed
	}
	if err := s.create(); err != nil { // of an empty object
		return err
	}
	f := s.file
	if err := f.Sync(); err != nil {
		return err
	}
	s.file = nil
	if err := f.Close(); err != nil {
		return err
	}
	dir := path.Dir(name)
	if err := s.store.makeDir(dir); err != nil {
		return err
	}
	if err := s.store.disk.Link(s.where(), name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: %w", blob.ErrExists, err)
		}
		return err
	}
	if err := s.store.disk.SyncDir(dir); err != nil {
		// Nobody was told of the object, so taking it back is safe; should that fail
		// too, it is a whole object without a row.
		return errors.Join(err, s.store.disk.Remove(name))
	}
	return nil
}

// drop removes what was written. The caller holds mu.
func (s *staged) drop() {
	if s.file != nil {
		_ = s.file.Close() // its bytes are not wanted any more
		s.file = nil
	}
	s.ended = true
	if name := s.move(""); name != "" {
		_ = s.store.disk.Remove(name) // else it is swept
	}
	s.rmu.Lock()
	defer s.rmu.Unlock()
	s.gone = true
}

// Discard drops the object unless it was committed. It may be repeated.
func (s *staged) Discard() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.kept {
		s.drop()
	}
	s.rmu.Lock()
	defer s.rmu.Unlock()
	r := s.reader
	s.gone, s.reader = true, nil
	if r == nil {
		return nil
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("discard object: %w", err)
	}
	return nil
}
