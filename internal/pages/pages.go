package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"sync"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/ops"
)

// Name is the door's name in the ledger and in logs.
const Name = "pages"

// Options are what New needs.
type Options struct {
	Service *ops.Service
	// Address returns scheme and authority that a request came in on.
	Address func(*http.Request) string
	Version string
}

// Pages serves the paths below /ui. It is safe for concurrent use.
type Pages struct {
	Options
	routes httpx.Router[*route]
}

// New makes the pages. Errors: a mistake in the table of routes.
func New(o Options) (*Pages, error) {
	p := &Pages{Options: o}
	for _, rt := range p.table() {
		if err := p.routes.Add(rt.methods, rt.pattern, &rt); err != nil {
			return nil, err
		}
	}
	return p, nil
}

//go:embed templates/*.html
var templateFiles embed.FS

// templates holds one set per page, each with the layout. They are parsed when the first
// page is asked for: most starts of the process never show one.
var templates = sync.OnceValue(func() map[string]*template.Template {
	return map[string]*template.Template{"home": page("home.html"), "login": page("login.html"), "error": page("error.html")}
})

func page(file string) *template.Template {
	return template.Must(template.ParseFS(templateFiles, "templates/layout.html", "templates/"+file))
}

// view is what the layout needs; pages embed it.
type view struct {
	Title   string
	Version string
}

// render writes a page. It is rendered whole before the first byte leaves, so that an
// error in a template is a 500.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var b bytes.Buffer
	if err := templates()[name].ExecuteTemplate(&b, "layout.html", data); err != nil {
		return packhouse.Internal(err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // the client is gone
	}
	return nil
}

// ServeHTTP answers one request.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := httpx.RecordOf(r.Context())
	rec.Door = Name
	p.protect(w, r)
	if err := p.serve(w, r, rec); err != nil {
		rec.Err = err
		p.showError(w, r, err)
	}
}

func (p *Pages) serve(w http.ResponseWriter, r *http.Request, rec *httpx.Record) error {
	if err := p.refuseForeign(r); err != nil {
		return err
	}
	segs, err := httpx.SplitPath(httpx.RequestPath(r))
	if err != nil {
		return err
	}
	m, allow, ok := p.routes.Find(r.Method, segs)
	if !ok && len(allow) > 0 {
		w.Header()["Allow"] = allow
		return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "method_not_allowed", Message: "This page does not take that."}
	}
	if !ok {
		return packhouse.NotFoundf("page", "", "There is no page at this address.")
	}
	rec.Op = m.Value.name
	return m.Value.serve(w, r, m.Vars())
}

// errorView is the page of an error.
type errorView struct {
	view
	Message, RequestID string
}

func (p *Pages) showError(w http.ResponseWriter, r *http.Request, err error) {
	httpx.SetRetryAfter(w.Header(), err)
	data := errorView{view{Title: "That did not work", Version: p.Version}, httpx.Message(err), httpx.RequestID(r.Context())}
	if err := p.render(w, r, httpx.Status(err), "error", data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}
