package fetch

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/packhouse/packhouse/internal/format"
)

// Post asks a question whose text does not fit into an address, such as which of many
// versions have known vulnerabilities. path is relative to the connection's address. The
// question must change nothing at the other end: it may be put again after a failure. A
// redirect is not followed, because it would carry the question to another place. Answer
// and errors are as of Get; a connection that takes no such question does not have it.
func (c *Client) Post(ctx context.Context, conn Connection, path string, h http.Header, body []byte) (format.Response, error) {
	l, u, header, err := c.aim(conn, path, h)
	if err != nil {
		return format.Response{}, err
	}
	release, err := l.acquire(ctx)
	if err != nil {
		return format.Response{}, err
	}
	defer release()
	var out format.Response
	err = l.try(ctx, func() (err error) {
		out, err = l.answer(ctx, u, header, body)
		return err
	})
	return out, err
}

// answer makes one attempt at a question.
func (l *link) answer(ctx context.Context, u *url.URL, h http.Header, body []byte) (format.Response, error) {
	ctx, progress, stop := l.watch(ctx)
	defer stop()
	transport, err := l.permit(ctx, u)
	if err != nil {
		return format.Response{}, err
	}
	r := l.request(ctx, u, h, originOf(u) == l.origin)
	r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return format.Response{}, transportError(ctx, l.conn, ReasonUnreachable, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusMethodNotAllowed, http.StatusNotImplemented: // mirrors, most of which only hand out packages
		discard(resp)
		return format.Response{}, statusError(l.conn, http.StatusNotFound, 0)
	default:
		discard(resp)
		return format.Response{}, statusError(l.conn, resp.StatusCode, retryAfter(resp, time.Now()))
	}
	defer func() { _ = resp.Body.Close() }()
	if isPage(resp) {
		return format.Response{}, failure(l.conn, ReasonBadAnswer, "answered with a web page where a document was asked for", nil)
	}
	progress()
	text, err := l.read(ctx, resp, progress)
	if err != nil {
		return format.Response{}, err
	}
	return format.Response{Body: text, Header: resp.Header}, nil
}
