package npm

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
)

// replaceMembers copies an object's text with the values of changes in place of its own;
// nil drops a member. New members follow in alphabetical order.
func replaceMembers(text []byte, changes object) []byte {
	b := []byte{'{'}
	add := func(member ...[]byte) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		for _, part := range member {
			b = append(b, part...)
		}
	}
	seen := make(map[string]bool, len(changes))
	for m := range members(text) {
		key := string(m.key)
		value, changed := changes[key]
		switch {
		case !changed:
			add(m.text)
		case !seen[key] && value != nil:
			add(quote(key), []byte{':'}, value)
		}
		seen[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if value := changes[key]; value != nil && !seen[key] {
			add(quote(key), []byte{':'}, value)
		}
	}
	return append(b, '}')
}

// canonicalManifest is a manifest without what may change after publishing or depends on
// where it is served: keys in order, no space, numbers as they were written. It enters
// the revision's name. It is nil for what is no object.
func canonicalManifest(manifest []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(manifest))
	dec.UseNumber()
	var o map[string]any
	if dec.Decode(&o) != nil || o == nil {
		return nil
	}
	delete(o, "deprecated")
	delete(o, "readme")
	if dist, ok := o["dist"].(map[string]any); ok {
		delete(dist, "tarball")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(o) != nil {
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// maxHeadReadme bounds the readme inside a package's document, in bytes. Every version
// carries one, for the day when it is the latest; the whole text is Facts.Readme.
const maxHeadReadme = 16 << 10

// readmeMembers joins what the package's document says of the readme; nothing without
// one.
func readmeMembers(readme, name string) []byte {
	if readme == "" {
		return nil
	}
	b := appendQuoted([]byte(`"readme":`), cutText(readme, maxHeadReadme))
	if name != "" {
		b = appendQuoted(append(b, `,"readmeFilename":`...), name)
	}
	return b
}

// readAtMost reads the first n bytes, and one more to show that there are.
func readAtMost(r io.Reader, n int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, n+1))
}
