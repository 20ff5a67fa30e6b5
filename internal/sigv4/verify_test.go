package sigv4_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/sigv4"
)

const (
	region  = "eu-west-1"
	service = "codeartifact"
	keyID   = "AKIAEXAMPLEEXAMPLE00"
	secret  = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	base    = "http://127.0.0.1:8480"
)

var (
	signedAt = time.Date(2026, 11, 20, 23, 59, 30, 0, time.UTC)
	alice    = packhouse.Principal{ID: 7, Account: "111122223333", Name: "alice"}
)

// verifier knows three keys: keyID, a disabled one, and a temporary one with a token.
func verifier(now time.Time) *sigv4.Verifier {
	return &sigv4.Verifier{
		Region: region, Service: service,
		Now: func() time.Time { return now },
		Lookup: func(_ *http.Request, id, _ string) (sigv4.Key, bool, error) {
			switch id {
			case keyID:
				return sigv4.Key{Secret: secret, Active: true, Principal: alice}, true, nil
			case "AKIADISABLED":
				return sigv4.Key{Secret: secret, Principal: alice}, true, nil
			case "ASIATEMPORARY":
				temporary := alice
				temporary.Expires = signedAt.Add(time.Minute)
				return sigv4.Key{Secret: secret, SessionToken: "tok/en+=", Active: true, Principal: temporary}, true, nil
			case "AKIABROKEN":
				return sigv4.Key{}, false, errors.New("database is away")
			}
			return sigv4.Key{}, false, nil
		},
	}
}

// call is a request as a client makes it.
type call struct {
	method, target, body string
	header               http.Header
	key, secret, token   string
	at                   time.Time
	payload              string // payload hash to sign; "" for the body's
	region, service      string
	presign              time.Duration // life; 0 for a header signature
}

func (c call) sign(t testing.TB) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), c.method, base+c.target, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	credentials := aws.Credentials{AccessKeyID: or(c.key, keyID), SecretAccessKey: or(c.secret, secret), SessionToken: c.token}
	at := c.at
	if at.IsZero() {
		at = signedAt
	}
	payload := or(c.payload, sum(c.body))
	if c.presign > 0 {
		query := req.URL.Query()
		query.Set("X-Amz-Expires", fmt.Sprint(int(c.presign.Seconds())))
		req.URL.RawQuery = query.Encode()
		signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), credentials, req, payload, or(c.service, service), or(c.region, region), at)
		if err != nil {
			t.Fatal(err)
		}
		if req.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
		return req
	}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, req, payload, or(c.service, service), or(c.region, region), at); err != nil {
		t.Fatal(err)
	}
	return req
}

