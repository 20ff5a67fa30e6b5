package codeartifact

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/packhouse/packhouse"
)

const publishTarget = "/v1/package/version/publish?domain=test-domain&repository=test-repo&format=generic&namespace=acme&package=box&version=1.0&asset=a.bin"

// publish makes an unsigned publish of body that declares the hash of another one.
func (d *door) publish(t *testing.T, body, declared string) *http.Request {
	t.Helper()
	r := d.request(t, "POST", publishTarget, body)
	r.Header.Set("X-Amz-Content-Sha256", hexSHA256(declared))
	return r
}

// TestPublishSignatures: the two families of SDKs sign a publish differently when the
// declared hash is wrong (codeartifact.md 1.1).
func TestPublishSignatures(t *testing.T) {
	t.Run("declared hash is the body's", func(t *testing.T) {
		d := newDoor(t)
		r := exchange(t, sign(t, d.publish(t, "hello", "hello"), "hello"))
		if r.status != 200 || d.service.body != "hello" {
			t.Errorf("got %d %s, stored %q", r.status, r.body, d.service.body)
		}
	})
	t.Run("a chunked body without length", func(t *testing.T) {
		d := newDoor(t)
		r := sign(t, d.publish(t, "", "hello"), "")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), -1
		if got := exchange(t, r); got.status != 200 || d.service.body != "hello" {
			t.Errorf("got %d %s, stored %q", got.status, got.body, d.service.body)
		}
	})
	t.Run("signed over the real body with a wrong declaration", func(t *testing.T) {
		d := newDoor(t)
		r := exchange(t, signOver(t, d.publish(t, "hello", "other"), hexSHA256("hello")))
		wantInvalid(t, r, "OTHER")
		if len(d.service.calls) > 0 || len(d.replays.seen) > 0 {
			t.Errorf("reached the engine: %v", d.service.calls)
		}
	})
	t.Run("signed over neither", func(t *testing.T) {
		d := newDoor(t)
		r := exchange(t, signOver(t, d.publish(t, "hello", "other"), hexSHA256("third")))
		if r.status != 403 || r.code() != "InvalidSignatureException" || len(d.service.calls) > 0 {
			t.Errorf("got %d %s, engine %v", r.status, r.code(), d.service.calls)
		}
	})
	t.Run("without the header", func(t *testing.T) {
		d := newDoor(t)
		r := exchange(t, signOver(t, d.request(t, "POST", publishTarget, "hello"), hexSHA256("hello")))
		if r.status != 400 || len(d.service.calls) > 0 {
			t.Errorf("got %d %s, engine %v", r.status, r.body, d.service.calls)
		}
	})
	t.Run("the header twice", func(t *testing.T) {
		d := newDoor(t)
		r := sign(t, d.publish(t, "hello", "hello"), "hello")
		r.Header.Add("X-Amz-Content-Sha256", hexSHA256("other"))
		if got := exchange(t, r); got.status < 400 || got.status >= 500 || len(d.service.calls) > 0 {
			t.Errorf("got %d %s, engine %v", got.status, got.body, d.service.calls)
		}
	})
}

// TestEveryOperationAuthenticates: each way not to be who one says has its AWS code, on
// all 48 operations, before anything else is looked at (codeartifact.md 1.2). An unknown
// key is told like a wrong signature (reliability.md S6).
func TestEveryOperationAuthenticates(t *testing.T) {
	list, _ := readModel(t)
	if len(list) != 48 {
		t.Fatalf("%d operations", len(list))
	}
	d := newDoor(t)
	good := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
	signed := func(creds aws.Credentials, service, region string, at time.Time) func(*testing.T, *http.Request) {
		return func(t *testing.T, r *http.Request) {
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hexSHA256(""), service, region, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	now := time.Now()
	for _, tt := range []struct {
		name   string
		sign   func(*testing.T, *http.Request)
		status int
		code   string
	}{
		{"unsigned", func(*testing.T, *http.Request) {}, 403, "MissingAuthenticationTokenException"},
		{"half a signature", func(_ *testing.T, r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+testKey)
		}, 400, "IncompleteSignatureException"},
		{"a wrong secret", signed(aws.Credentials{AccessKeyID: testKey, SecretAccessKey: "other"}, "codeartifact", testRegion, now), 403, "InvalidSignatureException"},
		{"an unknown key", signed(aws.Credentials{AccessKeyID: "AKIAXXXXXXXXXXXXXXXX", SecretAccessKey: testSecret}, "codeartifact", testRegion, now), 403, "InvalidSignatureException"},
		{"the stand-in secret of unknown keys", signed(aws.Credentials{AccessKeyID: "AKIAXXXXXXXXXXXXXXXX", SecretAccessKey: strings.Repeat("0", 40)}, "codeartifact", testRegion, now), 403, "InvalidSignatureException"},
		{"a session that ended", signed(aws.Credentials{AccessKeyID: expiredKey, SecretAccessKey: testSecret, SessionToken: expiredToken}, "codeartifact", testRegion, now), 403, "ExpiredTokenException"},
		{"a session without its token", signed(aws.Credentials{AccessKeyID: expiredKey, SecretAccessKey: testSecret}, "codeartifact", testRegion, now), 403, "InvalidSignatureException"},
		{"a clock that is slow", signed(good, "codeartifact", testRegion, now.Add(-6*time.Minute)), 403, "InvalidSignatureException"},
		{"a clock that is fast", signed(good, "codeartifact", testRegion, now.Add(6*time.Minute)), 403, "InvalidSignatureException"},
		{"another region", signed(good, "codeartifact", "eu-central-1", now), 403, "InvalidSignatureException"},
		{"another service", signed(good, "s3", testRegion, now), 403, "InvalidSignatureException"},
		{"changed after signing", func(t *testing.T, r *http.Request) {
			signed(good, "codeartifact", testRegion, now)(t, r)
			r.URL.RawQuery = "domain=other-domain"
		}, 403, "InvalidSignatureException"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, o := range list {
				r := d.request(t, o.method, o.path, "")
				if o.name == "PublishPackageVersion" {
					r.Header.Set("X-Amz-Content-Sha256", hexSHA256(""))
				}
				tt.sign(t, r)
				got := exchange(t, r)
				if got.status != tt.status || got.code() != tt.code || got.member(t, "message") == "" || got.header.Get("X-Amzn-Requestid") == "" {
					t.Errorf("%s: got %d %s %s, want %d %s", o.name, got.status, got.code(), got.body, tt.status, tt.code)
				}
			}
		})
	}
	if len(d.service.calls) > 0 || len(d.replays.seen) > 0 {
		t.Errorf("reached the engine: %v", d.service.calls)
	}
}

