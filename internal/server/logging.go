package server

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/packhouse/packhouse/internal/config"
)

// NewLogger makes the process's logger.
func NewLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	form := c.Format
	if form == "" {
		form = "json"
		if f, ok := w.(*os.File); ok && isTerminal(f) {
			form = "text"
		}
	}
	if form == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// maxLogPath bounds the path in the access log, in bytes.
const maxLogPath = 256

// secretMarks are what tokens and secrets that can stand in a path begin with, or stand
// behind.
var secretMarks = []string{"phr_", "phs_", "v4.local"}

// logPath is a path as the access log shows it: without query, cut, and without what
// stands where a token could stand (reliability.md S38).
func logPath(path string) string {
	if len(path) > maxLogPath {
		path = path[:maxLogPath] + "..."
	}
	if !strings.Contains(path, "token") && !strings.Contains(path, "login") && !holdsSecret(path) {
		return path
	}
	segs := strings.Split(path, "/")
	for i, s := range segs {
		if i > 1 && behindSecret(segs[i-2], segs[i-1]) || holdsSecret(s) {
			segs[i] = "[redacted]"
		}
	}
	return strings.Join(segs, "/")
}

func holdsSecret(s string) bool {
	return slices.ContainsFunc(secretMarks, func(mark string) bool { return strings.Contains(s, mark) })
}

// behindSecret reports the two segments after which a token, or a login's page, follows.
func behindSecret(first, second string) bool {
	switch second {
	case "token", "tokens":
		return first == "user" || first == "tokens"
	case "login":
		return first == "ui"
	}
	return false
}

// logMethod keeps methods of a client's own making out of the log.
func logMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
