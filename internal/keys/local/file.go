package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ringVersion = 1
	maxFileSize = 4 << 20
)

// ring is the content of the key file, in JSON.
type ring struct {
	Version int       `json:"version"`
	Default string    `json:"default"` // id of the key for whoever names none
	Keys    []ringKey `json:"keys"`    // oldest first
}

type ringKey struct {
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`
	Keyset  []byte   `json:"keyset"` // Tink, binary, in the clear
}

// find returns the id of the key of that name, "" if there is none.
func (r ring) find(n name) string {
	if n == (name{}) {
		return r.Default
	}
	for _, k := range r.Keys {
		if k.ID == n.keyID || n.alias != "" && slices.Contains(k.Aliases, n.alias) {
			return k.ID
		}
	}
	return ""
}

func (r ring) check() error {
	if r.Version != ringVersion {
		return fmt.Errorf("version %d of the key file is not known here, want %d", r.Version, ringVersion)
	}
	seen := map[string]bool{}
	for _, k := range r.Keys {
		if !validKeyID(k.ID) || seen[k.ID] {
			return fmt.Errorf("key id %q is not a UUID or stands twice", k.ID)
		}
		seen[k.ID] = true
		for _, a := range k.Aliases {
			if !validAlias(a) || seen[aliasPrefix+a] {
				return fmt.Errorf("alias %q is not valid or stands twice", a)
			}
			seen[aliasPrefix+a] = true
		}
	}
	if !seen[r.Default] {
		return fmt.Errorf("the default key %q is missing", r.Default)
	}
	return nil
}

// stamp tells one state of the file from the next: it is replaced, never changed, so
// a new state is a new inode at least.
type stamp struct {
	inode    uint64
	size     int64
	modified time.Time
}

func stampOf(path string) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return newStamp(&st), nil
}

func newStamp(st *unix.Stat_t) stamp {
	return stamp{inode: st.Ino, size: st.Size, modified: time.Unix(st.Mtim.Unix()).UTC()}
}

// read reads the file and refuses it if anybody but its owner may (S39).
func read(path string) (ring, stamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return ring{}, stamp{}, err
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return ring{}, stamp{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if mode := st.Mode & 0o777; mode&0o077 != 0 {
		return ring{}, stamp{}, fmt.Errorf("%s has mode %04o: only its owner may have access, run chmod 600 on it", path, mode)
	}
	if st.Size > maxFileSize {
		return ring{}, stamp{}, fmt.Errorf("%s has %d bytes, more than any key file", path, st.Size)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize))
	if err != nil {
		return ring{}, stamp{}, err
	}
	var r ring
	if err := json.Unmarshal(data, &r); err != nil {
		return ring{}, stamp{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := r.check(); err != nil {
		return ring{}, stamp{}, fmt.Errorf("%s: %w", path, err)
	}
	return r, newStamp(&st), nil
}

// write makes r the content of path, whole or not at all and durable when it returns.
// Without replace it fails with fs.ErrExist if the file is there.
func write(path string, r ring, replace bool) (err error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	temporary := path + "." + rand.Text()
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// Harmless after a rename; a link leaves the temporary name to be removed.
	defer func() { _ = os.Remove(temporary) }()
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if replace {
		err = os.Rename(temporary, path)
	} else {
		err = os.Link(temporary, path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lock keeps other processes from rewriting the file until unlock.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { _ = f.Close() }, nil // closing lets go of the lock
}
