package npm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
)

// A fragment is what one version contributes to documents, in a form that is joined
// without decoding any JSON:
//
//	byte      fragmentVersion
//	section   full: the members of the version's object, `"name":"x",...`, as the
//	          publisher or the public registry wrote them, except that the value of
//	          dist.tarball is the byte addressMark, that of dist.attestations.url the
//	          bytes addressMark and attestationsMark, and that "deprecated" is left out:
//	          it is the overlay's, because it changes after publishing
//	section   extra: members that only the abbreviated form has
//	section   readme: the members of the package's document about the readme
//	spans     count, then (gap, 2*length+kind) of members of full, the gap counted from
//	          the previous one's end; kind 0: the abbreviated form has it, kind 1: the
//	          package's document takes it from its latest version
//
// Numbers are unsigned varints, a section is its length and its bytes.
//
// What only a public registry has is not encoded before it is shown or kept: until then
// its fragment is the registry's manifest itself, which begins with a brace.

// fragmentVersion is the encoding written, as Facts.FragmentVersion and first byte. Up to
// version 1 the address of attestations was the public registry's.
const fragmentVersion = 2

// addressMark stands where the address of the tarball goes, and with attestationsMark
// behind it that of the attestations. They are control characters, which JSON text cannot
// hold.
const (
	addressMark      = 0x01
	attestationsMark = 0x02
)

var errFragment = errors.New("npm fragment is damaged")

// isAbbreviated reports whether the abbreviated form has a member of version objects.
// bundledDependencies is the other spelling of bundleDependencies. Source: npm.md 2.
func isAbbreviated(key string) bool {
	switch key {
	case "name", "version", "dependencies", "optionalDependencies", "devDependencies", "bundleDependencies",
		"bundledDependencies", "peerDependencies", "peerDependenciesMeta", "acceptDependencies", "bin", "directories",
		"dist", "engines", "cpu", "os", "libc", "funding", "hasInstallScript", "_hasShrinkwrap":
		return true
	}
	return false
}

// isHead reports whether the package's document shows a member of its latest version, or
// of the public registry's document. Source: npm.md 2.
func isHead(key string) bool {
	switch key {
	case "description", "readme", "readmeFilename", "maintainers", "contributors", "author", "license", "homepage",
		"repository", "bugs", "keywords", "users":
		return true
	}
	return false
}

// The kinds of span.
const (
	spanAbbreviated = 0
	spanHead        = 1
)

// isReadmeMember reports whether a member is about the readme. Version objects of
// uploads do not carry the text, and documents take it from its own section.
func isReadmeMember(key string) bool { return key == "readme" || key == "readmeFilename" }

type span struct{ start, length, kind int }

// buildFragment encodes a version's manifest, which must be valid JSON. readme holds
// joined members, see readmeMembers.
func buildFragment(manifest, readme []byte) []byte {
	var e fragmentEncoder
	return e.encode(manifest, readme)
}

// fragmentEncoder encodes many fragments with the same working memory.
type fragmentEncoder struct {
	full, out []byte
	spans     []span
}

func (e *fragmentEncoder) encode(manifest, readme []byte) []byte {
	return bytes.Clone(e.work(manifest, readme))
}

// read decodes a fragment, encoded or not yet; what it returns of the latter holds until
// the encoder is used again.
func (e *fragmentEncoder) read(b []byte) (fragment, error) {
	if isManifest(b) {
		b = e.work(b, nil)
	}
	return readFragment(b)
}

// isManifest reports whether a fragment is a manifest that is not encoded yet.
func isManifest(fragment []byte) bool { return len(fragment) > 0 && fragment[0] == '{' }

// work is encode into the encoder's own memory.
func (e *fragmentEncoder) work(manifest, readme []byte) []byte {
	e.full, e.spans, e.out = e.full[:0], e.spans[:0], e.out[:0]
	extra := e.split(manifest)
	b := append(e.out, fragmentVersion)
	b = appendSection(b, e.full)
	b = appendSection(b, extra)
	b = appendSection(b, readme)
	b = appendCount(b, len(e.spans))
	end := 0
	for _, s := range e.spans {
		b = appendCount(b, s.start-end)
		b = appendCount(b, 2*s.length+s.kind)
		end = s.start + s.length
	}
	e.out = b
	return b
}

// split fills full and spans from a manifest and returns the extra members.
func (e *fragmentEncoder) split(manifest []byte) (extra []byte) {
	var scripts []byte
	marked := false // the manifest says itself whether it has install scripts
	for m := range members(manifest) {
		key := string(m.key)
		if key == "deprecated" {
			continue
		}
		if len(e.full) > 0 {
			e.full = append(e.full, ',')
		}
		start := len(e.full)
		if key == "dist" {
			e.full = appendDist(e.full, m)
		} else {
			e.full = append(e.full, m.text...)
		}
		switch key {
		case "scripts":
			scripts = m.value
		case "hasInstallScript":
			marked = true
		}
		switch length := len(e.full) - start; {
		case isAbbreviated(key):
			e.spans = append(e.spans, span{start, length, spanAbbreviated})
		case isHead(key) && !isReadmeMember(key):
			e.spans = append(e.spans, span{start, length, spanHead})
		}
	}
	if !marked && hasInstallScript(scripts) {
		return []byte(`"hasInstallScript":true`)
	}
	return nil
}

