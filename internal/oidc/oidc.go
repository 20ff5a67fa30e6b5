// Package oidc checks tokens that other issuers made for their workloads, such as the
// jobs of a CI system: it discovers an issuer's keys, keeps them, and verifies
// signature, issuer, audience and times. What a token is good for is not decided here.
//
// It is on the workshop floor and does no I/O of its own: documents come through the
// Get that New is given. Start reading with Verifier.
//
// Source: OpenID Connect Discovery 1.0; RFC 7519; reliability.md S8.
package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/sync/singleflight"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/cache"
)

const (
	// MaxToken bounds a presented token, in bytes.
	MaxToken = 20_000
	// Skew is how far an issuer's clock may be off.
	Skew = time.Minute
	// maxLife bounds what a token says of its own life: workload tokens are short-lived.
	maxLife = 24 * time.Hour
	// maxClaims bounds how many claims of a token conditions can see.
	maxClaims = 100
)

// algorithms are those that are taken, whatever a token or an issuer says: signatures by
// a key that only the issuer has.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}

// Get fetches a small document, at most max bytes, through the server's address guard.
type Get func(ctx context.Context, address string, maxBytes int64) ([]byte, error)

// Verifier checks tokens. It may be used from several goroutines.
type Verifier struct {
	get     Get
	now     func() time.Time
	issuers *cache.Cache[string, *keys] // by the issuer's address
	flight  singleflight.Group
}

// maxIssuers is how many issuers' keys are kept.
const maxIssuers = 1000

// New makes a verifier; a nil now means time.Now.
func New(get Get, now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	return &Verifier{get: get, now: now, issuers: cache.New[string, *keys](maxIssuers)}
}

// Claims are what a verified token says.
type Claims struct {
	Issuer, Subject string
	Audience        string // the one of the token's audiences that was wanted
	Expires         time.Time
	// Values are the claims that conditions may ask for, by name: texts as they are,
	// numbers and booleans as JSON writes them, lists of texts.
	Values map[string][]string
}

// Issuer returns who a token says has made it, before anything is verified; "" for what
// is no token.
func Issuer(token string) string {
	parsed, err := parse(token)
	if err != nil {
		return ""
	}
	var c jwt.Claims
	if parsed.UnsafeClaimsWithoutVerification(&c) != nil {
		return ""
	}
	return c.Issuer
}

func parse(token string) (*jwt.JSONWebToken, error) {
	if len(token) > MaxToken {
		return nil, errors.New("the token is too long")
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return nil, err
	}
	if len(parsed.Headers) != 1 {
		return nil, errors.New("the token must have one signature")
	}
	return parsed, nil
}

// Verify checks a token of an issuer for one of the audiences; without audiences nothing
// passes. Errors: Unauthenticated "invalid_identity_token", "expired_identity_token";
// Unavailable "idp_communication" when the issuer's keys cannot be had.
func (v *Verifier) Verify(ctx context.Context, issuer string, audiences []string, token string) (Claims, error) {
	parsed, err := parse(token)
	if err != nil {
		return Claims{}, invalid("it is not a signed JSON web token with an asymmetric algorithm", err)
	}
	header := parsed.Headers[0]
	candidates, err := v.keysFor(ctx, issuer, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return Claims{}, err
	}
	var std jwt.Claims
	var all map[string]json.RawMessage
	verified := false
	for _, key := range candidates {
		if parsed.Claims(key.Key, &std, &all) == nil {
			verified = true
			break
		}
	}
	if !verified {
		return Claims{}, invalid("its signature is not one of the issuer's keys'", nil)
	}
	return v.check(issuer, audiences, std, all)
}

// check checks what a token with a good signature says.
func (v *Verifier) check(issuer string, audiences []string, std jwt.Claims, all map[string]json.RawMessage) (Claims, error) {
	now := v.now()
	switch {
	case std.Issuer != issuer:
		return Claims{}, invalid("it is of another issuer", nil)
	case std.Subject == "":
		return Claims{}, invalid("it has no subject", nil)
	case std.Expiry == nil || std.IssuedAt == nil:
		return Claims{}, invalid("it does not say when it was made and when it expires", nil)
	case !now.Before(std.Expiry.Time().Add(Skew)):
		return Claims{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "expired_identity_token", Message: "The web identity token has expired."}
	case std.IssuedAt.Time().After(now.Add(Skew)), std.NotBefore != nil && std.NotBefore.Time().After(now.Add(Skew)):
		return Claims{}, invalid("it is not valid yet", nil)
	case std.Expiry.Time().Sub(std.IssuedAt.Time()) > maxLife:
		return Claims{}, invalid("it lives longer than a day", nil)
	}
	c := Claims{Issuer: std.Issuer, Subject: std.Subject, Expires: std.Expiry.Time(), Values: map[string][]string{}}
	for _, audience := range audiences {
		if std.Audience.Contains(audience) {
			c.Audience = audience
			break
		}
	}
	if c.Audience == "" {
		return Claims{}, invalid("its audience is none that the provider is for", nil)
	}
	if len(all) > maxClaims {
		return Claims{}, invalid("it has too many claims", nil)
	}
	for name, raw := range all {
		if values, ok := texts(raw); ok {
			c.Values[name] = values
		}
	}
	c.Values["aud"] = []string{c.Audience} // the others were not asked for
	return c, nil
}

// texts reads a claim that conditions can compare. Objects are none.
func texts(raw json.RawMessage) (values []string, ok bool) {
	switch raw[0] {
	case '"':
		var one string
		err := json.Unmarshal(raw, &one)
		return []string{one}, err == nil
	case '[':
		err := json.Unmarshal(raw, &values)
		return values, err == nil
	case '{', 'n':
		return nil, false
	}
	return []string{string(raw)}, true
}

func invalid(why string, err error) error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_identity_token",
		Message: fmt.Sprintf("The web identity token is not valid: %s.", why), Err: err}
}
