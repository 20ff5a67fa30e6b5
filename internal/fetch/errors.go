package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// The reasons of this package's errors. All are of KindUpstream, except timeouts.
const (
	ReasonWithoutAddress = "connection_without_address"
	ReasonMisconfigured  = "connection_misconfigured"
	ReasonUnreachable    = "upstream_unreachable"     // no connection
	ReasonBrokenOff      = "upstream_broken_off"      // the answer ended early
	ReasonFailed         = "upstream_failed"          // 5xx
	ReasonThrottled      = "upstream_throttled"       // 429, or 503 with Retry-After
	ReasonRefused        = "upstream_refused"         // 401, 403, 407
	ReasonBadAnswer      = "upstream_bad_answer"      // an answer that cannot be used
	ReasonAddressRefused = "upstream_address_refused" // S21
	ReasonPaused         = "upstream_paused"          // the circuit breaker is open
	ReasonBusy           = "upstream_busy"            // too many transfers wait
	ReasonTimeout        = "upstream_timeout"
	ReasonCanceled       = "upstream_canceled" // the caller gave up
)

// The causes with which this package ends its own requests.
var (
	errStalled  = errors.New("no bytes within the stall time")
	errTooLong  = errors.New("the transfer took longer than allowed")
	errNoAnswer = errors.New("no answer within the first-byte time")
)

// failure makes an error about a connection; what completes the sentence
// `connection "name" ...`.
func failure(c Connection, reason, what string, cause error) *packhouse.Error {
	return &packhouse.Error{Kind: packhouse.KindUpstream, Reason: reason,
		Message: fmt.Sprintf("connection %q %s", c.Name, what), Err: cause}
}

func misconfigured(c Connection, what string, cause error) *packhouse.Error {
	return failure(c, ReasonMisconfigured, "cannot be used: "+what, cause)
}

func withoutAddress(c Connection) *packhouse.Error {
	setting := "PACKHOUSE_CONNECTION_" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, c.Name)
	return failure(c, ReasonWithoutAddress, fmt.Sprintf(
		"has no address: start the server with --connection %s=URL, set %s, or name it under connections in the config file", c.Name, setting), nil)
}

// refusedTarget turns a refusal of the guard into what a caller may read.
func refusedTarget(c Connection, cause error) *packhouse.Error {
	return failure(c, ReasonAddressRefused,
		"led to an address that is not allowed; add the host to the connection's allowed hosts if it is meant", cause)
}

// transportError classifies what a round trip or a read ended with.
func transportError(ctx context.Context, c Connection, reason string, err error) *packhouse.Error {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return refusedTarget(c, err)
	}
	cause := context.Cause(ctx)
	var timeout net.Error
	switch {
	case errors.Is(cause, errStalled):
		return timedOut(c, "stopped sending in the middle of an answer", cause)
	case errors.Is(cause, errTooLong):
		return timedOut(c, "took too long to send an answer", cause)
	case errors.Is(cause, errNoAnswer):
		return timedOut(c, "did not answer in time", cause)
	case errors.Is(cause, context.DeadlineExceeded):
		return timedOut(c, "did not answer in time", cause)
	case cause != nil:
		return failure(c, ReasonCanceled, "was not waited for", cause)
	case errors.As(err, &timeout) && timeout.Timeout():
		return timedOut(c, "did not answer in time", err)
	case reason == ReasonBrokenOff:
		return failure(c, reason, "broke off in the middle of an answer", err)
	}
	return failure(c, reason, "cannot be reached", err)
}

func timedOut(c Connection, what string, cause error) *packhouse.Error {
	e := failure(c, ReasonTimeout, what, cause)
	e.Kind = packhouse.KindUpstreamTimeout
	return e
}

// statusError turns an unexpected status into an error. The body is not read: it is
// never shown (S24).
func statusError(c Connection, status int, retryAfter time.Duration) *packhouse.Error {
	answered := fmt.Sprintf("answered %d", status)
	switch {
	case status == 404 || status == 410:
		return &packhouse.Error{Kind: packhouse.KindNotFound, Reason: "upstream_not_found",
			Message: fmt.Sprintf("connection %q does not have it", c.Name)}
	case status == 429 || status == 503 && retryAfter > 0:
		e := failure(c, ReasonThrottled, answered+": it asks not to be asked for now", nil)
		e.RetryAfter = retryAfter
		return e
	case status == 401 || status == 403 || status == 407:
		return failure(c, ReasonRefused, answered+": it does not accept our credentials, or wants some", nil)
	case status >= 500:
		return failure(c, ReasonFailed, answered, nil)
	}
	return failure(c, ReasonBadAnswer, answered+", which cannot be used", nil)
}

// retryable reports whether the same request may well succeed in a moment.
func retryable(err error) bool {
	switch packhouse.ReasonOf(err) {
	case ReasonUnreachable, ReasonBrokenOff, ReasonFailed:
		return true
	}
	return false
}

// tripping reports whether err counts against the connection's health.
func tripping(err error) bool { return retryable(err) || packhouse.ReasonOf(err) == ReasonTimeout }
