package authz

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxIdentityPolicy bounds an identity policy document, in bytes.
const MaxIdentityPolicy = 20 << 10

// MaxResourcePolicy and MaxTrustPolicy bound the other documents, in characters.
const (
	MaxResourcePolicy = 7168
	MaxTrustPolicy    = 4096
)

// MaxStatements bounds the statements of one document (reliability.md S13).
const MaxStatements = 1000

// The versions of the policy language. A document without one has the older.
const (
	version2012 = "2012-10-17"
	version2008 = "2008-10-17"
)

// Policy is a compiled document. It is immutable and may be shared.
type Policy struct {
	name       string
	statements []statement
	asks       Asks
	trust      bool // a role's trust policy
}

// Name returns the name that the policy was parsed with.
func (p *Policy) Name() string { return p.name }

// Asks returns which facts of a request the policy's conditions and variables read.
func (p *Policy) Asks() Asks { return p.asks }

// statement is one compiled statement.
type statement struct {
	deny         bool
	callers      []caller // of resource and trust policies; never empty there
	notCallers   bool     // callers are those it is not about
	actions      []glob
	notActions   bool      // actions are those it is not about
	resources    []arnGlob // none in a trust policy: it is about its role
	notResources bool
	conditions   []condition // all must hold
	needs        []string    // keys of variables without a default: without them it is not about the request
	why          string      // what Decision.Why says when this statement decides
}

// ParseIdentity parses and validates an identity policy. Anything unknown in it
// (element, operator, condition key, variable, version, type, duplicate key) is refused:
// Invalid "invalid_policy", with a message that says where and what is allowed. name is
// used in Decision.Why. Session policies are identity policies too.
//
// Source: codeartifact.md 3.12; reliability.md S13.
func ParseIdentity(name string, doc []byte) (*Policy, error) {
	return parse(&identityGrammar, fmt.Sprintf("policy %q", name), name, doc)
}

// ParseBoundary parses a permissions boundary, which is an identity policy in another
// part: see Set.Boundary.
func ParseBoundary(name string, doc []byte) (*Policy, error) {
	return parse(&identityGrammar, fmt.Sprintf("the permissions boundary %q", name), name, doc)
}

// ParseResource parses and validates the policy of a domain or a repository, as strictly
// as ParseIdentity. Every statement names its principals. The document has at most
// MaxResourcePolicy characters. name is used in Decision.Why.
//
// Source: codeartifact.md 3.12; reliability.md S13.
func ParseResource(name string, doc []byte) (*Policy, error) {
	return parse(&resourceGrammar, name, name, doc)
}

// ParseTrust parses and validates a role's trust policy: who may assume the role and
// under which conditions. Its statements have a Principal (AWS, Federated, Service) and
// no resource, and are about sts:AssumeRole, sts:AssumeRoleWithWebIdentity and
// sts:TagSession only. Conditions may ask for the claims of an OIDC token, spelled
// HOST:CLAIM as in "ci.example.com:sub". The document has at most MaxTrustPolicy
// characters.
//
// A Set whose Resource holds only trust policies decides without identity policies, for
// callers of every account; see Decision.Direct for what a caller must be allowed
// besides.
//
// Source: reliability.md S13.
func ParseTrust(doc []byte) (*Policy, error) {
	p, err := parse(&trustGrammar, "the role's trust policy", "trust", doc)
	if err == nil {
		p.trust = true
	}
	return p, err
}

// grammar is what the three kinds of document differ in.
type grammar struct {
	kind       string // "an identity policy"
	elements   string // of a statement
	callers    []string
	notCallers bool
	resources  bool
	actions    []string // that actions must match one of; nil for any
	claims     bool     // conditions may ask for claims of tokens
	check      func(doc []byte) error
}

