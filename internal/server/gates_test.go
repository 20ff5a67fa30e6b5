package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"golang.org/x/time/rate"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/identity"
)

// gate is an address where requests act, with a request that does: {n} in it is another
// number each time.
type gate struct {
	name    string
	service string // that signatures are for; "" where none are taken
	bearer  bool   // takes tokens
	method  string
	target  string
	content string // type of the body
	body    string
	codes   map[string]string // status and code of each way of being refused
}

// The ways of being refused, on each kind of gate: the codes of AWS in JSON and in XML
// (codeartifact.md 1.2; reliability.md S6), and 401 with what is wanted instead (3.10).
var (
	jsonCodes = map[string]string{"missing": "403 MissingAuthenticationTokenException", "incomplete": "400 IncompleteSignatureException",
		"wrong": "403 InvalidSignatureException", "expired": "403 ExpiredTokenException", "session": "403 UnrecognizedClientException",
		"invalid": "400 ValidationException", "presigned": "400 ValidationException", "used": "429 ThrottlingException"}
	queryCodes = map[string]string{"missing": "403 MissingAuthenticationToken", "incomplete": "400 IncompleteSignature",
		"wrong": "403 SignatureDoesNotMatch", "expired": "403 ExpiredToken", "session": "403 InvalidClientTokenId",
		"invalid": "400 ValidationError", "presigned": "400 ValidationError", "used": "400 Throttling"}
	bearerCodes = challenges("Bearer")
	basicCodes  = challenges("Basic")
)

func challenges(scheme string) map[string]string {
	codes := map[string]string{"invalid": "400 "}
	for _, way := range []string{"missing", "incomplete", "wrong", "expired", "session", "presigned"} {
		codes[way] = "401 " + scheme
	}
	return codes
}

// tools is the gate for assistants.
var tools = gate{"tools", "codeartifact", true, "POST", "/mcp", "application/json",
	`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"repositoryDomainRepository.createRepository","arguments":{"domain":"acme","repository":"made-{n}"}}}`, bearerCodes}

// gates are the addresses beside the package managers' whole tables, which TestAccessMatrix
// walks, and the 48 operations, which TestEveryOperationAuthenticates does.
var gates = []gate{
	{"API", "codeartifact", false, "POST", "/v1/domain?domain=made-{n}", "", "", jsonCodes},
	{"IAM", "iam", false, "POST", "/", "application/x-www-form-urlencoded", "Action=CreateUser&UserName=made-{n}&Version=2010-05-08", queryCodes},
	{"STS", "sts", false, "POST", "/", "application/x-www-form-urlencoded", "Action=AssumeRole&RoleArn=arn:aws:iam::" + firstAccount + ":role/deploy&RoleSessionName=made-{n}&Version=2011-06-15", queryCodes},
	tools,
	{"events", "codeartifact", true, "GET", "/events?follow=false&domain=acme&repository=team-{n}", "", "", jsonCodes},
	{"webhooks", "codeartifact", true, "POST", "/events/webhooks", "application/json", `{"name":"made-{n}","url":"https://hook.example.com/","domain":"acme"}`, jsonCodes},
	{"blocks", "codeartifact", true, "POST", "/guard/blocks?domain=acme", "application/json", `{"target":"npm/made-{n}","reason":"a test"}`, jsonCodes},
	{"npm", "", true, "PUT", "/npm/acme/team/-/package/box/dist-tags/made-{n}", "application/json", `"1.0.0"`, bearerCodes},
	{"generic", "", true, "PUT", "/generic/acme/team/ns/box/1.0.{n}/file", "", "bytes", basicCodes},
}

// guarded is a server with a clock that can be put forward, and credentials of all kinds.
type guarded struct {
	*Server
	t      *testing.T
	ahead  atomic.Int64 // of the server's clock, in nanoseconds
	serial int
	keys   map[string]aws.Credentials
	tokens map[string]string
	told   map[string]int // status by request id, of what the audit log must hold
}

// newGuarded starts the server and makes what each way of failing needs.
func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{t: t, keys: map[string]aws.Credentials{}, tokens: map[string]string{}, told: map[string]int{}}
	c := testConfig(t, map[string]string{"mcp.write": "on", "audit.reads": "all"})
	var err error
	g.Server, err = Build(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler), Version: "test",
		Now: func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	g.auditor.strangers.SetLimit(rate.Inf) // or else only 20 of a second are recorded
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	admin, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g.keys["good"] = aws.Credentials{AccessKeyID: admin.AccessKeyID, SecretAccessKey: admin.Secret}
	for _, target := range []string{"/v1/domain?domain=acme", "/v1/domain?domain=else", "/v1/repository?domain=acme&repository=team"} {
		g.must(gate{service: "codeartifact", method: "POST", target: target})
	}
	g.credentials()
	g.publish(t, g.tokens["good"], "box", "1.0.0")
	return g
}

