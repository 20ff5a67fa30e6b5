package authz

import (
	"strings"

	"github.com/packhouse/packhouse"
)

// Request is one question.
type Request struct {
	Who      packhouse.Principal
	Action   packhouse.Action
	Resource string              // ARN; "*" for account-level actions
	Owner    packhouse.AccountID // account of the resource's domain owner; "" for account-level actions
	Admin    packhouse.AccountID // account of the repository's administrator; "" above repositories
	// Federated is the ARN of the OIDC provider whose token is shown instead of
	// credentials, "" otherwise. Only a trust policy can allow such a request.
	Federated string
	// Context holds condition keys, lower case: "sts:awsservicename". What stands there
	// only when a policy asks for it is what Asks lists.
	Context map[string]string
}

// Decision is the answer.
type Decision struct {
	Allowed  bool
	Explicit bool   // a statement denies it, as against none that allows it
	Why      string // names the deciding statement, or says that none allows
	// ByResource reports that a resource policy's statement decided.
	ByResource bool
	// Direct reports that an allowing statement of a resource policy names the caller
	// itself, or its token's provider, as against its account or everybody. Whoever
	// assumes a role that trusts only the caller's account needs an identity policy's
	// allow as well.
	Direct bool
}

// What Decision.Why says when no statement decides.
const (
	whyNobody     = "nobody is asking: requests without a principal are allowed nothing"
	whyReadOnly   = "the credential is read-only"
	whyOtherScope = "the credential is for another domain"
	whyNone       = "no statement allows it"
	whyCrossed    = "the caller's account neither owns the domain nor administers the repository, and no resource policy allows it"
	whyForeign    = "a resource policy allows it, but the caller is of another account, where an identity policy must allow it too"
	whySession    = "the session's own policy does not allow it"
)

// Set is what decides for one request: what the principal's identity policies, the
// policies that its session was limited to, and the policies of the resource say. The
// zero Set denies everything. A Set is immutable once built and may be shared.
type Set struct {
	Identity []*Policy
	// Boundary is the principal's permissions boundary: none or one. Where there is one,
	// it must allow as well, except what a resource policy of the principal's own account
	// gives to its user, or to its session, by that very ARN.
	Boundary []*Policy
	// Session are the policies that the session was made with: where there are any, one
	// of them must allow as well.
	Session []*Policy
	// Resource are the policies of the domain and of the repository, or a role's trust
	// policy.
	Resource []*Policy
	Tags     map[string]string // the principal's tags by key in lower case: aws:PrincipalTag/KEY
	UserID   string            // aws:userid; "" for none
}

// Asks returns which facts of a request any of the policies read.
func (s *Set) Asks() Asks {
	var a Asks
	for _, list := range [...][]*Policy{s.Identity, s.Boundary, s.Session, s.Resource} {
		for _, p := range list {
			a |= p.asks
		}
	}
	return a
}

// Mentions reports whether any statement of the identity policies may allow the action to
// something. Without one only a resource policy can allow it.
func (s *Set) Mentions(a packhouse.Action) bool {
	for _, p := range s.Identity {
		for i := range p.statements {
			if st := &p.statements[i]; !st.deny && matchAny(st.actions, string(a)) != st.notActions {
				return true
			}
		}
	}
	return false
}

// empty decides for a nil Set.
var empty Set

// Decide answers q: explicit deny, then allow, then deny. In the domain owner's account
// an allow of either an identity or a resource policy is enough; in the account of the
// repository's administrator an identity policy's; in any other account both are needed.
// What the presented credential is limited to (packhouse.Scope, Session) only narrows: a
// read-only one may do what ReadOnlyAccess lists, one of a domain may touch that
// domain's resources and no account-level action. Pure; does not allocate on the allow
// path.
//
// A permissions boundary and a session's policies give nothing, and deny like any other.
// A session's policies limit everything, also what a resource policy gives to the session
// by its ARN: whoever narrows a session that it hands on has no say in resource policies.
//
// Source: codeartifact.md 3.12, reliability.md S13; IAM user guide, "Policy evaluation
// logic" and "Permissions boundaries for IAM entities".
func (s *Set) Decide(q Request) Decision {
	switch {
	case q.Federated == "" && (q.Who.IsAnonymous() || q.Who.Account == ""):
		return Decision{Why: whyNobody}
	case q.Who.Scope.ReadOnly && !Reading(q.Action):
		return Decision{Why: whyReadOnly}
	case q.Who.Scope.Domain != (packhouse.DomainRef{}) && !inDomain(&q, q.Who.Scope.Domain):
		return Decision{Why: whyOtherScope}
	}
	if s == nil {
		s = &empty
	}
	ask := question{Request: &q, set: s, resource: splitARN(q.Resource)}
	var identity, boundary, session, resource *statement
	var trusted bool
	if q.Federated == "" {
		identity, _ = decide(s.Identity, &ask)
		boundary, _ = decide(s.Boundary, &ask)
		session, _ = decide(s.Session, &ask)
	}
	resource, trusted = decide(s.Resource, &ask)
	switch {
	case identity != nil && identity.deny:
		return Decision{Explicit: true, Why: identity.why}
	case boundary != nil && boundary.deny:
		return Decision{Explicit: true, Why: boundary.why}
	case session != nil && session.deny:
		return Decision{Explicit: true, Why: session.why}
	case resource != nil && resource.deny:
		return Decision{Explicit: true, ByResource: true, Why: resource.why}
	}
	d := combine(&ask, identity, resource, trusted)
	if d.Allowed && len(s.Boundary) > 0 && boundary == nil && q.Federated == "" {
		if owns, _ := accountOf(&q); !owns || resource == nil || !resource.toCaller(&ask) {
			return Decision{Why: "the permissions boundary " + s.Boundary[0].name + " does not allow it"}
		}
		d = Decision{Allowed: true, ByResource: true, Direct: true, Why: resource.why}
	}
	if d.Allowed && len(s.Session) > 0 && session == nil {
		return Decision{Why: whySession}
	}
	return d
}

