package pages

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// maxForm bounds a form, in bytes.
const maxForm = 16 << 10

// contentPolicy is that of reliability.md S34.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"

// protect sets the headers that every page has (S34). The layout narrows the referrer
// policy for browsers to same-origin: under no-referrer they would send no Origin with
// forms either. Other hosts get nothing both ways.
func (p *Pages) protect(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if strings.HasPrefix(p.Address(r), "https:") {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// refuseForeign refuses what no browser of ours sends to a page: tokens belong to the
// package protocols, and a page that took one could be made to act by whoever has it
// (S10). Cookies are never read, so there are none to refuse.
func (p *Pages) refuseForeign(r *http.Request) error {
	if len(r.Header.Values("Authorization")) > 0 {
		return packhouse.Invalidf("token_on_page", "Pages take no tokens; open the page in a browser.")
	}
	return nil
}

// form reads the form of a page that changes something. Browsers say whether it came
// from a page of ours; the token in the form is the engine's to check. Errors: Denied
// "cross_site"; Invalid; TooLarge.
func (p *Pages) form(r *http.Request) (url.Values, error) {
	if !p.sameOrigin(r) {
		return nil, packhouse.Deniedf("cross_site",
			"The form was not sent from a page at %s; open the page there. Behind a proxy, public_url must be the address that browsers use.", p.Address(r))
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/x-www-form-urlencoded" {
		return nil, packhouse.Invalidf("invalid_form", "The form has the wrong type.")
	}
	body, err := httpx.ReadAll(r.Body, maxForm)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, packhouse.Invalidf("invalid_form", "The form cannot be read.")
	}
	return form, nil
}

// sameOrigin reports whether a browser says that the request comes from a page of ours.
// Whoever says nothing is no browser, or a very old one.
func (p *Pages) sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	return strings.EqualFold(r.Header.Get("Origin"), p.Address(r))
}
