package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/identity"
)

// CreatePolicyVersion adds a document to a managed policy of the account's own, which
// with setDefault holds from now on. Errors: Denied where anybody would be given more than
// the caller holds; NotFound; Invalid; QuotaExceeded.
func (s *Service) CreatePolicyVersion(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, document string, setDefault bool) (made identity.PolicyVersion, err error) {
	if err := s.allowPolicy(ctx, who, "iam:CreatePolicyVersion", p); err != nil {
		return made, err
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		made, err = d.CreatePolicyVersion(ctx, p, document, setDefault)
		return err
	})
	return made, err
}

// SetDefaultPolicyVersion makes a version the one that holds. Errors: as
// CreatePolicyVersion.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, version int64) error {
	if err := s.allowPolicy(ctx, who, "iam:SetDefaultPolicyVersion", p); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.SetDefaultPolicyVersion(ctx, p, version) })
}

// DeletePolicyVersion removes a version that does not hold. Errors: NotFound; Conflict
// identity.ReasonInUse for the one that does.
func (s *Service) DeletePolicyVersion(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, version int64) error {
	if err := s.allowPolicy(ctx, who, "iam:DeletePolicyVersion", p); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.DeletePolicyVersion(ctx, p, version) })
}

// PolicyVersion returns a version of a managed policy. Errors: NotFound.
func (s *Service) PolicyVersion(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, number int64) (identity.PolicyVersion, error) {
	if err := s.allowPolicy(ctx, who, "iam:GetPolicyVersion", p); err != nil {
		return identity.PolicyVersion{}, err
	}
	found, err := s.reader().PolicyVersion(ctx, who.Account, p, number)
	return found, storeError("find policy version", err)
}

// PolicyVersions returns the versions of a managed policy, newest first. Errors: NotFound.
func (s *Service) PolicyVersions(ctx context.Context, who packhouse.Principal, p identity.PolicyRef) ([]identity.PolicyVersion, error) {
	if err := s.allowPolicy(ctx, who, "iam:ListPolicyVersions", p); err != nil {
		return nil, err
	}
	_, list, err := s.reader().PolicyVersions(ctx, who.Account, p)
	return list, storeError("list policy versions", err)
}

// TagPolicy adds or replaces tags of a managed policy. Errors: NotFound; Invalid;
// QuotaExceeded.
func (s *Service) TagPolicy(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, tags []packhouse.ResourceTag) error {
	if err := s.allowPolicy(ctx, who, "iam:TagPolicy", p); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.TagPolicy(ctx, p, tags, nil) })
}

// UntagPolicy takes tags away; absent ones are no error. Errors: NotFound.
func (s *Service) UntagPolicy(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, keys []string) error {
	if err := s.allowPolicy(ctx, who, "iam:UntagPolicy", p); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.TagPolicy(ctx, p, nil, keys) })
}

// PolicyTags returns the tags of a managed policy. Errors: NotFound.
func (s *Service) PolicyTags(ctx context.Context, who packhouse.Principal, p identity.PolicyRef) ([]packhouse.ResourceTag, error) {
	if err := s.allowPolicy(ctx, who, "iam:ListPolicyTags", p); err != nil {
		return nil, err
	}
	policy, err := s.reader().Policy(ctx, who.Account, p)
	return policy.Tags, storeError("find policy", err)
}
