package codeartifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// Bounds of a JSON body besides its size (reliability.md A8, S29).
const (
	maxDepth  = 32
	maxTokens = 10_000
)

// decodeBody reads a JSON object into the members of a structure. Names are matched
// exactly; unknown members are ignored, but a name given twice in one object is
// refused wherever it stands; null is the same as absent. An empty body is an empty
// object.
//
// The standard library's Unmarshal cannot be used: it folds case, takes the last of two
// equal names and does not tell absent from null.
func decodeBody(s *shape, body []byte, into reflect.Value, v *violations) error {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		requireMembers(s, 0, nil, v)
		return nil
	}
	// Valid first: the token reader below is lenient about what follows a value.
	if !utf8.Valid(body) || !json.Valid(body) {
		return packhouse.Invalidf(reasonParse, "The body is not JSON.")
	}
	d := &bodyReader{dec: json.NewDecoder(bytes.NewReader(body)), v: v}
	d.dec.UseNumber()
	tok, err := d.next()
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return packhouse.Invalidf(reasonParse, "The body is not a JSON object.")
	}
	return d.structure(s, into, nil)
}

// place is where in the body the reader is; it becomes text only for a message.
type place struct {
	parent *place
	name   string // of a member or of a map's key
	item   int    // of a list, from 1; 0 where name counts
}

