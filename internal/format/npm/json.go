package npm

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"unicode/utf8"
)

// maxDepth bounds the nesting of documents that publishers send (npm.md 6).
const maxDepth = 64

// checkJSON reports what encoding/json, the depth limit or a repeated key has against a
// publisher's document (reliability.md S29).
func checkJSON(doc []byte) error {
	if !json.Valid(doc) {
		return invalidDocument("document is not valid JSON")
	}
	var keys [][]byte // of all open objects, decoded
	var open []int    // how many keys were there when each open object or array began
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '{', '[':
			if len(open) == maxDepth {
				return invalidDocument("document is nested more than %d levels deep", maxDepth)
			}
			open = append(open, len(keys))
		case '}', ']':
			first := open[len(open)-1]
			if key, twice := repeated(keys[first:]); twice {
				return invalidDocument("document has the key %q twice in one object", key)
			}
			keys, open = keys[:first], open[:len(open)-1]
		case '"':
			end := skipString(doc, i)
			if colon := skipSpace(doc, end); colon < len(doc) && doc[colon] == ':' {
				keys = append(keys, unquoteBytes(doc[i:end]))
			}
			i = end - 1
		}
	}
	return nil
}

// repeated finds a key that is there twice. It sorts the keys.
func repeated(keys [][]byte) (key []byte, twice bool) {
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return keys[i], true
		}
	}
	return nil, false
}

// member is one member of an object, as slices of the object's text.
type member struct {
	key   []byte // decoded
	text  []byte // `"key":value`, without surrounding space
	value []byte // `value`
	at    int    // index of value in the object's text
}

// members walks the members of an object in order. The text must be valid JSON, as
// encoding/json has checked it before; anything but an object has no members. No byte is
// copied: documents of the public registry have 100 MB.
func members(object []byte) iter.Seq[member] {
	return func(yield func(member) bool) {
		i := skipSpace(object, 0)
		if i == len(object) || object[i] != '{' {
			return
		}
		for i = skipSpace(object, i+1); i < len(object) && object[i] == '"'; i = skipSpace(object, i+1) {
			keyEnd := skipValue(object, i)
			start := skipSpace(object, min(skipSpace(object, keyEnd)+1, len(object)))
			end := skipValue(object, start)
			m := member{key: unquoteBytes(object[i:keyEnd]), text: object[i:end], value: object[start:end], at: start}
			if !yield(m) {
				return
			}
			if i = skipSpace(object, end); i == len(object) || object[i] != ',' {
				return
			}
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at i.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipContainer(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && skipSpace(b, i) == i {
		i++
	}
	return i
}

func skipContainer(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = skipString(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// skipString returns the index behind the string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		backslash := bytes.IndexByte(b[i:i+n], '\\')
		if backslash < 0 {
			return i + n + 1
		}
		i += backslash + 2
	}
	return len(b)
}

// unquote decodes a JSON string; "" for anything else.
func unquote(raw []byte) string { return string(unquoteBytes(raw)) }

// unquoteBytes decodes a JSON string, in place where nothing is escaped.
func unquoteBytes(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' {
		return nil
	}
	if text := raw[1 : len(raw)-1]; bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) {
		return text
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return []byte(s)
}

// quote encodes a string without escaping for HTML.
func quote(s string) []byte { return appendQuoted(nil, s) }

func appendQuoted(b []byte, s string) []byte {
	plain := true
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// object is a JSON object by exact keys; of a repeated key the last value counts.
type object map[string]json.RawMessage

// readObject returns the members of an object; nil for anything else. The values point
// into raw, which must be valid JSON.
func readObject(raw []byte) object {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return nil
	}
	o := object{}
	for m := range members(raw) {
		o[string(m.key)] = m.value
	}
	return o
}

// text returns a member that is a string, "" otherwise: any field of a manifest can have
// the wrong type (npm.md 6).
func (o object) text(key string) string { return unquote(o[key]) }

// object returns a member that is an object, nil otherwise.
func (o object) object(key string) object { return readObject(o[key]) }

// texts returns the members that are strings.
func (o object) texts() map[string]string {
	if o == nil {
		return nil
	}
	out := make(map[string]string, len(o))
	for k, raw := range o {
		if len(raw) > 0 && raw[0] == '"' {
			out[k] = unquote(raw)
		}
	}
	return out
}

// texts returns the members of an object that are strings; of a repeated key the last
// one. Anything else yields nil.
func texts(raw []byte) map[string]string {
	if i := skipSpace(raw, 0); i == len(raw) || raw[i] != '{' {
		return nil
	}
	out := map[string]string{}
	for m := range members(raw) {
		if key := string(m.key); len(m.value) > 0 && m.value[0] == '"' {
			out[key] = unquote(m.value)
		} else {
			delete(out, key)
		}
	}
	return out
}

// list returns the elements of an array, nil for anything else.
func list(raw []byte) []json.RawMessage {
	var out []json.RawMessage
	if json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}
