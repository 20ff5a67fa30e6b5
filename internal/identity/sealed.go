package identity

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"aidanwoods.dev/go-paseto"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// What sealed tokens are bound to besides the key, so that none can pass for one of
// another kind.
const (
	boundRegistry = "packhouse registry token"
	boundPage     = "packhouse page token"
)

// Claims of a registry token besides iat, exp and jti.
const (
	claimPrincipal      = "sub"
	claimOwner          = "own"
	claimDomain         = "dom"
	claimInstallation   = "ie" // token epoch of the installation
	claimPrincipalEpoch = "pe" // token epoch of the principal
	claimReadOnly       = "ro"
)

// IssueRegistryToken makes a sealed token for one domain (codeartifact.md 3.10): only
// A-Z a-z 0-9 - _ . and well below 4 kB. It is bound to the principal and its session,
// inherits the limits of the credential that asks (S14), and ends at expires, cut to whole seconds.
// Errors: Denied for an anonymous or disabled principal and for a credential of another
// domain; Invalid "invalid_duration" if expires is past or more than MaxRegistryToken
// ahead; Unavailable.
func (s *Service) IssueRegistryToken(ctx context.Context, who packhouse.Principal, d packhouse.DomainRef, expires time.Time) (string, error) {
	now := time.Unix(0, s.clock())
	expires = expires.Truncate(time.Second)
	switch scope := who.Scope.Domain; {
	case who.IsAnonymous():
		return "", packhouse.Deniedf("denied", "A registry token needs a principal.")
	case scope != (packhouse.DomainRef{}) && scope != d:
		return "", packhouse.Deniedf("denied", "The credential is for another domain.")
	case !expires.After(now) || expires.Sub(now) > MaxRegistryToken:
		return "", packhouse.Invalidf("invalid_duration", "A registry token lives at most 12 hours.")
	}
	var row catalog.PrincipalRow
	var installation catalog.Installation
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if installation, err = tx.Installation(ctx); err != nil {
			return err
		}
		row, err = tx.Principal(ctx, who.ID)
		return err
	})
	if err != nil {
		return "", err
	}
	if !found || row.Disabled {
		return "", packhouse.Deniedf("denied", "The principal is disabled.")
	}
	t := paseto.NewToken()
	t.SetIssuedAt(now)
	t.SetExpiration(expires)
	t.SetJti(rand.Text())
	t.SetString(claimPrincipal, strconv.FormatInt(row.ID, 10))
	t.SetString(claimOwner, string(d.Owner))
	t.SetString(claimDomain, d.Name)
	t.SetString(claimInstallation, strconv.FormatInt(installation.TokenEpoch, 10))
	t.SetString(claimPrincipalEpoch, strconv.FormatInt(row.Epoch, 10))
	if who.Scope.ReadOnly {
		t.SetString(claimReadOnly, "1")
	}
	setSession(&t, who.Session)
	return t.V4Encrypt(s.key, []byte(boundRegistry)), nil
}

// registryClaims are the claims of a registry token, read back.
type registryClaims struct {
	principal, installation, principalEpoch int64
	domain                                  packhouse.DomainRef
	expires                                 time.Time
	readOnly                                bool
	session                                 *packhouse.Session
	id                                      string // for the list of revocations
}

// openSealed decrypts a token of ours. Expiry is the caller's to check: against the
// newest clock seen, not the library's.
func (s *Service) openSealed(token, bound string) (*paseto.Token, bool) {
	t, err := paseto.NewParserWithoutExpiryCheck().ParseV4Local(s.key, token, []byte(bound))
	return t, err == nil
}

func readRegistryClaims(t *paseto.Token) (c registryClaims, ok bool) {
	ok = true
	text := func(name string) string {
		v, err := t.GetString(name)
		ok = ok && err == nil
		return v
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(text(name), 10, 64)
		ok = ok && err == nil
		return n
	}
	c.principal, c.installation, c.principalEpoch = number(claimPrincipal), number(claimInstallation), number(claimPrincipalEpoch)
	c.domain = packhouse.DomainRef{Owner: packhouse.AccountID(text(claimOwner)), Name: text(claimDomain)}
	expires, err := t.GetExpiration()
	c.expires = expires
	id, idErr := t.GetJti()
	c.id = id
	readOnly, roErr := t.GetString(claimReadOnly) // absent for unlimited ones
	c.readOnly = roErr == nil && readOnly == "1"
	session, sessionErr := readSession(t)
	c.session = session
	return c, ok && err == nil && idErr == nil && sessionErr == nil
}

// openRegistryToken verifies a sealed token against the epochs as they are now.
func (s *Service) openRegistryToken(ctx context.Context, token string) (tokenEntry, error) {
	t, ok := s.openSealed(token, boundRegistry)
	if !ok {
		return tokenEntry{}, invalidToken()
	}
	c, ok := readRegistryClaims(t)
	if !ok {
		return tokenEntry{}, invalidToken()
	}
	if s.clock() >= c.expires.UnixNano() {
		return tokenEntry{}, expiredToken()
	}
	row, ok, err := s.holderOf(ctx, c.id, c.principal, c.principalEpoch, c.installation)
	if err != nil {
		return tokenEntry{}, err
	}
	if !ok {
		return tokenEntry{}, invalidToken()
	}
	who := sessionOf(row, c.session)
	who.Scope = packhouse.Scope{Domain: c.domain, ReadOnly: c.readOnly}
	who.Expires = c.expires.UTC()
	return tokenEntry{who: who, expires: c.expires.UnixNano()}, nil
}

// holderOf returns the principal that a sealed token was made for; ok is false when the
// token was revoked: by its id, or with its principal's or the installation's epoch, as
// they were when it was made.
func (s *Service) holderOf(ctx context.Context, id string, principal, epoch, installationEpoch int64) (row catalog.PrincipalRow, ok bool, err error) {
	var installation catalog.Installation
	revoked := false
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if installation, err = tx.Installation(ctx); err != nil {
			return err
		}
		if revoked, err = tx.Revoked(ctx, id); err != nil {
			return err
		}
		row, err = tx.Principal(ctx, principal)
		return err
	})
	ok = err == nil && found && !revoked && !row.Disabled && row.Epoch == epoch && installation.TokenEpoch == installationEpoch
	return row, ok, err
}
