package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// pullServer is a server whose repository pulls from a public registry of our own.
type pullServer struct {
	*seedServer
	public *npmRegistry
	repo   string
}

func startPullServer(t *testing.T, config string, packages ...npmPackage) *pullServer {
	t.Helper()
	public := newNPMRegistry(t, packages...)
	flags := []string{"--connection", "public:npmjs=" + public.URL + "/"}
	if config != "" {
		file := filepath.Join(t.TempDir(), "packhouse.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--config", file)
	}
	p := &pullServer{seedServer: startSeedServer(t, flags...), public: public}
	p.repo = p.connect(t, p.seedServer.repo(t))
	return p
}

// big is a package whose archive has about the size in bytes and does not compress.
func big(name string, size int) npmPackage {
	noise := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(noise)
	return npmPackage{Name: name, Version: "1.0.0", Files: map[string]string{"noise": string(noise)}}
}

// open sends a GET with the registry token; the caller closes the body.
func (p *pullServer) open(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url(p.repo, path), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	return http.DefaultClient.Do(req)
}

// get reads an answer to its end; err tells an end that was not clean.
func (p *pullServer) get(t *testing.T, path string) (status int, body []byte, err error) {
	t.Helper()
	resp, err := p.open(t.Context(), path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// healed waits until a path answers these bytes: errors may be remembered for some
// seconds (reliability.md R28).
func (p *pullServer) healed(t *testing.T, path string, want []byte) {
	t.Helper()
	eventually(t, path+" to be served after the upstream healed", func() bool {
		status, body, err := p.get(t, path)
		if status == http.StatusOK && err == nil && !bytes.Equal(body, want) {
			t.Fatalf("%s: %d bytes that are not the upstream's %d", path, len(body), len(want))
		}
		return status == http.StatusOK && err == nil
	})
}

// R26, R27, R30: whatever an upstream does to an archive, no client ever sees a clean end
// of wrong bytes, nothing wrong is kept, and the next request after the upstream healed
// gets the right ones without anybody's help.
func TestUpstreamFaultsOfAnArchive(t *testing.T) {
	t.Parallel()
	type fault func(archive []byte) http.HandlerFunc
	part := func(length, sent int) fault {
		return func(archive []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				if length != 0 {
					w.Header().Set("Content-Length", fmt.Sprint(len(archive)*length/100))
				}
				_, _ = w.Write(archive[:len(archive)*sent/100])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		}
	}
	whole := func(change func([]byte) []byte) fault {
		return func(archive []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(change(bytes.Clone(archive))) }
		}
	}
	faults := map[string]fault{
		"cut at the half with a length": part(100, 50),
		"cut at the half in chunks":     part(0, 50),
		"cut after the headers":         part(100, 0),
		"clean end at the half":         whole(func(b []byte) []byte { return b[:len(b)/2] }),
		"empty":                         whole(func([]byte) []byte { return nil }),
		"one bit flipped":               whole(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
		"too long":                      whole(func(b []byte) []byte { return append(b, 0) }),
		"a page of HTML": func([]byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<!doctype html><title>Sign in</title>")
			}
		},
		"a part as the answer to no range": func(archive []byte) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-99/%d", len(archive)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(archive[:100])
			}
		},
	}
	var packages []npmPackage
	names := map[string]string{}
	for fault := range faults {
		name := strings.ReplaceAll(fault, " ", "-")
		name = strings.ToLower(name)
		names[fault] = name
		packages = append(packages, big(name, 300_000))
	}
	p := startPullServer(t, "", packages...)
	for what, fault := range faults {
		t.Run(what, func(t *testing.T) {
			name := names[what]
			path := name + "/-/" + name + "-1.0.0.tgz"
			archive := p.public.archives["/"+path]
			p.public.setFault("/"+path, fault(archive))
			status, body, err := p.get(t, path)
			if err == nil && (status < 500 || status > 599) {
				t.Errorf("a clean %d with %d bytes", status, len(body))
			}
			if p.has(t, p.repo, name, "1.0.0") {
				t.Error("the version was kept")
			}
			p.public.setFault("/"+path, nil)
			p.healed(t, path, archive)
		})
	}
	t.Run("cut at the half and resumed by range", func(t *testing.T) {
		name := names["one bit flipped"] // healthy by now, and kept: take another repository
		path := name + "/-/" + name + "-1.0.0.tgz"
		archive := p.public.archives["/"+path]
		p := &pullServer{seedServer: p.seedServer, public: p.public}
		if _, err := p.api.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("resumed")}); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			second(p.api.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: aws.String("resumed"), Repository: aws.String("store")})),
			second(p.api.AssociateExternalConnection(t.Context(), &codeartifact.AssociateExternalConnectionInput{Domain: aws.String("resumed"), Repository: aws.String("store"), ExternalConnection: aws.String("public:npmjs")})),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		token := p.registryToken(t, "resumed")
		var ranges atomic.Int64
		p.public.setFault("/"+path, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("ETag", `"archive"`)
			if req.Header.Get("Range") != "" {
				ranges.Add(1)
				http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(archive))
				return
			}
			w.Header().Set("Accept-Ranges", "bytes")
			part(100, 50)(archive)(w, req)
		})
		status, got := do(t, http.MethodGet, p.base("npm", "resumed", "store")+path, token, nil)
		if status != http.StatusOK || !bytes.Equal(got, archive) || ranges.Load() == 0 {
			t.Errorf("%d with %d bytes of %d after %d requests for a range", status, len(got), len(archive), ranges.Load())
		}
	})
	if n := strings.Count(p.log.String(), "panic"); n != 0 {
		t.Errorf("the server panicked:\n%s", tail(p.log.String(), 4000))
	}
}

