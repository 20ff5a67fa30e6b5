package npm

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/packhouse/packhouse/internal/archive/archivetest"
)

// untouched reports whether the engine was asked to change or to open anything.
func (h *house) untouched() bool {
	return len(h.published) == 0 && len(h.amended) == 0 && len(h.tagged) == 0 && len(h.assets) == 0
}

// npm.md case 16; reliability.md A8, S29: documents that no client of ours sends.
func TestHostileDocuments(t *testing.T) {
	content := base64.StdEncoding.EncodeToString(packed(t, "box", "1.0.0"))
	attachment := `{"data":"` + content + `"}`
	manifest := `{"name":"box","version":"1.0.0"}`
	document := func(more string) string {
		return `{"name":"box","versions":{"1.0.0":` + manifest + `},"_attachments":{"box-1.0.0.tgz":` + attachment + `}` + more + `}`
	}
	if w := newHouse(t).do("PUT", "/box", document("")); w.Code != http.StatusCreated {
		t.Fatalf("the decent document = %d %s", w.Code, w.Body)
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"nothing", "", 400},
		{"no JSON", "hello", 400},
		{"text that is not UTF-8", document(",\"x\":\"\xff\""), 400},
		{"a list", "[]", 400},
		{"a string", `"box"`, 400},
		{"null", "null", 400},
		{"JSON that is cut off behind the tarball", strings.TrimSuffix(document(""), "}"), 400},
		{"something behind the document", document("") + "{}", 400},
		{"a member twice", document(`,"name":"box"`), 400},
		{"the versions twice", document(`,"versions":{}`), 400},
		{"the attachments twice", document(`,"_attachments":{"box-1.0.0.tgz":` + attachment + `}`), 400},
		{"the data twice", strings.Replace(document(""), `"data":`, `"data":"","data":`, 1), 400},
		{"a member twice in the manifest", strings.Replace(document(""), `"name":"box","version"`, `"scripts":{},"scripts":{"install":"x"},"name":"box","version"`, 1), 400},
		{"65 levels in the manifest", strings.Replace(document(""), `{"name":"box","version"`, `{"x":`+strings.Repeat("[", 62)+strings.Repeat("]", 62)+`,"name":"box","version"`, 1), 400},
		{"more than 4 MiB of metadata", document(`,"x":"` + strings.Repeat("x", maxMetadata) + `"`), 413},
		{"more than 4 MiB in an attachment's other members", strings.Replace(document(""), `{"data"`, `{"content_type":"`+strings.Repeat("x", maxMetadata)+`","data"`, 1), 413},
		{"an attachment that is a string", strings.Replace(document(""), attachment, `"`+content+`"`, 1), 400},
		{"data that is a list", strings.Replace(document(""), `"`+content+`"`, `["`+content+`"]`, 1), 400},
		{"a length that is a string", strings.Replace(document(""), `{"data"`, `{"length":"10","data"`, 1), 400},
		{"a length that is no whole number", strings.Replace(document(""), `{"data"`, `{"length":1e99,"data"`, 1), 400},
		{"a negative length", strings.Replace(document(""), `{"data"`, `{"length":-1,"data"`, 1), 400},
		{"versions as a list", strings.Replace(document(""), `{"1.0.0":`+manifest+`}`, `[`+manifest+`]`, 1), 400},
		{"a manifest that is a string", strings.Replace(document(""), manifest, `"x"`, 1), 400},
		{"an attachment's name that climbs", strings.Replace(document(""), `"box-1.0.0.tgz"`, `"../box-1.0.0.tgz"`, 1), 400},
		{"an attachment's name with NUL", strings.Replace(document(""), `"box-1.0.0.tgz"`, `"box-1.0.0.tgz\u0000"`, 1), 400},
		{"a tag that climbs", document(`,"dist-tags":{"../x":"1.0.0"}`), 400},
		{"a tag with a bidirectional control", document(`,"dist-tags":{"a\u202eb":"1.0.0"}`), 400},
		{"a tag of 129 characters", document(`,"dist-tags":{"` + strings.Repeat("a", 129) + `":"1.0.0"}`), 400},
		{"a deprecation text that is too long", strings.Replace(document(""), `{"name":"box","version"`, `{"deprecated":"`+strings.Repeat("x", 1<<20)+`","name":"box","version"`, 1), 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			w := h.do("PUT", "/box", tt.body)
			if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), `{"error":"`) || !h.untouched() {
				t.Errorf("publish = %d %.200s, want %d and nothing published", w.Code, w.Body, tt.status)
			}
		})
	}
}

