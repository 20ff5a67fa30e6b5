package fetch

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxRedirects = 5
	// maxPause bounds how long an upstream can keep us from asking it.
	maxPause = 5 * time.Minute
	// defaultPause follows a 429 that names no time.
	defaultPause = 5 * time.Second
)

// send asks for u and follows redirects by hand: at most 5, each checked, https never
// to http, credentials only at the connection's own origin and never again after the
// chain has left it (S22). The answer is one of the statuses in want, its body open;
// everything else is an error.
func (l *link) send(ctx context.Context, u *url.URL, h http.Header, want ...int) (*http.Response, error) {
	atHome := true
	for hop := 0; ; hop++ {
		transport, err := l.permit(ctx, u)
		if err != nil {
			return nil, err
		}
		atHome = atHome && originOf(u) == l.origin
		resp, err := transport.RoundTrip(l.request(ctx, u, h, atHome))
		if err != nil {
			return nil, transportError(ctx, l.conn, ReasonUnreachable, err)
		}
		for _, status := range want {
			if resp.StatusCode == status {
				return resp, nil
			}
		}
		discard(resp)
		if !isRedirect(resp.StatusCode) {
			return nil, statusError(l.conn, resp.StatusCode, retryAfter(resp, time.Now()))
		}
		if hop == maxRedirects {
			return nil, failure(l.conn, ReasonBadAnswer, "redirects too often", nil)
		}
		next, err := u.Parse(resp.Header.Get("Location"))
		if err != nil || resp.Header.Get("Location") == "" {
			return nil, failure(l.conn, ReasonBadAnswer, "redirects to nowhere", err)
		}
		if u.Scheme == "https" && next.Scheme != "https" {
			return nil, refusedTarget(l.conn, &refusal{"redirect from https to " + next.Scheme})
		}
		next.Fragment, next.RawFragment = "", ""
		u = next
	}
}

func (l *link) request(ctx context.Context, u *url.URL, h http.Header, withCredentials bool) *http.Request {
	header := h.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Del("Authorization")
	header.Del("Cookie")
	header.Set("User-Agent", l.o.UserAgent)
	r := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if secret := l.conn.Secret.Reveal(); withCredentials && l.conn.Username != "" {
		r.SetBasicAuth(l.conn.Username, secret)
	} else if withCredentials && secret != "" {
		header.Set("Authorization", "Bearer "+secret)
	}
	return r
}

func isRedirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// discard closes an answer that is not wanted, reading the rest of a small one so that
// the connection can be used again.
func discard(resp *http.Response) {
	if resp.ContentLength >= 0 && resp.ContentLength <= 4<<10 {
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	_ = resp.Body.Close()
}

// retryAfter returns how long the upstream asks to be left alone; 0 if it does not.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = max(time.Duration(seconds)*time.Second, time.Second)
	} else if at, err := http.ParseTime(value); err == nil {
		wait = max(at.Sub(now), time.Second)
	} else if resp.StatusCode == http.StatusTooManyRequests {
		wait = defaultPause
	}
	return min(wait, maxPause)
}

// watch bounds a transfer: the returned context ends with errTooLong after the total
// time, and with errStalled when progress is not called for the stall time. stop ends
// the watch and the transfer.
func (l *link) watch(ctx context.Context) (_ context.Context, progress, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	total := time.AfterFunc(l.o.TotalTimeout, func() { cancel(errTooLong) })
	stall := time.AfterFunc(l.o.FirstByteTimeout+3*l.o.ConnectTimeout, func() { cancel(errNoAnswer) })
	progress = func() { stall.Reset(l.o.StallTimeout) }
	stop = func() {
		total.Stop()
		stall.Stop()
		cancel(context.Canceled)
	}
	return ctx, progress, stop
}
