package codeartifact

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// unknownAddress answers where nothing is.
func unknownAddress() error {
	return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "unknown_operation", Message: "There is no operation with this method and path."}
}

// requester is who asks for what is beside the service's API: events, webhooks, what keeps
// versions away.
type requester struct {
	who  packhouse.Principal
	body []byte
	hash [32]byte // of the signature; zero for a token
	// current looks again whether the credential is still good.
	current func(ctx context.Context) error
}

// caller takes a signature, or a token as package managers send it, which find knows.
func (a *API) caller(r *http.Request, find func(ctx context.Context, token string) (packhouse.Principal, error)) (requester, error) {
	body, err := httpx.ReadAll(r.Body, a.MaxBody)
	if packhouse.KindOf(err) == packhouse.KindTooLarge {
		return requester{}, err
	}
	if err != nil {
		return requester{}, incomplete(err)
	}
	if token := bearer(r.Header["Authorization"]); token != "" {
		who, err := find(r.Context(), token)
		return requester{who: who, body: body, current: func(ctx context.Context) error {
			_, err := find(ctx, token)
			return err
		}}, err
	}
	res, err := a.verifier.Verify(r, body)
	return requester{who: res.Principal, body: body, hash: res.Hash, current: func(ctx context.Context) error {
		key, ok, err := a.verifier.Lookup(r.WithContext(ctx), res.KeyID, r.Header.Get("X-Amz-Security-Token"))
		if err == nil && (!ok || !key.Active) {
			err = &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_signature", Message: "The access key is no longer good."}
		}
		return err
	}}, err
}

// bearer returns the token of a single Bearer or Basic credential, "" for anything else.
func bearer(values []string) string {
	if len(values) != 1 {
		return ""
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	rest = strings.TrimSpace(rest)
	switch strings.ToLower(scheme) {
	case "bearer":
		return rest
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		_, token, _ := strings.Cut(string(plain), ":")
		return token
	}
	return ""
}

// invalidMember refuses a member of a query or a body.
func invalidMember(format string, args ...any) error {
	return packhouse.Invalidf(reasonConstraint, format, args...)
}
