package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/formats"
	"github.com/packhouse/packhouse/internal/registry"
	"github.com/packhouse/packhouse/internal/server"
)

const root = "../.."

// sources calls fn for each Go file that is not a test.
func sources(t *testing.T, fn func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	set := token.NewFileSet()
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(set, filepath.Join(root, path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		fn(path, file, set)
	})
}

// walk calls fn for each file of the tree, by path relative to the root.
func walk(t *testing.T, fn func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Tools that scripts install, and what they leave, are not ours.
		if hidden := strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" && path != root; d.IsDir() &&
			(hidden || d.Name() == "node_modules" || d.Name() == "bin" || d.Name() == "packhouse-data") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			fn(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoFormatNamesOutside: what a format is called is known in its own room and in the
// list of rooms, so that the eleventh format is a folder and a line.
func TestNoFormatNamesOutside(t *testing.T) {
	names := map[string]bool{}
	for _, f := range formats.All() {
		names[string(f.Spec().ID)] = true
	}
	for _, id := range formats.ServiceIDs() {
		names[string(id)] = true
	}
	// "go" and "swift" are words and a tool besides: the table of addresses may name them.
	allowed := map[string][]string{"internal/server/table.go": {"go"}}
	sources(t, func(path string, file *ast.File, set *token.FileSet) {
		room := strings.HasPrefix(path, "internal/format/") && strings.Count(path, "/") > 2
		suite := strings.HasSuffix(filepath.Base(filepath.Dir(path)), "test") || strings.HasPrefix(path, "e2e/") || strings.HasPrefix(path, "bench/")
		if room || suite || strings.HasPrefix(path, "internal/formats/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if s, err := strconv.Unquote(lit.Value); err == nil && names[s] && !slices.Contains(allowed[path], s) {
				t.Errorf("%s: the format name %q stands outside its room", set.Position(lit.Pos()), s)
			}
			return true
		})
	})
}

var webAddress = regexp.MustCompile(`https?://[^\s"'\x60<>()\[\]{}\\|,;%$*]+`)

// hostAllowed knows the hosts that may stand in the tree: names and networks that are
// reserved for examples, this project's own, and the documents that the code cites.
func hostAllowed(host string) bool {
	for _, reserved := range []string{"localhost", "example", "test", "invalid", "example.com", "example.org", "example.net",
		"www.apache.org", "github.com", "amazonaws.com", "on.aws", "json-schema.org", "semver.org", "spdx.org", "slsa.dev", "in-toto.io"} {
		if host == reserved || strings.HasSuffix(host, "."+reserved) {
			return true
		}
	}
	if ip := net.ParseIP(host); ip != nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if _, err := strconv.Atoi(last); err == nil {
		return true // an address in an odd spelling, in tests of the guard
	}
	return !strings.Contains(host, ".") // placeholders: HOST, u, upstream
}

// TestNoPublicHosts: the addresses of public registries come from the operator and from
// the machine's own clients, never from the tree.
func TestNoPublicHosts(t *testing.T) {
	walk(t, func(path string) {
		switch filepath.Ext(path) {
		case ".go", ".md", ".txt", ".txtar", ".yml", ".yaml", ".sh", ".sql", ".json", ".toml", "":
		default:
			return
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range webAddress.FindAllString(string(text), -1) {
			u, err := url.Parse(strings.TrimRight(m, ".:"))
			if err != nil || u.Hostname() == "" {
				continue
			}
			if !hostAllowed(u.Hostname()) {
				t.Errorf("%s: the address %s stands in the tree; use example.com, or add a host that is cited to the test", path, m)
			}
		}
	})
}

// TestRoutesDoNotCollide: in each format's table, and in the table of first segments,
// one request has one answer (addresses.md 5, 6).
func TestRoutesDoNotCollide(t *testing.T) {
	if _, err := registry.New(registry.Options{Formats: formats.All(), ServiceIDs: formats.ServiceIDs()}); err != nil {
		t.Error(err)
	}
	owner := map[string]server.Owner{}
	for _, row := range server.Segments() {
		if other, taken := owner[row.Segment]; taken {
			t.Errorf("the segment %q belongs to %s and to %s", row.Segment, other, row.Owner)
		}
		owner[row.Segment] = row.Owner
		if strings.ContainsAny(row.Segment, "/%?#") {
			t.Errorf("%q is no segment", row.Segment)
		}
	}
	for _, f := range formats.All() {
		if owner[string(f.Spec().ID)] != server.OwnerRegistry {
			t.Errorf("format %s has no address", f.Spec().ID)
		}
	}
}

// TestEveryRouteIsNamed: names go into logs, metrics and documents, and nothing may be
// served that names no action (reliability.md S12).
func TestEveryRouteIsNamed(t *testing.T) {
	checked := 0
	for _, f := range formats.All() {
		for _, rt := range f.Routes(nil) {
			checked++
			switch {
			case rt.Name == "" || rt.Serve == nil || len(rt.Methods) == 0:
				t.Errorf("%s: route %q %s is not complete", f.Spec().ID, rt.Name, rt.Pattern)
			case rt.Action == "" && !rt.Anonymous:
				t.Errorf("%s: route %q names no action", f.Spec().ID, rt.Name)
			}
		}
	}
	if checked == 0 {
		t.Error("no format has a route")
	}
}
