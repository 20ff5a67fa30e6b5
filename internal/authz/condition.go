package authz

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// family is how an operator compares one value of the request with one of the policy.
type family uint8

const (
	familyString family = iota // exact, or as globs where the operator is Like
	familyARN
	familyNumber
	familyDate
	familyBool
	familyIP
	familyNull
)

// order is which results of a comparison satisfy an ordering operator.
type order uint8

const (
	equal order = 1 << iota
	less
	greater
)

// operator is what a condition operator's bare name means.
type operator struct {
	family family
	negate bool  // holds where no value matches
	like   bool  // strings only: values are globs
	fold   bool  // strings only: ASCII case does not count
	order  order // numbers and dates only
}

// operators are the bare names (codeartifact.md 3.12); each but Null may carry IfExists
// and a set prefix.
var operators = map[string]operator{
	"StringEquals":              {family: familyString},
	"StringNotEquals":           {family: familyString, negate: true},
	"StringEqualsIgnoreCase":    {family: familyString, fold: true},
	"StringNotEqualsIgnoreCase": {family: familyString, fold: true, negate: true},
	"StringLike":                {family: familyString, like: true},
	"StringNotLike":             {family: familyString, like: true, negate: true},
	"ArnEquals":                 {family: familyARN},
	"ArnLike":                   {family: familyARN},
	"ArnNotEquals":              {family: familyARN, negate: true},
	"ArnNotLike":                {family: familyARN, negate: true},
	"NumericEquals":             {family: familyNumber, order: equal},
	"NumericNotEquals":          {family: familyNumber, order: equal, negate: true},
	"NumericLessThan":           {family: familyNumber, order: less},
	"NumericLessThanEquals":     {family: familyNumber, order: less | equal},
	"NumericGreaterThan":        {family: familyNumber, order: greater},
	"NumericGreaterThanEquals":  {family: familyNumber, order: greater | equal},
	"DateEquals":                {family: familyDate, order: equal},
	"DateNotEquals":             {family: familyDate, order: equal, negate: true},
	"DateLessThan":              {family: familyDate, order: less},
	"DateLessThanEquals":        {family: familyDate, order: less | equal},
	"DateGreaterThan":           {family: familyDate, order: greater},
	"DateGreaterThanEquals":     {family: familyDate, order: greater | equal},
	"Bool":                      {family: familyBool},
	"IpAddress":                 {family: familyIP},
	"NotIpAddress":              {family: familyIP, negate: true},
	"Null":                      {family: familyNull},
}

const operatorsAllowed = "String*, Numeric*, Date*, Bool, IpAddress, NotIpAddress, Arn* and Null, " +
	"with IfExists behind (not Null) and ForAnyValue: or ForAllValues: before"

// quantifier says how the values of a multi-valued key count.
type quantifier uint8

const (
	single quantifier = iota
	forAnyValue
	forAllValues
)

// keyTagKeys is the one key with several values; see Values.
const keyTagKeys = "aws:tagkeys"

// keys that policies may ask for, in lower case; those that end in / or : are prefixes.
var conditionKeys = []string{
	"aws:principalorgid", "aws:principalarn", "aws:principalaccount", "aws:username", "aws:userid", keySourceIP,
	keyCurrentTime, keySecureTransport, prefixPrincipalTag, prefixResourceTag, "aws:requesttag/", keyTagKeys, "sts:",
	KeyPermissionsBoundary, KeyPolicyARN,
}

// Keys of actions on identities: the ARN of the boundary that the identity has or gets,
// and of the managed policy that is attached or detached.
const (
	KeyPermissionsBoundary = "iam:permissionsboundary"
	KeyPolicyARN           = "iam:policyarn"
)

// Keys whose values a request carries only for policies that ask for them.
const (
	keySourceIP        = "aws:sourceip"
	keyCurrentTime     = "aws:currenttime"
	keySecureTransport = "aws:securetransport"
	prefixPrincipalTag = "aws:principaltag/"
	prefixResourceTag  = "aws:resourcetag/"
)

const variablesAllowed = "aws:PrincipalOrgID, aws:PrincipalArn, aws:PrincipalAccount, aws:username, aws:userid, aws:SourceIp, " +
	"aws:CurrentTime, aws:SecureTransport, aws:PrincipalTag/NAME, aws:ResourceTag/NAME, aws:RequestTag/NAME, iam:PermissionsBoundary, iam:PolicyARN and sts:NAME"

const keysAllowed = "aws:TagKeys, " + variablesAllowed

// Asks says which facts a policy reads that cost something to find out: the engine puts
// them into Request.Context only where a policy asks.
type Asks uint8

// What policies can ask for.
const (
	AsksRequest      Asks = 1 << iota // aws:SourceIp, aws:CurrentTime or aws:SecureTransport
	AsksResourceTags                  // aws:ResourceTag/NAME
)

func asksOf(key string) Asks {
	switch {
	case key == keySourceIP, key == keyCurrentTime, key == keySecureTransport:
		return AsksRequest
	case strings.HasPrefix(key, prefixResourceTag):
		return AsksResourceTags
	}
	return 0
}

