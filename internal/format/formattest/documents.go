package formattest

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that protocols show, not a safeguard
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/archive/archivetest"
	"github.com/packhouse/packhouse/internal/format"
)

// upload is the file upload.json of a vector. Other files of it: `manifest` becomes
// Upload.Manifest; `file/NAME` an asset; `tgz/NAME/ENTRY` an entry of a compressed
// archive that becomes the asset NAME. `want/` holds facts.json or error, and one
// document per kind in Documents.
type upload struct {
	Namespace, Name, Version string
	Pulled                   bool
	Hostile                  bool     // also run every hostile archive around the entries
	Documents                []string // kinds to render, each with its argument behind a space
}

// published is when every version of the suite was published.
var published = time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)

const base = "http://packhouse.test/base/"

func checkUpload(t *testing.T, f format.Format, in format.Inspector, path string) {
	a := readArchive(t, path)
	u, up, entries := readUpload(t, f, a)
	facts, err := in.Inspect(t.Context(), up)
	var got []txtar.File
	if err != nil {
		if packhouse.KindOf(err) != packhouse.KindInvalid {
			t.Errorf("Inspect = %v, want an Invalid error", err)
		}
		got = append(got, txtar.File{Name: "want/error", Data: fmt.Appendf(nil, "%s: %s\n", packhouse.ReasonOf(err), message(err))})
	} else {
		got = append(got, txtar.File{Name: "want/facts.json", Data: describe(t, facts)})
		got = append(got, render(t, f, u.Documents, view(up, f, facts))...)
	}
	golden(t, path, a, got)
	again, err2 := in.Inspect(t.Context(), up)
	if (err == nil) != (err2 == nil) || !bytes.Equal(again.Fragment, facts.Fragment) || !bytes.Equal(again.Manifest, facts.Manifest) {
		t.Error("a second look at the same upload says something else")
	}
	if u.Hostile {
		checkHostile(t, in, up, entries)
	}
}

