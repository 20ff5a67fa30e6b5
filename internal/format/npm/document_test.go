package npm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// split runs the scanner and gathers what it diverts.
func split(r io.Reader) (meta []byte, data map[string]string, err error) {
	data = map[string]string{}
	place := documentPlace{ctx: context.Background()}
	defer place.leave()
	meta, err = splitDocument(r, &place, func(name string, text io.Reader) error {
		b, err := io.ReadAll(text)
		data[name] += string(b)
		return err
	})
	return meta, data, err
}

func TestSplitDocument(t *testing.T) {
	for _, tt := range []struct {
		name, in, meta string
		data           map[string]string
	}{
		{"attachments first, as Yarn 4 sends them", `{"_attachments":{"a.tgz":{"data":"QUJD","length":3}},"name":"a"}`,
			`{"_attachments":{"a.tgz":{"data":"","length":3}},"name":"a"}`, map[string]string{"a.tgz": "QUJD"}},
		{"attachments last, as npm sends them", `{"name":"a","_attachments":{"a.tgz":{"length":3,"data":"QUJD"}}}`,
			`{"name":"a","_attachments":{"a.tgz":{"length":3,"data":""}}}`, map[string]string{"a.tgz": "QUJD"}},
		{"space everywhere", " {\n\"_attachments\" : { \"a\" : { \"data\" : \"QQ==\" } } } ",
			" {\n\"_attachments\" : { \"a\" : { \"data\" : \"\" } } } ", map[string]string{"a": "QQ=="}},
		{"escaped slashes in the data", `{"_attachments":{"a":{"data":"a\/b\u002Bc"}}}`,
			`{"_attachments":{"a":{"data":""}}}`, map[string]string{"a": "a/b+c"}},
		{"escaped keys", `{"\u005fattachments":{"\u0061":{"d\u0061ta":"x"}}}`,
			`{"\u005fattachments":{"\u0061":{"d\u0061ta":""}}}`, map[string]string{"a": "x"}},
		{"a signature bundle", `{"_attachments":{"a.sigstore":{"data":"{\"x\":1}"}}}`,
			`{"_attachments":{"a.sigstore":{"data":""}}}`, map[string]string{"a.sigstore": `{"x":1}`}},
		{"keys of the same names elsewhere", `{"versions":{"_attachments":{"a":{"data":"x"}}},"data":"y","_attachments":{"data":"z"}}`,
			`{"versions":{"_attachments":{"a":{"data":"x"}}},"data":"y","_attachments":{"data":"z"}}`, nil},
		{"data that is no string", `{"_attachments":{"a":{"data":["x"]},"b":{"data":{"data":"y"}}}}`,
			`{"_attachments":{"a":{"data":["x"]},"b":{"data":{"data":"y"}}}}`, nil},
		{"lists around the path", `[{"_attachments":{"a":{"data":"x"}}}]`, `[{"_attachments":{"a":{"data":"x"}}}]`, nil},
		{"braces in strings", `{"a":"}{][,:\"","_attachments":{"}":{"data":"x"}}}`,
			`{"a":"}{][,:\"","_attachments":{"}":{"data":""}}}`, map[string]string{"}": "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				meta, data, err := split(r)
				if err != nil || string(meta) != tt.meta || len(data) != len(tt.data) {
					t.Fatalf("split = %s, %v, %v", meta, data, err)
				}
				for k, v := range tt.data {
					if data[k] != v {
						t.Errorf("data of %q = %q, want %q", k, data[k], v)
					}
				}
			}
		})
	}
}

// reliability.md S29, A8: depth, size and repeated keys.
func TestSplitDocumentRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		kind     packhouse.Kind
	}{
		{"an empty body", ``, packhouse.KindInvalid},
		{"no JSON", `hello`, packhouse.KindInvalid},
		{"a document that is cut off", `{"a":1`, packhouse.KindInvalid},
		{"data that is cut off", `{"_attachments":{"a":{"data":"QUJD`, packhouse.KindInvalid},
		{"two documents", `{}{}`, packhouse.KindInvalid},
		{"a missing colon before data", `{"_attachments":{"a":{"data" "QUJD"}}}`, packhouse.KindInvalid},
		{"a closing brace too many", `{}}`, packhouse.KindInvalid},
		{"a line end in data", "{\"_attachments\":{\"a\":{\"data\":\"QU\nJD\"}}}", packhouse.KindInvalid},
		{"a bad escape in data", `{"_attachments":{"a":{"data":"\x"}}}`, packhouse.KindInvalid},
		{"a repeated key", `{"name":"a","name":"b"}`, packhouse.KindInvalid},
		{"a repeated key, once escaped", `{"name":"a","n\u0061me":"b"}`, packhouse.KindInvalid},
		{"attachments twice", `{"_attachments":{"a":{"data":"x"}},"_attachments":{"a":{"data":"y"}}}`, packhouse.KindInvalid},
		{"65 levels", strings.Repeat("[", 65) + strings.Repeat("]", 65), packhouse.KindInvalid},
		{"4 MiB of metadata", `{"a":"` + strings.Repeat("x", 4<<20) + `"}`, packhouse.KindTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if meta, _, err := split(strings.NewReader(tt.in)); err == nil || packhouse.KindOf(err) != tt.kind {
				t.Errorf("split = %.40s, %v, want %s", meta, err, tt.kind)
			}
		})
	}
	if _, _, err := split(strings.NewReader(strings.Repeat("[", 64) + strings.Repeat("]", 64))); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	lost := errors.New("connection lost")
	if _, _, err := split(io.MultiReader(strings.NewReader(`{"_attachments":{"a":{"data":"QU`), iotest.ErrReader(lost))); !errors.Is(err, lost) {
		t.Errorf("split of a lost connection = %v", err)
	}
}

