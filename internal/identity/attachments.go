package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// Attach gives a managed policy to an identity; repeating it changes nothing. Errors:
// NotFound for either; QuotaExceeded.
func (d Directory) Attach(ctx context.Context, ref packhouse.IdentityRef, p PolicyRef) error {
	_, err := d.change(ctx, ref, packhouse.ChangePolicyChanged, "attachment of "+p.ARN(), true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		return attach(ctx, tx, *row, p)
	})
	return err
}

// policyID returns the row of a managed policy that an account may use; of a shipped one
// each account makes its own with the first use. Errors: NotFound.
func policyID(ctx context.Context, tx *catalog.Tx, a packhouse.AccountID, p PolicyRef) (int64, error) {
	held, err := tx.PolicyByName(ctx, a, p.Name)
	document, isShipped := authz.Managed(p.Name)
	switch {
	case isShipped && p.is(catalog.PolicyRow{Name: p.Name}) && isNotFound(err):
		id, err := tx.PutPolicy(ctx, catalog.PolicyRow{Account: a, Name: p.Name, Document: document})
		if err != nil {
			return 0, fmt.Errorf("put policy: %w", err)
		}
		return id, nil
	case isNotFound(err), err == nil && !p.is(held.PolicyRow):
		return 0, policyNotFound(p.ARN())
	case err != nil:
		return 0, fmt.Errorf("find policy: %w", err)
	}
	return held.ID, nil
}

func attach(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow, p PolicyRef) error {
	id, err := policyID(ctx, tx, row.Account, p)
	if err != nil {
		return err
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
		if err == nil && p.is(held.PolicyRow) {
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
