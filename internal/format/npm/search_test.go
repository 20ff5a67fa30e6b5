package npm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// finder notes what the room asks for and answers with what it was given.
type finder struct {
	format.House
	asked   []format.Query
	hits    format.Hits
	starred map[string]bool
	user    string
}

func (f *finder) Search(_ context.Context, _ packhouse.Principal, q format.Query) (format.Hits, error) {
	f.asked = append(f.asked, q)
	return f.hits, nil
}

func (f *finder) Star(_ context.Context, _ packhouse.Principal, pkg packhouse.PackageRef, on bool) error {
	f.starred[fullName(pkg.Package)] = on
	return nil
}

func (f *finder) Starred(_ context.Context, _ packhouse.Principal, _ packhouse.RepoRef, _ packhouse.FormatID, user string) ([]packhouse.PackageName, error) {
	f.user = user
	return []packhouse.PackageName{{Format: ID, Namespace: "acme", Name: "box"}, {Format: ID, Name: "tool"}}, nil
}

// call sends a request to the route of a name.
func (f *finder) call(t *testing.T, route, method, target, body string, vars map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	routes := New().Routes(f)
	at := slices.IndexFunc(routes, func(r format.Route) bool { return r.Name == route })
	if at < 0 {
		t.Fatalf("no route %s", route)
	}
	w := httptest.NewRecorder()
	r := &format.Request{Request: httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)), Base: "http://host/npm/r/", Vars: vars,
		Who: packhouse.Principal{ID: 1, Name: "ann"}}
	if err := routes[at].Serve(w, r); err != nil {
		New().WriteError(w, r.Request, err)
	}
	return w
}

func TestSearchTextIsRead(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		want        format.Query
	}{
		{"one word may be a name", "text=left-pad", format.Query{Text: "left-pad", Exact: packhouse.PackageName{Format: ID, Name: "left-pad"}, Size: 20}},
		{"a scoped name", "text=%40acme%2Fbox", format.Query{Text: "@acme/box", Exact: packhouse.PackageName{Format: ID, Namespace: "acme", Name: "box"}, Size: 20}},
		{"several words are no name", "text=left++pad&size=5&from=40", format.Query{Text: "left pad", Size: 5, From: 40}},
		{"one of the keywords, and both of them", "text=keywords:a,b%2Bc", format.Query{Keywords: [][]string{{"a", "b"}, {"c"}}, Size: 20}},
		{"scope with and without its sign", "text=scope:%40acme+scope:b", format.Query{Namespaces: []string{"acme", "b"}, Size: 20}},
		{"author and maintainer", "text=author:ann+maintainer:bob+box", format.Query{Authors: []string{"ann", "bob"}, Text: "box", Size: 20}},
		{"what is not measured weighs nothing", "text=is:unstable+not:insecure+boost-exact:false+box&quality=1&popularity=0", format.Query{
			Text: "box", Exact: packhouse.PackageName{Format: ID, Name: "box"}, Size: 20}},
		{"an empty qualifier asks for nothing", "text=keywords:", format.Query{Size: 20}},
		{"a colon may stand in a word", "text=std::vector", format.Query{Text: "std::vector", Size: 20}},
		{"an answer has 250 hits at most", "text=a&size=9999", format.Query{Text: "a", Exact: packhouse.PackageName{Format: ID, Name: "a"}, Size: 250}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &finder{}
			tt.want.Format = ID
			if w := f.call(t, "search", http.MethodGet, "/-/v1/search?"+tt.query, "", nil); w.Code != 200 || !reflect.DeepEqual(f.asked, []format.Query{tt.want}) {
				t.Errorf("%d %s, asked\n%+v, want\n%+v", w.Code, w.Body, f.asked, tt.want)
			}
		})
	}
	for _, query := range []string{"size=-1", "size=many", "from=-5", "from=99999999999999999999"} {
		f := &finder{}
		if w := f.call(t, "search", http.MethodGet, "/-/v1/search?text=a&"+query, "", nil); w.Code != 400 || f.asked != nil {
			t.Errorf("%s = %d %s, want 400", query, w.Code, w.Body)
		}
	}
}

