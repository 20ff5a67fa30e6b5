package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// upstream is a public registry of our own: synthetic packages with one version each, as
// far away as the row says, cut off on demand, every request counted.
type upstream struct {
	addr   string
	server *http.Server
	delay  atomic.Int64 // before each answer, in nanoseconds

	mu        sync.Mutex
	documents map[string][]byte // packuments by package
	archives  map[string][]byte // by path below the root
	requests  map[string]int    // by path below the root
	resumed   int               // requests with Range and If-Range
	cut       cutting
}

// cutting says how archives are served.
type cutting int

const (
	whole     cutting = iota
	cutOnce           // half of the first answer for each path, then the connection ends
	cutAlways         // half of every answer
)

func startUpstream(packages ...version) (*upstream, error) {
	u := &upstream{documents: map[string][]byte{}, archives: map[string][]byte{}, requests: map[string]int{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u.addr = l.Addr().String()
	for _, v := range packages {
		if err := u.add(v); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = u.server.Serve(l) }() // stop ends it
	return u, nil
}

func (u *upstream) stop() { _ = u.server.Close() }

func (u *upstream) url() string { return "http://" + u.addr + "/" }

// add makes a package known.
func (u *upstream) add(v version) error {
	archive, err := v.archive()
	if err != nil {
		return err
	}
	at := "2026-01-02T03:04:05.678Z"
	doc, err := json.Marshal(map[string]any{
		"_id": v.name, "_rev": "1-bench", "name": v.name, "dist-tags": map[string]string{"latest": v.number},
		"versions": map[string]any{v.number: v.published(archive, u.url())},
		"time":     map[string]string{"created": at, "modified": at, v.number: at},
	})
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.documents[v.name], u.archives[v.path()] = doc, archive
	return nil
}

// count returns how often a path was asked for; total counts all requests.
func (u *upstream) count(path string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.requests[path]
}

func (u *upstream) total() (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.requests {
		n += c
	}
	return n
}

func (u *upstream) resumptions() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.resumed
}

func (u *upstream) setCut(c cutting) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cut = c
}

// archive returns the bytes at a path.
func (u *upstream) archive(path string) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.archives[path]
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(u.delay.Load()))
	path, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	if err != nil {
		http.Error(w, "bad path", http.StatusBadRequest)
		return
	}
	u.mu.Lock()
	u.requests[path]++
	if r.Header.Get("Range") != "" && r.Header.Get("If-Range") != "" {
		u.resumed++
	}
	doc, archive := u.documents[path], u.archives[path]
	cut := archive != nil && (u.cut == cutAlways || u.cut == cutOnce && u.requests[path] == 1)
	u.mu.Unlock()
	switch {
	case cut:
		u.serveHalf(w, archive)
	case archive != nil:
		serveBytes(w, r, "application/octet-stream", archive)
	case doc != nil:
		serveBytes(w, r, "application/json", doc)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"Not found"}`)
	}
}

// serveBytes answers with ranges and conditions, as public registries do.
func serveBytes(w http.ResponseWriter, r *http.Request, mediaType string, body []byte) {
	setHeaders(w, mediaType, body)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// serveHalf announces the whole, sends half and hangs up.
func (u *upstream) serveHalf(w http.ResponseWriter, body []byte) {
	setHeaders(w, "application/octet-stream", body)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = w.Write(body[:len(body)/2]) // whoever is gone is gone
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func setHeaders(w http.ResponseWriter, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("ETag", fmt.Sprintf(`"%08x"`, checksum(body)))
}

// checksum tells a whole file from a broken one at next to no cost.
func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
