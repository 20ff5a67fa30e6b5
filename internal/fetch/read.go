package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse"
)

const (
	// pieceBytes is how a document of unknown length is gathered, and how much of one is
	// read before admission is asked for.
	pieceBytes = 1 << 20
	// maxRatio is what deflate can make of one byte: no honest compressed document says
	// that it holds more.
	maxRatio = 1032
)

// read reads and decodes a document within the limit, and checks that it came whole.
func (l *link) read(ctx context.Context, resp *http.Response, progress func()) ([]byte, error) {
	return l.readWithin(ctx, resp, progress, nil)
}

// readWithin is read with admission. A compressed document is taken in whole before it
// is decoded: then its size is known, and its memory is taken once.
func (l *link) readWithin(ctx context.Context, resp *http.Response, progress func(), admit Admit) ([]byte, error) {
	limit := l.o.MaxMetadata
	compressed := false
	switch strings.ToLower(resp.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		compressed = true
	default:
		return nil, failure(l.conn, ReasonBadAnswer, "used an encoding that was not asked for", nil)
	}
	ask := func(size int64) error {
		if admit == nil || size < pieceBytes {
			return nil
		}
		defer keepUp(progress, l.o.StallTimeout/2)()
		return admit(ctx, size)
	}
	if resp.ContentLength > limit {
		return nil, l.tooLarge()
	}
	if err := ask(resp.ContentLength); err != nil {
		return nil, err
	}
	whole := func() error { return ask(limit) }
	sent, err := gather(&lively{resp.Body, progress}, resp.ContentLength, limit, whole)
	if err != nil {
		return nil, l.unreadable(ctx, err)
	}
	if !compressed {
		// A body that ends where the connection does may have been cut (R26): only what
		// carries its own end can be believed.
		if endless(resp) && !json.Valid(sent) {
			return nil, failure(l.conn, ReasonBrokenOff, "sent a document without saying where it ends", nil)
		}
		return sent, nil
	}
	size := min(announcedSize(sent), limit)
	if err := ask(int64(len(sent)) + size); err != nil {
		return nil, err
	}
	decoder := decoders.Get().(*gzip.Reader)
	defer decoders.Put(decoder)
	if err := decoder.Reset(bytes.NewReader(sent)); err != nil {
		return nil, l.unreadable(ctx, err)
	}
	body, err := gather(decoder, size, limit, whole)
	if err != nil {
		return nil, l.unreadable(ctx, err)
	}
	return body, nil
}

// decoders are kept because each is 40 KiB of tables.
var decoders = sync.Pool{New: func() any { return new(gzip.Reader) }}

// announcedSize returns what the end of a gzip stream says it holds; 0 where that cannot
// be true. It is a hint for the first allocation and nothing else.
func announcedSize(stream []byte) int64 {
	if len(stream) < 4 {
		return 0
	}
	size := int64(binary.LittleEndian.Uint32(stream[len(stream)-4:]))
	if size > maxRatio*int64(len(stream)) {
		return 0
	}
	return size
}

var errTooLarge = errors.New("more bytes than allowed")

// gather reads r to its end, in one piece where it has the expected size. more is called
// once where it turns out to be large against expectation. Errors: errTooLarge beyond
// limit; more's and r's own.
func gather(r io.Reader, expected, limit int64, more func() error) ([]byte, error) {
	first := int64(bytes.MinRead)
	if expected > 0 {
		first = min(expected, limit) + 1 // one more, so that the end is seen without growing
	}
	b := make([]byte, 0, first)
	var full [][]byte
	total := int64(0) // of full
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if total+int64(len(b)) > limit {
			return nil, errTooLarge
		}
		switch {
		case err == io.EOF:
			return join(full, b, total), nil
		case err != nil:
			return nil, err
		case len(b) < cap(b):
		case len(full) == 0 && cap(b) < pieceBytes:
			b = append(b, 0)[:len(b)]
		default:
			if len(full) == 0 {
				if err := more(); err != nil {
					return nil, err
				}
			}
			full, total = append(full, b), total+int64(len(b))
			b = make([]byte, 0, pieceBytes)
		}
	}
}

// join makes one slice of pieces, letting go of each as it is copied. What is kept for
// long has no slack of more than a quarter.
func join(full [][]byte, last []byte, total int64) []byte {
	if len(full) == 0 && cap(last)-len(last) <= len(last)/4 {
		return last
	}
	whole := make([]byte, 0, total+int64(len(last)))
	for i := range full {
		whole = append(whole, full[i]...)
		full[i] = nil
	}
	return append(whole, last...)
}

func (l *link) tooLarge() *packhouse.Error {
	return failure(l.conn, ReasonBadAnswer, fmt.Sprintf("sent a document of more than %d bytes", l.o.MaxMetadata), nil)
}

func (l *link) unreadable(ctx context.Context, err error) error {
	var own *packhouse.Error
	switch {
	case errors.As(err, &own): // of the admission
		return own
	case errors.Is(err, errTooLarge):
		return l.tooLarge()
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return failure(l.conn, ReasonBadAnswer, "sent a document with damaged compression", err)
	}
	return transportError(ctx, l.conn, ReasonBrokenOff, err)
}

// lively reports progress with each read that yields bytes.
type lively struct {
	r        io.Reader
	progress func()
}

func (r *lively) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.progress()
	}
	return n, err
}

// keepUp reports progress until the returned function is called: for a time in which it
// is us who do not read.
func keepUp(progress func(), interval time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(max(interval, time.Millisecond))
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				progress()
			}
		}
	}()
	return func() { close(done) }
}