// second drops a result that nobody needs.
func second[T any](_ T, err error) error { return err }

// npm.md 14, S21, S22, S23: what an upstream says about packages when it is ill or hostile
// is never taken for "there is no such package", and leads nowhere that the operator did
// not write down.
func TestUpstreamFaultsOfAnIndex(t *testing.T) {
	t.Parallel()
	var visits atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits.Add(1)
		fmt.Fprint(w, `{"name":"secret","versions":{}}`)
	}))
	t.Cleanup(inside.Close)
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	faults := map[string]http.HandlerFunc{
		"500":           answer(500, "application/json", `{"error":"down"}`),
		"403":           answer(403, "application/json", `{"error":"go away"}`),
		"401":           answer(401, "application/json", `{"error":"who are you"}`),
		"html-for-json": answer(200, "text/html", "<!doctype html><title>Sign in</title>"),
		"empty":         answer(200, "application/json", ""),
		"cut-json":      answer(200, "application/json", `{"name":"cut-json","versions":{"1.0.0":{"name":"cut`),
		"no-object":     answer(200, "application/json", `["not","a","packument"]`),
		"deep":          answer(200, "application/json", strings.Repeat(`{"a":`, 10_000)+"1"+strings.Repeat("}", 10_000)),
		"redirect-inside": func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, inside.URL+"/secret", http.StatusFound)
		},
		"redirect-forever": func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, req.URL.Path, http.StatusFound) },
		"redirect-file": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "file:///etc/hostname")
			w.WriteHeader(http.StatusFound)
		},
		"breaks-off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"name":`)
			panic(http.ErrAbortHandler)
		},
	}
	var packages []npmPackage
	for name := range faults {
		packages = append(packages, npmPackage{Name: name, Version: "1.0.0"})
	}
	packages = append(packages, npmPackage{Name: "leads-inside", Version: "1.0.0"}, npmPackage{Name: "other-name", Version: "1.0.0"})
	p := startPullServer(t, "", packages...)
	for name, fault := range faults {
		p.public.setFault("/"+name, fault)
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			status, body, err := p.get(t, name)
			var e struct{ Error string }
			if err != nil || status < 502 || status > 504 || json.Unmarshal(body, &e) != nil || e.Error == "" {
				t.Errorf("%d %s %v, want 502 to 504 with an error that npm prints", status, body, err)
			}
			if strings.Contains(e.Error, "secret") || strings.Contains(e.Error, "go away") || strings.Contains(e.Error, "doctype") {
				t.Errorf("the error shows what the upstream said: %s", e.Error)
			}
		})
	}
	t.Run("an archive's address that leads inside is not followed", func(t *testing.T) {
		tgz := p.public.archives["/leads-inside/-/leads-inside-1.0.0.tgz"]
		doc, err := json.Marshal(map[string]any{"name": "leads-inside", "dist-tags": map[string]string{"latest": "1.0.0"},
			"time":     map[string]string{"1.0.0": "2020-01-01T00:00:00.000Z"},
			"versions": map[string]any{"1.0.0": map[string]any{"name": "leads-inside", "version": "1.0.0", "dist": dist(tgz, inside.URL+"/leads-inside.tgz")}}})
		if err != nil {
			t.Fatal(err)
		}
		p.public.setFault("/leads-inside", answer(200, "application/json", string(doc)))
		status, body, err := p.get(t, "leads-inside/-/leads-inside-1.0.0.tgz")
		if err == nil && status < 500 {
			t.Errorf("%d %s", status, body)
		}
	})
	if n := visits.Load(); n != 0 {
		t.Errorf("the server on the inside got %d requests", n)
	}
	for name := range faults {
		p.public.setFault("/"+name, nil)
	}
	for name := range faults {
		eventually(t, name+" to be served after the upstream healed", func() bool {
			status, _, err := p.get(t, name)
			return err == nil && status == http.StatusOK
		})
	}
}

