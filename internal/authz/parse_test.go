package authz_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
)

// statement wraps the members of one statement into a document.
func statement(members string) string {
	return `{"Version":"2012-10-17","Statement":[{` + members + `}]}`
}

func condition(c string) string {
	return statement(`"Effect":"Allow","Action":"*","Resource":"*","Condition":` + c)
}

func TestParseIdentityAccepts(t *testing.T) {
	for _, tt := range []struct{ name, doc string }{
		{"one statement that is not in a list", `{"Statement":{"Effect":"Deny","NotAction":"s3:*","NotResource":["*"]}}`},
		{"the older version and an id", `{"Version":"2008-10-17","Id":"x","Statement":[{"Effect":"Allow","Action":["*"],"Resource":"*"}]}`},
		{"statement before version", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:*:*:package/d/r/generic//${*}"}],"Version":"2012-10-17"}`},
		{"an ARN that ends early in a star", statement(`"Sid":"","Effect":"Allow","Action":"a:B?","Resource":"arn:aws:codeartifact:*"`)},
		{"no conditions at all", condition(`{}`)},
		{"numbers and booleans unquoted", condition(`{"NumericLessThan":{"sts:DurationSeconds":3600},"Bool":{"aws:SecureTransport":true}}`)},
		{"every kind of date", condition(`{"DateLessThan":{"aws:CurrentTime":["2026-01-31T23:59:59Z","2026-01-31","2026-01-31T23:59Z",1769904000,"2026-01-31T23:59:59.5+01:00"]}}`)},
		{"sets on the key of tags", condition(`{"ForAllValues:StringEqualsIfExists":{"aws:TagKeys":["a","b"]},"Null":{"aws:TagKeys":"false"}}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := authz.ParseIdentity("p", []byte(tt.doc)); err != nil {
				t.Errorf("ParseIdentity(%s): %v", tt.doc, err)
			}
		})
	}
}

// Source: reliability.md S13; codeartifact.md 3.12.
func TestParseIdentityRefuses(t *testing.T) {
	many := strings.Repeat(`{"Effect":"Deny"},`, authz.MaxStatements)
	for _, tt := range []struct {
		name, doc string
		want      []string // what the message tells
	}{
		{"no JSON", `{"Statement":`, []string{"not JSON"}},
		{"text after the document", statement(`"Effect":"Allow","Action":"*","Resource":"*"`) + `{}`, []string{"after the end"}},
		{"a list", `[]`, []string{"JSON object"}},
		{"broken UTF-8", "{\"Id\":\"\xff\"}", []string{"UTF-8"}},
		{"too long", `{"Id":"` + strings.Repeat("x", authz.MaxIdentityPolicy) + `"}`, []string{"at most 20480"}},
		{"too deep", strings.Repeat(`{"a":`, 30), []string{"deep"}},
		{"too many statements", `{"Statement":[` + many[:min(len(many)-1, authz.MaxIdentityPolicy-20)], []string{"not JSON"}},
		{"an unknown element of the document", `{"Statements":[]}`, []string{"Statements:", "Version, Id and Statement"}},
		{"no statement", `{"Version":"2012-10-17"}`, []string{"Statement is missing"}},
		{"an empty list of statements", `{"Statement":[]}`, []string{"Statement:", "empty"}},
		{"an unknown version", `{"Version":"2012-10-18","Statement":[]}`, []string{"Version:", "2012-10-17", "2008-10-17"}},
		{"a numeric version", `{"Version":2012,"Statement":[]}`, []string{"Version:"}},
		{"an id that is no string", `{"Id":7,"Statement":[]}`, []string{"Id:", "string"}},
		{"a statement that is a string", `{"Statement":["x"]}`, []string{"Statement[0]:", "JSON object"}},
		{"an unknown element of a statement", statement(`"effect":"Allow"`), []string{"Statement[0].effect:", "Sid, Effect, Action"}},
		{"a principal", statement(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`), []string{"Statement[0].Principal", "an identity policy has no Principal"}},
		{"an unknown effect", statement(`"Effect":"allow","Action":"*","Resource":"*"`), []string{"Statement[0].Effect:", `"Allow" or "Deny"`}},
		{"no effect", statement(`"Action":"*","Resource":"*"`), []string{"Effect is missing"}},
		{"no action", statement(`"Effect":"Allow","Resource":"*"`), []string{"Action and NotAction"}},
		{"both actions", statement(`"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"`), []string{"Action and NotAction"}},
		{"no resource", statement(`"Effect":"Allow","Action":"*"`), []string{"Resource and NotResource"}},
		{"an empty list of actions", statement(`"Effect":"Allow","Action":[],"Resource":"*"`), []string{"Statement[0].Action:", "empty"}},
		{"an action that is a number", statement(`"Effect":"Allow","Action":["*",1],"Resource":"*"`), []string{"Statement[0].Action[1]:", "string"}},
		{"an action without a service", statement(`"Effect":"Allow","Action":"GetX","Resource":"*"`), []string{"service:Name"}},
		{"a service with a wildcard", statement(`"Effect":"Allow","Action":"code*:Get","Resource":"*"`), []string{"service:Name"}},
		{"a resource that is no ARN", statement(`"Effect":"Allow","Action":"*","Resource":"domain/x"`), []string{"Statement[0].Resource:", "six parts"}},
		{"an ARN whose star would have to swallow colons", statement(`"Effect":"Deny","Action":"*","Resource":"arn:aws:codeartifact:*:domain/*"`), []string{"six parts"}},
		{"a policy variable that does not exist", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${aws:name}"`), []string{"unknown policy variable", "aws:username"}},
		{"a variable with several values", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${aws:TagKeys}"`), []string{"unknown policy variable"}},
		{"a variable that does not end", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${aws:username"`), []string{"written ${key}"}},
		{"a default without quotes", statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${aws:username, x}"`), []string{"${key, 'default'}"}},
		{"a variable where a number must stand", condition(`{"NumericEquals":{"sts:DurationSeconds":"${aws:userid}"}}`), []string{"must be a number"}},
		{"a variable in the older version", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${aws:username}"}]}`, []string{"2012-10-17"}},
		{"an escape in the older version", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:codeartifact:a:1:domain/${*}"}]}`, []string{"2012-10-17"}},
		{"a duplicate element", statement(`"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"`), []string{"Statement[0].Effect:", "twice"}},
		{"a duplicate that is spelled with an escape", statement(`"Effect":"Allow","\u0045ffect":"Deny","Action":"*","Resource":"*"`), []string{"twice"}},
		{"a duplicate condition key in another case", condition(`{"StringEquals":{"aws:SourceIp":"a","aws:sourceip":"b"}}`), []string{"twice"}},
		{"a duplicate sid", `{"Statement":[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]}`, []string{"Statement[1].Sid:"}},
		{"an unknown operator", condition(`{"StringMatches":{"aws:SourceIp":"a"}}`), []string{"Condition.StringMatches:", "allowed are String*"}},
		{"Null with IfExists", condition(`{"NullIfExists":{"aws:SourceIp":"true"}}`), []string{"unknown condition operator"}},
		{"an unknown set prefix", condition(`{"ForSomeValues:StringLike":{"aws:SourceIp":"a"}}`), []string{"unknown condition operator"}},
		{"a key that is not supported", condition(`{"StringLike":{"aws:UserAgent":"a"}}`), []string{"aws:UserAgent", "allowed are aws:TagKeys, aws:PrincipalOrgID"}},
		{"a tag key without a name", condition(`{"StringLike":{"aws:ResourceTag/":"a"}}`), []string{"unknown condition key"}},
		{"several values without a set prefix", condition(`{"StringLike":{"aws:TagKeys":"a"}}`), []string{"ForAnyValue:"}},
		{"an operator without keys", condition(`{"StringLike":{}}`), []string{"condition keys"}},
		{"a key without values", condition(`{"StringLike":{"aws:SourceIp":[]}}`), []string{"empty"}},
		{"a value that is an object", condition(`{"StringLike":{"aws:SourceIp":{}}}`), []string{"must be a string"}},
		{"null as a value", condition(`{"StringLike":{"aws:SourceIp":null}}`), []string{"must be a string"}},
		{"a number that is none", condition(`{"NumericEquals":{"sts:DurationSeconds":"0x10"}}`), []string{"must be a number"}},
		{"a date that is none", condition(`{"DateEquals":{"aws:CurrentTime":"tomorrow"}}`), []string{"must be a time"}},
		{"a range that is none", condition(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), []string{"must be an IP"}},
		{"a boolean that is none", condition(`{"Bool":{"aws:SecureTransport":"yes"}}`), []string{"true or false"}},
		{"an ARN condition that is none", condition(`{"ArnLike":{"aws:PrincipalArn":"user/x"}}`), []string{"must be an ARN"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := authz.ParseIdentity("p", []byte(tt.doc))
			if packhouse.KindOf(err) != packhouse.KindInvalid || packhouse.ReasonOf(err) != "invalid_policy" {
				t.Fatalf("error = %v, want Invalid invalid_policy", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("message %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestManagedPolicies(t *testing.T) {
	for _, name := range []string{authz.AdminAccess, authz.ReadOnlyAccess} {
		doc, ok := authz.Managed(name)
		if !ok {
			t.Fatalf("Managed(%s) is missing", name)
		}
		if _, err := authz.ParseIdentity(name, []byte(doc)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok := authz.Managed("PowerUserAccess"); ok {
		t.Error("Managed knows a policy that is not shipped")
	}
}

func FuzzParseIdentity(f *testing.F) {
	for _, name := range []string{authz.AdminAccess, authz.ReadOnlyAccess} {
		doc, _ := authz.Managed(name)
		f.Add([]byte(doc))
	}
	f.Add([]byte(condition(`{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["${*}","?*"]},"IpAddress":{"aws:SourceIp":"::ffff:1.2.3.4"}}`)))
	f.Add([]byte(statement(`"Sid":"\ud800","Effect":"Allow","Action":"*","Resource":"arn:*"`)))
	q := authz.Request{
		Who:    packhouse.Principal{ID: 1, Account: "111122223333", ARN: "arn:aws:iam::111122223333:user/u"},
		Action: packhouse.ActionReadFromRepository, Owner: "111122223333",
		Resource: "arn:aws:codeartifact:us-east-1:111122223333:repository/d/r",
		Context:  map[string]string{"aws:sourceip": "10.1.2.3", "aws:tagkeys": authz.Values("a", "b")},
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := authz.ParseIdentity("fuzz", doc)
		if err != nil {
			if packhouse.ReasonOf(err) != "invalid_policy" {
				t.Fatalf("error without the reason: %v", err)
			}
			return
		}
		set := authz.Set{Identity: []*authz.Policy{p}}
		first := set.Decide(q)
		if again := set.Decide(q); again != first {
			t.Fatalf("two answers to one question: %v, %v", first, again)
		}
		if first.Allowed && !strings.Contains(string(doc), "Allow") && !strings.Contains(string(doc), `\u`) {
			t.Fatalf("allowed by a document without an Allow: %s", doc)
		}
	})
}

// fiftyStatements is the document that the benchmark measures.
func fiftyStatements() string {
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for i := range 49 {
		fmt.Fprintf(&b, `{"Sid":"s%d","Effect":"%s","Action":["codeartifact:Publish*","codeartifact:Read*"],"Resource":"arn:aws:codeartifact:us-east-1:111122223333:*/d%d/*"},`,
			i, []string{"Allow", "Deny"}[i%2], i)
	}
	b.WriteString(`{"Sid":"last","Effect":"Allow","Action":"codeartifact:ReadFromRepository","Resource":"arn:aws:codeartifact:us-east-1:111122223333:repository/main/*"}]}`)
	return b.String()
}
