package codeartifact

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
)

// Reasons of this door's own errors; errors.go turns them into the model's.
const (
	reasonParse      = "cannot_parse"
	reasonConstraint = "field_validation_failed"
)

// maxProblems bounds how many broken constraints one answer lists, maxShown how many
// bytes of a value it repeats.
const (
	maxProblems = 20
	maxShown    = 100
)

// queryValues are the decoded query parameters, each there at most once.
type queryValues url.Values

// get returns a parameter, "" where it is absent.
func (q queryValues) get(name string) string { return url.Values(q).Get(name) }

// decode fills an input struct from a request and its body and checks every constraint
// on the way, because only the decoder knows what was absent and what was empty. All
// broken constraints are told at once.
//
// Errors: Invalid, reasonParse or reasonConstraint.
func (p *plan) decode(r *http.Request, body []byte, in reflect.Value) (queryValues, error) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	var v violations
	for i := range p.query {
		m := &p.query[i]
		if value := query[m.wire]; len(value) > 0 {
			v.setText(m, in, value[0])
		} else if m.required {
			v.missing(m.name)
		}
	}
	for i := range p.headers {
		m := &p.headers[i]
		switch values := r.Header.Values(m.wire); {
		case len(values) > 1:
			return nil, packhouse.Invalidf(reasonParse, "The header %s is given more than once.", m.wire)
		case len(values) == 1:
			v.setText(m, in, values[0])
		case m.required:
			v.missing(m.name)
		}
	}
	if p.stream != nil {
		in.FieldByIndex(p.stream).Set(reflect.ValueOf(r.Body))
	} else if err := decodeBody(p.body, body, in, &v); err != nil {
		return nil, err
	}
	return query, v.err()
}

// parseQuery decodes a query string; a parameter given twice is refused, so that
// nobody can mean the one while somebody else reads the other.
func parseQuery(raw string) (queryValues, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, &packhouse.Error{Kind: packhouse.KindInvalid, Reason: reasonParse,
			Message: "The query string is malformed.", Err: err}
	}
	for name, v := range values {
		if len(v) > 1 {
			return nil, packhouse.Invalidf(reasonParse, "The query parameter %s is given more than once.", shown(name))
		}
	}
	return queryValues(values), nil
}

// violations collects what breaks the model's constraints.
type violations struct {
	list  []string
	count int
}

func (v *violations) add(where, value, broken string) {
	v.count++
	if len(v.list) < maxProblems {
		v.list = append(v.list, fmt.Sprintf("Value %s at '%s' %s", value, where, broken))
	}
}

func (v *violations) missing(where string) { v.add(where, "null", "is required") }

func (v *violations) err() error {
	switch v.count {
	case 0:
		return nil
	case 1:
		return packhouse.Invalidf(reasonConstraint, "1 validation error detected: %s", v.list[0])
	}
	return packhouse.Invalidf(reasonConstraint, "%d validation errors detected: %s", v.count, strings.Join(v.list, "; "))
}

// setText sets a member that travels as text: a query parameter or a header.
func (v *violations) setText(m *member, in reflect.Value, value string) {
	field := settable(in.FieldByIndex(m.index))
	var broken string
	switch m.shape.kind {
	case kindInteger:
		n, err := strconv.ParseInt(value, 10, field.Type().Bits())
		if err != nil {
			broken = "must be a whole number"
			break
		}
		broken = m.shape.checkInteger(n)
		field.SetInt(n)
	case kindBoolean:
		if value != "true" && value != "false" {
			broken = "must be true or false"
		}
		field.SetBool(value == "true")
	default:
		broken = m.shape.checkText(value)
		field.SetString(value)
	}
	if broken != "" {
		v.add(m.name, shown(value), broken)
	}
}

// settable returns what v points at, made if needed, or v itself. Inputs use pointers
// where absent and zero differ.
func settable(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return v.Elem()
}

// shown quotes a value for a message: short, and without anything that could act on a
// terminal or forge a line.
func shown(value string) string {
	end := ""
	if len(value) > maxShown {
		value, end = strings.ToValidUTF8(value[:maxShown], ""), "..."
	}
	q := strconv.QuoteToGraphic(value)
	return "'" + strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) + end + "'"
}
