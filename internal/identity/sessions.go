package identity

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"aidanwoods.dev/go-paseto"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/sigv4"
)

const (
	boundSession = "packhouse session token"
	// temporaryPrefix begins the access key ids of sessions.
	temporaryPrefix = "ASIA"

	claimKey     = "key" // access key id
	claimSecret  = "sec"
	claimSession = "ses" // packed Session; absent for none
)

// Bounds of a session.
const (
	ShortestSession = 15 * time.Minute
	LongestSession  = 36 * time.Hour // of a user's own session
	maxSessionName  = 64
	// maxPacked bounds a session's policies and tags together, compressed, in bytes: they
	// travel inside of every token that the session makes.
	maxPacked = 1500
	// maxSessionPolicy bounds one document of a session, in bytes.
	maxSessionPolicy = 2048
)

// TemporaryCredentials are the access key of a session. They are shown once and stored
// nowhere.
type TemporaryCredentials struct {
	Credentials
	SessionToken string
	Expires      time.Time
}

// NewSession is a session to begin.
type NewSession struct {
	packhouse.Session
	Life time.Duration
}

// ValidSession checks the name, the policies and the tags of a session. name is required
// for a role's. Errors: Invalid "invalid_name", "invalid_policy", "invalid_tag",
// "packed_policy_too_large"; QuotaExceeded.
func ValidSession(session *packhouse.Session) error {
	if session.Name != "" && (len(session.Name) < 2 || len(session.Name) > maxSessionName || !isOf(session.Name, nameCharacter)) {
		return packhouse.Invalidf("invalid_name", "The role session name %.80q is not valid: 2 to %d characters of A-Z a-z 0-9 + = , . @ _ -", session.Name, maxSessionName)
	}
	for _, document := range session.Policies {
		if len(document) > maxSessionPolicy {
			return packhouse.Invalidf("packed_policy_too_large", "A session policy may have at most %d characters.", maxSessionPolicy)
		}
		if _, err := authz.ParseIdentity("session", []byte(document)); err != nil {
			return err
		}
	}
	if _, err := mergeTags(nil, session.Tags); err != nil {
		return err
	}
	if packed := pack(session); len(packed) > maxPacked {
		return packhouse.Invalidf("packed_policy_too_large", "The session's policies and tags are %d%% of what fits.", len(packed)*100/maxPacked)
	}
	return nil
}

// PackedPercent tells how much of the room for policies and tags a session takes.
func PackedPercent(session *packhouse.Session) int { return len(pack(session)) * 100 / maxPacked }

// pack and unpack turn a session into few bytes and back.
func pack(session *packhouse.Session) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		err = json.NewEncoder(w).Encode(session)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("identity: a session cannot be encoded: " + err.Error())
	}
	return out.Bytes()
}

func unpack(packed []byte) (*packhouse.Session, error) {
	// A token of ours holds little; the bound is for those that are none.
	const most = 64 << 10
	var session packhouse.Session
	err := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), most)).Decode(&session)
	return &session, err
}

// setSession and readSession are how every kind of sealed token carries a session.
func setSession(t *paseto.Token, session *packhouse.Session) {
	if session != nil {
		t.SetString(claimSession, base64.RawURLEncoding.EncodeToString(pack(session)))
	}
}

// readSession returns nil for a token without a session.
func readSession(t *paseto.Token) (*packhouse.Session, error) {
	text, err := t.GetString(claimSession)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // the claim is absent
	}
	packed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return unpack(packed)
}

// sessionOf returns the principal of a session of an identity; a nil session is the
// identity itself.
func sessionOf(row catalog.PrincipalRow, session *packhouse.Session) packhouse.Principal {
	who := principal(row)
	who.Session = session
	if session != nil && row.Kind == packhouse.KindRole {
		who.RoleARN = row.ARN
		who.ARN = packhouse.SessionARN(row.Account, row.Name, session.Name)
		who.Name = row.Name + "/" + session.Name
	}
	return who
}

