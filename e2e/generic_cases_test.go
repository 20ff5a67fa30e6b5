package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Where each acceptance case of generic.md 8 is tested, with real clients: curl, wget and
// the aws command. Scripts are those of testdata/script.
//
//	 1  generic_http.txtar, generic_wget.txtar
//	 2  TestGenericLargeUpload, TestGenericBrokenUploads, generic_uploads.txtar
//	 3  generic_http.txtar, generic_wget.txtar
//	 4  generic_http.txtar
//	 5  generic_http.txtar, generic_settings.txtar
//	 6  generic_http.txtar
//	 7  generic_http.txtar, generic_gitea.txtar; TestGenericNamesOfBothWays has what curl
//	    and the aws command do not send as it is
//	 8  generic_http.txtar
//	 9  generic_http.txtar, generic_links.txtar, generic_settings.txtar, generic_wget.txtar
//	10  generic_http.txtar, generic_uploads.txtar
//	11  generic_http.txtar, generic_gitea.txtar; TestNewest in internal/format/generic
//	12  generic_http.txtar
//	13  not built: raw mode is a format of its own that comes later
//	14  generic_links.txtar
//	15  generic.txtar, generic_http.txtar, generic_settings.txtar
//	16  generic_http.txtar, generic_wget.txtar
//
// And what else generic.md asks for:
//
//	1  addresses of Gitea                     generic_gitea.txtar
//	1  lists, as JSON and as pages            generic_http.txtar, generic_links.txtar
//	1  uploads in pieces                      generic_uploads.txtar
//	1  errors as JSON and as text             generic_http.txtar; TestErrors in internal/format/generic
//	3  credentials only when asked for        generic_wget.txtar
//	4  overwrite, late_assets, 402, 413       generic_settings.txtar
//	4  507                                    TestGenericDiskLow
//	4  statuses                               generic_http.txtar
//	   docs/generic.md                        TestGenericDocument
//	7  silent truncation above 32 MiB         TestGenericLargeUpload, TestGenericBrokenUploads

// The list above names only what is there.
func TestGenericCaseListIsTrue(t *testing.T) { caseListIsTrue(t, "generic_cases_test.go", 16) }

// genericRepository is a server with one repository, its address for generic packages and
// a token.
func genericRepository(t *testing.T) (s *server, base, token string) {
	t.Helper()
	s = startServer(t)
	makeStore(t, s, "main", "store")
	return s, s.base("generic", "main", "store"), s.token("main")
}

