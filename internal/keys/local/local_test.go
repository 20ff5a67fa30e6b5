package local_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/keys"
	"github.com/packhouse/packhouse/internal/keys/keystest"
	"github.com/packhouse/packhouse/internal/keys/local"
)

func open(t testing.TB, path string) *local.Provider {
	t.Helper()
	p, err := local.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "master.keys") }

func add(t testing.TB, p *local.Provider, alias string) string {
	t.Helper()
	id, err := p.Add(alias)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func resolve(t testing.TB, p *local.Provider, name string) string {
	t.Helper()
	id, err := p.Resolve(t.Context(), name)
	if err != nil {
		t.Fatalf("Resolve(%q): %v", name, err)
	}
	return id
}

func TestSuite(t *testing.T) {
	keystest.Run(t, func(t *testing.T) (keys.Provider, [2]string) {
		p := open(t, newPath(t))
		add(t, p, "team")
		return p, [2]string{"", "alias/team"}
	})
}

func TestNamesOfAKey(t *testing.T) {
	p := open(t, newPath(t))
	def, team := resolve(t, p, ""), add(t, p, "team/a_B-1")
	account := packhouse.AccountID("123456789012")
	for name, want := range map[string]string{
		def:                                   def,
		team:                                  team,
		local.ARN("us-east-1", account, def):  def,
		local.ARN("eu-west-3", account, team): team,
		"alias/team/a_B-1":                    team,
		"arn:aws:kms:us-east-1:123456789012:alias/team/a_B-1":     team,
		"arn:aws:kms:us-east-1:123456789012:key/":                 "",
		"arn:aws:kms:us-east-1:123456789012:team":                 "",
		"arn:aws:kms:us-east-1:12345678901:key/" + def:            "",
		"arn:aws:kms::123456789012:key/" + def:                    "",
		"arn:aws:kms:US:123456789012:key/" + def:                  "",
		"arn:aws:s3:us-east-1:123456789012:key/" + def:            "",
		"arn:aws:kms:us-east-1:123456789012:key/" + def + "/x":    "",
		"arn:aws:kms:us-east-1:123456789012:key/alias/team/a_B-1": "",
		"team/a_B-1":                     "",
		"alias/TEAM/a_B-1":               "",
		"alias/aws/codeartifact":         "",
		strings.ToUpper(def):             "",
		"{" + def + "}":                  "",
		"urn:uuid:" + def:                "",
		strings.ReplaceAll(def, "-", ""): "",
		strings.Repeat("a", 5000):        "",
	} {
		got, err := p.Resolve(t.Context(), name)
		if got != want || (want == "") != errors.Is(err, keys.ErrUnknownKey) {
			t.Errorf("Resolve(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestKeysLast(t *testing.T) {
	path := newPath(t)
	p := open(t, path)
	team := add(t, p, "team")
	nameless := add(t, p, "")
	wrapped, err := p.Wrap(t.Context(), team, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, path)
	if got, err := again.Unwrap(t.Context(), team, wrapped); err != nil || !bytes.Equal(got, []byte("secret")) {
		t.Errorf("Unwrap = %q, %v", got, err)
	}
	list := again.List()
	if len(list) != 3 || !list[0].Default || list[0].ID != resolve(t, p, "") || list[1].ID != team ||
		len(list[1].Aliases) != 1 || list[1].Aliases[0] != "team" || list[1].Default || list[2].ID != nameless || len(list[2].Aliases) != 0 {
		t.Errorf("List = %+v", list)
	}
}

// A server runs while a command adds keys to its file.
func TestKeysOfOtherProcessesAreFound(t *testing.T) {
	path := newPath(t)
	server, command := open(t, path), open(t, path)
	if resolve(t, server, "") != resolve(t, command, "") {
		t.Fatal("two defaults")
	}
	id := add(t, command, "team")
	if got := resolve(t, server, "alias/team"); got != id {
		t.Errorf("Resolve = %q, want %q", got, id)
	}
	second := add(t, command, "second")
	if _, err := server.Wrap(t.Context(), second, nil); err != nil {
		t.Errorf("Wrap: %v", err)
	}
	add(t, server, "third") // and it forgets none of theirs
	for _, alias := range []string{"team", "second", "third"} {
		resolve(t, open(t, path), "alias/"+alias)
	}
}

func TestAddsThatRaceAllSurvive(t *testing.T) {
	path := newPath(t)
	var all sync.WaitGroup
	opened := make([]*local.Provider, 6)
	for i := range opened {
		all.Go(func() {
			p, err := local.Open(path) // makes the file, or finds it
			if err == nil {
				_, err = p.Add("alias-" + string(rune('a'+i)))
			}
			if err != nil {
				t.Error(err)
			}
			opened[i] = p
		})
	}
	all.Wait()
	p := open(t, path)
	if n := len(p.List()); n != len(opened)+1 {
		t.Errorf("%d keys, want %d", n, len(opened)+1)
	}
	for i := range opened {
		resolve(t, p, "alias/alias-"+string(rune('a'+i)))
		if opened[i] != nil && resolve(t, opened[i], "") != resolve(t, p, "") {
			t.Error("two defaults")
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 2 { // the file and its lock
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestAliasesAreChecked(t *testing.T) {
	path := newPath(t)
	p := open(t, path)
	add(t, p, "team")
	if _, err := p.Add("team"); !errors.Is(err, local.ErrAliasTaken) {
		t.Errorf("alias taken: %v, want ErrAliasTaken", err)
	}
	if _, err := open(t, path).Add("team"); !errors.Is(err, local.ErrAliasTaken) {
		t.Errorf("alias taken, from another process: %v, want ErrAliasTaken", err)
	}
	for _, alias := range []string{"aws/x", "a b", "a:b", "ä", "a\x00", strings.Repeat("a", 251)} {
		if _, err := p.Add(alias); err == nil {
			t.Errorf("alias %q is accepted", alias)
		}
	}
	if n := len(p.List()); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
}

// S39: a key file that others can read is no secret any more.
func TestFileMode(t *testing.T) {
	path := newPath(t)
	p := open(t, path)
	add(t, p, "team") // which replaces the file
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v, want 0600", info.Mode(), err)
	}
	for mode, wantRefused := range map[fs.FileMode]bool{0o640: true, 0o604: true, 0o610: true, 0o644: true, 0o400: false, 0o600: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := local.Open(path)
		if (err != nil) != wantRefused {
			t.Errorf("mode %v: %v, refused want %v", mode, err, wantRefused)
		}
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	}
}

// A file that is not understood is refused, and never replaced by a new one.
func TestBadFileIsRefusedAndLeftAlone(t *testing.T) {
	path := newPath(t)
	id := resolve(t, open(t, path), "")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"cut off", "}", ""},
		{"of a later version", `"version": 1`, `"version": 2`},
		{"default key is missing", `"default": "` + id, `"default": "` + strings.Repeat("0", 8) + id[8:]},
		{"key id is no UUID", `"id": "` + id, `"id": "x` + id[1:]},
		{"keyset is no keyset", `"keyset": "`, `"keyset": "AAAA`},
		{"alias stands for two keys", `"id": "` + id + `"`, `"id": "` + id + `", "aliases": ["a", "a"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(string(good), tt.old, tt.new, 1)
			if bad == string(good) {
				t.Fatal("the test changes nothing")
			}
			if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := local.Open(path); err == nil {
				t.Error("the file is accepted")
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != bad {
				t.Errorf("the file was changed, error %v", err)
			}
		})
	}
	empty := newPath(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(empty); err == nil {
		t.Error("an empty file is accepted")
	}
}

func FuzzResolve(f *testing.F) {
	p := open(f, newPath(f))
	def, team := resolve(f, p, ""), add(f, p, "team")
	for _, seed := range []string{"", def, team, "alias/team", "alias/", local.ARN("us-east-1", "000000000000", def),
		"arn:aws:kms:us-east-1:000000000000:alias/team", "arn:aws:kms::::", "arn:aws:kms:a:b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, err := p.Resolve(t.Context(), name)
		switch {
		case err != nil && !errors.Is(err, keys.ErrUnknownKey):
			t.Errorf("Resolve(%q): %v", name, err)
		case err == nil && id != def && id != team:
			t.Errorf("Resolve(%q) = %q", name, id)
		case err == nil && name != "" && !strings.HasSuffix(name, id) && !strings.HasSuffix(name, "alias/team"):
			t.Errorf("Resolve(%q) = %q, which it does not name", name, id)
		}
	})
}
