package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse/internal/client"
)

// versions notes the protocol of each answer.
type versions struct {
	http.RoundTripper
	seen map[string]int
}

func (v versions) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := v.RoundTripper.RoundTrip(r)
	if err == nil {
		v.seen[resp.Proto]++
	}
	return resp, err
}

// The Go SDK over TLS speaks HTTP/2: calls without a body and with a small one, an upload
// that it streams, and a download (codeartifact.md 1.1).
func TestSDKOverHTTP2(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1, time.Now())
	c := testConfig(t, map[string]string{"tls.cert": certFile, "tls.key": keyFile})
	s, _ := start(t, c, nil)
	admin, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	t.Cleanup(transport.CloseIdleConnections)
	spoken := versions{transport, map[string]int{}}
	api := codeartifact.New(codeartifact.Options{Region: c.Region, BaseEndpoint: aws.String(s.URL), RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Transport: spoken}, Credentials: credentials.NewStaticCredentialsProvider(admin.AccessKeyID, admin.Secret, "")})

	domain, repo := aws.String("acme"), aws.String("team")
	if _, err := api.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: domain}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateRepository(t.Context(), &codeartifact.CreateRepositoryInput{Domain: domain, Repository: repo, Description: aws.String("a body")}); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("packhouse"), 1<<17) // more than a window of HTTP/2
	sum := sha256.Sum256(content)
	if _, err := api.PublishPackageVersion(t.Context(), &codeartifact.PublishPackageVersionInput{Domain: domain, Repository: repo, Format: types.PackageFormatGeneric,
		Namespace: aws.String("ns"), Package: aws.String("box"), PackageVersion: aws.String("1.0"), AssetName: aws.String("box.bin"),
		AssetContent: bytes.NewReader(content), AssetSHA256: aws.String(hex.EncodeToString(sum[:]))}); err != nil {
		t.Fatal(err)
	}
	got, err := api.GetPackageVersionAsset(t.Context(), &codeartifact.GetPackageVersionAssetInput{Domain: domain, Repository: repo, Format: types.PackageFormatGeneric,
		Namespace: aws.String("ns"), Package: aws.String("box"), PackageVersion: aws.String("1.0"), Asset: aws.String("box.bin")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Asset.Close() }()
	if back, err := io.ReadAll(got.Asset); err != nil || !bytes.Equal(back, content) {
		t.Errorf("%d bytes came back, %v, want the %d that were published", len(back), err, len(content))
	}
	if _, err := api.DescribeDomain(t.Context(), &codeartifact.DescribeDomainInput{Domain: aws.String("absent")}); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("an absent domain: %v", err)
	}
	if spoken.seen["HTTP/2.0"] != 5 || len(spoken.seen) != 1 {
		t.Errorf("answers by protocol: %v, want 5 of HTTP/2.0", spoken.seen)
	}
}
