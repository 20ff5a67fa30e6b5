package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// What an authenticator app computes with: RFC 6238 as every app has it.
const (
	codePeriod = 30 // seconds
	codeDigits = otp.DigitsSix
	codeSecret = 20 // bytes
	// codeSkew is how many steps a code may be early or late.
	codeSkew = 1
)

// SecondFactorKey is a fresh second factor. It is shown once.
type SecondFactorKey struct {
	URL    string // otpauth://..., for a QR code
	Secret string // base32, for typing
}

// String hides the secret.
func (SecondFactorKey) String() string { return "[redacted]" }

// GoString is String.
func (k SecondFactorKey) GoString() string { return k.String() }

// EnrolSecondFactor gives a user a second factor in the place of any other. Like
// CreateUser it is for the operator's own command line alone. Errors: Invalid
// "unknown_user".
func EnrolSecondFactor(ctx context.Context, db *catalog.DB, by packhouse.Principal, account packhouse.AccountID, user string) (SecondFactorKey, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Packhouse", AccountName: user, Period: codePeriod, SecretSize: codeSecret, Digits: codeDigits})
	if err != nil {
		return SecondFactorKey{}, packhouse.Invalidf("invalid_name", "The user name %.80q is not valid.", user)
	}
	err = changeUser(ctx, db, by, account, user, "second factor set for ", func(tx *catalog.Tx, row catalog.PrincipalRow) error {
		return tx.PutSecondFactor(ctx, row.ID, key.Secret())
	})
	if err != nil {
		return SecondFactorKey{}, err
	}
	return SecondFactorKey{URL: key.URL(), Secret: key.Secret()}, nil
}

// RemoveSecondFactor takes a user's second factor away; see EnrolSecondFactor. Errors:
// Invalid "unknown_user", "no_second_factor".
func RemoveSecondFactor(ctx context.Context, db *catalog.DB, by packhouse.Principal, account packhouse.AccountID, user string) error {
	return changeUser(ctx, db, by, account, user, "second factor removed from ", func(tx *catalog.Tx, row catalog.PrincipalRow) error {
		err := tx.RemoveSecondFactor(ctx, row.ID)
		if isNotFound(err) {
			return packhouse.Invalidf("no_second_factor", "User %s has no second factor.", row.Name)
		}
		return err
	})
}

// ProveSecondFactor compares a code with the second factor that who still owes, and
// returns who with the outcome in its scope; whatever needs no code comes back as it is.
// client is the address it came from. Errors: Throttled after too many wrong codes;
// Unavailable.
func (s *Service) ProveSecondFactor(ctx context.Context, who packhouse.Principal, code, client string) (packhouse.Principal, error) {
	if who.Scope.SecondFactor != packhouse.FactorOwed || code == "" {
		return who, nil
	}
	forgive, err := s.failures.begin(failureKey(who.Account, who.Name), client)
	if err != nil {
		return who, err
	}
	right, err := s.useCode(ctx, who.ID, code)
	switch {
	case err != nil:
		forgive()
		return who, err
	case right:
		forgive()
		who.Scope.SecondFactor = packhouse.FactorProved
	default:
		who.Scope.SecondFactor = packhouse.FactorRefused
	}
	return who, nil
}

// useCode reports whether a code is right, and uses it up: of all who send it, on every
// node, one is told so.
func (s *Service) useCode(ctx context.Context, principalID int64, code string) (bool, error) {
	code = strings.ReplaceAll(code, " ", "")
	if len(code) != codeDigits.Length() {
		return false, nil
	}
	var secret string
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		secret, err = tx.SecondFactor(ctx, principalID)
		return err
	})
	if err != nil || !found {
		return false, err
	}
	step, err := codeStep(secret, code, s.now())
	if err != nil {
		return false, fmt.Errorf("second factor of principal %d: %w", principalID, err)
	}
	if step == 0 {
		return false, nil
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error { return tx.UseStep(ctx, principalID, step) })
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return false, nil // used before
	case err != nil:
		return false, unavailable(err)
	}
	return true, nil
}

// codeStep returns the time step that a code belongs to, 0 if it is wrong now.
func codeStep(secret, code string, now time.Time) (step int64, err error) {
	at := now.Unix() / codePeriod
	for s := at - codeSkew; s <= at+codeSkew; s++ {
		want, err := hotp.GenerateCodeCustom(secret, uint64(s), hotp.ValidateOpts{Digits: codeDigits, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // a time after 1970
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step = s
		}
	}
	return step, nil
}
