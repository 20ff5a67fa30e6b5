package httpx

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// AssetOptions vary an asset's answer.
type AssetOptions struct {
	ETag        string // strong, quoted; "" means the quoted SHA-256
	Immutable   bool   // Cache-Control: private, max-age=31536000, immutable
	Attachment  string // file name for Content-Disposition: attachment; "" for a bare attachment
	ContentType string // "" means application/octet-stream
	// Modified is the time for Last-Modified and what depends on it, zero for none. Where
	// there is an ETag, clients that know it are answered by that.
	Modified time.Time
}

var (
	cacheImmutable = []string{"private, max-age=31536000, immutable"}
	sandbox        = []string{"sandbox; default-src 'none'"}
	attachment     = []string{"attachment"}
	octetStream    = []string{"application/octet-stream"}
)

// WriteAsset answers with an asset: Range (one range; several give the whole), If-Range,
// ETag, 304, HEAD, exact Content-Length, nosniff, CSP sandbox. Content still arriving is
// streamed whole. It closes c.
//
// An error means that nothing was sent yet and the caller may answer with it. When
// bytes fail after the headers left, WriteAsset panics with http.ErrAbortHandler: the
// connection is aborted so that no client sees a clean end (reliability.md R15, R27).
func WriteAsset(w http.ResponseWriter, r *http.Request, a packhouse.Asset, c *format.Content, o AssetOptions) error {
	if c.Close != nil {
		defer func() { _ = c.Close() }() // the bytes were checked as they were read
	}
	etag := o.ETag
	if etag == "" && a.Digest != (packhouse.Digest{}) {
		etag = `"` + a.Digest.Hex() + `"`
	}
	if c.At == nil {
		return streamAsset(w, r, c, etag, o)
	}

	if ranges := r.Header["Range"]; len(ranges) > 0 && !isOneByteRange(ranges) {
		r = withoutRange(r)
	}
	content := &window{at: c.At, size: c.Size}
	defer content.release()
	if r.Method == http.MethodGet && len(r.Header["Range"]) == 0 && !NoneMatch(r.Header, etag) {
		// Damaged first bytes become an answer; later ones can only break the connection.
		if err := content.fill(); err != nil {
			return packhouse.Internal(err)
		}
	}
	setAssetHeaders(w.Header(), etag, o)
	if len(r.Header["Range"]) > 0 {
		return serveRange(w, r, content, o.Modified)
	}
	http.ServeContent(&pieces{w, content}, r, "", o.Modified, content)
	if content.err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// serveRange serves a part. A range that cannot be served is an error for the protocol's
// own writer, with Content-Range set: net/http would answer with a line of text.
func serveRange(w http.ResponseWriter, r *http.Request, content *window, modified time.Time) error {
	held := &rangeRefusal{ResponseWriter: w}
	http.ServeContent(&pieces{held, content}, r, "", modified, content)
	if content.err != nil {
		panic(http.ErrAbortHandler)
	}
	if held.refused {
		w.Header().Del("Content-Disposition")
		w.Header().Del("Content-Length")
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(content.size, 10))
		return packhouse.Invalidf(reasonRange, "the range is not within the file's %d bytes", content.size)
	}
	return nil
}

// reasonRange has the status 416.
const reasonRange = "range_not_satisfiable"

