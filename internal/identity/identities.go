package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// NewIdentity is what a user, group or role begins with besides its name.
type NewIdentity struct {
	Tags        []packhouse.ResourceTag // users and roles
	Trust       string                  // roles: the trust policy, required
	Description string                  // roles
	MaxSession  time.Duration           // roles; 0 means DefaultMaxSession
	Boundary    PolicyRef               // users and roles: the permissions boundary; zero for none
}

// Update is what to change; what is nil stays.
type Update struct {
	Name        *string
	Trust       *string
	Description *string
	MaxSession  *time.Duration
	Path        *string
	Boundary    *PolicyRef // zero takes it away
}

// Create makes a user, a group or a role; users have no credentials yet. Errors:
// Conflict "KIND_exists"; Invalid for names, paths, tags, the account ("unknown_account")
// and the trust policy; NotFound for the boundary; QuotaExceeded.
func (d Directory) Create(ctx context.Context, ref packhouse.IdentityRef, n NewIdentity) (catalog.PrincipalRow, error) {
	if ref.Path == "" {
		ref.Path = packhouse.RootPath
	}
	row := catalog.PrincipalRow{Account: ref.Account, Kind: ref.Kind, Name: ref.Name, Path: ref.Path, ARN: ref.ARN(), Created: time.Now().UTC().Truncate(time.Microsecond)}
	if err := validName(string(ref.Kind), ref.Name); err != nil {
		return row, err
	}
	if err := ValidPath(ref.Path); err != nil {
		return row, err
	}
	var err error
	if row.Tags, err = mergeTags(nil, n.Tags); err != nil {
		return row, err
	}
	if ref.Kind == packhouse.KindRole {
		update := Update{Trust: &n.Trust, Description: &n.Description, MaxSession: &n.MaxSession}
		if n.MaxSession == 0 {
			*update.MaxSession = DefaultMaxSession
		}
		if err := update.apply(&row); err != nil {
			return row, err
		}
	}
	err = d.update(ctx, func(tx *catalog.Tx) error {
		accounts, err := tx.Accounts(ctx)
		if err != nil {
			return fmt.Errorf("list accounts: %w", err)
		}
		if !slices.Contains(accounts, ref.Account) {
			return packhouse.Invalidf("unknown_account", "There is no account %.20q.", ref.Account)
		}
		count, err := tx.CountPrincipals(ctx, ref.Account, ref.Kind)
		if err != nil {
			return fmt.Errorf("count principals: %w", err)
		}
		if count >= MaxIdentities {
			return limitExceeded("Cannot have more than %d %ss in account %s.", MaxIdentities, ref.Kind, ref.Account)
		}
		if err := setBoundary(ctx, tx, &row, n.Boundary); err != nil {
			return err
		}
		if row.ID, err = tx.InsertPrincipal(ctx, row); err != nil {
			return exists(fmt.Errorf("insert principal: %w", err), string(ref.Kind), ref.Name)
		}
		return d.note(ctx, tx, packhouse.ChangePrincipalCreated, "%s %s", ref.Kind, row.ARN)
	})
	return row, err
}

// Get returns an identity. Errors: NotFound.
func (d Directory) Get(ctx context.Context, ref packhouse.IdentityRef) (row catalog.PrincipalRow, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err = d.find(ctx, tx, ref)
		return err
	})
	return row, err
}

// Bounded returns an identity with the ARN of its permissions boundary, "" for none.
// Errors: NotFound.
func (d Directory) Bounded(ctx context.Context, ref packhouse.IdentityRef) (row catalog.PrincipalRow, boundary string, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if row, err = d.find(ctx, tx, ref); err != nil || row.BoundaryID == 0 {
			return err
		}
		p, err := tx.PolicyByID(ctx, row.BoundaryID)
		boundary = refOf(p).ARN()
		return err
	})
	return row, boundary, err
}

// Place returns where an identity stands, and the ARN of its permissions boundary. One
// that does not exist stands at the root.
func (d Directory) Place(ctx context.Context, ref packhouse.IdentityRef) (placed packhouse.IdentityRef, boundary string, err error) {
	row, boundary, err := d.Bounded(ctx, ref)
	if packhouse.KindOf(err) == packhouse.KindNotFound {
		ref.Path = packhouse.RootPath
		return ref, "", nil
	}
	return row.IdentityRef(), boundary, err
}

// List returns a page of an account's identities of one kind by name, after the one
// given, whose paths begin with prefix.
func (d Directory) List(ctx context.Context, a packhouse.AccountID, kind packhouse.PrincipalKind, prefix, after string, limit int) (rows []catalog.PrincipalRow, err error) {
	err = d.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err = tx.PrincipalsAfter(ctx, a, kind, prefix, after, limit)
		return err
	})
	return rows, err
}

