package npm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

func entry(version string, status packhouse.Status) format.Entry {
	manifest := fmt.Sprintf(`{"name":"box","version":%q,"description":"of %s","dist":{"tarball":""}}`, version, version)
	return format.Entry{Version: version, Status: status, Published: time.Unix(1e9, 5e6), Fragment: buildFragment([]byte(manifest), nil)}
}

func rendered(t *testing.T, kind, arg string, v format.View) (map[string]any, error) {
	t.Helper()
	v.Package = packhouse.PackageName{Format: ID, Name: "box"}
	var b bytes.Buffer
	_, err := New().Render(t.Context(), &b, format.DocKey{Kind: kind, Arg: arg, Base: "http://x/"}, v)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	return doc, nil
}

// codeartifact.md 4.1: tags of versions that are not listed, and what latest shows then.
func TestTagsOfDocuments(t *testing.T) {
	const pub, off = packhouse.Published, packhouse.Unlisted
	for _, tt := range []struct {
		name    string
		entries []format.Entry
		tags    map[string]string
		want    string
	}{
		{"tags stand as stored, even when a higher version exists", []format.Entry{entry("1.0.1", pub), entry("1.0.2", pub)},
			map[string]string{"latest": "1.0.1", "b": "1.0.2"}, "map[b:1.0.2 latest:1.0.1]"},
		{"latest of an unlisted version shows the highest stable one", []format.Entry{entry("1.0.0", pub), entry("1.9.0", pub), entry("2.0.0-a", pub), entry("3.0.0", off)},
			map[string]string{"latest": "3.0.0", "old": "3.0.0"}, "map[latest:1.9.0]"},
		{"no stable version", []format.Entry{entry("1.0.0-a", pub), entry("1.0.0-b", pub)}, nil, "map[latest:1.0.0-b]"},
		{"a tag that spells other build metadata", []format.Entry{entry("1.0.0+a", pub)}, map[string]string{"x": "1.0.0"}, "map[latest:1.0.0+a x:1.0.0+a]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := format.View{Entries: tt.entries, Tags: tt.tags}
			for _, kind := range []string{kindFull, kindAbbreviated, kindWrite} {
				if doc, err := rendered(t, kind, "", v); err != nil || fmt.Sprint(doc["dist-tags"]) != tt.want {
					t.Errorf("%s: %v, %v, want %s", kind, doc["dist-tags"], err, tt.want)
				}
			}
			if doc, err := rendered(t, kindTags, "", v); err != nil || fmt.Sprint(doc) != tt.want {
				t.Errorf("tags: %v, %v, want %s", doc, err, tt.want)
			}
		})
	}
}

// npm.md 4, statuses: what is listed, and what only its own address still shows.
func TestStatusesInDocuments(t *testing.T) {
	v := format.View{Entries: []format.Entry{entry("1.0.0", packhouse.Published), entry("2.0.0", packhouse.Unlisted), entry("3.0.0", packhouse.Archived)}, Seq: 12}
	for _, kind := range []string{kindFull, kindAbbreviated} {
		doc, err := rendered(t, kind, "", v)
		if err != nil || len(doc["versions"].(map[string]any)) != 1 {
			t.Fatalf("%s lists %v, %v", kind, doc["versions"], err)
		}
		if got := fmt.Sprint(doc["time"]); got != "map[1.0.0:2001-09-09T01:46:40.005Z created:2001-09-09T01:46:40.005Z modified:2001-09-09T01:46:40.005Z]" {
			t.Errorf("%s: time = %s", kind, got)
		}
	}
	for arg, ok := range map[string]bool{"1.0.0": true, "1.0.0+x": true, "2.0.0": true, "3.0.0": false, "latest": true, "beta": false} {
		if _, err := rendered(t, kindVersion, arg, v); (err == nil) != ok || err != nil && packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Errorf("version %s: %v, want ok=%v", arg, err, ok)
		}
	}
	for _, kind := range []string{kindFull, kindAbbreviated, kindWrite, kindTags} {
		if _, err := rendered(t, kind, "", format.View{Seq: 3}); packhouse.KindOf(err) != packhouse.KindNotFound {
			t.Errorf("%s of a bare record: %v, want NotFound", kind, err)
		}
	}
	if doc, _ := rendered(t, kindFull, "", v); doc["_rev"] != "12" || doc["description"] != "of 1.0.0" {
		t.Errorf("_rev, description = %v, %v", doc["_rev"], doc["description"])
	}
	v.Head = []byte(`"description":"upstream's"`)
	if doc, _ := rendered(t, kindFull, "", v); doc["description"] != "upstream's" {
		t.Errorf("description = %v, want the public registry's", doc["description"])
	}
}