// curl runs curl, with credentials that no list of processes shows, and returns its
// output.
func curl(t *testing.T, token string, stdin io.Reader, stdout io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	config := filepath.Join(t.TempDir(), "curlrc")
	if err := os.WriteFile(config, []byte("user = \"token:"+token+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(client(t, "", "curl"), append([]string{"-q", "-sS", "-K", config}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, os.Stderr
	return cmd
}

// noise is a stream of so many bytes that nothing compresses, the same for the same seed.
func noise(seed byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
}

// generic.md 8.2: an upload takes no memory that grows with it, and neither does the way
// back. PACKHOUSE_LARGE_UPLOAD sets its bytes: up to 5 GiB, for which the disk needs room.
func TestGenericLargeUpload(t *testing.T) {
	size := int64(200 << 20)
	if v := os.Getenv("PACKHOUSE_LARGE_UPLOAD"); v != "" {
		var err error
		if size, err = strconv.ParseInt(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	s, base, token := genericRepository(t)
	idle, _ := memoryOf(t, s.cmd.Process.Pid)
	sent := sha256.New()
	var answer strings.Builder
	if err := curl(t, token, io.TeeReader(noise(1, size), sent), &answer, "-T", "-", "-w", "%{http_code}", base+"ns/large/1.0/f.bin").Run(); err != nil {
		t.Fatal(err)
	}
	if want := hex.EncodeToString(sent.Sum(nil)); !strings.HasSuffix(answer.String(), "201") || !strings.Contains(answer.String(), `"size":`+strconv.FormatInt(size, 10)+`,"sha256":"`+want+`"`) {
		t.Fatalf("the server answered %s, want 201 with %d bytes and the SHA-256 %s", answer.String(), size, want)
	}
	_, uploaded := memoryOf(t, s.cmd.Process.Pid)
	got := sha256.New()
	if err := curl(t, token, nil, got, base+"ns/large/1.0/f.bin").Run(); err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(got.Sum(nil)) != hex.EncodeToString(sent.Sum(nil)) {
		t.Error("other bytes came back")
	}
	_, peak := memoryOf(t, s.cmd.Process.Pid)
	t.Logf("%d MiB: idle %d MiB, at the highest %d MiB after the upload and %d MiB after the download", size>>20, idle>>20, uploaded>>20, peak>>20)
	if peak > 64<<20 {
		t.Errorf("%d MiB of resident memory at the highest, want 64 at most", peak>>20)
	}
}

// stored returns the bytes of all files below a directory of the server's data.
func (s *server) stored(parts ...string) (bytes int64) {
	_ = filepath.WalkDir(s.inside(parts...), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it went while we looked
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// generic.md 8.2, go-gitea/gitea#20830: an upload that breaks off behind 32 MiB leaves
// neither a version nor bytes, whether its length was known or not.
func TestGenericBrokenUploads(t *testing.T) {
	s, base, token := genericRepository(t)
	before := s.stored("blobs")
	sparse := filepath.Join(t.TempDir(), "sparse")
	if err := os.WriteFile(sparse, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(sparse, 1<<30); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		pkg   string
		stdin io.Reader
		args  []string
	}{
		{"of a known length", "known", nil, []string{"-T", sparse}},
		{"of an unknown length", "unknown", noise(2, 1<<30), []string{"-T", "-"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := curl(t, token, nil, io.Discard, append(tt.args, "--limit-rate", "60M", base+"ns/"+tt.pkg+"/1.0/f.bin")...)
			if tt.stdin != nil {
				pipe, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = io.Copy(pipe, tt.stdin) }() // ends when curl does
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "more than 32 MiB to arrive", func() bool { return s.stored("blobs")-before > 40<<20 })
			_ = cmd.Process.Kill()
			if err := cmd.Wait(); err == nil {
				t.Error("curl ended well")
			}
			eventually(t, "the bytes to go", func() bool { return s.stored("blobs") <= before })
			for _, path := range []string{"/1.0/f.bin", "/1.0/", "/"} {
				if status, body := do(t, http.MethodGet, base+"ns/"+tt.pkg+path, token, nil); status != http.StatusNotFound {
					t.Errorf("%s: %d %s, want 404", path, status, body)
				}
			}
			if status, body := do(t, http.MethodPut, base+"ns/"+tt.pkg+"/1.0/f.bin", token, []byte("whole")); status != http.StatusCreated {
				t.Errorf("the file once more: %d %s, want 201", status, body)
			}
			before = s.stored("blobs")
		})
	}
}

// generic.md 4, reliability.md R21: a disk that is nearly full is 507 with text, before the
// body is sent.
func TestGenericDiskLow(t *testing.T) {
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0", under: []string{"env", "PACKHOUSE_DISK_LOW_BYTES=8000000GiB"}}
	t.Cleanup(s.kill)
	s.start()
	makeStore(t, s, "main", "store")
	var answer strings.Builder
	cmd := curl(t, s.token("main"), noise(3, 3_000_000), &answer, "-T", "-", "-H", "Expect: 100-continue", "--expect100-timeout", "30",
		"-w", "%{http_code} %{size_upload}", s.base("generic", "main", "store")+"ns/box/1.0/f.bin")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got := answer.String(); !strings.HasSuffix(got, "\n507 0") || !strings.Contains(got, "disk is nearly full") {
		t.Errorf("the server answered %q, want 507 before a byte, and the reason", got)
	}
}

// generic.md 8.7: the names that are refused, exactly as they stand in a request line, and
// those that look odd and are not.
func TestGenericNamesOfBothWays(t *testing.T) {
	_, base, token := genericRepository(t)
	long := strings.Repeat("x", 255)
	for _, tt := range []struct {
		name, path string
		want       int
	}{
		{"a segment of dots, encoded", "ns/box/1.0/%2e%2e/f", 400},
		{"a segment of dots, encoded by half", "ns/box/1.0/.%2E/f", 400},
		{"a segment of one dot", "ns/box/1.0/%2e", 400},
		{"an encoded slash", "ns/box/1.0/a%2Ff", 400},
		{"an encoded slash in a name", "ns/a%2fb/1.0/f", 400},
		{"an encoded escape of a slash", "ns/box/1.0/a%252Ff", 400},
		{"a backslash", `ns/box/1.0/a%5Cf`, 400},
		{"a NUL", "ns/box/1.0/a%00", 400},
		{"a line feed", "ns/box/1.0/a%0Af", 400},
		{"an escape of nothing", "ns/box/1.0/a%zz", 400},
		{"bytes that are no UTF-8", "ns/box/1.0/%ff%fe", 400},
		{"a part that ends in a dot", "ns/box/1.0/dir./f", 400},
		{"a part that ends in a space", "ns/box/1.0/dir%20/f", 400},
		{"an empty part", "ns/box/1.0/a//f", 400},
		{"256 characters", "ns/box/1.0/" + long + "x", 400},
		{"256 characters in parts", "ns/box/1.0/" + strings.Repeat("x", 127) + "/" + strings.Repeat("y", 128), 400},
		{"a namespace that begins with a dot", ".ns/box/1.0/f", 400},
		{"a namespace that begins with an underscore", "_ns/box/1.0/f", 400},
		{"a name with a plus", "ns/a+b/1.0/f", 400},
		{"a name that ends in a dot", "ns/box./1.0/f", 400},
		{"a name of letters beyond ASCII", "ns/b%C3%B6x/1.0/f", 400},
		{"a version with a space", "ns/box/1%200/f", 400},
		{"the version that stands for the newest", "ns/box/latest/f", 400},
		{"255 characters", "ns/box/1.0/" + long, 201},
		{"255 characters in parts", "ns/box/1.0/" + strings.Repeat("x", 127) + "/" + strings.Repeat("y", 127), 201},
		{"a namespace and a name of 255 characters", long + "/" + long + "/1.0/f", 201},
		{"a version with every mark", "ns/box/1.0~rc+b_1-2/f", 201},
		{"what else a file may have", "ns/box/1.0/~!@%5E&()-%60_+%5B%5D%7B%7D,.x", 201},
		{"what a list of uploads would be", "ns/box/1.0/uploads", 201},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var answer strings.Builder
			cmd := curl(t, token, strings.NewReader("x"), &answer, "-T", "-", "--path-as-is", "-g", "-H", "X-Packhouse-Unfinished: true", "-w", "%{http_code}", base+tt.path)
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			if got := answer.String(); !strings.HasSuffix(got, strconv.Itoa(tt.want)) {
				t.Errorf("the server answered %s, want %d", got, tt.want)
			}
		})
	}
}

var shellBlocks = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The commands of docs/generic.md run as they are written, in their order.
func TestGenericDocument(t *testing.T) {
	awsPath := client(t, "PACKHOUSE_AWS", "aws")
	client(t, "", "wget")
	s := startServer(t)
	makeStore(t, s, "main", "r1")
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"tool.tar.gz": "a tool", "linux.tar.gz": "for linux", "macos.tar.gz": "for macos", "notes.txt": "notes",
		"piece": strings.Repeat("0123456789", 1_000_000)})
	script := "curl() { command curl -sS --fail-with-body \"$@\"; }\n"
	for _, block := range shellBlocks.FindAllStringSubmatch(readFile(t, "..", "docs", "generic.md"), -1) {
		script += block[1]
	}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(s.clientEnv(dir), "AWS_DEFAULT_REGION=us-east-1", "PATH="+filepath.Dir(awsPath)+":"+os.Getenv("PATH"), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"tool.tar.gz: OK", `"status": "Published"`, `"status":"Published","version":"2.0"`, `"file":"notes.txt"`,
		"Upload-Offset: 10000000", `"size":10000000`, `"expires":"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
	if got := readFile(t, dir, "got.tar.gz"); got != "a tool" {
		t.Errorf("the aws command got %q", got)
	}
}
