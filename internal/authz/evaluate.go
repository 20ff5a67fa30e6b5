package authz

import (
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

// valueSeparator stands between the values of a multi-valued condition key.
const valueSeparator = "\x00"

// Values joins the values of a multi-valued condition key, aws:TagKeys, for
// Request.Context. A separator inside a value becomes U+FFFD, so that one value never
// looks like two.
func Values(values ...string) string {
	clean := make([]string, len(values))
	for i, v := range values {
		clean[i] = strings.ReplaceAll(v, valueSeparator, "\uFFFD")
	}
	return strings.Join(clean, valueSeparator)
}

// question is a request with what the Set knows of who asks.
type question struct {
	*Request
	set      *Set
	resource arnText // Request.Resource
}

// lookup returns what the request says about a condition key. Who is asking is never
// taken from the context.
func (q *question) lookup(key string) (value string, ok bool) {
	switch key {
	case "aws:principalarn": // of a role's session it is the role's
		if q.Who.RoleARN != "" {
			return q.Who.RoleARN, true
		}
		return q.Who.ARN, q.Who.ARN != ""
	case "aws:principalaccount":
		return string(q.Who.Account), q.Who.Account != ""
	case "aws:username":
		if q.Who.Kind == packhouse.KindUser {
			return q.Who.Name, q.Who.Name != ""
		}
		return "", false
	case "aws:userid":
		return q.set.UserID, q.set.UserID != ""
	}
	if tag, is := strings.CutPrefix(key, prefixPrincipalTag); is {
		value, ok = q.set.Tags[tag]
		return value, ok
	}
	value, ok = q.Context[key]
	if key == keyTagKeys && value == "" { // the empty set
		ok = false
	}
	return value, ok
}

// holds reports whether the request meets the condition. A key that the request has
// not: a positive operator does not hold, a negated one does, IfExists and ForAllValues
// do, ForAnyValue does not (IAM's rules for missing keys).
func (c *condition) holds(q *question) bool {
	value, ok := q.lookup(c.key)
	if c.family == familyNull {
		for _, wantAbsent := range c.bools {
			if wantAbsent != ok {
				return true
			}
		}
		return false
	}
	if !ok {
		switch {
		case c.ifExists || c.quantifier == forAllValues:
			return true
		case c.quantifier == forAnyValue:
			return false
		}
		return c.negate
	}
	if c.quantifier == single {
		return c.one(q, value) != c.negate
	}
	for more := true; more; {
		var v string
		v, value, more = strings.Cut(value, valueSeparator)
		good := c.one(q, v) != c.negate
		if good && c.quantifier == forAnyValue {
			return true
		}
		if !good && c.quantifier == forAllValues {
			return false
		}
	}
	return c.quantifier == forAllValues
}

// one reports whether any of the policy's values matches v. A v that cannot be read as
// the operator's type matches none.
func (c *condition) one(q *question, v string) bool {
	switch c.family {
	case familyString:
		for i := range c.globs {
			if c.globs[i].matchFor(q, v) {
				return true
			}
		}
	case familyARN:
		arn := splitARN(v)
		for i := range c.arns {
			if c.arns[i].match(q, &arn) {
				return true
			}
		}
	case familyNumber:
		n, ok := parseNumber(v)
		for _, want := range c.numbers {
			if ok && c.ordered(compareNumbers(n, want)) {
				return true
			}
		}
	case familyDate:
		t, ok := parseTime(v)
		for _, want := range c.times {
			if ok && c.ordered(compareTimes(t, want)) {
				return true
			}
		}
	case familyBool:
		b, ok := parseBool(v)
		for _, want := range c.bools {
			if ok && b == want {
				return true
			}
		}
	case familyIP:
		a, ok := parseAddress(v)
		for _, r := range c.prefixes {
			if ok && r.Contains(a) {
				return true
			}
		}
	}
	return false
}

func (c *condition) ordered(o order) bool { return c.order&o != 0 }

func compareNumbers(a, b float64) order {
	switch {
	case a < b:
		return less
	case a > b:
		return greater
	}
	return equal
}

func compareTimes(a, b time.Time) order {
	switch a.Compare(b) {
	case -1:
		return less
	case 1:
		return greater
	}
	return equal
}
