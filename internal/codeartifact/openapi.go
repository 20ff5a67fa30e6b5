package codeartifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

const typeJSON = "application/json"

// OpenAPI serves the OpenAPI 3.1 document of all operations to everybody. It is rendered
// when it is first asked for.
//
// Source: made of the table of operations; its form is the OpenAPI Specification 3.1.0.
func OpenAPI(formats []packhouse.FormatID, version string) http.Handler {
	type document struct {
		plain, packed []byte
		etag          string
	}
	render := sync.OnceValue(func() document {
		plain := openAPI(formats, version)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(plain) // to memory
		_ = z.Close()
		sum := sha256.Sum256(plain)
		return document{plain, packed.Bytes(), hex.EncodeToString(sum[:8])}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httpx.RecordOf(r.Context())
		rec.Door, rec.Op = Name, "openapi.json"
		d, h := render(), w.Header()
		body, etag := d.plain, `"`+d.etag+`"`
		if httpx.AcceptsGzip(r.Header) {
			body, etag = d.packed, `"`+d.etag+`-gzip"`
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("Content-Type", typeJSON)
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Vary", "Accept-Encoding")
		h.Set("Etag", etag)
		h.Set("X-Content-Type-Options", "nosniff")
		if httpx.NoneMatch(r.Header, etag) {
			h.Del("Content-Encoding")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // the client is gone
		}
	})
}

// openAPI renders the document.
func openAPI(formats []packhouse.FormatID, version string) []byte {
	shapes, out := newShapes(formats), &outputs{named: object{}}
	paths := object{}
	for _, o := range operations() {
		path, ok := paths[o.path].(object)
		if !ok {
			path = object{}
			paths[o.path] = path
		}
		path[strings.ToLower(o.method)] = openAPIOperation(newRow(o, shapes), out)
	}
	text, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title":   "Packhouse: the CodeArtifact API",
			"version": version,
			"description": "Every operation answers 200 with JSON, except GetPackageVersionAsset, which answers with the file. " +
				"Names in the query are spelled as here, whatever the member is called in an SDK. " +
				"An empty value is not the same as none: it is checked like any other. " +
				"Members of a body that are not listed are ignored; null is the same as absent.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []object{{"url": "/"}},
		"security": []object{{"sigv4": []string{}}},
		"paths":    paths,
		"components": object{
			"schemas":   out.named,
			"responses": openAPIRefusals(),
			"securitySchemes": object{"sigv4": object{
				"type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "awsSigv4",
				"description": "AWS Signature Version 4 for the service codeartifact and the server's region.",
			}},
		},
	}, "", " ")
	if err != nil {
		panic("codeartifact: " + err.Error()) // only our own values are in it
	}
	return append(text, '\n')
}

func openAPIOperation(r *row, out *outputs) object {
	plan := r.plan()
	parameters := []object{}
	for _, m := range plan.query {
		parameters = append(parameters, openAPIParameter(m, "query", out))
	}
	for _, m := range plan.headers {
		parameters = append(parameters, openAPIParameter(m, "header", out))
	}
	o := object{
		"operationId": r.name,
		"summary":     words(r.name),
		"description": texts[r.name],
		"tags":        []string{family(r.name)},
		"parameters":  parameters,
		"responses":   openAPIResponses(r, out),
	}
	switch {
	case plan.stream != nil:
		o["requestBody"] = object{"required": true, "description": memberTexts["assetContent"].text,
			"content": object{"application/octet-stream": object{"schema": object{}}}}
	case len(plan.body.members) > 0:
		schema := plan.body.schema()
		example := out.example("", schema)
		allowNull(schema)
		o["requestBody"] = object{"required": schema["required"] != nil,
			"content": object{typeJSON: object{"schema": schema, "example": example}}}
	}
	return o
}

func openAPIParameter(m member, in string, out *outputs) object {
	schema := m.shape.schema()
	p := object{"name": m.wire, "in": in, "required": m.required, "schema": schema, "example": out.example(m.name, schema)}
	if m.wire != m.name {
		p["x-member"] = m.name
	}
	return described(m.name, p)
}

