package httpx

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/packhouse/packhouse"
)

// StatusClientGone is the status of a request that ended because its client hung up. No
// client sees it; logs and metrics tell it from a failure of ours.
const StatusClientGone = 499

// Status is the HTTP status of an error in every protocol that has no rule of its own
// (layout.md 5.8, column "other rooms"). An *http.MaxBytesError is 413, a cancelled
// context StatusClientGone, a deadline of ours that passed 503.
func Status(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	switch packhouse.KindOf(err) {
	case packhouse.KindInvalid:
		if packhouse.ReasonOf(err) == reasonRange {
			return http.StatusRequestedRangeNotSatisfiable
		}
		return http.StatusBadRequest
	case packhouse.KindUnauthenticated:
		return http.StatusUnauthorized
	case packhouse.KindDenied:
		return http.StatusForbidden
	case packhouse.KindNotFound:
		return http.StatusNotFound
	case packhouse.KindConflict:
		return http.StatusConflict
	case packhouse.KindQuotaExceeded:
		return http.StatusPaymentRequired
	case packhouse.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case packhouse.KindThrottled:
		return http.StatusTooManyRequests
	case packhouse.KindUnsupported:
		return http.StatusMethodNotAllowed
	case packhouse.KindUpstream:
		return http.StatusBadGateway
	case packhouse.KindUpstreamTimeout:
		return http.StatusGatewayTimeout
	case packhouse.KindUnavailable:
		return http.StatusServiceUnavailable
	case packhouse.KindDiskLow:
		return http.StatusInsufficientStorage
	}
	switch {
	case errors.Is(err, context.Canceled):
		return StatusClientGone
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Message is the text of an error that may leave the process. Everything that is not
// an *packhouse.Error meant for callers is "internal error".
func Message(err error) string {
	var e *packhouse.Error
	if errors.As(err, &e) && e.Kind != packhouse.KindInternal && e.Message != "" {
		return e.Message
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"
	}
	return "internal error"
}

// SetRetryAfter sets Retry-After, in whole seconds rounded up, where the error knows
// when to come back. Throttled, Unavailable and DiskLow errors without a time get the
// defaults of reliability.md R21: 1 s, 5 s and 60 s.
func SetRetryAfter(h http.Header, err error) {
	var e *packhouse.Error
	if !errors.As(err, &e) {
		return
	}
	seconds := int64((e.RetryAfter + 999_999_999) / 1_000_000_000)
	if seconds <= 0 {
		switch e.Kind {
		case packhouse.KindThrottled:
			seconds = 1
		case packhouse.KindUnavailable:
			seconds = 5
		case packhouse.KindDiskLow:
			seconds = 60
		default:
			return
		}
	}
	h.Set("Retry-After", strconv.FormatInt(seconds, 10))
}
