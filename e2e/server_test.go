package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// server is a packhouse process.
type server struct {
	t       testing.TB
	dataDir string
	args    []string
	under   []string // a program and its arguments that run the server; empty for none
	URL     string
	addr    string // host:port, kept over restarts

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  syncBuffer
}

// syncBuffer is a buffer that a process writes while a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServer starts a server on a free port with an empty data directory and waits
// until it is ready. It is stopped when the test ends.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), args: args, addr: "127.0.0.1:0"}
	t.Cleanup(s.kill)
	s.start()
	return s
}

var listening = regexp.MustCompile(`http://(127\.0\.0\.1:[1-9][0-9]*)`)

// start starts the process and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	s.cmd = s.command()
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	found := make(chan string, 1)
	cmd, done := s.cmd, s.done
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, &s.log))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
		_ = cmd.Wait()
		close(done)
	}()
	select {
	case s.addr = <-found:
	case <-s.done:
		s.t.Fatalf("the server ended at start:\n%s", s.log.String())
	case <-time.After(time.Minute):
		s.t.Fatalf("the server did not say where it listens:\n%s", s.log.String())
	}
	s.URL = "http://" + s.addr
	eventually(s.t, "the server to be ready", func() bool {
		resp, err := http.Get(s.URL + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// command is the process that start runs.
func (s *server) command() *exec.Cmd {
	line := append(append([]string(nil), s.under...), binary, "serve", "--data-dir", s.dataDir, "--listen", s.addr)
	cmd := exec.Command(line[0], append(line[1:], s.args...)...)
	// How full the machine that runs the tests is must not decide them.
	cmd.Env = append(serverEnv(), "PACKHOUSE_DISK_LOW_PERCENT=0", "PACKHOUSE_DISK_LOW_BYTES=16MiB")
	return cmd
}

// serverEnv is the environment of a server: the test's own without what would point the
// server or a client at anything.
func serverEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") && !strings.HasPrefix(kv, "PACKHOUSE_") {
			env = append(env, kv)
		}
	}
	return env
}

// inside is a path in the data directory as the server's mount namespace has it.
func (s *server) inside(parts ...string) string {
	path := filepath.Join(append([]string{s.dataDir}, parts...)...)
	if len(s.under) == 0 || s.cmd == nil {
		return path
	}
	return fmt.Sprintf("/proc/%d/root%s", s.cmd.Process.Pid, path)
}

// noSecrets fails the test if the server wrote a token, or the administrator's secret,
// into its log (reliability.md S38). Every server of these tests is looked at.
func (s *server) noSecrets() {
	s.t.Helper()
	log := s.log.String()
	if b, err := os.ReadFile(s.inside("aws", "credentials")); err == nil {
		if _, secret := parseProfile(b); secret != "" && strings.Contains(log, secret) {
			s.t.Errorf("the administrator's secret stands in the log")
		}
	}
	for _, mark := range []string{"v4.local.", "Bearer ", "X-Amz-Signature=", "Signature="} {
		if i := strings.Index(log, mark); i >= 0 {
			s.t.Errorf("the log holds %q: %.120s", mark, log[max(0, i-80):])
		}
	}
}

// kill ends the process at once and waits for its end.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	defer s.noSecrets()
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
}

// stop asks the process to end and returns its exit code.
func (s *server) stop() int {
	defer s.noSecrets()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// profile reads the credentials that the first start wrote.
func (s *server) profile() (keyID, secret string) {
	s.t.Helper()
	b, err := os.ReadFile(s.inside("aws", "credentials"))
	if err != nil {
		s.t.Fatal(err)
	}
	keyID, secret = parseProfile(b)
	if keyID == "" || secret == "" {
		s.t.Fatalf("no credentials in the profile:\n%s", regexp.MustCompile(`=.*`).ReplaceAll(b, []byte("=…")))
	}
	return keyID, secret
}

// parseProfile reads a profile in the AWS credentials format; what is absent is "".
func parseProfile(text []byte) (keyID, secret string) {
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(k) {
		case "aws_access_key_id":
			keyID = strings.TrimSpace(v)
		case "aws_secret_access_key":
			secret = strings.TrimSpace(v)
		}
	}
	return keyID, secret
}

// sdk returns the Go SDK's client as the administrator.
func (s *server) sdk() *codeartifact.Client {
	s.t.Helper()
	id, secret := s.profile()
	return codeartifact.New(codeartifact.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL),
		Credentials:      credentials.NewStaticCredentialsProvider(id, secret, ""),
		RetryMaxAttempts: 1,
	})
}

// clientEnv is what a real client gets: the server's credentials and a home of its own.
func (s *server) clientEnv(home string) []string {
	id, secret := s.profile()
	return append(serverEnv(),
		"HOME="+home, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL_CODEARTIFACT="+s.URL, "PACKHOUSE_URL="+s.URL, "PACKHOUSE_DATA_DIR="+s.dataDir)
}

// token makes a registry token for a domain.
func (s *server) token(domain string) string {
	s.t.Helper()
	out, err := s.sdk().GetAuthorizationToken(context.Background(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String(domain)})
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.AuthorizationToken
}

// base is the address of a repository for a format.
func (s *server) base(format, domain, repo string) string {
	return fmt.Sprintf("%s/%s/%s/%s/", s.URL, format, domain, repo)
}

// do sends a request with a token and returns status and body.
func do(t testing.TB, method, url, token string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

// decode reads JSON into a fresh value.
func decode[T any](t testing.TB, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %.200s", err, b)
	}
	return v
}

// eventually polls a condition until it holds; it fails the test after a minute.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
