package packhouse

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error for doors: each door maps kinds to its own statuses and
// codes in one file (layout.md 5.8).
type Kind uint8

// The kinds of error.
const (
	KindInternal        Kind = iota // our fault; text never leaves the process
	KindInvalid                     // the request is wrong and will stay wrong
	KindUnauthenticated             // no, unknown or expired credentials
	KindDenied                      // known caller, not allowed
	KindNotFound                    // no such thing, or not for this caller
	KindConflict                    // the thing's state forbids it
	KindQuotaExceeded               // a count or volume limit is reached
	KindTooLarge                    // one thing is bigger than allowed
	KindThrottled                   // too many requests; see RetryAfter
	KindUnsupported                 // the protocol has it, we do not
	KindUpstream                    // a public registry failed us
	KindUpstreamTimeout             // a public registry did not answer in time
	KindUnavailable                 // store away, read-only, shutting down
	KindDiskLow                     // no room to accept writes
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "denied", "not_found", "conflict",
	"quota_exceeded", "too_large", "throttled", "unsupported", "upstream", "upstream_timeout", "unavailable", "disk_low"}

// String returns the kind's name in lower snake case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error is the error that the engine returns and doors translate.
type Error struct {
	Kind       Kind
	Reason     string        // stable, machine-readable, lower_snake: "version_exists"
	Resource   string        // type of the thing it is about: "domain", "repository", "package", "package-version", "asset"; may be ""
	ResourceID string        // its name; may be ""
	Message    string        // safe for the caller; one sentence
	Near       string        // for NotFound: the name of a thing of the same type that was probably meant, as users write it; "" for none
	RetryAfter time.Duration // for Throttled and Unavailable; 0 for unknown
	Err        error         // cause; logged, never sent
}

// Error returns the message and the cause, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in err's chain, KindInternal if there
// is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// ReasonOf returns the reason of the first *Error in err's chain, "" if there is none.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Resource types, as CodeArtifact's resourceType spells them.
const (
	ResourceDomain     = "domain"
	ResourceRepository = "repository"
	ResourcePackage    = "package"
	ResourceVersion    = "package-version"
	ResourceAsset      = "asset"
)

// Invalidf makes a KindInvalid error.
func Invalidf(reason, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Conflictf makes a KindConflict error about the resource.
func Conflictf(reason, resource, id, format string, args ...any) *Error {
	return &Error{Kind: KindConflict, Reason: reason, Resource: resource, ResourceID: id, Message: fmt.Sprintf(format, args...)}
}

// NotFoundf makes a KindNotFound error about the resource; its reason is the
// resource's type followed by "_not_found".
func NotFoundf(resource, id, format string, args ...any) *Error {
	return &Error{Kind: KindNotFound, Reason: resource + "_not_found", Resource: resource, ResourceID: id, Message: fmt.Sprintf(format, args...)}
}

// Deniedf makes a KindDenied error.
func Deniedf(reason, format string, args ...any) *Error {
	return &Error{Kind: KindDenied, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Internal wraps an unexpected cause. The message that callers see says only that
// the server failed.
func Internal(err error) *Error {
	return &Error{Kind: KindInternal, Reason: "internal", Message: "internal error", Err: err}
}
