package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// npmRegistry is a public npm registry of our own: packages from text, requests
// counted, cut off and restored at will.
type npmRegistry struct {
	*httptest.Server
	mu       sync.Mutex
	packages map[string][]npmPackage
	requests []string
	down     bool
	archives map[string][]byte // by path
	faults   map[string]http.HandlerFunc
	renewed  int               // answers 304
	dates    map[string]string // of name@version where it is not published; "" for none
}

// published is the time at which every package of the registry was published.
var published = time.Date(2020, 2, 29, 12, 30, 15, 250e6, time.UTC)

func newNPMRegistry(t testing.TB, packages ...npmPackage) *npmRegistry {
	r := &npmRegistry{packages: make(map[string][]npmPackage), archives: make(map[string][]byte),
		faults: make(map[string]http.HandlerFunc)}
	for _, p := range packages {
		r.packages[p.Name] = append(r.packages[p.Name], p)
		r.archives["/"+p.Name+"/-/"+archiveName(p)] = p.tarball(t)
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func archiveName(p npmPackage) string {
	return p.Name[strings.LastIndexByte(p.Name, '/')+1:] + "-" + p.Version + ".tgz"
}

// setDown cuts the registry off: every request is refused with 503.
func (r *npmRegistry) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// setFault answers a path by h instead; nil heals it.
func (r *npmRegistry) setFault(path string, h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[path] = h
}

// renewals returns how many packuments were answered with 304.
func (r *npmRegistry) renewals() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.renewed
}

// count returns how many requests' "METHOD path" contained the text.
func (r *npmRegistry) count(text string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.requests {
		if strings.Contains(q, text) {
			n++
		}
	}
	return n
}

func (r *npmRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, err := url.PathUnescape(req.URL.EscapedPath())
	if err != nil {
		http.Error(w, "bad path", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+path)
	down, versions := r.down, r.packages[strings.TrimPrefix(path, "/")]
	archive, isArchive := r.archives[path]
	fault := r.faults[path]
	r.mu.Unlock()
	switch {
	case fault != nil:
		fault(w, req)
	case down:
		http.Error(w, `{"error":"down"}`, http.StatusServiceUnavailable)
	case isArchive:
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(archive)
	case len(versions) > 0:
		r.packument(w, req, versions)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"Not found"}`)
	}
}

func (r *npmRegistry) packument(w http.ResponseWriter, req *http.Request, versions []npmPackage) {
	name := versions[0].Name
	all := map[string]any{}
	times := map[string]string{"created": published.Format(time.RFC3339Nano), "modified": published.Format(time.RFC3339Nano)}
	latest := ""
	for _, p := range versions {
		m := p.manifest()
		m["_id"] = p.Name + "@" + p.Version
		m["_npmUser"] = map[string]string{"name": "someone", "email": "someone@example.com"}
		d := dist(r.archives["/"+name+"/-/"+archiveName(p)], r.URL+"/"+name+"/-/"+archiveName(p))
		d["signatures"] = []map[string]string{{"keyid": "SHA256:test", "sig": "c2lnbmF0dXJl"}}
		m["dist"] = d
		all[p.Version] = m
		times[p.Version] = published.Format("2006-01-02T15:04:05.000Z")
		r.mu.Lock()
		if at, ok := r.dates[name+"@"+p.Version]; ok {
			times[p.Version] = at
		}
		r.mu.Unlock()
		latest = p.Version
	}
	body, err := json.Marshal(map[string]any{
		"_id": name, "_rev": "3-abc", "name": name, "versions": all, "time": times,
		"dist-tags": map[string]string{"latest": latest}, "readme": "# " + name,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	w.Header().Set("ETag", etag)
	if req.Header.Get("If-None-Match") == etag {
		r.mu.Lock()
		r.renewed++
		r.mu.Unlock()
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
