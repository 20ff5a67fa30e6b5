// Command figures measures what the issue promises of a running server: start, idle
// memory, and the cost of a warm packument beside a bare file server. It prints figures
// and judges none.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"archive/tar"
	"compress/gzip"
)

func main() {
	bin := flag.String("bin", "bin/packhouse", "the server to measure")
	seconds := flag.Int("seconds", 5, "length of each load")
	clients := flag.Int("clients", 16, "concurrent clients")
	serveFile := flag.String("serve-file", "", "be the bare file server for this file (used by the program itself)")
	flag.Parse()
	if *serveFile != "" {
		limitServer(*serveFile)
		return
	}
	if err := measure(*bin, *clients, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is a server under measurement.
type process struct {
	cmd  *exec.Cmd
	url  string
	took time.Duration // from exec to the first answer
}

var address = regexp.MustCompile(`http://(127\.0\.0\.1:[1-9][0-9]*)`)

// start runs a server and waits for its first answer at path.
func start(path string, name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	p := &process{cmd: cmd}
	for p.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%s said no address: %w", name, err)
		}
		if m := address.FindString(line); m != "" {
			p.url = m
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	for {
		resp, err := http.Get(p.url + path)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode < 500 {
				p.took = time.Since(began)
				return p, nil
			}
		}
		if time.Since(began) > 10*time.Second {
			return nil, fmt.Errorf("%s did not answer in 10 s", name)
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
}

// rss reads the resident size in bytes, cpu the user and system time.
func (p *process) rss() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	return n * int64(os.Getpagesize())
}

func (p *process) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	const ticks = 100 // per second, on every Linux that Go runs on
	return time.Duration(user+system) * time.Second / ticks
}

func measure(bin string, clients int, length time.Duration) error {
	dir, err := os.MkdirTemp("", "packhouse-figures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	data := filepath.Join(dir, "data")
	serve := []string{"serve", "--data-dir", data, "--listen", "127.0.0.1:0"}

	var starts []time.Duration
	for i := range 12 {
		p, err := start("/readyz", bin, serve...)
		if err != nil {
			return err
		}
		if i > 0 { // the first one makes the data directory
			starts = append(starts, p.took)
		}
		p.stop()
	}
	slices.Sort(starts)
	fmt.Printf("start to first answer     %v (min %v, max %v)\n", starts[len(starts)/2].Round(time.Millisecond), starts[0].Round(time.Millisecond), starts[len(starts)-1].Round(time.Millisecond))

	p, err := start("/readyz", bin, serve...)
	if err != nil {
		return err
	}
	defer p.stop()
	time.Sleep(5 * time.Second)
	fmt.Printf("idle resident memory      %.1f MiB\n", float64(p.rss())/(1<<20))

	token, base, err := fill(bin, data, p.url)
	if err != nil {
		return err
	}
	doc, err := get(base+"box", token)
	if err != nil {
		return err
	}
	before := statements(p.url)
	ours := load(p, base+"box", token, clients, length)
	after := statements(p.url)

	file := filepath.Join(dir, "box.json")
	if err := os.WriteFile(file, doc, 0o600); err != nil {
		return err
	}
	limit, err := start("/", os.Args[0], "-serve-file", file)
	if err != nil {
		return err
	}
	defer limit.stop()
	bare := load(limit, limit.url+"/", "", clients, length)
	fmt.Printf("warm packument (%d bytes)  %.0f req/s, %v CPU each; bare file server %.0f req/s, %v CPU each; ratio of CPU %.2f\n",
		len(doc), ours.rate, ours.cpu, bare.rate, bare.cpu, float64(ours.cpu)/float64(bare.cpu))
	fmt.Printf("SQL statements meanwhile  %.0f in %d requests\n", after-before, ours.requests)
	fmt.Printf("resident memory after     %.1f MiB\n", float64(p.rss())/(1<<20))
	return nil
}

// fill makes a repository with a package of 20 versions and returns a token and the
// repository's base.
func fill(bin, data, url string) (token, base string, err error) {
	env := append(os.Environ(), "PACKHOUSE_DATA_DIR="+data, "PACKHOUSE_URL="+url)
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command(bin, args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("packhouse %v: %w", args, err)
		}
		return out, err
	}
	if _, err := run("quickstart"); err != nil {
		return "", "", err
	}
	out, err := run("token", "create", "figures", "--user", "admin")
	if err != nil {
		return "", "", err
	}
	token = strings.TrimSpace(string(out))
	base = url + "/npm/main/store/"
	for i := range 20 {
		body, err := publishDoc("box", fmt.Sprintf("1.%d.0", i))
		if err != nil {
			return "", "", err
		}
		req, err := http.NewRequest(http.MethodPut, base+"box", bytes.NewReader(body))
		if err != nil {
			return "", "", err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "", "", err
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return "", "", fmt.Errorf("publish: %s %s", resp.Status, text)
		}
	}
	return token, base, nil
}

func publishDoc(name, version string) ([]byte, error) {
	manifest := map[string]any{"name": name, "version": version, "description": "a box", "license": "MIT",
		"dependencies": map[string]string{"left": "^1.0.0", "right": "^2.0.0"}}
	pkg, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "package/package.json", Mode: 0o644, Size: int64(len(pkg)), Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := w.Write(pkg); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": version},
		"versions": map[string]any{version: manifest},
		"_attachments": map[string]any{name + "-" + version + ".tgz": map[string]any{
			"data": base64.StdEncoding.EncodeToString(b.Bytes()), "length": b.Len()}},
	})
}

func get(url, token string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// outcome is what a load measured.
type outcome struct {
	requests int64
	rate     float64
	cpu      time.Duration // of the server, per request
}

// load sends requests from clients in a closed loop over raw connections, which cost
// the machine less than an HTTP client.
func load(p *process, url, token string, clients int, length time.Duration) outcome {
	rest := strings.TrimPrefix(url, "http://")
	host, path, _ := strings.Cut(rest, "/")
	request := []byte("GET /" + path + " HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	var (
		n        atomic.Int64
		wg       sync.WaitGroup
		deadline = time.Now().Add(length)
		cpu      = p.cpu()
	)
	for range clients {
		wg.Go(func() {
			c, err := net.Dial("tcp", host)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			r := bufio.NewReaderSize(c, 64<<10)
			for time.Now().Before(deadline) {
				if _, err := c.Write(request); err != nil {
					return
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					return
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	total := max(n.Load(), 1)
	return outcome{requests: total, rate: float64(total) / length.Seconds(), cpu: (p.cpu() - cpu) / time.Duration(total)}
}

var statementsLine = regexp.MustCompile(`(?m)^packhouse_catalog_statements_total(?:\{[^}]*\})? ([0-9.e+]+)$`)

// statements reads the count of SQL statements from the metrics.
func statements(url string) float64 {
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if m := statementsLine.FindSubmatch(b); m != nil {
		f, _ := strconv.ParseFloat(string(m[1]), 64)
		return f
	}
	return -1
}

// limitServer serves one file with http.ServeFile: the limit of performance.md.
func limitServer(file string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("http://%s\n", l.Addr())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })}
	if err := server.Serve(l); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