// receive turns a client's request into what a server reads off the wire.
func receive(t testing.TB, client *http.Request) *http.Request {
	t.Helper()
	var wire bytes.Buffer
	if err := client.Write(&wire); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// check says whether an error has the reason; "" means no error.
func check(t testing.TB, err error, reason string) {
	t.Helper()
	if err == nil && reason == "" {
		return
	}
	if err == nil || packhouse.ReasonOf(err) != reason {
		t.Fatalf("error = %v (reason %q), want reason %q", err, packhouse.ReasonOf(err), reason)
	}
}

// Source: reliability.md S6; codeartifact.md 1.1.
func TestVerify(t *testing.T) {
	publish := "/v1/package/version/publish?domain=d"
	for _, tt := range []struct {
		name   string
		call   call
		now    time.Time
		secure bool
		change func(*http.Request) // after signing
		reason string              // "" for accepted
	}{
		{name: "a GET without body", call: call{method: "GET", target: "/v1/domain?domain=main"}},
		{name: "a POST with JSON", call: call{method: "POST", target: "/v1/domains", body: `{"maxResults":1}`, header: http.Header{"Content-Type": {"application/json"}}}},
		{name: "a POST with neither body nor type", call: call{method: "POST", target: "/v1/packages?domain=d&repository=r"}},
		{name: "values with every awkward character", call: call{method: "GET", target: "/v1/tags?resourceArn=" + url.QueryEscape("arn:aws:x:package-group/d/%2a~é +/=&?#") + "&next-token=%2B%2F%3D%252a"}},
		{name: "a plus that means a blank", call: call{method: "GET", target: "/v1/tags?resourceArn=a+b%20c"}},
		{name: "a parameter without value", call: call{method: "GET", target: "/v1/tags?a&b=&a=1"}},
		{name: "an escaped path", call: call{method: "GET", target: "/v1/a%2Fb/%25/c%20d/é"}},
		{name: "an unsigned header does no harm", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Set("Accept", "*/*") }},
		{name: "the declared hash is the body's", call: call{method: "POST", target: publish, body: "x", header: http.Header{"X-Amz-Content-Sha256": {sum("x")}}}},
		{name: "header and body differ, the header's value was signed", call: call{method: "POST", target: publish, body: "x", payload: sum("y"), header: http.Header{"X-Amz-Content-Sha256": {sum("y")}}}, reason: "payload_mismatch"},
		{name: "header and body differ, the body's hash was signed", call: call{method: "POST", target: publish, body: "x", header: http.Header{"X-Amz-Content-Sha256": {sum("y")}}}, reason: "payload_mismatch"},
		{name: "unsigned payload with a body", call: call{method: "POST", target: publish, body: "x", payload: "UNSIGNED-PAYLOAD", header: http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}}, secure: true, reason: "unsupported_payload_mode"},
		{name: "unsigned payload without TLS", call: call{method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", header: http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}}, reason: "unsupported_payload_mode"},
		{name: "unsigned payload of nothing over TLS", call: call{method: "GET", target: "/", payload: "UNSIGNED-PAYLOAD", header: http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}}, secure: true},
		{name: "a streaming mode", call: call{method: "POST", target: publish, body: "x", payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", header: http.Header{"X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}}}, secure: true, reason: "unsupported_payload_mode"},

		{name: "no credential", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Del("Authorization") }, reason: "missing_token"},
		{name: "another scheme", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, reason: "incomplete_signature"},
		{name: "two headers", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Add("Authorization", "Bearer x") }, reason: "two_credentials"},
		{name: "header and query", call: call{method: "GET", target: "/", presign: time.Hour}, change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, reason: "two_credentials"},
		{name: "a part of a query credential beside the header, in another case", call: call{method: "GET", target: "/?x-AMZ-signature=00"}, reason: "two_credentials"},
		{name: "no signature", call: call{method: "GET", target: "/"}, change: editAuth(", Signature=", ", Sig="), reason: "incomplete_signature"},
		{name: "an unknown part", call: call{method: "GET", target: "/"}, change: editAuth("SignedHeaders=", "Extra=1, SignedHeaders="), reason: "incomplete_signature"},
		{name: "host is not signed", call: call{method: "GET", target: "/"}, change: editAuth("=host;", "="), reason: "incomplete_signature"},
		{name: "the date is not signed", call: call{method: "GET", target: "/"}, change: editAuth(";x-amz-date", ""), reason: "incomplete_signature"},
		{name: "the date is missing", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, reason: "incomplete_signature"},
		{name: "an added x-amz header", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "1") }, reason: "incomplete_signature"},
		{name: "a second date", call: call{method: "GET", target: "/"}, change: func(r *http.Request) { r.Header.Add("X-Amz-Date", "20261120T235930Z") }, reason: "incomplete_signature"},
		{name: "a malformed query", call: call{method: "GET", target: "/?a=1"}, change: func(r *http.Request) { r.URL.RawQuery += "&b;c=2" }, reason: "invalid_query"},
		{name: "another terminator", call: call{method: "GET", target: "/"}, change: editAuth("/aws4_request", "/aws5_request"), reason: "incomplete_signature"},
		{name: "another region", call: call{method: "GET", target: "/", region: "us-east-1"}, reason: "invalid_signature"},
		{name: "another service", call: call{method: "GET", target: "/", service: "s3"}, reason: "invalid_signature"},
		{name: "a scope of another day", call: call{method: "GET", target: "/"}, change: editAuth("/20261120/", "/20261121/"), reason: "invalid_signature"},

		{name: "five minutes late", call: call{method: "GET", target: "/"}, now: signedAt.Add(5 * time.Minute)},
		{name: "later", call: call{method: "GET", target: "/"}, now: signedAt.Add(5*time.Minute + time.Second), reason: "invalid_signature"},
		{name: "five minutes early", call: call{method: "GET", target: "/"}, now: signedAt.Add(-5 * time.Minute)},
		{name: "earlier", call: call{method: "GET", target: "/"}, now: signedAt.Add(-5*time.Minute - time.Second), reason: "invalid_signature"},

		{name: "a wrong secret", call: call{method: "GET", target: "/", secret: "x"}, reason: "invalid_signature"},
		{name: "an unknown key", call: call{method: "GET", target: "/", key: "AKIANOBODY"}, reason: "invalid_signature"},
		{name: "an unknown key with the stand-in secret", call: call{method: "GET", target: "/", key: "AKIANOBODY", secret: strings.Repeat("0", 40)}, reason: "invalid_signature"},
		{name: "a disabled key", call: call{method: "GET", target: "/", key: "AKIADISABLED"}, reason: "invalid_signature"},
		{name: "a lookup that fails", call: call{method: "GET", target: "/", key: "AKIABROKEN"}, reason: "internal"},

		{name: "temporary credentials", call: call{method: "GET", target: "/", key: "ASIATEMPORARY", token: "tok/en+="}},
		{name: "another session token", call: call{method: "GET", target: "/", key: "ASIATEMPORARY", token: "token"}, reason: "invalid_signature"},
		{name: "no session token", call: call{method: "GET", target: "/", key: "ASIATEMPORARY"}, reason: "invalid_signature"},
		{name: "a session token with a long-lived key", call: call{method: "GET", target: "/", token: "tok/en+="}, reason: "invalid_signature"},
		{name: "expired temporary credentials", call: call{method: "GET", target: "/", key: "ASIATEMPORARY", token: "tok/en+="}, now: signedAt.Add(time.Minute), reason: "expired_token"},

		{name: "presigned", call: call{method: "GET", target: "/v1/package/version/asset?asset=a%2Fb+c", presign: time.Hour}, now: signedAt.Add(time.Hour - time.Second)},
		{name: "presigned with an unsigned payload", call: call{method: "GET", target: "/", presign: time.Hour, payload: "UNSIGNED-PAYLOAD"}},
		{name: "presigned with a session token", call: call{method: "GET", target: "/", presign: time.Hour, key: "ASIATEMPORARY", token: "tok/en+="}},
		{name: "presigned, session token in the header as well", call: call{method: "GET", target: "/", presign: time.Hour, key: "ASIATEMPORARY", token: "tok/en+="},
			change: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "tok/en+=") }, reason: "two_credentials"},
		{name: "presigned with a body", call: call{method: "GET", target: "/", presign: time.Hour, body: "x", payload: "UNSIGNED-PAYLOAD"}, reason: "payload_mismatch"},
		{name: "presigned and expired", call: call{method: "GET", target: "/", presign: time.Hour}, now: signedAt.Add(time.Hour), reason: "invalid_signature"},
		{name: "presigned in the future", call: call{method: "GET", target: "/", presign: time.Hour}, now: signedAt.Add(-6 * time.Minute), reason: "invalid_signature"},
		{name: "presigned for eight days", call: call{method: "GET", target: "/", presign: 8 * 24 * time.Hour}, reason: "incomplete_signature"},
		{name: "presigned POST", call: call{method: "POST", target: "/", presign: time.Hour}, reason: "presigned_method"},
		{name: "presigned, another parameter added", call: call{method: "GET", target: "/", presign: time.Hour}, change: func(r *http.Request) { r.URL.RawQuery += "&domain=x" }, reason: "invalid_signature"},
		{name: "presigned, a second expiry", call: call{method: "GET", target: "/", presign: time.Hour}, change: func(r *http.Request) { r.URL.RawQuery += "&X-Amz-Expires=7" }, reason: "incomplete_signature"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := receive(t, tt.call.sign(t))
			if tt.change != nil {
				tt.change(r)
			}
			now := tt.now
			if now.IsZero() {
				now = signedAt
			}
			v := verifier(now)
			v.Secure = func(*http.Request) bool { return tt.secure }
			res, err := v.Verify(r, []byte(tt.call.body))
			check(t, err, tt.reason)
			if err == nil && (res.Principal.ID != alice.ID || !res.Signed.Equal(signedAt) || res.KeyID == "" || res.Hash == [32]byte{}) {
				t.Errorf("result = %+v", res)
			}
			if err != nil && res != (sigv4.Result{}) {
				t.Errorf("refused with a result: %+v", res)
			}
		})
	}
}

