package ops

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
	"github.com/packhouse/packhouse/internal/oidc"
)

// How long temporary credentials last.
const (
	defaultRoleSession = time.Hour
	// chainedSession is the longest session of a role that a session of a role makes.
	chainedSession = time.Hour
	// DefaultUserSession is how long a user's own session lasts where nobody says otherwise.
	DefaultUserSession = 12 * time.Hour
)

// WebIdentity checks tokens of OpenID Connect issuers. *oidc.Verifier is one.
type WebIdentity interface {
	// Verify checks a token of an issuer for one of the audiences. Errors:
	// Unauthenticated "invalid_identity_token", "expired_identity_token"; Unavailable.
	Verify(ctx context.Context, issuer string, audiences []string, token string) (oidc.Claims, error)
}

// RoleSession asks for a session of a role.
type RoleSession struct {
	Role       packhouse.IdentityRef
	Name       string
	ExternalID string                  // "" for none
	Life       time.Duration           // 0 means an hour, or the role's longest if that is shorter
	Policies   []string                // documents that narrow the session
	Managed    []identity.PolicyRef    // policies that do the same
	Tags       []packhouse.ResourceTag // of the session
}

// AssumeRole makes temporary credentials of a role for somebody that its trust policy
// names. A caller that is named itself, in the role's own account, needs nothing else;
// all others need sts:AssumeRole from an identity policy too. Roles that do not exist
// answer like those that trust somebody else. Errors: Denied; Invalid.
func (s *Service) AssumeRole(ctx context.Context, who packhouse.Principal, ask RoleSession) (identity.TemporaryCredentials, error) {
	role, err := s.allowRole(ctx, who, ask)
	if err != nil {
		return identity.TemporaryCredentials{}, err
	}
	longest := role.MaxSession
	if who.RoleARN != "" {
		longest = min(longest, chainedSession)
	}
	return s.beginRole(ctx, role, ask, longest)
}

// allowRole decides about AssumeRole and returns the role.
func (s *Service) allowRole(ctx context.Context, who packhouse.Principal, ask RoleSession) (catalog.PrincipalRow, error) {
	if who.IsAnonymous() {
		return catalog.PrincipalRow{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "credentials_required", Message: "credentials are required"}
	}
	r := resource{arn: ask.Role.ARN()}
	refused := packhouse.Deniedf(reasonDenied, "%s is not authorized to perform %s on %s", who.ARN, packhouse.ActionAssumeRole, r.arn)
	if ask.Role.Name == "" || ask.Role.Account == "" {
		note(ctx, packhouse.ActionAssumeRole, r, "", "no role is named")
		return catalog.PrincipalRow{}, refused
	}
	role, trust, err := s.trustOf(ctx, ask.Role)
	if err != nil {
		return catalog.PrincipalRow{}, err
	}
	identities, err := s.identity.Policies(ctx, who)
	if err != nil {
		return catalog.PrincipalRow{}, storeError("read policies", err)
	}
	actions := []packhouse.Action{packhouse.ActionAssumeRole}
	if len(ask.Tags) > 0 {
		actions = append(actions, packhouse.ActionTagSession)
	}
	conditions := ask.conditions()
	for _, action := range actions {
		q := authz.Request{Who: who, Action: action, Resource: r.arn, Context: conditions}
		if asks := identities.Asks() | trust.Asks(); asks != 0 {
			if q.Context, err = s.answers(ctx, asks, r, &noRules, conditions); err != nil {
				return catalog.PrincipalRow{}, storeError("read conditions", err)
			}
		}
		trusted := trust.with(identities).Decide(q)
		// What the caller's own policies say, wherever the role is.
		q.Admin = who.Account
		own := identities.Decide(q)
		enough := trusted.Direct && who.Account == ask.Role.Account && len(identities.Session) == 0
		why := trusted.Why
		switch {
		case own.Explicit, trusted.Allowed && !own.Allowed && !enough:
			why = own.Why
		case trusted.Allowed:
			note(ctx, action, r, "", why)
			continue
		}
		note(ctx, action, r, "", why)
		return catalog.PrincipalRow{}, refused
	}
	return role, secondFactor(who, packhouse.ActionAssumeRole)
}

