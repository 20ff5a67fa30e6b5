package ops

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// CreateLoginProfile gives a user without a password one, to sign in with. Errors: Denied
// where the user may do more than the caller; NotFound; Conflict; Invalid "weak_password";
// Throttled.
func (s *Service) CreateLoginProfile(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef, password string) (since time.Time, err error) {
	if err := s.allowIdentity(ctx, who, "iam:CreateLoginProfile", &user, nil); err != nil {
		return since, err
	}
	hash, err := s.identity.HashPassword(ctx, password)
	if err != nil {
		return since, err
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		since, err = d.SetPassword(ctx, user, hash, false)
		return err
	})
	return since, err
}

// UpdateLoginProfile replaces a user's password. Errors: as CreateLoginProfile; NotFound
// also for a user without one.
func (s *Service) UpdateLoginProfile(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef, password string) error {
	if err := s.allowIdentity(ctx, who, "iam:UpdateLoginProfile", &user, nil); err != nil {
		return err
	}
	hash, err := s.identity.HashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error {
		_, err := d.SetPassword(ctx, user, hash, true)
		return err
	})
}

// LoginProfile returns when a user's password was set. Errors: NotFound, also for a user
// without one.
func (s *Service) LoginProfile(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef) (time.Time, error) {
	if err := s.allowSelf(ctx, who, "iam:GetLoginProfile", &user); err != nil {
		return time.Time{}, err
	}
	since, err := s.reader().PasswordSince(ctx, user)
	return since, storeError("find password", err)
}

// DeleteLoginProfile takes a user's password away. Errors: NotFound, also for a user
// without one.
func (s *Service) DeleteLoginProfile(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef) error {
	if err := s.allowIdentity(ctx, who, "iam:DeleteLoginProfile", &user, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.RemovePassword(ctx, user) })
}