// rangeRefusal holds back an answer of status 416, and a part of no bytes: net/http
// takes "bytes=-0" for one, which cannot be satisfied (RFC 9110 14.1.2).
type rangeRefusal struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (h *rangeRefusal) WriteHeader(status int) {
	empty := status == http.StatusPartialContent && h.Header().Get("Content-Length") == "0"
	if h.refused = empty || status == http.StatusRequestedRangeNotSatisfiable; !h.refused {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (h *rangeRefusal) Write(p []byte) (int, error) {
	if h.refused {
		return len(p), nil
	}
	return h.ResponseWriter.Write(p)
}

func setAssetHeaders(h http.Header, etag string, o AssetOptions) {
	if etag != "" {
		h["Etag"] = []string{etag}
	}
	if o.Immutable {
		h["Cache-Control"] = cacheImmutable
	} else {
		h["Cache-Control"] = cacheRevalidate
	}
	h["X-Content-Type-Options"] = nosniff
	h["Content-Security-Policy"] = sandbox
	h["Content-Disposition"] = attachment
	if o.Attachment != "" {
		if v := mime.FormatMediaType("attachment", map[string]string{"filename": o.Attachment}); v != "" {
			h["Content-Disposition"] = []string{v}
		}
	}
	h["Content-Type"] = octetStream
	if o.ContentType != "" && !runsInBrowsers(o.ContentType) {
		h["Content-Type"] = []string{o.ContentType}
	}
}

// runsInBrowsers reports types that a browser may run as a document (reliability.md
// S32).
func runsInBrowsers(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	return strings.Contains(t, "html") || strings.Contains(t, "svg") ||
		strings.HasSuffix(t, "/xml") || strings.HasSuffix(t, "+xml") || strings.Contains(t, "xsl")
}

// isOneByteRange reports whether there is one range, and in bytes: several are answered
// with the whole (reliability.md A8), and a unit that nobody knows is ignored (RFC 9110
// 14.2). Whether the range itself makes sense is net/http's to say.
func isOneByteRange(ranges []string) bool {
	return len(ranges) == 1 && strings.HasPrefix(ranges[0], "bytes=") && !strings.Contains(ranges[0], ",")
}

// withoutRange is r as a client that asks for everything would have sent it.
func withoutRange(r *http.Request) *http.Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Header.Del("Range")
	return &c
}

// streamAsset answers with content that is still arriving. The first bytes are awaited
// before the headers leave, so that an upstream that fails at once is an answer and not
// a broken connection.
func streamAsset(w http.ResponseWriter, r *http.Request, c *format.Content, etag string, o AssetOptions) error {
	h := w.Header()
	if NoneMatch(r.Header, etag) {
		h["Etag"] = []string{etag}
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	var n int
	var readErr error
	if r.Method != http.MethodHead {
		for n == 0 && readErr == nil {
			n, readErr = c.Stream.Read(*buf)
		}
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return readErr
		}
	}
	setAssetHeaders(h, etag, o)
	if c.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(c.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write((*buf)[:n]); err != nil {
		return nil //nolint:nilerr // the client is gone and there is nobody to tell
	}
	_ = http.NewResponseController(w).Flush() // the first bytes should not wait for more
	var total = int64(n)
	for readErr == nil {
		n, readErr = c.Stream.Read(*buf)
		if n > 0 {
			total += int64(n)
			if _, err := w.Write((*buf)[:n]); err != nil {
				return nil //nolint:nilerr // the client is gone and there is nobody to tell
			}
		}
	}
	if !errors.Is(readErr, io.EOF) || c.Size >= 0 && total != c.Size {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// bufferSize is a whole number of the vault's chunks, so that none is opened twice.
const bufferSize = 128 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// window reads a ReaderAt in large aligned pieces for a consumer that reads small ones,
// and remembers an error that the consumer swallows.
type window struct {
	at    io.ReaderAt
	size  int64
	off   int64   // next byte for the reader
	buf   *[]byte // pooled; nil before the first read
	start int64   // offset of buf's first byte
	have  int
	err   error
}

// fill loads the piece with the next byte.
func (c *window) fill() error {
	if c.size == 0 {
		return nil
	}
	if c.buf == nil {
		c.buf = buffers.Get().(*[]byte)
	}
	c.start = c.off - c.off%bufferSize
	want := min(bufferSize, c.size-c.start)
	n, err := c.at.ReadAt((*c.buf)[:want], c.start)
	c.have = n
	if int64(n) == want {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.have = 0
	return err
}

func (c *window) Read(p []byte) (int, error) {
	piece, err := c.next(int64(len(p)))
	return copy(p, piece), err
}

// next returns the next bytes, at most so many; they are good until the next call.
// Errors: io.EOF at the end, and what c.err is from then on.
func (c *window) next(most int64) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.off >= c.size {
		return nil, io.EOF
	}
	if c.buf == nil || c.off < c.start || c.off >= c.start+int64(c.have) {
		if c.err = c.fill(); c.err != nil {
			return nil, c.err
		}
	}
	piece := (*c.buf)[c.off-c.start : c.have]
	piece = piece[:min(int64(len(piece)), most)]
	c.off += int64(len(piece))
	return piece, nil
}

func (c *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.off
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("httpx: seek before the start")
	}
	c.off = offset
	return offset, nil
}

// pieces is the answer that a window is served to. It writes the window's own bytes;
// net/http would copy them through a buffer of its own, made anew for each answer.
type pieces struct {
	http.ResponseWriter
	content *window
}

// ReadFrom is what http.ServeContent sends with.
func (p *pieces) ReadFrom(src io.Reader) (total int64, err error) {
	part, ok := src.(*io.LimitedReader)
	if !ok || part.R != io.Reader(p.content) {
		return io.Copy(p.ResponseWriter, src)
	}
	for part.N > 0 {
		piece, err := p.content.next(part.N)
		if err != nil {
			return total, err
		}
		n, err := p.Write(piece)
		total += int64(n)
		part.N -= int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *window) release() {
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
	}
}
