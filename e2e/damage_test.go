package e2e

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tamper flips one random bit of every stored object, in files and in rows, and returns how
// to mend them.
func (s *server) tamper(t *testing.T) (mend func()) {
	t.Helper()
	var undo []func() error
	flip := func(b []byte) (bit int) {
		bit = mathrand.IntN(len(b) * 8)
		b[bit/8] ^= 1 << (bit % 8)
		return bit
	}
	err := filepath.WalkDir(filepath.Join(s.dataDir, "blobs", "objects"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		whole := bytes.Clone(b)
		flip(b)
		undo = append(undo, func() error { return os.WriteFile(path, whole, 0o600) })
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.dataDir, "packhouse.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	const put = `UPDATE blob_bodies SET body = ? WHERE blob_id = ?`
	for _, id := range column(t, db, "SELECT blob_id FROM blob_bodies ORDER BY 1") {
		var whole []byte
		if err := db.QueryRow("SELECT body FROM blob_bodies WHERE blob_id = ?", id).Scan(&whole); err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(whole)
		flip(b)
		if _, err := db.Exec(put, b, id); err != nil {
			t.Fatal(err)
		}
		undo = append(undo, func() error { _, err := db.Exec(put, whole, id); return err })
	}
	if len(undo) == 0 {
		t.Fatal("nothing is stored")
	}
	return func() {
		t.Helper()
		for _, u := range undo {
			if err := u(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// verify runs packhouse verify and returns its exit code and report.
func (s *server) verify(t *testing.T, more ...string) (code int, report verified) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"verify", "--data-dir", s.dataDir, "-o", "json"}, more...)...)
	cmd.Env = s.clientEnv(t.TempDir())
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("packhouse verify: %v\n%s%s", err, out, &told)
	}
	return code, report
}

type verified struct {
	Blobs, Bad, Released int
	Findings             []struct {
		Problem string
		Files   []struct{ Domain, Repository, Format, Namespace, Package, Version, Asset string }
	}
	Unknown *struct{ Objects int }
}

// names are the versions that findings name.
func (v verified) names() string {
	var all []string
	for _, f := range v.Findings {
		for _, file := range f.Files {
			all = append(all, f.Problem+" "+file.Domain+"/"+file.Repository+" "+file.Format+"/"+file.Namespace+"/"+file.Package+"@"+file.Version+" "+file.Asset)
		}
	}
	return strings.Join(all, ", ")
}

// incompressible is text that makes an archive of about so many bytes.
func incompressible(bytes int) string {
	b := make([]byte, bytes*5/8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// damaged checks what clients and the operator see of @acme/foo 1.0.0 when its stored bytes
// have changed, and when they were put right (npm.md case 6; reliability.md R15, R16).
func (s *server) damaged(t *testing.T) {
	npm := tool(t, "npm")
	s.stop()
	mend := s.tamper(t)
	if code, report := s.verify(t); code != 1 || !strings.Contains(report.names(), "damaged main/store npm/acme/foo@1.0.0 package.tgz") {
		t.Errorf("verify of a stopped store: exit %d, findings %s", code, report.names())
	}
	s.start()
	base, token := s.base("npm", "main", "store"), s.token("main")
	dir := app(t, nil)
	out, err := npm.run(t, toolHome(t, base, token), dir, "install", "@acme/foo")
	if err == nil || !strings.Contains(out, "500") {
		t.Errorf("npm install of a damaged object: %v, want a failure with 500\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@acme", "foo")); err == nil {
		t.Error("a damaged package was installed")
	}
	eventually(t, "the health to tell of it", func() bool {
		_, health := do(t, http.MethodGet, s.URL+"/healthz", "", nil)
		return strings.Contains(string(health), `"degraded"`) && strings.Contains(string(health), "packhouse verify")
	})
	if _, metrics := do(t, http.MethodGet, s.URL+"/metrics", "", nil); strings.Contains(string(metrics), "\npackhouse_blobs_quarantined 0\n") {
		t.Error("the metric tells of no quarantined blob")
	}
	if status, _ := do(t, http.MethodGet, s.URL+"/readyz", "", nil); status != http.StatusOK {
		t.Errorf("readyz is %d; everything else can be served", status)
	}
	mend()
	if code, report := s.verify(t); code != 0 || report.Bad != 0 || report.Released == 0 {
		t.Errorf("verify after mending, beside the server: exit %d, %+v", code, report)
	}
	npm.must(t, toolHome(t, base, token), app(t, nil), "install", "@acme/foo")
}

// R16: the scrub finds by itself what nobody reads, after a restart too, and releases what
// was put right.
func TestScrubFindsDamageByItself(t *testing.T) {
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), under: []string{"env", "PACKHOUSE_SCRUB_CYCLE=1s"}, addr: "127.0.0.1:0"}
	t.Cleanup(s.kill)
	s.start()
	makeStore(t, s, "main", "store")
	base, token := s.base("npm", "main", "store"), s.token("main")
	for name, files := range map[string]map[string]string{"@acme/small": nil, "@acme/large": {"data.txt": incompressible(300_000)}} {
		s.publish(t, base, token, npmPackage{Name: name, Version: "1.0.0", Files: files})
	}
	s.stop()
	mend := s.tamper(t)
	s.start()
	eventually(t, "both marks", func() bool {
		_, metrics := do(t, http.MethodGet, s.URL+"/metrics", "", nil)
		return strings.Contains(string(metrics), "\npackhouse_blobs_quarantined 2\n")
	})
	for _, name := range []string{"large", "small"} {
		if !strings.Contains(s.log.String(), "package.tgz of npm/acme/"+name+"@1.0.0 in main/store") {
			t.Errorf("the log does not name %s", name)
		}
		if status, _ := do(t, http.MethodGet, base+"@acme/"+name+"/-/"+name+"-1.0.0.tgz", token, nil); status != http.StatusInternalServerError {
			t.Errorf("%s is answered %d, want 500 before the first byte", name, status)
		}
	}
	mend()
	eventually(t, "the releases", func() bool {
		status, health := do(t, http.MethodGet, s.URL+"/healthz", "", nil)
		return status == http.StatusOK && !strings.Contains(string(health), "degraded")
	})
	for _, name := range []string{"large", "small"} {
		if status, _ := do(t, http.MethodGet, base+"@acme/"+name+"/-/"+name+"-1.0.0.tgz", token, nil); status != http.StatusOK {
			t.Errorf("%s is answered %d after it was put right", name, status)
		}
	}
}

// R15: whichever bit of a stored file flips under a running server, no response completes
// with wrong bytes: it is refused, or ends before its declared length.
func TestNoResponseCompletesWithWrongBytes(t *testing.T) {
	s := startServer(t)
	makeStore(t, s, "main", "store")
	base, token := s.base("npm", "main", "store"), s.token("main")
	p := npmPackage{Name: "@acme/foo", Version: "1.0.0", Files: map[string]string{"data.txt": incompressible(1 << 20)}}
	s.publish(t, base, token, p)
	get := func() (status int, body []byte, err error) {
		req, err := http.NewRequest(http.MethodGet, base+"@acme/foo/-/foo-1.0.0.tgz", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return resp.StatusCode, body, err
	}
	status, whole, err := get()
	if err != nil || status != http.StatusOK || len(whole) < 600_000 {
		t.Fatalf("%d, %d bytes, %v", status, len(whole), err)
	}
	cut := 0
	for range 25 {
		mend := s.tamper(t)
		status, body, err := get()
		switch {
		case status == http.StatusOK && err == nil:
			t.Fatalf("a response completed with %d bytes, %v", len(body), bytes.Equal(body, whole))
		case status == http.StatusOK:
			cut++
			if !bytes.HasPrefix(whole, body) {
				t.Fatal("wrong bytes were sent")
			}
		case status != http.StatusInternalServerError:
			t.Fatalf("answered %d, %v", status, err)
		}
		mend()
		if code, report := s.verify(t); code != 0 {
			t.Fatalf("verify after mending: %+v", report)
		}
	}
	if cut == 0 {
		t.Error("no response was cut off in the middle")
	}
}

// R15: a damaged file that came from an upstream is fetched again by itself after a read
// found it; one that was published here stays refused.
func TestPulledFilesAreFetchedAgain(t *testing.T) {
	p := startPullServer(t, "", big("shared", 300_000))
	path := "shared/-/shared-1.0.0.tgz"
	status, whole, err := p.get(t, path)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	p.server.publish(t, p.url(p.repo, ""), p.token, npmPackage{Name: "@acme/own", Version: "1.0.0", Files: map[string]string{"data.txt": incompressible(300_000)}})
	p.tamper(t)
	for _, file := range []string{path, "@acme/own/-/own-1.0.0.tgz"} {
		if status, body, err := p.get(t, file); status == http.StatusOK && err == nil {
			t.Errorf("%s: a response completed with %d bytes", file, len(body))
		}
	}
	p.healed(t, path, whole)
	code, report := p.verify(t)
	if code != 1 || report.Bad != 1 || !strings.Contains(report.names(), "npm/acme/own@1.0.0") {
		t.Errorf("verify: exit %d, %s", code, report.names())
	}
	if !strings.Contains(p.log.String(), "damaged bytes were fetched from the upstream again") {
		t.Error("the log does not tell of it")
	}
}
