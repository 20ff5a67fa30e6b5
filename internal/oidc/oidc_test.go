package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/oidc"
)

const (
	address  = "https://ci.example.com/org"
	audience = "packhouse"
)

// issuer publishes keys and signs with the newest; clocks and failures are the test's.
type issuer struct {
	t     *testing.T
	now   time.Time
	keys  []jose.JSONWebKey // private
	asked int               // for the discovery document
	away  bool
}

func newIssuer(t *testing.T) (*issuer, *oidc.Verifier) {
	i := &issuer{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	i.rotate("first")
	return i, oidc.New(i.get, func() time.Time { return i.now })
}

func (i *issuer) rotate(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	i.keys = []jose.JSONWebKey{{Key: key, KeyID: kid, Algorithm: "ES256", Use: "sig"}}
}

func (i *issuer) get(_ context.Context, url string, _ int64) ([]byte, error) {
	if i.away {
		return nil, errors.New("away")
	}
	switch url {
	case address + "/.well-known/openid-configuration":
		i.asked++
		return json.Marshal(map[string]string{"issuer": address, "jwks_uri": "https://ci.example.com/keys"})
	case "https://ci.example.com/keys":
		set := jose.JSONWebKeySet{}
		for _, k := range i.keys {
			set.Keys = append(set.Keys, k.Public())
		}
		return json.Marshal(set)
	}
	return nil, errors.New("not found: " + url)
}

func (i *issuer) claims() map[string]any {
	return map[string]any{"iss": address, "sub": "repo:acme/app", "aud": audience, "iat": i.now.Unix(),
		"exp": i.now.Add(10 * time.Minute).Unix(), "ref": "refs/heads/main", "attempt": 2, "nested": map[string]any{"a": 1}}
}

func (i *issuer) sign(claims map[string]any) string {
	key := i.keys[len(i.keys)-1]
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func verify(v *oidc.Verifier, token string) (oidc.Claims, error) {
	return v.Verify(context.Background(), address, []string{"other", audience}, token)
}

func TestATokenOfTheIssuerPasses(t *testing.T) {
	i, v := newIssuer(t)
	token := i.sign(i.claims())
	if got := oidc.Issuer(token); got != address {
		t.Errorf("Issuer = %q, want %q", got, address)
	}
	c, err := verify(v, token)
	if err != nil {
		t.Fatal(err)
	}
	if c.Subject != "repo:acme/app" || c.Audience != audience {
		t.Errorf("claims = %+v", c)
	}
	for name, want := range map[string]string{"ref": "refs/heads/main", "attempt": "2", "aud": audience, "sub": "repo:acme/app"} {
		if got := strings.Join(c.Values[name], ","); got != want {
			t.Errorf("claim %s = %q, want %q", name, got, want)
		}
	}
	if _, there := c.Values["nested"]; there {
		t.Error("an object can be asked for by conditions")
	}
}

// reliability.md S8: one algorithm family, aud, exp, nbf required, skew 60 s.
func TestTokensThatDoNotPass(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(i *issuer, claims map[string]any)
		reason string
	}{
		{"another issuer", func(_ *issuer, c map[string]any) { c["iss"] = address + "/other" }, "invalid_identity_token"},
		{"another audience", func(_ *issuer, c map[string]any) { c["aud"] = "somebody" }, "invalid_identity_token"},
		{"no subject", func(_ *issuer, c map[string]any) { delete(c, "sub") }, "invalid_identity_token"},
		{"no expiry", func(_ *issuer, c map[string]any) { delete(c, "exp") }, "invalid_identity_token"},
		{"no time of issue", func(_ *issuer, c map[string]any) { delete(c, "iat") }, "invalid_identity_token"},
		{"expired by more than the skew", func(i *issuer, c map[string]any) { c["exp"] = i.now.Add(-61 * time.Second).Unix() }, "expired_identity_token"},
		{"from the future by more than the skew", func(i *issuer, c map[string]any) { c["iat"] = i.now.Add(62 * time.Second).Unix() }, "invalid_identity_token"},
		{"not yet valid by more than the skew", func(i *issuer, c map[string]any) { c["nbf"] = i.now.Add(62 * time.Second).Unix() }, "invalid_identity_token"},
		{"valid for two days", func(i *issuer, c map[string]any) { c["exp"] = i.now.Add(48 * time.Hour).Unix() }, "invalid_identity_token"},
		{"expired within the skew", func(i *issuer, c map[string]any) { c["exp"] = i.now.Add(-59 * time.Second).Unix() }, ""},
		{"from the future within the skew", func(i *issuer, c map[string]any) { c["iat"] = i.now.Add(59 * time.Second).Unix() }, ""},
		{"one of several audiences", func(_ *issuer, c map[string]any) { c["aud"] = []string{"somebody", audience} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i, v := newIssuer(t)
			claims := i.claims()
			tt.change(i, claims)
			_, err := verify(v, i.sign(claims))
			if got := packhouse.ReasonOf(err); got != tt.reason || (err == nil) != (tt.reason == "") {
				t.Errorf("error %v (%s), want reason %q", err, got, tt.reason)
			}
		})
	}
}

// A symmetric signature made with the public key, and none at all, are the classic ways
// around (reliability.md S8).
func TestOtherAlgorithmsAreNotTaken(t *testing.T) {
	i, v := newIssuer(t)
	public, err := json.Marshal(i.keys[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: public}, (&jose.SignerOptions{}).WithHeader("kid", "first"))
	if err != nil {
		t.Fatal(err)
	}
	symmetric, err := jwt.Signed(signer).Claims(i.claims()).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	good := i.sign(i.claims())
	_, rest, _ := strings.Cut(good, ".")
	body, _, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"HS256 with the public key": symmetric,
		"none":                      "eyJhbGciOiJub25lIn0." + body + ".",
		"the signature cut off":     good[:strings.LastIndexByte(good, '.')+1],
		"no token":                  "x",
	} {
		if _, err := verify(v, token); packhouse.ReasonOf(err) != "invalid_identity_token" {
			t.Errorf("%s: error %v", name, err)
		}
	}
	other, _ := newIssuer(t)
	if _, err := verify(v, other.sign(other.claims())); packhouse.ReasonOf(err) != "invalid_identity_token" {
		t.Errorf("signed by somebody else's key of the same id: error %v", err)
	}
}