var (
	identityGrammar = grammar{
		kind:     "an identity policy",
		elements: "Sid, Effect, Action or NotAction, Resource or NotResource, and Condition", resources: true,
		check: func(doc []byte) error {
			if len(doc) > MaxIdentityPolicy {
				return invalid("", "the document has %d bytes, at most %d are allowed", len(doc), MaxIdentityPolicy)
			}
			return nil
		},
	}
	resourceGrammar = grammar{
		kind:     "a resource policy",
		elements: "Sid, Effect, Principal or NotPrincipal, Action or NotAction, Resource or NotResource, and Condition",
		callers:  []string{callerAWS}, notCallers: true, resources: true,
		check: atMost(MaxResourcePolicy),
	}
	trustGrammar = grammar{
		kind:     "a trust policy",
		elements: "Sid, Effect, Principal, Action and Condition",
		callers:  []string{callerAWS, callerFederated, callerService},
		actions:  []string{"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"}, claims: true,
		check: atMost(MaxTrustPolicy),
	}
)

// atMost bounds a document's characters.
func atMost(limit int) func([]byte) error {
	return func(doc []byte) error {
		if n := utf8.RuneCount(doc); n > limit {
			return invalid("", "the document has %d characters, at most %d are allowed", n, limit)
		}
		return nil
	}
}

// parse parses a document. title is how Decision.Why calls the policy.
func parse(g *grammar, title, name string, doc []byte) (*Policy, error) {
	if err := g.check(doc); err != nil {
		return nil, err
	}
	root, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	p := parser{grammar: g, title: title, policy: &Policy{name: name}, sids: map[string]bool{}}
	// The version comes first: it says how all texts are read.
	var statements *node
	for _, m := range root.members {
		switch m.key {
		case "Version":
			err = p.version(m.value)
		case "Id":
			_, err = m.value.text()
		case "Statement":
			statements = m.value
		default:
			err = invalid(m.value.where, "unknown element; allowed are Version, Id and Statement")
		}
		if err != nil {
			return nil, err
		}
	}
	if statements == nil {
		return nil, invalid("", "Statement is missing")
	}
	if err := p.statementList(statements); err != nil {
		return nil, err
	}
	return p.policy, nil
}

// parser is what one document's statements share.
type parser struct {
	grammar     *grammar
	title       string
	policy      *Policy
	variablesOn bool // ${...} is read: version 2012-10-17
	sids        map[string]bool
	needs       []string // of the statement at hand
}

func (p *parser) version(n *node) error {
	switch n.scalar {
	case version2012:
		p.variablesOn = true
	case version2008:
	default:
		return invalid(n.where, "must be %q or %q", version2012, version2008)
	}
	return nil
}

func (p *parser) statementList(n *node) error {
	list := n.items
	switch {
	case n.kind == '{':
		list = []*node{n}
	case n.kind != '[':
		return invalid(n.where, "must be a statement or a list of statements")
	case len(list) == 0:
		return invalid(n.where, "the list is empty")
	case len(list) > MaxStatements:
		return invalid(n.where, "%d statements, at most %d are allowed", len(list), MaxStatements)
	}
	p.policy.statements = make([]statement, 0, len(list))
	for i, item := range list {
		s, err := p.statement(i, item)
		if err != nil {
			return err
		}
		p.policy.statements = append(p.policy.statements, s)
	}
	return nil
}

