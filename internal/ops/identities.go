package ops

import (
	"context"
	"maps"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/identity"
)

// kindTitles are how actions spell the kinds of identities.
var kindTitles = map[packhouse.PrincipalKind]string{packhouse.KindUser: "User", packhouse.KindGroup: "Group", packhouse.KindRole: "Role"}

// iamAction spells an action: "iam:", verb, kind, rest, as in iam:PutUserPolicy.
func iamAction(verb string, kind packhouse.PrincipalKind, rest string) packhouse.Action {
	return packhouse.Action("iam:" + verb + kindTitles[kind] + rest)
}

// allowIdentity is allow for an identity, which may be absent. Policies are asked about
// the ARN with the path under which it stands, and about its permissions boundary; ref
// gets the path, so that what is done to it is done there. Callers whose policies allow
// the action on nothing are refused before anything is looked up, and what a refusal says
// is of the ARN as the request names it: paths are for those who have the right. conditions
// are further condition keys; nil for none.
func (s *Service) allowIdentity(ctx context.Context, who packhouse.Principal, action packhouse.Action, ref *packhouse.IdentityRef, conditions map[string]string) error {
	r := resource{arn: ref.ARN(), asked: ref.ARN()}
	policies, err := s.identity.Policies(ctx, who)
	if err != nil {
		return storeError("read policies", err)
	}
	switch {
	case ref.Path != "":
	case !policies.Mentions(action):
		if isSelf(who, *ref) {
			r.arn = who.ARN
		}
	default:
		placed, boundary, err := s.reader().Place(ctx, *ref)
		if err != nil {
			return storeError("find identity", err)
		}
		r.arn, ref.Path = placed.ARN(), placed.Path
		if _, given := conditions[authz.KeyPermissionsBoundary]; boundary != "" && !given {
			conditions = maps.Clone(conditions)
			if conditions == nil {
				conditions = map[string]string{}
			}
			conditions[authz.KeyPermissionsBoundary] = boundary
		}
	}
	if isSelf(who, *ref) { // which knows where it stands
		r.asked = ""
	}
	return s.allow(ctx, who, action, r, conditions)
}

// isSelf reports whether a user asks about itself.
func isSelf(who packhouse.Principal, ref packhouse.IdentityRef) bool {
	return who.Kind == packhouse.KindUser && ref.Kind == packhouse.KindUser && who.Account == ref.Account && who.Name == ref.Name && who.RoleARN == ""
}

// bounded are the condition keys of a request that names a permissions boundary.
func bounded(p identity.PolicyRef) map[string]string {
	if p == (identity.PolicyRef{}) {
		return nil
	}
	return map[string]string{authz.KeyPermissionsBoundary: p.ARN()}
}

// allowAccount is allow for what concerns an account's identities as a whole.
func (s *Service) allowAccount(ctx context.Context, who packhouse.Principal, action packhouse.Action, a packhouse.AccountID, rest string) error {
	return s.allow(ctx, who, action, resource{arn: "arn:" + packhouse.Partition + ":iam::" + string(a) + ":" + rest}, nil)
}

// allowSelf is allowIdentity, except that a user may look at itself unless something
// denies it: it learns nothing but what it is.
func (s *Service) allowSelf(ctx context.Context, who packhouse.Principal, action packhouse.Action, ref *packhouse.IdentityRef) error {
	err := s.allowIdentity(ctx, who, action, ref, nil)
	if packhouse.ReasonOf(err) == reasonNoStatement && who.Session == nil && who.Scope == (packhouse.Scope{}) && isSelf(who, *ref) {
		return nil
	}
	return err
}

// directory is the administration of identities in somebody's name: nobody gives away
// more than they hold (reliability.md S14).
func (s *Service) directory(ctx context.Context, who packhouse.Principal) (identity.Directory, error) {
	held, err := s.identity.Policies(ctx, who)
	if err != nil {
		return identity.Directory{}, err
	}
	return identity.Directory{
		Catalog: s.catalog.DB,
		Note:    packhouse.Change{Principal: who.ARN, RequestID: httpx.RequestID(ctx), Door: httpx.Door(ctx)},
		Guard: func(given *authz.Set) error {
			if ok, why := held.Holds(given); !ok {
				return packhouse.Deniedf(reasonDenied, "%s %s may not hand out more than it may do itself: %s", who.Kind, who.Name, strings.Replace(why, "allowed", "what is allowed", 1))
			}
			return nil
		},
	}, nil
}

