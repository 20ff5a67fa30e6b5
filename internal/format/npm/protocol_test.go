package npm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/archive/archivetest"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// house is one package in memory: enough of the engine to see what the room asks of it.
type house struct {
	format.House // what this room does not ask for
	t            *testing.T
	entries      []format.Entry
	tags         map[string]string
	seq          int64
	staged       int // contents not discarded

	published []format.Publication
	amended   []format.Amendments
	tagged    []format.TagChange
	docs      []format.DocKey
	assets    []packhouse.AssetRef
}

type stagedBytes struct {
	*bytes.Reader
	h    *house
	sums packhouse.Hashes
	gone bool
}

func (s *stagedBytes) Hashes() packhouse.Hashes { return s.sums }
func (s *stagedBytes) Size() int64              { return s.Reader.Size() }
func (s *stagedBytes) Discard() {
	if !s.gone {
		s.gone = true
		s.h.staged--
	}
}

func (h *house) Stage(_ context.Context, _ packhouse.Principal, _ packhouse.PackageRef, r io.Reader, _ int64) (format.Staged, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, packhouse.Internal(err) // a store that hides what its reader said
	}
	h.staged++
	return &stagedBytes{Reader: bytes.NewReader(b), h: h, sums: sums(b)}, nil
}

func sums(b []byte) packhouse.Hashes {
	s1, s256, s512 := sha1.Sum(b), sha256.Sum256(b), sha512.Sum512(b)
	return packhouse.Hashes{SHA1: hex.EncodeToString(s1[:]), SHA256: hex.EncodeToString(s256[:]), SHA512: hex.EncodeToString(s512[:])}
}

func (h *house) Publish(ctx context.Context, _ packhouse.Principal, p format.Publication) (format.Outcome, error) {
	content := p.Assets[0].Content
	defer content.Discard()
	if wrong := content.Hashes().Mismatch(p.Assets[0].Declared); wrong != "" {
		return format.Outcome{}, packhouse.Invalidf("digest_mismatch", "%s differs", wrong)
	}
	key := withoutBuild(p.Version)
	if slices.ContainsFunc(h.entries, func(e format.Entry) bool { return withoutBuild(e.Version) == key }) {
		return format.Outcome{}, packhouse.Conflictf("version_exists", packhouse.ResourceVersion, p.Version, "exists")
	}
	facts, err := New().Inspect(ctx, format.Upload{Package: p.Package.Package, Version: p.Version, Manifest: p.Manifest,
		Files: []format.UploadedFile{{Name: p.Assets[0].Name, Size: content.Size(), Hashes: content.Hashes(), Content: content}}})
	if err != nil {
		return format.Outcome{}, err
	}
	h.seq++
	h.published = append(h.published, p)
	h.entries = append(h.entries, format.Entry{Version: p.Version, Status: packhouse.Published, Fragment: facts.Fragment,
		Overlay: p.Overlay, Published: time.Unix(1e9, 0), Local: true})
	for _, tag := range p.Tags {
		h.tags[tag] = p.Version
	}
	return format.Outcome{}, nil
}

func (h *house) Document(ctx context.Context, _ packhouse.Principal, k format.DocKey) (format.Doc, error) {
	h.docs = append(h.docs, k)
	var b bytes.Buffer
	info, err := New().Render(ctx, &b, k, format.View{Repo: k.Repo, Package: k.Package, Entries: h.entries, Tags: h.tags, Seq: h.seq})
	return format.Doc{DocInfo: info, Plain: b.Bytes(), ETag: `"x"`}, err
}

func (h *house) Asset(_ context.Context, _ packhouse.Principal, a packhouse.AssetRef) (packhouse.Asset, *format.Content, error) {
	h.assets = append(h.assets, a)
	content := []byte("tarball of " + a.Version)
	return packhouse.Asset{Name: a.Asset, Size: int64(len(content)), Digest: sha256.Sum256(content)},
		&format.Content{Size: int64(len(content)), At: bytes.NewReader(content), Close: func() error { return nil }}, nil
}

func (h *house) Tag(_ context.Context, _ packhouse.Principal, _ packhouse.PackageRef, c format.TagChange) error {
	h.tagged = append(h.tagged, c)
	return nil
}

