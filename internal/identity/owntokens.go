package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// The kinds of long-lived tokens. All but TokenAutomation owe their user's second
// factor, where there is one.
const (
	TokenPerson     = "person"     // made by the operator for a person
	TokenLogin      = "login"      // made by signing in
	TokenAutomation = "automation" // for machines: needs no second factor
)

// maxOwnTokens bounds the good tokens of one principal that it makes itself.
const maxOwnTokens = 500

// NewToken is a long-lived token to make.
type NewToken struct {
	Name     string // a label, by the rule of user names
	Kind     string
	ReadOnly bool
	Expires  time.Time // zero for never
}

// OwnToken is a token as its owner may see it.
type OwnToken struct {
	PublicID, Name, Kind string
	ReadOnly             bool
	Created, Expires     time.Time
}

// Prefix is how the token begins; it is not secret.
func (t OwnToken) Prefix() string { return tokenPrefix + t.PublicID }

func ownToken(row catalog.TokenRow) OwnToken {
	return OwnToken{PublicID: row.PublicID, Name: row.Name, Kind: row.Kind, ReadOnly: row.ReadOnly, Created: row.Created, Expires: row.Expires}
}

// IssueToken makes a long-lived token of who. note is the ledger's row, which IssueToken
// completes. Whether who may have it is the caller's to decide. Errors: Denied for a
// disabled principal; QuotaExceeded "too_many_tokens"; Invalid for the name.
func (s *Service) IssueToken(ctx context.Context, who packhouse.Principal, t NewToken, note packhouse.Change) (token string, made OwnToken, err error) {
	if err := validName("token", t.Name); err != nil {
		return "", OwnToken{}, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		token, made, err = s.issueIn(ctx, tx, who.ID, t, note)
		return err
	})
	return token, made, err
}

// issueIn is IssueToken inside a transaction.
func (s *Service) issueIn(ctx context.Context, tx *catalog.Tx, principalID int64, t NewToken, note packhouse.Change) (string, OwnToken, error) {
	owner, err := tx.Principal(ctx, principalID)
	if isNotFound(err) || err == nil && owner.Disabled {
		return "", OwnToken{}, packhouse.Deniedf("denied", "The principal is disabled.")
	}
	if err != nil {
		return "", OwnToken{}, fmt.Errorf("find principal: %w", err)
	}
	live, err := tx.LiveTokens(ctx, owner.ID, maxOwnTokens)
	if err != nil {
		return "", OwnToken{}, fmt.Errorf("list tokens: %w", err)
	}
	if len(live) >= maxOwnTokens {
		return "", OwnToken{}, &packhouse.Error{Kind: packhouse.KindQuotaExceeded, Reason: "too_many_tokens",
			Message: fmt.Sprintf("%s has %d tokens already; revoke some first.", owner.Name, len(live))}
	}
	token, publicID := newToken()
	sum := sha256.Sum256([]byte(token))
	row := catalog.TokenRow{PublicID: publicID, SHA256: sum[:], Principal: owner, Kind: t.Kind, Name: t.Name,
		ReadOnly: t.ReadOnly, Enabled: true, Expires: t.Expires, Created: s.now().UTC()}
	if err := tx.InsertToken(ctx, row); err != nil {
		return "", OwnToken{}, fmt.Errorf("insert token: %w", err)
	}
	note.Kind, note.Principal = packhouse.ChangeTokenCreated, owner.ARN
	note.Detail = t.Kind + " token " + publicID + " of " + owner.ARN
	if t.ReadOnly {
		note.Detail += ", read-only"
	}
	if err := tx.Record(ctx, note); err != nil {
		return "", OwnToken{}, fmt.Errorf("record token: %w", err)
	}
	return token, ownToken(row), nil
}

// OwnTokens lists the good long-lived tokens of who, oldest first. Errors: Unavailable.
func (s *Service) OwnTokens(ctx context.Context, who packhouse.Principal) ([]OwnToken, error) {
	var rows []catalog.TokenRow
	if _, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.LiveTokens(ctx, who.ID, maxOwnTokens)
		return err
	}); err != nil {
		return nil, err
	}
	list := make([]OwnToken, len(rows))
	for i, row := range rows {
		list[i] = ownToken(row)
	}
	return list, nil
}

