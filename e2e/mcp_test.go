package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// assistant connects the official SDK's client.
func assistant(t *testing.T, transport mcp.Transport) *mcp.ClientSession {
	t.Helper()
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// stdio connects to `packhouse mcp` with a key from the environment.
func stdio(t *testing.T, e *ephemeral, args ...string) *mcp.ClientSession {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"mcp"}, args...)...)
	cmd.Env, cmd.Dir = append(serverEnv(), e.environ()...), t.TempDir()
	return assistant(t, &mcp.CommandTransport{Command: cmd})
}

// bearer sends a token with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if b != "" {
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

func overHTTP(e *ephemeral, token string) mcp.Transport {
	return &mcp.StreamableClientTransport{Endpoint: e.URL + "/mcp", HTTPClient: &http.Client{Transport: bearer(token)}, DisableStandaloneSSE: true}
}

func toolNames(t *testing.T, s *mcp.ClientSession) []string {
	t.Helper()
	var names []string
	for tool, err := range s.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	return names
}

// use calls a tool and decodes what it answers into out. It returns the result.
func use(t *testing.T, s *mcp.ClientSession, tool string, arguments map[string]any, out any) *mcp.CallToolResult {
	t.Helper()
	res, err := s.CallTool(context.WithoutCancel(t.Context()), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	text, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("%s: %v in %s", tool, err, text)
	}
	return res
}

type toolFailure struct {
	Code   string
	Status int
}

// An assistant on standard input and output reads and, where it is let, writes; a refusal
// carries the API's code (issue 4, 3).
func TestAssistantOverStdio(t *testing.T) {
	e := startEphemeral(t)
	reader, writer := stdio(t, e), stdio(t, e, "--write")
	if names := toolNames(t, reader); slices.Contains(names, "domainDomain.createDomain") || !slices.Contains(names, "domains.listDomains") {
		t.Errorf("without --write: %v", names)
	}
	if names := toolNames(t, writer); !slices.Contains(names, "package.copyPackageVersions") || !slices.Contains(names, "authorizationTokenDomain.getAuthorizationToken") {
		t.Errorf("with --write: %v", names)
	}
	if _, err := reader.CallTool(t.Context(), &mcp.CallToolParams{Name: "domainDomain.createDomain", Arguments: map[string]any{"domain": "acme"}}); err == nil {
		t.Error("a tool that is not offered was called")
	}

	version := map[string]any{"domain": "main", "repository": "store", "format": "generic", "namespace": "docs", "package": "notes", "packageVersion": "1.0"}
	with := func(more map[string]any) map[string]any {
		all := map[string]any{}
		for _, m := range []map[string]any{version, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	var published struct{ Status string }
	use(t, writer, "package.publishPackageVersion", with(map[string]any{
		"assetName": "notes.txt", "assetContent": base64.StdEncoding.EncodeToString([]byte("release notes\n"))}), &published)
	if published.Status != "Published" {
		t.Errorf("published: %+v", published)
	}
	var asset struct {
		AssetName, Text string
		Size            int
	}
	use(t, reader, "package.getPackageVersionAsset", with(map[string]any{"asset": "notes.txt"}), &asset)
	if asset.AssetName != "notes.txt" || asset.Text != "release notes\n" || asset.Size != 14 {
		t.Errorf("asset: %+v", asset)
	}
	var refused toolFailure
	if res := use(t, reader, "domainDomain.describeDomain", map[string]any{"domain": "nowhere"}, &refused); !res.IsError || refused.Code != "ResourceNotFoundException" || refused.Status != 404 {
		t.Errorf("an unknown domain: %+v, error %t", refused, res.IsError)
	}
	if res := use(t, reader, "domainDomain.describeDomain", map[string]any{"domain": "A"}, &refused); !res.IsError || refused.Code != "ValidationException" {
		t.Errorf("a broken constraint: %+v, error %t", refused, res.IsError)
	}
}

// Over HTTP each message is answered for whoever's token it carries: nobody's is refused,
// and a token for one domain is good for that domain (S8).
func TestAssistantOverHTTP(t *testing.T) {
	e := startEphemeral(t)
	api := e.sdk()
	if _, err := api.CreateDomain(t.Context(), &codeartifact.CreateDomainInput{Domain: aws.String("other")}); err != nil {
		t.Fatal(err)
	}
	token, err := api.GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("main")})
	if err != nil {
		t.Fatal(err)
	}
	s := assistant(t, overHTTP(e, aws.ToString(token.AuthorizationToken)))
	if names := toolNames(t, s); slices.Contains(names, "domainDomain.deleteDomain") || !slices.Contains(names, "repositories.listRepositories") {
		t.Errorf("tools without mcp.write: %v", names)
	}
	var domain struct{ Domain struct{ Name string } }
	use(t, s, "domainDomain.describeDomain", map[string]any{"domain": "main"}, &domain)
	if domain.Domain.Name != "main" {
		t.Errorf("domain: %+v", domain)
	}
	var refused toolFailure
	if res := use(t, s, "domainDomain.describeDomain", map[string]any{"domain": "other"}, &refused); !res.IsError || refused.Code != "AccessDeniedException" {
		t.Errorf("another domain with a token for main: %+v, error %t", refused, res.IsError)
	}
	for name, bad := range map[string]string{"no token": "", "a token of nobody": "v4.local.nothing"} {
		_, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), overHTTP(e, bad), nil)
		if err == nil || !strings.Contains(err.Error(), "Unauthorized") {
			t.Errorf("%s: %v, want 401", name, err)
		}
	}

	w := startEphemeral(t, "PACKHOUSE_MCP_WRITE=on")
	if token, err = w.sdk().GetAuthorizationToken(t.Context(), &codeartifact.GetAuthorizationTokenInput{Domain: aws.String("main")}); err != nil {
		t.Fatal(err)
	}
	var made struct{ Repository struct{ Name string } }
	use(t, assistant(t, overHTTP(w, aws.ToString(token.AuthorizationToken))), "repositoryDomainRepository.createRepository",
		map[string]any{"domain": "main", "repository": "made"}, &made)
	if made.Repository.Name != "made" {
		t.Errorf("made: %+v", made)
	}
}