func (p *parser) statement(index int, n *node) (statement, error) {
	var s statement
	if n.kind != '{' {
		return s, invalid(n.where, "must be a statement: a JSON object")
	}
	label := fmt.Sprintf("statement %d", index+1)
	has := map[string]bool{}
	p.needs = nil
	for _, m := range n.members {
		var err error
		has[m.key] = true
		if p.grammar.without(m.key) {
			return s, invalid(m.value.where, "%s has no %s; allowed are %s", p.grammar.kind, m.key, p.grammar.elements)
		}
		switch m.key {
		case "Sid":
			var sid string
			if sid, err = p.sid(m.value); sid != "" {
				label = fmt.Sprintf("statement %q", sid)
			}
		case "Effect":
			s.deny, err = effect(m.value)
		case "Action", "NotAction":
			s.notActions = m.key == "NotAction"
			s.actions, err = p.actions(m.value)
		case "Resource", "NotResource":
			s.notResources = m.key == "NotResource"
			s.resources, err = p.resources(m.value)
		case "Condition":
			s.conditions, err = p.conditions(m.value)
		case "Principal", "NotPrincipal":
			s.notCallers = m.key == "NotPrincipal"
			s.callers, err = p.principals(m.value)
		default:
			err = invalid(m.value.where, "unknown element; allowed are %s", p.grammar.elements)
		}
		if err != nil {
			return s, err
		}
	}
	switch {
	case !has["Effect"]:
		return s, invalid(n.where, "Effect is missing")
	case has["Action"] == has["NotAction"]:
		return s, invalid(n.where, "exactly one of Action and NotAction is needed")
	case p.grammar.callers != nil && has["Principal"] == has["NotPrincipal"]:
		return s, invalid(n.where, "%s", p.grammar.callerMissing())
	case p.grammar.resources && has["Resource"] == has["NotResource"]:
		return s, invalid(n.where, "exactly one of Resource and NotResource is needed")
	}
	verb := "allowed"
	if s.deny {
		verb = "denied"
	}
	s.why = fmt.Sprintf("%s by %s of %s", verb, label, p.title)
	s.needs = p.needs
	return s, nil
}

// without reports whether documents of this kind do not have the element of a statement.
func (g *grammar) without(element string) bool {
	switch element {
	case "Principal":
		return g.callers == nil
	case "NotPrincipal":
		return !g.notCallers
	case "Resource", "NotResource":
		return !g.resources
	case "NotAction":
		return g.actions != nil
	}
	return false
}

func (g *grammar) callerMissing() string {
	if g.notCallers {
		return "exactly one of Principal and NotPrincipal is needed"
	}
	return "Principal is missing"
}

// maxSid bounds a statement's name, which Decision.Why repeats.
const maxSid = 128

// sid returns a statement's name, unique in the document.
func (p *parser) sid(n *node) (sid string, err error) {
	sid, err = n.text()
	switch {
	case err != nil:
		return "", err
	case len(sid) > maxSid:
		return "", invalid(n.where, "at most %d bytes are allowed", maxSid)
	case sid != "" && p.sids[sid]:
		return "", invalid(n.where, "another statement has the same Sid")
	}
	p.sids[sid] = true
	return sid, nil
}

func effect(n *node) (deny bool, err error) {
	switch n.scalar {
	case "Allow":
		return false, nil
	case "Deny":
		return true, nil
	}
	return false, invalid(n.where, `must be "Allow" or "Deny"`)
}

func (p *parser) actions(n *node) ([]glob, error) {
	list, err := n.texts()
	if err != nil {
		return nil, err
	}
	globs := make([]glob, 0, len(list))
	for _, item := range list {
		text, _ := item.text()
		service, name, ok := strings.Cut(text, ":")
		if text != "*" && (!ok || !onlyOf(service, "-") || !onlyOf(name, "*?")) {
			return nil, invalid(item.where, `must be "*" or "service:Name", with * and ? as wildcards in the name`)
		}
		g := compileGlob(text, true)
		if p.grammar.actions != nil && (text == "*" || !slices.ContainsFunc(p.grammar.actions, g.match)) {
			return nil, invalid(item.where, "%s is about %s only", p.grammar.kind, strings.Join(p.grammar.actions, ", "))
		}
		globs = append(globs, g)
	}
	return globs, nil
}

// onlyOf reports whether s is not empty and has only ASCII letters, digits and extra.
func onlyOf(s, extra string) bool {
	for i := range len(s) {
		c := lower(s[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return s != ""
}

func (p *parser) resources(n *node) ([]arnGlob, error) {
	list, err := n.texts()
	if err != nil {
		return nil, err
	}
	globs := make([]arnGlob, 0, len(list))
	for _, item := range list {
		text, _ := item.text()
		if err := p.variables(item.where, text); err != nil {
			return nil, err
		}
		g, ok := compileARN(text)
		if !ok {
			return nil, invalid(item.where, `must be "*" or an ARN of six parts, "arn:partition:service:region:account:resource", with * and ? as wildcards inside the parts; a shorter one must end in ":*"`)
		}
		globs = append(globs, g)
	}
	return globs, nil
}
