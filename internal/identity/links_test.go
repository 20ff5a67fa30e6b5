package identity

import (
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// generic.md 3, 8.14: a link is good for what was signed, until it expires, and ends with
// the credentials of whoever signed it (S9).
func TestLinks(t *testing.T) {
	h := open(t)
	who := h.user(t, "ana").Principal
	expires := h.now().Add(time.Hour).Truncate(time.Second)
	sig, err := h.SignLink(t.Context(), who, "a file", expires)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.OpenLink(t.Context(), "a file", expires, sig)
	if err != nil || got.ID != who.ID || !got.Scope.ReadOnly || !got.Expires.Equal(expires) {
		t.Errorf("opened as %+v, %v", got, err)
	}
	other := h.user(t, "bob").Principal
	forged, err := h.SignLink(t.Context(), other, "a file", expires)
	if err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		what, sig string
		expires   time.Time
	}{
		"another file":         {"b file", sig, expires},
		"a later end":          {"a file", sig, expires.Add(time.Second)},
		"another's sum":        {"a file", sig[:2] + forged[2:], expires},
		"nothing":              {"a file", "", expires},
		"a number alone":       {"a file", sig[:2], expires},
		"more than a sum":      {"a file", sig + "A", expires},
		"somebody not there":   {"a file", "99" + sig[1:], expires},
		"a number beyond bits": {"a file", "99999999999999999999" + sig[1:], expires},
	} {
		if _, err := h.OpenLink(t.Context(), try.what, try.expires, try.sig); packhouse.ReasonOf(err) != "invalid_link" {
			t.Errorf("%s: %v, want invalid_link", name, err)
		}
	}
	for _, life := range []time.Duration{0, MaxLink + time.Second} {
		_, err := h.SignLink(t.Context(), who, "a file", h.now().Add(life))
		wantReason(t, err, packhouse.KindInvalid, "invalid_expiry")
	}
	if _, err := h.SignLink(t.Context(), packhouse.Anonymous, "a file", expires); packhouse.KindOf(err) != packhouse.KindDenied {
		t.Errorf("nobody signs: %v, want Denied", err)
	}
	if err := h.db.Update(t.Context(), func(tx *catalog.Tx) error { return tx.DisablePrincipal(t.Context(), who.ID, true) }); err != nil {
		t.Fatal(err)
	}
	_, err = h.OpenLink(t.Context(), "a file", expires, sig)
	wantReason(t, err, packhouse.KindDenied, "invalid_link")
}
