package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
)

// WalkTarGz visits the regular files and directories of a gzip-compressed tar archive
// of size bytes, in the archive's order. Links, devices, sparse files, names that are
// absolute, climb, repeat or hold control characters, and bytes behind the archive's
// end are oddities.
//
// Only a few archives are walked at the same time, because a hostile one may take
// megabytes and seconds; the others wait their turn.
//
// Errors: *Error; ctx's; what r or visit returned.
// Source: reliability.md S25, A8.
func WalkTarGz(ctx context.Context, r io.ReaderAt, size int64, o Options, visit func(*Entry) error) error {
	select {
	case walks <- struct{}{}:
		defer func() { <-walks }()
	case <-ctx.Done():
		return ctx.Err()
	}
	limits := o.Limits.withDefaults()
	source := &sourceReader{r: io.NewSectionReader(r, 0, size)}
	in := inflaters.Get().(*inflater)
	defer in.release()
	in.buffered.Reset(source)
	if err := in.gz.Reset(in.buffered); err != nil {
		return source.explain(corrupt("file is not gzip-compressed", err))
	}
	bounded := &boundedReader{ctx: ctx, r: &in.gz, limits: limits, left: limits.inflatedMax(size)}
	w := &tarWalk{tr: tar.NewReader(bounded), limits: limits, tolerate: o.Tolerate, names: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
	if err := w.run(visit); err != nil {
		if errors.Is(err, ErrStop) {
			return nil
		}
		return source.explain(err)
	}
	return source.explain(w.checkTail(bounded, in.tail[:]))
}

// walks has a place for each walk that may run. More would not be faster, only larger.
var walks = make(chan struct{}, max(4, runtime.GOMAXPROCS(0)))

// inflater is what one walk needs of memory, kept for the next one.
type inflater struct {
	gz       gzip.Reader
	buffered *bufio.Reader
	tail     [4 << 10]byte
}

var inflaters = sync.Pool{New: func() any { return &inflater{buffered: bufio.NewReaderSize(nil, 8<<10)} }}

// release gives the memory back. The reader is not closed: its checksum was compared at
// the stream's end, and its buffers serve the next walk.
func (in *inflater) release() {
	in.buffered.Reset(nil) // lets go of the archive
	inflaters.Put(in)
}

type tarWalk struct {
	tr       *tar.Reader
	limits   Limits
	tolerate func(*Error)
	// seen holds 64 bits for each name, under a seed that nobody outside knows: 100,000
	// names of 1 KiB would be 100 MiB.
	seen  map[uint64]struct{}
	names maphash.Seed
}

func (w *tarWalk) run(visit func(*Entry) error) error {
	for n := 0; ; n++ {
		h, err := w.tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err, "archive is not a readable tar")
		}
		if n >= w.limits.Entries {
			return &Error{Class: Limit, Reason: fmt.Sprintf("archive has more than %d entries", w.limits.Entries)}
		}
		e, wrong := w.entry(h)
		if wrong != nil {
			if err := w.oddity(wrong); err != nil {
				return err
			}
		} else if e != nil {
			if err := visit(e); err != nil {
				return err
			}
		}
	}
}

func (w *tarWalk) oddity(e *Error) error {
	if w.tolerate == nil || e.Class != Oddity {
		return e
	}
	w.tolerate(e)
	return nil
}

// entry turns a header into an Entry; nil for a header that describes no entry.
func (w *tarWalk) entry(h *tar.Header) (*Entry, *Error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil, checkGlobal(h)
	}
	if len(h.Name) > w.limits.Name {
		return nil, &Error{Class: Oddity, Entry: shorten(h.Name), Reason: fmt.Sprintf("entry has a name of more than %d bytes", w.limits.Name)}
	}
	dir := false
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		dir = true
	case tar.TypeSymlink:
		return nil, odd(h.Name, "entry is a symbolic link")
	case tar.TypeLink:
		return nil, odd(h.Name, "entry is a hard link")
	case tar.TypeGNUSparse:
		return nil, odd(h.Name, "entry is a sparse file")
	default:
		return nil, odd(h.Name, "entry is neither a file nor a directory")
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return nil, odd(h.Name, "entry is a sparse file")
		}
	}
	name := h.Name
	if dir {
		name = strings.TrimSuffix(name, "/")
	}
	if reason := badName(name); reason != "" {
		return nil, odd(h.Name, reason)
	}
	sum := maphash.String(w.names, name)
	if _, twice := w.seen[sum]; twice {
		if dir {
			return nil, nil // a directory twice misleads nobody
		}
		return nil, odd(h.Name, "entry occurs twice")
	}
	w.seen[sum] = struct{}{}
	return &Entry{Name: name, Size: h.Size, Dir: dir, r: w.tr, limit: w.limits.MetadataFile}, nil
}

