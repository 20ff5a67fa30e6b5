package codeartifact

import (
	"net/http"
	"strconv"
	"time"

	"github.com/packhouse/packhouse/internal/httpx"
)

// responder is an output that is not JSON.
type responder interface {
	respond(w http.ResponseWriter, r *http.Request) error
}

// respond writes a row's output: always 200 (codeartifact.md 1.2).
func respond(w http.ResponseWriter, r *http.Request, out any) error {
	if o, ok := out.(responder); ok {
		return o.respond(w, r)
	}
	_ = httpx.WriteJSON(w, http.StatusOK, out) // outputs always encode: what can fail is a client that hung up
	return nil
}

// timestamp travels as a JSON number, seconds since the epoch with milliseconds: the
// Go SDK cannot decode anything else. The zero time is left out by omitzero.
type timestamp time.Time

// IsZero is for omitzero.
func (t timestamp) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON writes the number.
func (t timestamp) MarshalJSON() ([]byte, error) {
	ms := time.Time(t).UnixMilli()
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	b := append([]byte(sign), strconv.FormatInt(ms/1000, 10)...)
	if ms%1000 != 0 {
		b = append(b, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return b, nil
}

// each converts a list. The result is never nil, so that an empty list travels as []
// and not as null.
func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = convert(a)
	}
	return out
}