// A new key is found at once, but made-up key ids do not make us ask more often than
// every 10 seconds.
func TestKeysAreRotatedByUnknownIdWithAFloor(t *testing.T) {
	i, v := newIssuer(t)
	if _, err := verify(v, i.sign(i.claims())); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := verify(v, i.sign(i.claims())); err != nil {
			t.Fatal(err)
		}
	}
	if i.asked != 1 {
		t.Fatalf("asked %d times for one key, want once", i.asked)
	}
	i.rotate("second")
	for range 5 {
		if _, err := verify(v, i.sign(i.claims())); packhouse.ReasonOf(err) != "invalid_identity_token" {
			t.Fatalf("within the floor: error %v", err)
		}
	}
	if i.asked != 1 {
		t.Fatalf("asked %d times within the floor, want once", i.asked)
	}
	i.now = i.now.Add(11 * time.Second)
	if _, err := verify(v, i.sign(i.claims())); err != nil {
		t.Fatalf("after the floor: %v", err)
	}
	if i.asked != 2 {
		t.Errorf("asked %d times, want 2", i.asked)
	}
}

func TestKnownKeysOutliveAnIssuerThatIsAway(t *testing.T) {
	i, v := newIssuer(t)
	if _, err := verify(v, i.sign(i.claims())); err != nil {
		t.Fatal(err)
	}
	i.away = true
	i.now = i.now.Add(2 * time.Hour)
	if _, err := verify(v, i.sign(i.claims())); err != nil {
		t.Errorf("two hours later: %v", err)
	}
	i.now = i.now.Add(23 * time.Hour)
	if _, err := verify(v, i.sign(i.claims())); packhouse.ReasonOf(err) != "idp_communication" {
		t.Errorf("a day later: error %v", err)
	}
}

func FuzzIssuer(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if got := oidc.Issuer(token); got != "" && len(token) > oidc.MaxToken {
			t.Errorf("a token of %d bytes was read", len(token))
		}
	})
}
