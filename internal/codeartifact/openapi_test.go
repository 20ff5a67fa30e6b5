package codeartifact

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

// testFormats are those of the public service with one of ours behind them.
func testFormats() []packhouse.FormatID { return append(sdkFormats(), "go") }

// TestTextsNameEveryOperation: the texts are about the SDK's operations, each once.
func TestTextsNameEveryOperation(t *testing.T) {
	list, _ := readModel(t)
	want := map[string]bool{}
	for _, o := range list {
		want[o.name] = true
		if texts[o.name] == "" {
			t.Errorf("%s has no text", o.name)
		}
		for _, m := range o.members {
			if memberTexts[m.name].text == "" {
				t.Errorf("%s: member %s has no text", o.name, m.name)
			}
		}
	}
	for name := range texts {
		if !want[name] {
			t.Errorf("%s has a text and is no operation", name)
		}
	}
}

// parsed is the document as a reader sees it.
type parsed struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Description string
		Parameters  []struct {
			Name, In string
			Required bool
			Schema   map[string]any
			Example  any
		}
		RequestBody *struct {
			Required bool
			Content  map[string]struct{ Schema map[string]any }
		}
		Responses map[string]json.RawMessage
	}
	Components struct {
		Schemas   map[string]any
		Responses map[string]struct {
			Headers map[string]struct{ Schema map[string]any }
		}
	}
}

