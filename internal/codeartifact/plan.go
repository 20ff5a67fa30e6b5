package codeartifact

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plan is what the tags of an input struct say, worked out once per operation.
//
//	query:"name"   a query parameter
//	header:"Name"  a header
//	json:"name"    a member of the JSON body
//	body:"stream"  the body itself, an io.Reader
//	shape:"Name"   the shape in newShapes; ",required" behind it says so
//
// A member's name in messages is its Go name with a small first letter, which is how
// the model spells it.
type plan struct {
	query   []member
	headers []member
	body    *shape // a structure; without members where the operation has no JSON body
	stream  []int  // index of the io.Reader; nil without one
}

// member is one member of a structure.
type member struct {
	wire     string // name where it travels
	name     string // the model's name, for messages
	index    []int  // for reflect's FieldByIndex
	required bool
	shape    *shape
}

// newPlan reads the tags of an input struct. It panics when they make no sense, which
// the parity test finds.
func newPlan(input reflect.Type, shapes shapes) *plan {
	p := &plan{body: &shape{kind: kindStructure}}
	for _, f := range reflect.VisibleFields(input) {
		if f.Anonymous {
			continue
		}
		if f.Tag.Get("body") == "stream" {
			p.stream = f.Index
			continue
		}
		if name, ok := f.Tag.Lookup("query"); ok {
			p.query = append(p.query, newMember(f, name, shapes))
		} else if name, ok := f.Tag.Lookup("header"); ok {
			p.headers = append(p.headers, newMember(f, name, shapes))
		} else {
			p.body.members = append(p.body.members, newMember(f, f.Tag.Get("json"), shapes))
		}
	}
	return p
}

func newMember(f reflect.StructField, wire string, shapes shapes) member {
	name, option, _ := strings.Cut(f.Tag.Get("shape"), ",")
	first, size := utf8.DecodeRuneInString(f.Name)
	return member{
		wire:     wire,
		name:     string(unicode.ToLower(first)) + f.Name[size:],
		index:    f.Index,
		required: option == "required",
		shape:    shapes.of(f.Type, name),
	}
}

// of returns the shape of a Go type: the named one, or a structure out of its fields.
func (s shapes) of(t reflect.Type, name string) *shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	named := s[name]
	switch {
	case t.Kind() == reflect.Struct:
		sh := &shape{kind: kindStructure}
		for _, f := range reflect.VisibleFields(t) {
			sh.members = append(sh.members, newMember(f, f.Tag.Get("json"), s))
		}
		return sh
	case named == nil:
		panic(fmt.Sprintf("codeartifact: no shape %q for %v", name, t))
	case named.kind == kindList && named.item == nil:
		list := *named
		list.item = s.of(t.Elem(), "")
		return &list
	}
	return named
}
