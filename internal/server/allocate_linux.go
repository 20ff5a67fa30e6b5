package server

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives a file real blocks, by writing where the filesystem cannot reserve them.
func allocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP):
			return fill(f, size)
		default:
			return err
		}
	}
}
