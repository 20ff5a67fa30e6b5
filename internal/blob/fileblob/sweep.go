package fileblob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// SweepStaging removes what processes that are gone have left in staging, and returns
// how many objects that were. The lock on a process's directory is the lease of all
// that lies in it, and ends with the process however that ends (reliability.md R11).
func (s *Store) SweepStaging(ctx context.Context) (int, error) {
	runs, err := s.disk.ReadDir(stagingDir)
	if err != nil {
		return 0, fmt.Errorf("sweep staging: %w", err)
	}
	swept := 0
	for _, run := range runs {
		if err := ctx.Err(); err != nil {
			return swept, err
		}
		dir := path.Join(stagingDir, run.Name())
		if dir == s.run || !run.IsDir() {
			continue
		}
		n, err := s.sweep(dir)
		swept += n
		if err != nil {
			return swept, fmt.Errorf("sweep staging: %w", err)
		}
	}
	return swept, nil
}

func (s *Store) sweep(dir string) (int, error) {
	hold, err := s.disk.Lock(dir)
	if errors.Is(err, errLocked) || errors.Is(err, fs.ErrNotExist) {
		return 0, nil // its process lives, or somebody else has swept it
	}
	if err != nil {
		return 0, err
	}
	n, err := s.clear(dir)
	return n, errors.Join(err, hold.Close())
}

// clear removes a staging directory with all that lies in it.
func (s *Store) clear(dir string) (int, error) {
	entries, err := s.disk.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for i, e := range entries {
		if err := s.disk.Remove(path.Join(dir, e.Name())); err != nil {
			return i, err
		}
	}
	return len(entries), s.disk.Remove(dir)
}
