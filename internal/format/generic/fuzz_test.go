package generic

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/packhouse/packhouse"
)

// FuzzDeclaredHashes: whatever a client declares is refused, or is nothing but hashes of
// the right length in lower-case hex, which Mismatch can compare.
func FuzzDeclaredHashes(f *testing.F) {
	const md64, sha64 = "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	f.Add("", md64, "SHA-256="+sha64+", sha=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "sha-256=:"+sha64+":")
	f.Add("0000", "=", "md5", "sha-512=::, ,=,md5=:"+md64+":;q=1")
	f.Add("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "", "", "")
	f.Fuzz(func(t *testing.T, sum, md5, digest, repr string) {
		got, err := declaredHashes(http.Header{"X-Checksum-Sha256": {sum}, "Content-Md5": {md5}, "Digest": {digest}, "Repr-Digest": {repr}})
		if err != nil {
			if packhouse.KindOf(err) != packhouse.KindInvalid {
				t.Errorf("refused with %v, want Invalid", err)
			}
			return
		}
		for _, h := range []struct {
			text string
			size int
		}{{got.MD5, 32}, {got.SHA1, 40}, {got.SHA256, 64}, {got.SHA512, 128}} {
			if h.text == "" {
				continue
			}
			if len(h.text) != h.size {
				t.Errorf("%q has %d digits, want %d", h.text, len(h.text), h.size)
			}
			for _, c := range h.text {
				if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
					t.Errorf("%q is not lower-case hex", h.text)
				}
			}
		}
	})
}

// FuzzContentRange: a piece has a start and a size that neither are negative nor overflow
// when added.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-99/*", "0-99", "bytes 5-5/6", "bytes */5", "bytes 4611686018427387903-4611686018427387903/*", "bytes 0-18446744073709551615/*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from, size, err := parseContentRange(s)
		if err == nil && (from < 0 || size < 1 || from+size < from) {
			t.Errorf("%q: %d, %d", s, from, size)
		}
	})
}

// FuzzLink: a link's query is refused, or has a time after 1969.
func FuzzLink(f *testing.F) {
	for _, s := range []string{"exp=1&sig=1.x", "exp=-1&sig=", "exp=99999999999999999999&sig=a", "exp=1&exp=2&sig=a", "sig=%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		query, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		expires, _, err := parseLink(query)
		if err == nil && expires.Unix() < 0 {
			t.Errorf("%q expires %s", s, expires)
		}
		if err != nil && packhouse.KindOf(err) != packhouse.KindDenied {
			t.Errorf("%q: %v, want Denied", s, err)
		}
	})
}

// FuzzAccept: who asks for what never matters beyond a page or JSON, and never fails.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"text/html", "text/html;q=", "*/*;q=0.1, text/html;q=NaN", "application/json, text/html;q=1e300"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { wantsHTML(http.Header{"Accept": {s}}) })
}
