package sigv4_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/packhouse/packhouse/internal/sigv4"
)

// The real command line clients, where these variables name their binaries.
func TestRealCommandLine(t *testing.T) {
	for version, variable := range map[string]string{"version 1": "PACKHOUSE_AWS", "version 2": "PACKHOUSE_AWS_V2"} {
		t.Run(version, func(t *testing.T) {
			binary := os.Getenv(variable)
			if binary == "" {
				t.Skip(variable + " does not name an aws binary")
			}
			testCommandLine(t, binary)
		})
	}
}

func testCommandLine(t *testing.T, binary string) {
	v := &sigv4.Verifier{
		Region: region, Service: service,
		Lookup: func(_ *http.Request, id, _ string) (sigv4.Key, bool, error) {
			return sigv4.Key{Secret: secret, Active: true, Principal: alice}, id == keyID, nil
		},
	}
	var mu sync.Mutex
	var errs []error
	var seen []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		if r.URL.Path == "/v1/package/version/publish" {
			var spooled bool
			_, spooled, err = v.VerifyStream(r, func() (string, error) {
				all, err := io.ReadAll(r.Body)
				return sum(string(all)), err
			})
			if err == nil && spooled {
				t.Error("publish had to be spooled")
			}
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
		} else {
			body, _ := io.ReadAll(r.Body)
			_, err = v.Verify(r, body)
		}
		mu.Lock()
		seen, errs = append(seen, r), append(errs, err)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()

	file := filepath.Join(t.TempDir(), "asset")
	if err := os.WriteFile(file, []byte("bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, args := range [][]string{
		{"list-domains"},
		{"describe-domain", "--domain", "main"},
		{"create-domain", "--domain", "main", "--tags", "key=a b,value=ü"},
		{"list-packages", "--domain", "main", "--repository", "store", "--starting-token", "a+b/c==%2a &?"},
		{"list-tags-for-resource", "--resource-arn", "arn:aws:codeartifact:eu-west-1:111122223333:package-group/main/%2a"},
		{"delete-domain", "--domain", "main"},
		{"publish-package-version", "--domain", "main", "--repository", "store", "--format", "generic", "--namespace", "n", "--package", "p",
			"--package-version", "1+2", "--asset-content", file, "--asset-name", "a b~c+d", "--asset-sha256", sum("bytes")},
	} {
		cmd := exec.Command(binary, append([]string{"codeartifact", "--endpoint-url", server.URL, "--region", region}, args...)...)
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "AWS_") }),
			"AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_MAX_ATTEMPTS=1",
			"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
		switch out, err := cmd.CombinedOutput(); {
		case err != nil && strings.Contains(string(out), "Invalid choice"):
			continue // 2.9 does not know publish-package-version
		case err != nil:
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
		want++
	}
	if len(seen) != want || want < 6 {
		t.Errorf("%d requests arrived, want %d and at least 6", len(seen), want)
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("%s %s: %v\n%v", seen[i].Method, seen[i].URL, err, seen[i].Header)
		}
	}
}
