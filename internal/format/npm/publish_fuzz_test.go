package npm

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/httpx"
)

// FuzzPublish: a document of a client's own making is refused with 4xx and changes
// nothing, or what is published is what path, document and tarball all say, and the
// bytes are those of its one attachment (npm.md 4; reliability.md S1, S26).
func FuzzPublish(f *testing.F) {
	tarball := base64.StdEncoding.EncodeToString(packed(&testing.T{}, "box", "1.0.0"))
	good := `{"name":"box","versions":{"1.0.0":{"name":"box","version":"1.0.0"}},"dist-tags":{"latest":"1.0.0"},"_attachments":{"box-1.0.0.tgz":{"data":"` + tarball + `"}}}`
	f.Add(good)
	f.Add(strings.Replace(good, `"name"`, `"na\u006de"`, 1))
	f.Add(strings.Replace(good, tarball, tarball[:40]+`\n`+tarball[40:], 1))
	f.Add(strings.Replace(good, `"data":`, `"length":1,"data":`, 1))
	f.Add(`{"name":"box","versions":{"1.0.0":{"deprecated":"x"}}}`)
	f.Add(strings.Replace(good, `"latest"`, `".."`, 1))
	f.Fuzz(func(t *testing.T, body string) {
		h := newHouse(t)
		w := h.do("PUT", "/box", body)
		if w.Code >= 500 || w.Code < 200 || w.Code >= 300 && w.Code < 400 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code >= 400 {
			if !h.untouched() || !strings.HasPrefix(w.Body.String(), `{"error":"`) {
				t.Fatalf("%d %.200s, and something was done", w.Code, w.Body)
			}
			return
		}
		for _, p := range h.published {
			var doc struct {
				Attachments map[string]struct{ Data string } `json:"_attachments"`
			}
			if err := json.Unmarshal([]byte(body), &doc); err != nil {
				t.Fatalf("published from no JSON: %v", err)
			}
			if fullName(p.Package.Package) != "box" || badVersion(p.Version) != "" {
				t.Fatalf("published %s@%s at the path of box", fullName(p.Package.Package), p.Version)
			}
			for _, tag := range p.Tags {
				if err := checkTag(tag); err != nil {
					t.Fatalf("tag %q: %v", tag, err)
				}
			}
			got, err := io.ReadAll(io.NewSectionReader(p.Assets[0].Content, 0, p.Assets[0].Content.Size()))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for name, a := range doc.Attachments {
				want, err := base64.StdEncoding.DecodeString(a.Data)
				found = found || isTarball(name) && err == nil && string(want) == string(got)
			}
			if !found {
				t.Fatalf("the %d published bytes are no attachment of the document", len(got))
			}
		}
	})
}

// FuzzTag: a tag that may be set can be named in an address, and is no version or range
// (npm.md 4 step 7; reliability.md S1).
func FuzzTag(f *testing.F) {
	for _, s := range []string{"latest", "beta.1", "..", ".", "a;b", "nul", "a.", "1.x", "v1", "x", "~a", "a|b", "\u202e", "a%2fb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if checkTag(tag) != nil {
			return
		}
		segs, err := httpx.SplitPath("/" + url.PathEscape(tag))
		if err != nil || len(segs) != 1 || segs[0].Text != tag || segs[0].HasSlash {
			t.Fatalf("tag %q in an address is %v, %v", tag, segs, err)
		}
		if badVersion(tag) == "" {
			t.Fatalf("tag %q is a version", tag)
		}
	})
}