// change finds an identity, changes it and writes the ledger's row, in one transaction.
// guarded changes are those that can widen what somebody may do.
func (d Directory) change(ctx context.Context, ref packhouse.IdentityRef, kind packhouse.ChangeKind, what string, guarded bool,
	fn func(tx *catalog.Tx, row *catalog.PrincipalRow) error) (row catalog.PrincipalRow, err error) {
	err = d.update(ctx, func(tx *catalog.Tx) error {
		if row, err = d.find(ctx, tx, ref); err != nil {
			return err
		}
		if err := fn(tx, &row); err != nil {
			return err
		}
		if guarded {
			if err := d.guard(ctx, tx, row); err != nil {
				return err
			}
		}
		return d.note(ctx, tx, kind, "%s of %s", what, row.ARN)
	})
	return row, err
}

// Update changes an identity. A new trust policy is a way to the role's rights, and
// another permissions boundary can widen what its policies give, so Guard is asked about
// them. Errors: NotFound, also for the boundary; Conflict; Invalid.
func (d Directory) Update(ctx context.Context, ref packhouse.IdentityRef, u Update) (catalog.PrincipalRow, error) {
	what := "properties"
	if u.Boundary != nil {
		what = "permissions boundary " + u.Boundary.String()
	}
	return d.change(ctx, ref, packhouse.ChangePrincipalUpdated, what, u.Trust != nil || u.Boundary != nil, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		if err := u.apply(row); err != nil {
			return err
		}
		if u.Boundary != nil {
			if err := setBoundary(ctx, tx, row, *u.Boundary); err != nil {
				return err
			}
		}
		if err := tx.UpdatePrincipal(ctx, *row); err != nil {
			return exists(fmt.Errorf("update principal: %w", err), string(row.Kind), row.Name)
		}
		return nil
	})
}

// setBoundary makes a managed policy the permissions boundary of a row, or takes it away.
// Errors: NotFound; Invalid for groups.
func setBoundary(ctx context.Context, tx *catalog.Tx, row *catalog.PrincipalRow, p PolicyRef) (err error) {
	if row.BoundaryID = 0; p == (PolicyRef{}) {
		return nil
	}
	if row.Kind == packhouse.KindGroup {
		return packhouse.Invalidf("invalid_boundary", "A group has no permissions boundary; users and roles may have one.")
	}
	row.BoundaryID, err = policyID(ctx, tx, row.Account, p)
	return err
}

// Disable stops every access key, password, token and session of a user, or lets the
// user in again: sealed tokens and sessions that were made before have ended then, access
// keys, passwords and long-lived tokens are good again. Errors: NotFound.
func (d Directory) Disable(ctx context.Context, ref packhouse.IdentityRef, disabled bool) (catalog.PrincipalRow, error) {
	what := "enabling"
	if disabled {
		what = "disabling"
	}
	return d.change(ctx, ref, packhouse.ChangePrincipalUpdated, what, !disabled, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		row.Disabled = disabled
		return tx.DisablePrincipal(ctx, row.ID, disabled)
	})
}

const (
	maxPath        = 512  // characters
	maxDescription = 1000 // characters
)

// ValidPath checks the path of a user, a group or a role: "/", or printable ASCII without
// spaces between two slashes. Errors: Invalid "invalid_path".
//
// Source: IAM API reference, pathType.
func ValidPath(path string) error {
	if len(path) <= maxPath && strings.HasPrefix(path, "/") && strings.HasSuffix(path, "/") &&
		isOf(path, func(c byte) bool { return '!' <= c && c <= '~' }) {
		return nil
	}
	return packhouse.Invalidf("invalid_path", "The path %.80q is not valid: at most %d printable ASCII characters without spaces, with a slash at the beginning and at the end.", path, maxPath)
}

func (u Update) apply(row *catalog.PrincipalRow) error {
	if u.Name != nil && *u.Name != row.Name {
		if err := validName(string(row.Kind), *u.Name); err != nil {
			return err
		}
		row.Name = *u.Name
	}
	if u.Path != nil {
		if err := ValidPath(*u.Path); err != nil {
			return err
		}
		row.Path = *u.Path
	}
	row.ARN = row.IdentityRef().ARN()
	if u.Trust != nil {
		if _, err := authz.ParseTrust([]byte(*u.Trust)); err != nil {
			return err
		}
		row.Trust = *u.Trust
	}
	if u.Description != nil {
		if utf8.RuneCountInString(*u.Description) > maxDescription || !utf8.ValidString(*u.Description) {
			return packhouse.Invalidf("invalid_description", "The description may have at most %d characters.", maxDescription)
		}
		row.Description = *u.Description
	}
	if s := u.MaxSession; s != nil {
		if *s < ShortestMaxSession || *s > LongestMaxSession {
			return packhouse.Invalidf("invalid_duration", "The maximum session duration must be from %d to %d seconds.",
				int(ShortestMaxSession.Seconds()), int(LongestMaxSession.Seconds()))
		}
		row.MaxSession = *s
	}
	return nil
}