// BeginSession makes temporary credentials of an identity. Whether whoever asks may have
// them is the caller's to decide. Errors: Denied for a disabled or absent identity;
// Invalid as of ValidSession; Unavailable.
func (s *Service) BeginSession(ctx context.Context, identityID int64, n NewSession) (TemporaryCredentials, error) {
	if err := ValidSession(&n.Session); err != nil {
		return TemporaryCredentials{}, err
	}
	var row catalog.PrincipalRow
	var installation catalog.Installation
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if installation, err = tx.Installation(ctx); err != nil {
			return err
		}
		row, err = tx.Principal(ctx, identityID)
		return err
	})
	if err != nil {
		return TemporaryCredentials{}, err
	}
	if !found || row.Disabled {
		return TemporaryCredentials{}, packhouse.Deniedf("denied", "The principal is disabled.")
	}
	now := time.Unix(0, s.clock())
	made := newCredentials()
	made.KeyID = temporaryPrefix + made.KeyID[len(keyPrefix):]
	made.Principal = sessionOf(row, &n.Session)
	expires := now.Add(n.Life).Truncate(time.Second).UTC()
	made.Principal.Expires, made.Principal.Temporary = expires, true

	t := paseto.NewToken()
	t.SetIssuedAt(now)
	t.SetExpiration(expires)
	t.SetJti(rand.Text())
	t.SetString(claimPrincipal, strconv.FormatInt(row.ID, 10))
	t.SetString(claimInstallation, strconv.FormatInt(installation.TokenEpoch, 10))
	t.SetString(claimPrincipalEpoch, strconv.FormatInt(row.Epoch, 10))
	t.SetString(claimKey, made.KeyID)
	t.SetString(claimSecret, made.Secret)
	setSession(&t, &n.Session)
	return TemporaryCredentials{Credentials: made, SessionToken: t.V4Encrypt(s.key, []byte(boundSession)), Expires: expires}, nil
}

func unrecognizedClient() error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "unrecognized_client",
		Message: "The security token included in the request is not valid."}
}

// sessionKey opens a session token and returns the key in it.
func (s *Service) sessionKey(ctx context.Context, id, token string) (sigv4.Key, bool, error) {
	if len(token) > maxToken || len(id) != keyIDLength {
		return sigv4.Key{}, false, unrecognizedClient()
	}
	generation, err := s.current(ctx)
	if err != nil {
		return sigv4.Key{}, false, err
	}
	sum := sha256.Sum256([]byte(id + "\n" + token))
	if e, ok := s.sessions.Get(sum); ok && e.generation == generation {
		return e.key, true, nil
	}
	c, ok := s.openSession(token)
	if !ok || c.keyID != id {
		return sigv4.Key{}, false, unrecognizedClient()
	}
	row, ok, err := s.holderOf(ctx, c.id, c.principal, c.principalEpoch, c.installation)
	if err != nil {
		return sigv4.Key{}, false, err
	}
	if !ok {
		return sigv4.Key{}, false, unrecognizedClient()
	}
	who := sessionOf(row, c.session)
	who.Expires, who.Temporary = c.expires.UTC(), true
	key := sigv4.Key{Secret: c.secret, SessionToken: token, Active: true, Principal: who}
	s.sessions.Set(sum, &keyEntry{generation, key})
	return key, true, nil
}

// sessionClaims are the claims of a session token, read back.
type sessionClaims struct {
	principal, installation, principalEpoch int64
	id, keyID, secret                       string
	expires                                 time.Time
	session                                 *packhouse.Session
}

// openSession decrypts a session token. Expiry is sigv4's to check, once the signature
// has proved whose it is.
func (s *Service) openSession(token string) (c sessionClaims, ok bool) {
	if !strings.HasPrefix(token, sealedPrefix) {
		return c, false
	}
	t, ok := s.openSealed(token, boundSession)
	if !ok {
		return c, false
	}
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
	c.keyID, c.secret = text(claimKey), text(claimSecret)
	var err error
	if c.expires, err = t.GetExpiration(); err != nil {
		return c, false
	}
	if c.id, err = t.GetJti(); err != nil {
		return c, false
	}
	if c.session, err = readSession(t); err != nil || c.session == nil {
		return c, false
	}
	return c, ok
}
