package e2e

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"
)

// passing are tables whose rows come and go without anything being stored for a client;
// what was refused is in the audit log.
var passing = []string{"replays", "leases", "settings", "jobs", "passes", "epochs", "logins", "audit", "sqlite_sequence"}

// lasting are the columns of tables that also tell when something was used.
var lasting = map[string]string{"access_keys": "id, principal_id, secret, active, created_at"}

// state is everything that a server keeps for its clients: a sum per table and per stored
// file. The ballast comes and goes with the room on the disk.
func (v *victim) state(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(v.dataDir, "packhouse.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range column(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
		if !slices.Contains(passing, table) && !strings.HasPrefix(table, "sqlite_") {
			columns := cmp.Or(lasting[table], "*")
			all["table "+table] = tableSum(t, db, "SELECT "+columns+" FROM "+table+" ORDER BY 1, 2")
		}
	}
	err = filepath.WalkDir(v.dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "packhouse.db") || d.Name() == "ballast" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(v.dataDir, path)
		all["file "+rel] = strconv.FormatInt(info.Size(), 10)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// differences names what was added, changed or removed between two states.
func differences(before, after map[string]string) (all []string) {
	for what, sum := range after {
		if was, ok := before[what]; !ok {
			all = append(all, what+" is new: "+sum)
		} else if was != sum {
			all = append(all, what+": "+sum+", was "+was)
		}
	}
	for what := range before {
		if _, ok := after[what]; !ok {
			all = append(all, what+" is gone")
		}
	}
	return all
}

func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		values = append(values, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// tableSum is a digest over all rows of a query.
func tableSum(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	h, n := sha256.New(), 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%q\n", values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d rows, %x", n, h.Sum(nil)[:8])
}

// peak is the largest resident memory that the server ever had, in KiB; 0 where the
// system does not tell.
func (v *victim) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		t.Logf("resident memory is not known here: %v", err)
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// attackers is how many clients send the same hostile request at once.
const attackers = 64

// npm.md case 16, reliability.md A8, R7, R31: the costliest documents by 64 clients at
// once. Each gets 4xx, or 503 and 429 where the server sheds; afterwards every table and
// every file is what it was, and the server never held more than 256 MiB.
func TestHostileAtOnce(t *testing.T) {
	v := startVictim(t)
	p := npmPackage{Name: "hostile", Version: "1.0.0"}
	manifest := entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0"}`}
	deep := entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0","x":"` + strings.Repeat("x", 5<<20) + `"}`}
	large := strings.Replace(string(p.publishDoc(t, p.tarball(t))), `"name"`, `"extra":"`+strings.Repeat("x", 5<<20)+`","name"`, 1)
	before := v.state(t)
	for _, c := range []struct {
		name string
		doc  []byte
	}{
		{"an archive that inflates to 1 GiB", p.publishDoc(t, zeroBomb(t, manifest, 1<<30))},
		{"an archive of 100,001 entries", p.publishDoc(t, manyEntries(t, 100_001))},
		{"an archive in an archive", p.publishDoc(t, archiveOf(t, entry{name: "package/package.json", body: string(zeroBomb(t, manifest, 64<<20))}))},
		{"a manifest of 5 MiB", p.publishDoc(t, archiveOf(t, deep))},
		{"5 MiB of metadata", []byte(large)},
		{"10,000 levels", []byte(strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000))},
	} {
		t.Run(c.name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range attackers {
				wg.Go(func() {
					status, body := do(t, http.MethodPut, v.url(v.repo, p.Name), v.token, c.doc)
					if (status < 400 || status > 499) && status != http.StatusServiceUnavailable {
						t.Errorf("%d %.200s", status, body)
					}
				})
			}
			wg.Wait()
		})
	}
	t.Run("600 MiB declared, and sent", func(t *testing.T) {
		for _, declared := range []int64{600 << 20 * 4 / 3, -1} {
			if declared < 0 && testing.Short() {
				continue
			}
			status := v.stream(t, v.url(v.repo, p.Name), declared, io.MultiReader(
				strings.NewReader(`{"name":"hostile","_attachments":{"hostile-1.0.0.tgz":{"data":"`), io.LimitReader(repeated("QUJD"), 800<<20), strings.NewReader(`"}}}`)))
			if status != http.StatusRequestEntityTooLarge {
				t.Errorf("declared %d: %d, want 413", declared, status)
			}
		}
	})
	var changed []string
	t.Cleanup(func() {
		for _, what := range changed {
			t.Error(what)
		}
	})
	eventually(t, "the state to be what it was", func() bool {
		changed = differences(before, v.state(t))
		return len(changed) == 0
	})
	peak := v.peak(t)
	t.Logf("table: hostile documents by %d clients at once: at most %d MiB resident", attackers, peak>>10)
	if peak > maxResident {
		t.Errorf("the server held %d KiB, want at most %d", peak, maxResident)
	}
	v.unharmed(t)
}

// repeated yields one text for ever.
type repeated string

func (r repeated) Read(p []byte) (int, error) {
	n := 0
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// stream sends a body of which nothing is kept in memory, and returns the status.
func (v *victim) stream(t *testing.T, url string, declared int64, body io.Reader) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = declared
	r.Header.Set("Authorization", "Bearer "+v.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// zeroBomb packs a file of zeros behind a decent manifest.
func zeroBomb(t *testing.T, manifest entry, size int64) []byte {
	t.Helper()
	return packed(t, func(w *tar.Writer) error {
		if err := w.WriteHeader(&tar.Header{Name: manifest.name, Size: int64(len(manifest.body)), Mode: 0o644}); err != nil {
			return err
		}
		if _, err := io.WriteString(w, manifest.body); err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: "package/zeros", Size: size, Mode: 0o644}); err != nil {
			return err
		}
		_, err := io.Copy(w, io.LimitReader(repeated("\x00\x00\x00\x00"), size))
		return err
	})
}

func manyEntries(t *testing.T, n int) []byte {
	t.Helper()
	return packed(t, func(w *tar.Writer) error {
		for i := range n {
			// Names that hardly repeat, so that the ratio is not what ends it.
			name := fmt.Sprintf("package/%x", sha256.Sum256(fmt.Append(nil, i)))
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}); err != nil {
				return err
			}
		}
		return nil
	})
}

func packed(t *testing.T, write func(*tar.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
