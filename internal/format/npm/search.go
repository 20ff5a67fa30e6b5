package npm

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// searchRoutes are the rows of `npm search`.
func (p protocol) searchRoutes() []format.Route {
	return []format.Route{
		{Name: "search", Methods: []string{http.MethodGet, http.MethodHead}, Pattern: "/-/v1/search", Action: packhouse.ActionReadFromRepository, Serve: p.search},
	}
}

// defaultHits is how many hits a client gets that does not say.
const defaultHits = 20

// searchAnswer is the document of a search. Source: npm.md 4.
type searchAnswer struct {
	Objects []searchObject `json:"objects"`
	Total   int            `json:"total"`
	Time    string         `json:"time"`
}

type searchObject struct {
	Package     searchPackage `json:"package"`
	Score       searchScore   `json:"score"`
	SearchScore float64       `json:"searchScore"`
}

// searchScore has the members that clients look for. Nothing is measured but how well the
// package fits, so all say that.
type searchScore struct {
	Final  float64 `json:"final"`
	Detail struct {
		Quality     float64 `json:"quality"`
		Popularity  float64 `json:"popularity"`
		Maintenance float64 `json:"maintenance"`
	} `json:"detail"`
}

type searchPackage struct {
	Name        string            `json:"name"`
	Scope       string            `json:"scope"`
	Version     string            `json:"version"`
	Description string            `json:"description,omitempty"`
	Keywords    []string          `json:"keywords"`
	License     string            `json:"license,omitempty"`
	Date        string            `json:"date,omitempty"`
	Links       map[string]string `json:"links"`
	Publisher   *searchPerson     `json:"publisher,omitempty"`
	// Maintainers is never absent: npm 8 to 12 end with an error without it.
	Maintainers []searchPerson `json:"maintainers"`
}

type searchPerson struct {
	Username string `json:"username"`
	Email    string `json:"email,omitempty"`
}

// search serves GET -/v1/search?text&size&from. The weights that clients send (quality,
// popularity, maintenance) change nothing: none of them is measured.
func (p protocol) search(w http.ResponseWriter, r *format.Request) error {
	values := r.URL.Query()
	q := p.parseSearch(values.Get("text"))
	q.Repo = r.Repo
	var err error
	if q.Size, err = countOf(values.Get("size"), "size", defaultHits); err != nil {
		return err
	}
	q.Size = min(q.Size, format.MaxHits)
	if q.From, err = countOf(values.Get("from"), "from", 0); err != nil {
		return err
	}
	hits, err := p.house.Search(r.Context(), r.Who, q)
	if err != nil {
		return err
	}
	answer := searchAnswer{Objects: make([]searchObject, len(hits.List)), Total: hits.Total, Time: time.Now().UTC().Format(http.TimeFormat)}
	if hits.More {
		answer.Total++ // there is at least one
	}
	for i := range hits.List {
		answer.Objects[i] = searchObjectOf(r.Base, &hits.List[i])
	}
	return httpx.WriteJSON(w, http.StatusOK, answer)
}

// countOf reads a number of the query string.
func countOf(text, name string, missing int) (int, error) {
	if text == "" {
		return missing, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, packhouse.Invalidf("invalid_search", "%s must be a number from 0 on, not %q", name, text)
	}
	return n, nil
}

// parseSearch reads a search text: words, and the qualifiers keywords:a,b (one of them;
// a+b is both), scope:, author: and maintainer:. The public registry's other qualifiers
// (is:, not:, boost-exact:) weigh what is not measured here and change nothing. A single
// word may be a package's very name.
func (p protocol) parseSearch(text string) format.Query {
	q := format.Query{Format: ID}
	var words []string
	for word := range strings.FieldsSeq(text) {
		qualifier, value, ok := strings.Cut(word, ":")
		switch {
		case !ok:
			words = append(words, word)
		case value == "":
		case qualifier == "keywords":
			for both := range strings.SplitSeq(value, "+") {
				q.Keywords = append(q.Keywords, strings.Split(both, ","))
			}
		case qualifier == "scope":
			q.Namespaces = append(q.Namespaces, strings.TrimPrefix(value, "@"))
		case qualifier == "author", qualifier == "maintainer":
			q.Authors = append(q.Authors, value)
		case qualifier == "is", qualifier == "not", qualifier == "boost-exact":
		default:
			words = append(words, word)
		}
	}
	q.Text = strings.Join(words, " ")
	if len(words) == 1 && len(q.Keywords)+len(q.Namespaces)+len(q.Authors) == 0 {
		if name, err := p.canonicalFull(words[0]); err == nil {
			q.Exact = name
		}
	}
	return q
}

// searchObjectOf describes a hit by what its version's manifest says.
func searchObjectOf(base string, h *format.Hit) searchObject {
	m := readObject(h.Facts.Manifest)
	p := searchPackage{
		Name: fullName(h.Package), Scope: firstText(h.Package.Namespace, "unscoped"), Version: h.Version.Ref.Version,
		Description: h.Facts.Summary, Keywords: append([]string{}, h.Facts.Keywords...),
		Links: map[string]string{"npm": base + fullName(h.Package)}, Maintainers: []searchPerson{},
	}
	if len(h.Facts.Licenses) > 0 {
		p.License = h.Facts.Licenses[0].Name
	}
	if !h.Version.Published.IsZero() {
		p.Date = h.Version.Published.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	for key, link := range map[string]string{
		"homepage": h.Facts.HomePage, "repository": h.Facts.SourceRepository, "bugs": firstText(m.text("bugs"), m.object("bugs").text("url")),
	} {
		if link != "" {
			p.Links[key] = link
		}
	}
	for _, raw := range list(m["maintainers"]) {
		if person := personOf(raw); person.Username != "" && len(p.Maintainers) < maxPeople {
			p.Maintainers = append(p.Maintainers, person)
		}
	}
	for _, raw := range [][]byte{m["_npmUser"], m["author"]} {
		if person := personOf(raw); person.Username != "" && p.Publisher == nil {
			p.Publisher = &person
		}
	}
	if p.Publisher == nil && len(p.Maintainers) > 0 {
		p.Publisher = &p.Maintainers[0]
	}
	o := searchObject{Package: p, SearchScore: h.Score}
	o.Score.Final = h.Score
	o.Score.Detail.Quality, o.Score.Detail.Popularity, o.Score.Detail.Maintenance = h.Score, h.Score, h.Score
	return o
}

// maxPeople bounds how many people one package names in searches.
const maxPeople = 10

// personOf reads a person: {name, email}, or "Name <email> (address)".
func personOf(raw []byte) searchPerson {
	if o := readObject(raw); o != nil {
		return searchPerson{Username: o.text("name"), Email: o.text("email")}
	}
	text, _, _ := strings.Cut(unquote(raw), "(")
	name, rest, _ := strings.Cut(text, "<")
	email, _, _ := strings.Cut(rest, ">")
	return searchPerson{Username: strings.TrimSpace(name), Email: strings.TrimSpace(email)}
}

// people lists by whom a version is found: names and addresses, each once.
func people(m object) []string {
	raws := [][]byte{m["author"], m["_npmUser"]}
	for _, key := range []string{"maintainers", "contributors"} {
		for _, raw := range list(m[key]) {
			raws = append(raws, raw)
		}
	}
	var out []string
	seen := map[string]bool{"": true}
	for _, raw := range raws {
		person := personOf(raw)
		for _, text := range []string{person.Username, person.Email} {
			if !seen[text] && len(out) < 2*maxPeople {
				seen[text] = true
				out = append(out, text)
			}
		}
	}
	return out
}
