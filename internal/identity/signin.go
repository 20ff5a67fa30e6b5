package identity

import (
	"context"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Attempt is somebody who signs in.
type Attempt struct {
	Account        packhouse.AccountID
	Name, Password string
	Code           string // one-time code; "" for none
	Client         string // address, for the limit of failures
}

// The reasons of a refused Attempt.
const (
	ReasonWrongPassword = "wrong_password"
	ReasonCodeMissing   = "code_missing"
	ReasonCodeWrong     = "code_wrong"
)

// SignIn returns the user behind a name, a password and, where the user has a second
// factor, a code, which is used up. Unknown and disabled users, and those without a
// password, are answered like a wrong password, after the same work (S10). Errors:
// Unauthenticated ReasonWrongPassword, ReasonCodeMissing, ReasonCodeWrong; Throttled;
// Unavailable.
func (s *Service) SignIn(ctx context.Context, a Attempt) (packhouse.Principal, error) {
	row, forgive, err := s.passed(ctx, a)
	if err != nil {
		return packhouse.Principal{}, err
	}
	who := principal(row)
	if row.SecondFactor {
		if a.Code == "" {
			forgive()
			return packhouse.Principal{}, refused(ReasonCodeMissing, "This needs a one-time password from your authenticator.")
		}
		right, err := s.useCode(ctx, row.ID, a.Code)
		if err != nil {
			forgive()
			return packhouse.Principal{}, err
		}
		if !right {
			return packhouse.Principal{}, refused(ReasonCodeWrong, "The one-time password is wrong or was used before; wait for the next one.")
		}
		who.Scope.SecondFactor = packhouse.FactorProved
	}
	forgive()
	return who, nil
}

// ConfirmPassword is SignIn for somebody whose second factor was proved another way.
// Errors: those of SignIn but for codes.
func (s *Service) ConfirmPassword(ctx context.Context, a Attempt) error {
	_, forgive, err := s.passed(ctx, a)
	if err == nil {
		forgive()
	}
	return err
}

// passed returns the user whose password it is. The attempt counts as a failure until
// forgive is called.
func (s *Service) passed(ctx context.Context, a Attempt) (row catalog.PrincipalRow, forgive func(), err error) {
	forgive, err = s.failures.begin(failureKey(a.Account, a.Name), a.Client)
	if err != nil {
		return row, nil, err
	}
	var hash string
	known, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, hash, err = tx.PasswordByName(ctx, a.Account, packhouse.KindUser, a.Name)
		return err
	})
	if err != nil {
		forgive()
		return row, nil, err
	}
	right, err := s.hasher.matches(ctx, hash, a.Password)
	if err != nil {
		forgive()
		return row, nil, err
	}
	if !right || !known || row.Disabled {
		return row, nil, refused(ReasonWrongPassword, "The name or the password is wrong.")
	}
	return row, forgive, nil
}

func refused(reason, text string) error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: reason, Message: text}
}

// failureKey is what failures of a user are counted under.
func failureKey(account packhouse.AccountID, name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return string(account) + " " + strings.ToLower(name)
}
