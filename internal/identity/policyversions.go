package identity

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// PolicyVersion is one document that a managed policy has or had.
type PolicyVersion struct {
	Number   int64 // from 1; never given twice in one policy
	Document string
	Created  time.Time
	Default  bool // the one that holds
}

// changePolicy finds a managed policy of an account's own, changes it and writes the
// ledger's row, in one transaction. Errors: NotFound; Invalid for shipped ones.
func (d Directory) changePolicy(ctx context.Context, ref PolicyRef, what string, fn func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error) error {
	if ref.Shipped() {
		return packhouse.Invalidf("shipped_policy", "Policies that the server ships cannot be changed or deleted.")
	}
	return d.update(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PolicyByName(ctx, ref.Account, ref.Name)
		if isNotFound(err) || err == nil && !ref.is(row.PolicyRow) {
			return policyNotFound(ref.ARN())
		}
		if err != nil {
			return fmt.Errorf("find policy: %w", err)
		}
		if err := fn(tx, row); err != nil {
			return err
		}
		return d.note(ctx, tx, packhouse.ChangePolicyChanged, "%s of %s", what, refOf(row.PolicyRow).ARN())
	})
}

// CreatePolicyVersion adds a document to a managed policy; with setDefault it is the one
// that holds from now on. Errors: as SetDefaultPolicyVersion; Invalid for the document;
// QuotaExceeded beyond MaxPolicyVersions.
func (d Directory) CreatePolicyVersion(ctx context.Context, ref PolicyRef, document string, setDefault bool) (made PolicyVersion, err error) {
	if _, err := authz.ParseIdentity(ref.Name, []byte(document)); err != nil {
		return made, err
	}
	err = d.changePolicy(ctx, ref, "new version", func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error {
		versions, err := tx.PolicyVersions(ctx, row.ID)
		if err != nil {
			return fmt.Errorf("list versions: %w", err)
		}
		if len(versions) >= MaxPolicyVersions {
			return limitExceeded("A managed policy can have up to %d versions; delete one first.", MaxPolicyVersions)
		}
		inserted, err := tx.InsertPolicyVersion(ctx, row.ID, document)
		if err != nil {
			return fmt.Errorf("insert version: %w", err)
		}
		made = PolicyVersion{inserted.Version, document, inserted.Created, setDefault}
		if !setDefault {
			return nil
		}
		return d.setDefault(ctx, tx, row.ID, inserted.Version)
	})
	return made, err
}

// SetDefaultPolicyVersion makes a version of a managed policy the one that holds. Guard
// is asked about everybody whose rights or limits it is part of. Errors: NotFound for
// either; Invalid for shipped policies.
func (d Directory) SetDefaultPolicyVersion(ctx context.Context, ref PolicyRef, version int64) error {
	return d.changePolicy(ctx, ref, fmt.Sprintf("default version v%d", version), func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error {
		err := d.setDefault(ctx, tx, row.ID, version)
		if isNotFound(err) {
			return versionNotFound(ref, version)
		}
		return err
	})
}

func versionNotFound(ref PolicyRef, version int64) error {
	return packhouse.NotFoundf(packhouse.ResourceIdentityPolicy, ref.Name, "Policy %s version v%d does not exist.", ref.ARN(), version)
}

// setDefault looks at each holder of the policy: one document narrows some and widens
// others, for it may deny less than the last one.
func (d Directory) setDefault(ctx context.Context, tx *catalog.Tx, policyID, version int64) error {
	if err := tx.SetDefaultPolicyVersion(ctx, policyID, version); err != nil {
		return fmt.Errorf("set default version: %w", err)
	}
	if d.Guard == nil {
		return nil
	}
	under, err := tx.PrincipalsUnder(ctx, policyID)
	if err != nil {
		return fmt.Errorf("list holders: %w", err)
	}
	for _, row := range under {
		if err := d.guard(ctx, tx, row); err != nil {
			return err
		}
	}
	return nil
}

// PolicyVersions returns a managed policy with its versions, newest first; a shipped one
// has one. Errors: NotFound.
func (d Directory) PolicyVersions(ctx context.Context, a packhouse.AccountID, ref PolicyRef) (p ManagedPolicy, versions []PolicyVersion, err error) {
	if p, err = d.Policy(ctx, a, ref); err != nil {
		return p, nil, err
	}
	if p.Shipped() {
		return p, []PolicyVersion{{p.Version, p.Document, p.Created, true}}, nil
	}
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.PolicyByName(ctx, ref.Account, ref.Name)
		if isNotFound(err) {
			return policyNotFound(ref.ARN())
		}
		if err != nil {
			return err
		}
		p = managedPolicy(row)
		rows, err := tx.PolicyVersions(ctx, row.ID)
		versions = make([]PolicyVersion, len(rows))
		for i, v := range rows {
			versions[i] = PolicyVersion{v.Version, v.Document, v.Created, v.Version == p.Version}
		}
		return err
	})
	return p, versions, err
}

// PolicyVersion returns a version of a managed policy. Errors: NotFound for either.
func (d Directory) PolicyVersion(ctx context.Context, a packhouse.AccountID, ref PolicyRef, number int64) (PolicyVersion, error) {
	_, versions, err := d.PolicyVersions(ctx, a, ref)
	if err != nil {
		return PolicyVersion{}, err
	}
	i := slices.IndexFunc(versions, func(v PolicyVersion) bool { return v.Number == number })
	if i < 0 {
		return PolicyVersion{}, versionNotFound(ref, number)
	}
	return versions[i], nil
}

// DeletePolicyVersion removes a version that does not hold. Errors: NotFound; Conflict
// ReasonInUse for the default version; Invalid for shipped policies.
func (d Directory) DeletePolicyVersion(ctx context.Context, ref PolicyRef, version int64) error {
	return d.changePolicy(ctx, ref, fmt.Sprintf("removal of version v%d", version), func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error {
		if row.Version == version {
			return packhouse.Conflictf(ReasonInUse, packhouse.ResourceIdentityPolicy, ref.Name, "Cannot delete the default version of a policy.")
		}
		err := tx.DeletePolicyVersion(ctx, row.ID, version)
		if isNotFound(err) {
			return versionNotFound(ref, version)
		}
		return err
	})
}

// TagPolicy adds tags to a managed policy or replaces their values, and takes those of
// the keys away. Nothing is decided by them. Errors: NotFound; Invalid, also for shipped
// policies; QuotaExceeded.
func (d Directory) TagPolicy(ctx context.Context, ref PolicyRef, add []packhouse.ResourceTag, remove []string) error {
	return d.changePolicy(ctx, ref, "tags", func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error {
		tags, err := mergeTags(withoutTags(row.Tags, remove), add)
		if err != nil {
			return err
		}
		return tx.SetPolicyTags(ctx, row.ID, tags)
	})
}
