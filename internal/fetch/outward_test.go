package fetch

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// S21, S22: what a user names is not reached unless it is public or listed.
func TestOutwardAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, address string
		checks        bool // what Check says
		dialed        bool // whether Post connects to anything
	}{
		{"public https", "https://hooks.example/x", true, true},
		{"plain http", "http://hooks.example/x", false, false},
		{"another port", "https://hooks.example:8443/x", false, false},
		{"listed host in plain http on its port", "http://ci.example.com:8080/x", true, true},
		{"listed host on another port", "http://ci.example.com:8081/x", false, false},
		{"loopback", "https://127.0.0.1/x", false, false},
		{"loopback in decimal", "https://2130706433/x", false, false},
		{"metadata service", "https://169.254.169.254/latest", false, false},
		{"IPv4 in IPv6", "https://[::ffff:10.0.0.1]/x", false, false},
		{"name of a private address", "https://private.example/x", true, false},
		{"name of a public and a private address", "https://both.example/x", true, false},
		{"credentials in the address", "https://user:pass@hooks.example/x", false, false},
		{"no address", "hooks.example", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var dials atomic.Int32
			w := NewOutward(Options{
				Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
					public, private := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.7")
					switch host {
					case "private.example":
						return []netip.Addr{private}, nil
					case "both.example":
						return []netip.Addr{public, private}, nil
					case "ci.example.com":
						return []netip.Addr{private}, nil
					}
					return []netip.Addr{public}, nil
				},
				Dial: func(context.Context, string, string) (net.Conn, error) {
					dials.Add(1)
					return nil, errors.New("not in this test")
				},
			}, []string{"ci.example.com:8080"})
			if err := w.Check(tt.address); (err == nil) != tt.checks {
				t.Errorf("Check: %v, want good: %v", err, tt.checks)
			}
			_, _, err := w.Post(t.Context(), tt.address, nil, nil)
			if err == nil || (dials.Load() > 0) != tt.dialed {
				t.Errorf("Post connected %d times (%v), want any: %v", dials.Load(), err, tt.dialed)
			}
			if err != nil && strings.Contains(err.Error(), "10.0.0.7") {
				t.Errorf("error %q tells where a name leads", err)
			}
		})
	}
}

func TestOutwardFollowsNoRedirectAndReadsLittle(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodPost || r.Header.Get("X-Own") != "1" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	defer srv.Close()
	w := NewOutward(Options{}, []string{strings.TrimPrefix(srv.URL, "http://")})
	defer w.Close()
	status, answer, err := w.Post(t.Context(), srv.URL+"/hook", http.Header{"X-Own": {"1"}}, []byte("{}"))
	if err != nil || status != http.StatusTemporaryRedirect || len(answer) != maxOutwardAnswer || asked.Load() != 1 {
		t.Errorf("status %d, %d bytes, %d requests, %v; want 307, 4096, 1", status, len(answer), asked.Load(), err)
	}
}
