package registry

import (
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzAuthorization: a header yields one token or none, bounded and without what could
// separate two; the token means the same in every form that clients use (reliability.md
// S11).
func FuzzAuthorization(f *testing.F) {
	for _, s := range []string{"Bearer a", "bearer  a", "Basic YTpi", "basic !!!", "token", "Bearer", "", " Bearer a ", "Digest x=1", "Bearer a b", "Bearer a,b", "Basic " + base64.StdEncoding.EncodeToString([]byte("a:b:c")), "Bearer \x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, ok := tokenOf(header)
		if !ok {
			return
		}
		if token == "" || len(token) > maxCredential || strings.ContainsAny(token, " \t,") {
			t.Fatalf("%q yields the token %q", header, token)
		}
		if len(token) > maxCredential/2 || strings.TrimSpace(token) != token {
			return // the forms below would be longer, or be trimmed
		}
		for _, form := range []string{"Bearer " + token, "Basic " + base64.StdEncoding.EncodeToString([]byte("anybody:"+token))} {
			if again, ok := tokenOf(form); !ok || again != token {
				t.Fatalf("%q means %q, %v; want %q", form, again, ok, token)
			}
		}
	})
}
