package iam

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/packhouse/packhouse"
)

func TestDecode(t *testing.T) {
	type input struct {
		userName
		Marker  string `rule:"marker"`
		Seconds *int   `rule:"seconds"`
		ID      string `wire:"Id" rule:"keyId"`
		Tags    []tag
		Keys    []string `rule:"tagKey"`
		No      string   `rule:"unsupported"`
	}
	seven := 7
	for _, tt := range []struct {
		name, form string
		want       input
		broken     string // part of the message, "" for none
	}{
		{"members of all kinds", "UserName=ann&Seconds=7&Id=AKIAIOSFODNN7EXAMPLE&Tags.member.1.Key=k&Tags.member.1.Value=v+w&Tags.member.2.Key=l&Keys.member.1=a",
			input{userName: userName{"ann"}, Seconds: &seven, ID: "AKIAIOSFODNN7EXAMPLE", Tags: []tag{{"k", "v w"}, {"l", ""}}, Keys: []string{"a"}}, ""},
		{"unknown parameters are left alone", "UserName=ann&Newer=1", input{userName: userName{"ann"}}, ""},
		{"a list ends at its first gap", "UserName=ann&Keys.member.1=a&Keys.member.3=c", input{userName: userName{"ann"}, Keys: []string{"a"}}, ""},
		{"required and absent", "Marker=x", input{}, "'UserName' is required"},
		{"a bad character", "UserName=a%2Fb", input{}, "'UserName' must have only"},
		{"too long", "UserName=" + strings.Repeat("a", 65), input{}, "less than or equal to 64"},
		{"no number", "UserName=ann&Seconds=x", input{}, "'Seconds' must be a whole number"},
		{"a structure without its required member", "UserName=ann&Tags.member.1.Value=v", input{}, "'Tags.member.1.Key' is required"},
		{"not supported is not ignored", "UserName=ann&No=x", input{}, "'No' is not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form, err := parseForm(tt.form)
			if err != nil {
				t.Fatal(err)
			}
			var got input
			err = decode(form, reflect.ValueOf(&got).Elem())
			switch {
			case tt.broken != "" && (packhouse.ReasonOf(err) != reasonConstraint || !strings.Contains(err.Error(), tt.broken)):
				t.Errorf("error %v, want %q in it", err, tt.broken)
			case tt.broken == "" && (err != nil || !reflect.DeepEqual(got, tt.want)):
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// IAM API reference: pathType, pathPrefixType, the version ids of policies.
func TestRulesOfPathsAndVersions(t *testing.T) {
	long := "/" + strings.Repeat("x", 510) + "/"
	for _, tt := range []struct {
		rule      string
		good, bad []string
	}{
		{"path", []string{"/", "/team/", "/a/b!~/", long}, []string{"", "team/", "/team", "/te am/", "/t\u00e9/", long + "/"}},
		{"pathPrefix", []string{"/", "/team", "/team/", "/a/b", long}, []string{"", "team", "/te am", long + "/"}},
		{"versionId", []string{"v1", "v12"}, []string{"", "1", "v", "v0", "v01", "v+1", "v-1", "vx", "v99999999999999999999"}},
		{"usage", []string{"PermissionsPolicy", "PermissionsBoundary"}, []string{"", "Other"}},
	} {
		for _, s := range tt.good {
			if broken := rules[tt.rule](s); broken != "" {
				t.Errorf("%s %.40q: %s", tt.rule, s, broken)
			}
		}
		for _, s := range tt.bad {
			if rules[tt.rule](s) == "" {
				t.Errorf("%s %.40q is taken", tt.rule, s)
			}
		}
	}
}

func TestFormsThatTwoReadersCouldTakeDifferentlyAreRefused(t *testing.T) {
	for name, form := range map[string]string{
		"a parameter twice":      "Action=GetUser&Action=DeleteUser",
		"the same name, encoded": "Action=GetUser&Act%69on=DeleteUser",
		"a bad escape":           "Action=%zz",
		"not UTF-8":              "Action=%ff",
		"too many parameters":    strings.Repeat("&", 10) + manyParameters(maxParameters+1),
	} {
		if _, err := parseForm(form); packhouse.ReasonOf(err) != reasonParse {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func manyParameters(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p")
		b.WriteString(strings.Repeat("x", i))
	}
	return b.String()
}

// Every row decodes an empty form without panicking, and names rules that exist.
func TestEveryRowDecodes(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range operations() {
		if seen[op.name] {
			t.Errorf("%s is in the table twice", op.name)
		}
		seen[op.name] = true
		form := map[string]string{}
		fillForm(form, "", op.input)
		if err := decode(form, reflect.New(op.input).Elem()); err != nil && packhouse.ReasonOf(err) != reasonConstraint {
			t.Errorf("%s: %v", op.name, err)
		}
	}
	if len(seen) != 86 {
		t.Errorf("the table has %d operations, want 86", len(seen))
	}
}

// fillForm names every parameter of an input.
func fillForm(form map[string]string, prefix string, in reflect.Type) {
	for i := range in.NumField() {
		f := in.Field(i)
		switch {
		case f.Type.Kind() == reflect.Struct:
			fillForm(form, prefix, f.Type)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			fillForm(form, prefix+wireName(f)+".member.1.", f.Type.Elem())
		case f.Type.Kind() == reflect.Slice:
			form[prefix+wireName(f)+".member.1"] = "x"
		default:
			form[prefix+wireName(f)] = "x"
		}
	}
}

// The codes of the query APIs (codeartifact.md 1.2), in the XML that SDKs read.
func TestErrorsOnTheWire(t *testing.T) {
	unauthenticated := func(reason string) error {
		return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: reason, Message: "m"}
	}
	for _, tt := range []struct {
		err    error
		code   string
		status int
	}{
		{unauthenticated("missing_token"), "MissingAuthenticationToken", 403},
		{unauthenticated("incomplete_signature"), "IncompleteSignature", 400},
		{unauthenticated("invalid_signature"), "SignatureDoesNotMatch", 403},
		{unauthenticated("unrecognized_client"), "InvalidClientTokenId", 403},
		{unauthenticated("expired_token"), "ExpiredToken", 403},
		{unauthenticated("invalid_identity_token"), "InvalidIdentityToken", 400},
		{packhouse.Deniedf("access_denied", "m"), "AccessDenied", 403},
		{packhouse.NotFoundf("user", "ann", "m"), "NoSuchEntity", 404},
		{packhouse.Conflictf("user_exists", "user", "ann", "m"), "EntityAlreadyExists", 409},
		{packhouse.Conflictf("delete_conflict", "user", "ann", "m"), "DeleteConflict", 409},
		{packhouse.Invalidf("invalid_policy", "m"), "MalformedPolicyDocument", 400},
		{packhouse.Invalidf("invalid_name", "m"), "ValidationError", 400},
		{&packhouse.Error{Kind: packhouse.KindQuotaExceeded, Message: "m"}, "LimitExceeded", 409},
		{&packhouse.Error{Kind: packhouse.KindUnsupported, Message: "m"}, "InvalidAction", 400},
		{packhouse.Internal(http.ErrBodyNotAllowed), "ServiceFailure", 500},
	} {
		w := httptest.NewRecorder()
		writeError(w, nil, "id", tt.err)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), "<Code>"+tt.code+"</Code>") || !strings.Contains(w.Body.String(), "<RequestId>id</RequestId>") {
			t.Errorf("%v: %d %s, want %d %s", tt.err, w.Code, w.Body, tt.status, tt.code)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("Action=CreateUser&Version=2010-05-08&UserName=ann&Tags.member.1.Key=k")
	f.Add("Action=AssumeRole&PolicyArns.member.1.arn=arn%3Aaws&DurationSeconds=-1")
	f.Add("%&=&&a=%00")
	table := operations()
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseForm(body)
		if len(form) > maxParameters {
			t.Fatalf("%d parameters were read", len(form))
		}
		if err != nil {
			return
		}
		for _, op := range table {
			if err := decode(form, reflect.New(op.input).Elem()); err != nil && packhouse.ReasonOf(err) != reasonConstraint {
				t.Fatalf("%s: %v", op.name, err)
			}
		}
	})
}