// conditions are what policies may ask of a session that is asked for.
func (ask RoleSession) conditions() map[string]string {
	c := map[string]string{"sts:rolesessionname": ask.Name}
	if ask.ExternalID != "" {
		c["sts:externalid"] = ask.ExternalID
	}
	var keys []string
	for _, t := range ask.Tags {
		c["aws:requesttag/"+strings.ToLower(t.Key)] = t.Value
		keys = append(keys, t.Key)
	}
	if len(keys) > 0 {
		c["aws:tagkeys"] = authz.Values(keys...)
	}
	return c
}

// trustPolicy is a role's trust policy; the zero value, of a role that does not exist,
// trusts nobody.
type trustPolicy struct{ policy *authz.Policy }

func (t trustPolicy) Asks() authz.Asks {
	if t.policy == nil {
		return 0
	}
	return t.policy.Asks()
}

// with returns a set that decides by the trust policy alone, for a caller with the
// variables, tags and permissions boundary of a set.
func (t trustPolicy) with(caller *authz.Set) *authz.Set {
	set := &authz.Set{Tags: caller.Tags, UserID: caller.UserID, Boundary: caller.Boundary}
	if t.policy != nil {
		set.Resource = []*authz.Policy{t.policy}
	}
	return set
}

// trustOf returns a role with its trust policy, zero for a role that does not exist or
// whose policy cannot be read. Errors: Unavailable.
func (s *Service) trustOf(ctx context.Context, ref packhouse.IdentityRef) (catalog.PrincipalRow, trustPolicy, error) {
	row, err := s.reader().Get(ctx, ref)
	if packhouse.KindOf(err) == packhouse.KindNotFound {
		return catalog.PrincipalRow{}, trustPolicy{}, nil
	}
	if err != nil {
		return row, trustPolicy{}, storeError("read role", err)
	}
	policy, err := authz.ParseTrust([]byte(row.Trust))
	if err != nil {
		s.log.ErrorContext(ctx, "stored trust policy cannot be read, nobody may assume its role", "role", row.ARN, "error", err)
		return row, trustPolicy{}, nil
	}
	return row, trustPolicy{policy}, nil
}

