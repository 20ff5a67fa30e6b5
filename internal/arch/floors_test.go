package arch_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/packhouse/packhouse"

// listed is what we read of `go list -json`.
type listed struct {
	ImportPath string
	Imports    []string
}

// packages lists the module's packages by path relative to its root, with what they
// import themselves; tests' imports do not count.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	all := map[string][]string{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[relative(p.ImportPath)] = p.Imports
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}

func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// floor is one line of floors.txt.
type floor struct {
	pattern string
	allowed []string
}

func readFloors(r io.Reader) ([]floor, error) {
	var floors []floor
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, rest, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("line without a colon: %q", line)
		}
		floors = append(floors, floor{pattern, strings.Fields(rest)})
	}
	return floors, lines.Err()
}

func matches(pattern, path string) bool {
	if below, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(path, below+"/")
	}
	return path == pattern
}

// find returns the floor of a package: the exact line, else the longest pattern.
func find(floors []floor, path string) (floor, bool) {
	var best floor
	found := false
	for _, f := range floors {
		if matches(f.pattern, path) && len(f.pattern) > len(best.pattern) {
			best, found = f, true
		}
	}
	return best, found
}

// breaches tells which imports a package should not have.
func breaches(floors []floor, all map[string][]string) []string {
	var bad []string
	for path, imports := range all {
		f, ok := find(floors, path)
		if !ok {
			bad = append(bad, path+" has no line in floors.txt")
			continue
		}
		for _, i := range imports {
			if i != module && !strings.HasPrefix(i, module+"/") {
				if path == "." && strings.Contains(strings.Split(i, "/")[0], ".") {
					bad = append(bad, "the root package imports "+i+"; it may import the standard library only")
				}
				continue
			}
			to := relative(i)
			allowed := to == "."
			for _, a := range f.allowed {
				allowed = allowed || matches(a, to)
			}
			if !allowed {
				bad = append(bad, path+" imports "+to+"; its line in floors.txt allows: "+strings.Join(f.allowed, ", "))
			}
		}
	}
	return bad
}

func TestFloors(t *testing.T) {
	text, err := os.Open("floors.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = text.Close() }()
	floors, err := readFloors(text)
	if err != nil {
		t.Fatal(err)
	}
	all := packages(t)
	for _, b := range breaches(floors, all) {
		t.Error(b)
	}
	for _, f := range floors {
		used := false
		for path := range all {
			used = used || matches(f.pattern, path)
		}
		if !used && !strings.HasSuffix(f.pattern, "/*") {
			t.Errorf("floors.txt has a line for %s, which does not exist", f.pattern)
		}
	}
}

func TestFloorsSeeABreach(t *testing.T) {
	floors, err := readFloors(strings.NewReader("a:\nb: a\nrooms/*: a\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, from, to string
		want           int
	}{
		{"an allowed import", "b", "a", 0},
		{"upwards", "a", "b", 1},
		{"a room and its neighbour", "rooms/x", "rooms/y", 1},
		{"a room and what rooms may", "rooms/x", "a", 0},
		{"a package without a line", "c", "a", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := breaches(floors, map[string][]string{tt.from: {module + "/" + tt.to}}); len(got) != tt.want {
				t.Errorf("breaches %q, want %d", got, tt.want)
			}
		})
	}
}