func appendSection(b, section []byte) []byte {
	return append(appendCount(b, len(section)), section...)
}

func appendCount(b []byte, n int) []byte {
	return binary.AppendUvarint(b, uint64(n)) //nolint:gosec // lengths and gaps are never negative
}

// appendDist copies the member "dist" with every address replaced by its mark.
func appendDist(b []byte, dist member) []byte {
	b = append(b, dist.text[:len(dist.text)-len(dist.value)]...)
	done := 0
	mark := func(at, length int, marks ...byte) {
		b = append(append(b, dist.value[done:at]...), marks...)
		done = at + length
	}
	for m := range members(dist.value) {
		switch string(m.key) {
		case "tarball":
			mark(m.at, len(m.value), addressMark)
		case "attestations":
			for a := range members(m.value) {
				if string(a.key) == "url" {
					mark(m.at+a.at, len(a.value), addressMark, attestationsMark)
				}
			}
		}
	}
	return append(b, dist.value[done:]...)
}

func hasInstallScript(scripts []byte) bool {
	for m := range members(scripts) {
		switch string(m.key) {
		case "preinstall", "install", "postinstall":
			return true
		}
	}
	return false
}

// fragment is a decoded fragment; its slices point into the encoding.
type fragment struct {
	full, extra, readme []byte
	spans               []byte // still encoded
}

func readFragment(b []byte) (fragment, error) {
	if len(b) == 0 || b[0] == 0 || b[0] > fragmentVersion {
		return fragment{}, errFragment
	}
	var f fragment
	b = b[1:]
	for _, section := range []*[]byte{&f.full, &f.extra, &f.readme} {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b[used:])) {
			return fragment{}, errFragment
		}
		b = b[used:]
		*section, b = b[:n], b[n:]
	}
	f.spans = b
	return f, nil
}

// addresses are where a version's files are, as JSON strings.
type addresses struct{ tarball, attestations []byte }

// appendFull appends the version's whole object, without braces. overlay is a JSON object
// whose members follow.
func (f fragment) appendFull(b []byte, at addresses, overlay []byte) []byte {
	return appendOverlay(at.appendMarked(b, f.full), overlay)
}

// appendAbbreviated appends the members of the abbreviated form, without braces.
func (f fragment) appendAbbreviated(b []byte, at addresses, overlay []byte) ([]byte, error) {
	from := len(b)
	for text, err := range f.members(spanAbbreviated) {
		if err != nil {
			return b, err
		}
		b = at.appendMarked(appendComma(b, from), text)
	}
	if len(f.extra) > 0 {
		b = append(appendComma(b, from), f.extra...)
	}
	return appendOverlay(b, overlay), nil
}

// appendHead appends what the package's document takes from this version.
func (f fragment) appendHead(b []byte) ([]byte, error) {
	from := len(b)
	for text, err := range f.members(spanHead) {
		if err != nil {
			return b, err
		}
		b = append(appendComma(b, from), text...)
	}
	if len(f.readme) > 0 {
		b = append(appendComma(b, from), f.readme...)
	}
	return b, nil
}

// appendComma appends a comma unless nothing has been appended since from.
func appendComma(b []byte, from int) []byte {
	if len(b) > from {
		return append(b, ',')
	}
	return b
}

// members walks the spans of one kind.
func (f fragment) members(kind uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		spans, text := f.spans, f.full
		count, used := binary.Uvarint(spans)
		if used <= 0 {
			yield(nil, errFragment)
			return
		}
		spans = spans[used:]
		for range count {
			gap, n1 := binary.Uvarint(spans)
			if n1 <= 0 || gap > uint64(len(text)) {
				yield(nil, errFragment)
				return
			}
			text = text[gap:]
			length, n2 := binary.Uvarint(spans[n1:])
			if n2 <= 0 || length/2 > uint64(len(text)) {
				yield(nil, errFragment)
				return
			}
			spans = spans[n1+n2:]
			if length%2 == kind && !yield(text[:length/2], nil) {
				return
			}
			text = text[length/2:]
		}
	}
}

// appendMarked appends text with the addresses in place of their marks.
func (a addresses) appendMarked(b, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, addressMark)
		if i < 0 {
			return append(b, text...)
		}
		b, text = append(b, text[:i]...), text[i+1:]
		if len(text) > 0 && text[0] == attestationsMark {
			b, text = append(b, a.attestations...), text[1:]
		} else {
			b = append(b, a.tarball...)
		}
	}
}

// overlayPrefix begins every overlay that this room makes; see makeOverlay.
const overlayPrefix = `{"deprecated":`

// makeOverlay makes the part of a version that changes after publishing: the value of
// "deprecated" as it was sent. Without a value it is nil.
func makeOverlay(deprecated []byte) []byte {
	if len(deprecated) == 0 {
		return nil
	}
	return append(append([]byte(overlayPrefix), deprecated...), '}')
}

func appendOverlay(b, overlay []byte) []byte {
	if !bytes.HasPrefix(overlay, []byte(overlayPrefix)) {
		return b
	}
	return append(append(b, ','), overlay[1:len(overlay)-1]...)
}