func (h *house) Amend(_ context.Context, _ packhouse.Principal, _ packhouse.PackageRef, a format.Amendments) error {
	if a.IfSeq != 0 && a.IfSeq != h.seq {
		return staleRevision()
	}
	h.amended = append(h.amended, a)
	for _, want := range a.Versions {
		i := slices.IndexFunc(h.entries, func(e format.Entry) bool { return e.Version == want.Version })
		if i < 0 {
			return packhouse.NotFoundf(packhouse.ResourceVersion, want.Version, "no such version")
		}
		if want.Overlay != nil {
			h.entries[i].Overlay = *want.Overlay
		}
		if want.Status != "" {
			h.entries[i].Status = want.Status
		}
	}
	h.seq++
	return nil
}

// do sends a request through the router, as the registry door does.
func (h *house) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.doReader(method, target, strings.NewReader(body), int64(len(body)), header...)
}

func (h *house) doReader(method, target string, body io.Reader, length int64, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.doTo(h, method, target, body, length, header...)
}

// doWith is do for a house of which h is a part.
func (h *house) doWith(to format.House, method, target, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.doTo(to, method, target, strings.NewReader(body), int64(len(body)), header...)
}

func (h *house) doTo(to format.House, method, target string, body io.Reader, length int64, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	var router httpx.Router[format.Route]
	for _, route := range New().Routes(to) {
		if err := router.Add(route.Methods, route.Pattern, route); err != nil {
			h.t.Fatal(err)
		}
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, "http://x"+target, body)
	r.ContentLength = length
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	segs, err := httpx.SplitPath(r.URL.EscapedPath())
	if err != nil {
		New().WriteError(w, r, err)
		return w
	}
	m, _, ok := router.Find(method, segs)
	if !ok {
		New().WriteError(w, r, packhouse.NotFoundf("path", "", "no route"))
		return w
	}
	req := &format.Request{Request: r, Who: packhouse.Principal{ID: 1, Name: "bob"}, Base: "http://x/", Vars: m.Vars()}
	if err := m.Value.Serve(w, req); err != nil {
		New().WriteError(w, r, err)
	}
	return w
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, tags: map[string]string{}}
	t.Cleanup(func() {
		if h.staged != 0 {
			t.Errorf("%d staged contents were left behind", h.staged)
		}
	})
	return h
}

func packed(t *testing.T, name, version string) []byte {
	return archivetest.TarGz(t, archivetest.File{Name: "package/package.json", Body: fmt.Sprintf(`{"name":%q,"version":%q}`, name, version)})
}

