package authz

import (
	"fmt"
	"strings"
)

// MaxIdentityPolicy bounds an identity policy document, in bytes.
const MaxIdentityPolicy = 20 << 10

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
}

// Name returns the name that the policy was parsed with.
func (p *Policy) Name() string { return p.name }

// statement is one compiled statement.
type statement struct {
	deny         bool
	actions      []glob
	notActions   bool // actions are those it is not about
	resources    []arnGlob
	notResources bool
	conditions   []condition // all must hold
	why          string      // what Decision.Why says when this statement decides
}

// ParseIdentity parses and validates an identity policy. Anything unknown in it
// (element, operator, condition key, version, type, duplicate key) is refused: Invalid
// "invalid_policy", with a message that says where and what is allowed. name is used
// in Decision.Why.
//
// Source: codeartifact.md 3.12; reliability.md S13. Policy variables (${aws:username})
// are refused; the escapes ${*}, ${?} and ${$} of version 2012-10-17 are understood.
func ParseIdentity(name string, doc []byte) (*Policy, error) {
	root, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	p := parser{policy: &Policy{name: name}, sids: map[string]bool{}}
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
	policy  *Policy
	escapes bool // ${*} is an escape: version 2012-10-17
	sids    map[string]bool
}

func (p *parser) version(n *node) error {
	switch n.scalar {
	case version2012:
		p.escapes = true
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

const statementElements = "Sid, Effect, Action or NotAction, Resource or NotResource, and Condition"

func (p *parser) statement(index int, n *node) (statement, error) {
	var s statement
	if n.kind != '{' {
		return s, invalid(n.where, "must be a statement: a JSON object")
	}
	label := fmt.Sprintf("statement %d", index+1)
	has := map[string]bool{}
	for _, m := range n.members {
		var err error
		has[m.key] = true
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
			s.actions, err = actions(m.value)
		case "Resource", "NotResource":
			s.notResources = m.key == "NotResource"
			s.resources, err = p.resources(m.value)
		case "Condition":
			s.conditions, err = p.conditions(m.value)
		case "Principal", "NotPrincipal":
			err = invalid(m.value.where, "an identity policy has no principal; allowed are %s", statementElements)
		default:
			err = invalid(m.value.where, "unknown element; allowed are %s", statementElements)
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
	case has["Resource"] == has["NotResource"]:
		return s, invalid(n.where, "exactly one of Resource and NotResource is needed")
	}
	verb := "allowed"
	if s.deny {
		verb = "denied"
	}
	s.why = fmt.Sprintf("%s by %s of policy %q", verb, label, p.policy.name)
	return s, nil
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

func actions(n *node) ([]glob, error) {
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
		globs = append(globs, compileGlob(text, true))
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

// variables refuses policy variables, which would otherwise be taken for literal text.
func (p *parser) variables(where, text string) error {
	for i := 0; ; {
		next := strings.Index(text[i:], "${")
		if next < 0 {
			return nil
		}
		i += next
		if _, ok := escaped(text[i:]); !ok {
			return invalid(where, "policy variables are not supported; of ${...} only ${*}, ${?} and ${$} are allowed")
		}
		if !p.escapes {
			return invalid(where, "the escapes ${*}, ${?} and ${$} need \"Version\": %q", version2012)
		}
		i += len("${*}")
	}
}
