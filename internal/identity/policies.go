package identity

import (
	"context"
	"fmt"
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
	Path    string // "" where nobody said, which finds it under every path
}

// shippedAccount owns the policies that the server ships.
const shippedAccount packhouse.AccountID = "aws"

// ARN returns arn:aws:iam::ACCOUNT:policy/PATH/NAME.
func (r PolicyRef) ARN() string { return packhouse.IdentityPolicyARN(r.Account, r.Path, r.Name) }

// String returns the ARN, "none" for the zero value.
func (r PolicyRef) String() string {
	if r == (PolicyRef{}) {
		return "none"
	}
	return r.ARN()
}

// is reports whether the policy of a row is the one that is meant.
func (r PolicyRef) is(row catalog.PolicyRow) bool {
	of := refOf(row)
	return of.Account == r.Account && of.Name == r.Name && (r.Path == "" || of.Path == r.Path)
}

// Shipped reports whether the policy is one that the server ships.
func (r PolicyRef) Shipped() bool { return r.Account == shippedAccount }

// ParsePolicyARN reads what PolicyRef.ARN writes, and the AWS spelling of shipped
// policies, arn:aws:iam::aws:policy/NAME. Errors: Invalid "invalid_arn".
func ParsePolicyARN(arn string) (PolicyRef, error) {
	rest, ok := strings.CutPrefix(arn, "arn:"+packhouse.Partition+":iam::")
	account, place, policy := strings.Cut(rest, ":policy/")
	at := strings.LastIndexByte(place, '/') + 1
	ref := PolicyRef{Account: packhouse.AccountID(account), Name: place[at:], Path: "/" + place[:at]}
	if !ok || !policy || account == "" || validPolicyName(ref.Name) != nil || validPolicyPath(ref.Path) != nil {
		return PolicyRef{}, packhouse.Invalidf("invalid_arn", "The ARN %.200q is not valid: arn:aws:iam::ACCOUNT:policy/PATH/NAME, with aws as account for shipped policies.", arn)
	}
	return ref, nil
}

// validPolicyPath checks the path of a managed policy, which has only characters that its
// name may have too.
//
// Source: IAM API reference, policyPathType.
func validPolicyPath(path string) error {
	if ValidPath(path) == nil && !strings.Contains(path, "//") && isOf(path, func(c byte) bool { return c == '/' || nameCharacter(c) }) {
		return nil
	}
	return packhouse.Invalidf("invalid_path", "The path %.80q is not valid: at most %d of A-Z a-z 0-9 + = , . @ _ - and single slashes, one at the beginning and one at the end.", path, maxPath)
}

// ManagedPolicy is a policy that can be attached.
type ManagedPolicy struct {
	PolicyRef
	Document         string
	Description      string
	ID               string                  // "ANPA..."; for life
	Tags             []packhouse.ResourceTag // by key
	Attachments      int
	Boundaries       int   // identities whose permissions boundary it is
	Version          int64 // the one whose document this is
	Created, Updated time.Time
}

func managedPolicy(row catalog.ManagedPolicyRow) ManagedPolicy {
	return ManagedPolicy{PolicyRef: refOf(row.PolicyRow), Document: row.Document, Description: row.Description, Tags: row.Tags,
		ID: "ANPA" + uniqueSuffix("policy", row.ID, row.Created), Attachments: row.Attachments, Boundaries: row.Boundaries,
		Version: row.Version, Created: row.Created, Updated: row.Updated}
}

// refOf names the policy of a row. Each account has rows of its own for the shipped ones
// that it attached.
func refOf(row catalog.PolicyRow) PolicyRef {
	if _, ok := authz.Managed(row.Name); ok {
		return shippedRef(row.Name)
	}
	return PolicyRef{row.Account, row.Name, row.Path}
}

func shippedRef(name string) PolicyRef { return PolicyRef{shippedAccount, name, packhouse.RootPath} }