// beginRole makes the credentials.
func (s *Service) beginRole(ctx context.Context, role catalog.PrincipalRow, ask RoleSession, longest time.Duration) (identity.TemporaryCredentials, error) {
	life := ask.Life
	if life == 0 {
		life = min(defaultRoleSession, longest)
	}
	switch {
	case ask.Name == "":
		return identity.TemporaryCredentials{}, packhouse.Invalidf("invalid_name", "A role's session needs a name.")
	case life < identity.ShortestSession:
		return identity.TemporaryCredentials{}, packhouse.Invalidf("duration", "The requested DurationSeconds must be at least %d.", int(identity.ShortestSession.Seconds()))
	case life > longest:
		return identity.TemporaryCredentials{}, packhouse.Invalidf("duration", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role, or the hour that a role's session may give.")
	}
	session := packhouse.Session{Name: ask.Name, Policies: ask.Policies, Tags: ask.Tags}
	for _, ref := range ask.Managed {
		if !ref.Shipped() && ref.Account != role.Account {
			return identity.TemporaryCredentials{}, packhouse.Invalidf("invalid_arn", "The policy %s is not of the role's account.", ref.ARN())
		}
		policy, err := s.reader().Policy(ctx, role.Account, ref)
		if err != nil {
			return identity.TemporaryCredentials{}, storeError("find policy", err)
		}
		session.Policies = append(session.Policies, policy.Document)
	}
	made, err := s.identity.BeginSession(ctx, role.ID, identity.NewSession{Session: session, Life: life})
	return made, storeError("begin session", err)
}

// WebIdentityAnswer is what AssumeRoleWithWebIdentity tells besides the credentials.
type WebIdentityAnswer struct {
	identity.TemporaryCredentials
	Provider, Subject, Audience string
}

// AssumeRoleWithWebIdentity makes temporary credentials of a role for whoever shows a
// token of an issuer that the role's account and its trust policy trust. It is the only
// action that nobody has to be known for. Errors: Unauthenticated for a token that is
// not good; Denied, also for roles that do not exist; Invalid; Unavailable.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, ask RoleSession, token string) (WebIdentityAnswer, error) {
	r := resource{arn: ask.Role.ARN()}
	provider, err := s.reader().Provider(ctx, ask.Role.Account, issuerName(oidc.Issuer(token)))
	if packhouse.KindOf(err) == packhouse.KindNotFound || s.webIdentity == nil {
		return WebIdentityAnswer{}, &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_identity_token",
			Message: "No OpenIDConnect provider found in the role's account for the issuer of the token."}
	}
	if err != nil {
		return WebIdentityAnswer{}, storeError("find provider", err)
	}
	claims, err := s.webIdentity.Verify(ctx, provider.URL, provider.Audiences, token)
	if err != nil {
		return WebIdentityAnswer{}, err
	}
	role, trust, err := s.trustOf(ctx, ask.Role)
	if err != nil {
		return WebIdentityAnswer{}, err
	}
	conditions := ask.conditions()
	for name, values := range claims.Values {
		conditions[strings.ToLower(provider.Issuer+":"+name)] = authz.Values(values...)
	}
	federated := packhouse.ProviderARN(provider.Account, provider.Issuer)
	q := authz.Request{Action: packhouse.ActionAssumeRoleWithWebIdentity, Resource: r.arn, Federated: federated, Context: conditions}
	if asks := trust.Asks(); asks != 0 {
		if q.Context, err = s.answers(ctx, asks, r, &noRules, maps.Clone(conditions)); err != nil {
			return WebIdentityAnswer{}, storeError("read conditions", err)
		}
	}
	d := trust.with(&authz.Set{}).Decide(q)
	note(ctx, q.Action, r, "", d.Why)
	if !d.Allowed {
		return WebIdentityAnswer{}, packhouse.Deniedf(reasonDenied, "Not authorized to perform %s", q.Action)
	}
	made, err := s.beginRole(ctx, role, ask, role.MaxSession)
	return WebIdentityAnswer{made, federated, claims.Subject, claims.Audience}, err
}

// issuerName is an issuer's address without its scheme.
func issuerName(address string) string {
	_, name, err := identity.ParseIssuer(address)
	if err != nil {
		return ""
	}
	return name
}

// SessionToken makes temporary credentials of the user that asks: as good as its own, for
// a while. Everybody may have them unless a policy denies it; credentials that are
// temporary themselves may not. Errors: Denied; Invalid.
func (s *Service) SessionToken(ctx context.Context, who packhouse.Principal, life time.Duration) (identity.TemporaryCredentials, error) {
	err := s.allow(ctx, who, packhouse.ActionGetSessionToken, resource{arn: who.ARN}, nil)
	if err != nil && (packhouse.ReasonOf(err) != reasonNoStatement || life == 0 || who.Scope != (packhouse.Scope{})) {
		return identity.TemporaryCredentials{}, err
	}
	if who.Temporary || who.Kind != packhouse.KindUser || who.Scope != (packhouse.Scope{}) {
		return identity.TemporaryCredentials{}, packhouse.Deniedf(reasonDenied, "Cannot call GetSessionToken with session credentials")
	}
	if life < identity.ShortestSession || life > identity.LongestSession {
		return identity.TemporaryCredentials{}, packhouse.Invalidf("duration", "DurationSeconds must be from %d to %d.",
			int(identity.ShortestSession.Seconds()), int(identity.LongestSession.Seconds()))
	}
	made, err := s.identity.BeginSession(ctx, who.ID, identity.NewSession{Life: life})
	return made, storeError("begin session", err)
}