// changeIdentities runs a change of identities and makes it act at once in this process.
func (s *Service) changeIdentities(ctx context.Context, who packhouse.Principal, fn func(identity.Directory) error) error {
	d, err := s.directory(ctx, who)
	if err != nil {
		return err
	}
	err = fn(d)
	s.identity.Flush()
	return storeError("change identities", err)
}

// reader is a directory that only reads.
func (s *Service) reader() identity.Directory { return identity.Directory{Catalog: s.catalog.DB} }

// identityOf is how an identity is shown.
func identityOf(row catalog.PrincipalRow) packhouse.Identity {
	return packhouse.Identity{IdentityRef: row.IdentityRef(), UniqueID: identity.UniqueID(row), Description: row.Description,
		Tags: row.Tags, Trust: row.Trust, MaxSession: row.MaxSession, Created: row.Created}
}

func identitiesOf(rows []catalog.PrincipalRow) []packhouse.Identity {
	list := make([]packhouse.Identity, len(rows))
	for i, row := range rows {
		list[i] = identityOf(row)
	}
	return list
}

// CreateIdentity makes a user, a group or a role. Errors: Conflict; Invalid; NotFound for
// the boundary; QuotaExceeded.
func (s *Service) CreateIdentity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, n identity.NewIdentity) (made packhouse.Identity, err error) {
	if ref.Path == "" {
		ref.Path = packhouse.RootPath
	}
	if err := s.allowIdentity(ctx, who, iamAction("Create", ref.Kind, ""), &ref, bounded(n.Boundary)); err != nil {
		return made, err
	}
	if len(n.Tags) > 0 {
		if err := s.allowIdentity(ctx, who, iamAction("Tag", ref.Kind, ""), &ref, nil); err != nil {
			return made, err
		}
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		row, err := d.Create(ctx, ref, n)
		if made = identityOf(row); n.Boundary != (identity.PolicyRef{}) {
			made.Boundary = n.Boundary.ARN()
		}
		return err
	})
	return made, err
}

// Identity returns a user, a group or a role. A user may look at itself. Errors:
// NotFound.
func (s *Service) Identity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef) (packhouse.Identity, error) {
	if err := s.allowSelf(ctx, who, iamAction("Get", ref.Kind, ""), &ref); err != nil {
		return packhouse.Identity{}, err
	}
	row, boundary, err := s.reader().Bounded(ctx, ref)
	found := identityOf(row)
	found.Boundary = boundary
	return found, storeError("read identity", err)
}

// Identities returns a page of an account's users, groups or roles by name, of those whose
// paths begin with prefix, which has a slash at the beginning. Permissions boundaries are
// left out.
func (s *Service) Identities(ctx context.Context, who packhouse.Principal, a packhouse.AccountID, kind packhouse.PrincipalKind, prefix, after string, limit int) ([]packhouse.Identity, error) {
	if err := s.allowAccount(ctx, who, iamAction("List", kind, "s"), a, string(kind)+prefix); err != nil {
		return nil, err
	}
	rows, err := s.reader().List(ctx, a, kind, prefix, after, limit)
	return identitiesOf(rows), storeError("list identities", err)
}

// UpdateIdentity changes a user, a group or a role; a new trust policy needs
// iam:UpdateAssumeRolePolicy, a permissions boundary iam:Put- or
// DeleteUserPermissionsBoundary. A new name or path needs the right on both ARNs. Errors:
// NotFound; Conflict; Invalid; Denied where a boundary leaves more than the caller holds.
func (s *Service) UpdateIdentity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, u identity.Update) (changed packhouse.Identity, err error) {
	action := iamAction("Update", ref.Kind, "")
	var conditions map[string]string
	switch {
	case u.Trust != nil:
		action = "iam:UpdateAssumeRolePolicy"
	case u.Boundary != nil && *u.Boundary == (identity.PolicyRef{}):
		action = iamAction("Delete", ref.Kind, "PermissionsBoundary")
	case u.Boundary != nil:
		action, conditions = iamAction("Put", ref.Kind, "PermissionsBoundary"), bounded(*u.Boundary)
	}
	if err := s.allowIdentity(ctx, who, action, &ref, conditions); err != nil {
		return changed, err
	}
	if u.Name != nil || u.Path != nil {
		moved := ref
		if u.Name != nil {
			moved.Name = *u.Name
		}
		if u.Path != nil {
			moved.Path = *u.Path
		}
		if err := s.allowIdentity(ctx, who, action, &moved, nil); err != nil {
			return changed, err
		}
	}
	err = s.changeIdentities(ctx, who, func(d identity.Directory) error {
		row, err := d.Update(ctx, ref, u)
		changed = identityOf(row)
		return err
	})
	return changed, err
}