// zeros is an endless string of base64 zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func publishDocument(size int64) io.Reader {
	return io.MultiReader(strings.NewReader(`{"_attachments":{"a-1.0.0.tgz":{"data":"`), io.LimitReader(zeros{}, size),
		strings.NewReader(`","length":1}},"name":"a"}`))
}

// The memory of a publish does not depend on the tarball (npm.md 4 step 1).
func BenchmarkSplitDocument50MB(b *testing.B) {
	const size = 50 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, err := splitDocument(publishDocument(size), &documentPlace{ctx: context.Background()}, func(_ string, data io.Reader) error {
			_, err := io.Copy(io.Discard, data)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func TestSplitDocumentAllocatesNoMoreForLargeData(t *testing.T) {
	allocated := func(size int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := splitDocument(publishDocument(size), &documentPlace{ctx: context.Background()}, func(_ string, data io.Reader) error {
			_, err := io.Copy(io.Discard, data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if got := allocated(64 << 20); got > 2<<20 {
		t.Errorf("a document with 64 MiB of data allocates %d bytes, want at most 2 MiB", got)
	}
}

// FuzzSplitDocument holds the scanner against encoding/json: a document is taken only if
// it is valid, and then its parts are what a decoder sees.
func FuzzSplitDocument(f *testing.F) {
	f.Add([]byte(`{"_attachments":{"a.tgz":{"data":"QUJD","length":3}},"name":"a"}`))
	f.Add([]byte(`{"\u005fattachments":{"a":{"data":"\/\u0041\n"}}}`))
	f.Add([]byte(`[{"_attachments":[]},"\"",{"a":{}}]`))
	f.Add([]byte(`{"_attachments":{"a":{"data" "x"}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		meta, data, err := split(bytes.NewReader(doc))
		if err != nil {
			if json.Valid(doc) && utf8.Valid(doc) && checkJSON(doc) == nil {
				t.Fatalf("%q is decent, but: %v", doc, err)
			}
			return
		}
		if !json.Valid(doc) {
			t.Fatalf("%q is taken but not valid", doc)
		}
		var want, got any
		if decode(doc, &want) != nil || decode(meta, &got) != nil {
			t.Fatalf("%q and %q do not both decode", doc, meta)
		}
		seen := emptyData(want)
		if a, b := encode(t, want), encode(t, got); a != b {
			t.Fatalf("meta of %q is %s, want %s", doc, b, a)
		}
		for name, text := range data {
			// Bytes that are not UTF-8 and surrogates come as they are; base64 has neither.
			if plain(text) && plain(seen[name]) && seen[name] != text {
				t.Fatalf("data of %q in %q is %q, want %q", name, doc, text, seen[name])
			}
		}
	})
}

func plain(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsRune(s, '\uFFFD')
}

// decode keeps numbers as text: the scanner does not judge how large they are.
func decode(doc []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	return d.Decode(v)
}

func encode(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// emptyData does to a decoded document what the scanner does to its text.
func emptyData(doc any) map[string]string {
	seen := map[string]string{}
	top, _ := doc.(map[string]any)
	attachments, _ := top["_attachments"].(map[string]any)
	for name, v := range attachments {
		if a, ok := v.(map[string]any); ok {
			if s, ok := a["data"].(string); ok {
				seen[name], a["data"] = s, ""
			}
		}
	}
	return seen
}

// FuzzMembers holds the walk over valid JSON against encoding/json.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(` { "a" : 1 , "b":{"c":[1,"}"]},"d":"\"x\\" , "e":null,"":-1.5e3} `))
	f.Add([]byte(`[1,{"a":2}]`))
	f.Add([]byte(`{"a":tru`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got := map[string]string{}
		for m := range members(doc) {
			if !bytes.HasSuffix(m.text, m.value) || json.Valid(doc) && !bytes.Equal(doc[m.at:m.at+len(m.value)], m.value) {
				t.Fatalf("value %q is not where member %q of %q says", m.value, m.text, doc)
			}
			got[string(m.key)] = string(m.value)
		}
		if !json.Valid(doc) {
			return
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(doc, &want) != nil {
			want = nil
		}
		if len(got) != len(want) {
			t.Fatalf("members of %q = %q, want %q", doc, got, want)
		}
		for k, v := range want {
			if got[k] != string(v) {
				t.Fatalf("member %q of %q = %q, want %q", k, doc, got[k], v)
			}
		}
	})
}
