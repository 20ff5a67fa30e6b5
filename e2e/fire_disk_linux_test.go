package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mounted makes a server whose data directory is set up by a script in a mount namespace
// of its own; $0 is the directory.
func mounted(t *testing.T, script string) *server {
	t.Helper()
	unshare := client(t, "", "unshare")
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0"}
	for _, dir := range []string{s.dataDir, filepath.Join(s.dataDir, "blobs")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// As an ordinary user a namespace of users gives the right to mount.
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-rm"
	}
	if out, err := exec.Command(unshare, flags, "true").CombinedOutput(); err != nil {
		if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("a mount namespace is required here: %v %s", err, out)
		}
		t.Skipf("no mount namespace: %v %s", err, out)
	}
	s.under = []string{unshare, flags, "sh", "-ec", script + "\nexec \"$@\"", s.dataDir}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// remount changes the mount of a directory of a running server.
func (s *server) remount(options, dir string) {
	s.t.Helper()
	out, err := exec.Command("nsenter", "-t", strconv.Itoa(s.cmd.Process.Pid), "-m", "mount", "-o", options, dir).CombinedOutput()
	if err != nil {
		s.t.Fatalf("mount -o %s: %v %s", options, err, out)
	}
}

// healthReason is what /healthz says.
func (s *server) healthReason() string {
	s.t.Helper()
	_, b := do(s.t, http.MethodGet, s.URL+"/healthz", "", nil)
	return decode[struct{ Reason string }](s.t, b).Reason
}

// R21: with a full disk, publishes are answered 507; reading, signing in and deleting go
// on, because the ballast made room for it; with room again, so do publishes, without a
// restart.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := mounted(t, `mount -t tmpfs -o size=160m,mode=0700 tmpfs "$0"`)
	l := burning(t, s)
	eventually(t, "the ballast", func() bool {
		info, err := os.Stat(s.inside("ballast"))
		return err == nil && info.Size() == 64<<20
	})
	filler, err := os.Create(s.inside("filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filled the disk: %v", err)
	}
	l.faulty = true
	if err := l.publish(l.own, false); !errors.Is(err, errRefused) || l.answers[http.StatusInsufficientStorage] != 1 {
		t.Errorf("publish on a full disk: %v, answers %v, want 507", err, l.answers)
	}
	eventually(t, "the ballast to be released", func() bool {
		_, err := os.Stat(s.inside("ballast"))
		return os.IsNotExist(err)
	})
	// Less than the mark of 16 MiB stays free, whatever the guard had released by when.
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.inside(), &disk); err != nil {
		t.Fatal(err)
	}
	free := int64(disk.Bavail) * disk.Bsize
	if _, err := io.Copy(io.NewOffsetWriter(filler, 0), io.LimitReader(zeros{}, free-12<<20)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the guard", func() bool { return strings.Contains(s.healthReason(), "nearly full") })
	for range 3 {
		l.answers = map[int]int{}
		if err := l.publish(l.own, false); !errors.Is(err, errRefused) || l.answers[http.StatusInsufficientStorage] != 1 {
			t.Errorf("publish below the mark: %v, answers %v, want 507", err, l.answers)
		}
	}
	l.faulty = false
	if err := l.remove(); err != nil {
		t.Errorf("delete with the ballast released: %v", err)
	}
	if err := l.deprecate(); err != nil {
		t.Errorf("deprecate with the ballast released: %v", err)
	}
	l.token = s.token("main")
	v := newViewer(t, s, l.token)
	_, want := readLedger(t, l.book.path)
	facts, _ := l.book.since(0)
	check(t, want, facts, v.see)
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	l.publishes()
	checkStagingEmpty(t, s)
	v = newViewer(t, s, l.token)
	l.book.settle(v.see)
	check(t, want, facts, v.see)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// R4, R24: where the directory of blobs takes no writes, publishes get a clear error,
// everything stored can be read, and publishes go on when it takes writes again.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	s := mounted(t, `mount --bind "$0/blobs" "$0/blobs"`)
	l := burning(t, s)
	blobs := filepath.Join(s.dataDir, "blobs")
	s.remount("remount,bind,ro", blobs)
	l.faulty, l.large = true, true // small content needs the database's files only
	for range 4 {
		if err := l.publish(l.own, false); !errors.Is(err, errRefused) {
			t.Errorf("publish into a read-only directory: %v", err)
		}
	}
	if l.answers[http.StatusServiceUnavailable] != 4 {
		t.Errorf("answers %v, want 503 each", l.answers)
	}
	l.faulty = false
	if err := l.remove(); err != nil {
		t.Errorf("delete, which writes to the database only: %v", err)
	}
	_, want := readLedger(t, l.book.path)
	facts, _ := l.book.since(0)
	check(t, want, facts, newViewer(t, s, l.token).see)
	s.remount("remount,bind,rw", blobs)
	l.publishes()
	l.everything()
}

// R31: with no file descriptors left the server neither ends nor loses anything; requests
// fail or wait, and it comes back by itself.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	l := burning(t, s)
	l.large = true // what is small needs no file
	pid := s.cmd.Process.Pid
	limit := func(soft uint64) {
		t.Helper()
		var now unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
			t.Fatal(err)
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: now.Max}, nil); err != nil {
			t.Fatal(err)
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	limit(uint64(len(open) + 4))
	short := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var wg sync.WaitGroup
	var failed atomic.Int64
	for range 40 {
		wg.Go(func() {
			req, err := http.NewRequest(http.MethodGet, l.base()+"@kill%2fown", bytes.NewReader(nil))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+l.token)
			resp, err := short.Do(req)
			if err != nil {
				failed.Add(1)
				return
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				failed.Add(1)
			}
		})
	}
	l.faulty = true
	for range 5 {
		if err := l.steady(); err != nil && !errors.Is(err, errGone) {
			t.Error(err)
		}
	}
	wg.Wait()
	// None at all: whatever needs a descriptor fails.
	limit(3)
	if err := l.publish(l.own, false); err == nil {
		t.Error("a publish was acknowledged without a descriptor for it")
	}
	limit(1024)
	l.faulty = false
	l.publishes()
	if failed.Load() == 0 && len(l.answers) == 0 {
		t.Log("nothing failed while descriptors were few")
	}
	select {
	case <-s.done:
		t.Fatalf("the server ended:\n%s", tail(s.log.String(), 4000))
	default:
	}
	l.everything()
}