// combine decides by the statements that allow, each nil if there is none. trusted means
// that resource is of a trust policy.
func combine(q *question, identity, resource *statement, trusted bool) Decision {
	var byResource Decision
	if resource != nil {
		byResource = Decision{Allowed: true, ByResource: true, Direct: resource.direct(q), Why: resource.why}
	}
	switch {
	case trusted:
		return byResource
	case identity == nil && resource == nil:
		return Decision{Why: whyNone}
	case q.Federated != "":
		return Decision{Why: whyNobody}
	}
	owns, administers := accountOf(q.Request)
	switch {
	case identity != nil && (owns || administers):
		return Decision{Allowed: true, Why: identity.why}
	case identity != nil && resource != nil, owns:
		return byResource
	case identity != nil:
		return Decision{Why: whyCrossed}
	}
	return Decision{Why: whyForeign, ByResource: true}
}

// decide returns the first statement that denies q, else the first that allows it, else
// nil; trusted reports that it is of a trust policy. Where it matters who is named, in a
// trust policy and for a caller with a permissions boundary, an allowing statement that
// names the caller's own ARN goes before one that names its role, and that before others.
func decide(policies []*Policy, q *question) (found *statement, trusted bool) {
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			byName := p.trust || len(q.set.Boundary) > 0 && s.callers != nil
			if !s.deny && found != nil && !byName || !s.about(q) {
				continue
			}
			if s.deny {
				return s, p.trust
			}
			if found == nil || s.toCaller(q) || s.direct(q) && !found.toCaller(q) {
				found, trusted = s, p.trust
			}
		}
	}
	return found, trusted
}

// about reports whether the statement speaks of q.
func (s *statement) about(q *question) bool {
	if matchAny(s.actions, string(q.Action)) == s.notActions {
		return false
	}
	if s.callers != nil {
		if s.namesCaller(q) == s.notCallers {
			return false
		}
	}
	if !s.resolves(q) {
		return false
	}
	if s.resources != nil && matchAnyARN(s.resources, q) == s.notResources {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q) {
			return false
		}
	}
	return true
}

func matchAny(globs []glob, text string) bool {
	for i := range globs {
		if globs[i].match(text) {
			return true
		}
	}
	return false
}

func matchAnyARN(globs []arnGlob, q *question) bool {
	for i := range globs {
		if globs[i].match(q, &q.resource) {
			return true
		}
	}
	return false
}

// accountOf says what the caller's account is to the resource. An action about the
// caller's own account, and every account-level one, is its owner's.
func accountOf(q *Request) (owns, administers bool) {
	owner := q.Owner
	if owner == "" && q.Resource != "*" {
		owner = arnAccount(q.Resource)
	} else if owner == "" {
		return true, false
	}
	return q.Who.Account == owner, q.Who.Account == q.Admin
}

// Reading reports whether a read-only credential may do the action: what the managed
// policy ReadOnlyAccess lists.
func Reading(a packhouse.Action) bool {
	name, ok := strings.CutPrefix(string(a), "codeartifact:")
	if !ok {
		return a == packhouse.ActionGetServiceBearerToken
	}
	return strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "Get") ||
		strings.HasPrefix(name, "List") || name == "ReadFromRepository"
}

// inDomain reports whether the resource is the domain or lies in it. Account-level
// actions lie in none.
func inDomain(q *Request, d packhouse.DomainRef) bool {
	if q.Owner != "" && q.Owner != d.Owner || arnAccount(q.Resource) != d.Owner {
		return false
	}
	_, path, _ := strings.Cut(arnTail(q.Resource, arnParts-1), "/")
	name, _, _ := strings.Cut(path, "/")
	return name == d.Name
}

// arnAccount returns the account of an ARN, "" if there is none.
func arnAccount(arn string) packhouse.AccountID {
	account, _, _ := strings.Cut(arnTail(arn, arnParts-2), ":")
	return packhouse.AccountID(account)
}

// arnTail returns what stands behind n colons.
func arnTail(arn string, n int) string {
	for range n {
		_, arn, _ = strings.Cut(arn, ":")
	}
	return arn
}
