package httpx_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

func TestSplitPath(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want []httpx.Segment // nil with ok false: refused
		ok   bool
	}{
		{"the root has no segments", "/", nil, true},
		{"plain segments", "/a/b", []httpx.Segment{{Text: "a"}, {Text: "b"}}, true},
		{"a trailing slash is an empty last segment", "/a/", []httpx.Segment{{Text: "a"}, {}}, true},
		{"a run of slashes at the very start is collapsed", "///a/b", []httpx.Segment{{Text: "a"}, {Text: "b"}}, true},
		{"an encoded slash stays in its segment and is flagged", "/@s%2Fn", []httpx.Segment{{Text: "@s/n", HasSlash: true}}, true},
		{"a plus is a plus", "/a+b", []httpx.Segment{{Text: "a+b"}}, true},
		{"spaces inside a name", "/a%20b", []httpx.Segment{{Text: "a b"}}, true},
		{"letters beyond ASCII", "/caf%C3%A9", []httpx.Segment{{Text: "café"}}, true},
		{"an encoded letter is that letter", "/%61", []httpx.Segment{{Text: "a"}}, true},
		{"a name that only begins like a device", "/console/com10/aux.js", []httpx.Segment{{Text: "console"}, {Text: "com10"}, {Text: "aux.js"}}, true},
		{"a segment of 255 bytes", "/" + strings.Repeat("a", 255), []httpx.Segment{{Text: strings.Repeat("a", 255)}}, true},
		{name: "an empty segment inside", in: "/a//b"},
		{name: "two trailing slashes", in: "/a//"},
		{name: "dot", in: "/a/./b"},
		{name: "dot dot", in: "/a/../b"},
		{name: "encoded dot dot", in: "/a/%2e%2E/b"},
		{name: "dot dot behind an encoded slash", in: "/a%2f..%2fb"},
		{name: "an encoded slash with nothing before it", in: "/%2fetc"},
		{name: "backslash", in: `/a\b`},
		{name: "encoded backslash", in: "/a%5cb"},
		{name: "NUL", in: "/a%00"},
		{name: "newline", in: "/a%0ab"},
		{name: "DEL", in: "/a%7f"},
		{name: "C1 control", in: "/a%C2%85"},
		{name: "path parameter", in: "/a;b=c"},
		{name: "encoded semicolon", in: "/a%3Bb"},
		{name: "double encoding leaves a percent", in: "/a%252fb"},
		{name: "encoded hash", in: "/a%23b"},
		{name: "encoded question mark", in: "/a%3fb"},
		{name: "not UTF-8", in: "/a%ff"},
		{name: "overlong slash", in: "/a%c0%af"},
		{name: "bidi override", in: "/a%E2%80%AEb"},
		{name: "bidi isolate", in: "/a%E2%81%A6b"},
		{name: "trailing dot", in: "/a./b"},
		{name: "trailing space", in: "/a%20"},
		{name: "device", in: "/nul"},
		{name: "device in capitals", in: "/a/COM7"},
		{name: "device behind an encoded slash", in: "/@a%2fcon"},
		{name: "broken escape", in: "/a%2"},
		{name: "wrong escape", in: "/a%zz"},
		{name: "a segment of 256 bytes", in: "/" + strings.Repeat("a", 256)},
		{name: "a very long path", in: strings.Repeat("/aaaaaaa", 300)},
		{name: "a megabyte of escapes", in: "/" + strings.Repeat("%61", 1<<18)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := httpx.SplitPath(tt.in)
			if !tt.ok {
				if packhouse.ReasonOf(err) != "invalid_path" {
					t.Fatalf("SplitPath = %v, %v; want invalid_path", got, err)
				}
				return
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Fatalf("SplitPath = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// FuzzSplitPath: whatever comes out can be written as a path again that means the same
// (reliability.md S1: one coordinate or 400).
func FuzzSplitPath(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/@s%2fn/-/n-1.0.0.tgz", "//x//", "/%2e%2e/", "/a%00", "/é", "/%E2%80%AE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		segs, err := httpx.SplitPath(in)
		if err != nil {
			if packhouse.KindOf(err) != packhouse.KindInvalid {
				t.Fatalf("error of kind %v", packhouse.KindOf(err))
			}
			return
		}
		var b strings.Builder
		for i, s := range segs {
			if s.Text == "" && i != len(segs)-1 {
				t.Fatalf("empty segment %d in %v", i, segs)
			}
			if s.HasSlash != strings.Contains(s.Text, "/") {
				t.Fatalf("flag of %q is %v", s.Text, s.HasSlash)
			}
			for part := range strings.SplitSeq(s.Text, "/") {
				if part == ".." || part == "." || strings.ContainsAny(part, "\\%;#?\x00\r\n") {
					t.Fatalf("%q came out of %q", part, in)
				}
			}
			b.WriteByte('/')
			b.WriteString(escapeAll(s.Text))
		}
		again, err := httpx.SplitPath(b.String())
		if err != nil || !slices.Equal(again, segs) {
			t.Fatalf("%q means %v, written again %q means %v, %v", in, segs, b.String(), again, err)
		}
	})
}

func escapeAll(s string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte('%')
		b.WriteByte(hex[s[i]>>4])
		b.WriteByte(hex[s[i]&15])
	}
	return b.String()
}

func BenchmarkSplitAndFind(b *testing.B) {
	var r httpx.Router[int]
	for i, p := range []string{"/", "/-/ping", "/-/whoami", "/-/v1/search", "/-/package/{@name}/dist-tags", "/-/package/{@name}/dist-tags/{tag}",
		"/{@name}", "/{@name}/{version}", "/{@name}/-/{file}", "/{@name}/-rev/{rev}"} {
		if err := r.Add([]string{"GET"}, p, i); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		segs, err := httpx.SplitPath("/@acme%2fbox/-/box-1.0.0.tgz")
		if err != nil {
			b.Fatal(err)
		}
		if _, _, ok := r.Find("GET", segs); !ok {
			b.Fatal("no route")
		}
	}
}

// reliability.md S1, S4: the absolute form of a request line names the same path, in the
// client's own spelling.
func TestRequestPath(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"origin form", "/a%2fb?c=/d", "/a%2fb"},
		{"absolute form", "http://h/a%2fb?c=/d", "/a%2fb"},
		{"absolute form with characters that net/url would respell", `http://h/a%2fb"`, `/a%2fb"`},
		{"absolute form without a path", "http://h", "/"},
		{"absolute form with a query only", "http://h?a=/b", "/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := url.ParseRequestURI(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if got := httpx.RequestPath(&http.Request{RequestURI: tt.line, URL: u}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
