package authz_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

// naive answers the same question a second way: straight from the JSON maps, globs as
// regular expressions, one rule of the public evaluation logic per function. It shares
// no code with the package (reliability.md S13).
type naive struct{ identity, boundary, session, resource []map[string]any }

var (
	readActions = regexp.MustCompile(`^(codeartifact:(Describe|Get|List).*|codeartifact:ReadFromRepository|sts:GetServiceBearerToken)$`)
	escapes     = regexp.MustCompile(`\$\{([*?$])\}`)
)

func (n naive) allowed(q authz.Request) bool {
	if q.Who.ID == 0 || q.Who.Account == "" {
		return false
	}
	if q.Who.Scope.ReadOnly && !readActions.MatchString(string(q.Action)) {
		return false
	}
	arn := strings.Split(q.Resource, ":")
	if d := q.Who.Scope.Domain; d.Name != "" {
		if len(arn) < 6 || arn[4] != string(d.Owner) || strings.Split(arn[5], "/")[1] != d.Name {
			return false
		}
	}
	identity, denied := verdict(n.identity, q)
	session, deniedToo := verdict(n.session, q)
	resource, deniedThere := verdict(n.resource, q)
	within, deniedBeyond := verdict(n.boundary, q)
	byARN := false // a resource policy's statement that spells the caller's own ARN
	if len(n.boundary) > 0 && !within {
		identity, resource = false, false
		byARN = spelled(n.resource, q)
	}
	switch {
	case denied || deniedToo || deniedThere || deniedBeyond:
		return false
	case len(n.session) > 0 && !session:
		return false
	case byARN && (q.Resource == "*" || q.Who.Account == q.Owner):
		return true
	case q.Resource == "*" || q.Who.Account == q.Owner:
		return identity || resource
	case q.Who.Account == q.Admin:
		return identity
	}
	return identity && resource
}

// verdict tells whether any statement allows q, and whether any denies it.
func verdict(docs []map[string]any, q authz.Request) (allow, deny bool) {
	for _, doc := range docs {
		statements, ok := doc["Statement"].([]any)
		if !ok {
			statements = []any{doc["Statement"]}
		}
		for _, s := range statements {
			if s := s.(map[string]any); applies(s, q) {
				allow, deny = allow || s["Effect"] == "Allow", deny || s["Effect"] == "Deny"
			}
		}
	}
	return allow, deny
}

// spelled tells whether a statement allows q to the ARN of who asks: not to its role, not
// to its account, not to everybody.
func spelled(docs []map[string]any, q authz.Request) bool {
	for _, doc := range docs {
		statements, ok := doc["Statement"].([]any)
		if !ok {
			statements = []any{doc["Statement"]}
		}
		for _, s := range statements {
			s := s.(map[string]any)
			object, ok := s["Principal"].(map[string]any)
			if !ok || s["Effect"] != "Allow" || !applies(s, q) {
				continue
			}
			for _, p := range many(object["AWS"]) {
				if p == q.Who.ARN {
					return true
				}
			}
		}
	}
	return false
}

// named tells whether a principal element means who asks.
func named(element any, q authz.Request) bool {
	list := []string{"*"}
	if object, ok := element.(map[string]any); ok {
		list = many(object["AWS"])
	}
	for _, p := range list {
		switch p {
		case "*", string(q.Who.Account), "arn:aws:iam::" + string(q.Who.Account) + ":root", q.Who.ARN:
			return true
		}
		if q.Who.RoleARN != "" && p == q.Who.RoleARN {
			return true
		}
	}
	return false
}

func applies(s map[string]any, q authz.Request) bool {
	in := func(values any, test func(string) bool) bool {
		for _, v := range many(values) {
			if test(v) {
				return true
			}
		}
		return false
	}
	action := func(p string) bool { return like(strings.ToLower(p), strings.ToLower(string(q.Action)), false) }
	resource := func(p string) bool { return arnLike(p, q.Resource) }
	if v, ok := s["Principal"]; ok && !named(v, q) {
		return false
	}
	if v, ok := s["NotPrincipal"]; ok && named(v, q) {
		return false
	}
	if v, ok := s["Action"]; ok && !in(v, action) {
		return false
	}
	if v, ok := s["NotAction"]; ok && in(v, action) {
		return false
	}
	if v, ok := s["Resource"]; ok && !in(v, resource) {
		return false
	}
	if v, ok := s["NotResource"]; ok && in(v, resource) {
		return false
	}
	conditions, _ := s["Condition"].(map[string]any)
	for op, keys := range conditions {
		for key, values := range keys.(map[string]any) {
			if !meets(op, strings.ToLower(key), many(values), q) {
				return false
			}
		}
	}
	return true
}

