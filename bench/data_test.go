package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The same coordinates have the same bytes, others have others.
func TestArchivesAreDeterministic(t *testing.T) {
	a, err := version{name: "a", number: "1.0.0", size: 5000}.archive()
	if err != nil {
		t.Fatal(err)
	}
	again, err := version{name: "a", number: "1.0.0", size: 5000}.archive()
	if err != nil {
		t.Fatal(err)
	}
	other, err := version{name: "a", number: "1.0.1", size: 5000}.archive()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, again) {
		t.Error("the same version has two archives")
	}
	if bytes.Equal(a[1000:], other[1000:]) {
		t.Error("two versions share their bytes, which a store would keep once")
	}
}

func TestPublishBody(t *testing.T) {
	v := version{name: "a", number: "1.0.0", size: 5000}
	archive, err := v.archive()
	if err != nil {
		t.Fatal(err)
	}
	body, err := v.publishBody(archive)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Versions    map[string]map[string]any
		Attachments map[string]struct {
			Data   string
			Length int
		} `json:"_attachments"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	a := doc.Attachments["a-1.0.0.tgz"]
	data, err := base64.StdEncoding.DecodeString(a.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, archive) || a.Length != len(archive) || doc.Versions["1.0.0"]["name"] != "a" {
		t.Errorf("%d bytes attached, length %d, of an archive of %d", len(data), a.Length, len(archive))
	}
}

func TestTable(t *testing.T) {
	var tab table
	tab.add(line{row: "11", what: "later", cells: map[string]string{ours: "1"}, reached: reached})
	tab.add(line{row: "2", what: "sooner", reached: missed})
	tab.note("once")
	tab.note("once")
	var out strings.Builder
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[2], "| 2 | sooner | - |") || !strings.HasPrefix(lines[3], "| 11 | later | 1 |") || lines[5] != "- once" {
		t.Errorf("got\n%s", out.String())
	}
}

func TestPutInto(t *testing.T) {
	var tab table
	tab.add(line{row: "2", what: "new"})
	file := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("head\n" + tableBegins + "old\n" + tableEnds + "tail\n")
	if err := tab.putInto(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(got); !strings.HasPrefix(s, "head\n"+tableBegins+"| #") || !strings.HasSuffix(s, tableEnds+"tail\n") ||
		!strings.Contains(s, "| 2 | new |") || strings.Contains(s, "old") {
		t.Errorf("got\n%s", s)
	}
	write("no place\n")
	if err := tab.putInto(file); err == nil {
		t.Error("a document without marks was accepted")
	}
}

func TestNumbers(t *testing.T) {
	for f, want := range map[float64]string{0: "0.000", 0.00012: "0.00012", 0.0494: "0.049", 1.234: "1.23", 12.34: "12.3", 999.6: "1,000", 1234567: "1,234,567"} {
		if got := number(f); got != want {
			t.Errorf("number(%v) is %s, want %s", f, got, want)
		}
	}
	if s := spreadOf([]float64{3, 1, 2}); s != (spread{2, 1, 3}) || s.text("ms") != "2.00 ms (1.00-3.00)" {
		t.Errorf("got %v %s", s, s.text("ms"))
	}
	q := quote{"x", 500, 20_000}
	if got := q.here(10_000); got != 250 {
		t.Errorf("a quoted rate at half the limit is %v, want 250", got)
	}
}