// Delete removes an identity. Its ARN may be given to another later on; its rights are
// not, and its credentials end. Without force whatever it still has is a Conflict
// ReasonInUse, as in IAM; with force it goes too. Errors: NotFound; Conflict.
func (d Directory) Delete(ctx context.Context, ref packhouse.IdentityRef, force bool) error {
	_, err := d.change(ctx, ref, packhouse.ChangePrincipalDeleted, "removal", false, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		if !force {
			if err := unused(ctx, tx, *row); err != nil {
				return err
			}
		}
		if err := tx.DeletePrincipal(ctx, row.ID); err != nil {
			return fmt.Errorf("delete principal: %w", err)
		}
		return nil
	})
	return err
}

// unused tells what hangs on an identity.
func unused(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow) error {
	keys, err := tx.AccessKeys(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list access keys: %w", err)
	}
	attached, err := tx.PoliciesOf(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list attached policies: %w", err)
	}
	inline, err := tx.InlinePolicies(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list inline policies: %w", err)
	}
	groups, err := tx.GroupsOf(ctx, row.ID)
	if err != nil {
		return fmt.Errorf("list groups: %w", err)
	}
	members, err := tx.Members(ctx, row.ID, "", 1)
	if err != nil {
		return fmt.Errorf("list members: %w", err)
	}
	switch {
	case len(keys) > 0:
		return inUse(row, "access keys")
	case len(attached) > 0:
		return inUse(row, "attached policies")
	case len(inline) > 0:
		return inUse(row, "inline policies")
	case len(groups) > 0:
		return inUse(row, "groups")
	case len(members) > 0:
		return inUse(row, "members")
	}
	return nil
}

// Tag adds tags to a user or role, or replaces their values. What a principal's tags are
// can decide what it may do, so Guard is asked. Errors: NotFound; Invalid;
// QuotaExceeded.
func (d Directory) Tag(ctx context.Context, ref packhouse.IdentityRef, tags []packhouse.ResourceTag) error {
	_, err := d.change(ctx, ref, packhouse.ChangePrincipalUpdated, "tags", true, func(tx *catalog.Tx, row *catalog.PrincipalRow) (err error) {
		if row.Tags, err = mergeTags(row.Tags, tags); err != nil {
			return err
		}
		return tx.UpdatePrincipal(ctx, *row)
	})
	return err
}

// Untag takes tags away; absent ones are no error. See Tag.
func (d Directory) Untag(ctx context.Context, ref packhouse.IdentityRef, keys []string) error {
	_, err := d.change(ctx, ref, packhouse.ChangePrincipalUpdated, "tags", true, func(tx *catalog.Tx, row *catalog.PrincipalRow) error {
		row.Tags = withoutTags(row.Tags, keys)
		return tx.UpdatePrincipal(ctx, *row)
	})
	return err
}

// withoutTags takes the tags of the keys out of a list, which it changes.
func withoutTags(tags []packhouse.ResourceTag, keys []string) []packhouse.ResourceTag {
	return slices.DeleteFunc(tags, func(t packhouse.ResourceTag) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(key, t.Key) })
	})
}

// mergeTags returns have with more added, by key. Keys differ in more than case, as
// conditions on them do.
func mergeTags(have, more []packhouse.ResourceTag) ([]packhouse.ResourceTag, error) {
	merged := slices.Clone(have)
	for i, t := range more {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > 128 || !tagText(t.Key):
			return nil, packhouse.Invalidf("invalid_tag", "A tag key has 1 to 128 letters, digits, spaces and _ . : / = + - @.")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, packhouse.Invalidf("invalid_tag", "A tag key may not begin with aws:.")
		case utf8.RuneCountInString(t.Value) > 256 || !tagText(t.Value):
			return nil, packhouse.Invalidf("invalid_tag", "A tag value has at most 256 letters, digits, spaces and _ . : / = + - @.")
		}
		same := func(o packhouse.ResourceTag) bool { return strings.EqualFold(o.Key, t.Key) }
		if slices.ContainsFunc(more[:i], same) {
			return nil, packhouse.Invalidf("invalid_tag", "The tag key %s is given twice.", t.Key)
		}
		merged = append(slices.DeleteFunc(merged, same), t)
	}
	if len(merged) > MaxTags {
		return nil, limitExceeded("Cannot have more than %d tags.", MaxTags)
	}
	slices.SortFunc(merged, func(a, b packhouse.ResourceTag) int { return strings.Compare(a.Key, b.Key) })
	return merged, nil
}

// tagText reports whether s has only characters that tags may have.
func tagText(s string) bool {
	for _, r := range s {
		if r < utf8.RuneSelf && !isOf(string(r), func(c byte) bool {
			return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" _.:/=+-@", c) >= 0
		}) {
			return false
		}
	}
	return utf8.ValidString(s)
}
