package fileblob

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/blob"
	"github.com/packhouse/packhouse/internal/blob/blobtest"
)

func openDir(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// filesBelow returns the files below dir, without its name.
func filesBelow(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	if err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, strings.TrimPrefix(name, dir+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store {
		dir := filepath.Join(t.TempDir(), "blobs")
		s := openDir(t, dir)
		t.Cleanup(func() {
			if files := filesBelow(t, filepath.Join(dir, s.run)); len(files) != 0 {
				t.Errorf("left in staging: %v", files)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if runs, err := os.ReadDir(filepath.Join(dir, stagingDir)); err != nil || len(runs) != 0 {
				t.Errorf("runs left in staging: %v, error %v", runs, err)
			}
		})
		return s
	})
}

func TestLayoutAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	s := openDir(t, dir)
	defer func() { _ = s.Close() }()
	commit(t, s, "abcdef-1/0", "x")
	open, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Discard() }()
	if _, err := os.Stat(filepath.Join(dir, "objects/ab/abcdef-1.0")); err != nil {
		t.Error(err)
	}
	if err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("S39: %s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryOpenToEverybodyIsRefused(t *testing.T) {
	dir := t.TempDir()
	for mode, wantRefused := range map[fs.FileMode]bool{0o755: true, 0o701: true, 0o750: false, 0o700: false} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if (err != nil) != wantRefused {
			t.Errorf("S39: mode %v: %v, refused want %v", mode, err, wantRefused)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}

// R11: the lock on a run's directory is its lease.
func TestSweepTakesOnlyWhatDeadProcessesLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	dead, alive, sweeper := openDir(t, dir), openDir(t, dir), openDir(t, dir)
	for range 3 {
		for _, s := range []*Store{dead, alive, sweeper} {
			st, err := s.Stage(t.Context())
			if err == nil {
				_, err = st.Write([]byte("x"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = dead.hold.Close() // what the kernel does for a process that ends
	for _, want := range []int{3, 0} {
		if n, err := sweeper.SweepStaging(t.Context()); n != want || err != nil {
			t.Errorf("SweepStaging = %d, %v, want %d", n, err, want)
		}
	}
	if files := filesBelow(t, filepath.Join(dir, stagingDir)); len(files) != 6 {
		t.Errorf("staged files of living processes: %v, want 6", files)
	}
	for _, s := range []*Store{alive, sweeper} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSymlinksDoNotLeadOut(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "abcd"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "blobs")
	s := openDir(t, dir)
	defer func() { _ = s.Close() }()
	if err := os.Symlink(outside, filepath.Join(dir, "objects/ab")); err != nil {
		t.Fatal(err)
	}
	if o, err := s.Open(t.Context(), "abcd"); err == nil {
		_ = o.Close()
		t.Error("S3: a link out of the directory was followed")
	}
}

func commit(t testing.TB, s *Store, key blob.Key, content string) {
	t.Helper()
	st, err := s.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := st.Discard(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{10 << 10, 1 << 20} {
		b.Run(map[int]string{10 << 10: "10KB", 1 << 20: "1MB"}[size], func(b *testing.B) {
			s := openDir(b, filepath.Join(b.TempDir(), "blobs"))
			defer func() { _ = s.Close() }()
			content := string(bytes.Repeat([]byte{1}, size))
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				commit(b, s, blob.Key(hexKey(i)), content)
			}
		})
	}
}

// hexKey spreads keys over the directories as digests do.
func hexKey(i int) string {
	const digits = "0123456789abcdef"
	x := uint64(i+1) * 0x9E3779B97F4A7C15
	b := make([]byte, 16)
	for j := range b {
		b[j] = digits[x>>(60-4*j)&15]
	}
	return string(b)
}
