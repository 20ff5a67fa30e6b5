package server

import (
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"testing"

	"github.com/packhouse/packhouse/internal/client"
)

// With rates on, an account beyond its rate gets ThrottlingException and whole seconds on
// the API, 429 in the format's own shape at a package manager's door, and so does an
// address without credentials (codeartifact.md 2.5).
func TestRatesAtTheDoors(t *testing.T) {
	t.Parallel()
	c := testConfig(t, map[string]string{"rates.mode": "on", "rates.account_reads": "1", "rates.address": "1"})
	s, _ := start(t, c, slog.New(slog.DiscardHandler))
	conf, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile(`^[1-9][0-9]*$`)
	var refused *client.Error
	for range 100 {
		if err := api.Call(t.Context(), "POST", "/v1/domains", nil, struct{}{}, nil); errors.As(err, &refused) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused == nil || refused.Status != http.StatusTooManyRequests || refused.Type != "ThrottlingException" || !whole.MatchString(refused.RetryAfter) {
		t.Errorf("API: %+v, want 429 ThrottlingException with whole seconds", refused)
	}
	var last *http.Response
	for range 100 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/npm/main/store/box", nil)
		if err != nil {
			t.Fatal(err)
		}
		if last, err = http.DefaultClient.Do(req); err != nil {
			t.Fatal(err)
		}
		_ = last.Body.Close()
		if last.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if last.StatusCode != http.StatusTooManyRequests || !whole.MatchString(last.Header.Get("Retry-After")) {
		t.Errorf("npm without a token: %d, Retry-After %q, want 429 and whole seconds", last.StatusCode, last.Header.Get("Retry-After"))
	}
}