func TestDamagedFragmentIsOurFault(t *testing.T) {
	e := entry("1.0.0", packhouse.Published)
	for cut := range e.Fragment {
		e := e
		e.Fragment = e.Fragment[:cut]
		_, err := rendered(t, kindAbbreviated, "", format.View{Entries: []format.Entry{e}})
		if packhouse.KindOf(err) != packhouse.KindInternal || err == nil {
			t.Fatalf("fragment cut at %d: %v, want Internal", cut, err)
		}
	}
}

// bigDocument is a packument of n versions of about 1 KiB.
func bigDocument(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"_id":"box","name":"box","dist-tags":{"latest":"1.0.0"},"versions":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"1.%d.0":{"name":"box","version":"1.%d.0","description":"A box for things","main":"index.js","scripts":{"test":"node test.js"},`+
			`"repository":{"type":"git","url":"git+https://git.example/box.git"},"keywords":["box","thing"],"license":"MIT",`+
			`"dependencies":{"left-pad":"^1.0.%d","right-pad":"~2.0.0","middle-pad":">=3"},"devDependencies":{"tape":"^4.0.0"},"engines":{"node":">=18"},`+
			`"_id":"box@1.%d.0","gitHead":"0123456789012345678901234567890123456789","_npmUser":{"name":"u","email":"u@mail.example"},`+
			`"dist":{"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709",`+
			`"tarball":"https://cdn.example/box-1.%d.0.tgz","fileCount":5,"unpackedSize":1234,"signatures":[{"keyid":"k","sig":"0123456789"}]},"_hasShrinkwrap":false}`, i, i, i, i, i)
	}
	b.WriteString(`},"time":{"created":"2020-01-02T03:04:05.678Z"`)
	for i := range n {
		fmt.Fprintf(&b, `,"1.%d.0":"2020-01-02T03:04:05.678Z"`, i)
	}
	b.WriteString(`},"readme":"# box"}`)
	return b.Bytes()
}

func bigView(tb testing.TB, n int) format.View {
	index, err := New().ReadIndex(packhouse.PackageName{Format: ID, Name: "box"}, bigDocument(n))
	if err != nil || len(index.Versions) != n {
		tb.Fatalf("index of %d versions, %v", len(index.Versions), err)
	}
	v := format.View{Package: packhouse.PackageName{Format: ID, Name: "box"}, Tags: index.Tags, Head: index.Head}
	for _, r := range index.Versions {
		v.Entries = append(v.Entries, format.Entry{Version: r.Version, Status: r.Status, Published: r.Published, Fragment: r.Fragment})
	}
	return v
}

func BenchmarkRender2000(b *testing.B) {
	v := bigView(b, 2000)
	for _, kind := range []string{kindFull, kindAbbreviated} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New().Render(context.Background(), io.Discard, format.DocKey{Kind: kind, Base: "http://x/"}, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadIndex(b *testing.B) {
	for _, n := range []int{2000, 60_000} {
		doc := bigDocument(n)
		b.Run(fmt.Sprintf("versions=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New().ReadIndex(packhouse.PackageName{Format: ID, Name: "box"}, doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompare(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New().Compare("1.10.0", "1.9.12-rc.1")
	}
}

// FuzzReadIndex: whatever an upstream sends, documents made of it are JSON and carry our
// addresses only where dist.tarball stood.
func FuzzReadIndex(f *testing.F) {
	f.Add(bigDocument(2))
	f.Add([]byte(`{"versions":{"1.0.0":{"dist":{"tarball":"a","tarball":"b"},"dist":{"tarball":"c"},"deprecated":false}}}`))
	f.Add([]byte(`{"versions":{"1.0.0":{"":"","dist":{"tarball":"a"},"scripts":{"install":1}}},"time":[],"dist-tags":{"\u0000":"1.0.0"},"readme":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		name := packhouse.PackageName{Format: ID, Name: "box"}
		index, err := New().ReadIndex(name, body)
		if err != nil {
			return
		}
		v := format.View{Package: name, Tags: index.Tags, Head: index.Head}
		for _, r := range index.Versions {
			if facts, err := New().Inspect(t.Context(), format.Upload{Package: name, Version: r.Version, Pulled: true, Manifest: r.Manifest,
				PulledFragment: r.Fragment, Files: []format.UploadedFile{{Name: assetName, Content: strings.NewReader("")}}}); err != nil || !bytes.Equal(facts.Fragment, buildFragment(r.Manifest, nil)) {
				t.Fatalf("a pulled version has no facts: %v", err)
			}
			v.Entries = append(v.Entries, format.Entry{Version: r.Version, Status: r.Status, Published: r.Published, Fragment: r.Fragment, Overlay: r.Overlay})
		}
		for _, kind := range []string{kindFull, kindAbbreviated, kindTags} {
			var b bytes.Buffer
			_, err := New().Render(t.Context(), &b, format.DocKey{Kind: kind, Base: "http://x/"}, v)
			if err != nil && packhouse.KindOf(err) == packhouse.KindNotFound {
				continue
			}
			if err != nil || !json.Valid(b.Bytes()) {
				t.Fatalf("%s of %q is %q, %v", kind, body, b.Bytes(), err)
			}
		}
	})
}

