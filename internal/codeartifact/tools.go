package codeartifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// Tool is an operation as a program sees it that knows names and JSON but nothing about
// where a member travels.
type Tool struct {
	// Name is as OpenAPI converters spell it: the path's first segment, with the query's
	// required names behind it where the path has no other, and the operation:
	// package.copyPackageVersions, domainDomain.createDomain. All operations about
	// package groups are packageGroup's.
	Name        string
	Operation   string
	Description string
	// Changes marks operations that change something or answer with a credential, which
	// is as good as a change to whoever gets hold of it.
	Changes bool
	// Destroys marks changes that take something away.
	Destroys bool
	// Arguments is the JSON Schema of the arguments, an object whose properties have the
	// model's names.
	Arguments json.RawMessage

	row *row
}

// Request is a call of the API that is neither addressed nor signed yet.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         []byte
}

// Tools returns a tool for each operation, in the order of the table. formats are the
// values of PackageFormat.
func Tools(formats []packhouse.FormatID) []Tool {
	shapes := newShapes(formats)
	table := operations()
	tools := make([]Tool, len(table))
	for i, o := range table {
		r := newRow(o, shapes)
		arguments, err := json.Marshal(r.plan().arguments())
		if err != nil {
			panic("codeartifact: " + err.Error()) // only our own values are in it
		}
		tools[i] = Tool{
			Name:        toolName(r),
			Operation:   o.name,
			Description: texts[o.name],
			Changes:     o.changes || o.name == "GetAuthorizationToken",
			Destroys: strings.HasPrefix(o.name, "Delete") || strings.HasPrefix(o.name, "Dis") && o.changes ||
				o.name == "UntagResource" || o.name == "UpdatePackageVersionsStatus" || o.name == "CopyPackageVersions",
			Arguments: arguments,
			row:       r,
		}
	}
	return tools
}

func toolName(r *row) string {
	operation := strings.ToLower(r.name[:1]) + r.name[1:]
	if family(r.name) == "package groups" {
		return "packageGroup." + operation
	}
	path := strings.Split(strings.TrimPrefix(r.path, "/v1/"), "/")
	group := camel(path[0])
	if len(path) == 1 {
		for _, m := range r.plan().query {
			if m.required {
				group += strings.ToUpper(m.wire[:1]) + camel(m.wire[1:])
			}
		}
	}
	return group + "." + operation
}

// camel writes words-with-hyphens as wordsWithHyphens.
func camel(s string) string {
	first, rest, ok := strings.Cut(s, "-")
	for ok {
		var next string
		next, rest, ok = strings.Cut(rest, "-")
		first += strings.ToUpper(next[:1]) + next[1:]
	}
	return first
}

// hashOfStream is the member that tells the hash of a streamed body: Request works it
// out, so that nobody has to give it.
const hashOfStream = "assetSHA256"

// arguments returns the schema of all members under their names in the model.
func (p *plan) arguments() object {
	var members []member
	for _, m := range p.members() {
		if m.name == hashOfStream {
			m.required = false
		}
		members = append(members, m)
	}
	o := structure(members, func(m member) string { return m.name })
	if p.stream != nil {
		content := described("assetContent", object{"type": "string", "contentEncoding": "base64"})
		content["description"] = content["description"].(string) + " In base64."
		o["properties"].(object)["assetContent"] = content
		o["required"] = append(o["required"].([]string), "assetContent")
	}
	o["additionalProperties"] = false
	return o
}

func (p *plan) members() []member { return slices.Concat(p.query, p.headers, p.body.members) }

// Request makes the call that has these arguments, a JSON object; each travels where its
// member does. What they hold is checked by the server.
//
// Errors: Invalid, for arguments that are no members of the operation or cannot travel.
func (t Tool) Request(arguments json.RawMessage) (Request, error) {
	p := t.row.plan()
	r := Request{Method: t.row.method, Path: t.row.path, Query: url.Values{}, Header: http.Header{}}
	given := map[string]json.RawMessage{}
	if len(arguments) > 0 {
		if err := json.Unmarshal(arguments, &given); err != nil {
			return Request{}, packhouse.Invalidf(reasonParse, "The arguments are not a JSON object.")
		}
	}
	body := map[string]json.RawMessage{}
	var content string
	for name, value := range given {
		if bytes.Equal(value, []byte("null")) {
			continue // the same as absent
		}
		if p.stream != nil && name == "assetContent" {
			if err := json.Unmarshal(value, &content); err != nil {
				return Request{}, packhouse.Invalidf(reasonParse, "assetContent is not a string of base64.")
			}
			continue
		}
		if i := named(p.body.members, name); i >= 0 {
			body[p.body.members[i].wire] = value
			continue
		}
		text, err := plainText(name, value)
		if err != nil {
			return Request{}, err
		}
		if i := named(p.query, name); i >= 0 {
			r.Query.Set(p.query[i].wire, text)
		} else if i := named(p.headers, name); i >= 0 {
			r.Header.Set(p.headers[i].wire, text)
		} else {
			return Request{}, packhouse.Invalidf(reasonParse, "%s has no member %s.", t.Operation, shown(name))
		}
	}
	if p.stream != nil {
		return r.withContent(content)
	}
	if len(p.body.members) > 0 {
		var err error
		if r.Body, err = json.Marshal(body); err != nil {
			return Request{}, packhouse.Invalidf(reasonParse, "The arguments are not a JSON object.")
		}
		r.Header.Set("Content-Type", typeJSON)
	}
	return r, nil
}

// withContent adds a body that travels as bytes, and its hash.
func (r Request) withContent(content string) (Request, error) {
	var err error
	if r.Body, err = base64.StdEncoding.DecodeString(content); err != nil {
		return Request{}, packhouse.Invalidf(reasonParse, "assetContent is not base64.")
	}
	if r.Header.Get("X-Amz-Content-Sha256") == "" {
		sum := sha256.Sum256(r.Body)
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	return r, nil
}

func named(members []member, name string) int {
	return slices.IndexFunc(members, func(m member) bool { return m.name == name })
}

// plainText returns a JSON value as it travels in a query or a header.
func plainText(name string, value json.RawMessage) (string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&v); err == nil {
		switch v := v.(type) {
		case string:
			return v, nil
		case json.Number:
			return v.String(), nil
		case bool:
			return string(value), nil
		}
		return "", packhouse.Invalidf(reasonParse, "%s cannot be of type %v.", shown(name), reflect.TypeOf(v).Kind())
	}
	return "", packhouse.Invalidf(reasonParse, "%s is not JSON.", shown(name))
}
