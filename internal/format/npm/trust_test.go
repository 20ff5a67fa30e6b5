package npm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/archive/archivetest"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// trusted is a house with public registries behind it.
type trusted struct {
	format.House
	t *testing.T

	public  []string // full names that may leave
	answers []string // one per registry
	refuse  error    // of Ask
	bodies  []string // questions that left, decoded
	paths   []string

	own       []format.SigningKey
	documents map[string][]string // by path
	failing   error               // of Beside
	besides   []format.Document
	kept      map[string]string // provenance by name@version
}

func (h *trusted) Ask(_ context.Context, _ packhouse.Principal, q format.Question) ([]format.Answer, error) {
	if h.refuse != nil {
		return nil, h.refuse
	}
	var names []packhouse.PackageName
	for _, n := range q.Packages {
		if slices.Contains(h.public, fullName(n)) {
			names = append(names, n)
		}
	}
	var out []format.Answer
	for i, text := range h.answers {
		part := names
		if len(h.answers) > 1 { // each registry has one of the packages
			part = names[i : i+1]
		}
		if len(part) == 0 {
			continue
		}
		body, err := q.Body(part)
		if err != nil {
			return nil, err
		}
		if q.Header.Get("Content-Encoding") != "gzip" {
			h.t.Error("the question is not compressed")
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			h.t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			h.t.Fatal(err)
		}
		h.bodies, h.paths = append(h.bodies, strings.TrimSpace(string(plain))), append(h.paths, q.Path)
		out = append(out, format.Answer{Response: format.Response{Body: []byte(text)}, Packages: part})
	}
	return out, nil
}

func (h *trusted) Beside(_ context.Context, _ packhouse.Principal, d format.Document) ([]format.Response, error) {
	h.besides = append(h.besides, d)
	if h.failing != nil {
		return nil, h.failing
	}
	var out []format.Response
	for _, text := range h.documents[d.Path] {
		out = append(out, format.Response{Body: []byte(text)})
	}
	if out == nil {
		return nil, packhouse.NotFoundf("document", d.Path, "none")
	}
	return out, nil
}

func (h *trusted) SigningKeys(context.Context, packhouse.Principal, packhouse.RepoRef) ([]format.SigningKey, error) {
	return h.own, nil
}

func (h *trusted) Asset(_ context.Context, _ packhouse.Principal, a packhouse.AssetRef) (packhouse.Asset, *format.Content, error) {
	text, ok := h.kept[fullName(a.Package)+"@"+a.Version]
	if !ok || a.Asset != provenanceFile {
		return packhouse.Asset{}, nil, packhouse.NotFoundf(packhouse.ResourceAsset, a.Asset, "absent")
	}
	return packhouse.Asset{Name: a.Asset}, &format.Content{Size: int64(len(text)), At: strings.NewReader(text), Close: func() error { return nil }}, nil
}

func (h *trusted) do(method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	var router httpx.Router[format.Route]
	for _, route := range New().Routes(h) {
		if err := router.Add(route.Methods, route.Pattern, route); err != nil {
			h.t.Fatal(err)
		}
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, "http://h"+target, body)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	segments, err := httpx.SplitPath(r.URL.EscapedPath())
	if err != nil {
		h.t.Fatal(err)
	}
	m, _, known := router.Find(method, segments)
	if !known {
		h.t.Fatalf("no route for %s %s", method, target)
	}
	if err := m.Value.Serve(w, &format.Request{Request: r, Vars: m.Vars(), Base: "http://h/npm/d/r/"}); err != nil {
		New().WriteError(w, r, err)
	}
	return w
}

func gzipped(text string) io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return &b
}

const bulkPath = "/-/npm/v1/security/advisories/bulk"

