package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is an OpenID Connect issuer as CI systems run one: it publishes its newest key
// and signs workload tokens with it.
type issuer struct {
	*httptest.Server
	t   *testing.T
	mu  sync.Mutex
	key jose.JSONWebKey // private
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t}
	i.key = i.newKey("first")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) newKey(id string) jose.JSONWebKey {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	return jose.JSONWebKey{Key: key, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

func (i *issuer) rotate(id string) {
	key := i.newKey(id)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

// host is the issuer's name in ARNs and condition keys.
func (i *issuer) host() string { return strings.TrimPrefix(i.URL, "http://") }

// sign makes a token that is good for ten minutes, with claims changed or added.
func (i *issuer) sign(key jose.JSONWebKey, change map[string]any) string {
	i.t.Helper()
	claims := map[string]any{"iss": i.URL, "sub": "repo:acme/app", "aud": "packhouse", "ref": "refs/heads/main",
		"iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()}
	for name, v := range change {
		claims[name] = v
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func (i *issuer) token(change map[string]any) string { return i.sign(i.key, change) }

// wantCode fails unless err is an API error with the code.
func wantCode(t testing.TB, what string, err error, code string) {
	t.Helper()
	if e := wantError[smithy.APIError](t, err); e.ErrorCode() != code {
		t.Errorf("%s: got %s (%s), want %s", what, e.ErrorCode(), e.ErrorMessage(), code)
	}
}

// CI without secrets (reliability.md S8): a workload's token is exchanged for a session
// of a role whose trust policy names its claims, the AWS CLI does the exchange by itself,
// and what the policy, the provider or the issuer does not vouch for is refused.
func TestWebIdentity(t *testing.T) {
	t.Parallel()
	ci := newIssuer(t)
	s := &server{t: t, dataDir: filepath.Join(t.TempDir(), "data"), addr: "127.0.0.1:0",
		args:  []string{"--account-id", seedAccount, "--region", seedRegion},
		under: []string{"env", "PACKHOUSE_AUTH_ISSUER_HOSTS=" + ci.host()}}
	t.Cleanup(s.kill)
	s.start()
	ctx, admin := t.Context(), identityClient(s)

	provider, err := admin.CreateOpenIDConnectProvider(ctx, &iam.CreateOpenIDConnectProviderInput{Url: aws.String(ci.URL), ClientIDList: []string{"packhouse"}})
	if err != nil {
		t.Fatal(err)
	}
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
		"Principal":{"Federated":%q},"Condition":{"StringEquals":{"%[2]s:aud":"packhouse","%[2]s:ref":"refs/heads/main"},
		"StringLike":{"%[2]s:sub":"repo:acme/*"}}}]}`, *provider.OpenIDConnectProviderArn, ci.host())
	role, err := admin.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("ci"), AssumeRolePolicyDocument: &trust})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("ci"), PolicyName: aws.String("list"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codeartifact:ListDomains","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}

	// Nobody is known here: the call is not signed.
	anonymous := sts.New(sts.Options{Region: seedRegion, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1, Credentials: aws.AnonymousCredentials{}})
	assume := func(token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return anonymous.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: role.Role.Arn, RoleSessionName: aws.String("job-1"), WebIdentityToken: &token})
	}
	out, err := assume(ci.token(nil))
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(out.AssumedRoleUser.Arn) != "arn:aws:sts::111122223333:assumed-role/ci/job-1" || aws.ToString(out.SubjectFromWebIdentityToken) != "repo:acme/app" ||
		aws.ToString(out.Audience) != "packhouse" || aws.ToString(out.Provider) != *provider.OpenIDConnectProviderArn {
		t.Errorf("got %+v", out)
	}
	as := sts.New(sts.Options{Region: seedRegion, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider(
		*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)})
	if who, err := as.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil || *who.Arn != *out.AssumedRoleUser.Arn {
		t.Errorf("the session is %+v: %v", who, err)
	}

	ago := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name, token, code string
	}{
		{"an audience that the provider is not for", ci.token(map[string]any{"aud": "another"}), "InvalidIdentityToken"},
		{"a subject that the trust policy does not name", ci.token(map[string]any{"sub": "repo:other/app"}), "AccessDenied"},
		{"another claim that the trust policy does not name", ci.token(map[string]any{"ref": "refs/heads/side"}), "AccessDenied"},
		{"a token that has expired", ci.token(map[string]any{"iat": ago.Unix(), "exp": ago.Add(time.Minute).Unix()}), "ExpiredTokenException"},
		{"a foreign key of the same id", ci.sign(ci.newKey("first"), nil), "InvalidIdentityToken"},
		{"an issuer that nobody trusts", ci.token(map[string]any{"iss": "https://ci.example.com"}), "InvalidIdentityToken"},
	} {
		_, err := assume(tt.token)
		wantCode(t, tt.name, err, tt.code)
		if tt.code == "ExpiredTokenException" {
			wantError[*ststypes.ExpiredTokenException](t, err)
		}
	}

	// The AWS CLI makes the exchange, and runs CodeArtifact with what it got.
	file, home := filepath.Join(t.TempDir(), "token"), t.TempDir() // the command keeps credentials at home
	runAWS := func(args ...string) (string, error) {
		cmd := exec.Command("aws", args...)
		cmd.Env = append(serverEnv(), "HOME="+home, "AWS_ENDPOINT_URL="+s.URL, "AWS_DEFAULT_REGION="+seedRegion, "AWS_ROLE_ARN="+*role.Role.Arn,
			"AWS_ROLE_SESSION_NAME=job-2", "AWS_WEB_IDENTITY_TOKEN_FILE="+file, "AWS_MAX_ATTEMPTS=1",
			"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true")
		b, err := cmd.CombinedOutput()
		return string(b), err
	}
	if _, err := exec.LookPath("aws"); err == nil {
		if err := os.WriteFile(file, []byte(ci.token(nil)), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := runAWS("codeartifact", "list-domains", "--query", "domains", "--output", "json"); err != nil || strings.TrimSpace(text) != "[]" {
			t.Errorf("list-domains with a token file: %v: %s", err, text)
		}
		if text, err := runAWS("codeartifact", "create-domain", "--domain", "none"); err == nil || !strings.Contains(text, "AccessDenied") {
			t.Errorf("create-domain, which the role may not: %v: %s", err, text)
		}
	} else if os.Getenv("PACKHOUSE_REQUIRE_CLIENTS") != "" {
		t.Error(err)
	}

	// A new key is found by itself, and the old one is worth nothing from then on.
	old := ci.token(nil)
	ci.rotate("second")
	eventually(t, "the issuer's new key to be taken", func() bool {
		_, err := assume(ci.token(nil))
		return err == nil
	})
	_, err = assume(old)
	wantCode(t, "a token of the key that was taken away", err, "InvalidIdentityToken")

	// Without the provider no token counts; without the role its sessions end.
	if _, err := admin.DeleteOpenIDConnectProvider(ctx, &iam.DeleteOpenIDConnectProviderInput{OpenIDConnectProviderArn: provider.OpenIDConnectProviderArn}); err != nil {
		t.Fatal(err)
	}
	_, err = assume(ci.token(nil))
	wantCode(t, "a token after its provider is gone", err, "InvalidIdentityToken")
	for _, remove := range []func() error{
		func() error {
			_, err := admin.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("ci"), PolicyName: aws.String("list")})
			return err
		},
		func() error {
			_, err := admin.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("ci")})
			return err
		},
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = as.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	wantCode(t, "a session of a role that is gone", err, "InvalidClientTokenId")
}
