package fetch

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packhouse/packhouse/internal/format"
)

// Admit is asked before memory for so many bytes of a document is taken, may wait, and
// may refuse. For one document it may be asked again, with a larger number.
type Admit func(ctx context.Context, size int64) error

// Get fetches a metadata document at path, which is relative to the connection's
// address and may carry a query. The body is decoded, whole, and at most
// Options.MaxMetadata long. See format.Getter for errors.
func (c *Client) Get(ctx context.Context, conn Connection, path string, h http.Header, prior format.Validators) (format.Response, error) {
	return c.GetWithin(ctx, conn, path, h, prior, nil)
}

// GetWithin is Get for a caller who bounds the memory of all its documents together:
// admit, where not nil, is asked once a document turns out to be a large one. Its errors
// come back as they are.
func (c *Client) GetWithin(ctx context.Context, conn Connection, path string, h http.Header, prior format.Validators, admit Admit) (_ format.Response, err error) {
	l, u, header, err := c.aim(conn, path, h)
	if err != nil {
		return format.Response{}, err
	}
	setValidators(header, prior)
	var out format.Response
	defer func(began time.Time) { l.observe(began, int64(len(out.Body)), err) }(time.Now())
	release, err := l.acquire(ctx)
	if err != nil {
		return format.Response{}, err
	}
	defer release()
	err = l.try(ctx, func() (err error) {
		out, err = l.document(ctx, u, header, admit)
		return err
	})
	return out, err
}

// aim returns what a request for a path of a connection needs; the header is the
// caller's own copy of h.
func (c *Client) aim(conn Connection, path string, h http.Header) (*link, *url.URL, http.Header, error) {
	l, err := c.link(conn)
	if err != nil {
		return nil, nil, nil, err
	}
	u, err := url.Parse(l.base.String() + strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, nil, nil, failure(conn, ReasonBadAnswer, "has no such path", err)
	}
	header := h.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept-Encoding", "gzip")
	return l, u, header, nil
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
func (l *link) document(ctx context.Context, u *url.URL, h http.Header, admit Admit) (format.Response, error) {
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
	body, err := l.readWithin(ctx, resp, progress, admit)
	if err != nil {
		return format.Response{}, err
	}
	return format.Response{Body: body, Header: resp.Header,
		Validators: format.Validators{ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified")}}, nil
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
