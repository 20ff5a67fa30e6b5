package fetch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/packhouse/packhouse"
)

// maxResumes is how often one download is taken up again.
const maxResumes = 8

// Artifact is an open download.
type Artifact struct {
	// Size is the number of bytes announced; -1 if the upstream does not say. What has
	// no size may be cut without notice: it must not be kept unless a digest declared
	// elsewhere proves it (R26).
	Size int64
	Type string // media type as sent; may be ""
	Body io.ReadCloser
}

// Download opens an artifact at url, absolute or relative to the connection's address.
// The body heals itself: when the upstream breaks off it is resumed by Range with
// If-Range, a bounded number of times; it ends with an error, never with a clean EOF,
// when fewer or more bytes came than were announced. An empty artifact and a web page
// are errors. The body must be closed, and read without long pauses: a reader that stops
// for the stall time looks like an upstream that does. ctx governs it until closed.
//
// Errors: NotFound for 404 and 410; Upstream kinds otherwise, from Read too.
func (c *Client) Download(ctx context.Context, conn Connection, url string) (*Artifact, error) {
	l, err := c.link(conn)
	if err != nil {
		return nil, err
	}
	u, err := l.base.Parse(url)
	if err != nil {
		return nil, failure(conn, ReasonBadAnswer, "names an address that cannot be read", err)
	}
	u.Fragment, u.RawFragment = "", ""
	began := time.Now()
	release, err := l.acquire(ctx)
	if err != nil {
		l.observe(began, 0, err)
		return nil, err
	}
	ctx, progress, stop := l.watch(ctx)
	b := &healingBody{ctx: ctx, link: l, url: u, progress: progress, size: -1}
	b.end = sync.OnceFunc(func() {
		stop()
		release()
		l.observe(began, b.offset, b.outcome())
	})
	if err := l.try(ctx, b.open); err != nil {
		b.failed = err
		b.end()
		return nil, err
	}
	progress()
	return &Artifact{Size: b.size, Type: b.mediaType, Body: b}, nil
}

// healingBody is the body of a download.
type healingBody struct {
	ctx      context.Context // of the whole transfer, resumptions included
	link     *link
	url      *url.URL
	progress func()
	end      func() // stops the watch, gives the transfer back

	validator string // for If-Range: a strong ETag, else a date; "" for none
	mediaType string
	size      int64 // announced; -1 unknown
	body      io.ReadCloser
	offset    int64 // bytes handed out
	resumes   int
	failed    error // set once; every later Read returns it
}

// open makes one attempt at the beginning of the artifact.
func (b *healingBody) open() error {
	resp, err := b.link.send(b.ctx, b.url, b.header(), http.StatusOK)
	if err != nil {
		return err
	}
	if err := b.check(resp); err != nil {
		_ = resp.Body.Close()
		return err
	}
	b.body, b.size, b.mediaType, b.validator = resp.Body, resp.ContentLength, resp.Header.Get("Content-Type"), ifRange(resp)
	return nil
}

func (b *healingBody) header() http.Header {
	return http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"identity"}}
}

func (b *healingBody) check(resp *http.Response) error {
	switch {
	case isPage(resp):
		return failure(b.link.conn, ReasonBadAnswer, "answered with a web page where a file was asked for", nil)
	case resp.ContentLength == 0:
		return failure(b.link.conn, ReasonBadAnswer, "answered with an empty file", nil)
	}
	return nil
}

// ifRange returns the validator that makes a resumption safe, "" if there is none.
func ifRange(resp *http.Response) string {
	if tag := resp.Header.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return resp.Header.Get("Last-Modified")
}

// Read returns plain bytes of the artifact in order, across breaks.
func (b *healingBody) Read(p []byte) (int, error) {
	for b.failed == nil {
		n, err := b.body.Read(p)
		b.offset += int64(n)
		switch {
		case b.size >= 0 && b.offset > b.size:
			b.failed = failure(b.link.conn, ReasonBadAnswer, "sent more bytes than it announced", nil)
			return 0, b.failed
		case n > 0:
			b.progress()
			return n, nil // an error that came with bytes comes again
		case err == nil:
			continue
		case err == io.EOF && (b.offset == b.size || b.size < 0 && b.offset > 0):
			b.failed = io.EOF
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
			fallthrough
		default:
			b.failed = b.recover(err)
		}
	}
	return 0, b.failed
}

// outcome is what the transfer came to; nil when all of it was read.
func (b *healingBody) outcome() error {
	switch {
	case b.failed == io.EOF, b.failed == nil && b.offset == b.size: //nolint:errorlint // one that is wrapped is a failure
		return nil
	case b.failed == nil:
		return failure(b.link.conn, ReasonCanceled, "was not waited for", nil)
	}
	return b.failed
}

// Close ends the transfer. It may be repeated.
func (b *healingBody) Close() error {
	err := b.body.Close()
	b.end()
	return err
}

// recover takes the transfer up again after it broke off.
func (b *healingBody) recover(broken error) error {
	_ = b.body.Close()
	lost := transportError(b.ctx, b.link.conn, ReasonBrokenOff, broken)
	if b.ctx.Err() != nil || b.resumes == maxResumes || b.validator == "" {
		return lost
	}
	b.resumes++
	if err := b.link.try(b.ctx, b.reopen); err != nil {
		if packhouse.ReasonOf(err) == ReasonBadAnswer {
			return err
		}
		return failure(b.link.conn, ReasonBrokenOff, "broke off in the middle of an answer", fmt.Errorf("%w; resume at %d: %w", broken, b.offset, err))
	}
	b.progress()
	return nil
}

// reopen makes one attempt at the rest of the artifact.
func (b *healingBody) reopen() error {
	h := b.header()
	h.Set("Range", fmt.Sprintf("bytes=%d-", b.offset))
	h.Set("If-Range", b.validator)
	resp, err := b.link.send(b.ctx, b.url, h, http.StatusOK, http.StatusPartialContent)
	if err != nil {
		return err
	}
	if err := b.check(resp); err != nil {
		_ = resp.Body.Close()
		return err
	}
	// Both forms must be of the artifact that was begun: the same validator, the same size.
	size, skip := resp.ContentLength, b.offset
	if resp.StatusCode == http.StatusPartialContent {
		var first, last int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || first != b.offset || last != size-1 {
			_ = resp.Body.Close()
			return failure(b.link.conn, ReasonBadAnswer, "resumed at another place than asked", err)
		}
		skip = 0
	}
	if v := ifRange(resp); v != b.validator && (v != "" || skip > 0) || b.size >= 0 && size >= 0 && size != b.size {
		_ = resp.Body.Close()
		return failure(b.link.conn, ReasonBadAnswer, "changed the file while it was sent", nil)
	}
	if _, err := io.CopyN(io.Discard, &lively{resp.Body, b.progress}, skip); err != nil {
		_ = resp.Body.Close()
		return transportError(b.ctx, b.link.conn, ReasonBrokenOff, err)
	}
	b.body, b.size = resp.Body, max(b.size, size)
	return nil
}
