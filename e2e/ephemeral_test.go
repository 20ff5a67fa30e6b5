package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
)

// ephemeral is a running `packhouse serve --ephemeral`.
type ephemeral struct {
	cmd  *exec.Cmd
	out  syncBuffer // standard output
	log  syncBuffer // standard error
	temp string     // what it has for a temporary directory
	URL  string
}

// startEphemeral starts a server and waits until it has printed its variables. It is
// ended with the test.
func startEphemeral(t *testing.T, environ ...string) *ephemeral {
	t.Helper()
	e := &ephemeral{temp: t.TempDir()}
	e.cmd = exec.Command(binary, "serve", "--ephemeral", "--listen", "127.0.0.1:0")
	e.cmd.Env = append(append(serverEnv(), "TMPDIR="+e.temp), environ...)
	e.cmd.Dir = t.TempDir()
	e.cmd.Stdout, e.cmd.Stderr = &e.out, &e.log
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.cmd.ProcessState == nil {
			_ = e.cmd.Process.Kill()
			_ = e.cmd.Wait()
		}
	})
	eventually(t, "the variables", func() bool { return strings.Contains(e.out.String(), "unset AWS_PROFILE") })
	e.URL = e.variable("AWS_ENDPOINT_URL_CODEARTIFACT")
	return e
}

// variable returns what the server printed for a variable.
func (e *ephemeral) variable(name string) string {
	_, rest, _ := strings.Cut(e.out.String(), "export "+name+"=")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// environ are the variables for a client's process.
func (e *ephemeral) environ() []string {
	var all []string
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL_CODEARTIFACT"} {
		all = append(all, name+"="+e.variable(name))
	}
	return all
}

func (e *ephemeral) sdk() *codeartifact.Client {
	return codeartifact.New(codeartifact.Options{Region: e.variable("AWS_REGION"), BaseEndpoint: aws.String(e.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(e.variable("AWS_ACCESS_KEY_ID"), e.variable("AWS_SECRET_ACCESS_KEY"), "")})
}

// A server for tests has the published key, a domain and a repository, keeps packages
// while it runs, and leaves nothing when it is told to end (issue 4, 3).
func TestEphemeralKeepsNothing(t *testing.T) {
	e := startEphemeral(t)
	if id, secret := e.variable("AWS_ACCESS_KEY_ID"), e.variable("AWS_SECRET_ACCESS_KEY"); id != "AKIAPACKHOUSETESTKEY" || secret != "packhouse/ephemeral/secret/for/tests/000" {
		t.Errorf("key %s with %s is not the one in docs/sdks.md", id, secret)
	}
	repo, err := e.sdk().DescribeRepository(t.Context(), &codeartifact.DescribeRepositoryInput{Domain: aws.String("main"), Repository: aws.String("store")})
	if err != nil {
		t.Fatal(err)
	}
	if owner := aws.ToString(repo.Repository.DomainOwner); owner != "000000000000" {
		t.Errorf("account %s", owner)
	}
	if files, err := filepath.Glob(filepath.Join(e.temp, "*")); err != nil || len(files) == 0 {
		t.Fatalf("it keeps its files elsewhere: %v %v", files, err)
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Wait(); err != nil {
		t.Errorf("end: %v\n%s", err, e.log.String())
	}
	for _, dir := range []string{e.temp, e.cmd.Dir} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v %v", dir, left, err)
		}
	}
}

// A key that everybody knows must not be reachable because of what some file says about
// another server.
func TestEphemeralStaysAtHome(t *testing.T) {
	for _, tt := range []struct {
		name    string
		args    []string
		environ []string
		want    string
	}{
		{"an address of a variable", nil, []string{"PACKHOUSE_LISTEN=0.0.0.0:0"}, "say so with --listen 0.0.0.0:0"},
		{"a data directory", []string{"--data-dir", "kept"}, nil, "takes no --data-dir"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"serve", "--ephemeral"}, tt.args...)...)
			temp := t.TempDir()
			cmd.Dir, cmd.Env = t.TempDir(), append(append(serverEnv(), "TMPDIR="+temp), tt.environ...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("got %v, %s, want exit 2 and %q", err, stderr.String(), tt.want)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}
