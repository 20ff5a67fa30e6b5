package httpx_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// FuzzRange: whatever a client says about ranges and entity tags, the answer is the
// whole, one range of it as Content-Range says, 304 or 416; never more bytes than the
// asset has (reliability.md A8).
func FuzzRange(f *testing.F) {
	whole := bytes.Repeat([]byte("0123456789"), 100)
	const tag = `"tag"`
	for _, s := range [][3]string{{"bytes=0-9", "", ""}, {"bytes=-1", tag, ""}, {"bytes=990-", `W/"tag"`, ""}, {"bytes=0-1,2-3", "", ""}, {"bytes=1000-", "", ""},
		{"bytes=0-99999999999999999999", "", ""}, {"bytes= 1-2", "", "*"}, {"lines=1-2", "", `"a", W/"tag"`}, {"bytes=9-1", "Sat, 21 Nov 2026 00:00:00 GMT", `"tag`}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, ranges, ifRange, ifNoneMatch string) {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		for name, value := range map[string]string{"Range": ranges, "If-Range": ifRange, "If-None-Match": ifNoneMatch} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		c := &format.Content{Size: int64(len(whole)), At: bytes.NewReader(whole)}
		if err := httpx.WriteAsset(w, r, packhouse.Asset{}, c, httpx.AssetOptions{ETag: tag}); err != nil {
			// Refused before anything was sent: only a range that cannot be had may be.
			if !strings.HasPrefix(ranges, "bytes=") || w.Body.Len() > 0 {
				t.Fatalf("%v after %d bytes", err, w.Body.Len())
			}
			return
		}
		body := w.Body.Bytes()
		switch w.Code {
		case http.StatusOK:
			if !bytes.Equal(body, whole) {
				t.Fatalf("200 with %d bytes", len(body))
			}
		case http.StatusPartialContent:
			var first, last, size int
			if _, err := fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil ||
				first < 0 || last < first || last >= len(whole) || size != len(whole) || !bytes.Equal(body, whole[first:last+1]) {
				t.Fatalf("206 of %q with %d bytes", w.Header().Get("Content-Range"), len(body))
			}
		case http.StatusNotModified:
			if len(body) > 0 || !strings.Contains(ifNoneMatch, tag) && !strings.Contains(ifNoneMatch, "*") {
				t.Fatalf("304 to If-None-Match %q with %d bytes", ifNoneMatch, len(body))
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if len(body) >= len(whole) {
				t.Fatalf("416 with %d bytes", len(body))
			}
		default:
			t.Fatalf("status %d", w.Code)
		}
		if n := w.Header().Get("Content-Length"); n != "" && n != strconv.Itoa(len(body)) {
			t.Fatalf("Content-Length %s, %d bytes", n, len(body))
		}
	})
}