// npm.md 4: the object's shape. npm 8 to 12 end with an error where maintainers is absent.
func TestSearchAnswer(t *testing.T) {
	manifest := `{"author":"Ann Lee <ann@example.com> (there)","maintainers":[{"name":"bob","email":"b@example.com"},7],"bugs":{"url":"https://bugs.example.com"}}`
	f := &finder{hits: format.Hits{Total: 2, More: true, List: []format.Hit{
		{Package: packhouse.PackageName{Format: ID, Namespace: "acme", Name: "box"}, Score: 0.8,
			Version: packhouse.PackageVersion{Ref: packhouse.VersionRef{Version: "1.2.0"}, Published: time.UnixMilli(1_700_000_000_123)},
			Facts: packhouse.Facts{Summary: "A box", Keywords: []string{"k"}, HomePage: "https://example.com", Licenses: []packhouse.License{{Name: "MIT"}},
				Manifest: []byte(manifest)}},
		{Package: packhouse.PackageName{Format: ID, Name: "bare"}, Version: packhouse.PackageVersion{Ref: packhouse.VersionRef{Version: "1.0.0"}}},
	}}}
	w := f.call(t, "search", http.MethodGet, "/-/v1/search?text=box", "", nil)
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
	score := map[string]any{"final": 0.8, "detail": map[string]any{"quality": 0.8, "popularity": 0.8, "maintenance": 0.8}}
	want := map[string]any{"package": map[string]any{"name": "@acme/box", "scope": "acme", "version": "1.2.0", "description": "A box", "keywords": []any{"k"},
		"license": "MIT", "date": "2023-11-14T22:13:20.123Z", "publisher": map[string]any{"username": "Ann Lee", "email": "ann@example.com"},
		"maintainers": []any{map[string]any{"username": "bob", "email": "b@example.com"}},
		"links":       map[string]any{"npm": "http://host/npm/r/@acme/box", "homepage": "https://example.com", "bugs": "https://bugs.example.com"},
	}, "score": score, "searchScore": 0.8}
	objects := got["objects"].([]any)
	if !reflect.DeepEqual(objects[0], any(want)) {
		t.Errorf("object\n%v, want\n%v", objects[0], want)
	}
	bare := objects[1].(map[string]any)["package"].(map[string]any)
	if people, ok := bare["maintainers"].([]any); !ok || len(people) != 0 || bare["publisher"] != nil || bare["keywords"] == nil {
		t.Errorf("package that says nothing of itself: %v", bare)
	}
	if got["total"] != 3.0 || got["time"] == "" {
		t.Errorf("total %v, time %v: two are known, and that there is another", got["total"], got["time"])
	}
}

func TestPeopleAreReadLeniently(t *testing.T) {
	m := readObject([]byte(`{"author":"","_npmUser":{"name":"ann","email":"ann@example.com"},"maintainers":["Bob <bob@example.com>",{"name":"ann"},[]],"contributors":{"name":1}}`))
	if got, want := people(m), []string{"ann", "ann@example.com", "Bob", "bob@example.com"}; !slices.Equal(got, want) {
		t.Errorf("people %q, want %q", got, want)
	}
}

// npm.md 4: `npm star` sends users and nothing else that changes; a caller speaks for
// himself alone.
func TestStars(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       map[string]bool
		code       int
	}{
		{"a star", `{"_id":"box","_rev":"1","users":{"bob":true,"ann":true}}`, map[string]bool{"box": true}, 200},
		{"taken back, others stay", `{"_id":"box","_rev":"1","users":{"bob":true}}`, map[string]bool{"box": false}, 200},
		{"false is no star", `{"users":{"ann":false}}`, map[string]bool{"box": false}, 200},
		{"users of another kind", `{"users":["ann"]}`, map[string]bool{}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &finder{starred: map[string]bool{}}
			w := f.call(t, "publish", http.MethodPut, "/box", tt.body, map[string]string{"name": "box"})
			if w.Code != tt.code || !reflect.DeepEqual(f.starred, tt.want) {
				t.Errorf("%d %s, starred %v, want %v", w.Code, w.Body, f.starred, tt.want)
			}
		})
	}
	f := &finder{}
	w := f.call(t, "stars", http.MethodGet, `/-/_view/starredByUser?key=%22bob%22`, "", nil)
	if want := `{"rows":[{"id":"@acme/box","key":"bob","value":"@acme/box"},{"id":"tool","key":"bob","value":"tool"}]}`; strings.TrimSpace(w.Body.String()) != want || f.user != "bob" {
		t.Errorf("stars = %s, want %s", w.Body, want)
	}
}