// shippedSince is the date that lists show of shipped policies.
var shippedSince = time.Date(2019, 6, 13, 0, 0, 0, 0, time.UTC)

func shipped(name string) (ManagedPolicy, bool) {
	document, ok := authz.Managed(name)
	return ManagedPolicy{PolicyRef: shippedRef(name), Document: document, Description: "Shipped with the server.", Version: 1,
		ID: "ANPA" + uniqueSuffix("shipped "+name, 0, shippedSince), Created: shippedSince, Updated: shippedSince}, ok
}

// NewPolicy is what a managed policy begins with besides its name and path.
type NewPolicy struct {
	Document, Description string
	Tags                  []packhouse.ResourceTag
}

// CreatePolicy makes a managed policy, attached to nobody. Errors: Conflict
// "policy_exists", also for the names of shipped ones; Invalid; QuotaExceeded.
func (d Directory) CreatePolicy(ctx context.Context, ref PolicyRef, n NewPolicy) (ManagedPolicy, error) {
	document, description := n.Document, n.Description
	if ref.Path == "" {
		ref.Path = packhouse.RootPath
	}
	if err := validPolicyName(ref.Name); err != nil {
		return ManagedPolicy{}, err
	}
	if err := validPolicyPath(ref.Path); err != nil {
		return ManagedPolicy{}, err
	}
	tags, err := mergeTags(nil, n.Tags)
	if err != nil {
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
	row := catalog.ManagedPolicyRow{PolicyRow: catalog.PolicyRow{Account: ref.Account, Name: ref.Name, Path: ref.Path, Document: document},
		Description: description, Tags: tags, Version: 1, Created: now, Updated: now}
	err = d.update(ctx, func(tx *catalog.Tx) error {
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
		case err == nil && ref.is(row.PolicyRow):
			p = managedPolicy(row)
		case err != nil && !isNotFound(err):
			return err
		}
		if ref.Shipped() {
			used := p
			var ok bool
			if p, ok = shipped(ref.Name); !ok {
				return policyNotFound(ref.ARN())
			}
			p.Attachments, p.Boundaries = used.Attachments, used.Boundaries
		}
		if p.Name == "" || ref.Path != "" && p.Path != ref.Path {
			return policyNotFound(ref.ARN())
		}
		return nil
	})
	return p, err
}

// ListPolicies returns a page of an account's own policies by name, after the one given,
// whose paths begin with prefix.
func (d Directory) ListPolicies(ctx context.Context, a packhouse.AccountID, prefix, after string, limit int) (list []ManagedPolicy, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = list[:0]
		for len(list) < limit {
			rows, err := tx.ManagedPolicies(ctx, a, prefix, after, limit)
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

// DeletePolicy removes a policy that is attached to nobody and is nobody's permissions
// boundary, with its versions. Errors: NotFound; Conflict ReasonInUse; Invalid for
// shipped ones.
func (d Directory) DeletePolicy(ctx context.Context, ref PolicyRef) error {
	return d.changePolicy(ctx, ref, "removal", func(tx *catalog.Tx, row catalog.ManagedPolicyRow) error {
		switch {
		case row.Attachments > 0:
			return packhouse.Conflictf(ReasonInUse, packhouse.ResourceIdentityPolicy, ref.Name, "Cannot delete a policy attached to entities; detach it first.")
		case row.Boundaries > 0:
			return packhouse.Conflictf(ReasonInUse, packhouse.ResourceIdentityPolicy, ref.Name, "Cannot delete a policy that is a permissions boundary of %d identities; take it from them first.", row.Boundaries)
		}
		return tx.DeletePolicy(ctx, row.ID)
	})
}

const maxPolicyName = 128

func validPolicyName(name string) error {
	if len(name) <= maxPolicyName && isOf(name, nameCharacter) {
		return nil
	}
	return packhouse.Invalidf("invalid_name", "The policy name %.140q is not valid: 1 to %d characters of A-Z a-z 0-9 + = , . @ _ -", name, maxPolicyName)
}