// Account returns the row behind a principal. Errors: NotFound; Unavailable.
func (s *Service) Account(ctx context.Context, who packhouse.Principal) (catalog.PrincipalRow, error) {
	var row catalog.PrincipalRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Principal(ctx, who.ID)
		return err
	})
	if err == nil && !found {
		err = packhouse.NotFoundf("user", who.Name, "There is no such user.")
	}
	return row, err
}

// RevokeOwnToken ends a token of who by its public id or by itself. Errors: NotFound,
// also where it is somebody else's.
func (s *Service) RevokeOwnToken(ctx context.Context, who packhouse.Principal, key string, note packhouse.Change) error {
	publicID := key
	if id, ok := parseToken(key); ok {
		publicID = id
	}
	unknown := packhouse.NotFoundf("token", "", "You have no such token; list your tokens to see which there are.")
	if len(publicID) != publicIDLength {
		return unknown
	}
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.TokenByPublicID(ctx, publicID)
		if isNotFound(err) || err == nil && (row.Principal.ID != who.ID || !row.Enabled) {
			return unknown
		}
		if err != nil {
			return fmt.Errorf("find token: %w", err)
		}
		return s.disableIn(ctx, tx, row, packhouse.ChangeTokenRevoked, note)
	})
	s.Flush()
	return err
}

func (s *Service) disableIn(ctx context.Context, tx *catalog.Tx, row catalog.TokenRow, kind packhouse.ChangeKind, note packhouse.Change) error {
	if err := tx.DisableToken(ctx, row.PublicID); err != nil {
		return fmt.Errorf("disable token: %w", err)
	}
	note.Kind, note.Principal, note.Detail = kind, row.Principal.ARN, "token "+row.PublicID+" of "+row.Principal.ARN
	if err := tx.Record(ctx, note); err != nil {
		return fmt.Errorf("record the end of a token: %w", err)
	}
	return nil
}

// SignOut ends a token of either kind, at once in this process and within a second on
// other nodes (S9). One that has ended is left as it is. Errors: Unauthenticated
// "invalid_token" for what never was one.
func (s *Service) SignOut(ctx context.Context, token string, note packhouse.Change) error {
	if len(token) > maxToken {
		return invalidToken()
	}
	if len(token) > len(sealedPrefix) && token[:len(sealedPrefix)] == sealedPrefix {
		return s.revokeSealed(ctx, token, note)
	}
	publicID, ok := parseToken(token)
	if !ok {
		return invalidToken()
	}
	sum := sha256.Sum256([]byte(token))
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.TokenByPublicID(ctx, publicID)
		if isNotFound(err) || err == nil && subtle.ConstantTimeCompare(row.SHA256, sum[:]) != 1 {
			return invalidToken()
		}
		if err != nil || !row.Enabled {
			return err
		}
		return s.disableIn(ctx, tx, row, packhouse.ChangeSignedOut, note)
	})
	s.Flush()
	return err
}

// revokeSealed puts the id of a sealed token onto the list that every node looks at.
func (s *Service) revokeSealed(ctx context.Context, token string, note packhouse.Change) error {
	t, ok := s.openSealed(token, boundRegistry)
	if !ok {
		return invalidToken()
	}
	c, ok := readRegistryClaims(t)
	if !ok {
		return invalidToken()
	}
	if s.clock() >= c.expires.UnixNano() {
		return nil
	}
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		revoked, err := tx.Revoked(ctx, c.id)
		if err != nil || revoked {
			return err
		}
		if err := tx.RevokeSealed(ctx, c.id, c.expires); err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		row, err := tx.Principal(ctx, c.principal)
		if err != nil && !isNotFound(err) {
			return fmt.Errorf("find principal: %w", err)
		}
		note.Kind, note.Principal, note.Detail = packhouse.ChangeSignedOut, row.ARN, "registry token of "+row.ARN
		return tx.Record(ctx, note)
	})
	s.Flush()
	return err
}