func message(err error) string {
	var e *packhouse.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func readUpload(t *testing.T, f format.Format, a *txtar.Archive) (upload, format.Upload, []archivetest.File) {
	t.Helper()
	var (
		u     upload
		up    format.Upload
		files = map[string][]byte{}
		tgz   = map[string][]archivetest.File{}
		order []string
		all   []archivetest.File
	)
	for _, part := range a.Files {
		switch {
		case part.Name == "upload.json":
			if err := json.Unmarshal(part.Data, &u); err != nil {
				t.Fatal(err)
			}
		case part.Name == "manifest":
			up.Manifest = part.Data
		case strings.HasPrefix(part.Name, "file/"):
			name := strings.TrimPrefix(part.Name, "file/")
			files[name] = part.Data
			order = append(order, name)
		case strings.HasPrefix(part.Name, "tgz/"):
			asset, entry, _ := strings.Cut(strings.TrimPrefix(part.Name, "tgz/"), "/")
			if tgz[asset] == nil {
				order = append(order, asset)
			}
			tgz[asset] = append(tgz[asset], archivetest.File{Name: entry, Body: string(part.Data)})
			all = append(all, archivetest.File{Name: entry, Body: string(part.Data)})
		}
	}
	name, err := f.Canonical(u.Namespace, u.Name)
	if err != nil {
		t.Fatal(err)
	}
	up.Package, up.Version, up.Pulled = name, u.Version, u.Pulled
	for _, asset := range order {
		content, ok := files[asset]
		if !ok {
			content = archivetest.TarGz(t, tgz[asset]...)
		}
		up.Files = append(up.Files, file(asset, content))
	}
	return u, up, all
}

func file(name string, content []byte) format.UploadedFile {
	s1, s256, s512 := sha1.Sum(content), sha256.Sum256(content), sha512.Sum512(content) //nolint:gosec // see above
	return format.UploadedFile{Name: name, Size: int64(len(content)), Content: bytes.NewReader(content), Hashes: packhouse.Hashes{
		SHA1: hex.EncodeToString(s1[:]), SHA256: hex.EncodeToString(s256[:]), SHA512: hex.EncodeToString(s512[:])}}
}

// checkHostile puts each hostile archive in the place of the upload's only asset: an
// upload is refused, what was pulled through is not (reliability.md S25).
func checkHostile(t *testing.T, in format.Inspector, up format.Upload, entries []archivetest.File) {
	asset := up.Files[0].Name
	for _, c := range archivetest.Hostile(t, entries...) {
		up.Files = []format.UploadedFile{file(asset, c.Bytes)}
		up.Pulled = false
		if _, err := in.Inspect(t.Context(), up); packhouse.KindOf(err) != packhouse.KindInvalid {
			t.Errorf("%s: Inspect of an upload = %v, want Invalid", c.Name, err)
		}
		up.Pulled = true
		if facts, err := in.Inspect(t.Context(), up); err != nil || len(facts.Warnings) == 0 {
			t.Errorf("%s: Inspect of a pulled version = %v with warnings %q, want facts with a warning", c.Name, err, facts.Warnings)
		}
	}
}

// describe shows facts as text; Manifest is JSON or text in every room so far.
func describe(t *testing.T, facts packhouse.Facts) []byte {
	t.Helper()
	b, err := json.MarshalIndent(struct {
		packhouse.Facts
		Manifest string `json:"MANIFEST,omitempty"`
	}{facts, string(facts.Manifest)}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func view(up format.Upload, f format.Format, facts packhouse.Facts) format.View {
	tags := map[string]string{}
	if d := f.Spec().DefaultTag; d != "" {
		tags[d] = up.Version
	}
	return format.View{Package: up.Package, Seq: 7, Tags: tags, Created: published, Modified: published,
		Entries: []format.Entry{{Version: up.Version, Status: packhouse.Published, Published: published, Fragment: facts.Fragment, Local: true}}}
}

func render(t *testing.T, f format.Format, kinds []string, v format.View) []txtar.File {
	t.Helper()
	r, ok := f.(format.Renderer)
	if !ok {
		return nil
	}
	var out []txtar.File
	for _, document := range kinds {
		kind, arg, _ := strings.Cut(document, " ")
		var b bytes.Buffer
		key := format.DocKey{Package: v.Package, Kind: kind, Arg: arg, Base: base}
		info, err := r.Render(context.Background(), &b, key, v)
		if err != nil {
			fmt.Fprintf(&b, "error: %v\n", err)
		} else if strings.Contains(info.ContentType, "json") && !json.Valid(b.Bytes()) {
			t.Errorf("document %s is not JSON: %s", kind, b.Bytes())
		}
		out = append(out, txtar.File{Name: "want/" + document, Data: bytes.Clone(b.Bytes())})
	}
	return out
}

// remote is the file index.json of an upstream vector; its other file is `body`.
type remote struct {
	Namespace, Name string
	Documents       []string
}

func checkUpstream(t *testing.T, f format.Format, p format.Puller, path string) {
	a := readArchive(t, path)
	var (
		m    remote
		body []byte
	)
	for _, part := range a.Files {
		switch part.Name {
		case "index.json":
			if err := json.Unmarshal(part.Data, &m); err != nil {
				t.Fatal(err)
			}
		case "body":
			body = part.Data
		}
	}
	name, err := f.Canonical(m.Namespace, m.Name)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(body)
	index, err := p.ReadIndex(name, body)
	if !bytes.Equal(before, body) {
		t.Error("ReadIndex changed the body")
	}
	if err != nil {
		if packhouse.KindOf(err) != packhouse.KindUpstream {
			t.Errorf("ReadIndex = %v, want an Upstream error", err)
		}
		golden(t, path, a, []txtar.File{{Name: "want/error", Data: []byte(packhouse.ReasonOf(err) + "\n")}})
		return
	}
	v := format.View{Package: name, Tags: index.Tags, Head: index.Head, Created: index.Created, Modified: index.Modified}
	for _, r := range index.Versions {
		if _, err := f.VersionKey(r.Version); err != nil {
			t.Errorf("index has a version that has no key: %v", err)
		}
		v.Entries = append(v.Entries, format.Entry{Version: r.Version, Status: r.Status, Published: r.Published, Fragment: r.Fragment, Overlay: r.Overlay})
	}
	golden(t, path, a, append([]txtar.File{{Name: "want/index.json", Data: describeIndex(t, index)}}, render(t, f, m.Documents, v)...))
}

func describeIndex(t *testing.T, index *format.RemoteIndex) []byte {
	t.Helper()
	type version struct {
		Version, Published string
		Status             packhouse.Status
		Overlay, Manifest  string
		Assets             []format.RemoteAsset
	}
	shown := struct {
		DisplayName       string
		Tags              map[string]string
		Created, Modified time.Time
		Versions          []version
	}{index.DisplayName, index.Tags, index.Created, index.Modified, nil}
	for _, v := range index.Versions {
		shown.Versions = append(shown.Versions, version{v.Version, v.Published.Format(time.RFC3339Nano), v.Status,
			string(v.Overlay), string(v.Manifest), v.Assets})
	}
	b, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}
