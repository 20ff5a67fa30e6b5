// Package blob is the contract of the place where sealed objects lie: a driver is
// dumb, knows no digest, no key and no domain, and stores what it is given under the
// key it is given. Drivers live in blob/fileblob and blob/memblob; blob/blobtest is
// their suite. It is on the stores' floor. Start reading with Store.
package blob

import (
	"context"
	"errors"
	"io"
	"strings"
)

// ErrNotFound tells that no object has the key. ErrExists tells that one has it
// already: keys are never reused for other bytes, so nothing is replaced.
var (
	ErrNotFound = errors.New("blob: not found")
	ErrExists   = errors.New("blob: exists")
	// ErrClosed tells that an object or a staged object was let go of before.
	ErrClosed = errors.New("blob: closed")
	// ErrInvalidKey tells that a key is not made as Key says.
	ErrInvalidKey = errors.New("blob: invalid key")
)

// Key names an object: lower-case hexadecimal digits, "-" and "/", made by the vault, or
// a RowStore, from keyed digests and numbers only (reliability.md S3).
type Key string

// MaxKeyLength bounds a key, so that every driver can keep it as one name.
const MaxKeyLength = 200

// Valid reports whether the key is made as its type says: 1 to MaxKeyLength
// characters of 0-9, a-f, "-" and "/", with no empty part between slashes. Drivers
// refuse any other (reliability.md S3).
func (k Key) Valid() bool {
	if k == "" || len(k) > MaxKeyLength {
		return false
	}
	previous := byte('/')
	for i := range len(k) {
		c := k[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c == '-':
		case c == '/' && previous != '/':
		default:
			return false
		}
		previous = c
	}
	return previous != '/'
}

// RowPrefix begins the keys of objects that lie in rows of a database: see RowStore. Keys
// of all other objects begin with a digest, so these come before them in a list.
const RowPrefix = "0/"

// InRow reports whether the key is of an object that lies in a row.
func (k Key) InRow() bool { return strings.HasPrefix(string(k), RowPrefix) }

// Info describes a stored object.
type Info struct {
	Key  Key
	Size int64 // bytes, as stored
}

// Object is an open object. Reads at any offset, from several goroutines.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Store is a driver.
type Store interface {
	// Stage begins an object that has no name yet. Nothing lists it, and a process
	// that dies leaves it to SweepStaging. Nothing lies on a disk before the first Write
	// or Commit.
	Stage(ctx context.Context) (Staged, error)
	// Open opens an object. Errors: ErrNotFound.
	Open(ctx context.Context, key Key) (Object, error)
	// Stat describes an object. Errors: ErrNotFound.
	Stat(ctx context.Context, key Key) (Info, error)
	// Delete removes an object; an absent one is not an error.
	Delete(ctx context.Context, key Key) error
	// List calls fn for each object after the key, in key order.
	List(ctx context.Context, after Key, fn func(Info) error) error
	// SweepStaging removes what earlier processes left in staging and returns how
	// many objects that were. What this process stages is never touched.
	SweepStaging(ctx context.Context) (int, error)
}

// RowStore is a Store that also reads objects out of the rows of a database, where somebody
// else writes them, in one transaction with what refers to them. Stage and Commit have
// nothing to do with these, and Delete does not touch them: they go with their rows.
type RowStore interface {
	Store
	// RowKey makes the key of a new object that is going to lie in a row: one that no
	// other object ever has, and that holds the generation (reliability.md R14).
	RowKey(generation int64) Key
}

// Staged is an object being written. One goroutine writes; others may read what has
// been written so far, and go on after Commit. Whoever staged it calls Discard in the
// end, whatever happened before.
type Staged interface {
	io.Writer
	io.ReaderAt
	// Commit makes the object durable under key and visible at once, without
	// replacing: bytes and every directory entry are synced when it returns nil. A
	// failed sync is final: the object is dropped (reliability.md R2, R4). Errors:
	// ErrExists.
	Commit(ctx context.Context, key Key) error
	// Discard drops the object unless it was committed, and lets go of what reads
	// needed: reads fail after it. It may be repeated.
	Discard() error
}