// HasNone answers for lists of what no identity here has, such as a role's instance
// profiles: whoever may do the action learns that the identity exists. Errors: NotFound.
func (s *Service) HasNone(ctx context.Context, who packhouse.Principal, action packhouse.Action, ref packhouse.IdentityRef) error {
	if err := s.allowIdentity(ctx, who, action, &ref, nil); err != nil {
		return err
	}
	_, err := s.reader().Get(ctx, ref)
	return storeError("find identity", err)
}

// NoVirtualMFADevices answers for the list of an account's devices: second factors are the
// users' own, and none is a device of the account.
func (s *Service) NoVirtualMFADevices(ctx context.Context, who packhouse.Principal) error {
	return s.allowAccount(ctx, who, "iam:ListVirtualMFADevices", who.Account, "mfa/")
}

// DeleteIdentity removes a user, a group or a role that nothing hangs on. Errors:
// NotFound; Conflict identity.ReasonInUse.
func (s *Service) DeleteIdentity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef) error {
	if err := s.allowIdentity(ctx, who, iamAction("Delete", ref.Kind, ""), &ref, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.Delete(ctx, ref, false) })
}

// TagIdentity adds or replaces tags of a user or a role. Errors: NotFound; Invalid;
// QuotaExceeded.
func (s *Service) TagIdentity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, tags []packhouse.ResourceTag) error {
	if err := s.allowIdentity(ctx, who, iamAction("Tag", ref.Kind, ""), &ref, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.Tag(ctx, ref, tags) })
}

// UntagIdentity takes tags away. Errors: NotFound.
func (s *Service) UntagIdentity(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef, keys []string) error {
	if err := s.allowIdentity(ctx, who, iamAction("Untag", ref.Kind, ""), &ref, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.Untag(ctx, ref, keys) })
}

// IdentityTags returns the tags of a user or a role. Errors: NotFound.
func (s *Service) IdentityTags(ctx context.Context, who packhouse.Principal, ref packhouse.IdentityRef) ([]packhouse.ResourceTag, error) {
	if err := s.allowSelf(ctx, who, iamAction("List", ref.Kind, "Tags"), &ref); err != nil {
		return nil, err
	}
	row, err := s.reader().Get(ctx, ref)
	return row.Tags, storeError("read identity", err)
}

// AddGroupMember puts a user into a group. Errors: NotFound; QuotaExceeded.
func (s *Service) AddGroupMember(ctx context.Context, who packhouse.Principal, group packhouse.IdentityRef, user string) error {
	if err := s.allowIdentity(ctx, who, "iam:AddUserToGroup", &group, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.AddMember(ctx, group.Account, group.Name, user) })
}

// RemoveGroupMember takes a user out of a group. Errors: NotFound.
func (s *Service) RemoveGroupMember(ctx context.Context, who packhouse.Principal, group packhouse.IdentityRef, user string) error {
	if err := s.allowIdentity(ctx, who, "iam:RemoveUserFromGroup", &group, nil); err != nil {
		return err
	}
	return s.changeIdentities(ctx, who, func(d identity.Directory) error { return d.RemoveMember(ctx, group.Account, group.Name, user) })
}

// GroupMembers returns a group and a page of its members by name. Errors: NotFound.
func (s *Service) GroupMembers(ctx context.Context, who packhouse.Principal, group packhouse.IdentityRef, after string, limit int) (packhouse.Identity, []packhouse.Identity, error) {
	if err := s.allowIdentity(ctx, who, "iam:GetGroup", &group, nil); err != nil {
		return packhouse.Identity{}, nil, err
	}
	row, members, err := s.reader().Members(ctx, group, after, limit)
	return identityOf(row), identitiesOf(members), storeError("list members", err)
}

// GroupsOfUser returns the groups that a user is in. Errors: NotFound.
func (s *Service) GroupsOfUser(ctx context.Context, who packhouse.Principal, user packhouse.IdentityRef) ([]packhouse.Identity, error) {
	if err := s.allowSelf(ctx, who, "iam:ListGroupsForUser", &user); err != nil {
		return nil, err
	}
	groups, err := s.reader().GroupsOf(ctx, user)
	return identitiesOf(groups), storeError("list groups", err)
}
