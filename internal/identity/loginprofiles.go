package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// What IAM calls a login profile is a user's password.

func loginProfile(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow) (since time.Time, ok bool, err error) {
	if since, ok, err = tx.PasswordSince(ctx, row.ID); err != nil {
		return since, ok, fmt.Errorf("look for the password: %w", err)
	}
	return since, ok, nil
}

func noLoginProfile(name string) error {
	return packhouse.NotFoundf("login profile", name, "Login Profile for User %.128s cannot be found.", name)
}

// PasswordSince returns when a user's password was set. Errors: NotFound, also for a user
// without one.
func (d Directory) PasswordSince(ctx context.Context, ref packhouse.IdentityRef) (since time.Time, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := d.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		var ok bool
		if since, ok, err = loginProfile(ctx, tx, row); err == nil && !ok {
			err = noLoginProfile(ref.Name)
		}
		return err
	})
	return since, err
}

// SetPassword gives a user its first password, or with replace another one: hash is what
// HashPassword made of it. It is a way to the user's rights, so Guard is asked. Tokens that
// exist stay good. Errors: NotFound, with replace also for a user without a password;
// Conflict where there is one already.
func (d Directory) SetPassword(ctx context.Context, ref packhouse.IdentityRef, hash string, replace bool) (since time.Time, err error) {
	_, err = d.change(ctx, ref, packhouse.ChangeKeyChanged, "new password", true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		_, has, err := loginProfile(ctx, tx, *row)
		switch {
		case err != nil:
			return err
		case has && !replace:
			return exists(catalog.ErrExists, "login profile", ref.Name)
		case !has && replace:
			return noLoginProfile(ref.Name)
		}
		if err := tx.SetPassword(ctx, row.ID, hash); err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		since, _, err = loginProfile(ctx, tx, *row)
		return err
	})
	return since, err
}

// RemovePassword takes a user's password away. Errors: NotFound, also for a user without
// one.
func (d Directory) RemovePassword(ctx context.Context, ref packhouse.IdentityRef) error {
	_, err := d.change(ctx, ref, packhouse.ChangeKeyChanged, "removal of the password", false, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		_, has, err := loginProfile(ctx, tx, *row)
		if err == nil && !has {
			err = noLoginProfile(ref.Name)
		}
		if err != nil {
			return err
		}
		return tx.SetPassword(ctx, row.ID, "")
	})
	return err
}