func many(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var texts []string
	for _, item := range list {
		texts = append(texts, fmt.Sprint(item))
	}
	return texts
}

func meets(op, key string, want []string, q authz.Request) bool {
	context := map[string]string{}
	for k, v := range q.Context {
		if k != "aws:tagkeys" || v != "" {
			context[k] = v
		}
	}
	context["aws:principalarn"], context["aws:principalaccount"] = q.Who.ARN, string(q.Who.Account)
	if q.Who.RoleARN != "" {
		context["aws:principalarn"] = q.Who.RoleARN
	}
	value, present := context[key]
	if op == "Null" {
		for _, w := range want {
			if (w == "true") == !present {
				return true
			}
		}
		return false
	}
	name := strings.TrimPrefix(strings.TrimPrefix(op, "ForAnyValue:"), "ForAllValues:")
	if base := strings.TrimSuffix(name, "IfExists"); base != name {
		if !present {
			return true
		}
		name = base
	}
	positive := strings.Replace(name, "Not", "", 1)
	test := func(got string) bool {
		some := false
		for _, w := range want {
			some = some || compares(positive, got, w)
		}
		return some == (positive == name)
	}
	parts := strings.Split(value, "\x00")
	switch {
	case strings.HasPrefix(op, "ForAnyValue:"):
		for _, p := range parts {
			if present && test(p) {
				return true
			}
		}
		return false
	case strings.HasPrefix(op, "ForAllValues:"):
		for _, p := range parts {
			if present && !test(p) {
				return false
			}
		}
		return true
	case !present:
		return positive != name
	}
	return test(value)
}

func compares(op, got, want string) bool {
	switch op {
	case "StringEquals":
		return got == plain(want)
	case "StringEqualsIgnoreCase":
		return strings.EqualFold(got, plain(want))
	case "StringLike":
		return like(want, got, true)
	case "ArnEquals", "ArnLike":
		return arnLike(want, got)
	case "Bool":
		return got == want
	case "IpAddress":
		a, err := netip.ParseAddr(got)
		if err != nil {
			return false
		}
		if !strings.Contains(want, "/") {
			return a == netip.MustParseAddr(want)
		}
		return netip.MustParsePrefix(want).Contains(a)
	}
	var sign int // got against want
	if rest, ok := strings.CutPrefix(op, "Numeric"); ok {
		g, err := strconv.ParseFloat(got, 64)
		if err != nil {
			return false
		}
		w, _ := strconv.ParseFloat(want, 64)
		op = rest
		sign = int(g - w)
	} else {
		op = strings.TrimPrefix(op, "Date")
		g, err := time.Parse(time.RFC3339, got)
		if err != nil {
			return false
		}
		w, _ := time.Parse(time.RFC3339, want)
		sign = int(g.Sub(w) / time.Second)
	}
	switch op {
	case "Equals":
		return sign == 0
	case "LessThan":
		return sign < 0
	case "LessThanEquals":
		return sign <= 0
	case "GreaterThan":
		return sign > 0
	case "GreaterThanEquals":
		return sign >= 0
	}
	panic("operator " + op + " is not in the naive evaluator")
}

// plain takes escapes off.
func plain(s string) string {
	return escapes.ReplaceAllString(s, "$1")
}

// like is a glob as a regular expression; ${*} is a literal star.
func like(pattern, text string, escaped bool) bool {
	var b strings.Builder
	for len(pattern) > 0 {
		switch {
		case escaped && len(pattern) > 3 && pattern[:2] == "${":
			b.WriteString(regexp.QuoteMeta(pattern[2:3]))
			pattern = pattern[4:]
			continue
		case pattern[0] == '*':
			b.WriteString(`(?s:.*)`)
		case pattern[0] == '?':
			b.WriteString(`(?s:.)`)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[:1]))
		}
		pattern = pattern[1:]
	}
	key := "^" + b.String() + "$"
	re := compiled[key]
	if re == nil {
		re = regexp.MustCompile(key)
		compiled[key] = re
	}
	return re.MatchString(text)
}

// compiled keeps the globs of the one test that uses them, for speed.
var compiled = map[string]*regexp.Regexp{}

func arnLike(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) < 6 { // ends in a lone star
		if len(a) < len(p) {
			return false
		}
		a = append(a[:len(p)-1:len(p)-1], strings.Join(a[len(p)-1:], ":"))
	}
	if len(a) != len(p) {
		return false
	}
	for i := range p {
		if !like(p[i], a[i], true) {
			return false
		}
	}
	return true
}

