package generic

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

func TestWhoGetsAPage(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
		"*/*": false, "": false, "application/json": false, "text/html;q=0.5, application/json": false,
		"text/html, application/json": false, "application/json;q=0.5, text/html": true, "text/html;q=0": false,
	} {
		if got := wantsHTML(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
}

// list asks for the list that the variables name, of what the house holds.
func list(t *testing.T, h *house, accept, query string, vars map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/"+query, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	p := protocol{New(), h}
	serve := p.versions
	if vars["version"] != "" {
		serve = p.files
	}
	if err := serve(w, &format.Request{Request: r, Base: "https://packages.test/generic/main/repo/", Vars: vars}); err != nil {
		t.Fatal(err)
	}
	return w
}

// S34, S35: what stands in a list cannot become part of its page, and nothing runs there.
func TestPagesEscapeTheirValues(t *testing.T) {
	v := held("1.0+x", packhouse.Published, time.Time{})
	v.Assets = []packhouse.Asset{{Name: `a b/"><script>&'.txt`, Size: 7}}
	vars := map[string]string{"ns": "-", "name": "box", "version": "1.0+x"}
	w := list(t, &house{held: format.Held{Versions: []format.HeldVersion{v}}}, "text/html", "", vars)
	body := w.Body.String()
	const link = `<a href="https://packages.test/generic/main/repo/-/box/1.0&#43;x/a%20b/%22%3E%3Cscript%3E&amp;%27.txt">a b/&#34;&gt;&lt;script&gt;&amp;&#39;.txt</a>`
	if strings.Contains(body, "<script") || !strings.Contains(body, link) {
		t.Errorf("got %s, want in it %s", body, link)
	}
	for header, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"Content-Security-Policy": pagePolicy, "Referrer-Policy": "no-referrer", "Vary": "Accept",
		"Cross-Origin-Opener-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// Lists are bounded and go on where they ended, in both forms.
func TestListsGoOn(t *testing.T) {
	h := &house{}
	for i := range 2*maxListed + 1 {
		h.held.Versions = append(h.held.Versions, held(fmt.Sprintf("1.%d.0", i), packhouse.Published, time.Time{}))
	}
	vars := map[string]string{"ns": "ns", "name": "box"}
	var all []string
	pages, next := 0, ""
	for more := true; more; more = next != "" {
		var got versionList
		w := list(t, h, "", "?after="+next, vars)
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, v := range got.Versions {
			all = append(all, v.Version)
		}
		next = got.Next
		pages++
	}
	if pages != 3 || len(all) != len(h.held.Versions) || all[0] != "1.0.0" || all[maxListed] != "1.1000.0" || all[len(all)-1] != "1.2000.0" {
		t.Errorf("%d pages with %d versions from %s to %s", pages, len(all), all[0], all[len(all)-1])
	}
	page := list(t, h, "text/html", "", vars).Body.String()
	if want := `<a href="https://packages.test/generic/main/repo/ns/box/?after=1.999.0">More</a>`; !strings.Contains(page, want) {
		t.Errorf("the page has no %s", want)
	}
}
