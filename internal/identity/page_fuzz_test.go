package identity

import (
	"testing"
	"unicode/utf8"
)

// FuzzPage: a page token gives back exactly what was sealed, to the same principal and
// query alone; nothing that a client makes or changes is taken (reliability.md A8, S20).
func FuzzPage(f *testing.F) {
	h := open(f)
	alice, bob := h.user(f, "alice").Principal, h.user(f, "bob").Principal
	f.Add("ListPackages\x00domain\x00d", "cursor", "v4.local.AAAA", uint16(0), byte(0))
	f.Add("", "", "", uint16(9), byte(1))
	f.Add("q\x00a", "\x00é", h.SealPage(alice, "other", "cursor"), uint16(40), byte(128))
	f.Fuzz(func(t *testing.T, query, cursor, foreign string, at uint16, flip byte) {
		if !utf8.ValidString(cursor) {
			return // the catalog makes none
		}
		token := h.SealPage(alice, query, cursor)
		if got, err := h.OpenPage(alice, query, token); len(cursor) <= 1300 && (err != nil || got != cursor) {
			t.Fatalf("OpenPage = %q, %v; want %q", got, err, cursor)
		}
		changed := []byte(token)
		changed[int(at)%len(changed)] ^= flip
		for name, attempt := range map[string]func() (string, error){
			"by another principal":  func() (string, error) { return h.OpenPage(bob, query, token) },
			"for another query":     func() (string, error) { return h.OpenPage(alice, query+"x", token) },
			"made by a client":      func() (string, error) { return h.OpenPage(alice, query, foreign) },
			"cut off":               func() (string, error) { return h.OpenPage(alice, query, token[:len(token)-1]) },
			"with a byte exchanged": func() (string, error) { return h.OpenPage(alice, query, string(changed)) },
		} {
			if name == "with a byte exchanged" && string(changed) == token || foreign == token {
				continue
			}
			if got, err := attempt(); err == nil {
				t.Fatalf("a token %s opens to %q", name, got)
			}
		}
	})
}
