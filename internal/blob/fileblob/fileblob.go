// Package fileblob keeps objects as files below one directory, durable when Commit
// says so. It runs on Unix. It is on the stores' floor. Start reading with Store.
//
//	DIR/                     0700; several processes may share it
//	  objects/ab/<name>      a committed object; ab are the first characters of its name, which
//	                         is its key with "." for "/"; files 0600, directories 0700
//	  staging/<run>/         what one running process stages; it holds a lock on the directory
//	  staging/<run>/<random> an object being written
//
// All names come from keys, which are digits of digests and numbers, and are looked up
// below a handle of DIR that cannot be left (reliability.md S3).
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

const (
	objectsDir = "objects"
	stagingDir = "staging"
)

// Store is a blob.Store in a directory. Its methods may be used from several
// goroutines.
type Store struct {
	disk disk
	run  string    // staging directory of this process
	hold io.Closer // the lock on it

	mu      sync.Mutex
	durable map[string]struct{} // directories whose entries above them are known to be synced
}

// Open opens the store below dir and makes what is missing. It refuses a directory
// that everybody on the machine may enter (reliability.md S39).
func Open(dir string) (*Store, error) {
	d, err := openDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	s, err := open(d)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open blob directory %s: %w", dir, err), d.Close())
	}
	return s, nil
}

func open(d disk) (*Store, error) {
	s := &Store{disk: d, durable: map[string]struct{}{}}
	if err := s.makeDir(objectsDir); err != nil {
		return nil, err
	}
	// Not synced: what is staged need not outlast a power cut.
	if err := d.Mkdir(stagingDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

// begin makes this process's staging directory and takes the lock on it. Another
// process that sweeps may be quicker to lock it, and will remove it: hence the tries.
func (s *Store) begin() error {
	var err error
	for range 5 {
		s.run = path.Join(stagingDir, strings.ToLower(rand.Text()))
		if err = s.disk.Mkdir(s.run); err != nil {
			return err
		}
		s.hold, err = s.disk.Lock(s.run)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errLocked) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// Close lets go of the directory and of what is still staged.
func (s *Store) Close() error {
	_, err := s.clear(s.run)
	return errors.Join(err, s.hold.Close(), s.disk.Close())
}

// Stage begins an object. Its file is made when it is first written: many objects never
// need one.
func (s *Store) Stage(ctx context.Context) (blob.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &staged{store: s}, nil
}

// Open opens an object. It stays readable when the object is deleted.
// Errors: blob.ErrNotFound.
func (s *Store) Open(ctx context.Context, key blob.Key) (blob.Object, error) {
	name, err := nameOf(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open object: %w", err)
	}
	f, err := s.disk.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open object: %w", absent(err))
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open object: %w", err), f.Close())
	}
	return object{file: f, size: size}, nil
}

// object is an open object.
type object struct {
	file
	size int64
}

func (o object) Size() int64 { return o.size }

// Stat describes an object. Errors: blob.ErrNotFound.
func (s *Store) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	o, err := s.Open(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat: %w", err)
	}
	return blob.Info{Key: key, Size: o.Size()}, o.Close()
}

// Delete removes an object; an absent one is not an error. The removal is not synced:
// an object that a power cut brings back has no row, and is removed as such (R14).
func (s *Store) Delete(ctx context.Context, key blob.Key) error {
	name, err := nameOf(ctx, key)
	if err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	if err := s.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete object: %w", err)
	}
	return nil
}

// List calls fn for each object after the key, in key order. Objects that come or go
// meanwhile may or may not be seen.
func (s *Store) List(ctx context.Context, after blob.Key, fn func(blob.Info) error) error {
	if after != "" && !after.Valid() {
		return fmt.Errorf("list objects: %w", blob.ErrInvalidKey)
	}
	shards, err := s.disk.ReadDir(objectsDir)
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	for _, shard := range shards { // in order of their names, which is that of keys
		// No name in the shard sorts after this.
		last := strings.TrimRight(shard.Name(), "-") + "\xff"
		if !shard.IsDir() || last < flat(after) {
			continue
		}
		if err := s.listShard(ctx, path.Join(objectsDir, shard.Name()), flat(after), fn); err != nil {
			return fmt.Errorf("list objects: %w", err)
		}
	}
	return nil
}

func (s *Store) listShard(ctx context.Context, dir, after string, fn func(blob.Info) error) error {
	entries, err := s.disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries { // in order of their names
		if err := ctx.Err(); err != nil {
			return err
		}
		key := blob.Key(strings.ReplaceAll(e.Name(), ".", "/"))
		if e.Name() <= after || e.IsDir() || !key.Valid() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if err := fn(blob.Info{Key: key, Size: info.Size()}); err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a directory whose parent is there, and syncs the parent once in this
// process even if the directory was there: who made it may have died before the sync.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	_, ok := s.durable[dir]
	s.mu.Unlock()
	if ok {
		return nil
	}
	if err := s.disk.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.disk.SyncDir(path.Dir(dir)); err != nil {
		return err
	}
	s.mu.Lock()
	s.durable[dir] = struct{}{}
	s.mu.Unlock()
	return nil
}

// nameOf returns where the object of a key lies.
func nameOf(ctx context.Context, key blob.Key) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !key.Valid() {
		return "", blob.ErrInvalidKey
	}
	name := flat(key)
	return path.Join(shardOf(name), name), nil
}

// flat spells a key as one file name. "." stands where "/" stands among the characters
// of a key, between "-" and "0", so that names sort as keys do.
func flat(key blob.Key) string { return strings.ReplaceAll(string(key), "/", ".") }

// shardOf returns the directory of a name. A name that is too short is filled up with
// the lowest character, which keeps the order too.
func shardOf(name string) string {
	for len(name) < 2 {
		name += "-"
	}
	return path.Join(objectsDir, name[:2])
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	}
	return err
}
