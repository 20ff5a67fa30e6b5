package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// PolicyRef names a managed policy. Account is "aws" for those that the server ships.
type PolicyRef struct {
	Account packhouse.AccountID
	Name    string
}

// shippedAccount owns the policies that the server ships.
const shippedAccount packhouse.AccountID = "aws"

// ARN returns arn:aws:iam::ACCOUNT:policy/NAME.
func (r PolicyRef) ARN() string { return packhouse.IdentityPolicyARN(r.Account, r.Name) }

// Shipped reports whether the policy is one that the server ships.
func (r PolicyRef) Shipped() bool { return r.Account == shippedAccount }

// ParsePolicyARN reads what PolicyRef.ARN writes, and the AWS spelling of shipped
// policies, arn:aws:iam::aws:policy/NAME. Errors: Invalid "invalid_arn".
func ParsePolicyARN(arn string) (PolicyRef, error) {
	rest, ok := strings.CutPrefix(arn, "arn:"+packhouse.Partition+":iam::")
	account, name, policy := strings.Cut(rest, ":policy/")
	if !ok || !policy || account == "" || validName("policy", name) != nil {
		return PolicyRef{}, packhouse.Invalidf("invalid_arn", "The ARN %.200q is not valid: arn:aws:iam::ACCOUNT:policy/NAME, with aws as account for shipped policies.", arn)
	}
	return PolicyRef{packhouse.AccountID(account), name}, nil
}

// ManagedPolicy is a policy that can be attached.
type ManagedPolicy struct {
	PolicyRef
	Document         string
	Description      string
	ID               string // "ANPA..."; for life
	Attachments      int
	Created, Updated time.Time
}

func managedPolicy(row catalog.ManagedPolicyRow) ManagedPolicy {
	return ManagedPolicy{PolicyRef: refOf(row.PolicyRow), Document: row.Document, Description: row.Description,
		ID: "ANPA" + uniqueSuffix("policy", row.ID, row.Created), Attachments: row.Attachments, Created: row.Created, Updated: row.Updated}
}

// refOf names the policy of a row. Each account has rows of its own for the shipped ones
// that it attached.
func refOf(row catalog.PolicyRow) PolicyRef {
	if _, ok := authz.Managed(row.Name); ok {
		return PolicyRef{shippedAccount, row.Name}
	}
	return PolicyRef{row.Account, row.Name}
}

// shippedSince is the date that lists show of shipped policies.
var shippedSince = time.Date(2019, 6, 13, 0, 0, 0, 0, time.UTC)

func shipped(name string) (ManagedPolicy, bool) {
	document, ok := authz.Managed(name)
	return ManagedPolicy{PolicyRef: PolicyRef{shippedAccount, name}, Document: document, Description: "Shipped with the server.",
		ID: "ANPA" + uniqueSuffix("shipped "+name, 0, shippedSince), Created: shippedSince, Updated: shippedSince}, ok
}

// CreatePolicy makes a managed policy, attached to nobody. Errors: Conflict
// "policy_exists", also for the names of shipped ones; Invalid; QuotaExceeded.
func (d Directory) CreatePolicy(ctx context.Context, ref PolicyRef, document, description string) (ManagedPolicy, error) {
	if err := validPolicyName(ref.Name); err != nil {
		return ManagedPolicy{}, err
	}
	if _, ok := authz.Managed(ref.Name); ok {
		return ManagedPolicy{}, exists(catalog.ErrExists, packhouse.ResourceIdentityPolicy, ref.Name)
	}
	if utf8.RuneCountInString(description) > maxDescription || !utf8.ValidString(description) {
		return ManagedPolicy{}, packhouse.Invalidf("invalid_description", "The description may have at most %d characters.", maxDescription)
	}
	if _, err := authz.ParseIdentity(ref.Name, []byte(document)); err != nil {
		return ManagedPolicy{}, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	row := catalog.ManagedPolicyRow{PolicyRow: catalog.PolicyRow{Account: ref.Account, Name: ref.Name, Document: document},
		Description: description, Created: now, Updated: now}
	err := d.update(ctx, func(tx *catalog.Tx) error {
		count, err := tx.CountPolicies(ctx, ref.Account)
		if err != nil {
			return fmt.Errorf("count policies: %w", err)
		}
		if count >= MaxPolicies {
			return limitExceeded("Cannot have more than %d policies in account %s.", MaxPolicies, ref.Account)
		}
		if row.ID, err = tx.InsertPolicy(ctx, row); err != nil {
			return exists(fmt.Errorf("insert policy: %w", err), packhouse.ResourceIdentityPolicy, ref.Name)
		}
		return d.note(ctx, tx, packhouse.ChangePolicyChanged, "creation of %s", ref.ARN())
	})
	return managedPolicy(row), err
}

func policyNotFound(name string) error {
	return packhouse.NotFoundf(packhouse.ResourceIdentityPolicy, name, "Policy %.200s does not exist or is not attachable.", name)
}

// Policy returns a managed policy; a names the account whose attachments are counted.
// Errors: NotFound.
func (d Directory) Policy(ctx context.Context, a packhouse.AccountID, ref PolicyRef) (p ManagedPolicy, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PolicyByName(ctx, a, ref.Name)
		switch {
		case err == nil && refOf(row.PolicyRow) == ref:
			p = managedPolicy(row)
		case err != nil && !isNotFound(err):
			return err
		}
		if ref.Shipped() {
			attachments := p.Attachments
			var ok bool
			if p, ok = shipped(ref.Name); !ok {
				return policyNotFound(ref.ARN())
			}
			p.Attachments = attachments
		}
		if p.Name == "" {
			return policyNotFound(ref.ARN())
		}
		return nil
	})
	return p, err
}

