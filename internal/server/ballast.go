package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// The ballast is a file that takes up room until the disk is full. Deleting needs room
// too: its rows go to the write-ahead log before anything shrinks (reliability.md R21).
const (
	ballastFile  = "ballast"
	ballastBytes = 64 << 20
	// ballastPause is how long a ballast that was released, or could not be made, is not
	// tried again: a quota that statfs does not know about may be what is used up.
	ballastPause = time.Minute
)

// ballast is the file. One goroutine uses it.
type ballast struct {
	path string
	now  func() time.Time

	owed  uint64    // bytes that were released and are to be taken again
	held  bool      // the file is known to be there, whole
	tried time.Time // when it was last released or not made
}

// release removes the file and reports whether there was one.
func (b *ballast) release() (bool, error) {
	b.held, b.tried = false, b.now()
	err := os.Remove(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("release ballast: %w", err)
	}
	b.owed = ballastBytes
	return true, nil
}

// take makes the file, with all its blocks, unless it is there.
func (b *ballast) take() error {
	if b.held || b.now().Sub(b.tried) < ballastPause {
		return nil
	}
	f, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		b.tried = b.now()
		return fmt.Errorf("make ballast: %w", err)
	}
	err = allocate(f, ballastBytes)
	if err = errors.Join(err, f.Close()); err != nil {
		b.tried = b.now()
		return errors.Join(fmt.Errorf("make ballast: %w", err), os.Remove(b.path))
	}
	b.held, b.owed = true, 0
	return nil
}
