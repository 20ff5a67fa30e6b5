package identity

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// newCredentials makes an access key for a user.
func newCredentials() Credentials {
	return Credentials{
		KeyID:  keyPrefix + keyAlphabet.EncodeToString(randomBytes(10)),
		Secret: base64.StdEncoding.EncodeToString(randomBytes(secretBytes)),
	}
}

// CreateAccessKey makes an access key of a user. Errors: NotFound; QuotaExceeded beyond
// MaxKeysPerUser.
func (d Directory) CreateAccessKey(ctx context.Context, ref packhouse.IdentityRef) (made Credentials, created time.Time, err error) {
	made, created = newCredentials(), time.Now().UTC().Truncate(time.Microsecond)
	_, err = d.change(ctx, ref, packhouse.ChangeKeyChanged, "creation of access key "+made.KeyID, true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		keys, err := tx.AccessKeys(ctx, row.ID)
		if err != nil {
			return fmt.Errorf("list access keys: %w", err)
		}
		if len(keys) >= MaxKeysPerUser {
			return limitExceeded("Cannot have more than %d access keys per user; delete one first.", MaxKeysPerUser)
		}
		made.Principal = principal(*row)
		return tx.InsertAccessKey(ctx, catalog.AccessKeyRow{ID: made.KeyID, Principal: *row, Secret: made.Secret, Active: true, Created: created})
	})
	if err != nil {
		return Credentials{}, time.Time{}, err
	}
	return made, created, nil
}

// AccessKeys returns a user's access keys without their secrets, oldest first. Errors:
// NotFound.
func (d Directory) AccessKeys(ctx context.Context, ref packhouse.IdentityRef) (keys []packhouse.AccessKey, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := d.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		keys, err = tx.AccessKeys(ctx, row.ID)
		return err
	})
	return keys, err
}

// ownKey is an access key of one user, or NotFound.
func ownKey(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow, id string) error {
	key, err := tx.AccessKey(ctx, id)
	if isNotFound(err) || err == nil && key.Principal.ID != row.ID {
		return packhouse.NotFoundf(packhouse.ResourceAccessKey, id, "The access key with id %.128s cannot be found.", id)
	}
	return err
}

// SetAccessKeyActive switches a user's access key on or off. Errors: NotFound.
func (d Directory) SetAccessKeyActive(ctx context.Context, ref packhouse.IdentityRef, id string, active bool) error {
	_, err := d.change(ctx, ref, packhouse.ChangeKeyChanged, fmt.Sprintf("access key %s (active: %t)", id, active), active, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		if err := ownKey(ctx, tx, *row, id); err != nil {
			return err
		}
		return tx.SetAccessKeyActive(ctx, id, active)
	})
	return err
}

// DeleteAccessKey removes a user's access key. Errors: NotFound.
func (d Directory) DeleteAccessKey(ctx context.Context, ref packhouse.IdentityRef, id string) error {
	_, err := d.change(ctx, ref, packhouse.ChangeKeyChanged, "removal of access key "+id, false, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		if err := ownKey(ctx, tx, *row, id); err != nil {
			return err
		}
		return tx.DeleteAccessKey(ctx, id)
	})
	return err
}

// AccessKeyOwner returns whose access key an id is, and when it was last used. Errors:
// NotFound, also for other accounts' keys.
func (d Directory) AccessKeyOwner(ctx context.Context, a packhouse.AccountID, id string) (owner catalog.PrincipalRow, key packhouse.AccessKey, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.AccessKey(ctx, id)
		if isNotFound(err) || err == nil && row.Principal.Account != a {
			return packhouse.NotFoundf(packhouse.ResourceAccessKey, id, "The access key with id %.128s cannot be found.", id)
		}
		if err != nil {
			return err
		}
		owner = row.Principal
		keys, err := tx.AccessKeys(ctx, owner.ID)
		for _, k := range keys {
			if k.ID == id {
				key = k
			}
		}
		return err
	})
	return owner, key, err
}