// knownKey reports whether policies of this kind may ask for a condition key, given in
// lower case.
func (p *parser) knownKey(key string) bool {
	if p.grammar.claims && !strings.HasPrefix(key, "aws:") {
		// The claims of an OIDC token: HOST:CLAIM, where the host may have a port and a path.
		at := strings.LastIndexByte(key, ':')
		return at > 0 && at < len(key)-1 && !strings.ContainsAny(key, " \t\n\r\x00")
	}
	return slices.ContainsFunc(conditionKeys, func(k string) bool {
		if last := k[len(k)-1]; last == '/' || last == ':' {
			return strings.HasPrefix(key, k) && len(key) > len(k)
		}
		return key == k
	})
}

// condition is one operator on one key.
type condition struct {
	operator
	key        string // lower case
	ifExists   bool
	quantifier quantifier
	// Values, compiled; the family says which of these is set.
	globs    []glob
	arns     []arnGlob
	numbers  []float64
	times    []time.Time
	prefixes []netip.Prefix
	bools    []bool
}

func (p *parser) conditions(n *node) ([]condition, error) {
	if n.kind != '{' {
		return nil, invalid(n.where, "must be an object of operators")
	}
	var all []condition
	for _, op := range n.members {
		c, err := parseOperator(op)
		if err != nil {
			return nil, err
		}
		if op.value.kind != '{' || len(op.value.members) == 0 {
			return nil, invalid(op.value.where, "must be an object of condition keys")
		}
		seen := map[string]bool{}
		for _, key := range op.value.members {
			c := c // one condition per key
			c.key = strings.ToLower(key.key)
			if seen[c.key] {
				return nil, invalid(key.value.where, "the key occurs twice; case does not distinguish condition keys")
			}
			seen[c.key] = true
			if err := p.conditionKey(&c, key.value); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func parseOperator(m member) (condition, error) {
	var c condition
	name := m.key
	if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		name, c.quantifier = rest, forAnyValue
	} else if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		name, c.quantifier = rest, forAllValues
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	op, ok := operators[name]
	if !ok || op.family == familyNull && (c.ifExists || c.quantifier != single) {
		return c, invalid(m.value.where, "unknown condition operator; allowed are %s", operatorsAllowed)
	}
	c.operator = op
	return c, nil
}

func (p *parser) conditionKey(c *condition, n *node) error {
	switch {
	case !p.knownKey(c.key):
		return invalid(n.where, "unknown condition key; allowed are %s", keysAllowed)
	case c.key == keyTagKeys && c.quantifier == single && c.family != familyNull:
		return invalid(n.where, "the key has several values; put ForAnyValue: or ForAllValues: before the operator")
	}
	p.policy.asks |= asksOf(c.key)
	list := []*node{n}
	if n.kind == '[' {
		list = n.items
	}
	if len(list) == 0 {
		return invalid(n.where, "the list is empty")
	}
	for _, item := range list {
		text, ok := scalarText(item)
		if !ok {
			return invalid(item.where, "must be a string, a number, a boolean or a list of them")
		}
		if err := p.variables(item.where, text); err != nil {
			return err
		}
		if !c.add(text) {
			return invalid(item.where, "%s", familyAllowed[c.family])
		}
	}
	return nil
}

// familyAllowed says what values of a family look like.
var familyAllowed = map[family]string{
	familyARN:    `must be an ARN, with * and ? as wildcards inside its six parts`,
	familyNumber: "must be a number",
	familyDate:   "must be a time such as 2026-01-31T23:59:59Z, a date, or seconds since 1970",
	familyBool:   "must be true or false",
	familyIP:     "must be an IP address or a range such as 10.0.0.0/8",
	familyNull:   "must be true or false",
}

func scalarText(n *node) (string, bool) {
	switch v := n.scalar.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// add compiles one more value; false means that it is not of the operator's family.
func (c *condition) add(text string) (ok bool) {
	switch c.family {
	case familyString:
		if c.like {
			c.globs = append(c.globs, compileGlob(text, c.fold))
		} else {
			c.globs = append(c.globs, literalGlob(text, c.fold))
		}
		return true
	case familyARN:
		var a arnGlob
		a, ok = compileARN(text)
		c.arns = append(c.arns, a)
	case familyNumber:
		var f float64
		f, ok = parseNumber(text)
		c.numbers = append(c.numbers, f)
	case familyDate:
		var t time.Time
		t, ok = parseTime(text)
		c.times = append(c.times, t)
	case familyBool, familyNull:
		var b bool
		b, ok = parseBool(text)
		c.bools = append(c.bools, b)
	case familyIP:
		var r netip.Prefix
		r, ok = parseRange(text)
		c.prefixes = append(c.prefixes, r)
	}
	return ok
}

// parseNumber reads a decimal number: no hexadecimal, no infinity.
func parseNumber(s string) (float64, bool) {
	for i := range len(s) {
		if !strings.ContainsRune("0123456789+-.eE", rune(s[i])) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func parseBool(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// parseTime reads the W3C profile of ISO 8601 that policies use, or epoch seconds.
func parseTime(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > len("2006") {
		return time.Unix(n, 0), true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseRange reads an address or a range; IPv4 inside IPv6 is IPv4.
func parseRange(s string) (netip.Prefix, bool) {
	if a, ok := parseAddress(s); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	r, err := netip.ParsePrefix(s)
	if err != nil || r.Addr().Is4In6() {
		return netip.Prefix{}, false
	}
	return r.Masked(), true
}

func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}
