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
	Context  map[string]string   // condition keys, lower case: "sts:awsservicename"
}

// Decision is the answer.
type Decision struct {
	Allowed  bool
	Explicit bool   // a statement denies it, as against none that allows it
	Why      string // names the deciding statement, or says that none allows
}

// What Decision.Why says when no statement decides.
const (
	whyNobody      = "nobody is asking: requests without a principal are allowed nothing"
	whyReadOnly    = "the credential is read-only"
	whyOtherDomain = "the credential is for another domain"
	whyNone        = "no statement allows it"
	whyCrossed     = "the caller's account neither owns the domain nor administers the repository, and no resource policy allows it"
)

// Set is what decides for one request: the principal's identity policies and, from a
// later migration on, the resource policies. The zero Set denies everything. A Set is
// immutable once built and may be shared.
type Set struct {
	Identity []*Policy
}

// Decide answers q: explicit deny, then allow, then deny. A caller of another account
// than Owner and Admin needs a resource policy's allow as well. What the presented
// credential is limited to (packhouse.Scope) only narrows: a read-only one may do what
// ReadOnlyAccess lists, one of a domain may touch that domain's resources and no
// account-level action. Pure; does not allocate on the allow path.
//
// Source: codeartifact.md 3.12, reliability.md S13.
func (s *Set) Decide(q Request) Decision {
	switch {
	case q.Who.IsAnonymous(), q.Who.Account == "":
		return Decision{Why: whyNobody}
	case q.Who.Scope.ReadOnly && !Reading(q.Action):
		return Decision{Why: whyReadOnly}
	case q.Who.Scope.Domain != (packhouse.DomainRef{}) && !inDomain(&q, q.Who.Scope.Domain):
		return Decision{Why: whyOtherDomain}
	}
	var allow *statement
	if s != nil {
		allow = decide(s.Identity, &q)
	}
	switch {
	case allow == nil:
		return Decision{Why: whyNone}
	case allow.deny:
		return Decision{Explicit: true, Why: allow.why}
	case !ownAccount(&q):
		return Decision{Why: whyCrossed}
	}
	return Decision{Allowed: true, Why: allow.why}
}

// decide returns the first statement that denies q, else the first that allows it, else
// nil.
func decide(policies []*Policy, q *Request) *statement {
	var allow *statement
	for _, p := range policies {
		for i := range p.statements {
			s := &p.statements[i]
			if !s.deny && allow != nil || !s.about(q) {
				continue
			}
			if s.deny {
				return s
			}
			allow = s
		}
	}
	return allow
}

// about reports whether the statement speaks of q.
func (s *statement) about(q *Request) bool {
	if matchAny(s.actions, string(q.Action)) == s.notActions {
		return false
	}
	if matchAnyARN(s.resources, q.Resource) == s.notResources {
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

func matchAnyARN(globs []arnGlob, arn string) bool {
	for i := range globs {
		if globs[i].match(arn) {
			return true
		}
	}
	return false
}

// ownAccount reports whether an identity policy of the caller's account can decide
// alone: the account owns the domain or administers the repository, or the action is
// about the caller's own account.
func ownAccount(q *Request) bool {
	owner := q.Owner
	if owner == "" && q.Resource != "*" {
		owner = arnAccount(q.Resource)
	} else if owner == "" {
		return true
	}
	return q.Who.Account == owner || q.Who.Account == q.Admin
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
