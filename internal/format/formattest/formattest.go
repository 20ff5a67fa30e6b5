// Package formattest is the conformance suite of rooms: what every format has to keep,
// whatever its protocol. A room's vectors are text files in its testdata folder:
//
//	names.txt       `namespace name = namespace name` or `namespace name ! reason`;
//	                "-" stands for no namespace
//	versions.txt    valid versions in strictly ascending order, one per line;
//	                `a ~ b` for two spellings of one version, `! v` for an invalid one
//	uploads/*.txtar an upload and what Inspect and Render make of it, see upload
//	upstream/*.txtar a public registry's index and what ReadIndex makes of it
//
// Golden parts are rewritten with -update. Start reading with Run.
package formattest

import (
	"bufio"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Run checks a room against the contract of package format, with the vectors in dir.
func Run(t *testing.T, f format.Format, dir string) {
	t.Run("spec", func(t *testing.T) { checkSpec(t, f) })
	t.Run("names", func(t *testing.T) { checkNames(t, f, lines(t, filepath.Join(dir, "names.txt"))) })
	t.Run("versions", func(t *testing.T) { checkVersions(t, f, lines(t, filepath.Join(dir, "versions.txt"))) })
	t.Run("order is total", func(t *testing.T) { checkOrder(t, f, lines(t, filepath.Join(dir, "versions.txt"))) })
	t.Run("routes", func(t *testing.T) { checkRoutes(t, f) })
	if in, ok := f.(format.Inspector); ok {
		each(t, filepath.Join(dir, "uploads"), func(t *testing.T, path string) { checkUpload(t, f, in, path) })
	}
	if p, ok := f.(format.Puller); ok {
		t.Run("connections", func(t *testing.T) { checkConnections(t, p) })
		each(t, filepath.Join(dir, "upstream"), func(t *testing.T, path string) { checkUpstream(t, f, p, path) })
	}
}

func checkSpec(t *testing.T, f format.Format) {
	s := f.Spec()
	if s.ID == "" || strings.ToLower(string(s.ID)) != string(s.ID) || s.Title == "" || s.MaxAsset <= 0 {
		t.Errorf("spec is not complete: %+v", s)
	}
	if s != f.Spec() {
		t.Error("spec changes between two calls")
	}
	if _, inspects := f.(format.Inspector); s.ViaAPI && !inspects {
		t.Error("format takes assets through the API but inspects nothing")
	}
}

func checkNames(t *testing.T, f format.Format, vectors []string) {
	rule := f.Spec().Namespace
	for _, line := range vectors {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			t.Fatalf("vector %q has too few fields", line)
		}
		got, err := f.Canonical(orNone(fields[0]), unescape(fields[1]))
		if fields[2] == "!" {
			if packhouse.KindOf(err) != packhouse.KindInvalid || packhouse.ReasonOf(err) != fields[3] {
				t.Errorf("%s: got %v, %v, want Invalid %s", line, got, err, fields[3])
			}
			continue
		}
		want := packhouse.PackageName{Format: f.Spec().ID, Namespace: orNone(fields[3]), Name: unescape(fields[4])}
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", line, got, err)
			continue
		}
		again, err := f.Canonical(got.Namespace, got.Name)
		if err != nil || again != got {
			t.Errorf("%s: canonical form is not stable: %v, %v", line, again, err)
		}
		if rule == format.NamespaceForbidden && got.Namespace != "" || rule == format.NamespaceRequired && got.Namespace == "" {
			t.Errorf("%s: namespace %q breaks the spec's rule", line, got.Namespace)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name, err := f.Canonical(rapid.String().Draw(t, "namespace"), rapid.String().Draw(t, "name"))
		if err != nil {
			if packhouse.KindOf(err) != packhouse.KindInvalid {
				t.Fatalf("error of the wrong kind: %v", err)
			}
			return
		}
		if again, err := f.Canonical(name.Namespace, name.Name); err != nil || again != name {
			t.Fatalf("canonical form of %v is not stable: %v, %v", name, again, err)
		}
	})
}

func checkVersions(t *testing.T, f format.Format, vectors []string) {
	var last string
	for _, line := range vectors {
		if invalid, ok := strings.CutPrefix(line, "! "); ok {
			if key, err := f.VersionKey(unescape(invalid)); packhouse.ReasonOf(err) != "invalid_version" {
				t.Errorf("VersionKey(%q) = %q, %v, want Invalid invalid_version", unescape(invalid), key, err)
			}
			continue
		}
		version, twin, _ := strings.Cut(line, " ~ ")
		key, err := f.VersionKey(version)
		if err != nil {
			t.Errorf("VersionKey(%q) = %v", version, err)
		}
		if twin != "" {
			if other, err := f.VersionKey(twin); err != nil || other != key || f.Compare(version, twin) != 0 {
				t.Errorf("%s and %s have keys %q and %q, %v and compare %d, want one version", version, twin, key, other, err, f.Compare(version, twin))
			}
		}
		if last != "" && (f.Compare(last, version) >= 0 || f.Compare(version, last) <= 0) {
			t.Errorf("%s is not below %s", last, version)
		}
		last = version
	}
}