// npm.md 4 step 3: what the control plane or clients cannot name.
func TestHostileVersions(t *testing.T) {
	for _, version := range []string{"", "1", "1.0", "v1.0.0", "=1.0.0", " 1.0.0", "1.0.0 ", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+",
		"9007199254740992.0.0", "1.0.0-" + strings.Repeat("a", 250), "../1.0.0", "1.0.0/..", "1.0.0\x00", "1.0.0-\u202e", "latest", "__proto__"} {
		h := newHouse(t)
		body := publishBody(t, "box", version, nil)
		if w := h.do("PUT", "/box", body); w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"error":"`) || !h.untouched() {
			t.Errorf("publish of version %q = %d %s", version, w.Code, w.Body)
		}
	}
}

// reliability.md S25, S26 and A8, through the protocol: a tarball that clients would
// unpack elsewhere, or that is not what it is published as, is a 400 and leaves nothing.
func TestHostileTarballs(t *testing.T) {
	manifest := archivetest.File{Name: "package/package.json", Body: `{"name":"box","version":"1.0.0"}`}
	type hostile struct {
		name  string
		bytes []byte
	}
	rows := []hostile{
		{"no package.json", archivetest.TarGz(t, archivetest.File{Name: "package/x", Body: "x"})},
		{"package.json one folder too deep", archivetest.TarGz(t, archivetest.File{Name: "a/b/package.json", Body: manifest.Body})},
		{"another name", packed(t, "bax", "1.0.0")},
		{"another version", packed(t, "box", "1.0.1")},
		{"a name in upper case", packed(t, "Box", "1.0.0")},
		{"package.json twice", archivetest.TarGz(t, manifest, archivetest.File{Name: "other/package.json", Body: manifest.Body})},
		{"package.json of more than 4 MiB", archivetest.TarGz(t, archivetest.File{Name: manifest.Name,
			Body: `{"x":"` + strings.Repeat("x", 4<<20) + `","name":"box","version":"1.0.0"}`})},
		{"a bomb", archivetest.TarGz(t, manifest, archivetest.File{Name: "package/zeros", Body: string(make([]byte, 64<<20))})},
		{"no archive", []byte("not an archive")},
		{"an archive that is cut off", packed(t, "box", "1.0.0")[:60]},
		{"bytes behind the archive", append(packed(t, "box", "1.0.0"), "PK\x03\x04"...)},
	}
	for _, c := range archivetest.Hostile(t, manifest) {
		rows = append(rows, hostile{c.Name, c.Bytes})
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			body := fmt.Sprintf(`{"name":"box","versions":{"1.0.0":{"name":"box","version":"1.0.0"}},"_attachments":{"box-1.0.0.tgz":{"data":%q}}}`,
				base64.StdEncoding.EncodeToString(tt.bytes))
			w := h.do("PUT", "/box", body)
			if w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"error":"tarball: `) || !h.untouched() {
				t.Errorf("publish = %d %s, want 400 and nothing published", w.Code, w.Body)
			}
		})
	}
}

// endless is a body that is never read: its declared length is enough to refuse it.
type endless struct{ *testing.T }

func (e endless) Read([]byte) (int, error) {
	e.Error("the body was read")
	return 0, http.ErrBodyReadAfterClose
}

