package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"sync"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

//go:embed static
var staticFiles embed.FS

// asset is a file of the pages.
type asset struct {
	content           []byte
	contentType, etag string
}

var assets = sync.OnceValue(loadAssets)

// contentTypes are those of the pages' files by extension. What the machine's own tables
// say must not change them.
var contentTypes = map[string]string{".css": "text/css; charset=utf-8"}

func loadAssets() map[string]asset {
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		panic("pages: " + err.Error())
	}
	all := make(map[string]asset, len(entries))
	for _, e := range entries {
		content, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			panic("pages: " + err.Error())
		}
		sum := sha256.Sum256(content)
		all[e.Name()] = asset{content, contentTypes[path.Ext(e.Name())], `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return all
}

// static serves the files that pages load. They change with the binary only, and are
// asked for again by ETag.
func (p *Pages) static(w http.ResponseWriter, r *http.Request, vars map[string]string) error {
	a, ok := assets()[vars["file"]]
	if !ok {
		return packhouse.NotFoundf("page", "", "There is no page at this address.")
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.etag)
	if httpx.NoneMatch(r.Header, a.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(a.content)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.content) // the client is gone
	}
	return nil
}