func parseOpenAPI(t *testing.T) parsed {
	t.Helper()
	var doc parsed
	if err := json.Unmarshal(openAPI(testFormats(), "test"), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPIIsTheModel compares the document with the public model, not with the table
// that it is made of: every operation with a row, every member where it travels, what is
// required, every bound, and every error with its status (issue 4, 3).
func TestOpenAPIIsTheModel(t *testing.T) {
	doc := parseOpenAPI(t)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
	list, shapes := readModel(t)
	found := 0
	for _, want := range list {
		got, ok := doc.Paths[want.path][strings.ToLower(want.method)]
		if !ok {
			if findRow(want.name) != nil {
				t.Errorf("%s is not in the document", want.name)
			}
			continue
		}
		found++
		t.Run(want.name, func(t *testing.T) {
			if got.OperationID != want.name || got.Description == "" {
				t.Errorf("operation %q with description %q", got.OperationID, got.Description)
			}
			var gotMembers, wantMembers []string
			for _, p := range got.Parameters {
				gotMembers = append(gotMembers, fmt.Sprint(p.In, " ", p.Name, " ", p.Required, " ", bounds(p.Schema)))
				if p.Example == nil {
					t.Errorf("parameter %s has no example", p.Name)
				}
			}
			if b := got.RequestBody; b != nil && b.Content[typeJSON].Schema != nil {
				s := b.Content[typeJSON].Schema
				required, _ := s["required"].([]any)
				for name, of := range s["properties"].(map[string]any) {
					gotMembers = append(gotMembers, fmt.Sprint("body ", name, " ", slices.Contains(required, any(name)), " ", bounds(of.(map[string]any))))
				}
			}
			for _, m := range want.members {
				if s := shapes[m.shape]; s.kind != "stream" {
					wantMembers = append(wantMembers, fmt.Sprint(m.where, " ", m.wire, " ", m.required, " ", modelBounds(m.shape, shapes)))
				} else if got.RequestBody == nil || !got.RequestBody.Required || got.RequestBody.Content["application/octet-stream"].Schema == nil {
					t.Errorf("no body of bytes: %+v", got.RequestBody)
				}
			}
			slices.Sort(gotMembers)
			slices.Sort(wantMembers)
			if !slices.Equal(gotMembers, wantMembers) {
				t.Errorf("members:\n%s\nwant:\n%s", strings.Join(gotMembers, "\n"), strings.Join(wantMembers, "\n"))
			}
			for _, code := range want.errors {
				status := strconv.Itoa(statusOf(code))
				var ref struct {
					Ref string `json:"$ref"`
				}
				if err := json.Unmarshal(got.Responses[status], &ref); err != nil {
					t.Errorf("%s: no response %s", code, status)
					continue
				}
				response := doc.Components.Responses[strings.TrimPrefix(ref.Ref, "#/components/responses/")]
				if codes, _ := response.Headers["X-Amzn-ErrorType"].Schema["enum"].([]any); !slices.Contains(codes, any(code)) {
					t.Errorf("response %s names %v, want %s", status, codes, code)
				}
			}
			for _, code := range []string{conflict, quotaExceeded} {
				if _, ok := got.Responses[strconv.Itoa(statusOf(code))]; ok && !slices.Contains(want.errors, code) {
					t.Errorf("%s is a response, the model has no such error here", code)
				}
			}
		})
	}
	if found != len(operations()) {
		t.Errorf("%d operations in the document, want %d", found, len(operations()))
	}
}

func statusOf(code string) int {
	for _, a := range kinds {
		if a.code == code && a != away {
			return a.status
		}
	}
	return 0
}

// bounds writes down what a schema asks for, as modelBounds does.
func bounds(s map[string]any) string {
	num := func(name string) string {
		if v, ok := s[name].(float64); ok {
			return strconv.FormatInt(int64(v), 10)
		}
		return "-"
	}
	kind := s["type"]
	if either, ok := kind.([]any); ok && len(either) == 2 && either[1] == "null" {
		kind = either[0]
	}
	switch kind {
	case "string":
		if values, ok := s["enum"].([]any); ok {
			return fmt.Sprint("enum ", slices.DeleteFunc(values, func(v any) bool { return v == nil }))
		}
		return fmt.Sprint("text ", num("minLength"), " ", num("maxLength"), " ", s["pattern"] != nil)
	case "integer":
		return fmt.Sprint("integer ", num("minimum"), " ", num("maximum"))
	case "array":
		return fmt.Sprint("list ", num("minItems"), " ", num("maxItems"), " of ", bounds(s["items"].(map[string]any)))
	case "object":
		if each, ok := s["additionalProperties"].(map[string]any); ok {
			return fmt.Sprint("map of ", bounds(s["propertyNames"].(map[string]any)), " to ", bounds(each))
		}
		required, _ := s["required"].([]any)
		var parts []string
		for name, of := range s["properties"].(map[string]any) {
			parts = append(parts, fmt.Sprint(name, " ", slices.Contains(required, any(name)), " ", bounds(of.(map[string]any))))
		}
		slices.Sort(parts)
		return "structure " + strings.Join(parts, "; ")
	}
	return fmt.Sprint(kind)
}

func modelBounds(name string, shapes map[string]modelShape) string {
	s := shapes[name]
	num := func(n int64, none bool) string {
		if none {
			return "-"
		}
		return strconv.FormatInt(n, 10)
	}
	switch s.kind {
	case "enum":
		words := s.words
		if name == "PackageFormat" {
			words = nil
			for _, f := range testFormats() {
				words = append(words, string(f))
			}
		}
		return fmt.Sprint("enum ", words)
	case "text":
		return fmt.Sprint("text ", num(s.min, s.min <= 0), " ", num(s.max, s.max <= 0), " ", s.pattern != "")
	case "integer":
		return fmt.Sprint("integer ", s.min, " ", s.max)
	case "boolean":
		return "boolean"
	case "list":
		return fmt.Sprint("list ", num(s.min, s.min <= 0), " ", num(s.max, s.max <= 0), " of ", modelBounds(s.words[0], shapes))
	case "map":
		return fmt.Sprint("map of ", modelBounds(s.words[0], shapes), " to ", modelBounds(s.words[1], shapes))
	case "structure":
		var parts []string
		for _, m := range s.members {
			parts = append(parts, fmt.Sprint(m.wire, " ", m.required, " ", modelBounds(m.shape, shapes)))
		}
		slices.Sort(parts)
		return "structure " + strings.Join(parts, "; ")
	}
	return s.kind
}

// TestOpenAPIDescribesEveryAnswer: what the encoder writes for a filled output has no
// member that the document lacks, and lacks none that it calls required.
func TestOpenAPIDescribesEveryAnswer(t *testing.T) {
	for _, o := range operations() {
		if o.name == "GetPackageVersionAsset" {
			continue // bytes
		}
		t.Run(o.name, func(t *testing.T) {
			out := &outputs{named: object{}}
			schema := out.schema(o.output)
			value := reflect.New(o.output)
			fillOutput(value.Elem())
			w := httptest.NewRecorder()
			if err := respond(w, httptest.NewRequest("GET", "/", nil), value.Interface()); err != nil {
				t.Fatal(err)
			}
			var answer any
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			checkAnswer(t, o.name, answer, schema, out)
		})
	}
}

func checkAnswer(t *testing.T, path string, value any, schema object, out *outputs) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = out.named[strings.TrimPrefix(ref, "#/components/schemas/")].(object)
	}
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(object)
		each, _ := schema["additionalProperties"].(object)
		for name, member := range v {
			of, ok := properties[name].(object)
			if !ok {
				of = each
			}
			if of == nil {
				t.Errorf("%s.%s is not in the document", path, name)
				continue
			}
			checkAnswer(t, path+"."+name, member, of, out)
		}
		required, _ := schema["required"].([]string)
		for _, name := range required {
			if _, ok := v[name]; !ok {
				t.Errorf("%s.%s is required and not in the answer", path, name)
			}
		}
	case []any:
		checkAnswer(t, path+"[]", v[0], schema["items"].(object), out)
	case string:
		if schema["type"] != "string" {
			t.Errorf("%s is text, the document says %v", path, schema["type"])
		}
	case float64:
		if schema["type"] != "integer" && schema["type"] != "number" {
			t.Errorf("%s is a number, the document says %v", path, schema["type"])
		}
	}
}

// TestOpenAPIIsCacheable: one document for everybody, asked for again by its tag.
func TestOpenAPIIsCacheable(t *testing.T) {
	h := OpenAPI(testFormats(), "1.2.3")
	get := func(method string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/openapi.json", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	plain := get("GET")
	if plain.Code != 200 || !strings.HasPrefix(plain.Header().Get("Cache-Control"), "public") || !strings.Contains(plain.Body.String(), `"version": "1.2.3"`) {
		t.Fatalf("%d %v", plain.Code, plain.Header())
	}
	packed := get("GET", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(text, plain.Body.Bytes()) {
		t.Errorf("the compressed form is another document: %v", err)
	}
	if a, b := plain.Header().Get("ETag"), packed.Header().Get("ETag"); a == b || a == "" {
		t.Errorf("tags %q and %q, want two", a, b)
	}
	again := get("GET", "If-None-Match", plain.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("known tag: %d with %d bytes, want 304 without", again.Code, again.Body.Len())
	}
	if head := get("HEAD"); head.Body.Len() != 0 || head.Header().Get("Content-Length") != strconv.Itoa(plain.Body.Len()) {
		t.Errorf("HEAD: %d bytes, Content-Length %s", head.Body.Len(), head.Header().Get("Content-Length"))
	}
}
