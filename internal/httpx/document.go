package httpx

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse/internal/format"
)

// Header values that never change are shared, so that a warm answer allocates little.
// They are read only: net/http copies them to the wire.
var (
	varyDocument    = []string{"Accept, Accept-Encoding"}
	cacheRevalidate = []string{"private, max-age=0, must-revalidate"}
	encodingGzip    = []string{"gzip"}
	nosniff         = []string{"nosniff"}
	warningStale    = []string{`110 - "Response is Stale"`}
)

// gzipSuffix stands inside the quotes of the compressed form's entity tag.
const gzipSuffix = "-gzip"

// WriteDoc answers with an index document: strong ETag per representation, 304,
// Vary: Accept, Accept-Encoding, stored gzip where the client takes it,
// Content-Length, HEAD, Cache-Control: private, max-age=0, must-revalidate, and
// Warning: 110 with Age when d.Stale is set. It does not allocate per body byte. Its
// error is that of writing to the client.
func WriteDoc(w http.ResponseWriter, r *http.Request, d *format.Doc) error {
	h := w.Header()
	h["Vary"] = varyDocument
	h["Cache-Control"] = cacheRevalidate
	h["X-Content-Type-Options"] = nosniff
	if d.Stale > 0 {
		h["Warning"] = warningStale
		h.Set("Age", strconv.FormatInt(int64(d.Stale.Seconds()), 10))
	}
	if !d.Modified.IsZero() {
		h.Set("Last-Modified", d.Modified.UTC().Format(http.TimeFormat))
	}

	gzip := d.Gzip != nil && acceptsGzip(r.Header)
	if len(r.Header["If-None-Match"]) > 0 {
		// Both forms are the same document, so having either is having it; the client's
		// own tag is repeated because its kept body is of that form.
		for _, tag := range [2]string{gzipTag(d.ETag), d.ETag} {
			if NoneMatch(r.Header, tag) {
				h["Etag"] = []string{tag}
				w.WriteHeader(http.StatusNotModified)
				return nil
			}
		}
	}

	body := d.Plain
	etag := d.ETag
	if gzip {
		body, etag = d.Gzip, gzipTag(d.ETag)
		h["Content-Encoding"] = encodingGzip
	}
	if etag != "" {
		h["Etag"] = []string{etag}
	}
	if d.ContentType != "" {
		h["Content-Type"] = []string{d.ContentType}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_, err := w.Write(body)
	return err
}

func gzipTag(etag string) string {
	s, ok := strings.CutSuffix(etag, `"`)
	if !ok {
		return ""
	}
	return s + gzipSuffix + `"`
}
