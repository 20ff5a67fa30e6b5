package httpx

import (
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// AcceptsGzip reports whether the client takes gzip: named, or by "*", and not refused
// with q=0.
func AcceptsGzip(h http.Header) bool {
	named, star := -1.0, -1.0
	for _, line := range h["Accept-Encoding"] {
		for item := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(item, ";")
			switch coding = strings.TrimSpace(coding); {
			case strings.EqualFold(coding, "gzip") || strings.EqualFold(coding, "x-gzip"):
				named = quality(params)
			case coding == "*":
				star = quality(params)
			}
		}
	}
	if named >= 0 {
		return named > 0
	}
	return star > 0
}

func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		k, v, ok := strings.Cut(strings.TrimSpace(p), "=")
		if ok && strings.EqualFold(strings.TrimSpace(k), "q") {
			return weight(strings.TrimSpace(v))
		}
	}
	return 1
}

// weight reads a quality; one that is none refuses.
func weight(text string) float64 {
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || q < 0 {
		return 0
	}
	return q
}

// MediaTypes yields the media types that Accept lists, in lower case and in their order,
// with their quality; 0 refuses. What is no media type is passed over.
func MediaTypes(h http.Header) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for _, line := range h["Accept"] {
			for item := range strings.SplitSeq(line, ",") {
				t, params, err := mime.ParseMediaType(item)
				if err != nil {
					continue
				}
				q := 1.0
				if text, ok := params["q"]; ok {
					q = weight(text)
				}
				if !yield(t, q) {
					return
				}
			}
		}
	}
}

// NoneMatch reports whether If-None-Match names the entity tag (weak comparison, RFC
// 9110 8.8.3.2): the client has it already, a GET is answered 304 and a write 412. A
// "*" matches everything.
func NoneMatch(h http.Header, etag string) bool {
	return etag != "" && listsTag(h["If-None-Match"], etag, false)
}

// IfMatch reports whether If-Match names the entity tag (strong comparison, RFC 9110
// 8.8.3.2: a weak tag matches nothing). A "*" matches everything.
func IfMatch(h http.Header, etag string) bool {
	return etag != "" && !strings.HasPrefix(etag, "W/") && listsTag(h["If-Match"], etag, true)
}

// listsTag looks for a tag, or "*", in a list of them; weak ones count unless strong.
func listsTag(lines []string, etag string, strong bool) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, line := range lines {
		rest := strings.TrimLeft(line, " \t,")
		for rest != "" {
			if rest[0] == '*' {
				return true
			}
			var weak bool
			rest, weak = strings.CutPrefix(rest, "W/")
			if rest == "" || rest[0] != '"' {
				break // not a list of tags: treat as absent
			}
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				break
			}
			if rest[:end+2] == etag && (!weak || !strong) {
				return true
			}
			rest = strings.TrimLeft(rest[end+2:], " \t,")
		}
	}
	return false
}
