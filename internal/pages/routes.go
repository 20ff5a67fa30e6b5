package pages

import "net/http"

// route is one page.
type route struct {
	name    string
	methods []string
	pattern string
	serve   func(w http.ResponseWriter, r *http.Request, vars map[string]string) error
}

// table lists every page. A page that changes something takes POST and begins with form.
func (p *Pages) table() []route {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	return []route{
		{"home", get, "/ui", p.home},
		{"home", get, "/ui/", p.home},
		{"static", get, "/ui/static/{file}", p.static},
		{"login-page", get, "/ui/login/{id}", p.showLogin},
		{"login-decide", post, "/ui/login/{id}", p.decideLogin},
	}
}

// homeView is the first page.
type homeView struct {
	view
	Address string
}

func (p *Pages) home(w http.ResponseWriter, r *http.Request, _ map[string]string) error {
	return p.render(w, r, http.StatusOK, "home", homeView{view{Title: "Packhouse", Version: p.Version}, p.Address(r)})
}
