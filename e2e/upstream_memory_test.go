package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// startBigServer is a server with a repository "team" over "store", which has the
// connection to the registry.
func startBigServer(t *testing.T, r *bigRegistry) (s *server, token string) {
	t.Helper()
	s = startServer(t, "--connection", "public:npmjs="+r.URL+"/")
	makeStore(t, s, "main", "store")
	makeStore(t, s, "main", "team", "store")
	if _, err := s.sdk().AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{
		Domain: aws.String("main"), Repository: aws.String("store"), ExternalConnection: aws.String("public:npmjs")}); err != nil {
		t.Fatal(err)
	}
	return s, s.token("main")
}

// drain gets a path as npm does, compressed, and returns the status and the decoded size.
func drain(t *testing.T, s *server, token, path string, compressed bool) (status int, size int64, err error) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.base("npm", "main", "team")+path, nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept-Encoding", "identity")
	if compressed {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(resp.Body); err != nil {
			return resp.StatusCode, 0, err
		}
	}
	size, err = io.Copy(io.Discard, body)
	return resp.StatusCode, size, err
}

// performance.md 23: what a cold install of 550 packages leaves behind, and takes at its
// height. npm reads all packuments first and the archives then.
func TestMemoryOfAColdInstall(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{7}))
	packages := make([]bigPackage, 550)
	for i := range packages {
		p := bigPackage{name: fmt.Sprintf("cold-%d", i), versions: 10 + random.IntN(150), bytes: 1500 + random.IntN(1500)}
		if i%60 == 0 {
			p.versions = 2000 // the handful that are ten times as large
		}
		packages[i] = p
	}
	r := newBigRegistry(t, packages...)
	s, token := startBigServer(t, r)
	idle, _ := memoryOf(t, s.cmd.Process.Pid)
	all := func(path func(bigPackage) string) {
		var wg sync.WaitGroup
		next := make(chan bigPackage)
		for range 15 {
			wg.Go(func() {
				for p := range next {
					if status, _, err := drain(t, s, token, path(p), true); status != http.StatusOK || err != nil {
						t.Errorf("%s: %d %v", path(p), status, err)
					}
				}
			})
		}
		for _, p := range packages {
			next <- p
		}
		close(next)
		wg.Wait()
	}
	all(func(p bigPackage) string { return p.name })
	documents, _ := memoryOf(t, s.cmd.Process.Pid)
	all(func(p bigPackage) string { return fmt.Sprintf("%s/-/%s-%s.tgz", p.name, p.name, p.newest()) })
	after, peak := memoryOf(t, s.cmd.Process.Pid)
	t.Logf("idle %d MiB, after the documents %d MiB, after the archives %d MiB, at the highest %d MiB", idle>>20, documents>>20, after>>20, peak>>20)
	left := after
	eventually(t, "the memory of the burst to be given back", func() bool {
		left, _ = memoryOf(t, s.cmd.Process.Pid)
		return left <= 100<<20
	})
	t.Logf("left behind: %d MiB", left>>20)
	checkMemory(t, s.cmd.Process.Pid, 160)
}

// npm.md 8.17: 50 clients and one enormous packument.
func TestMemoryOfAnEnormousPackument(t *testing.T) {
	for _, p := range []bigPackage{{"sixty", 12_000, 5_000}, {"hundred", 20_000, 5_000}} {
		t.Run(p.name, func(t *testing.T) {
			r := newBigRegistry(t, p)
			s, token := startBigServer(t, r)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if status, size, err := drain(t, s, token, p.name, true); status != http.StatusOK || err != nil || size < int64(p.versions*p.bytes) {
						t.Errorf("%d with %d bytes, %v", status, size, err)
					}
				})
			}
			wg.Wait()
			checkMemory(t, s.cmd.Process.Pid, 256)
			if n := r.requests("/" + p.name); n != 1 {
				t.Errorf("%d requests for the packument, want 1", n)
			}
		})
	}
}

// performance.md 17: 64 clients and one file of 50 MB that is not here yet: one transfer,
// 64 whole files, and no copy of them in memory.
func TestMemoryOfAHerd(t *testing.T) {
	const clients = 64
	p := startPullServer(t, "", big("herd", 50<<20))
	const path = "herd/-/herd-1.0.0.tgz"
	want := int64(len(p.public.archives["/"+path]))
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			resp, err := p.open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); resp.StatusCode != http.StatusOK || n != want || err != nil {
				t.Errorf("%s with %d bytes of %d, %v", resp.Status, n, want, err)
			}
		})
	}
	wg.Wait()
	if n := p.public.count(path); n != 1 {
		t.Errorf("the upstream was asked %d times for the archive, want once", n)
	}
	checkMemory(t, p.cmd.Process.Pid, 100)
}

// A8: a packument beyond the limit is refused in words that npm prints, and costs nothing.
func TestPackumentBeyondTheLimit(t *testing.T) {
	r := newBigRegistry(t, bigPackage{"beyond", 22_000, 5_000}, bigPackage{"small", 3, 1000})
	s, token := startBigServer(t, r)
	status, body := do(t, http.MethodGet, s.base("npm", "main", "team")+"beyond", token, nil)
	if status != http.StatusBadGateway || !strings.Contains(string(body), "more than 104857600 bytes") {
		t.Errorf("%d %.300s, want 502 with the limit", status, body)
	}
	if status, _, err := drain(t, s, token, "small", true); status != http.StatusOK || err != nil {
		t.Errorf("a small package afterwards: %d %v", status, err)
	}
	checkMemory(t, s.cmd.Process.Pid, 256)
}

// checkMemory fails the test where a process had more resident memory than so many MiB.
func checkMemory(t *testing.T, pid int, most int64) {
	t.Helper()
	now, peak := memoryOf(t, pid)
	t.Logf("resident now %d MiB, at the highest %d MiB", now>>20, peak>>20)
	if peak > most<<20 {
		t.Errorf("%d MiB of resident memory at the highest, want %d at most", peak>>20, most)
	}
}