// R28: 64 clients that miss the same archive at the same time share one transfer, each
// gets its first bytes while the upstream still sends, and all 64 get the whole.
func TestUpstreamOneFetchForAll(t *testing.T) {
	t.Parallel()
	const clients = 64
	p := startPullServer(t, "", big("shared", 5<<20))
	const path = "shared/-/shared-1.0.0.tgz"
	archive := p.public.archives["/"+path]
	started := make(chan struct{}, clients)
	allStarted := make(chan struct{})
	go func() {
		for range clients {
			<-started
		}
		close(allStarted)
	}()
	p.public.setFault("/"+path, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
		_, _ = w.Write(archive[:1<<20])
		w.(http.Flusher).Flush()
		select {
		case <-allStarted:
		case <-req.Context().Done():
			return
		}
		for rest := archive[1<<20:]; len(rest) > 0; {
			n := min(len(rest), 64<<10)
			_, _ = w.Write(rest[:n])
			w.(http.Flusher).Flush()
			rest = rest[n:]
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			resp, err := p.open(ctx, path)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			got := make([]byte, 1)
			if _, err := io.ReadFull(resp.Body, got); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %v", resp.Status, err)
				return
			}
			started <- struct{}{}
			rest, err := io.ReadAll(resp.Body)
			if got = append(got, rest...); err != nil || !bytes.Equal(got, archive) {
				t.Errorf("%d bytes of %d: %v", len(got), len(archive), err)
			}
		})
	}
	wg.Wait()
	if n := p.public.count(path); n != 1 {
		t.Errorf("the upstream was asked %d times for the archive, want once", n)
	}
	if n := p.public.count("GET /shared"); n != 2 { // the packument and the archive
		t.Errorf("the upstream got %d requests, want 2", n)
	}
	p.public.setDown(true)
	if status, got, err := p.get(t, path); status != http.StatusOK || err != nil || !bytes.Equal(got, archive) {
		t.Errorf("kept: %d with %d bytes, %v", status, len(got), err)
	}
}