func editAuth(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
	}
}

// A caller must not learn from the answer which access keys exist (S6).
func TestOneTextForAllWrongKeys(t *testing.T) {
	var texts []string
	for _, c := range []call{{secret: "x"}, {key: "AKIANOBODY"}, {key: "AKIADISABLED"}, {key: "ASIATEMPORARY", token: "x"}} {
		c.method, c.target = "GET", "/"
		_, err := verifier(signedAt).Verify(receive(t, c.sign(t)), nil)
		if err == nil {
			t.Fatalf("%+v is accepted", c)
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts[1:] {
		if text != texts[0] {
			t.Errorf("texts differ: %q, %q", text, texts[0])
		}
	}
}

// Some clients sign headers that the SDK's signer would leave out.
func TestVerifySignedUserAgent(t *testing.T) {
	client := call{method: "GET", target: "/", header: http.Header{"user-agent": {"tool/1  x"}}}.sign(t)
	if !strings.Contains(client.Header.Get("Authorization"), "user-agent") {
		t.Fatal("the client did not sign User-Agent")
	}
	client.Header = http.Header{"User-Agent": {"tool/1  x"}, "Authorization": client.Header["Authorization"], "X-Amz-Date": client.Header["X-Amz-Date"]}
	_, err := verifier(signedAt).Verify(receive(t, client), nil)
	check(t, err, "")
	client.Header.Set("User-Agent", "tool/2")
	_, err = verifier(signedAt).Verify(receive(t, client), nil)
	check(t, err, "invalid_signature")
}

// Source: codeartifact.md 1.1, PublishPackageVersion.
func TestVerifyStream(t *testing.T) {
	const target = "/v1/package/version/publish?domain=d"
	header := func(s string) http.Header { return http.Header{"X-Amz-Content-Sha256": {s}} }
	for _, tt := range []struct {
		name     string
		call     call
		sent     string // body on the wire if not the signed one
		secure   bool
		reason   string
		spooled  bool
		atTheEnd string // reason of the error at the end of the body
	}{
		{name: "the header is what was signed", call: call{method: "POST", target: target, body: "x", header: header(sum("x"))}},
		{name: "the body is another one", call: call{method: "POST", target: target, body: "x", header: header(sum("x"))}, sent: "y", atTheEnd: "payload_mismatch"},
		{name: "the body is longer", call: call{method: "POST", target: target, body: "x", header: header(sum("x"))}, sent: "xx", atTheEnd: "payload_mismatch"},
		{name: "no header: the body is spooled", call: call{method: "POST", target: target, body: "x"}, spooled: true},
		{name: "no header and another body", call: call{method: "POST", target: target, body: "x"}, sent: "y", spooled: true, reason: "invalid_signature"},
		{name: "the real hash was signed, the header says another", call: call{method: "POST", target: target, body: "x", header: header(sum("y"))}, spooled: true, reason: "payload_mismatch"},
		{name: "a wrong secret", call: call{method: "POST", target: target, body: "x", secret: "no", header: header(sum("x"))}, spooled: true, reason: "invalid_signature"},
		{name: "unsigned payload over TLS", call: call{method: "POST", target: target, body: "x", payload: "UNSIGNED-PAYLOAD", header: header("UNSIGNED-PAYLOAD")}, sent: "y", secure: true},
		{name: "unsigned payload in the clear", call: call{method: "POST", target: target, body: "x", payload: "UNSIGNED-PAYLOAD", header: header("UNSIGNED-PAYLOAD")}, reason: "unsupported_payload_mode"},
		{name: "a streaming mode", call: call{method: "POST", target: target, body: "x", header: header("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")}, secure: true, reason: "unsupported_payload_mode"},
		{name: "presigned", call: call{method: "GET", target: target, presign: time.Hour}},
		{name: "presigned with a body", call: call{method: "GET", target: target, presign: time.Hour}, sent: "x", atTheEnd: "payload_mismatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := receive(t, tt.call.sign(t))
			body := or(tt.sent, tt.call.body)
			r.Body = io.NopCloser(strings.NewReader(body))
			v := verifier(signedAt)
			v.Secure = func(*http.Request) bool { return tt.secure }
			spools := 0
			_, needBody, err := v.VerifyStream(r, func() (string, error) {
				spools++
				all, err := io.ReadAll(r.Body)
				return sum(string(all)), err
			})
			check(t, err, tt.reason)
			if needBody != tt.spooled || (spools == 1) != tt.spooled {
				t.Errorf("needBody = %v after %d spools, want %v", needBody, spools, tt.spooled)
			}
			if err != nil || needBody {
				return
			}
			all, err := io.ReadAll(r.Body)
			check(t, err, tt.atTheEnd)
			if string(all) != body {
				t.Errorf("body = %q, want %q", all, body)
			}
			if _, again := r.Body.Read(make([]byte, 1)); tt.atTheEnd != "" && again == io.EOF {
				t.Error("a second read ends well")
			}
		})
	}
	t.Run("an error of the spool is passed on", func(t *testing.T) {
		full := errors.New("disk full")
		_, _, err := verifier(signedAt).VerifyStream(receive(t, call{method: "POST", target: target, body: "x"}.sign(t)), func() (string, error) { return "", full })
		if !errors.Is(err, full) {
			t.Errorf("error = %v, want %v", err, full)
		}
	})
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := sigv4.Key{Secret: secret, SessionToken: "tok/en+="}
	if text := fmt.Sprintf("%v %+v %#v %s", k, &k, k, k.LogValue()); strings.Contains(text, secret) || strings.Contains(text, "tok/en") {
		t.Errorf("printed: %s", text)
	}
}

func BenchmarkVerify(b *testing.B) {
	client := call{method: "POST", target: "/v1/packages?domain=main&repository=store&next-token=a%2Bb%3D"}.sign(b)
	r := receive(b, client)
	v := verifier(signedAt)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	valid := receive(f, call{method: "GET", target: "/v1/domain?domain=main"}.sign(f))
	f.Add(valid.Header.Get("Authorization"), valid.URL.RawQuery, "20261120T235930Z")
	presigned := receive(f, call{method: "GET", target: "/v1/domain?domain=main", presign: time.Hour}.sign(f))
	f.Add("", presigned.URL.RawQuery, "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=;;host,Signature=", "a;b", "")
	f.Fuzz(func(t *testing.T, authorization, query, date string) {
		r := &http.Request{Method: "GET", Host: "127.0.0.1:8480", URL: &url.URL{Path: "/v1/domain", RawQuery: query}, Header: http.Header{}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if date != "" {
			r.Header.Set("X-Amz-Date", date)
		}
		_, err := verifier(signedAt).Verify(r, nil)
		if err == nil {
			values, perr := url.ParseQuery(query)
			if perr != nil || values.Get("domain") != "main" || len(values["domain"]) != 1 {
				t.Fatalf("accepted: %q %q %q", authorization, query, date)
			}
			return
		}
		if k := packhouse.KindOf(err); k != packhouse.KindUnauthenticated && k != packhouse.KindInvalid {
			t.Fatalf("kind %v: %v", k, err)
		}
	})
}
