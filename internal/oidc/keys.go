package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/packhouse/packhouse"
)

const (
	// freshFor is how long keys are used before the issuer is asked again.
	freshFor = time.Hour
	// staleFor is how long they are used when the issuer does not answer.
	staleFor = 24 * time.Hour
	// askFloor is the least time between two questions to one issuer: a token with a
	// made-up key id costs us nothing but a look into the cache.
	askFloor = 10 * time.Second

	maxDocument = 1 << 20 // bytes
	maxKeys     = 100
	// maxTries bounds how many keys are tried on a token that names none.
	maxTries = 10

	getTimeout = 10 * time.Second
)

// keys are what one issuer publishes.
type keys struct {
	set     []jose.JSONWebKey
	fetched time.Time // zero when that never worked
	asked   time.Time
}

// keysFor returns the keys that a token may be signed with, after asking the issuer if
// none fits and it was not asked just now.
func (v *Verifier) keysFor(ctx context.Context, issuer, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error) {
	now := v.now()
	held, ok := v.issuers.Get(issuer)
	if ok {
		fitting := held.fitting(kid, alg)
		rested := now.Sub(held.asked) < askFloor && !now.Before(held.asked)
		if len(fitting) > 0 && now.Sub(held.fetched) < freshFor || rested {
			return held.answer(issuer, kid, alg, now)
		}
	}
	// One question serves all who wait for it; it must not end with the first of them.
	_, _, _ = v.flight.Do(issuer, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), getTimeout)
		defer cancel()
		next := &keys{asked: v.now()}
		set, err := v.discover(ctx, issuer)
		switch {
		case err == nil:
			next.set, next.fetched = set, next.asked
		case held != nil:
			next.set, next.fetched = held.set, held.fetched
		}
		v.issuers.Set(issuer, next)
		return nil, nil
	})
	if held, ok = v.issuers.Get(issuer); !ok {
		held = &keys{}
	}
	return held.answer(issuer, kid, alg, now)
}

// answer returns the keys that fit, or why there are none.
func (k *keys) answer(issuer, kid string, alg jose.SignatureAlgorithm, now time.Time) ([]jose.JSONWebKey, error) {
	if k.fetched.IsZero() || now.Sub(k.fetched) > staleFor {
		return nil, &packhouse.Error{Kind: packhouse.KindUnavailable, Reason: "idp_communication", RetryAfter: askFloor,
			Message: fmt.Sprintf("The keys of the identity provider %s cannot be fetched; see that it answers at its address with /.well-known/openid-configuration behind it.", issuer)}
	}
	fitting := k.fitting(kid, alg)
	if len(fitting) == 0 {
		return nil, invalid("the issuer has no such key", nil)
	}
	return fitting, nil
}

func (k *keys) fitting(kid string, alg jose.SignatureAlgorithm) []jose.JSONWebKey {
	var list []jose.JSONWebKey
	for _, key := range k.set {
		if (kid == "" || key.KeyID == kid) && (key.Algorithm == "" || key.Algorithm == string(alg)) && len(list) < maxTries {
			list = append(list, key)
		}
	}
	return list
}

// discover fetches an issuer's keys.
func (v *Verifier) discover(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	body, err := v.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", maxDocument)
	if err != nil {
		return nil, fmt.Errorf("discovery document: %w", err)
	}
	var about struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &about); err != nil {
		return nil, fmt.Errorf("discovery document: %w", err)
	}
	if about.Issuer != issuer || about.JWKSURI == "" {
		return nil, errors.New("discovery document: it is of another issuer, or names no keys")
	}
	if body, err = v.get(ctx, about.JWKSURI, maxDocument); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return readKeys(body)
}

// readKeys reads a key set. Keys of other kinds, for other uses, and private ones are
// left out: an issuer may have some that we do not know.
func readKeys(body []byte) ([]jose.JSONWebKey, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("keys: %d of them, at most %d are allowed", len(raw.Keys), maxKeys)
	}
	var set []jose.JSONWebKey
	for _, one := range raw.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && key.IsPublic() && key.Valid() && (key.Use == "" || key.Use == "sig") {
			set = append(set, key)
		}
	}
	return set, nil
}