// npm.md 4, audit: private names stay here; the registry's answer is handed on as it is.
func TestAuditAsksAboutPublicPackagesOnly(t *testing.T) {
	h := &trusted{t: t, public: []string{"left", "@scope/deep"}, answers: []string{`{"left": [ {"id":1e0} ]}`}}
	w := h.do("POST", bulkPath, gzipped(`{"left":["1.0.0","file:../x","1.0.0-rc.1"],"@acme/secret":["1.0.0"],"@scope/deep":["2.0.0"],"Bad Name":["1.0.0"]}`), "Content-Encoding", "gzip")
	if w.Code != 200 || w.Body.String() != h.answers[0] {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if want := []string{`{"@scope/deep":["2.0.0"],"left":["1.0.0","1.0.0-rc.1"]}`}; !slices.Equal(h.bodies, want) {
		t.Errorf("asked %s, want %s", h.bodies, want)
	}
	if h.paths[0] != bulkPath[1:] {
		t.Errorf("asked at %s", h.paths[0])
	}
}

func TestAuditJoinsAnswersOfSeveralRegistries(t *testing.T) {
	h := &trusted{t: t, public: []string{"a", "b"}, answers: []string{`{"a":[{"id":1}],"b":[{"id":9}]}`, `{"b":[{"id":2}]}`}}
	w := h.do("POST", bulkPath, strings.NewReader(`{"a":["1.0.0"],"b":["1.0.0"]}`))
	if got, want := strings.TrimSpace(w.Body.String()), `{"a":[{"id":1}],"b":[{"id":2}]}`; w.Code != 200 || got != want {
		t.Errorf("answer %d %s, want %s: a registry speaks for its own packages only", w.Code, got, want)
	}
}

// npm.md 4: "Never invent 0 vulnerabilities".
func TestAuditWithNobodyToAskSaysSo(t *testing.T) {
	upstream := &packhouse.Error{Kind: packhouse.KindUpstream, Reason: "upstream_failed", Message: "it failed"}
	absent := func(reason string) error {
		return &packhouse.Error{Kind: packhouse.KindNotFound, Reason: reason, Message: "x"}
	}
	for _, tt := range []struct {
		name   string
		house  trusted
		status int
		text   string
	}{
		{"no registry behind the repository", trusted{refuse: absent("no_registry")}, 404, "no public registry with a known address"},
		{"a registry that takes no audits", trusted{refuse: absent("upstream_not_found")}, 404, "does not answer audits"},
		{"no package that came from a registry", trusted{answers: []string{`{}`}}, 404, "none of these packages"},
		{"a registry that fails", trusted{refuse: upstream}, 502, "it failed"},
		{"a registry that answers nonsense", trusted{public: []string{"left"}, answers: []string{`[]`}}, 502, "cannot be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.house.t = t
			for _, target := range []string{bulkPath, "/-/npm/v1/security/audits", "/-/npm/v1/security/audits/quick"} {
				body := `{"left":["1.0.0"]}`
				if target != bulkPath {
					body = `{"dependencies":{"left":{"version":"1.0.0"}}}`
				}
				w := tt.house.do("POST", target, strings.NewReader(body))
				if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.text) {
					t.Errorf("%s: %d %s, want %d with %q", target, w.Code, w.Body, tt.status, tt.text)
				}
			}
		})
	}
	h := &trusted{t: t, answers: []string{`{}`}}
	if w := h.do("POST", bulkPath, strings.NewReader(`{}`)); w.Code != 200 || strings.TrimSpace(w.Body.String()) != "{}" {
		t.Errorf("no question: %d %s", w.Code, w.Body)
	}
}

