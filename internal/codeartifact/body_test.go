package codeartifact

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

const copyTarget = "/v1/package/versions/copy?domain=test-domain&source-repository=my-repo&destination-repository=test-repo2&format=npm&package=test-package"

func decodeCopy(t testing.TB, body string) (copyPackageVersionsInput, error) {
	t.Helper()
	var in copyPackageVersionsInput
	_, err := findRow("CopyPackageVersions").plan().decode(httptest.NewRequest("POST", copyTarget, nil), []byte(body), reflect.ValueOf(&in).Elem())
	return in, err
}

func TestBodies(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tt := range []struct {
		name, body string
		reason     string // "" for accepted
		message    string // part of the error's
		versions   []string
	}{
		{name: "no body is an empty object", body: ""},
		{name: "white space is no body", body: " \r\n"},
		{name: "members", body: `{"versions":["1","2"]}`, versions: []string{"1", "2"}},
		{name: "an empty list is not an absent one", body: `{"versions":[]}`, versions: []string{}},
		{name: "null is absent", body: `{"versions":null,"allowOverwrite":null}`},
		{name: "unknown members are ignored", body: `{"x":{"y":[1,{"z":null}]},"versions":["1"]}`, versions: []string{"1"}},
		{name: "a prototype is a plain unknown member", body: `{"__proto__":{"versions":["1"]}}`},
		{name: "names in another case are unknown", body: `{"Versions":["1"],"VERSIONS":["2"]}`},
		{name: "escaped names are the names they spell", body: `{"\u0076ersions":["1"]}`, versions: []string{"1"}},
		{name: "not JSON", body: `versions=1`, reason: reasonParse},
		{name: "not finished", body: `{"versions":["1"`, reason: reasonParse},
		{name: "something behind the object", body: `{} {}`, reason: reasonParse},
		{name: "not an object", body: `["1"]`, reason: reasonParse},
		{name: "null is not an object", body: `null`, reason: reasonParse},
		{name: "not UTF-8", body: "{\"versions\":[\"\xff\"]}", reason: reasonParse},
		{name: "a member twice", body: `{"versions":["1"],"versions":["2"]}`, reason: reasonParse, message: "'versions' more than once"},
		{name: "a member twice, once escaped", body: `{"versions":["1"],"version\u0073":["2"]}`, reason: reasonParse},
		{name: "a member twice, once null", body: `{"versions":null,"versions":["2"]}`, reason: reasonParse},
		{name: "a map's key twice", body: `{"versionRevisions":{"1":"a","1":"b"}}`, reason: reasonParse},
		{name: "an unknown member twice", body: `{"x":1,"x":2}`, reason: reasonParse},
		{name: "twice inside an unknown member", body: `{"x":[{"y":1,"y":2}]}`, reason: reasonParse},
		{name: "nested as deep as allowed", body: `{"x":` + nested(maxDepth-1) + `}`},
		{name: "nested deeper", body: `{"x":` + nested(maxDepth) + `}`, reason: reasonParse, message: "nested"},
		{name: "as many tokens as allowed", body: `{"x":[` + strings.Repeat("0,", maxTokens-6) + `0]}`},
		{name: "more tokens", body: `{"x":[` + strings.Repeat("0,", maxTokens-5) + `0]}`, reason: reasonParse, message: "tokens"},
		{name: "the place of a bad item", body: `{"versions":["1","a/b"]}`, reason: reasonConstraint,
			message: `1 validation error detected: Value 'a/b' at 'versions.2.member' must match the regular expression [^#/\s]+`},
		{name: "the place of a bad value in a map", body: `{"versionRevisions":{"1":" "}}`, reason: reasonConstraint, message: "at 'versionRevisions.1'"},
		{name: "all problems at once", body: `{"versions":[1,null],"allowOverwrite":"yes"}`, reason: reasonConstraint, message: "3 validation errors detected"},
		{name: "control characters do not reach the message", body: `{"versions":["\u001b[31m\n"]}`, reason: reasonConstraint, message: `'\x1b[31m\n'`},
		{name: "a character outside the basic plane counts once", body: `{"versions":["` + strings.Repeat("😀", 255) + `"]}`, versions: []string{strings.Repeat("😀", 255)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, err := decodeCopy(t, tt.body)
			if packhouse.ReasonOf(err) != tt.reason {
				t.Fatalf("got %v, want reason %q", err, tt.reason)
			}
			if err != nil && !strings.Contains(err.Error(), tt.message) {
				t.Errorf("message %q, want %q in it", err, tt.message)
			}
			if err == nil && !reflect.DeepEqual(in.Versions, tt.versions) {
				t.Errorf("versions %#v, want %#v", in.Versions, tt.versions)
			}
		})
	}
}