// publishBody is a document as npm sends it; change edits it.
func publishBody(t *testing.T, name, version string, change func(doc map[string]any)) string {
	content := packed(t, name, version)
	s := sums(content)
	sum512, err := hex.DecodeString(s.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]any{"latest": version, "other": "9.9.9"}, "access": nil,
		"versions": map[string]any{version: map[string]any{"name": name, "version": version, "readme": "hi",
			"dist": map[string]any{"shasum": s.SHA1, "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum512)}}},
		"_attachments": map[string]any{name + "-" + version + ".tgz": map[string]any{
			"content_type": "application/octet-stream", "data": base64.StdEncoding.EncodeToString(content), "length": len(content)}},
	}
	if change != nil {
		change(doc)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPublishAndRead(t *testing.T) {
	h := newHouse(t)
	if w := h.do("PUT", "/@acme%2fbox", publishBody(t, "@acme/box", "1.0.0", nil)); w.Code != 201 {
		t.Fatalf("publish = %d %s", w.Code, w.Body)
	}
	p := h.published[0]
	if p.Package.Package != (packhouse.PackageName{Format: ID, Namespace: "acme", Name: "box"}) || !slices.Equal(p.Tags, []string{"latest"}) ||
		p.Assets[0].Name != "package.tgz" || p.Assets[0].Declared.SHA512 == "" {
		t.Errorf("publication = %+v", p)
	}
	if w := h.do("PUT", "/@acme/box", publishBody(t, "@acme/box", "1.0.0", nil)); w.Code != 409 ||
		w.Body.String() != `{"error":"You cannot publish over the previously published versions: 1.0.0. Raise the version: exists."}`+"\n" {
		t.Errorf("second publish = %d %s", w.Code, w.Body)
	}
	// npm.md case 18: every spelling of the slash is the same package.
	for _, path := range []string{"/@acme%2fbox", "/@acme%2Fbox", "/@acme/box"} {
		for accept, want := range map[string]string{
			"": typeJSON, "application/json": typeJSON, "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*": typeAbbreviated,
			"application/vnd.npm.install-v1+json;q=0, */*": typeJSON} {
			w := h.do("GET", path, "", "Accept", accept)
			if w.Code != 200 || w.Header().Get("Content-Type") != want || !strings.Contains(w.Body.String(), `"http://x/@acme/box/-/box-1.0.0.tgz"`) {
				t.Errorf("GET %s with Accept %q = %d %s %s", path, accept, w.Code, w.Header(), w.Body)
			}
		}
	}
	for _, path := range []string{"/@acme/box/-/box-1.0.0.tgz", "/@acme%2fbox/-/box-1.0.0.tgz", "/@acme/box/-/@acme/box-1.0.0.tgz", "/@acme%2fbox/-/@acme%2Fbox-1.0.0.tgz"} {
		w := h.do("GET", path, "")
		if w.Code != 200 || w.Body.String() != "tarball of 1.0.0" || w.Header().Get("Content-Type") != "application/octet-stream" {
			t.Errorf("GET %s = %d %s", path, w.Code, w.Body)
		}
	}
	if w := h.do("GET", "/-/-/--0.0.1.tgz", ""); w.Code != 200 || h.assets[len(h.assets)-1].Package.Name != "-" {
		t.Errorf(`tarball of the package "-" = %d %v`, w.Code, h.assets)
	}
	for path, want := range map[string]int{"/@acme/box/1.0.0": 200, "/@acme%2fbox/latest": 200, "/@acme/box/2.0.0": 404, "/@acme/box/%3E=1": 404,
		"/@acme/box/-/bax-1.0.0.tgz": 404, "/@acme/box/-/box-1.0.tgz": 404, "/-/ping": 200, "/-/whoami": 200,
		"/-/_view/byField": 404, "/-/npm/v1/security/advisories/bulk": 404, "/-/package/@acme%2fbox/dist-tags": 200} {
		if w := h.do("GET", path, ""); w.Code != want || want != 200 && !strings.HasPrefix(w.Body.String(), `{"error":"`) {
			t.Errorf("GET %s = %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
	if w := h.do("GET", "/@acme/box?write=true", ""); !strings.Contains(w.Body.String(), `"_rev":"1"`) || !h.docs[len(h.docs)-1].Local {
		t.Errorf("document before a write = %s", w.Body)
	}
	// CI asks for trusted publishing on its own; a quick 404 lets it go on.
	for _, path := range []string{"/-/npm/v1/oidc/token/exchange/package/@acme%2fbox", "/-/package/@acme%2fbox/trust", "/-/npm/v1/attestations/@acme%2fbox@1.0.0"} {
		if w := h.do("POST", path, ""); w.Code != 404 || !strings.HasPrefix(w.Body.String(), `{"error":"`) {
			t.Errorf("POST %s = %d %s, want 404", path, w.Code, w.Body)
		}
	}
}

// npm.md 4 and case 16: each fault is a 4xx with a reason, and nothing is published.
func TestPublishRefuses(t *testing.T) {
	at := func(doc map[string]any, path ...string) map[string]any {
		for _, p := range path {
			doc = doc[p].(map[string]any)
		}
		return doc
	}
	const version, file = "1.0.0", "box-1.0.0.tgz"
	for _, tt := range []struct {
		name, target string
		change       func(doc map[string]any)
		status       int
		text         string
	}{
		{"another name in the document", "/box", func(d map[string]any) { d["name"] = "bax" }, 400, "name"},
		{"another name in the manifest", "/box", func(d map[string]any) { at(d, "versions", version)["name"] = "bax" }, 400, "manifest"},
		{"another version in the manifest", "/box", func(d map[string]any) { at(d, "versions", version)["version"] = "1.0.1" }, 400, "manifest"},
		{"two versions", "/box", func(d map[string]any) { at(d, "versions")["2.0.0"] = map[string]any{} }, 400, "exactly one version"},
		{"no version", "/box", func(d map[string]any) { d["versions"] = nil }, 400, "exactly one version"},
		{"two tarballs", "/box", func(d map[string]any) { at(d, "_attachments")["x.tgz"] = map[string]any{"data": ""} }, 400, "exactly one tarball"},
		{"only a signature", "/box", func(d map[string]any) {
			d["_attachments"] = map[string]any{"box-1.0.0.sigstore": map[string]any{"data": "{}"}}
		}, 400, "exactly one tarball"},
		{"a file of another name", "/box", func(d map[string]any) {
			a := at(d, "_attachments")
			a["bax-1.0.0.tgz"] = a[file]
			delete(a, file)
		}, 400, "attachment is called"},
		{"a wrong length", "/box", func(d map[string]any) { at(d, "_attachments", file)["length"] = 3 }, 400, "length"},
		{"a wrong shasum", "/box", func(d map[string]any) { at(d, "versions", version, "dist")["shasum"] = "nonsense" }, 400, "SHA-1"},
		{"a wrong integrity", "/box", func(d map[string]any) {
			at(d, "versions", version, "dist")["integrity"] = "sha512-AAAA"
		}, 400, "SHA-512"},
		{"data that is not base64", "/box", func(d map[string]any) { at(d, "_attachments", file)["data"] = "*" }, 400, "base64"},
		{"base64 that is cut off", "/box", func(d map[string]any) { at(d, "_attachments", file)["data"] = "QUJDQ" }, 400, "base64"},
		{"a tarball that is none", "/box", func(d map[string]any) {
			at(d, "_attachments", file)["data"] = "QUJD"
			at(d, "_attachments", file)["length"] = 3
			at(d, "versions", version)["dist"] = nil
		}, 400, "tarball"},
		{"a tag that is a range", "/box", func(d map[string]any) { at(d, "dist-tags")["1.x"] = version }, 400, "range"},
		{"a tag without a name", "/box", func(d map[string]any) { at(d, "dist-tags")[""] = version }, 400, "tag"},
		{"an upper-case name", "/Box", nil, 400, "lower case"},
		{"a name with an underscore first", "/_box", nil, 400, "underscore"},
		{"a reserved name", "/favicon.ico", nil, 400, "reserved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			w := h.do("PUT", tt.target, publishBody(t, "box", version, tt.change))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.text) || len(h.published) != 0 {
				t.Errorf("publish = %d %s, want %d with %q and nothing published", w.Code, w.Body, tt.status, tt.text)
			}
		})
	}
	h := newHouse(t)
	if w := h.do("PUT", "/box", publishBody(t, "box", "1.0", nil)); w.Code != 400 || !strings.Contains(w.Body.String(), "version") {
		t.Errorf("publish of version 1.0 = %d %s", w.Code, w.Body)
	}
	if w := h.do("PUT", "/box", "{}", "Content-Encoding", "gzip"); w.Code != 400 {
		t.Errorf("compressed publish = %d %s", w.Code, w.Body)
	}
	r := &limitedBody{r: strings.NewReader("12345"), left: 4, limit: 4}
	if _, err := io.ReadAll(r); packhouse.KindOf(err) != packhouse.KindTooLarge {
		t.Errorf("body over its limit = %v, want TooLarge", err)
	}
}

// A client must not be told that an owner was kept.
func TestOwnersAreNotKept(t *testing.T) {
	h := newHouse(t)
	publishAll(t, h, "1.0.0")
	for _, tt := range []struct {
		name, path, body string
		status           int
	}{
		{"an owner", "/box/-rev/1", `{"maintainers":[{"name":"bob"}]}`, 400},
		{"no owner", "/box/-rev/1", `{"maintainers":[]}`, 200},
		{"what was there before", "/box", h.do("GET", "/box?write=true", "").Body.String(), 200},
	} {
		if w := h.do("PUT", tt.path, tt.body); w.Code != tt.status || len(h.amended) != 0 {
			t.Errorf("%s = %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
	}
}

func publishAll(t *testing.T, h *house, versions ...string) {
	for _, v := range versions {
		if w := h.do("PUT", "/box", publishBody(t, "box", v, nil)); w.Code != 201 {
			t.Fatalf("publish %s = %d %s", v, w.Code, w.Body)
		}
	}
}

// npm.md case 8: npm sends the whole document back.
func TestDeprecate(t *testing.T) {
	h := newHouse(t)
	publishAll(t, h, "1.0.0", "1.1.0")
	body := h.do("GET", "/box?write=true", "").Body.String()
	body = strings.Replace(body, `"version":"1.0.0",`, `"version":"1.0.0","deprecated":"old <1>",`, 1)
	if w := h.do("PUT", "/box", body); w.Code != 200 || len(h.amended) != 1 || len(h.amended[0].Versions) != 1 {
		t.Fatalf("deprecate = %d %s, %+v", w.Code, w.Body, h.amended)
	}
	if w := h.do("GET", "/box", ""); !strings.Contains(w.Body.String(), `"deprecated":"old <1>"`) {
		t.Errorf("document = %s", w.Body)
	}
	if w := h.do("PUT", "/box", body); w.Code != 200 || len(h.amended) != 1 {
		t.Errorf("the same again = %d and amends %d times, want no change", w.Code, len(h.amended))
	}
	if w := h.do("PUT", "/box", `{"versions":{"1.0.0":{"deprecated":""},"7.0.0":{"deprecated":"x"}}}`); w.Code != 200 || len(h.amended) != 2 {
		t.Errorf("undeprecate = %d %s", w.Code, w.Body)
	}
	if w := h.do("GET", "/box", ""); strings.Contains(w.Body.String(), "deprecated") {
		t.Errorf("document = %s", w.Body)
	}
}

// npm.md case 9, with the requests that npm makes.
func TestUnpublish(t *testing.T) {
	h := newHouse(t)
	publishAll(t, h, "1.0.0", "1.1.0")
	for _, rev := range []string{"1", "undefined", "0", "-1"} {
		if w := h.do("PUT", "/box/-rev/"+rev, `{"versions":{"1.0.0":{}}}`); w.Code != 409 {
			t.Errorf("stale revision %s = %d %s, want 409", rev, w.Code, w.Body)
		}
	}
	if w := h.do("PUT", "/box/-rev/2", `{"versions":{}}`); w.Code != 400 {
		t.Errorf("document without any version = %d, want 400", w.Code)
	}
	if w := h.do("PUT", "/box/-rev/2", `{"maintainers":[]}`); w.Code != 200 || len(h.amended) != 0 {
		t.Errorf("change of owners = %d and %v, want 200 and nothing", w.Code, h.amended)
	}
	if w := h.do("PUT", "/box/-rev/2", `{"dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{}}}`); w.Code != 200 {
		t.Fatalf("unpublish, step 1 = %d %s", w.Code, w.Body)
	}
	if h.entries[1].Status != packhouse.Disposed || h.amended[0].IfSeq != 2 || !slices.Equal(h.tagged, []format.TagChange{{Tag: "latest", Version: "1.0.0"}}) {
		t.Errorf("after step 1: %v, %+v, %v", h.entries[1].Status, h.amended, h.tagged)
	}
	for _, file := range []string{"box-1.1.0.tgz", "box-9.9.9.tgz"} {
		if w := h.do("DELETE", fmt.Sprintf("/box/-/%s/-rev/%d", file, h.seq), ""); w.Code != 200 {
			t.Errorf("unpublish, step 2 of %s = %d %s", file, w.Code, w.Body)
		}
	}
	if w := h.do("DELETE", "/box/-/box-1.1.0.tgz/-rev/1", ""); w.Code != 200 {
		t.Errorf("step 2 after somebody else's change = %d %s, want 200: the version is gone", w.Code, w.Body)
	}
	if w := h.do("DELETE", "/box/-/box-1.0.0.tgz/-rev/1", ""); w.Code != 409 || h.entries[0].Status != packhouse.Published {
		t.Errorf("step 2 alone with a stale revision = %d %s, want 409", w.Code, w.Body)
	}
	if w := h.do("DELETE", fmt.Sprintf("/box/-rev/%d", h.seq), ""); w.Code != 200 || !h.amended[len(h.amended)-1].AllVersions {
		t.Errorf("unpublish all = %d %+v", w.Code, h.amended)
	}
	if w := h.do("DELETE", "/box/-rev/1", ""); w.Code != 409 {
		t.Errorf("unpublish all with a stale revision = %d, want 409", w.Code)
	}
}

// npm.md case 7.
func TestDistTags(t *testing.T) {
	h := newHouse(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", "/-/package/@acme%2fbox/dist-tags/beta", `"1.0.0"`, 201},
		{"POST", "/-/package/box/dist-tags/beta", `"1.0.0"`, 201},
		{"PUT", "/-/package/box/dist-tags/1.x", `"1.0.0"`, 400},
		{"PUT", "/-/package/box/dist-tags/v1", `"1.0.0"`, 400},
		{"PUT", "/-/package/box/dist-tags/beta", `1.0.0`, 400},
		{"PUT", "/-/package/box/dist-tags/beta", `"latest"`, 400},
		{"PUT", "/-/package/box/dist-tags/beta", `"` + strings.Repeat("1", 5000) + `"`, 413},
		{"DELETE", "/-/package/box/dist-tags/beta", "", 200},
		{"DELETE", "/-/package/box/dist-tags/latest", "", 400},
	} {
		if w := h.do(tt.method, tt.path, tt.body); w.Code != tt.status {
			t.Errorf("%s %s %.20s = %d %s, want %d", tt.method, tt.path, tt.body, w.Code, w.Body, tt.status)
		}
	}
	want := []format.TagChange{{Tag: "beta", Version: "1.0.0"}, {Tag: "beta", Version: "1.0.0"}, {Tag: "beta"}}
	if !slices.Equal(h.tagged, want) {
		t.Errorf("tag changes = %v, want %v", h.tagged, want)
	}
}

func TestTagNames(t *testing.T) {
	for _, tag := range []string{"latest", "next", "beta-1", "release_2.x-lts", "canary", "a", "node18", "vnext"} {
		if err := checkTag(tag); err != nil {
			t.Errorf("tag %q: %v", tag, err)
		}
	}
	for _, tag := range []string{"", "1", "1.x", "v1", "x", "*", ">=1", "1.0.0", "a b", "a/b", "é", strings.Repeat("a", 129)} {
		if checkTag(tag) == nil {
			t.Errorf("tag %q is accepted", tag)
		}
	}
}

func TestWriteError(t *testing.T) {
	get := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, tt := range []struct {
		err    error
		status int
		body   string
		header string
	}{
		{io.EOF, 500, "internal error", ""},
		{packhouse.Internal(fmt.Errorf("secret")), 500, "internal error", ""},
		{&packhouse.Error{Kind: packhouse.KindUnauthenticated, Message: "who"}, 401, "who", "WWW-Authenticate"},
		{packhouse.Deniedf("x", "not you"), 403, "not you", ""},
		{&packhouse.Error{Kind: packhouse.KindUnsupported, Message: "no"}, 404, "no", ""},
		{&packhouse.Error{Kind: packhouse.KindUpstream, Message: "upstream"}, 502, "upstream", ""},
		{&packhouse.Error{Kind: packhouse.KindUpstreamTimeout, Message: "slow"}, 504, "slow", ""},
		{&packhouse.Error{Kind: packhouse.KindUnavailable, Message: "later"}, 503, "later", "Retry-After"},
		{&packhouse.Error{Kind: packhouse.KindDiskLow, Message: "full"}, 507, "full", "Retry-After"},
	} {
		w := httptest.NewRecorder()
		New().WriteError(w, get, tt.err)
		if w.Code != tt.status || w.Body.String() != `{"error":"`+tt.body+`"}`+"\n" || tt.header != "" && w.Header().Get(tt.header) == "" {
			t.Errorf("%v: %d %s %v", tt.err, w.Code, w.Body, w.Header())
		}
	}
	w := httptest.NewRecorder()
	New().WriteError(w, get, &packhouse.Error{Kind: packhouse.KindUnauthenticated})
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="packhouse"` {
		t.Errorf("challenge = %q", got)
	}
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status = %d", w.Code)
	}
}
