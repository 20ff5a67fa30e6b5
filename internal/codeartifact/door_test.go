package codeartifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/sigv4"
)

const (
	testRegion  = "us-west-2"
	testAccount = "111122223333"
	testKey     = "AKIAIOSFODNN7EXAMPLE"
	testSecret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

	expiredKey   = "ASIAIOSFODNN7EXAMPLE"
	expiredToken = "a-session-token"
)

var caller = packhouse.Principal{
	ID: 1, Account: testAccount, Kind: packhouse.KindUser, Name: "alice",
	ARN: packhouse.UserARN(testAccount, "alice"),
}

// sdkFormats are the formats that the public service has.
func sdkFormats() []packhouse.FormatID {
	return each(types.PackageFormat("").Values(), func(f types.PackageFormat) packhouse.FormatID { return packhouse.FormatID(f) })
}

// identityDouble knows a user's key and an expired one of a session, and seals page
// tokens by writing them out.
type identityDouble struct{}

func (identityDouble) AccessKey(_ context.Context, id, _ string) (sigv4.Key, bool, error) {
	if id == expiredKey {
		gone := caller
		gone.Expires = time.Now().Add(-time.Minute)
		return sigv4.Key{Secret: testSecret, SessionToken: expiredToken, Active: true, Principal: gone}, true, nil
	}
	return sigv4.Key{Secret: testSecret, Active: true, Principal: caller}, id == testKey, nil
}

func (identityDouble) Used(string, string) {}

func (identityDouble) SealPage(who packhouse.Principal, query, cursor string) string {
	return hex.EncodeToString([]byte(who.ARN + "\n" + query + "\n" + cursor))
}

func (identityDouble) OpenPage(who packhouse.Principal, query, token string) (string, error) {
	text, err := hex.DecodeString(token)
	cursor, ok := strings.CutPrefix(string(text), who.ARN+"\n"+query+"\n")
	if err != nil || !ok {
		return "", packhouse.Invalidf("invalid_page_token", "The page token is not valid here.")
	}
	return cursor, nil
}

// replaysDouble is the memory of signatures.
type replaysDouble struct {
	mu   sync.Mutex
	seen map[[32]byte]time.Time
}

func (d *replaysDouble) Remember(_ context.Context, hash [32]byte, expires time.Time) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.seen[hash]; ok {
		return false, nil
	}
	if d.seen == nil {
		d.seen = make(map[[32]byte]time.Time)
	}
	d.seen[hash] = expires
	return true, nil
}

func (d *replaysDouble) Forget(_ context.Context, hash [32]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, hash)
	return nil
}

// door is the API behind a listener, over doubles that a test may look into.
type door struct {
	*API
	service *serviceDouble
	replays *replaysDouble
	logged  *bytes.Buffer
	url     string

	mu  sync.Mutex
	rec *httpx.Record
}

// told returns what the edge was told of the last call.
func (d *door) told() *httpx.Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rec
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{service: &serviceDouble{}, replays: &replaysDouble{}, logged: &bytes.Buffer{}}
	d.API = New(Options{
		Service:  d.service,
		Identity: identityDouble{},
		Replays:  d.replays,
		Region:   testRegion,
		Formats:  sdkFormats(),
		Address:  func(r *http.Request) string { return "http://" + r.Host },
		Log:      slog.New(slog.NewJSONHandler(d.logged, nil)),
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &httpx.Record{}
		d.ServeHTTP(w, r.WithContext(httpx.WithRecord(r.Context(), rec)))
		d.mu.Lock()
		defer d.mu.Unlock()
		d.rec = rec
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// client is the real SDK's client of the door. It does not retry.
func (d *door) client(change ...func(*sdk.Options)) *sdk.Client {
	return sdk.New(sdk.Options{
		Region:       testRegion,
		BaseEndpoint: aws.String(d.url),
		Credentials:  credentials.NewStaticCredentialsProvider(testKey, testSecret, ""),
		Retryer:      aws.NopRetryer{},
	}, change...)
}

// request makes a request as a client without any checks would send it. target is a
// path with its query.
func (d *door) request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sign signs a request over the payload hash that its X-Amz-Content-Sha256 declares,
// else over its body.
func sign(t *testing.T, r *http.Request, body string) *http.Request {
	t.Helper()
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		hash = hexSHA256(body)
	}
	return signOver(t, r, hash)
}

func signOver(t *testing.T, r *http.Request, hash string) *http.Request {
	t.Helper()
	creds := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hash, "codeartifact", testRegion, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

func hexSHA256(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   string
}

// code is the error's code, "" for none.
func (r reply) code() string { return r.header.Get("X-Amzn-Errortype") }

// member returns a text member of the body.
func (r reply) member(t *testing.T, name string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.body), &m); err != nil {
		t.Fatalf("body is not JSON: %v: %q", err, r.body)
	}
	s, _ := m[name].(string)
	return s
}

func exchange(t *testing.T, r *http.Request) reply {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

// send signs and sends.
func (d *door) send(t *testing.T, method, target, body string) reply {
	t.Helper()
	return exchange(t, sign(t, d.request(t, method, target, body), body))
}

func wantInvalid(t *testing.T, r reply, reason string) {
	t.Helper()
	if r.status != 400 || r.code() != "ValidationException" || r.member(t, "reason") != reason {
		t.Errorf("got %d %s %s, want 400 ValidationException %s", r.status, r.code(), r.body, reason)
	}
}