func TestManyProblemsMakeAShortMessage(t *testing.T) {
	body, err := json.Marshal(map[string]any{"versions": strings.Split(strings.Repeat(strings.Repeat("#", 5000)+"\n", 100), "\n")})
	if err != nil {
		t.Fatal(err)
	}
	_, got := decodeCopy(t, string(body))
	if packhouse.ReasonOf(got) != reasonConstraint || len(got.Error()) > 8000 || !strings.HasPrefix(got.Error(), "102 validation errors") {
		t.Errorf("%d bytes: %.200s", len(got.Error()), got)
	}
}

// FuzzBody compares the decoder with encoding/json on bodies that it accepts: what it
// reads is there, and nothing it reads breaks a constraint.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{}`, `{"versions":["4.0.0","5.0.0"]}`, `{"versionRevisions":{"1":"a"},"allowOverwrite":true}`,
		`{"versions":null,"x":[{"y":{}}]}`, `{"versions":[1]}`, `{"a":1,"a":2}`, `[`, `{"versions":["\ud800"]}`, "", " "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		in, err := decodeCopy(t, body)
		if err != nil {
			if reason := packhouse.ReasonOf(err); reason != reasonParse && reason != reasonConstraint {
				t.Fatalf("reason %q: %v", reason, err)
			}
			return
		}
		if strings.TrimSpace(body) == "" {
			return
		}
		var loose map[string]any
		if err := json.Unmarshal([]byte(body), &loose); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		versions, _ := loose["versions"].([]any)
		if len(versions) != len(in.Versions) || len(in.Versions) > 100 {
			t.Fatalf("%d versions read, %d there", len(in.Versions), len(versions))
		}
		for i, v := range in.Versions {
			if v != versions[i] || v == "" || strings.ContainsAny(v, "#/ \t\r\n") {
				t.Fatalf("version %q, body has %q", v, versions[i])
			}
		}
		revisions, _ := loose["versionRevisions"].(map[string]any)
		if len(revisions) != len(in.VersionRevisions) {
			t.Fatalf("%d revisions read, %d there", len(in.VersionRevisions), len(revisions))
		}
		if allow, _ := loose["allowOverwrite"].(bool); allow != in.AllowOverwrite {
			t.Fatalf("allowOverwrite %t", in.AllowOverwrite)
		}
	})
}

// FuzzQuery feeds query strings to the operation with the most kinds of parameters.
func FuzzQuery(f *testing.F) {
	f.Add("domain=test-domain&repository=test-repo&format=npm&package=x")
	f.Add("domain=a&domain=b&max-results=01&sortBy=%zz;")
	f.Add("domain=%FF&repository=a+b&%00=1&max-results=-1")
	row := findRow("ListPackageVersions")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("POST", "/v1/package/versions", nil)
		r.URL.RawQuery = query
		var in listPackageVersionsInput
		if _, err := row.plan().decode(r, nil, reflect.ValueOf(&in).Elem()); err != nil {
			if packhouse.KindOf(err) != packhouse.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		if len(in.Domain) < 2 || len(in.Domain) > 50 || in.Format == "" || in.Package == "" ||
			in.MaxResults != nil && (*in.MaxResults < 1 || *in.MaxResults > 1000) {
			t.Fatalf("accepted %q as %+v", query, in)
		}
	})
}

func BenchmarkDecodeCopyPackageVersions(b *testing.B) {
	versions := make([]string, 100)
	for i := range versions {
		versions[i] = fmt.Sprintf("4.%d.0", i)
	}
	body, err := json.Marshal(map[string]any{"versions": versions, "allowOverwrite": true})
	if err != nil {
		b.Fatal(err)
	}
	p := findRow("CopyPackageVersions").plan()
	r := httptest.NewRequest("POST", copyTarget, nil)
	for _, bb := range []struct {
		name string
		body []byte
	}{{"1 version", []byte(`{"versions":["4.0.0"]}`)}, {"100 versions", body}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var in copyPackageVersionsInput
				if _, err := p.decode(r, bb.body, reflect.ValueOf(&in).Elem()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
