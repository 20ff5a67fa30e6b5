package server

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/identity"
)

// codeartifact.md 3.14: a tool's call is recorded as the operation that it is, a package
// manager's request as the action that it needs, a refusal with its reason; the message
// that carried a call and reads that were served are not recorded.
func TestAuditRecords(t *testing.T) {
	s, _ := start(t, testConfig(t, nil), slog.New(slog.DiscardHandler))
	token, err := identity.CreateToken(t.Context(), s.store.Catalog, packhouse.Principal{}, s.Account(), "admin",
		identity.NewToken{Name: "audit", Kind: identity.TokenAutomation})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode
	}
	if got := ask("POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"domains.listDomains","arguments":{}}}`); got != http.StatusOK {
		t.Fatalf("tool call: %d", got)
	}
	if got := ask("GET", "/npm/absent/store/left-pad", ""); got != http.StatusNotFound {
		t.Fatalf("read of what is not there: %d", got)
	}
	token = "phr_wrong"
	if got := ask("GET", "/npm/absent/store/left-pad", ""); got != http.StatusUnauthorized {
		t.Fatalf("read with a wrong token: %d", got)
	}

	var records []packhouse.AuditRecord
	for deadline := time.Now().Add(10 * time.Second); len(records) < 2 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err := s.store.Catalog.View(t.Context(), func(tx *catalog.Tx) (err error) {
			records, err = tx.Audit(t.Context(), 0, 100)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(records) != 2 {
		t.Fatalf("%d records, want those of the tool's call and of the refusal: %+v", len(records), records)
	}
	call, refused := records[0], records[1]
	if call.Name != "ListDomains" || call.Door != "mcp" || !call.ReadOnly || call.Status != http.StatusOK || !strings.HasSuffix(call.Principal, ":user/admin") {
		t.Errorf("the tool's call: %+v", call)
	}
	if refused.Name != "ReadFromRepository" || !refused.ReadOnly || refused.Status != http.StatusUnauthorized || refused.Principal != "" || refused.Error == "" {
		t.Errorf("the refusal: %+v", refused)
	}
}
