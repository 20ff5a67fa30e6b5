// Package archive reads archives that strangers built, without ever unpacking them to
// disk: entry names are data, sizes are claims, and every byte that comes out is
// counted against a limit (reliability.md A8, S25). It is on the workshop floor: no
// state, no format's knowledge. Start reading with WalkTarGz.
package archive

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Limits bound the work that one archive may cause. A zero field means its default.
type Limits struct {
	Entries      int           // entries of any kind; default 100,000
	Inflated     int64         // bytes that may come out of the compressor; default 4 GiB
	Ratio        int64         // inflated bytes per stored byte, looked at past RatioFloor; default 200
	RatioFloor   int64         // inflated bytes that any archive may have; default 10 MiB
	MetadataFile int64         // bytes of one entry read into memory; default 4 MiB
	Name         int           // bytes of an entry's name; default 1,024
	Work         time.Duration // time spent inflating; default 20 s
}

func (l Limits) withDefaults() Limits {
	set(&l.Entries, 100_000)
	set(&l.Inflated, 4<<30)
	set(&l.Ratio, 200)
	set(&l.RatioFloor, 10<<20)
	set(&l.MetadataFile, 4<<20)
	set(&l.Name, 1024)
	set(&l.Work, 20*time.Second)
	return l
}

func set[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// inflatedMax is how many bytes an archive of size stored bytes may inflate to.
func (l Limits) inflatedMax(size int64) int64 {
	if size > l.Inflated/l.Ratio {
		return l.Inflated
	}
	return min(l.Inflated, max(l.RatioFloor, size*l.Ratio))
}

// Options say how an archive is read.
type Options struct {
	Limits Limits
	// Tolerate, where set, is told each Oddity, which always comes as *Error; the entry
	// is left out and the walk goes on. Where it is nil an oddity ends the walk.
	// Exceeded limits and unreadable bytes end every walk.
	Tolerate func(*Error)
}

// Class says what is wrong with an archive.
type Class uint8

// The classes of wrong archives.
const (
	Corrupt Class = iota // not this kind of archive, or cut off
	Limit                // one of Limits is exceeded
	Oddity               // readable, but clients could be led astray by it
)

// Error tells what is wrong with an archive. Its text is fit for the publisher.
type Error struct {
	Class  Class
	Entry  string // name of the entry, shortened; "" for the archive itself
	Reason string // "entry is a symbolic link"
	Err    error  // cause, not for the publisher; may be nil
}

// Error returns the reason, with the entry in quotes.
func (e *Error) Error() string {
	if e.Entry == "" {
		return e.Reason
	}
	return fmt.Sprintf("%s: %q", e.Reason, e.Entry)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsError reports whether err is about the archive's content, as opposed to a cancelled
// context, a failing store or an error of the caller's own.
func IsError(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// ErrStop ends the walk early and without an error when a visitor returns it.
var ErrStop = errors.New("stop")

// Entry is one regular file or directory. It is valid until the visitor returns.
type Entry struct {
	Name string // slash-separated, relative, no "." or ".." segment; directories without their last slash
	Size int64  // bytes
	Dir  bool

	r     io.Reader
	limit int64
}

// ReadAll returns the content of a small file. Errors: *Error of class Limit when it
// holds more than Limits.MetadataFile bytes.
func (e *Entry) ReadAll() ([]byte, error) {
	if e.Size > e.limit {
		return nil, &Error{Class: Limit, Entry: e.Name, Reason: fmt.Sprintf("entry is larger than %d bytes", e.limit)}
	}
	return io.ReadAll(e)
}

// Read reads the content as it inflates.
func (e *Entry) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError(err, "archive is damaged or cut off")
	}
	return n, err
}