// checkOrder draws versions from the vectors, from their pieces and from nowhere.
func checkOrder(t *testing.T, f format.Format, vectors []string) {
	var known []string
	for _, line := range vectors {
		v, _, _ := strings.Cut(strings.TrimPrefix(line, "! "), " ~ ")
		known = append(known, unescape(v))
	}
	version := rapid.OneOf(
		rapid.SampledFrom(known),
		rapid.StringMatching(`v?[0-9]{1,2}(\.[0-9]{1,2}){0,3}(-[0-9a-z-]{1,3}(\.[0-9a-z-]{0,3})?)?(\+[0-9a-z]{1,2})?`),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := version.Draw(t, "a"), version.Draw(t, "b"), version.Draw(t, "c")
		if sign(f.Compare(a, b)) != -sign(f.Compare(b, a)) {
			t.Fatalf("Compare(%q, %q) is not the reverse of Compare(%q, %q)", a, b, b, a)
		}
		if f.Compare(a, a) != 0 {
			t.Fatalf("%q is not equal to itself", a)
		}
		if f.Compare(a, b) <= 0 && f.Compare(b, c) <= 0 && f.Compare(a, c) > 0 {
			t.Fatalf("%q <= %q <= %q, but the first is above the last", a, b, c)
		}
		keyA, errA := f.VersionKey(a)
		keyB, errB := f.VersionKey(b)
		same := a == b || errA == nil && errB == nil && keyA == keyB
		if (f.Compare(a, b) == 0) != same {
			t.Fatalf("Compare(%q, %q) = %d, but their keys are %q and %q", a, b, f.Compare(a, b), keyA, keyB)
		}
	})
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func checkRoutes(t *testing.T, f format.Format) {
	var router httpx.Router[string]
	for _, r := range f.Routes(nil) {
		if r.Name == "" || r.Serve == nil || r.Action.Service() != "codeartifact" || len(r.Methods) == 0 {
			t.Errorf("route %q %s is not complete", r.Name, r.Pattern)
		}
		for _, m := range r.Methods {
			if m != strings.ToUpper(m) || m == http.MethodTrace || m == http.MethodConnect {
				t.Errorf("route %s has the method %q", r.Name, m)
			}
		}
		if err := router.Add(r.Methods, r.Pattern, r.Name); err != nil {
			t.Errorf("route %s: %v", r.Name, err)
		}
	}
}

func checkConnections(t *testing.T, p format.Puller) {
	for _, c := range p.Connections() {
		if !strings.HasPrefix(c.Name, "public:") || c.Store == "" || c.Discover == nil {
			t.Errorf("connection %+v is not complete", c)
		}
	}
}

// lines reads a vector file without its comments.
func lines(t *testing.T, path string) []string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var out []string
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if scanner.Err() != nil || len(out) == 0 {
		t.Fatalf("no vectors in %s: %v", path, scanner.Err())
	}
	return out
}

func orNone(field string) string {
	if field == "-" {
		return ""
	}
	return unescape(field)
}

// unescape lets vectors hold what a line cannot show.
func unescape(s string) string {
	return strings.NewReplacer("%empty", "", "%space", " ", "%slash", "/", "%dash", "-", "%x300", strings.Repeat("x", 300)).Replace(s)
}

func each(t *testing.T, dir string, check func(t *testing.T, path string)) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Errorf("no vectors in %s", dir)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(filepath.Base(dir)+"/"+name, func(t *testing.T) { check(t, path) })
	}
}

// golden compares parts of an archive with what was got, in order, or rewrites them.
func golden(t *testing.T, path string, a *txtar.Archive, got []txtar.File) {
	t.Helper()
	want := map[string]string{}
	var kept []txtar.File
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "want/") {
			want[f.Name] = string(f.Data)
		} else {
			kept = append(kept, f)
		}
	}
	if *update {
		a.Files = append(kept, got...)
		if err := os.WriteFile(path, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, g := range got {
		if w, ok := want[g.Name]; !ok || w != string(g.Data) {
			t.Errorf("%s:\ngot:\n%s\nwant:\n%s", g.Name, g.Data, w)
		}
		delete(want, g.Name)
	}
	for name := range want {
		t.Errorf("%s is wanted but nothing was got", name)
	}
}

func readArchive(t *testing.T, path string) *txtar.Archive {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
