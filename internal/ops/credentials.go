package ops

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// CreateAccessKey makes an access key of a user, whose secret is shown this once.
// Errors: NotFound; QuotaExceeded.
func (s *Service) CreateAccessKey(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef) (made identity.Credentials, created time.Time, err error) {
	if err := s.allowIdentity(ctx, who, "iam:CreateAccessKey", &user, nil); err != nil {
		return made, created, err
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		made, created, err = d.CreateAccessKey(ctx, user)
		return err
	})
	return made, created, err
}

// AccessKeys returns a user's access keys, without secrets. Errors: NotFound.
func (s *Service) AccessKeys(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef) ([]packhouse.AccessKey, error) {
	if err := s.allowSelf(ctx, who, "iam:ListAccessKeys", &user); err != nil {
		return nil, err
	}
	keys, err := s.reader().AccessKeys(ctx, user)
	return keys, storeError("list access keys", err)
}

// UpdateAccessKey switches a user's access key on or off. Errors: NotFound.
func (s *Service) UpdateAccessKey(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef, id string, active bool) error {
	if err := s.allowIdentity(ctx, who, "iam:UpdateAccessKey", &user, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.SetAccessKeyActive(ctx, user, id, active) })
}

// DeleteAccessKey removes a user's access key. Errors: NotFound.
func (s *Service) DeleteAccessKey(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef, id string) error {
	if err := s.allowIdentity(ctx, who, "iam:DeleteAccessKey", &user, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.DeleteAccessKey(ctx, user, id) })
}

// AccessKeyUse returns whose access key an id is and when it was last used; uses through
// other nodes are seen after a minute. It needs the
// right on all users of the caller's account, for the id does not tell which one it is
// about. Errors: NotFound.
func (s *Service) AccessKeyUse(ctx context.Context, who packhouse.Principal, id string) (packhouse.Identity, packhouse.AccessKey, error) {
	if err := s.allowAccount(ctx, who, "iam:GetAccessKeyLastUsed", who.Account, "user/*"); err != nil {
		return packhouse.Identity{}, packhouse.AccessKey{}, err
	}
	owner, key, err := s.reader().AccessKeyOwner(ctx, who.Account, id)
	if at, service, ok := s.identity.LastUse(id); ok && err == nil && at.After(key.LastUsed) {
		key.LastUsed, key.Service = at, service
	}
	return identityOf(owner), key, storeError("find access key", err)
}

// CreateProvider makes the caller's account trust the tokens of an OpenID Connect
// issuer. Errors: Conflict; Invalid; QuotaExceeded.
func (s *Service) CreateProvider(ctx context.Context, who packhouse.Principal, address string, audiences, thumbprints []string) (made packhouse.Provider, err error) {
	_, name, invalid := identity.ParseIssuer(address)
	if err := s.allowAccount(ctx, who, "iam:CreateOpenIDConnectProvider", who.Account, "oidc-provider/"+name); err != nil {
		return made, err
	}
	if invalid != nil {
		return made, invalid
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		made, err = d.CreateProvider(ctx, who.Account, address, audiences, thumbprints)
		return err
	})
	return made, err
}

// Provider returns one of the caller's account. Errors: NotFound.
func (s *Service) Provider(ctx context.Context, who packhouse.Principal, name string) (packhouse.Provider, error) {
	if err := s.allowAccount(ctx, who, "iam:GetOpenIDConnectProvider", who.Account, "oidc-provider/"+name); err != nil {
		return packhouse.Provider{}, err
	}
	row, err := s.reader().Provider(ctx, who.Account, name)
	return row, storeError("find provider", err)
}

// Providers returns all of the caller's account.
func (s *Service) Providers(ctx context.Context, who packhouse.Principal) ([]packhouse.Provider, error) {
	if err := s.allowAccount(ctx, who, "iam:ListOpenIDConnectProviders", who.Account, "oidc-provider/*"); err != nil {
		return nil, err
	}
	rows, err := s.reader().Providers(ctx, who.Account)
	return rows, storeError("list providers", err)
}

// DeleteProvider ends the trust in an issuer. Errors: NotFound.
func (s *Service) DeleteProvider(ctx context.Context, who packhouse.Principal, name string) error {
	if err := s.allowAccount(ctx, who, "iam:DeleteOpenIDConnectProvider", who.Account, "oidc-provider/"+name); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.DeleteProvider(ctx, who.Account, name) })
}
