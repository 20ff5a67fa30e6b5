package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/httpx"
)

// named notes a door's name for the log before the door answers.
func named(door string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpx.RecordOf(r.Context()).Door = door
		h.ServeHTTP(w, r)
	})
}

// exactly serves one path and nothing below it.
func exactly(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if httpx.RequestPath(r) != path {
			http.NotFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// replays is the memory of used signatures (reliability.md S7), in the catalog, so that
// it holds for every process and survives a restart.
type replays struct{ db *catalog.DB }

// Remember stores a signature and reports whether it was unknown.
func (m replays) Remember(ctx context.Context, hash [32]byte, expires time.Time) (fresh bool, err error) {
	err = m.db.Update(ctx, func(tx *catalog.Tx) error { return tx.RememberSignature(ctx, hash[:], expires) })
	if errors.Is(err, catalog.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// Forget gives a signature back.
func (m replays) Forget(ctx context.Context, hash [32]byte) error {
	return m.db.Update(ctx, func(tx *catalog.Tx) error { return tx.ForgetSignature(ctx, hash[:]) })
}
