package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/packhouse/packhouse"
)

// The switch of the read-only mode is a file in the data directory (reliability.md R24):
// it outlasts restarts, and can be set when the database takes no writes any more. What
// it holds is the reason that clients are told.
const (
	readOnlyFile    = "read-only"
	maxReason       = 200 // bytes
	readOnlyRefresh = time.Second
)

// readOnly follows the switch.
type readOnly struct {
	path   string
	refuse func(why error) // what else is to refuse writes
	log    *slog.Logger
	why    atomic.Pointer[packhouse.Error]
}

func newReadOnly(dataDir string, refuse func(error), log *slog.Logger) *readOnly {
	return &readOnly{path: filepath.Join(dataDir, readOnlyFile), refuse: refuse, log: log}
}

// refusal returns what writes are answered, nil while they are allowed.
func (r *readOnly) refusal() error {
	if r == nil {
		return nil
	}
	if e := r.why.Load(); e != nil {
		return e
	}
	return nil
}

// run follows the switch until ctx ends.
func (r *readOnly) run(ctx context.Context) { every(ctx, readOnlyRefresh, r.look) }

// look reads the switch. One that cannot be read stays as it was.
func (r *readOnly) look(ctx context.Context) {
	reason, on, err := ReadOnly(filepath.Dir(r.path))
	if err != nil {
		r.log.LogAttrs(ctx, slog.LevelWarn, "switch of the read-only mode unknown", slog.Any("error", err))
		return
	}
	was := r.why.Load()
	switch {
	case on && was == nil:
		text := "The server takes no writes at the moment."
		if reason != "" {
			text = "The server takes no writes at the moment: " + reason
		}
		e := &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "read_only", RetryAfter: time.Minute, Message: text}
		r.why.Store(e)
		r.refuse(e)
		r.log.LogAttrs(ctx, slog.LevelWarn, "writes are switched off", slog.String("reason", reason))
	case !on && was != nil:
		r.why.Store(nil)
		r.refuse(nil)
		r.log.LogAttrs(ctx, slog.LevelInfo, "writes are switched on again")
	}
}

// ReadOnly reports whether writes are switched off in a data directory, and why.
func ReadOnly(dataDir string) (reason string, on bool, err error) {
	f, err := os.Open(filepath.Join(dataDir, readOnlyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read-only mode: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxReason))
	if err != nil {
		return "", false, fmt.Errorf("read-only mode: %w", err)
	}
	reason, _, _ = strings.Cut(string(text), "\n")
	return strings.ToValidUTF8(strings.TrimSpace(reason), ""), true, nil
}

// SetReadOnly switches writes off in a data directory, for the reason, or on again. A
// server notices within a second.
func SetReadOnly(dataDir string, on bool, reason string) error {
	if err := prepareDir(dataDir, false); err != nil {
		return err
	}
	path := filepath.Join(dataDir, readOnlyFile)
	if !on {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("switch writes on: %w", err)
		}
		return nil
	}
	if len(reason) > maxReason || strings.ContainsFunc(reason, func(c rune) bool { return c < ' ' }) {
		return fmt.Errorf("the reason must be one line of at most %d bytes", maxReason)
	}
	// A server that finds it half-written has the reason cut off, nothing worse.
	if err := os.WriteFile(path, []byte(reason+"\n"), 0o600); err != nil {
		return fmt.Errorf("switch writes off: %w", err)
	}
	return nil
}
