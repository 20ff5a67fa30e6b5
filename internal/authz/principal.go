package authz

import (
	"slices"
	"strings"

	"github.com/packhouse/packhouse"
)

// caller is one entry of Principal or NotPrincipal.
type caller struct {
	kind callerKind
	text string // account, ARN of a principal, or ARN of an OIDC provider
}

type callerKind uint8

const (
	anyCaller     callerKind = iota // "*": everybody who has credentials of this server
	wholeAccount                    // an account id, or the ARN of its root
	oneCaller                       // a user, a role with its sessions, or one session
	providerToken                   // whoever shows a token of this OIDC provider
	noCaller                        // a service of the cloud: none calls here
)

// names reports whether the entry means who asks q.
func (c *caller) names(q *question) bool {
	if q.Federated != "" {
		return c.kind == providerToken && c.text == q.Federated
	}
	switch c.kind {
	case anyCaller:
		return true
	case wholeAccount:
		return c.text == string(q.Who.Account)
	case oneCaller:
		return c.text == q.Who.ARN || c.text == q.Who.RoleARN
	}
	return false
}

// namesCaller reports whether any entry means who asks q.
func (s *statement) namesCaller(q *question) bool {
	for i := range s.callers {
		if s.callers[i].names(q) {
			return true
		}
	}
	return false
}

// direct reports whether the statement names the caller itself, or its token's provider,
// as against its account or everybody.
func (s *statement) direct(q *question) bool {
	if s.notCallers {
		return false
	}
	for i := range s.callers {
		if c := &s.callers[i]; (c.kind == oneCaller || c.kind == providerToken) && c.names(q) {
			return true
		}
	}
	return false
}

// toCaller reports whether the statement names the caller's own ARN: that of the user, or
// of the very session, as against the session's role.
func (s *statement) toCaller(q *question) bool {
	return !s.notCallers && slices.ContainsFunc(s.callers, func(c caller) bool {
		return c.kind == oneCaller && c.text == q.Who.ARN
	})
}

const callersAllowed = `an account of 12 digits, "arn:aws:iam::ACCOUNT:root", the ARN of a user, a role or an assumed role, or "*"`

// principals parses Principal or NotPrincipal.
func (p *parser) principals(n *node) ([]caller, error) {
	if n.scalar == "*" {
		return []caller{{kind: anyCaller}}, nil
	}
	if n.kind != '{' || len(n.members) == 0 {
		return nil, invalid(n.where, `must be "*" or an object such as {"AWS": "111122223333"}`)
	}
	var all []caller
	for _, m := range n.members {
		if !slices.Contains(p.grammar.callers, m.key) {
			return nil, invalid(m.value.where, "unknown kind of principal; allowed are %s", strings.Join(p.grammar.callers, ", "))
		}
		list, err := m.value.texts()
		if err != nil {
			return nil, err
		}
		for _, item := range list {
			text, _ := item.text()
			c, ok := parseCaller(m.key, text)
			if !ok {
				return nil, invalid(item.where, "must be %s", callerForms[m.key])
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// callerForms says what the entries of a kind of principal look like.
var callerForms = map[string]string{
	callerAWS:       callersAllowed,
	callerFederated: `the ARN of an OIDC provider, "arn:aws:iam::ACCOUNT:oidc-provider/HOST"`,
	callerService:   `the name of a service such as "codebuild.amazonaws.com"; no service calls this server`,
}

// The kinds of principal.
const (
	callerAWS       = "AWS"
	callerFederated = "Federated"
	callerService   = "Service"
)

func parseCaller(kind, text string) (caller, bool) {
	switch kind {
	case callerService:
		return caller{kind: noCaller}, strings.HasSuffix(text, ".amazonaws.com") && onlyOf(text, ".-")
	case callerFederated:
		account, name, ok := iamARN(text, "iam")
		host, isProvider := strings.CutPrefix(name, "oidc-provider/")
		return caller{providerToken, text}, ok && account != "" && isProvider && host != ""
	}
	if text == "*" {
		return caller{kind: anyCaller}, true
	}
	if isAccount(text) {
		return caller{wholeAccount, text}, true
	}
	if account, name, ok := iamARN(text, "iam"); ok {
		if name == "root" {
			return caller{wholeAccount, account}, true
		}
		sort, rest, _ := strings.Cut(name, "/")
		return caller{oneCaller, text}, (sort == "user" || sort == "role") && rest != ""
	}
	_, name, ok := iamARN(text, "sts")
	sort, rest, _ := strings.Cut(name, "/")
	role, session, _ := strings.Cut(rest, "/")
	return caller{oneCaller, text}, ok && sort == "assumed-role" && role != "" && session != ""
}

// iamARN takes the ARN of an identity apart; wildcards are in none.
func iamARN(text, service string) (account, name string, ok bool) {
	rest, ok := strings.CutPrefix(text, "arn:"+packhouse.Partition+":"+service+"::")
	if !ok || strings.ContainsAny(rest, "*? ") || strings.Contains(rest, "${") {
		return "", "", false
	}
	account, name, ok = strings.Cut(rest, ":")
	return account, name, ok && isAccount(account)
}

func isAccount(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}
