package npm

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"sync"

	"github.com/packhouse/packhouse/internal/format"
)

// stage hands an attachment's bytes to the house, at most limit of them. What is wrong
// with the attachment itself comes back as it is: the store that reads it may wrap errors.
func (up *incoming) stage(r io.Reader, limit int64) (format.Staged, error) {
	watched := &faultReader{r: r}
	staged, err := up.house.Stage(up.request.Context(), up.request.Who, up.pkg, watched, limit)
	if watched.fault == nil {
		return staged, err
	}
	if staged != nil {
		staged.Discard()
	}
	return nil, watched.fault
}

// faultReader keeps the error that ended the reading.
type faultReader struct {
	r     io.Reader
	fault error
}

// Read implements io.Reader.
func (f *faultReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.fault = err
	}
	return n, err
}

// attachmentReader decodes an attachment's base64 text in large pieces.
type attachmentReader struct {
	r    io.Reader
	buf  *attachmentBuffer
	have int    // bytes of buf.text that are not decoded yet
	left []byte // of buf.plain, not handed out yet
	last bool   // padding was seen: nothing may follow
	err  error  // why there is no more; io.EOF at the end
}

type attachmentBuffer struct {
	text  [32 << 10]byte
	plain [24 << 10]byte
}

var attachmentBuffers = sync.Pool{New: func() any { return new(attachmentBuffer) }}

// newAttachmentReader reads r, which is the text. The caller calls release.
func newAttachmentReader(r io.Reader) *attachmentReader {
	return &attachmentReader{r: r, buf: attachmentBuffers.Get().(*attachmentBuffer)}
}

func (a *attachmentReader) release() { attachmentBuffers.Put(a.buf) }

// Read implements io.Reader.
func (a *attachmentReader) Read(p []byte) (int, error) {
	for len(a.left) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		a.fill()
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	return n, nil
}

// fill takes more text and decodes all whole groups of it.
func (a *attachmentReader) fill() {
	text := a.buf.text[:]
	n, err := a.r.Read(text[a.have:])
	a.have += withoutNewlines(text[a.have : a.have+n])
	whole := a.have - a.have%4
	if whole > 0 {
		decoded, corrupt := base64.StdEncoding.Decode(a.buf.plain[:], text[:whole])
		if corrupt != nil || a.last {
			a.err = errNotBase64()
			return
		}
		a.left, a.last = a.buf.plain[:decoded], decoded < whole/4*3
		a.have = copy(text, text[whole:a.have])
	}
	if errors.Is(err, io.EOF) && a.have > 0 {
		err = errNotBase64()
	}
	a.err = err
}

func errNotBase64() error { return invalidDocument("attachment is not base64") }

// withoutNewlines drops the line ends of text that is broken into lines, and returns how
// many bytes are left.
func withoutNewlines(b []byte) int {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return len(b)
	}
	n := 0
	for _, c := range b {
		if c != '\n' && c != '\r' {
			b[n] = c
			n++
		}
	}
	return n
}