// checkGlobal accepts the one global header that is common, the commit that "git
// archive" notes. Others, such as a path for all entries, are read differently by
// different clients.
func checkGlobal(h *tar.Header) *Error {
	for key := range h.PAXRecords {
		if key != "comment" {
			return odd(key, "archive has a global header record")
		}
	}
	return nil
}

// badName says what is wrong with an entry's name, "" for nothing.
func badName(name string) string {
	switch {
	case name == "":
		return "entry has no name"
	case name[0] == '/', len(name) > 1 && name[1] == ':':
		return "entry has an absolute name"
	case !utf8.ValidString(name):
		return "entry has a name that is not UTF-8"
	case strings.ContainsRune(name, '\\'):
		return "entry has a name with a backslash"
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return "entry has a name with a control character"
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "..":
			return "entry has a name that leaves the archive"
		case "", ".":
			return "entry has a name with an empty segment"
		}
	}
	return ""
}

// checkTail reads what follows the end of the tar archive. Padding is common; anything
// else is bytes that one reader sees and another does not.
func (w *tarWalk) checkTail(r io.Reader, buf []byte) error {
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return w.oddity(odd("", "bytes follow the end of the archive"))
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return w.tailError(err)
		}
	}
}

// tailError judges a stream that cannot be read to its end: garbage behind the last
// compressed member is an oddity, an exceeded limit is not.
func (w *tarWalk) tailError(err error) error {
	err = readError(err, "bytes follow the end of the archive")
	var e *Error
	if errors.As(err, &e) && e.Class == Corrupt {
		return w.oddity(&Error{Class: Oddity, Reason: e.Reason, Err: e.Err})
	}
	return err
}

// boundedReader stops an inflating stream that yields too much, takes too long, or whose
// caller is gone.
type boundedReader struct {
	ctx    context.Context //nolint:containedctx // lives for one call of WalkTarGz
	r      io.Reader
	limits Limits
	left   int64
	spent  time.Duration
}

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.spent > b.limits.Work {
		return 0, &Error{Class: Limit, Reason: fmt.Sprintf("archive takes more than %s to read", b.limits.Work)}
	}
	if b.left <= 0 {
		// One more byte tells an archive of exactly the limit from a larger one.
		p = p[:min(len(p), 1)]
	}
	start := time.Now()
	n, err := b.r.Read(p)
	b.spent += time.Since(start)
	if b.left -= int64(n); b.left < 0 {
		return 0, &Error{Class: Limit, Reason: "archive inflates to too many bytes for its size"}
	}
	return n, err
}

// sourceReader remembers a failure of the store, which must not be reported as a fault
// of the archive.
type sourceReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (s *sourceReader) explain(err error) error {
	if err != nil && s.err != nil {
		return fmt.Errorf("read archive: %w", s.err)
	}
	return err
}

// readError keeps errors that are not about the archive's bytes as they are, and names
// those that are.
func readError(err error, reason string) error {
	if IsError(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return corrupt(reason, err)
}

func corrupt(reason string, err error) *Error {
	return &Error{Class: Corrupt, Reason: reason, Err: err}
}

func odd(entry, reason string) *Error {
	return &Error{Class: Oddity, Entry: shorten(entry), Reason: reason}
}

// shorten makes a hostile name fit for a message.
func shorten(s string) string {
	const most = 100
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
