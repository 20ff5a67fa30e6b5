package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/server"
)

// Exit codes, the same for every command (user-experience.md 2).
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitRefused     = 4
	exitConflict    = 5
	exitUnreachable = 6
	exitInterrupted = 130
)

// errTold ends a command that has said everything already.
var errTold = errors.New("told already")

// usageError is a command line that is wrong.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func exitCode(ctx context.Context, err error) int {
	var usage usageError
	var dial *net.OpError
	var web *url.Error
	var answered *client.Error
	switch {
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag"):
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, server.ErrNoData), errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	}
	switch packhouse.KindOf(err) {
	case packhouse.KindInvalid:
		return exitUsage
	case packhouse.KindNotFound:
		return exitNotFound
	case packhouse.KindDenied, packhouse.KindUnauthenticated:
		return exitRefused
	case packhouse.KindConflict, packhouse.KindQuotaExceeded:
		return exitConflict
	case packhouse.KindUpstream, packhouse.KindUpstreamTimeout, packhouse.KindUnavailable:
		return exitUnreachable
	}
	switch {
	case errors.As(err, &answered):
		return answeredCode(answered.Status)
	case errors.As(err, &dial) || errors.As(err, &web):
		return exitUnreachable
	}
	return exitFailed
}

// answeredCode is the exit code for a status that the server answered with.
func answeredCode(status int) int {
	switch status {
	case http.StatusBadRequest:
		return exitUsage
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitRefused
	case http.StatusConflict, http.StatusPaymentRequired:
		return exitConflict
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnreachable
	}
	return exitFailed
}

// explain adds a next step to errors that have an obvious one.
func explain(err error) string {
	text := err.Error()
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		text += "; is the server running? Start it with `packhouse serve`"
	}
	return text
}
