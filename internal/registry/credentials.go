package registry

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
)

// maxCredential bounds an Authorization header, in bytes. Registry tokens stay well
// below 4 kB.
const maxCredential = 8 << 10

// authenticate returns who asks. Without credentials that is packhouse.Anonymous.
// Errors: Unauthenticated for a credential that is not good, with packhouse.Anonymous;
// Invalid "ambiguous_credentials" for two that differ (reliability.md S11).
func (d *Door) authenticate(r *http.Request) (packhouse.Principal, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return packhouse.Anonymous, nil
	}
	token, ok := tokenOf(values[0])
	for _, v := range values[1:] {
		if other, _ := tokenOf(v); other != token {
			return packhouse.Anonymous, packhouse.Invalidf("ambiguous_credentials", "The request carries two different credentials.")
		}
	}
	if !ok {
		return packhouse.Anonymous, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_token",
			Message: "The credentials are not a token of this server."}
	}
	who, err := d.Identity.Token(r.Context(), token)
	if err != nil {
		return packhouse.Anonymous, err
	}
	return who, nil
}

// tokenOf reads the token out of an Authorization header in every form that clients
// use (codeartifact.md 3.10): Bearer, Basic with any user name, and bare. Clients of Gitea
// say "token" for Bearer.
func tokenOf(header string) (token string, ok bool) {
	header = strings.TrimSpace(header)
	if len(header) > maxCredential {
		return "", false
	}
	scheme, rest, spaced := strings.Cut(header, " ")
	switch {
	case !spaced:
		// cargo sends the token alone; a scheme without anything is none.
		if isBearer(scheme) || strings.EqualFold(scheme, "basic") {
			return "", false
		}
		token = scheme
	case isBearer(scheme):
		token = strings.TrimSpace(rest)
	case strings.EqualFold(scheme, "basic"):
		plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
		if err != nil {
			return "", false
		}
		_, token, _ = strings.Cut(string(plain), ":")
	default:
		return "", false
	}
	return token, token != "" && !strings.ContainsAny(token, " \t,")
}

func isBearer(scheme string) bool {
	return strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token")
}