// credentials makes keys, sessions and tokens, good ones and others.
func (g *guarded) credentials() {
	t, good := g.t, g.keys["good"]
	query := func(service, form string) string {
		return g.must(gate{service: service, method: "POST", target: "/", content: "application/x-www-form-urlencoded", body: form})
	}
	admin := "arn:aws:iam::" + firstAccount + ":user/admin"
	query("iam", "Action=CreateRole&RoleName=deploy&Version=2010-05-08&AssumeRolePolicyDocument="+
		url.QueryEscape(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"`+admin+`"},"Action":"sts:AssumeRole"}}`))
	user := func(name string) aws.Credentials {
		query("iam", "Action=CreateUser&Version=2010-05-08&UserName="+name)
		query("iam", "Action=AttachUserPolicy&Version=2010-05-08&UserName="+name+"&PolicyArn=arn:aws:iam::aws:policy/AdministratorAccess")
		made := query("iam", "Action=CreateAccessKey&Version=2010-05-08&UserName="+name)
		return aws.Credentials{AccessKeyID: element(made, "AccessKeyId"), SecretAccessKey: element(made, "SecretAccessKey")}
	}
	session := func() aws.Credentials {
		made := query("sts", "Action=GetSessionToken&DurationSeconds=900&Version=2011-06-15")
		return aws.Credentials{AccessKeyID: element(made, "AccessKeyId"), SecretAccessKey: element(made, "SecretAccessKey"), SessionToken: element(made, "SessionToken")}
	}
	domainToken := func(domain string) string {
		var out struct{ AuthorizationToken string }
		text := g.must(gate{service: "codeartifact", method: "POST", target: "/v1/authorization-token?duration=900&domain=" + domain})
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out.AuthorizationToken
	}
	longLived := func(user string, expires time.Time) string {
		token, err := identity.CreateToken(t.Context(), g.store.Catalog, packhouse.Principal{}, g.Account(), user,
			identity.NewToken{Name: fmt.Sprint("token", g.serial), Kind: identity.TokenAutomation, Expires: expires})
		if err != nil {
			t.Fatal(err)
		}
		g.serial++
		return token
	}

	made := query("iam", "Action=CreateUser&UserName=guest&Version=2010-05-08") + query("iam", "Action=CreateAccessKey&UserName=guest&Version=2010-05-08")
	g.keys["without rights"] = aws.Credentials{AccessKeyID: element(made, "AccessKeyId"), SecretAccessKey: element(made, "SecretAccessKey")}
	g.keys["wrong secret"] = aws.Credentials{AccessKeyID: good.AccessKeyID, SecretAccessKey: strings.Repeat("x", 40)}
	g.keys["unknown"] = aws.Credentials{AccessKeyID: "AKIAXXXXXXXXXXXXXXXX", SecretAccessKey: good.SecretAccessKey}
	g.keys["inactive"] = user("resting")
	query("iam", "Action=UpdateAccessKey&Status=Inactive&UserName=resting&Version=2010-05-08&AccessKeyId="+g.keys["inactive"].AccessKeyID)
	g.keys["deleted"] = user("leaving")
	query("iam", "Action=DeleteAccessKey&UserName=leaving&Version=2010-05-08&AccessKeyId="+g.keys["deleted"].AccessKeyID)
	g.keys["of a disabled user"] = user("dismissed")
	g.tokens["long-lived, of a disabled user"] = longLived("dismissed", time.Time{})
	was := g.keys["good"]
	g.keys["good"] = g.keys["of a disabled user"]
	g.tokens["of a domain, of a disabled user"] = domainToken("acme")
	g.keys["session of a disabled user"] = session()
	g.keys["good"] = was
	if err := g.store.Catalog.Update(t.Context(), func(tx *catalog.Tx) error {
		row, err := tx.PrincipalByName(t.Context(), g.Account(), packhouse.KindUser, "dismissed")
		if err != nil {
			return err
		}
		return tx.DisablePrincipal(t.Context(), row.ID, true)
	}); err != nil {
		t.Fatal(err)
	}
	g.identity.Flush()

	s, other := session(), session()
	g.keys["session"] = s
	g.keys["session without its token"] = aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	g.keys["session with another's token"] = aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: other.SessionToken}
	g.keys["session with a changed token"] = aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: changed(s.SessionToken)}
	g.keys["long-lived with a session's token"] = aws.Credentials{AccessKeyID: good.AccessKeyID, SecretAccessKey: good.SecretAccessKey, SessionToken: s.SessionToken}

	g.tokens["good"] = domainToken("acme")
	g.tokens["good, long-lived"] = longLived("admin", time.Time{})
	g.tokens["long-lived, for 15 minutes"] = longLived("admin", time.Now().Add(15*time.Minute))
	g.tokens["of another domain"] = domainToken("else")
	g.tokens["changed in one letter"] = changed(g.tokens["good"])
	g.tokens["long-lived, of nobody"] = changed(g.tokens["good, long-lived"])
	g.tokens["a session's"] = s.SessionToken
	for what, token := range map[string]string{"of a domain, signed out": domainToken("acme"), "long-lived, revoked": longLived("admin", time.Time{})} {
		g.tokens[what] = token
		r := g.request(gate{method: "DELETE", target: "/npm/acme/team/-/user/token/" + token})
		r.Header.Set("Authorization", "Bearer "+token)
		if status, answer := g.do(r); status != http.StatusOK && status != http.StatusNoContent {
			t.Fatalf("sign out: %d %s", status, answer)
		}
	}
}

// changed is a text with one letter changed, not at the end, where encodings have bits
// that mean nothing.
func changed(token string) string {
	at := len(token) - 12
	letter := byte('A')
	if token[at] == letter {
		letter = 'B'
	}
	return token[:at] + string(letter) + token[at+1:]
}

// element is the text of an XML element.
func element(text, name string) string {
	_, rest, _ := strings.Cut(text, "<"+name+">")
	text, _, _ = strings.Cut(rest, "</"+name+">")
	return text
}

// request makes a gate's request, with a number of its own and no credentials.
func (g *guarded) request(at gate) *http.Request {
	g.t.Helper()
	g.serial++
	number := strings.NewReplacer("{n}", fmt.Sprint(g.serial))
	r, err := http.NewRequestWithContext(g.t.Context(), at.method, g.URL+number.Replace(at.target), strings.NewReader(number.Replace(at.body)))
	if err != nil {
		g.t.Fatal(err)
	}
	if at.content != "" {
		r.Header.Set("Content-Type", at.content)
	}
	if at.name == tools.name {
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	return r
}

// sum is the hash of a request's body.
func (g *guarded) sum(r *http.Request) string {
	g.t.Helper()
	h := sha256.New()
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			g.t.Fatal(err)
		}
		if _, err := io.Copy(h, body); err != nil {
			g.t.Fatal(err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sign signs a request as a key, at a time by the server's clock.
func (g *guarded) sign(r *http.Request, key, service, region string, after time.Duration) {
	g.t.Helper()
	at := time.Now().Add(time.Duration(g.ahead.Load()) + after)
	if err := v4.NewSigner().SignHTTP(g.t.Context(), g.keys[key], r, g.sum(r), service, region, at); err != nil {
		g.t.Fatal(err)
	}
}

var errorCode = regexp.MustCompile(`<Code>([A-Za-z]+)</Code>`)

// do sends a request and returns the status and what an answer says of why: the code of
// AWS, or the scheme that is asked for.
func (g *guarded) do(r *http.Request) (status int, text string) {
	g.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if s := resp.StatusCode; s == http.StatusUnauthorized || s == http.StatusForbidden {
		g.told[resp.Header.Get("X-Request-Id")] = s
	}
	switch code := errorCode.FindSubmatch(body); {
	case resp.StatusCode < 300:
		return resp.StatusCode, string(body)
	case resp.Header.Get("X-Amzn-Errortype") != "":
		return resp.StatusCode, resp.Header.Get("X-Amzn-Errortype")
	case code != nil:
		return resp.StatusCode, string(code[1])
	}
	scheme, _, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	return resp.StatusCode, scheme
}

// must sends a request with the good key and returns the answer.
func (g *guarded) must(at gate) string {
	g.t.Helper()
	r := g.request(at)
	g.sign(r, "good", at.service, "us-east-1", 0)
	status, text := g.do(r)
	if status != http.StatusOK {
		g.t.Fatalf("%s %s: %d %s", at.method, at.target, status, text)
	}
	return text
}

// changes is how many changes the ledger holds; everything that changes state adds one.
func (g *guarded) changes() (id int64) {
	g.t.Helper()
	if err := g.store.Catalog.View(g.t.Context(), func(tx *catalog.Tx) (err error) {
		id, err = tx.LatestChange(g.t.Context())
		return err
	}); err != nil {
		g.t.Fatal(err)
	}
	return id
}

// refused fails the test unless the request is refused as the gate refuses that way, and
// has changed nothing.
func (g *guarded) refused(at gate, way string, r *http.Request) {
	g.t.Helper()
	before := g.changes()
	status, text := g.do(r)
	if got := fmt.Sprintf("%d %s", status, text); got != at.codes[way] {
		g.t.Errorf("%s: %.300s, want %s", at.name, got, at.codes[way])
	}
	if after := g.changes(); after != before {
		g.t.Errorf("%s: the refused request made %d changes", at.name, after-before)
	}
}

func basicCredential(user, token string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+token))
}