// The older shape: places stay, names that are only ours go, and so does what the project
// says of itself.
func TestAuditTreeHidesPrivatePackages(t *testing.T) {
	h := &trusted{t: t, public: []string{"left", "right"}, answers: []string{`{"advisories":{}}`}}
	w := h.do("POST", "/-/npm/v1/security/audits/quick", gzipped(`{"name":"our-app","version":"7.7.7","metadata":{"host":"ci-7.acme.example"},
		"requires":{"left":"^1.0.0","@acme/secret":"*"},
		"dependencies":{
			"left":{"version":"1.0.0","integrity":"sha512-x","dev":true,"resolved":"http://inside/left.tgz"},
			"@acme/secret":{"version":"3.1.4","integrity":"sha512-secret","requires":{"right":"*","@acme/other":"1"},"dependencies":{"right":{"version":"2.0.0"}}},
			"near":{"version":"file:../secret-folder"}}}`), "Content-Encoding", "gzip")
	if w.Code != 200 || w.Body.String() != h.answers[0] {
		t.Fatalf("answer %d %s", w.Code, w.Body)
	}
	for _, private := range []string{"secret", "our-app", "7.7.7", "3.1.4", "acme", "other", "near", "inside", "ci-7"} {
		if strings.Contains(h.bodies[0], private) {
			t.Errorf("the question holds %q: %s", private, h.bodies[0])
		}
	}
	var got struct {
		Requires     map[string]string
		Dependencies map[string]auditNode
	}
	if err := json.Unmarshal([]byte(h.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Requires["left"] != "^1.0.0" || len(got.Requires) != 1 || got.Dependencies["left"].Integrity != "sha512-x" || !got.Dependencies["left"].Dev {
		t.Errorf("what is public is missing: %s", h.bodies[0])
	}
	if !strings.Contains(h.bodies[0], `"right":{"version":"2.0.0"}`) || len(got.Dependencies) != 3 {
		t.Errorf("what hangs below a hidden package is missing: %s", h.bodies[0])
	}
}

// reliability.md A8: bounded before memory is taken.
func TestAuditIsBounded(t *testing.T) {
	many := make(map[string][]string, maxAudited+1)
	for i := range maxAudited + 1 {
		many[fmt.Sprintf("p%d", i)] = nil
	}
	tooMany, _ := json.Marshal(many)
	for _, tt := range []struct {
		name   string
		body   io.Reader
		coding string
		status int
	}{
		{"a document that is too long", strings.NewReader(`{"a":["` + strings.Repeat("1", maxAudit) + `"]}`), "", 413},
		{"a bomb", gzipped(strings.Repeat(" ", 64<<20) + `{}`), "gzip", 413},
		{"too many packages", bytes.NewReader(tooMany), "", 413},
		{"compression that is none", strings.NewReader(`{}`), "gzip", 400},
		{"compression that is cut off", io.LimitReader(gzipped(`{"left":["1.0.0"]}`), 30), "gzip", 400},
		{"an encoding that nobody asked for", strings.NewReader(`{}`), "br", 400},
		{"no object", strings.NewReader(`[]`), "", 400},
		{"a key twice", strings.NewReader(`{"a":[],"a":[]}`), "", 400},
		{"too deep", strings.NewReader(strings.Repeat(`{"dependencies":`, 80) + `{}` + strings.Repeat(`}`, 80)), "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &trusted{t: t, answers: []string{`{}`}}
			if w := h.do("POST", bulkPath, tt.body, "Content-Encoding", tt.coding); w.Code != tt.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.status)
			}
		})
	}
}

