package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// NewAccount is an account to create.
type NewAccount struct {
	ID   packhouse.AccountID // twelve digits; "" makes one
	Name string              // 3 to 63 of a-z 0-9 -, no hyphen at either end
	// Admin is the name of its first user, who may do everything in it.
	Admin string
}

// CreateAccount makes an account with its first administrator, in one transaction. An
// account is what nobody in another one can see or reach unless a policy lets them, so
// only the operator's own command line may call it: no policy of any account stands above
// accounts. Errors: Conflict "account_exists"; Invalid for the number and both names.
func CreateAccount(ctx context.Context, db *catalog.DB, n NewAccount) (catalog.AccountRow, Credentials, error) {
	admin := NewUser{Name: n.Admin, Policies: []string{authz.AdministratorAccess}}
	err := admin.check()
	switch {
	case err != nil:
		return catalog.AccountRow{}, Credentials{}, err
	case n.ID != "" && !packhouse.ValidAccountID(string(n.ID)):
		return catalog.AccountRow{}, Credentials{}, packhouse.Invalidf("invalid_account", "The account number %.20q is not valid: 12 digits.", n.ID)
	case !validAccountName(n.Name):
		return catalog.AccountRow{}, Credentials{}, packhouse.Invalidf("invalid_name", "The account name %.80q is not valid: 3 to 63 of a-z 0-9 and -, no hyphen at the beginning or end, not only digits.", n.Name)
	}
	var row catalog.AccountRow
	var made Credentials
	d := Directory{Catalog: db, Note: packhouse.Change{Door: "command"}}
	err = d.update(ctx, func(tx *catalog.Tx) error {
		accounts, err := tx.AccountRows(ctx)
		if err != nil {
			return fmt.Errorf("list accounts: %w", err)
		}
		for _, a := range accounts {
			if a.Name == n.Name {
				return packhouse.Conflictf("account_exists", "account", n.Name, "There is an account %s already: %s.", n.Name, a.ID)
			}
		}
		row = catalog.AccountRow{ID: n.ID, Name: n.Name}
		if row.ID == "" {
			row.ID = newAccountID()
		}
		err = tx.InsertAccount(ctx, row.ID, row.Name)
		if errors.Is(err, catalog.ErrExists) {
			return packhouse.Conflictf("account_exists", "account", string(row.ID), "There is an account %s already.", row.ID)
		}
		if err != nil {
			return fmt.Errorf("insert account: %w", err)
		}
		if err := d.note(ctx, tx, packhouse.ChangeAccountCreated, "account %s, %s", row.ID, row.Name); err != nil {
			return err
		}
		admin.Account = row.ID
		made, err = d.createUser(ctx, tx, admin)
		return err
	})
	if err != nil {
		return catalog.AccountRow{}, Credentials{}, err
	}
	return row, made, nil
}

// newAccountID draws a number without a leading zero, which spreadsheets would lose.
func newAccountID() packhouse.AccountID {
	const least, numbers = 100_000_000_000, 900_000_000_000
	n, err := rand.Int(rand.Reader, big.NewInt(numbers))
	if err != nil {
		panic("identity: no random number: " + err.Error()) // crypto/rand never fails
	}
	return packhouse.AccountID(fmt.Sprint(n.Int64() + least))
}

// validAccountName follows the rule of IAM's account aliases. Names of digits only would
// be taken for numbers.
func validAccountName(s string) bool {
	return len(s) >= 3 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && strings.Trim(s, "0123456789") != "" &&
		isOf(s, func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' })
}

// FindAccount returns an account by its number or its name. Errors: NotFound.
func FindAccount(ctx context.Context, db *catalog.DB, text string) (found catalog.AccountRow, err error) {
	accounts, err := Accounts(ctx, db)
	if err != nil {
		return found, err
	}
	for _, a := range accounts {
		if string(a.ID) == text || a.Name == text {
			return a, nil
		}
	}
	return found, packhouse.NotFoundf("account", text, "There is no account %.80q.", text)
}

// Accounts returns all accounts, oldest first.
func Accounts(ctx context.Context, db *catalog.DB) (list []catalog.AccountRow, err error) {
	err = db.View(ctx, func(tx *catalog.Tx) error {
		list, err = tx.AccountRows(ctx)
		return err
	})
	return list, err
}
