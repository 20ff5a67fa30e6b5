package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// bigPackage is a package of a synthetic registry: like the public one's in shape and
// size, made anew from its seed whenever it is asked for.
type bigPackage struct {
	name     string
	versions int
	bytes    int // of each version's object, roughly
}

// bigRegistry is a public registry of packages that are large, or many. Only the newest
// version of each has an archive.
type bigRegistry struct {
	*httptest.Server
	packages map[string]bigPackage
	archives map[string][]byte // by package

	mu    sync.Mutex
	asked map[string]int // by path
}

func newBigRegistry(t testing.TB, packages ...bigPackage) *bigRegistry {
	t.Helper()
	r := &bigRegistry{packages: map[string]bigPackage{}, archives: map[string][]byte{}, asked: map[string]int{}}
	for _, p := range packages {
		r.packages[p.name] = p
		r.archives[p.name] = npmPackage{Name: p.name, Version: p.newest(), Files: map[string]string{"index.js": "module.exports = 1\n"}}.tarball(t)
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (p bigPackage) version(i int) string { return fmt.Sprintf("%d.%d.%d", 1+i/1000, i/20%50, i%20) }
func (p bigPackage) newest() string       { return p.version(p.versions - 1) }

// requests returns how often a path was asked for.
func (r *bigRegistry) requests(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[path]
}

func (r *bigRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked[req.URL.Path]++
	r.mu.Unlock()
	name, file, isFile := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/-/")
	p, ok := r.packages[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if isFile {
		if file != name+"-"+p.newest()+".tgz" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(r.archives[name])
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", `"`+strconv.Itoa(p.versions)+`"`)
	out := io.Writer(w)
	if req.Header.Get("Accept-Encoding") == "gzip" {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		defer z.Close()
		out = z
	}
	r.write(out, p)
}

// write writes a packument in the public registry's shape.
func (r *bigRegistry) write(w io.Writer, p bigPackage) {
	seed := sha512.Sum512([]byte(p.name))
	random := rand.New(rand.NewChaCha8([32]byte(seed[:32])))
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"_id":%q,"_rev":"1-0","name":%q,"dist-tags":{"latest":%q},"versions":{`, p.name, p.name, p.newest())
	for i := range p.versions {
		if i > 0 {
			b.WriteByte(',')
		}
		r.writeVersion(&b, p, i, random)
		if b.Len() > 64<<10 {
			_, _ = w.Write(b.Bytes())
			b.Reset()
		}
	}
	b.WriteString(`},"time":{"created":"2015-01-01T00:00:00.000Z","modified":"2020-01-01T00:00:00.000Z"`)
	for i := range p.versions {
		fmt.Fprintf(&b, `,%q:"2016-01-01T00:00:00.%03dZ"`, p.version(i), i%1000)
	}
	fmt.Fprintf(&b, `},"maintainers":[{"name":"someone","email":"someone@example.com"}],"license":"MIT","readme":%q}`, strings.Repeat("# "+p.name+"\n", 50))
	_, _ = w.Write(b.Bytes())
}

func (r *bigRegistry) writeVersion(b *bytes.Buffer, p bigPackage, i int, random *rand.Rand) {
	version, archive := p.version(i), []byte(p.version(i))
	if i == p.versions-1 {
		archive = r.archives[p.name]
	}
	sum := sha512.Sum512(archive)
	start := b.Len()
	fmt.Fprintf(b, `%q:{"name":%q,"version":%q,"description":"a package of a synthetic registry","main":"index.js","license":"MIT",`+
		`"repository":{"type":"git","url":"git+https://git.example.com/someone/%s.git"},"author":{"name":"someone"},`+
		`"scripts":{"test":"node test.js","build":"node build.js --minify"},"engines":{"node":">=12"},"_id":"%s@%s",`+
		`"_nodeVersion":"16.13.0","_npmVersion":"8.1.0","_npmUser":{"name":"someone","email":"someone@example.com"},`+
		`"dist":{"integrity":"sha512-%s","tarball":"%s/%s/-/%s-%s.tgz","fileCount":%d,"unpackedSize":%d,`+
		`"signatures":[{"keyid":"SHA256:test","sig":"%s"}]},"dependencies":{`,
		version, p.name, version, p.name, p.name, version, base64.StdEncoding.EncodeToString(sum[:]),
		r.URL, p.name, p.name, version, random.IntN(500), random.IntN(1e6), base64.StdEncoding.EncodeToString(sum[:48]))
	for d := 0; b.Len()-start < p.bytes || d == 0; d++ {
		if d > 0 {
			b.WriteByte(',')
		}
		// Dependencies are the same from version to version, their ranges nearly so.
		fmt.Fprintf(b, `"dependency-%s-%d":"^%d.%d.0"`, hex.EncodeToString([]byte(p.name)[:1]), d, 1+d%9, random.IntN(4)+i/100)
	}
	b.WriteString(`}}`)
}

// memoryOf reads the resident memory of a process: now, and at its highest since the
// process began or resetPeak, in bytes.
func memoryOf(t testing.TB, pid int) (now, peak int64) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("resident memory is read from /proc: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			now = kb << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			peak = kb << 10
		}
	}
	return now, peak
}
