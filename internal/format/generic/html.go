package generic

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// pages are the lists as browsers see them. Every value is escaped for its place
// (reliability.md S35); links are relative to the list's address with its last slash,
// which base gives, because lists answer without it too.
var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"escape": url.PathEscape, "path": escapePath}).Parse(`
{{- define "head"}}<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.}}</title></head>
<body>
<h1>{{.}}</h1>
{{end}}
{{- define "versions"}}{{$base := .Base}}{{with .List}}{{template "head" print .Namespace "/" .Name}}
<ul>
{{range .Versions}}<li><a href="{{$base}}{{escape .Version}}/">{{.Version}}</a> {{.Published.Format "2006-01-02 15:04"}}{{if .Newest}} newest{{end}}</li>
{{end}}</ul>
{{with .Next}}<p><a href="{{$base}}?after={{.}}">More</a></p>
{{end}}</body>
</html>
{{end}}{{end}}
{{- define "files"}}{{$base := .Base}}{{with .List}}{{template "head" print .Namespace "/" .Name " " .Version}}
<p>{{.Status}}</p>
<table>
<tr><th>File</th><th>Bytes</th><th>SHA-256</th></tr>
{{range .Files}}<tr><td><a href="{{$base}}{{path .File}}">{{.File}}</a></td><td>{{.Size}}</td><td><code>{{.SHA256}}</code></td></tr>
{{end}}</table>
</body>
</html>
{{end}}{{end}}`))
})

// pagePolicy is that of reliability.md S34 for a page without scripts, styles and forms.
const pagePolicy = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"

// writePage answers with a list as HTML.
func writePage(w http.ResponseWriter, r *format.Request, page string, list any) error {
	var b bytes.Buffer
	base := r.Base + escapePath(r.Var("ns")+"/"+r.Var("name")) + "/"
	if v := r.Var("version"); v != "" {
		base += url.PathEscape(v) + "/"
	}
	if err := pages().ExecuteTemplate(&b, page, struct{ Base, List any }{base, list}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if strings.HasPrefix(r.Base, "https:") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b.Bytes()) // the client is gone when that fails
	return nil
}

// escapePath escapes a path of several segments; a colon must not make a scheme of the
// first one.
func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// wantsHTML reports whether a client prefers a page, as browsers do: it names HTML, and
// JSON, where it is named too, comes after.
func wantsHTML(h http.Header) bool {
	html, json := 0.0, 0.0
	for t, q := range httpx.MediaTypes(h) {
		switch t {
		case "text/html":
			html = q
		case "application/json":
			json = q
		}
	}
	return html > json
}
