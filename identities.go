package packhouse

import "time"

// KindGroup is a group of users. It holds policies for its members and never asks for
// anything itself.
const KindGroup PrincipalKind = "group"

// Changes of identities, beside those of change.go.
const (
	ChangePrincipalUpdated ChangeKind = "principal.updated"
	ChangePrincipalDeleted ChangeKind = "principal.deleted"
	ChangeMembersChanged   ChangeKind = "group.members"
	ChangeProviderChanged  ChangeKind = "provider.changed"
	ChangeAccountCreated   ChangeKind = "account.created"
)

// Resource types of identities, for errors.
const (
	ResourceIdentityPolicy = "policy"
	ResourceAccessKey      = "access key"
	ResourceProvider       = "OpenID Connect provider"
)

// IdentityRef names a user, a group or a role. Names are unique whatever the path is.
type IdentityRef struct {
	Account AccountID
	Kind    PrincipalKind // KindUser, KindGroup or KindRole
	Name    string
	// Path is where the identity stands, as in "/team/x/"; "" where nobody said, which
	// finds it under every path and means "/" in an ARN.
	Path string
}

// RootPath is the path of everything that has no other.
const RootPath = "/"

// ARN returns arn:aws:iam::ACCOUNT:KIND/PATH/NAME.
func (r IdentityRef) ARN() string { return iamARN(r.Account) + string(r.Kind) + placed(r.Path, r.Name) }

// placed is a name behind its path.
func placed(path, name string) string {
	if path == "" {
		path = RootPath
	}
	return path + name
}

// Identity is a user, a group or a role as it is shown to those who manage it.
type Identity struct {
	IdentityRef
	UniqueID    string // for life, and nobody else's ever
	Description string
	Tags        []ResourceTag // by key
	Trust       string        // a role's trust policy
	MaxSession  time.Duration // of a role's sessions; whole seconds, 0 for anybody else
	Boundary    string        // ARN of the permissions boundary, "" for none; lists leave it out
	Created     time.Time
}

// AccessKey is an access key without its secret.
type AccessKey struct {
	ID       string
	Active   bool
	Created  time.Time
	LastUsed time.Time // zero for never; minutes may pass before a use is seen here
	Service  string    // that it was last used for
}

// Provider is an OpenID Connect provider that an account trusts.
type Provider struct {
	Account     AccountID
	Issuer      string // URL without its scheme: the name in ARNs and condition keys
	URL         string
	Audiences   []string
	Thumbprints []string // as given; nothing is decided by them
	Created     time.Time
}

// IdentityPolicyARN returns the ARN of a managed policy; account is "aws" for those that
// the server ships. A path of "" means "/".
func IdentityPolicyARN(account AccountID, path, name string) string {
	return iamARN(account) + "policy" + placed(path, name)
}

// ProviderARN returns the ARN of an OpenID Connect provider; issuer is its address
// without scheme.
func ProviderARN(account AccountID, issuer string) string {
	return iamARN(account) + "oidc-provider/" + issuer
}

// SessionARN returns the ARN of a role's session. The role's path is not in it.
func SessionARN(account AccountID, role, session string) string {
	return "arn:" + Partition + ":sts::" + string(account) + ":assumed-role/" + role + "/" + session
}

func iamARN(account AccountID) string {
	return "arn:" + Partition + ":iam::" + string(account) + ":"
}

// Session is what a session has besides the identity that it was made of. It is
// immutable.
type Session struct {
	Name string // of a role's session; "" for a user's
	// Policies are documents that narrow what the session may do; with none it may do
	// all that its identity may.
	Policies []string
	Tags     []ResourceTag // they go before the identity's own
}

// Actions on identities and credentials that have one name for all kinds.
const (
	ActionAssumeRole                Action = "sts:AssumeRole"
	ActionAssumeRoleWithWebIdentity Action = "sts:AssumeRoleWithWebIdentity"
	ActionTagSession                Action = "sts:TagSession"
	ActionGetSessionToken           Action = "sts:GetSessionToken"
)
