package authz

import "testing"

// Whoever hands out rights must hold them (reliability.md S14).
func TestHolds(t *testing.T) {
	const (
		all       = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		reading   = `{"Effect":"Allow","Action":["codeartifact:Get*","codeartifact:List*"],"Resource":"*"}`
		oneDomain = `{"Effect":"Allow","Action":"codeartifact:*","Resource":"arn:aws:codeartifact:us-west-2:111122223333:domain/main"}`
		domains   = `{"Effect":"Allow","Action":"codeartifact:*","Resource":"arn:aws:codeartifact:*:111122223333:domain/*"}`
		iamAll    = `{"Effect":"Allow","Action":"iam:*","Resource":"*"}`
		denyIAM   = `{"Effect":"Deny","Action":"iam:*","Resource":"*"}`
		secure    = `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`
	)
	for _, tt := range []struct {
		name        string
		held, given string // statements, separated by commas
		want        bool
	}{
		{"everything holds everything", all, all, true},
		{"everything holds a domain", all, oneDomain, true},
		{"everything holds what a NotAction allows", all, `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, true},
		{"reading does not hold everything", reading, all, false},
		{"reading holds a name in it", reading, `{"Effect":"Allow","Action":"codeartifact:ListDomains","Resource":"*"}`, true},
		{"reading holds a narrower pattern", reading, `{"Effect":"Allow","Action":"codeartifact:GetPackage*","Resource":"*"}`, true},
		{"reading holds no NotAction", reading, `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, false},
		{"a question mark holds no star", `{"Effect":"Allow","Action":"codeartifact:Get?","Resource":"*"}`, `{"Effect":"Allow","Action":"codeartifact:Get*","Resource":"*"}`, false},
		{"domains hold one domain", domains, oneDomain, true},
		{"one domain does not hold all", oneDomain, domains, false},
		{"one domain does not hold every resource", oneDomain, `{"Effect":"Allow","Action":"codeartifact:*","Resource":"*"}`, false},
		{"a condition does not hold what lacks it", secure, reading, false},
		{"a condition holds what has it too", secure, secure, true},
		{"a denial is not lifted by giving", all + "," + denyIAM, all, false},
		{"a denial that is given along", all + "," + denyIAM, all + "," + denyIAM, true},
		{"a denial about something else", all + "," + denyIAM, reading, true},
		{"denials alone give nothing", reading, denyIAM, true},
		{"nothing holds nothing but nothing", denyIAM, reading, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := func(statements string) *Set {
				p, err := ParseIdentity("p", []byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`))
				if err != nil {
					t.Fatal(err)
				}
				return &Set{Identity: []*Policy{p}}
			}
			if got, why := set(tt.held).Holds(set(tt.given)); got != tt.want || got != (why == "") {
				t.Errorf("Holds = %t (%q), want %t", got, why, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name                                   string
		held, heldBoundary, given, givenWithin string // statements; "" for no boundary
		want                                   bool
	}{
		{"a boundary limits what can be given", all, reading, all, "", false},
		{"a boundary lets what is in it be given", all, reading, reading, "", true},
		{"a boundary gives nothing", reading, all, oneDomain, "", false},
		{"what a boundary leaves is held", reading, "", all, reading, true},
		{"what a boundary leaves is more than is held", reading, "", all, domains, false},
		{"the same boundary on both", all, reading, all, reading, true},
		{"a wider boundary than the giver's", all, reading, all, domains, false},
		{"statements of the boundary about something else do not count", reading, "", reading, reading + "," + iamAll, true},
		{"a denial of the giver's boundary is not lifted", all, all + "," + denyIAM, all, all, false},
		{"a denial that the given boundary has too", all, all + "," + denyIAM, all, all + "," + denyIAM, true},
		{"a boundary that only denies leaves nothing", reading, "", all, denyIAM, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bounded := func(statements, boundary string) *Set {
				s := &Set{Identity: []*Policy{mustParse(t, statements)}}
				if boundary != "" {
					s.Boundary = []*Policy{mustParse(t, boundary)}
				}
				return s
			}
			if got, why := bounded(tt.held, tt.heldBoundary).Holds(bounded(tt.given, tt.givenWithin)); got != tt.want || got != (why == "") {
				t.Errorf("Holds = %t (%q), want %t", got, why, tt.want)
			}
		})
	}
	var narrowed Set
	p, err := ParseIdentity("p", []byte(`{"Version":"2012-10-17","Statement":[`+all+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	narrowed.Identity = []*Policy{p}
	if narrowed.Session = []*Policy{mustParse(t, reading)}; mustHold(&narrowed, p) {
		t.Error("a narrowed session gives away what it was narrowed from")
	}
}

func mustParse(t *testing.T, statements string) *Policy {
	t.Helper()
	p, err := ParseIdentity("p", []byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustHold(s *Set, p *Policy) bool {
	ok, _ := s.Holds(&Set{Identity: []*Policy{p}})
	return ok
}
