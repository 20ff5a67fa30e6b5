package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver is a receiver of webhooks, written from docs/events.md.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	fail   int // how many requests are still to be refused
	secret string
	got    []string // operation and state of every event taken, in order
	wrong  string   // what was wrong with a delivery
}

func newReceiver(fail int) *receiver {
	r := &receiver{fail: fail}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	mac := hmac.New(sha256.New, []byte(r.secret))
	mac.Write([]byte(req.Header.Get("X-Packhouse-Timestamp") + "." + string(body)))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); req.Header.Get("X-Packhouse-Signature") != want {
		r.wrong = "the signature of " + string(body)
	}
	if r.fail > 0 {
		r.fail--
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var e struct {
		Type   string `json:"detail-type"`
		Detail struct{ OperationType, PackageVersionState string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		r.wrong = err.Error()
	}
	if strings.HasPrefix(e.Type, "CodeArtifact") {
		r.got = append(r.got, e.Detail.OperationType+" "+e.Detail.PackageVersionState)
	}
}

func cmdReceiver(ts *testscript.TestScript, _ bool, args []string) {
	fail := 0
	if len(args) == 1 {
		if _, err := fmt.Sscanf(args[0], "fail=%d", &fail); err != nil {
			ts.Fatalf("usage: receiver [fail=N]")
		}
	}
	r := newReceiver(fail)
	ts.Defer(r.Close)
	state(ts).receiver = r
	ts.Setenv("RECEIVER", r.URL)
	ts.Setenv("RECEIVER_HOST", strings.TrimPrefix(r.URL, "http://"))
}

func cmdReceiverSecret(ts *testscript.TestScript, _ bool, args []string) {
	r := state(ts).receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = strings.TrimSpace(ts.ReadFile(args[0]))
}

// cmdReceiverGot waits for events.
func cmdReceiverGot(ts *testscript.TestScript, _ bool, want []string) {
	r := state(ts).receiver
	var got []string
	if !waitFor(20*time.Second, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		got = slices.Clone(r.got)
		return len(got) >= len(want)
	}) || !slices.Equal(got, want) || r.wrong != "" {
		ts.Fatalf("the receiver took %q, want %q; wrong: %q", got, want, r.wrong)
	}
}

// cmdEventsOpen waits for streams of events.
func cmdEventsOpen(ts *testscript.TestScript, _ bool, args []string) {
	var text []byte
	if !waitFor(20*time.Second, func() bool {
		resp, err := http.Get(state(ts).server.URL + "/metrics") //nolint:noctx // a test's own server
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, _ = io.ReadAll(resp.Body)
		return strings.Contains(string(text), "\npackhouse_event_streams "+args[0]+"\n")
	}) {
		ts.Fatalf("never %s streams of events open:\n%s", args[0], text)
	}
}

// waitFor waits for a condition and reports whether it came true in time.
func waitFor(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}
