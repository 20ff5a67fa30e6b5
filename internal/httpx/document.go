package httpx

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

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
// error is that of writing to the client, or of a damaged body.
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

	compressed := d.Gzip != nil && AcceptsGzip(r.Header)
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

	body, size := d.Plain, int64(len(d.Plain))
	etag := d.ETag
	if compressed {
		body, size, etag = d.Gzip, int64(len(d.Gzip)), gzipTag(d.ETag)
		h["Content-Encoding"] = encodingGzip
	} else if body == nil {
		size = d.Size
	}
	if etag != "" {
		h["Etag"] = []string{etag}
	}
	if d.ContentType != "" {
		h["Content-Type"] = []string{d.ContentType}
	}
	h["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if body == nil {
		return inflate(w, d.Gzip)
	}
	_, err := w.Write(body)
	return err
}

// DocText returns the plain form of a document, which must not be changed.
func DocText(d *format.Doc) ([]byte, error) {
	if d.Plain != nil {
		return d.Plain, nil
	}
	b := bytes.NewBuffer(make([]byte, 0, d.Size))
	err := inflate(b, d.Gzip)
	return b.Bytes(), err
}

// inflaters are kept because each is 40 KiB of tables.
var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

// inflate writes what a document has in gzip alone to a client that does not take that.
func inflate(w io.Writer, compressed []byte) error {
	z := inflaters.Get().(*gzip.Reader)
	defer inflaters.Put(z)
	if err := z.Reset(bytes.NewReader(compressed)); err != nil {
		return err
	}
	_, err := io.Copy(w, z)
	return err
}

func gzipTag(etag string) string {
	s, ok := strings.CutSuffix(etag, `"`)
	if !ok {
		return ""
	}
	return s + gzipSuffix + `"`
}