// reliability.md A8, S1: hostile texts in every variable of every route are refused, in
// npm's shape, before the engine hears of them.
func TestHostilePaths(t *testing.T) {
	hostile := []string{"..", ".", "%2e%2e", "%2E", "..%2f..%2fetc", "a%2f..%2fb", "a%2fb", "%2fa", "a%5cb", "a%00b", "a%0d%0ab", "a%7fb", "a%c2%85b",
		"a;b", "a%3bb", "a%252fb", "a%252e%252e", "a%23b", "a%3fb", "a%ff", "a%c0%afb", "a%e2%80%aeb", "a%e2%81%a6b", "a.", "a%20", "nul", "Com1",
		"@%2fa", "@a%2f", "@a%2fb%2fc", "@..%2fa", "@a%2f..", "@a%2f%2e%2e%2fb", "@.a%2fb",
		strings.Repeat("a", 256), "@a%2f" + strings.Repeat("b", 256)}
	for _, route := range New().Routes(nil) {
		if route.Name == "unknown" || route.Name == "login" || route.Name == "logout" {
			continue // they answer 4xx whatever stands in them
		}
		for i, segment := range strings.Split(route.Pattern, "/") {
			if !strings.HasPrefix(segment, "{") {
				continue
			}
			texts := slices.Clone(hostile)
			if segment != "{tag}" {
				texts = append(texts, "@", "@a", ".hidden") // which may be tags
			}
			if route.Name != "dist-tag-remove" {
				texts = append(texts, "a%20b", "%3Cscript%3E", "a%22b") // of which there are no tags to remove
			}
			for _, text := range texts {
				path := strings.Split(route.Pattern, "/")
				for j, other := range path {
					switch {
					case j == i:
						path[j] = text
					case other == "{@name}":
						path[j] = "box"
					case other == "{version}":
						path[j] = "1.0.0"
					case other == "{file}" || other == "{@file}":
						path[j] = "box-1.0.0.tgz"
					case other == "{rev}":
						path[j] = "1"
					case other == "{tag}":
						path[j] = "beta"
					}
				}
				target := strings.Join(path, "/")
				h := newHouse(t)
				w := h.do(route.Methods[0], target, `"1.0.0"`)
				if w.Code < 400 || w.Code > 499 || !strings.HasPrefix(w.Body.String(), `{"error":"`) || !h.untouched() {
					t.Errorf("%s %s (%s) = %d %.200s, want 4xx and nothing done", route.Methods[0], target, route.Name, w.Code, w.Body)
				}
			}
		}
	}
}

// A client that hangs up is no failure of ours, wherever in the document it does.
func TestBodyThatIsCutOff(t *testing.T) {
	for _, begin := range []string{"", `{"name":"box","ver`, `{"name":"box","_attachments":{"box-1.0.0.tgz":{"data":"`, `{"name":"box","_attachments":{"box-1.0.0.tgz":{"data":"QUJD`} {
		for _, path := range []string{"/box", "/box/-rev/1"} {
			h := newHouse(t)
			w := h.doReader("PUT", path, io.MultiReader(strings.NewReader(begin), iotest.ErrReader(io.ErrUnexpectedEOF)), 1000)
			if w.Code != http.StatusBadRequest || !h.untouched() {
				t.Errorf("PUT %s of %q and no more = %d %s, want 400", path, begin, w.Code, w.Body)
			}
		}
	}
}

// npm.md case 16: the size that a client declares is enough.
func TestBodyThatIsDeclaredTooLarge(t *testing.T) {
	h := newHouse(t)
	w := h.doReader("PUT", "/box", endless{t}, bodyLimit(New().Spec().MaxAsset)+1)
	if w.Code != http.StatusRequestEntityTooLarge || !bytes.HasPrefix(w.Body.Bytes(), []byte(`{"error":"`)) || !h.untouched() {
		t.Errorf("publish = %d %s, want 413", w.Code, w.Body)
	}
}