// dice draws documents and requests from small alphabets, so that they often meet.
type dice struct{ *rand.Rand }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

func (d dice) some(from func() any) any {
	n := d.IntN(4)
	if n == 0 {
		return from()
	}
	var list []any
	for range n {
		list = append(list, from())
	}
	return list
}

func (d dice) action() any {
	return pick(d, "*", "codeartifact:*", "codeartifact:Get*", "codeartifact:?ist*", "CodeArtifact:readfromrepository",
		"codeartifact:Publish*Version", "sts:*", "sts:GetServiceBearerToken", "codeartifact:*e*", "s3:GetObject")
}

func (d dice) resource() any {
	if d.IntN(4) == 0 {
		return "*"
	}
	if d.IntN(6) == 0 {
		return pick(d, "arn:*", "arn:aws:codeartifact:*", "arn:aws:codeartifact:us-east-1:*")
	}
	return "arn:" + pick(d, "aws", "*", "a?s") + ":codeartifact:" + pick(d, "us-east-1", "*", "us-*-?") + ":" +
		pick(d, string(own), string(other), "*", "1*3") + ":" +
		pick(d, "domain/main", "domain/*", "repository/main/*", "repository/*/store", "repository/main/st?re", "*/main*",
			"package/main/store/*", "package/*/*/npm//a${*}b", "package/*a*b*", "*")
}