// FuzzPackageJSON: whatever stands in package.json and the client's document, an accepted
// upload yields valid documents that agree with its coordinates.
func FuzzPackageJSON(f *testing.F) {
	f.Add([]byte(`{"name":"box","version":"1.0.0","bin":"./x","license":{"type":1}}`), []byte(`{"name":"box","version":"1.0.0","dist":[],"bin":{"a":"b"}}`))
	f.Add([]byte(`{"name":"box","version":"v1.0.0","scripts":[],"bundledDependencies":true}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, own, sent []byte) {
		if !json.Valid(own) {
			return
		}
		in := inspection{up: format.Upload{Package: packhouse.PackageName{Format: ID, Name: "box"}, Version: "1.0.0", Manifest: sent}}
		facts, err := in.uploadedFacts(tarball{manifest: own})
		if err != nil {
			if packhouse.KindOf(err) != packhouse.KindInvalid {
				t.Fatalf("error of the wrong kind: %v", err)
			}
			return
		}
		if !json.Valid(facts.Manifest) {
			t.Fatalf("manifest %q is not JSON", facts.Manifest)
		}
		doc, err := rendered(t, kindFull, "", format.View{Entries: []format.Entry{{Version: "1.0.0", Status: packhouse.Published, Fragment: facts.Fragment}}})
		if err != nil {
			t.Fatal(err)
		}
		version := doc["versions"].(map[string]any)["1.0.0"].(map[string]any)
		if version["name"] != "box" || version["version"] != "1.0.0" || version["dist"].(map[string]any)["tarball"] != "http://x/box/-/box-1.0.0.tgz" {
			t.Fatalf("version object %v", version)
		}
	})
}

// FuzzNames: a name or version that is accepted survives its way into an address and back.
func FuzzNames(f *testing.F) {
	f.Add("@acme/box", "1.0.0")
	f.Add("JSONStream", "0.0.1-a-1.0.0")
	f.Fuzz(func(t *testing.T, full, version string) {
		name, err := New().canonicalFull(full)
		if err != nil {
			return
		}
		if fullName(name) != full {
			t.Fatalf("%q became %q", full, fullName(name))
		}
		if key, err := New().VersionKey(version); err == nil {
			if again, err := New().VersionKey(key); err != nil || again != key {
				t.Fatalf("key %q of %q is not stable: %q, %v", key, version, again, err)
			}
			for _, file := range []string{tarballName(name, version), full + "-" + version + ".tgz"} {
				if got, ok := tarballVersion(name, file); !ok || got != version {
					t.Fatalf("file %q is of version %q, want %q", file, got, version)
				}
			}
		}
	})
}

// kept answers every document from memory, as the engine does when nothing has changed.
type kept struct {
	format.House
	doc format.Doc
}

func (k kept) Document(context.Context, packhouse.Principal, format.DocKey) (format.Doc, error) {
	return k.doc, nil
}

// What the room adds to a warm GET of a package's document: no JSON, few allocations.
func BenchmarkWarmPackument(b *testing.B) {
	house := kept{doc: format.Doc{DocInfo: format.DocInfo{ContentType: typeJSON, Modified: time.Unix(1e9, 0)}, ETag: `"x"`, Plain: make([]byte, 100<<10), Gzip: make([]byte, 10<<10)}}
	p := protocol{New(), house}
	for name, accept := range map[string]string{"npm": typeJSON, "pnpm": typeAbbreviated + "; q=1.0, application/json; q=0.8, */*"} {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/box", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Encoding", "gzip, br")
		req := &format.Request{Request: r, Base: "http://x/", Vars: map[string]string{"name": "@acme/box"}}
		w := &discard{header: http.Header{}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				if err := p.packument(w, req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
