// Package blob is the contract of the place where sealed objects lie: a driver is
// dumb, knows no digest, no key and no domain, and stores what it is given under the
// key it is given. Drivers live in blob/fileblob and blob/memblob; blob/blobtest is
// their suite. It is on the stores' floor. Start reading with Store.
package blob

import (
	"context"
	"errors"
	"io"
)

// ErrNotFound tells that no object has the key. ErrExists tells that one has it
// already: keys are never reused for other bytes, so nothing is replaced.
var (
	ErrNotFound = errors.New("blob: not found")
	ErrExists   = errors.New("blob: exists")
)

// Key names an object: lower-case hexadecimal digits, "-" and "/", made by the vault
// from keyed digests and numbers only (reliability.md S3).
type Key string

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
	// that dies leaves it to SweepStaging.
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

// Staged is an object being written. One goroutine writes; others may read what has
// been written so far.
type Staged interface {
	io.Writer
	io.ReaderAt
	// Commit makes the object durable under key and visible at once, without
	// replacing: bytes and every directory entry are synced when it returns nil. A
	// failed sync is final: the object is dropped (reliability.md R2, R4). Errors:
	// ErrExists.
	Commit(ctx context.Context, key Key) error
	// Discard drops the object; harmless after Commit and when repeated.
	Discard() error
}