func (d dice) conditions() map[string]any {
	c := map[string]any{}
	for range d.IntN(3) {
		family := d.IntN(7)
		var op, key string
		var value func() any
		switch family {
		case 0:
			op = pick(d, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase")
			key = pick(d, "sts:AWSServiceName", "aws:PrincipalAccount", "aws:ResourceTag/Team")
			value = func() any { return pick(d, "red", "RED", "r?d", "*", string(own), "", "r${*}d", "réd") }
		case 1:
			op = pick(d, "Numeric", "NumericNot")
			if op == "NumericNot" {
				op += "Equals"
			} else {
				op += pick(d, "Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
			}
			key, value = "sts:DurationSeconds", func() any { return pick[any](d, 900, "3600", 43200) }
		case 2:
			op = "Date" + pick(d, "Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
			key, value = "aws:CurrentTime", func() any { return pick(d, "2026-01-01T00:00:00Z", "2026-06-01T02:00:00+02:00") }
		case 3:
			op, key, value = "Bool", "aws:SecureTransport", func() any { return pick[any](d, true, "false") }
		case 4:
			op, key = pick(d, "IpAddress", "NotIpAddress"), "aws:SourceIp"
			value = func() any { return pick(d, "10.0.0.0/8", "10.1.2.3", "2001:db8::/32") }
		case 5:
			op, key = pick(d, "ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals"), "aws:PrincipalArn"
			value = func() any {
				return pick(d, alice.ARN, "arn:aws:iam::*:user/*", "arn:aws:iam::*:user/b*", roleARN, "arn:aws:*::*:assumed-role/*")
			}
		case 6:
			op = pick(d, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike")
			op = pick(d, "ForAnyValue:", "ForAllValues:") + op
			key, value = "aws:TagKeys", func() any { return pick(d, "team", "cost", "t*") }
		}
		if d.IntN(3) == 0 {
			op += "IfExists"
		}
		c[op] = map[string]any{key: d.some(value)}
		if d.IntN(5) == 0 {
			c["Null"] = map[string]any{key: pick[any](d, true, "false")}
		}
	}
	return c
}

func (d dice) principal() any {
	if d.IntN(5) == 0 {
		return "*"
	}
	return map[string]any{"AWS": d.some(func() any {
		return pick(d, "*", string(own), string(other), "arn:aws:iam::"+string(own)+":root", alice.ARN, roleARN, sessionARN, sessionARN+"0")
	})}
}

func (d dice) document(ofResource bool) map[string]any {
	var statements []any
	for range 1 + d.IntN(4) {
		s := map[string]any{"Effect": pick(d, "Allow", "Allow", "Allow", "Deny")}
		s[pick(d, "Action", "Action", "Action", "NotAction")] = d.some(d.action)
		s[pick(d, "Resource", "Resource", "Resource", "NotResource")] = d.some(d.resource)
		if c := d.conditions(); len(c) > 0 {
			s["Condition"] = c
		}
		if ofResource {
			s[pick(d, "Principal", "Principal", "Principal", "NotPrincipal")] = d.principal()
		}
		statements = append(statements, s)
	}
	doc := map[string]any{"Version": "2012-10-17", "Statement": statements}
	if len(statements) == 1 && d.IntN(2) == 0 {
		doc["Statement"] = statements[0]
	}
	return doc
}

func (d dice) request() authz.Request {
	q := authz.Request{Who: alice, Owner: own, Admin: pick(d, own, own, other, ""), Context: map[string]string{}}
	q.Action = pick(d, packhouse.ActionReadFromRepository, packhouse.ActionGetPackageVersionAsset, packhouse.ActionListPackages,
		packhouse.ActionPublishPackageVersion, packhouse.ActionGetServiceBearerToken, packhouse.ActionDeleteDomain)
	if d.IntN(10) == 0 {
		q.Who.Account = other
		q.Who.ARN = packhouse.UserARN(other, "bob")
	}
	if d.IntN(6) == 0 {
		q.Who = session
	}
	if d.IntN(50) == 0 {
		q.Who = packhouse.Anonymous
	}
	q.Who.Scope.ReadOnly = d.IntN(8) == 0
	if d.IntN(8) == 0 {
		q.Who.Scope.Domain = packhouse.DomainRef{Owner: pick(d, own, own, other), Name: pick(d, "main", "mai")}
	}
	pkg := packhouse.PackageRef{Repo: repo, Package: packhouse.PackageName{Format: "npm", Name: pick(d, "a*b", "axb", "r:main")}}
	q.Resource = pick(d, packhouse.RepositoryARN("us-east-1", repo), packhouse.DomainARN("us-east-1", domain), packhouse.PackageARN("us-east-1", pkg), "*")
	if q.Resource == "*" {
		q.Owner, q.Admin = "", ""
	}
	set := func(key string, values ...string) {
		if d.IntN(3) > 0 {
			q.Context[key] = pick(d, values...)
		}
	}
	set("sts:awsservicename", "red", "Red", "", "r*d", "réd")
	set("aws:resourcetag/team", "red", "blue")
	set("sts:durationseconds", "900", "3600", "43200", "long")
	set("aws:currenttime", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z", "now")
	set("aws:securetransport", "true", "false")
	set("aws:sourceip", "10.1.2.3", "11.1.2.3", "2001:db8::7", "nowhere")
	set("aws:tagkeys", "", "team", authz.Values("team", "cost"), authz.Values("cost", "owner"))
	return q
}

var pairs = flag.Int("authz.pairs", 50_000, "how many policies and requests are put to both evaluators")

// Source: reliability.md S13; codeartifact.md 3.12, rules 5 to 7.
func TestDecideEqualsNaiveEvaluator(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(2026, 11))}
	answers := map[bool]int{}
	for i := 0; i < *pairs; {
		var docs []string
		var second naive
		s := &authz.Set{}
		draw := func(most int, into *[]map[string]any, compiled *[]*authz.Policy, ofResource bool) {
			for range most {
				text, err := json.Marshal(d.document(ofResource))
				if err != nil {
					t.Fatal(err)
				}
				var doc map[string]any
				if err := json.Unmarshal(text, &doc); err != nil {
					t.Fatal(err)
				}
				parse := authz.ParseIdentity
				if ofResource {
					parse = authz.ParseResource
				}
				p, err := parse("test", text)
				if err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				docs, *into, *compiled = append(docs, string(text)), append(*into, doc), append(*compiled, p)
			}
		}
		draw(d.IntN(4), &second.identity, &s.Identity, false)
		draw(d.IntN(3), &second.resource, &s.Resource, true)
		if d.IntN(6) == 0 {
			draw(1, &second.session, &s.Session, false)
		}
		if d.IntN(3) == 0 {
			draw(1, &second.boundary, &s.Boundary, false)
		}
		for range 10 {
			q := d.request()
			got, want := s.Decide(q), second.allowed(q)
			if got.Allowed != want {
				t.Fatalf("pair %d: Decide = %+v, the naive evaluator says %v\nrequest %+v\n%s", i, got, want, q, strings.Join(docs, "\n"))
			}
			answers[want]++
			i++
		}
	}
	for _, a := range []bool{true, false} {
		if answers[a] < *pairs/20 {
			t.Errorf("only %d of %d answers are %v: the draw proves too little", answers[a], *pairs, a)
		}
	}
}

func TestGlobIsNotExponential(t *testing.T) {
	pattern := "arn:aws:codeartifact:*:*:" + strings.Repeat("a*", 4000)
	s := set(t, statement(`"Effect":"Allow","Action":"*","Resource":"`+pattern+`"`))
	q := read(alice)
	q.Resource = "arn:aws:codeartifact:us-east-1:111122223333:" + strings.Repeat("a", 3000) + "b"
	if s.Decide(q).Allowed { // would not return before the test's deadline if it backtracked
		t.Error("matched")
	}
}
