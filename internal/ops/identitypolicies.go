package ops

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
)

// allowPolicy is allow for a managed policy, which may be absent.
func (s *Service) allowPolicy(ctx context.Context, who packhouse.Principal, action packhouse.Action, p identity.PolicyRef) error {
	if p.Shipped() {
		// Everybody's account has them: the right is needed in the caller's own.
		p.Account = who.Account
	}
	return s.allow(ctx, who, action, resource{arn: p.ARN()}, nil)
}

// CreatePolicy makes a managed policy, which gives nobody anything yet. Errors:
// Conflict; Invalid; QuotaExceeded.
func (s *Service) CreatePolicy(ctx context.Context, who packhouse.Principal, p identity.PolicyRef, n identity.NewPolicy) (made identity.ManagedPolicy, err error) {
	if err := s.allowPolicy(ctx, who, "iam:CreatePolicy", p); err != nil {
		return made, err
	}
	if len(n.Tags) > 0 {
		if err := s.allowPolicy(ctx, who, "iam:TagPolicy", p); err != nil {
			return made, err
		}
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		made, err = d.CreatePolicy(ctx, p, n)
		return err
	})
	return made, err
}

// ManagedPolicy returns a managed policy. Errors: NotFound.
func (s *Service) ManagedPolicy(ctx context.Context, who packhouse.Principal, p identity.PolicyRef) (identity.ManagedPolicy, error) {
	if err := s.allowPolicy(ctx, who, "iam:GetPolicy", p); err != nil {
		return identity.ManagedPolicy{}, err
	}
	policy, err := s.reader().Policy(ctx, who.Account, p)
	return policy, storeError("find policy", err)
}

// ManagedPolicies returns a page of an account's own managed policies by name, of those
// whose paths begin with prefix.
func (s *Service) ManagedPolicies(ctx context.Context, who packhouse.Principal, a packhouse.AccountID, prefix, after string, limit int) ([]identity.ManagedPolicy, error) {
	if err := s.allowAccount(ctx, who, "iam:ListPolicies", a, "policy"+prefix); err != nil {
		return nil, err
	}
	list, err := s.reader().ListPolicies(ctx, a, prefix, after, limit)
	return list, storeError("list policies", err)
}

// DeletePolicy removes a managed policy that is attached to nobody. Errors: NotFound;
// Conflict identity.ReasonInUse.
func (s *Service) DeletePolicy(ctx context.Context, who packhouse.Principal, p identity.PolicyRef) error {
	if err := s.allowPolicy(ctx, who, "iam:DeletePolicy", p); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.DeletePolicy(ctx, p) })
}

// AttachPolicy gives a managed policy to an identity. Errors: Denied for more than the
// caller holds; NotFound; QuotaExceeded.
func (s *Service) AttachPolicy(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, p identity.PolicyRef) error {
	if err := s.allowIdentity(ctx, who, iamAction("Attach", ref.Kind, "Policy"), &ref, map[string]string{authz.KeyPolicyARN: p.ARN()}); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.Attach(ctx, ref, p) })
}

// DetachPolicy takes a managed policy from an identity. Errors: NotFound; Denied where
// what is left is more than the caller holds.
func (s *Service) DetachPolicy(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, p identity.PolicyRef) error {
	if err := s.allowIdentity(ctx, who, iamAction("Detach", ref.Kind, "Policy"), &ref, map[string]string{authz.KeyPolicyARN: p.ARN()}); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.Detach(ctx, ref, p) })
}

// AttachedPolicies returns the managed policies of an identity. Errors: NotFound.
func (s *Service) AttachedPolicies(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef) ([]identity.PolicyRef, error) {
	if err := s.allowSelf(ctx, who, iamAction("ListAttached", ref.Kind, "Policies"), &ref); err != nil {
		return nil, err
	}
	list, err := s.reader().Attached(ctx, ref)
	return list, storeError("list attached policies", err)
}

// PutInlinePolicy adds or replaces a document of an identity's own. Errors: Denied for
// more than the caller holds; NotFound; Invalid; QuotaExceeded.
func (s *Service) PutInlinePolicy(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, name, document string) error {
	if err := s.allowIdentity(ctx, who, iamAction("Put", ref.Kind, "Policy"), &ref, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error {
		return d.PutInline(ctx, ref, catalog.InlinePolicyRow{Name: name, Document: document})
	})
}

// InlinePolicy returns a document of an identity's own. Errors: NotFound.
func (s *Service) InlinePolicy(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, name string) (string, error) {
	if err := s.allowSelf(ctx, who, iamAction("Get", ref.Kind, "Policy"), &ref); err != nil {
		return "", err
	}
	policy, err := s.reader().InlineByName(ctx, ref, name)
	return policy.Document, storeError("find inline policy", err)
}

// InlinePolicies returns the names of the documents of an identity's own. Errors:
// NotFound.
func (s *Service) InlinePolicies(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef) ([]string, error) {
	if err := s.allowSelf(ctx, who, iamAction("List", ref.Kind, "Policies"), &ref); err != nil {
		return nil, err
	}
	list, err := s.reader().Inline(ctx, ref)
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return names, storeError("list inline policies", err)
}

// DeleteInlinePolicy removes a document of an identity's own. Errors: NotFound; Denied
// where what is left is more than the caller holds.
func (s *Service) DeleteInlinePolicy(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, name string) error {
	if err := s.allowIdentity(ctx, who, iamAction("Delete", ref.Kind, "Policy"), &ref, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.DeleteInline(ctx, ref, name) })
}
