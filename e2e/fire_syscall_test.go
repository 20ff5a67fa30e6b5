package e2e

import (
	"bufio"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// inject lets system calls of the running server fail, as strace's inject= says, until
// the function it returns is called.
func (s *server) inject(what string, paths ...string) (heal func()) {
	s.t.Helper()
	name, _, _ := strings.Cut(what, ":")
	args := []string{"-f", "-p", strconv.Itoa(s.cmd.Process.Pid), "-e", "trace=" + name, "-e", "inject=" + what, "-o", "/dev/null"}
	for _, p := range paths {
		args = append(args, "-P", filepath.Join(s.dataDir, p))
	}
	cmd := exec.Command(client(s.t.(*testing.T), "", "strace"), args...)
	out, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	attached := make(chan bool, 1)
	ended := make(chan struct{})
	var said strings.Builder
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "attached") {
				select {
				case attached <- true:
				default:
				}
			}
		}
	}()
	select {
	case <-attached:
	case <-ended:
		s.t.Fatalf("strace: %s", said.String())
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // it lets go of the server, which goes on
		<-ended
		_ = cmd.Wait()
	}
}

// R1, R4, R8, R11, A10: system calls of the real server fail under writes, once in each
// thread or from then on. Nothing that was acknowledged is lost, nothing is there by
// halves, and writes come back without a restart.
func TestSystemCallsFail(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	l := burning(t, s)
	const wal, database = "packhouse.db-wal", "packhouse.db"
	table := map[int]int{}
	for _, tt := range []struct {
		name   string
		inject string
		paths  []string
		refuse bool // something must be refused
	}{
		{"every sync fails", "fsync:error=EIO", nil, true},
		{"one sync fails", "fsync:error=EIO:when=1", nil, true},
		{"a later sync fails", "fsync:error=EIO:when=3", nil, false},
		{"a sync finds the disk full", "fsync:error=ENOSPC:when=1", nil, true},
		{"a sync is interrupted", "fsync:error=EINTR:when=1", nil, false},
		{"the write-ahead log is never synced", "fsync:error=EIO", []string{wal}, true},
		{"no write reaches the database's files", "pwrite64:error=EIO", nil, true},
		{"the database's disk is full", "pwrite64:error=ENOSPC", nil, true},
		{"the database's quota is used up", "pwrite64:error=EDQUOT", []string{wal}, true},
		{"one write to the log fails", "pwrite64:error=EIO:when=1", []string{wal}, true},
		{"a later write to the log fails", "pwrite64:error=EIO:when=4", []string{wal}, false},
		{"a write is interrupted", "pwrite64:error=EINTR:when=2", nil, false},
		{"checkpoints fail", "pwrite64:error=EIO", []string{database}, false},
		{"no object gets its name", "linkat:error=EIO", nil, true},
		{"one object gets no name", "linkat:error=ENOSPC:when=1", nil, true},
		{"nothing can be opened", "openat:error=EMFILE", nil, true},
		{"one open fails", "openat:error=EIO:when=1", nil, true},
		{"no directory can be made", "mkdirat:error=EIO", nil, false},
		{"nothing can be removed", "unlinkat:error=EIO", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.answers, l.faulty = map[int]int{}, true
			heal := s.inject(tt.inject, tt.paths...)
			for range 3 {
				if err := l.steady(); err != nil && !errors.Is(err, errRefused) {
					t.Errorf("the connection ended: %v", err)
				}
			}
			heal()
			l.faulty = false
			for status, n := range l.answers {
				table[status] += n
			}
			if refused := len(l.answers) > 0; tt.refuse && !refused {
				t.Error("every write was acknowledged: the fault did not happen")
			}
			l.publishes()
			v := newViewer(t, s, l.token)
			l.book.settle(v.see)
			_, want := readLedger(t, l.book.path)
			facts, _ := l.book.since(0)
			check(t, want, facts, v.see)
			select {
			case <-s.done:
				t.Fatalf("the server ended:\n%s", tail(s.log.String(), 4000))
			default:
			}
		})
	}
	l.everything()
	var answers []string
	for _, status := range slices.Sorted(maps.Keys(table)) {
		answers = append(answers, strconv.Itoa(table[status])+" times "+strconv.Itoa(status))
	}
	t.Logf("table: failing system calls: refused %s; acknowledged writes %d, lost 0", strings.Join(answers, ", "), l.book.count())
}

// R2: the first start syncs the way to everything that it makes, from the first directory
// that was there down to the database, the keys and the objects.
func TestFirstStartSyncsTheWay(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	log := filepath.Join(t.TempDir(), "calls")
	s := &server{t: t, dataDir: filepath.Join(top, "new", "data"), addr: "127.0.0.1:0",
		under: []string{client(t, "", "strace"), "-D", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync", "-o", log}}
	t.Cleanup(s.kill)
	s.start()
	s.kill()
	calls, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{top, filepath.Join(top, "new"), s.dataDir, filepath.Join(s.dataDir, "blobs"), filepath.Join(s.dataDir, "packhouse.db-wal")} {
		if !strings.Contains(string(calls), "<"+path+">") {
			t.Errorf("%s was not synced", path)
		}
	}
}
