package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// bare is the limit: the least that a Go server does to hold files. GET is
// http.ServeFile; PUT is hash, write, fsync, rename; with an upstream, what is missing
// is fetched, streamed to the client and kept in the same way.
type bare struct {
	dir      string
	upstream string
	client   *http.Client
}

func serveBare(ctx context.Context, listen, dir, upstream string) error {
	s := &http.Server{Addr: listen, ReadHeaderTimeout: 10 * time.Second,
		Handler: &bare{dir: dir, upstream: upstream, client: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: 64, DisableCompression: true}}}}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := filepath.Join(s.dir, path.Base(path.Clean("/"+r.URL.Path)))
	var err error
	switch {
	case r.Method == http.MethodPut:
		if err = s.keep(name, r.Body); err == nil {
			w.WriteHeader(http.StatusCreated)
		}
	case s.upstream != "" && r.URL.Path != "/" && !exists(name):
		err = s.pull(w, r, name)
	default:
		http.ServeFile(w, r, name)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// keep stores what it reads, durably.
func (s *bare) keep(name string, body io.Reader) (err error) {
	f, err := os.CreateTemp(s.dir, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	hash := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(hash, f)}, struct{ io.Reader }{body}, make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (s *bare) pull(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, strings.TrimSuffix(s.upstream, "/")+r.URL.Path, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("upstream: %s", resp.Status)
	}
	w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
	return s.keep(name, io.TeeReader(resp.Body, w))
}