// ListPolicies returns a page of an account's own policies by name, after the one given.
func (d Directory) ListPolicies(ctx context.Context, a packhouse.AccountID, after string, limit int) (list []ManagedPolicy, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = list[:0]
		for len(list) < limit {
			rows, err := tx.ManagedPolicies(ctx, a, after, limit)
			if err != nil {
				return err
			}
			for _, row := range rows {
				if after = row.Name; !refOf(row.PolicyRow).Shipped() && len(list) < limit {
					list = append(list, managedPolicy(row))
				}
			}
			if len(rows) < limit {
				break
			}
		}
		return nil
	})
	return list, err
}

// ShippedPolicies returns the policies that the server ships.
func ShippedPolicies() []ManagedPolicy {
	var list []ManagedPolicy
	for _, name := range authz.ManagedNames() {
		p, _ := shipped(name)
		list = append(list, p)
	}
	return list
}

// DeletePolicy removes a policy that is attached to nobody. Errors: NotFound; Conflict
// ReasonInUse; Invalid for shipped ones.
func (d Directory) DeletePolicy(ctx context.Context, ref PolicyRef) error {
	if ref.Shipped() {
		return packhouse.Invalidf("shipped_policy", "Policies that the server ships cannot be deleted.")
	}
	return d.update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PolicyByName(ctx, ref.Account, ref.Name)
		if isNotFound(err) {
			return policyNotFound(ref.ARN())
		}
		if err != nil {
			return fmt.Errorf("find policy: %w", err)
		}
		if row.Attachments > 0 {
			return packhouse.Conflictf(ReasonInUse, packhouse.ResourceIdentityPolicy, ref.Name, "Cannot delete a policy attached to entities; detach it first.")
		}
		if err := tx.DeletePolicy(ctx, row.ID); err != nil {
			return fmt.Errorf("delete policy: %w", err)
		}
		return d.note(ctx, tx, packhouse.ChangePolicyChanged, "removal of %s", ref.ARN())
	})
}

// Attach gives a managed policy to an identity; repeating it changes nothing. Errors:
// NotFound for either; QuotaExceeded.
func (d Directory) Attach(ctx context.Context, ref packhouse.IdentityRef, p PolicyRef) error {
	_, err := d.change(ctx, ref, packhouse.ChangePolicyChanged, "attachment of "+p.ARN(), true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		return attach(ctx, tx, *row, p)
	})
	return err
}

func attach(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow, p PolicyRef) error {
	held, err := tx.PolicyByName(ctx, row.Account, p.Name)
	id := held.ID
	document, isShipped := authz.Managed(p.Name)
	switch {
	case isShipped && p.Shipped() && isNotFound(err):
		if id, err = tx.PutPolicy(ctx, catalog.PolicyRow{Account: row.Account, Name: p.Name, Document: document}); err != nil {
			return fmt.Errorf("put policy: %w", err)
		}
	case isNotFound(err), err == nil && refOf(held.PolicyRow) != p:
		return policyNotFound(p.ARN())
	case err != nil:
		return fmt.Errorf("find policy: %w", err)
	}
	if err := tx.AttachPolicy(ctx, id, row.ID); err != nil {
		return fmt.Errorf("attach policy: %w", err)
	}
	attached, err := tx.PoliciesOf(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list attached policies: %w", err)
	}
	if len(attached) > MaxAttached {
		return limitExceeded("Cannot attach more than %d policies to a %s.", MaxAttached, row.Kind)
	}
	return nil
}

