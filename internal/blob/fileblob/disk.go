package fileblob

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// disk is every call of the operating system that a Store makes, with names below its
// directory. It is the seam at which tests let calls fail and machines lose power
// (reliability.md A10).
type disk interface {
	Create(name string) (file, error) // new, for reading and writing, 0600; fs.ErrExist
	Open(name string) (file, error)   // for reading
	Mkdir(name string) error          // 0700; fs.ErrExist
	Link(name, target string) error   // a second name; fs.ErrExist
	Remove(name string) error         // a file or an empty directory
	SyncDir(name string) error        // makes the entries of a directory durable
	ReadDir(name string) ([]fs.DirEntry, error)
	// Lock holds a directory until Close. Errors: errLocked if somebody holds it.
	Lock(name string) (io.Closer, error)
	Close() error
}

// file is an open file.
type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Size() (int64, error)
}

var errLocked = errors.New("directory is locked")

// rootDisk is the real one.
type rootDisk struct{ root *os.Root }

func openDisk(dir string) (disk, error) {
	if err := os.Mkdir(dir, 0o700); err == nil {
		// Made just now: its own entry must last as long as what is put below it.
		if err := syncPath(filepath.Dir(dir)); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil && info.Mode().Perm()&0o007 != 0 {
		err = fmt.Errorf("%s has mode %04o: everybody may enter, run chmod 700 on it", dir, info.Mode().Perm())
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return rootDisk{root}, nil
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (d rootDisk) Create(name string) (file, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d rootDisk) Open(name string) (file, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d rootDisk) Mkdir(name string) error        { return d.root.Mkdir(name, 0o700) }
func (d rootDisk) Link(name, target string) error { return d.root.Link(name, target) }
func (d rootDisk) Remove(name string) error       { return d.root.Remove(name) }
func (d rootDisk) Close() error                   { return d.root.Close() }

func (d rootDisk) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d rootDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	for i, e := range entries {
		entries[i] = rootEntry{e, d.root, filepath.Join(name, e.Name())}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// rootEntry looks its file up below the root.
type rootEntry struct {
	fs.DirEntry
	root *os.Root
	name string
}

func (e rootEntry) Info() (fs.FileInfo, error) { return e.root.Lstat(e.name) }

func (d rootDisk) Lock(name string) (io.Closer, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err == nil {
		// Whoever held it before may have removed it between our Open and our lock.
		_, err = d.root.Stat(name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
