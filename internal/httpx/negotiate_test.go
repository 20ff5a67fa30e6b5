package httpx_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/packhouse/packhouse/internal/httpx"
)

// RFC 9110 13.1.1, 13.1.2: If-Match compares strongly, If-None-Match weakly; both take
// lists, over several lines.
func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		name          string
		lines         []string
		match, noneIs bool
	}{
		{"nothing", nil, false, false},
		{"the tag", []string{`"a"`}, true, true},
		{"another one", []string{`"b"`}, false, false},
		{"one of several", []string{`"b" , "a"`}, true, true},
		{"on another line", []string{`"b"`, `"a"`}, true, true},
		{"the weak form", []string{`W/"a"`}, false, true},
		{"both forms", []string{`W/"a", "a"`}, true, true},
		{"any", []string{"*"}, true, true},
		{"a tag that only ends like a weak one", []string{`"xW/", "a"`}, true, true},
		{"no tag", []string{`a`}, false, false},
		{"an open quote", []string{`"a`}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := httpx.IfMatch(http.Header{"If-Match": tt.lines}, `"a"`); got != tt.match {
				t.Errorf("If-Match %q: %v, want %v", tt.lines, got, tt.match)
			}
			if got := httpx.NoneMatch(http.Header{"If-None-Match": tt.lines}, `"a"`); got != tt.noneIs {
				t.Errorf("If-None-Match %q: %v, want %v", tt.lines, got, tt.noneIs)
			}
		})
	}
}

// RFC 9110 12.5.1: types come in their order, over several lines, with what refuses them.
func TestMediaTypes(t *testing.T) {
	h := http.Header{"Accept": {"Text/HTML, application/json;q=0.5", "x/y; q=0, not a type, a/b;q=much, */*"}}
	var got []string
	for mediaType, q := range httpx.MediaTypes(h) {
		got = append(got, fmt.Sprint(mediaType, " ", q))
		if mediaType == "a/b" {
			break
		}
	}
	if want := []string{"text/html 1", "application/json 0.5", "x/y 0", "a/b 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