// Detach takes a managed policy from an identity. Errors: NotFound.
func (d Directory) Detach(ctx context.Context, ref packhouse.IdentityRef, p PolicyRef) error {
	_, err := d.change(ctx, ref, packhouse.ChangePolicyChanged, "detachment of "+p.ARN(), true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		held, err := tx.PolicyByName(ctx, row.Account, p.Name)
		if err == nil && refOf(held.PolicyRow) == p {
			err = tx.DetachPolicy(ctx, held.ID, row.ID)
		} else if err == nil {
			err = catalog.ErrNotFound
		}
		if isNotFound(err) {
			return packhouse.NotFoundf(packhouse.ResourceIdentityPolicy, p.Name, "Policy %s was not found on %s %s.", p.ARN(), row.Kind, row.Name)
		}
		return err
	})
	return err
}

// Attached returns the managed policies of an identity by name, at most MaxAttached.
// Errors: NotFound.
func (d Directory) Attached(ctx context.Context, ref packhouse.IdentityRef) (list []PolicyRef, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := d.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		rows, err := tx.PoliciesOf(ctx, row.ID)
		list = list[:0]
		for _, r := range rows {
			list = append(list, refOf(r))
		}
		return err
	})
	return list, err
}

// PutInline adds or replaces a document of an identity's own. Errors: NotFound; Invalid;
// QuotaExceeded.
func (d Directory) PutInline(ctx context.Context, ref packhouse.IdentityRef, p catalog.InlinePolicyRow) error {
	if err := validPolicyName(p.Name); err != nil {
		return err
	}
	if _, err := authz.ParseIdentity(p.Name, []byte(p.Document)); err != nil {
		return err
	}
	_, err := d.change(ctx, ref, packhouse.ChangePolicyChanged, "inline policy "+p.Name, true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		return putInline(ctx, tx, *row, p)
	})
	return err
}

func putInline(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow, p catalog.InlinePolicyRow) error {
	if err := tx.PutInlinePolicy(ctx, row.ID, p); err != nil {
		return fmt.Errorf("put inline policy: %w", err)
	}
	all, err := tx.InlinePolicies(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list inline policies: %w", err)
	}
	if len(all) > MaxInline {
		return limitExceeded("Cannot have more than %d inline policies on a %s.", MaxInline, row.Kind)
	}
	return nil
}

// Inline returns the documents of an identity's own by name, at most MaxInline. Errors:
// NotFound.
func (d Directory) Inline(ctx context.Context, ref packhouse.IdentityRef) (list []catalog.InlinePolicyRow, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := d.find(ctx, tx, ref)
		if err != nil {
			return err
		}
		list, err = tx.InlinePolicies(ctx, row.ID)
		return err
	})
	return list, err
}

// InlineByName returns one of them. Errors: NotFound.
func (d Directory) InlineByName(ctx context.Context, ref packhouse.IdentityRef, name string) (catalog.InlinePolicyRow, error) {
	list, err := d.Inline(ctx, ref)
	if err != nil {
		return catalog.InlinePolicyRow{}, err
	}
	i := slices.IndexFunc(list, func(p catalog.InlinePolicyRow) bool { return p.Name == name })
	if i < 0 {
		return catalog.InlinePolicyRow{}, inlineNotFound(ref, name)
	}
	return list[i], nil
}

func inlineNotFound(ref packhouse.IdentityRef, name string) error {
	return packhouse.NotFoundf(packhouse.ResourceIdentityPolicy, name, "The %s policy with name %.128s cannot be found.", ref.Kind, name)
}

// DeleteInline removes a document of an identity's own. Errors: NotFound.
func (d Directory) DeleteInline(ctx context.Context, ref packhouse.IdentityRef, name string) error {
	_, err := d.change(ctx, ref, packhouse.ChangePolicyChanged, "removal of inline policy "+name, true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		err := tx.DeleteInlinePolicy(ctx, row.ID, name)
		if errors.Is(err, catalog.ErrNotFound) {
			return inlineNotFound(ref, name)
		}
		return err
	})
	return err
}

const maxPolicyName = 128

func validPolicyName(name string) error {
	if len(name) <= maxPolicyName && isOf(name, nameCharacter) {
		return nil
	}
	return packhouse.Invalidf("invalid_name", "The policy name %.140q is not valid: 1 to %d characters of A-Z a-z 0-9 + = , . @ _ -", name, maxPolicyName)
}
