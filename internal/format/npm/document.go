package npm

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// maxMetadata bounds a publish document without its attachments' data (reliability.md
// A8).
const maxMetadata = 4 << 20

// attachmentPath is how deep the attachments' data lies: _attachments, file name, data.
const attachmentPath = 3

var documentReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// splitDocument reads a publish document once and in bounded memory. It hands the text
// of each `_attachments.{name}.data` to sink while it arrives, wherever the key stands
// (Yarn 4 sends _attachments before name), and returns the document with these strings
// emptied, as valid JSON within the limits of checkJSON.
//
// encoding/json cannot yield a string in pieces; that is all this scanner adds. What it
// passes over, encoding/json judges.
//
// A document that grows large waits for its place, which the caller leaves when it is
// done with the result.
//
// Errors: TooLarge "metadata_too_large"; Invalid "invalid_document"; r's and sink's own.
func splitDocument(r io.Reader, place *documentPlace, sink func(name string, data io.Reader) error) ([]byte, error) {
	buffered := documentReaders.Get().(*bufio.Reader)
	buffered.Reset(r)
	defer func() {
		buffered.Reset(nil) // lets go of the request
		documentReaders.Put(buffered)
	}()
	s := splitter{r: buffered, place: place, sink: sink}
	for {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.accept(c)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.depth != 0 || s.inString {
		return nil, invalidDocument("document is cut off")
	}
	if !utf8.Valid(s.meta) { // JSON is UTF-8 (RFC 8259, 8.1), which encoding/json does not insist on
		return s.meta, invalidDocument("document is not UTF-8")
	}
	return s.meta, checkJSON(s.meta)
}

// largeDocument is the size in bytes, beside attachments, from which a document needs a
// place. Those of honest clients stay below it but for long readmes.
const largeDocument = 256 << 10

// largeDocuments has the places: what many large documents take together is bounded.
var largeDocuments = make(chan struct{}, 8)

// documentPlace is the place of one document, while it has one.
type documentPlace struct {
	ctx  context.Context //nolint:containedctx // lives for one request
	held bool
}

// take waits for a place. Errors: ctx's.
func (p *documentPlace) take() error {
	if p.held {
		return nil
	}
	select {
	case largeDocuments <- struct{}{}:
		p.held = true
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// leave gives the place back, if there is one.
func (p *documentPlace) leave() {
	if p.held {
		<-largeDocuments
		p.held = false
	}
}

type splitter struct {
	r     *bufio.Reader
	place *documentPlace
	sink  func(name string, data io.Reader) error
	meta  []byte

	depth   int
	objects [maxDepth]bool         // by depth: an object, not an array
	keys    [attachmentPath]string // by depth: the key whose value comes next

	inString, escaped bool
	stringAt          int  // where the last string begins in meta
	isKey             bool // the string stands where a key stands
	wantKey           bool
}

// accept takes one byte of the document.
func (s *splitter) accept(c byte) error {
	if len(s.meta) == maxMetadata {
		return &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "metadata_too_large",
			Message: "the document holds more than 4 MiB besides its attachments"}
	}
	if len(s.meta) == largeDocument {
		if err := s.place.take(); err != nil {
			return err
		}
	}
	s.meta = append(s.meta, c)
	if s.inString {
		s.acceptInString(c)
		return nil
	}
	switch c {
	case '"':
		if !s.wantKey && s.atData() {
			return s.divert()
		}
		s.inString, s.stringAt, s.isKey = true, len(s.meta)-1, s.wantKey
	case '{', '[':
		if s.depth == maxDepth {
			return invalidDocument("document is nested more than %d levels deep", maxDepth)
		}
		s.objects[s.depth] = c == '{'
		s.depth++
		s.wantKey = c == '{'
	case '}', ']':
		if s.depth == 0 {
			return invalidDocument("document is not valid JSON")
		}
		s.depth--
		s.wantKey = false
	case ',':
		s.wantKey = s.depth > 0 && s.objects[s.depth-1]
	}
	return nil
}

func (s *splitter) acceptInString(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inString = false
		if s.isKey {
			s.wantKey = false
			if s.depth <= attachmentPath {
				s.keys[s.depth-1] = unquote(s.meta[s.stringAt:])
			}
		}
	}
}

// atData reports whether the value that begins is an attachment's data.
func (s *splitter) atData() bool {
	return s.depth == attachmentPath && s.objects[0] && s.objects[1] && s.objects[2] &&
		s.keys[0] == "_attachments" && s.keys[2] == "data"
}

// divert hands a string's text to the sink, to its end, and leaves an empty string.
func (s *splitter) divert() error {
	text := &stringReader{r: s.r}
	if err := s.sink(s.keys[1], text); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, text); err != nil {
		return err
	}
	s.meta = append(s.meta, '"')
	return nil
}

// stringReader reads the decoded text of a JSON string whose opening quote is behind it,
// up to its closing quote.
type stringReader struct {
	r    *bufio.Reader
	left []byte // decoded bytes of an escape that did not fit yet
	done bool
}

// Read implements io.Reader. A string that is cut off is an error, never a clean end.
func (t *stringReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(t.left) > 0 {
		n := copy(p, t.left)
		t.left = t.left[n:]
		return n, nil
	}
	if t.done {
		return 0, io.EOF
	}
	if _, err := t.r.Peek(1); err != nil {
		return 0, cutOff(err)
	}
	chunk, _ := t.r.Peek(min(t.r.Buffered(), len(p)))
	if n := plainRun(chunk); n > 0 {
		copy(p, chunk[:n])
		_, err := t.r.Discard(n)
		return n, err
	}
	switch chunk[0] {
	case '"':
		t.done = true
		_, _ = t.r.Discard(1) // it was peeked
		return 0, io.EOF
	case '\\':
		if err := t.escape(); err != nil {
			return 0, err
		}
		return t.Read(p)
	}
	return 0, invalidDocument("document has a control character in a string")
}

// plainRun returns how many bytes at the start of b stand for themselves in a JSON
// string: no quote, no backslash, no control character. It looks at eight at a time,
// because every byte of every tarball passes here.
func plainRun(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; n+8 <= len(b); n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, backslash := x^ones*'"', x^ones*'\\'
		// The high bit of a byte that is zero, or below a blank, is set by the subtraction;
		// carries can only add to a finding, never make one.
		if ((quote-ones)&^quote|(backslash-ones)&^backslash|(x-ones*' ')&^x)&highs != 0 {
			break
		}
	}
	for n < len(b) && b[n] != '"' && b[n] != '\\' && b[n] >= ' ' {
		n++
	}
	return n
}

// escape decodes one escape sequence into left. The halves of a surrogate pair are not
// joined: neither base64 nor a bundle of signatures has any.
func (t *stringReader) escape() error {
	var seq [len(`\u0000`)]byte
	short := len(`\n`)
	if _, err := io.ReadFull(t.r, seq[:short]); err != nil {
		return cutOff(err)
	}
	length := short
	if seq[1] == 'u' {
		length = len(seq)
		if _, err := io.ReadFull(t.r, seq[short:]); err != nil {
			return cutOff(err)
		}
	}
	var text string
	if err := json.Unmarshal([]byte(`"`+string(seq[:length])+`"`), &text); err != nil {
		return invalidDocument("document has an invalid escape in a string")
	}
	t.left = []byte(text)
	return nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidDocument("document is cut off")
	}
	return err
}

// isTarball reports whether an attachment is the package, as opposed to the bundle of its
// provenance, whose data is JSON text.
func isTarball(attachment string) bool { return !strings.HasSuffix(attachment, bundleSuffix) }
