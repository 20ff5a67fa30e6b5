package npm

import (
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// starRoutes are the rows of `npm stars`.
func (p protocol) starRoutes() []format.Route {
	return []format.Route{
		{Name: "stars", Methods: []string{http.MethodGet, http.MethodHead}, Pattern: "/-/_view/starredByUser", Action: packhouse.ActionReadFromRepository, Serve: p.stars},
	}
}

// isStar reports whether a change of metadata is a star or takes one back. Clients send
// the package's users and nothing else that may change (npm 8 to 11); a document with
// versions, as with a deprecation, merely repeats the users that it was read with.
func isStar(doc object) bool {
	return doc["users"] != nil && doc["versions"] == nil && doc["maintainers"] == nil
}

// star keeps the caller's star of the package, or takes it back: the document's users are
// everybody who likes the package, and the caller may speak for nobody else. Source:
// npm.md 4.
func (p protocol) star(w http.ResponseWriter, r *format.Request, pkg packhouse.PackageRef, doc object) error {
	users := readObject(doc["users"])
	if users == nil {
		return invalidDocument("users is not an object")
	}
	mark := string(users[r.Who.Name])
	if err := p.house.Star(r.Context(), r.Who, pkg, mark != "" && mark != "false" && mark != "null"); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}

type starsAnswer struct {
	Rows []starRow `json:"rows"`
}

type starRow struct {
	ID    string `json:"id"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

// stars serves the list behind `npm stars`; key is a user's name in quotes.
func (p protocol) stars(w http.ResponseWriter, r *format.Request) error {
	user := strings.Trim(r.URL.Query().Get("key"), `"`)
	names, err := p.house.Starred(r.Context(), r.Who, r.Repo, ID, user)
	if err != nil {
		return err
	}
	answer := starsAnswer{Rows: make([]starRow, len(names))}
	for i, n := range names {
		answer.Rows[i] = starRow{ID: fullName(n), Key: firstText(user, r.Who.Name), Value: fullName(n)}
	}
	return httpx.WriteJSON(w, http.StatusOK, answer)
}