// R29: what is fresh is not asked again, what is stale is asked conditionally, absence is
// remembered, and an upstream that is down takes nothing away that was there.
func TestUpstreamCaches(t *testing.T) {
	t.Parallel()
	t.Run("fresh and absent", func(t *testing.T) {
		t.Parallel()
		p := startPullServer(t, "", npmPackage{Name: "known", Version: "1.0.0"}, npmPackage{Name: "never-asked", Version: "1.0.0"})
		for range 3 {
			if status, body, _ := p.get(t, "known"); status != http.StatusOK {
				t.Fatalf("known: %d %s", status, body)
			}
			if status, body, _ := p.get(t, "unknown"); status != http.StatusNotFound {
				t.Fatalf("unknown: %d %s", status, body)
			}
		}
		for _, name := range []string{"/known", "/unknown"} {
			if n := p.public.count(name); n != 1 {
				t.Errorf("the upstream was asked %d times for %s, want once", n, name)
			}
		}
		p.public.setDown(true)
		if status, _, _ := p.get(t, "known"); status != http.StatusOK {
			t.Errorf("a fresh index with the upstream down: %d", status)
		}
		for _, path := range []string{"never-asked", "never-asked/-/never-asked-1.0.0.tgz", "known/-/known-1.0.0.tgz"} {
			if status, body, err := p.get(t, path); err == nil && (status < 502 || status > 504) {
				t.Errorf("%s with the upstream down: %d %s, want 502 to 504", path, status, body)
			}
		}
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		p := startPullServer(t, "upstreams:\n  fresh_for: 1ms\n", npmPackage{Name: "known", Version: "1.0.0"})
		_, first, _ := p.get(t, "known")
		eventually(t, "a conditional request", func() bool {
			status, again, _ := p.get(t, "known")
			if status != http.StatusOK || !bytes.Equal(first, again) {
				t.Fatalf("renewed: %d %s, was %s", status, again, first)
			}
			return p.public.renewals() > 0
		})
		if status, _, _ := p.get(t, "known/-/known-1.0.0.tgz"); status != http.StatusOK {
			t.Fatalf("archive: %d", status)
		}
		p.public.setDown(true)
		resp, err := p.open(t.Context(), "known")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || err != nil || len(decode[packument](t, body).Versions) != 1 || !strings.HasPrefix(resp.Header.Get("Warning"), "110") {
			t.Errorf("stale: %s %v %s, want the kept one with Warning: 110", resp.Status, resp.Header, body)
		}
		if status, _, err := p.get(t, "known/-/known-1.0.0.tgz"); status != http.StatusOK || err != nil {
			t.Errorf("a kept archive: %d %v", status, err)
		}
		// The kept index outlives the process.
		p.kill()
		p.start()
		if status, body, _ := p.get(t, "known"); status != http.StatusOK {
			t.Errorf("stale after a restart: %d %s", status, body)
		}
	})
}

// gate answers an archive's first half at once and the rest when it is opened.
type gate struct {
	archive []byte
	open    chan struct{}
}

func (g gate) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(g.archive)))
	_, _ = w.Write(g.archive[:len(g.archive)/2])
	w.(http.Flusher).Flush()
	select {
	case <-g.open:
		_, _ = w.Write(g.archive[len(g.archive)/2:])
	case <-req.Context().Done():
	}
}

// R18: a server that is asked to end finishes what it is sending.
func TestShutdownFinishesADownload(t *testing.T) {
	t.Parallel()
	p := startPullServer(t, "", big("long", 4<<20))
	const path = "long/-/long-1.0.0.tgz"
	g := gate{archive: p.public.archives["/"+path], open: make(chan struct{})}
	p.public.setFault("/"+path, g.ServeHTTP)
	resp, err := p.open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	address := p.URL
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server to take no more requests", func() bool {
		r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(address + "/readyz")
		if err != nil {
			return true
		}
		defer r.Body.Close()
		return r.StatusCode != http.StatusOK
	})
	close(g.open)
	rest, err := io.ReadAll(resp.Body)
	if got := append(first, rest...); err != nil || !bytes.Equal(got, g.archive) {
		t.Errorf("%d bytes of %d: %v", len(got), len(g.archive), err)
	}
	<-p.done
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, tail(p.log.String(), 4000))
	}
	p.start()
	p.public.setDown(true)
	if status, got, err := p.get(t, path); status != http.StatusOK || err != nil || !bytes.Equal(got, g.archive) {
		t.Errorf("after the restart: %d with %d bytes, %v; the finished transfer was not kept", status, len(got), err)
	}
}

// R7, R26: killed in the middle of a pull, twice, the server keeps nothing of it and pulls
// anew.
func TestKillInAPullLeavesNothingPartial(t *testing.T) {
	t.Parallel()
	p := startPullServer(t, "", big("long", 4<<20))
	const path = "long/-/long-1.0.0.tgz"
	archive := p.public.archives["/"+path]
	for range 2 {
		g := gate{archive: archive, open: make(chan struct{})}
		p.public.setFault("/"+path, g.ServeHTTP)
		resp, err := p.open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		p.kill()
		close(g.open)
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the client saw a clean end")
		}
		resp.Body.Close()
		p.start()
		if p.has(t, p.repo, "long", "1.0.0") || p.size(t) != 0 {
			t.Errorf("after the kill the version is there, or %d bytes of it", p.size(t))
		}
	}
	p.public.setFault("/"+path, nil)
	p.healed(t, path, archive)
	if got := p.size(t); got != int64(len(archive)) {
		t.Errorf("assetSizeBytes is %d, want %d", got, len(archive))
	}
}