// answersOf are the statuses that an operation can answer besides 200, with the codes
// that each may carry.
func answersOf(operation string) map[int][]string {
	all := map[int][]string{}
	put := func(a answer) {
		if !slices.Contains(all[a.status], a.code) {
			all[a.status] = append(all[a.status], a.code)
		}
	}
	for _, a := range kinds {
		put(a.listed(operation))
	}
	for _, a := range credentialErrors {
		put(a)
	}
	for _, codes := range all {
		slices.Sort(codes)
	}
	return all
}

func openAPIResponses(r *row, out *outputs) object {
	responses := object{"200": openAPISuccess(r, out)}
	for status := range answersOf(r.name) {
		responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + refusalName(status)}
	}
	for status := range edgeRefusals {
		responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + refusalName(status)}
	}
	return responses
}

func openAPISuccess(r *row, out *outputs) object {
	if r.output.Implements(reflect.TypeFor[responder]()) || reflect.PointerTo(r.output).Implements(reflect.TypeFor[responder]()) {
		headers := object{}
		for name, text := range map[string]string{"X-AssetName": "Name of the file.", "X-PackageVersion": "Version of the package.",
			"X-PackageVersionRevision": "Revision of the version."} {
			headers[name] = object{"description": text, "schema": object{"type": "string"}}
		}
		return object{"description": "The file.", "headers": headers,
			"content": object{"application/octet-stream": object{"schema": object{}}}}
	}
	schema := out.schema(r.output)
	return object{"description": "Done.", "content": object{typeJSON: object{"schema": schema, "example": out.example("", schema)}}}
}

// edgeRefusals are what a request may meet before it reaches an operation.
var edgeRefusals = map[int]string{
	http.StatusRequestTimeout:              "The body came too slowly.",
	http.StatusMisdirectedRequest:          "The server does not know itself by that host name.",
	http.StatusRequestHeaderFieldsTooLarge: "The request has too many or too long headers.",
}

func refusalName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// openAPIRefusals are the answers that all operations share.
func openAPIRefusals() object {
	codes := map[int][]string{}
	for operation := range texts {
		for status, c := range answersOf(operation) {
			codes[status] = append(codes[status], c...)
		}
	}
	all := object{}
	for status, list := range codes {
		slices.Sort(list)
		list = slices.Compact(list)
		properties := object{"message": object{"type": "string", "description": "What was wrong, for people."}}
		switch status {
		case http.StatusBadRequest:
			properties["reason"] = object{"type": "string", "enum": []string{"CANNOT_PARSE", "ENCRYPTION_KEY_ERROR", "FIELD_VALIDATION_FAILED", "OTHER", "UNKNOWN_OPERATION"}}
		case http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict:
			types := make([]string, 0, len(resourceTypes))
			for t := range resourceTypes {
				types = append(types, t)
			}
			slices.Sort(types)
			properties["resourceId"] = object{"type": "string"}
			properties["resourceType"] = object{"type": "string", "enum": types}
		}
		headers := object{"X-Amzn-ErrorType": object{"description": "Code of the error.", "schema": object{"type": "string", "enum": list}}}
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			headers["Retry-After"] = object{"description": "Seconds to wait.", "schema": object{"type": "string"}}
		}
		all[refusalName(status)] = object{
			"description": strings.Join(list, ", ") + ".",
			"headers":     headers,
			"content": object{typeJSON: object{"schema": object{"type": "object", "properties": properties,
				"required": []string{"message"}}, "example": object{"message": "What was wrong."}}},
		}
	}
	for status, text := range edgeRefusals {
		all[refusalName(status)] = object{"description": text, "content": object{typeJSON: object{"schema": object{
			"type": "object", "properties": object{"message": object{"type": "string"}}}}}}
	}
	return all
}

// words writes a name of the model as words: "Copy package versions".
func words(name string) string {
	var b strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte(' ')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// family is what an operation is about.
func family(name string) string {
	for _, f := range []struct{ part, family string }{
		{"PackageGroup", "package groups"}, {"AllowedRepositories", "package groups"}, {"AssociatedPackages", "package groups"},
		{"Package", "packages"}, {"ExternalConnection", "repositories"}, {"Repositor", "repositories"},
		{"Resource", "tags"},
	} {
		if strings.Contains(name, f.part) {
			return f.family
		}
	}
	return "domains"
}