func (p *place) String() string {
	var parts []string
	for ; p != nil; p = p.parent {
		name := p.name
		if p.item > 0 {
			name = strconv.Itoa(p.item) + ".member"
		}
		parts = append(parts, name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

// bodyReader walks the tokens of a body that is known to be JSON.
type bodyReader struct {
	dec    *json.Decoder
	v      *violations
	tokens int
	depth  int
}

// next returns the next token under the bounds.
func (d *bodyReader) next() (json.Token, error) {
	tok, err := d.dec.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, &packhouse.Error{Kind: packhouse.KindInvalid, Reason: reasonParse, Message: "The body is not JSON.", Err: err}
	}
	if d.tokens++; d.tokens > maxTokens {
		return nil, packhouse.Invalidf(reasonParse, "The body has more than %d tokens.", maxTokens)
	}
	switch tok {
	case json.Delim('{'), json.Delim('['):
		if d.depth++; d.depth > maxDepth {
			return nil, packhouse.Invalidf(reasonParse, "The body is nested more than %d deep.", maxDepth)
		}
	case json.Delim('}'), json.Delim(']'):
		d.depth--
	}
	return tok, nil
}

// structure reads an object's members up to its closing brace.
func (d *bodyReader) structure(s *shape, into reflect.Value, at *place) error {
	var seen, present uint64
	var unknown map[string]struct{}
	for {
		tok, err := d.next()
		if err != nil {
			return err
		}
		name, ok := tok.(string)
		if !ok {
			requireMembers(s, present, at, d.v)
			return nil
		}
		i := memberIndex(s.members, name)
		if i < 0 {
			if _, twice := unknown[name]; twice {
				return duplicate(name)
			}
			if unknown == nil {
				unknown = make(map[string]struct{})
			}
			unknown[name] = struct{}{}
			if tok, err = d.next(); err == nil {
				err = d.skip(tok)
			}
			if err != nil {
				return err
			}
			continue
		}
		if seen&(1<<i) != 0 {
			return duplicate(name)
		}
		seen |= 1 << i
		if tok, err = d.next(); err != nil {
			return err
		}
		if tok == nil {
			continue
		}
		present |= 1 << i
		m := &s.members[i]
		if err := d.value(m.shape, tok, settable(into.FieldByIndex(m.index)), &place{parent: at, name: m.name}); err != nil {
			return err
		}
	}
}

func memberIndex(members []member, name string) int {
	for i := range members {
		if members[i].wire == name {
			return i
		}
	}
	return -1
}

func requireMembers(s *shape, present uint64, at *place, v *violations) {
	for i := range s.members {
		if m := &s.members[i]; m.required && present&(1<<i) == 0 {
			v.missing((&place{parent: at, name: m.name}).String())
		}
	}
}

func duplicate(name string) error {
	return packhouse.Invalidf(reasonParse, "The body names %s more than once in one object.", shown(name))
}

// value reads a value that begins with tok, which is not null.
func (d *bodyReader) value(s *shape, tok json.Token, into reflect.Value, at *place) error {
	switch t := tok.(type) {
	case string:
		if s.kind == kindText {
			if broken := s.checkText(t); broken != "" {
				d.v.add(at.String(), shown(t), broken)
			}
			into.SetString(t)
			return nil
		}
	case json.Number:
		if s.kind == kindInteger {
			n, err := strconv.ParseInt(t.String(), 10, into.Type().Bits())
			broken := "must be a whole number"
			if err == nil {
				broken = s.checkInteger(n)
				into.SetInt(n)
			}
			if broken != "" {
				d.v.add(at.String(), shown(t.String()), broken)
			}
			return nil
		}
	case bool:
		if s.kind == kindBoolean {
			into.SetBool(t)
			return nil
		}
	case json.Delim:
		switch {
		case t == '{' && s.kind == kindStructure:
			return d.structure(s, into, at)
		case t == '{' && s.kind == kindMap:
			return d.mapping(s, into, at)
		case t == '[' && s.kind == kindList:
			return d.list(s, into, at)
		}
	}
	d.v.add(at.String(), "of another type", "must be "+kindNames[s.kind])
	return d.skip(tok)
}

var kindNames = [...]string{
	kindText: "a string", kindInteger: "a whole number", kindBoolean: "true or false",
	kindList: "a list", kindMap: "an object", kindStructure: "an object",
}

// list reads items up to the closing bracket. An empty list is not nil.
func (d *bodyReader) list(s *shape, into reflect.Value, at *place) error {
	into.Set(reflect.MakeSlice(into.Type(), 0, 0))
	for n := 0; ; n++ {
		tok, err := d.next()
		if err != nil {
			return err
		}
		if tok == json.Delim(']') {
			if broken := s.checkSize(int64(n), "items"); broken != "" {
				d.v.add(at.String(), "of "+strconv.Itoa(n)+" items", broken)
			}
			return nil
		}
		here := place{parent: at, item: n + 1}
		if tok == nil {
			d.v.missing(here.String())
			continue
		}
		into.Grow(1)
		into.SetLen(into.Len() + 1)
		if err := d.value(s.item, tok, into.Index(into.Len()-1), &here); err != nil {
			return err
		}
	}
}

// mapping reads a map of texts up to the closing brace. An empty map is not nil.
func (d *bodyReader) mapping(s *shape, into reflect.Value, at *place) error {
	into.Set(reflect.MakeMap(into.Type()))
	seen := make(map[string]struct{})
	value := reflect.New(into.Type().Elem()).Elem()
	for {
		tok, err := d.next()
		if err != nil {
			return err
		}
		key, ok := tok.(string)
		if !ok {
			return nil
		}
		if _, twice := seen[key]; twice {
			return duplicate(key)
		}
		seen[key] = struct{}{}
		if broken := s.key.checkText(key); broken != "" {
			d.v.add(at.String()+".key", shown(key), broken)
		}
		if tok, err = d.next(); err != nil {
			return err
		}
		here := place{parent: at, name: key}
		if tok == nil {
			d.v.missing(here.String())
			continue
		}
		value.SetZero()
		if err := d.value(s.item, tok, value, &here); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(key), value)
	}
}

// skip passes over a value that begins with tok, still refusing names given twice.
func (d *bodyReader) skip(tok json.Token) error {
	switch tok {
	case json.Delim('['):
		for {
			tok, err := d.next()
			if err != nil || tok == json.Delim(']') {
				return err
			}
			if err := d.skip(tok); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		return d.structure(&shape{}, reflect.Value{}, nil)
	}
	return nil
}
