package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// Get fetches a metadata document at path, which is relative to the connection's
// address and may carry a query. The body is decoded, whole, and at most
// Options.MaxMetadata long. See format.Getter for errors.
func (c *Client) Get(ctx context.Context, conn Connection, path string, h http.Header, prior format.Validators) (format.Response, error) {
	l, err := c.link(conn)
	if err != nil {
		return format.Response{}, err
	}
	u, err := url.Parse(l.base.String() + strings.TrimPrefix(path, "/"))
	if err != nil {
		return format.Response{}, failure(conn, ReasonBadAnswer, "has no such path", err)
	}
	header := h.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept-Encoding", "gzip")
	setValidators(header, prior)
	release, err := l.acquire(ctx)
	if err != nil {
		return format.Response{}, err
	}
	defer release()
	var out format.Response
	err = l.try(ctx, func() (err error) {
		out, err = l.document(ctx, u, header)
		return err
	})
	return out, err
}

func setValidators(h http.Header, v format.Validators) {
	if v.ETag != "" {
		h.Set("If-None-Match", v.ETag)
	}
	if v.LastModified != "" {
		h.Set("If-Modified-Since", v.LastModified)
	}
}

// document makes one attempt at a document.
func (l *link) document(ctx context.Context, u *url.URL, h http.Header) (format.Response, error) {
	ctx, progress, stop := l.watch(ctx)
	defer stop()
	conditional := h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != ""
	want := []int{http.StatusOK}
	if conditional {
		want = append(want, http.StatusNotModified)
	}
	resp, err := l.send(ctx, u, h, want...)
	if err != nil {
		return format.Response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotModified {
		return format.Response{}, format.ErrNotModified
	}
	if isPage(resp) && !strings.Contains(h.Get("Accept"), "html") {
		return format.Response{}, failure(l.conn, ReasonBadAnswer, "answered with a web page where a document was asked for", nil)
	}
	progress()
	body, err := l.read(ctx, resp, progress)
	if err != nil {
		return format.Response{}, err
	}
	return format.Response{Body: body, Header: resp.Header,
		Validators: format.Validators{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}}, nil
}

// read reads and decodes a document within the limit, and checks that it came whole.
func (l *link) read(ctx context.Context, resp *http.Response, progress func()) ([]byte, error) {
	tooLarge := func() error {
		return failure(l.conn, ReasonBadAnswer, fmt.Sprintf("sent a document of more than %d bytes", l.o.MaxMetadata), nil)
	}
	if resp.ContentLength > l.o.MaxMetadata {
		return nil, tooLarge()
	}
	// The limit stands twice: a gzip stream may also be endless without yielding a byte.
	raw := &io.LimitedReader{R: &lively{resp.Body, progress}, N: l.o.MaxMetadata + 1}
	decoded := io.Reader(raw)
	encoding := strings.ToLower(resp.Header.Get("Content-Encoding"))
	switch encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, l.unreadable(ctx, err)
		}
		decoded = z
	default:
		return nil, failure(l.conn, ReasonBadAnswer, "used an encoding that was not asked for", nil)
	}
	size := int64(512)
	if encoding == "" && resp.ContentLength > 0 {
		size = resp.ContentLength + 1 // one more, so that the end is seen without growing
	}
	body, err := readAll(io.LimitReader(decoded, l.o.MaxMetadata+1), int(size))
	switch {
	case int64(len(body)) > l.o.MaxMetadata || raw.N <= 0:
		return nil, tooLarge()
	case err != nil:
		return nil, l.unreadable(ctx, err)
	}
	// A body that ends where the connection does may have been cut (R26): only what
	// carries its own end can be believed.
	if endless(resp) && decoded == io.Reader(raw) && !json.Valid(body) {
		return nil, failure(l.conn, ReasonBrokenOff, "sent a document without saying where it ends", nil)
	}
	return body, nil
}

func (l *link) unreadable(ctx context.Context, err error) *packhouse.Error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return failure(l.conn, ReasonBadAnswer, "sent a document with damaged compression", err)
	}
	return transportError(ctx, l.conn, ReasonBrokenOff, err)
}

func readAll(r io.Reader, size int) ([]byte, error) {
	b := make([]byte, 0, size)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
	}
}

// endless reports that nothing but the end of the connection ends the body.
func endless(resp *http.Response) bool {
	return resp.ContentLength < 0 && resp.ProtoMajor < 2 && len(resp.TransferEncoding) == 0
}

// isPage reports whether the answer is an HTML page.
func isPage(resp *http.Response) bool {
	t, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && (t == "text/html" || t == "application/xhtml+xml")
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