func TestKeysAreOursAndTheRegistrys(t *testing.T) {
	theirs := `{"expires":"2025-01-29T00:00:00.000Z","keyid":"SHA256:theirs","keytype":"k","scheme":"s","key":"AA==","x":1}`
	h := &trusted{t: t, documents: map[string][]string{keysPath: {`{"keys":[` + theirs + `,{"keyid":"SHA256:new"},7,{}]}`, `{"keys":[{"keyid":"SHA256:theirs"}]}`}},
		own: []format.SigningKey{{ID: "SHA256:new", Public: []byte("new")}, {ID: "SHA256:old", Public: []byte("old"), Expires: time.Unix(1e9, 0)}}}
	w := h.do("GET", "/"+keysPath, nil)
	want := `{"keys":[{"expires":null,"keyid":"SHA256:new","keytype":"ecdsa-sha2-nistp256","scheme":"ecdsa-sha2-nistp256","key":"bmV3"},` +
		`{"expires":"2001-09-09T01:46:40Z","keyid":"SHA256:old","keytype":"ecdsa-sha2-nistp256","scheme":"ecdsa-sha2-nistp256","key":"b2xk"},` + theirs + `]}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("keys %d\n%s, want\n%s", w.Code, got, want)
	}
	h.failing = &packhouse.Error{Kind: packhouse.KindUpstream, Message: "down"}
	if w := h.do("GET", "/"+keysPath, nil); w.Code != 502 {
		t.Errorf("%d while the registry's keys are unknown, want 502: a part of the keys makes good signatures look forged", w.Code)
	}
	h.failing, h.documents, h.own = nil, nil, nil
	if w := h.do("GET", "/"+keysPath, nil); w.Code != 404 {
		t.Errorf("%d without any key, want 404", w.Code)
	}
}

func TestAttestationsAreServedAtEveryAddressThatNpmMakes(t *testing.T) {
	pulled := `{ "attestations" : [] }`
	own := bundleText(packageURL(mustName(t, "@acme/built"), "1.0.0"), "00", "https://slsa.dev/provenance/v1")
	h := &trusted{t: t, kept: map[string]string{"@acme/built@1.0.0": own},
		documents: map[string][]string{"-/npm/v1/attestations/@scope%2fdeep@2.0.0": {pulled}}}
	for _, prefix := range []string{"", "/npm/r", "/npm/d/r", "/npm/d/d-111122223333/r"} {
		for _, name := range []string{"@acme%2fbuilt@1.0.0", "@acme%2Fbuilt@1.0.0", "@acme/built@1.0.0"} {
			w := h.do("GET", prefix+"/-/npm/v1/attestations/"+name, nil)
			want := `{"attestations":[{"predicateType":"https://slsa.dev/provenance/v1","bundle":` + own + `}]}`
			if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
				t.Errorf("%s%s: %d %s, want %s", prefix, name, w.Code, got, want)
			}
		}
	}
	if len(h.besides) > 0 {
		t.Errorf("registries were asked for what we have: %+v", h.besides)
	}
	if w := h.do("GET", "/-/npm/v1/attestations/@scope%2fdeep@2.0.0", nil); w.Code != 200 || w.Body.String() != pulled {
		t.Errorf("the registry's document: %d %q, want its bytes %q", w.Code, w.Body, pulled)
	}
	if d := h.besides[0]; !d.Lasting || d.Version != "2.0.0" || fullName(d.Package) != "@scope/deep" {
		t.Errorf("asked for %+v", d)
	}
	for _, bad := range []string{"left", "@acme%2fbuilt", "left@", "left@latest", "left@1.0"} {
		if w := h.do("GET", "/-/npm/v1/attestations/"+bad, nil); w.Code != 404 {
			t.Errorf("%s: %d, want 404", bad, w.Code)
		}
	}
	if w := h.do("GET", "/-/npm/v1/attestations/left@1.0.0", nil); w.Code != 404 || !strings.Contains(w.Body.String(), "left@1.0.0 has no attestations") {
		t.Errorf("absent: %d %s", w.Code, w.Body)
	}
}

func mustName(t *testing.T, full string) packhouse.PackageName {
	t.Helper()
	n, err := New().canonicalFull(full)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func bundleText(subject, sha512, predicate string) string {
	statement := fmt.Sprintf(`{"_type":"t","subject":[{"name":%q,"digest":{"sha512":%q}}],"predicateType":%q}`, subject, sha512, predicate)
	return `{"mediaType":"m","dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString([]byte(statement)) + `"}}`
}

// upload makes an Upload of @acme/built 1.0.0, with a provenance unless it is "".
func upload(t *testing.T, provenance func(sha512 string) string) format.Upload {
	t.Helper()
	tgz := archivetest.TarGz(t, archivetest.File{Name: "package/package.json", Body: `{"name":"@acme/built","version":"1.0.0"}`})
	up := format.Upload{Package: mustName(t, "@acme/built"), Version: "1.0.0",
		Files: []format.UploadedFile{{Name: assetName, Size: int64(len(tgz)), Hashes: sums(tgz), Content: bytes.NewReader(tgz)}}}
	if provenance != nil {
		text := provenance(up.Files[0].Hashes.SHA512)
		up.Files = append(up.Files, format.UploadedFile{Name: provenanceFile, Size: int64(len(text)), Hashes: sums([]byte(text)), Content: strings.NewReader(text), Side: true})
	}
	return up
}

// shownVersion is the version's object as documents show it.
func shownVersion(t *testing.T, facts packhouse.Facts) object {
	t.Helper()
	var b bytes.Buffer
	_, err := New().Render(t.Context(), &b, format.DocKey{Kind: kindVersion, Arg: "1.0.0", Base: "http://h/npm/d/r/", Package: mustName(t, "@acme/built")},
		format.View{Package: mustName(t, "@acme/built"), Entries: []format.Entry{{Version: "1.0.0", Status: packhouse.Published, Fragment: facts.Fragment}}})
	if err != nil {
		t.Fatal(err)
	}
	return readObject(b.Bytes())
}

func TestUploadsAreSigned(t *testing.T) {
	up := upload(t, nil)
	plain, err := New().Inspect(t.Context(), up)
	if err != nil {
		t.Fatal(err)
	}
	if got := shownVersion(t, plain).object("dist")["signatures"]; got != nil {
		t.Errorf("signatures without a signer: %s", got)
	}
	var text string
	up.Sign = func(b []byte) (format.Signature, error) {
		text = string(b)
		return format.Signature{KeyID: "SHA256:k", Value: []byte{1, 2, 3}}, nil
	}
	signed, err := New().Inspect(t.Context(), up)
	if err != nil {
		t.Fatal(err)
	}
	dist := shownVersion(t, signed).object("dist")
	if want := "@acme/built@1.0.0:" + dist.text("integrity"); text != want {
		t.Errorf("signed %q, want %q", text, want)
	}
	if got, want := string(dist["signatures"]), `[{"keyid":"SHA256:k","sig":"AQID"}]`; got != want {
		t.Errorf("signatures %s, want %s", got, want)
	}
	if !bytes.Equal(signed.Manifest, plain.Manifest) {
		t.Errorf("the signature enters the revision's name:\n%s\n%s", signed.Manifest, plain.Manifest)
	}
	up.Sign = func([]byte) (format.Signature, error) {
		return format.Signature{}, packhouse.Internal(io.ErrUnexpectedEOF)
	}
	if _, err := New().Inspect(t.Context(), up); packhouse.KindOf(err) != packhouse.KindInternal {
		t.Errorf("a signer that fails: %v", err)
	}
}

// npm.md 4: a provenance must be about this package and these bytes.
func TestProvenanceIsChecked(t *testing.T) {
	const right, slsa = "pkg:npm/%40acme/built@1.0.0", "https://slsa.dev/provenance/v1"
	for _, tt := range []struct {
		name   string
		bundle func(sha512 string) string
		text   string // in the error; "" for none
	}{
		{"about this tarball", func(sum string) string { return bundleText(right, sum, slsa) }, ""},
		{"digest in upper case", func(sum string) string { return bundleText(right, strings.ToUpper(sum), slsa) }, ""},
		{"about another package", func(sum string) string { return bundleText("pkg:npm/other@1.0.0", sum, slsa) }, "is about"},
		{"about another version", func(sum string) string { return bundleText("pkg:npm/%40acme/built@1.0.1", sum, slsa) }, "is about"},
		{"about another tarball", func(sum string) string { return bundleText(right, strings.Repeat("0", 128), slsa) }, "another tarball"},
		{"without a digest", func(string) string { return bundleText(right, "", slsa) }, "another tarball"},
		{"without a type", func(sum string) string { return bundleText(right, sum, "") }, "predicateType"},
		{"no JSON", func(string) string { return "{" }, "not valid JSON"},
		{"no envelope", func(string) string { return "{}" }, "dsseEnvelope"},
		{"payload that is no JSON", func(string) string { return `{"dsseEnvelope":{"payload":"AAAA"}}` }, "statement"},
		{"no subject", func(string) string { return `{"dsseEnvelope":{"payload":"e30="}}` }, "exactly one subject"},
		{"a key twice", func(sum string) string {
			return strings.Replace(bundleText(right, sum, slsa), `{"payload"`, `{"payload":"e30=","payload"`, 1)
		}, "not valid JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := upload(t, tt.bundle)
			facts, err := New().Inspect(t.Context(), up)
			if tt.text != "" {
				if packhouse.ReasonOf(err) != "invalid_provenance" || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want invalid_provenance with %q", err, tt.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := `{"url":"http://h/npm/d/r/-/npm/v1/attestations/@acme%2fbuilt@1.0.0","provenance":{"predicateType":"` + slsa + `"}}`
			if got := string(shownVersion(t, facts).object("dist")["attestations"]); got != want {
				t.Errorf("attestations %s, want %s", got, want)
			}
			// Two bundles about the same tarball are two revisions.
			if digest := up.Files[1].Hashes.SHA256; !bytes.Contains(facts.Manifest, []byte(digest)) {
				t.Errorf("the bundle's digest is not in the manifest: %s", facts.Manifest)
			}
		})
	}
}

// npm.md 5: of what the public registry says only addresses change, wherever they stand.
func TestPulledSignalsPassThrough(t *testing.T) {
	const theirs = `{"name":"left","version":"1.0.0","_npmUser":{"name":"x"},"dist":{"attestations":{"provenance":{"predicateType":"p"},"url":"https://x.example/-/npm/v1/attestations/left@1.0.0","more":[1]},` +
		`"signatures":[{"sig":"c2ln","keyid":"SHA256:k"}],"tarball":"https://x.example/left.tgz","integrity":"sha512-AA=="}}`
	index, err := New().ReadIndex(mustName(t, "left"), []byte(`{"name":"left","versions":{"1.0.0":`+theirs+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{kindVersion, kindFull, kindAbbreviated} {
		var b bytes.Buffer
		_, err = New().Render(t.Context(), &b, format.DocKey{Kind: kind, Arg: "1.0.0", Base: "http://h/r/", Package: mustName(t, "left")},
			format.View{Package: mustName(t, "left"), Entries: []format.Entry{{Version: "1.0.0", Status: packhouse.Published, Fragment: index.Versions[0].Fragment}}})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("https://x.example/left.tgz", "http://h/r/left/-/left-1.0.0.tgz", "https://x.example/-/", "http://h/r/-/").Replace(theirs)
		if kind == kindAbbreviated {
			want = strings.Replace(want, `"_npmUser":{"name":"x"},`, "", 1)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: %s, want %s", kind, b.String(), want)
		}
	}
}

// Fragments that were stored before attestations had an address of ours stay readable.
func TestOlderFragmentsAreRead(t *testing.T) {
	b := buildFragment([]byte(`{"name":"left","dist":{"tarball":"x","attestations":"none"}}`), nil)
	for version := range byte(4) {
		b[0] = version
		if _, err := readFragment(b); (err == nil) != (version == 1 || version == fragmentVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestCompareIndexesFindsEverySignal(t *testing.T) {
	const upstream = `{"name":"left","dist-tags":{"latest":"1.0.0","next":"2.0.0"},"time":{"1.0.0":"2020-02-29T12:30:15.250Z","2.0.0":"2020-03-01T00:00:00.000Z"},"versions":{
		"1.0.0":{"name":"left","_npmUser":{"name":"x"},"deprecated":"old","engines":{"node":">=1"},"bin":{"l":"l.js"},"dependencies":{"a":"1"},
			"dist":{"tarball":"https://x/","integrity":"sha512-AA==","shasum":"aa","signatures":[{"keyid":"k","sig":"s"}],"attestations":{"url":"https://x/a","provenance":{"predicateType":"p"}}}},
		"2.0.0":{"name":"left","dist":{"tarball":"https://x/","integrity":"sha512-BB=="}},
		"v3":{"name":"left","dist":{"tarball":"https://x/"}},
		"2.0.0+b":{"name":"left","dist":{"tarball":"https://x/"}}}}`
	const left = `,
		"v3":{"name":"left","dist":{"tarball":"http://us/"}},
		"2.0.0+b":{"name":"left","dist":{"tarball":"http://us/"}}`
	ours, found := strings.CutSuffix(strings.ReplaceAll(upstream, "https://x/", "http://us/"), left+"}}")
	if !found {
		t.Fatal("the test's own text is wrong")
	}
	ours += "}}"
	n, same, err := New().CompareIndexes([]byte(ours), []byte(upstream))
	if err != nil || len(same) != 0 || n != 3 {
		t.Fatalf("only by design different: %d versions, %v, %v", n, same, err)
	}
	for _, tt := range []struct{ from, to, version, field string }{
		{`"_npmUser":{"name":"x"},`, ``, "1.0.0", "_npmUser"},
		{`"deprecated":"old"`, `"deprecated":"older"`, "1.0.0", "deprecated"},
		{`">=1"`, `">=2"`, "1.0.0", "engines"},
		{`"l.js"`, `"m.js"`, "1.0.0", "bin"},
		{`"a":"1"`, `"a":"2"`, "1.0.0", "dependencies"},
		{`sha512-AA==`, `sha512-CC==`, "1.0.0", "dist.integrity"},
		{`"shasum":"aa"`, `"shasum":"ab"`, "1.0.0", "dist.shasum"},
		{`"sig":"s"`, `"sig":"t"`, "1.0.0", "dist.signatures"},
		{`"predicateType":"p"`, `"predicateType":"q"`, "1.0.0", "dist.attestations.provenance"},
		{`15.250Z`, `15.000Z`, "1.0.0", "time"},
		{`"latest":"1.0.0"`, `"latest":"2.0.0"`, "", "dist-tags.latest"},
		{`,"next":"2.0.0"`, ``, "", "dist-tags.next"},
		{`"1.0.0":{"name"`, `"0.9.0":{"name"`, "0.9.0", "version"},
	} {
		changed := strings.Replace(ours, tt.from, tt.to, 1)
		_, found, err := New().CompareIndexes([]byte(changed), []byte(upstream))
		if err != nil || len(found) == 0 || found[0].Version != tt.version || found[0].Field != tt.field || len(found) > 2 {
			t.Errorf("%s to %s: %+v, %v, want %s of %q", tt.from, tt.to, found, err, tt.field, tt.version)
		}
	}
	for _, text := range []string{"", "[]", "{"} {
		if _, _, err := New().CompareIndexes([]byte(text), []byte(upstream)); packhouse.KindOf(err) != packhouse.KindInvalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}
