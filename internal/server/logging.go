package server

import (
	"io"
	"log/slog"
	"net/http"
	"os"
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

// logPath is a path as the access log shows it: without query, cut, and without what
// stands where a token could stand (reliability.md S38).
func logPath(path string) string {
	if len(path) > maxLogPath {
		path = path[:maxLogPath] + "..."
	}
	if !strings.Contains(path, "token") && !strings.Contains(path, "ph_") && !strings.Contains(path, "v4.local") {
		return path
	}
	segs := strings.Split(path, "/")
	for i, s := range segs {
		behindToken := i > 1 && (segs[i-1] == "token" || segs[i-1] == "tokens") && segs[i-2] == "user"
		if behindToken || strings.Contains(s, "ph_") || strings.Contains(s, "v4.local") {
			segs[i] = "[redacted]"
		}
	}
	return strings.Join(segs, "/")
}

// logMethod keeps methods of a client's own making out of the log.
func logMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
