package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
)

// AdminName is the name of the user that the first start makes.
const AdminName = "admin"

// The access key of an ephemeral server's administrator. It is published, so that tests
// can be written with it.
const (
	EphemeralKeyID  = "AKIAPACKHOUSETESTKEY"
	EphemeralSecret = "packhouse/ephemeral/secret/for/tests/000"
)

// bootstrap makes the administrator and writes the AWS files, once. It may be cut off
// anywhere: the next start goes on. Files that were removed later stay removed.
func (s *Store) bootstrap(ctx context.Context, region, endpoint string) error {
	var keyID string
	var written bool
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		text, err := tx.Setting(ctx, scopeInstallation, settingAdminFile)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		written = text != ""
		keyID, err = tx.Setting(ctx, scopeInstallation, settingAdminKey)
		if errors.Is(err, catalog.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the administrator: %w", err)
	}
	if !written {
		if err := s.handOver(ctx, keyID); err != nil {
			return fmt.Errorf("make the administrator: %w", err)
		}
	}
	if err := writeAWSConfig(s.Dir, region, endpoint); err != nil {
		return fmt.Errorf("write the AWS config file: %w", err)
	}
	return nil
}

// handOver makes the administrator unless an earlier start did, and writes the key down
// where only the operator reads it.
func (s *Store) handOver(ctx context.Context, keyID string) error {
	var keep identity.Credentials
	if keyID == "" {
		// A user without a noted key is from a start that was cut off in between: nobody
		// has seen its key.
		if err := s.dropAdmin(ctx); err != nil {
			return err
		}
		var err error
		admin := identity.NewUser{Account: s.Account, Name: AdminName, Policies: []string{authz.AdministratorAccess}}
		if s.ephemeral {
			admin.KeyID, admin.Secret = EphemeralKeyID, EphemeralSecret
		}
		keep, err = identity.CreateUser(ctx, s.Catalog, packhouse.Principal{}, admin)
		if err != nil {
			return err
		}
		if err := s.putSetting(ctx, settingAdminKey, keep.KeyID); err != nil {
			return err
		}
	} else {
		err := s.Catalog.View(ctx, func(tx *catalog.Tx) error {
			row, err := tx.AccessKey(ctx, keyID)
			keep.KeyID, keep.Secret = row.ID, row.Secret
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := writeAWSCredentials(s.Dir, keep.KeyID, keep.Secret); err != nil {
		return fmt.Errorf("write the AWS credentials file: %w", err)
	}
	return s.putSetting(ctx, settingAdminFile, "written")
}

func (s *Store) dropAdmin(ctx context.Context) error {
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		p, err := tx.PrincipalByName(ctx, s.Account, packhouse.KindUser, AdminName)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.DeletePrincipal(ctx, p.ID)
	})
}

func (s *Store) putSetting(ctx context.Context, key, value string) error {
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.PutSetting(ctx, scopeInstallation, key, value)
	})
}
