package httpx

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
)

// MaxSegment and MaxPath bound a path, in bytes after decoding (reliability.md A8). A
// segment that holds an encoded slash is bounded part by part.
const (
	MaxSegment = 255
	MaxPath    = 2048
)

// sealedToken begins the one thing that may be longer than MaxSegment: clients put the
// token that they sign out with into the path (npm.md 1). MaxToken bounds it, in bytes.
const (
	sealedToken = "v4.local."
	MaxToken    = 1024
)

// Segment is one path segment. HasSlash reports that Text holds a slash that came
// encoded; only patterns that allow it match such a segment.
//
// The last segment of a path that ends in a slash has an empty Text: protocols tell
// "simple" and "simple/" apart. No other segment is ever empty.
type Segment struct {
	Text     string
	HasSlash bool
}

// RequestPath returns the request's path as the client spelled it, still escaped and
// without the query. net/url may respell a path with odd characters, which would turn
// an encoded slash into a real one; the request line does not lie.
func RequestPath(r *http.Request) string {
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") {
		_, rest, absolute := strings.Cut(path, "://")
		if !absolute {
			return r.URL.EscapedPath()
		}
		at := strings.IndexAny(rest, "/?")
		if at < 0 || rest[at] == '?' {
			return "/"
		}
		path = rest[at:]
	}
	path, _, _ = strings.Cut(path, "?")
	return path
}

// SplitPath decodes an escaped request path once, per segment, by reliability.md S1. It
// is the only canonicaliser: routers, policies and stores see what it returns and
// nothing else.
//
// A run of slashes at the very start counts as one. "/" has no segments. An encoded
// slash is kept in its segment, flagged. Errors: Invalid "invalid_path", naming what
// was wrong.
func SplitPath(escaped string) ([]Segment, error) {
	rest := strings.TrimLeft(escaped, "/")
	if rest == "" {
		return nil, nil
	}
	return AppendPath(make([]Segment, 0, strings.Count(rest, "/")+1), rest)
}

// AppendPath is SplitPath into a slice that the caller keeps. dst is returned grown;
// on an error its contents beyond the old length mean nothing.
func AppendPath(dst []Segment, escaped string) ([]Segment, error) {
	rest := strings.TrimLeft(escaped, "/")
	if rest == "" {
		return dst, nil
	}
	total := 0
	for {
		raw, after, more := strings.Cut(rest, "/")
		if raw == "" {
			if more {
				return dst, badPath("an empty segment")
			}
			return append(dst, Segment{}), nil
		}
		seg, err := decodeSegment(raw)
		if err != nil {
			return dst, err
		}
		if total += len(seg.Text) + 1; total > MaxPath {
			return dst, badPath("more than %d bytes", MaxPath)
		}
		dst = append(dst, seg)
		if !more {
			return dst, nil
		}
		rest = after
	}
}

func badPath(format string, args ...any) error {
	return packhouse.Invalidf("invalid_path", "the path has "+format, args...)
}

// decodeSegment decodes and checks one segment that is not empty.
func decodeSegment(raw string) (Segment, error) {
	// An escape is three bytes for one, so anything longer cannot be legal; this also
	// bounds the work below.
	if len(raw) > 3*2*(MaxSegment+1) {
		return Segment{}, badPath("a segment of more than %d bytes", MaxSegment)
	}
	seg := Segment{Text: raw}
	if i := strings.IndexByte(raw, '%'); i >= 0 {
		var err error
		if seg, err = unescape(raw, i); err != nil {
			return Segment{}, err
		}
	}
	if err := checkText(seg.Text); err != nil {
		return Segment{}, err
	}
	if !seg.HasSlash {
		return seg, checkName(seg.Text)
	}
	for part := range strings.SplitSeq(seg.Text, "/") {
		if err := checkName(part); err != nil {
			return Segment{}, err
		}
	}
	return seg, nil
}

// unescape decodes raw, whose first escape is at i. What net/url would do with "+" and
// friends must not happen here, so the three lines are our own.
func unescape(raw string, i int) (Segment, error) {
	var seg Segment
	var b strings.Builder
	b.Grow(len(raw))
	b.WriteString(raw[:i])
	for ; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				return seg, badPath("an incomplete escape")
			}
			hi, okHi := unhex(raw[i+1])
			lo, okLo := unhex(raw[i+2])
			if !okHi || !okLo {
				return seg, badPath("a wrong escape")
			}
			c = hi<<4 | lo
			i += 2
			switch c {
			case '/':
				seg.HasSlash = true
			case '%':
				return seg, badPath("a %% left after decoding")
			}
		}
		b.WriteByte(c)
	}
	seg.Text = b.String()
	return seg, nil
}

func unhex(c byte) (digit byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// checkText refuses characters that no name in any format needs and that other parsers
// read differently.
func checkText(s string) error {
	ascii := true
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x20 || c == 0x7f:
			return badPath("a control character")
		case c >= utf8.RuneSelf:
			ascii = false
		case c == '\\':
			return badPath("a backslash")
		case c == ';':
			return badPath("a semicolon")
		case c == '#' || c == '?':
			return badPath("an encoded %q", c)
		}
	}
	if ascii {
		return nil
	}
	if !utf8.ValidString(s) {
		return badPath("bytes that are not UTF-8")
	}
	for _, r := range s {
		switch {
		case r >= 0x80 && r <= 0x9f:
			return badPath("a control character")
		case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return badPath("a bidirectional control character")
		}
	}
	return nil
}

// checkName refuses texts that a file system or another parser might not take as a
// plain name.
func checkName(s string) error {
	switch {
	case s == "":
		return badPath("an empty segment")
	case s == "." || s == "..":
		return badPath("a dot segment")
	case len(s) > MaxSegment && (len(s) > MaxToken || !strings.HasPrefix(s, sealedToken)):
		return badPath("a segment of more than %d bytes", MaxSegment)
	}
	if last := s[len(s)-1]; last == '.' || last == ' ' {
		return badPath("a segment that ends in a dot or a space")
	}
	if isDevice(s) {
		return badPath("the name of a device")
	}
	return nil
}

// isDevice knows the names that Windows gives to devices in every folder.
func isDevice(s string) bool {
	switch len(s) {
	case 3:
		return strings.EqualFold(s, "con") || strings.EqualFold(s, "prn") ||
			strings.EqualFold(s, "aux") || strings.EqualFold(s, "nul")
	case 4:
		return s[3] >= '1' && s[3] <= '9' &&
			(strings.EqualFold(s[:3], "com") || strings.EqualFold(s[:3], "lpt"))
	}
	return false
}
