package authz

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// maxNesting is more than any valid policy needs.
const maxNesting = 12

// node is a JSON value with its place in the document. Unlike encoding/json's maps it
// knows of duplicate keys, which are refused: two readers of one document must not see
// two policies in it (reliability.md S13).
type node struct {
	where   string // "Statement[2].Condition"; "" for the document itself
	members []member
	items   []*node
	scalar  any  // string, json.Number, bool or nil
	kind    byte // '{', '[' or 0 for a scalar
}

type member struct {
	key   string
	value *node
}

// readDocument reads one JSON object and nothing after it. The caller bounds its length.
func readDocument(doc []byte) (*node, error) {
	if !utf8.Valid(doc) {
		return nil, invalid("", "the document is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	root, err := readNode(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("", "there is text after the end of the document")
	}
	if root.kind != '{' {
		return nil, invalid("", "the document must be a JSON object")
	}
	return root, nil
}

func readNode(d *json.Decoder, where string, depth int) (*node, error) {
	if depth > maxNesting {
		return nil, invalid(where, "nested too deeply")
	}
	token, err := d.Token()
	if err != nil {
		return nil, notJSON(d, err)
	}
	n := &node{where: where}
	delim, ok := token.(json.Delim)
	if !ok {
		n.scalar = token
		return n, nil
	}
	n.kind = byte(delim) //nolint:gosec // one of four ASCII characters
	seen := map[string]bool{}
	for d.More() {
		if n.kind == '[' {
			item, err := readNode(d, fmt.Sprintf("%s[%d]", where, len(n.items)), depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
			continue
		}
		token, err := d.Token()
		if err != nil {
			return nil, notJSON(d, err)
		}
		key, _ := token.(string) // the decoder lets nothing else stand here
		if seen[key] {
			return nil, invalid(join(where, key), "the key occurs twice")
		}
		seen[key] = true
		value, err := readNode(d, join(where, key), depth+1)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{key, value})
	}
	if _, err := d.Token(); err != nil { // the closing bracket
		return nil, notJSON(d, err)
	}
	return n, nil
}

func notJSON(d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("", "the document is not JSON: it ends early")
	}
	return invalid("", "the document is not JSON (near byte %d): %v", d.InputOffset(), err)
}

// maxKeyShown bounds how much of a key a message repeats.
const maxKeyShown = 80

func join(where, key string) string {
	if len(key) > maxKeyShown {
		key = key[:maxKeyShown] + "..."
	}
	for i := range len(key) {
		if c := key[i]; c < ' ' || c == '.' || c == '"' || c >= utf8.RuneSelf {
			key = fmt.Sprintf("%q", key)
			break
		}
	}
	if where == "" {
		return key
	}
	return where + "." + key
}

// invalid makes the error of a document that is refused.
func invalid(where, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if where != "" {
		text = where + ": " + text
	}
	return packhouse.Invalidf("invalid_policy", "invalid policy: %s", text)
}

// text returns the node's string.
func (n *node) text() (string, error) {
	s, ok := n.scalar.(string)
	if !ok {
		return "", invalid(n.where, "must be a string")
	}
	return s, nil
}

// texts returns a string or a list of strings as a list, never empty.
func (n *node) texts() ([]*node, error) {
	list := []*node{n}
	if n.kind == '[' {
		list = n.items
	}
	if len(list) == 0 {
		return nil, invalid(n.where, "the list is empty")
	}
	for _, item := range list {
		if _, err := item.text(); err != nil {
			return nil, invalid(item.where, "must be a string or a list of strings")
		}
	}
	return list, nil
}