// TestForeignSignatures: who signed with anything else than what we serve is refused
// with one text (reliability.md S6).
func TestForeignSignatures(t *testing.T) {
	d := newDoor(t)
	good := func() *http.Request { return d.request(t, "GET", "/v1/domain?domain=test-domain", "") }
	unknown := sign(t, good(), "")
	unknown.Header.Set("Authorization", strings.Replace(unknown.Header.Get("Authorization"), testKey, "AKIAXXXXXXXXXXXXXXXX", 1))
	wrong := sign(t, good(), "")
	wrong.URL.RawQuery = "domain=other-domain"
	var texts []string
	for name, r := range map[string]*http.Request{"unknown key": unknown, "changed after signing": wrong} {
		got := exchange(t, r)
		if got.status != 403 || got.code() != "InvalidSignatureException" {
			t.Errorf("%s: got %d %s", name, got.status, got.code())
		}
		texts = append(texts, got.body)
	}
	if texts[0] != texts[1] {
		t.Errorf("texts differ: %s and %s", texts[0], texts[1])
	}
	if len(d.service.calls) > 0 {
		t.Errorf("reached the engine: %v", d.service.calls)
	}
}

// TestReplays is reliability.md S7.
func TestReplays(t *testing.T) {
	create := func(t *testing.T, d *door) *http.Request {
		return sign(t, d.request(t, "POST", "/v1/domain?domain=test-domain", ""), "")
	}
	again := func(r *http.Request) *http.Request {
		c := r.Clone(r.Context())
		c.Body = http.NoBody
		return c
	}
	t.Run("a change counts once", func(t *testing.T) {
		d := newDoor(t)
		r := create(t, d)
		before := time.Now()
		if got := exchange(t, again(r)); got.status != 200 {
			t.Fatalf("got %d %s", got.status, got.body)
		}
		got := exchange(t, again(r))
		if got.status != 429 || got.code() != "ThrottlingException" || !strings.Contains(got.body, "used already") {
			t.Errorf("repeat: got %d %s %s", got.status, got.code(), got.body)
		}
		if len(d.service.calls) != 1 {
			t.Errorf("engine %v", d.service.calls)
		}
		for _, expires := range d.replays.seen {
			if expires.Before(before.Add(10*time.Minute + 30*time.Second)) {
				t.Errorf("remembered for %v only", expires.Sub(before))
			}
		}
	})
	t.Run("a change that failed may be retried", func(t *testing.T) {
		d := newDoor(t)
		d.service.fail = errors.New("disk on fire")
		r := create(t, d)
		if got := exchange(t, again(r)); got.status != 500 {
			t.Fatalf("got %d", got.status)
		}
		d.service.fail = nil
		if got := exchange(t, again(r)); got.status != 200 {
			t.Errorf("retry: got %d %s", got.status, got.body)
		}
	})
	t.Run("a request that never acted is not remembered", func(t *testing.T) {
		d := newDoor(t)
		r := d.send(t, "POST", "/v1/domain?domain=My_Domain", "")
		if r.status != 400 || len(d.replays.seen) > 0 {
			t.Errorf("got %d, remembered %d", r.status, len(d.replays.seen))
		}
	})
	t.Run("reads and tokens may be repeated", func(t *testing.T) {
		d := newDoor(t)
		for _, target := range []string{"/v1/packages?domain=test-domain&repository=test-repo", "/v1/authorization-token?domain=test-domain"} {
			r := sign(t, d.request(t, "POST", target, ""), "")
			for range 2 {
				if got := exchange(t, again(r)); got.status != 200 {
					t.Errorf("%s: got %d %s", target, got.status, got.body)
				}
			}
		}
	})
	t.Run("one of two at the same time acts", func(t *testing.T) {
		d := newDoor(t)
		r := create(t, d)
		status := make(chan int)
		for range 2 {
			go func() {
				res, err := http.DefaultClient.Do(again(r))
				if err != nil {
					status <- 0
					return
				}
				status <- res.StatusCode
				res.Body.Close()
			}()
		}
		if a, b := <-status, <-status; a+b != 200+429 {
			t.Errorf("got %d and %d", a, b)
		}
	})
	t.Run("every operation that is no read counts once", func(t *testing.T) {
		for _, o := range operations() {
			reads := strings.HasPrefix(o.name, "List") || strings.HasPrefix(o.name, "Describe") || strings.HasPrefix(o.name, "Get")
			if o.changes == reads {
				t.Errorf("%s: changes %t", o.name, o.changes)
			}
		}
	})
}

func TestBrokenBodyIsTheCallers(t *testing.T) {
	if _, err := hashAndDrop(io.MultiReader(strings.NewReader("x"), errorReader{})); packhouse.KindOf(err) != packhouse.KindInvalid {
		t.Errorf("got %v", err)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
