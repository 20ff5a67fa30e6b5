package server

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Every way of not being who one says, at every gate, is told by the gate's code and
// changes nothing (codeartifact.md 1.2, 3.10; reliability.md S6, S8, S9, S11).
func TestEveryGateAuthenticates(t *testing.T) {
	g := newGuarded(t)
	t.Run("signed", g.good)
	t.Run("a signed tool call acts as who signed it", g.signedTool)
	t.Run("the description of the API is for everybody", g.openAPI)
	t.Run("signatures", g.signatures)
	t.Run("tokens", g.badTokens)
	t.Run("used again", g.replays)
	g.ahead.Store(int64(16 * time.Minute)) // what lasts 15 is over
	t.Run("session that has ended", func(t *testing.T) {
		g.t = t
		for _, at := range gates {
			if at.service != "" {
				r := g.request(at)
				g.sign(r, "session", at.service, "us-east-1", 0)
				g.refused(at, "expired", r)
			}
		}
	})
	t.Run("token that has expired", func(t *testing.T) {
		g.t = t
		for _, at := range gates {
			for _, token := range []string{"good", "long-lived, for 15 minutes"} {
				if at.bearer {
					r := g.request(at)
					r.Header.Set("Authorization", "Bearer "+g.tokens[token])
					g.refused(at, "expired", r)
				}
			}
		}
	})
	t.Run("decisions", g.decisions)
	t.Run("records", g.records)
}

// A door that is added gets a gate here. Below pages are forms for people, which
// TestLoginPage is about, and below registry the package managers' routes, each of which
// TestAccessMatrix asks for.
func TestEveryDoorHasAGate(t *testing.T) {
	open := []Owner{OwnerServer, OwnerOpenAPI, OwnerPages, OwnerFixed, OwnerOCI, OwnerReserved, OwnerRegistry}
	for _, row := range Segments() {
		known := slices.ContainsFunc(gates, func(at gate) bool {
			segment, _, _ := strings.Cut(strings.TrimPrefix(at.target, "/"), "/")
			segment, _, _ = strings.Cut(segment, "?")
			return segment == row.Segment
		})
		if !known && !slices.Contains(open, row.Owner) {
			t.Errorf("/%s (%s) has no gate", row.Segment, row.Owner)
		}
	}
}

// good shows that each gate's request acts when it is signed, by a key and by a session,
// and with each kind of token: or else its refusals would prove nothing.
func (g *guarded) good(t *testing.T) {
	g.t = t
	acts := func(at gate, r *http.Request, how string) {
		t.Helper()
		before := g.changes()
		status, text := g.do(r)
		if status >= 300 || strings.Contains(text, `"isError":true`) {
			t.Errorf("%s with %s: %d %.300s", at.name, how, status, text)
		}
		if reads := at.name == "events" || at.name == "STS"; !reads && g.changes() == before {
			t.Errorf("%s with %s changes nothing", at.name, how)
		}
	}
	for _, at := range gates {
		for _, key := range []string{"good", "session"} {
			if at.service == "" || at.service == "iam" && key == "session" {
				continue // as in AWS, such a session does not call IAM
			}
			r := g.request(at)
			g.sign(r, key, at.service, "us-east-1", 0)
			acts(at, r, "a signature, "+key)
		}
		for _, token := range []string{"good", "good, long-lived", "long-lived, for 15 minutes"} {
			if !at.bearer || at.name == "webhooks" && token == "good" {
				continue
			}
			r := g.request(at)
			r.Header.Set("Authorization", "Bearer "+g.tokens[token])
			acts(at, r, "a token, "+token)
		}
	}
}

// signedTool: a message to /mcp that is signed as for the API is answered for the key's
// user, whose rights decide.
func (g *guarded) signedTool(t *testing.T) {
	g.t = t
	for _, tt := range []struct{ key, want string }{{"good", `"administratorAccount":"` + firstAccount + `"`}, {"without rights", `"code":"AccessDeniedException"`}} {
		before := g.changes()
		r := g.request(tools)
		g.sign(r, tt.key, "codeartifact", "us-east-1", 0)
		status, text := g.do(r)
		if acted := g.changes() != before; status != http.StatusOK || !strings.Contains(text, tt.want) || acted != (tt.key == "good") {
			t.Errorf("signed by the key %s: %d %s, acted %t", tt.key, status, text, acted)
		}
	}
}

// openAPI: the description is the same whatever credentials come along.
func (g *guarded) openAPI(t *testing.T) {
	g.t = t
	var first string
	for i, authorization := range []string{"", "Bearer " + g.tokens["good"], "Bearer phr_" + canary, "AWS4-HMAC-SHA256 Credential=x"} {
		r := g.request(gate{method: http.MethodGet, target: "/openapi.json"})
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		status, text := g.do(r)
		if i == 0 {
			first = text
		}
		if status != http.StatusOK || text != first || !strings.Contains(text, `"openapi":`) {
			t.Errorf("with %.20q: %d and %d bytes, want 200 and %d", authorization, status, len(text), len(first))
		}
	}
}

func (g *guarded) signatures(t *testing.T) {
	for _, tt := range []struct {
		name, key, want string
		service, region string        // "" for the gate's own
		after           time.Duration // of the client's clock
		alter           func(r *http.Request)
	}{
		{name: "half a signature", key: "good", want: "incomplete", alter: func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+g.keys["good"].AccessKeyID)
		}},
		{name: "a header not signed", key: "good", want: "incomplete", alter: func(r *http.Request) { r.Header.Set("X-Amz-Meta", "x") }},
		{name: "a wrong secret", key: "wrong secret", want: "wrong"},
		{name: "an unknown key", key: "unknown", want: "wrong"},
		{name: "an inactive key", key: "inactive", want: "wrong"},
		{name: "a deleted key", key: "deleted", want: "wrong"},
		{name: "a key of a disabled user", key: "of a disabled user", want: "wrong"},
		{name: "a clock that is slow", key: "good", after: -6 * time.Minute, want: "wrong"},
		{name: "a clock that is fast", key: "good", after: 6 * time.Minute, want: "wrong"},
		{name: "another service", key: "good", service: "s3", want: "wrong"},
		{name: "another region", key: "good", region: "eu-central-1", want: "wrong"},
		{name: "another path", key: "good", want: "wrong", alter: func(r *http.Request) { r.URL.RawQuery += "&more=1" }},
		{name: "another host", key: "good", want: "wrong", alter: func(r *http.Request) { r.Host = strings.Replace(r.URL.Host, "127.0.0.1", "localhost", 1) }},
		{name: "another body", key: "good", want: "wrong", alter: func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("Action=ListUsers")), int64(len("Action=ListUsers"))
		}},
		{name: "two credentials", key: "good", want: "invalid", alter: func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+g.tokens["good"]) }},
		{name: "a session without its token", key: "session without its token", want: "wrong"},
		{name: "a session with another's token", key: "session with another's token", want: "session"},
		{name: "a session with a changed token", key: "session with a changed token", want: "session"},
		{name: "a session of a disabled user", key: "session of a disabled user", want: "session"},
		{name: "a long-lived key with a session's token", key: "long-lived with a session's token", want: "session"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			for _, at := range gates {
				if at.service == "" {
					continue
				}
				service, region := at.service, "us-east-1"
				if tt.service != "" {
					service = tt.service
				}
				if tt.region != "" {
					region = tt.region
				}
				r := g.request(at)
				g.sign(r, tt.key, service, region, tt.after)
				if tt.alter != nil {
					tt.alter(r)
				}
				g.refused(at, tt.want, r)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		g.t = t
		for _, at := range gates {
			g.refused(at, "missing", g.request(at))
		}
	})
	// Who may ask a service with a key may not ask another one with the same signature.
	t.Run("a signature for IAM at STS, and the reverse", func(t *testing.T) {
		g.t = t
		for i, service := range map[int]string{1: "sts", 2: "iam"} {
			r := g.request(gates[i])
			g.sign(r, "good", service, "us-east-1", 0)
			g.refused(gates[i], "wrong", r)
		}
	})
	t.Run("presigned", func(t *testing.T) {
		for _, tt := range []struct {
			name, want string
			after      time.Duration
		}{{"for what is no GET", "presigned", 0}, {"beyond its life", "wrong", -time.Minute}} {
			t.Run(tt.name, func(t *testing.T) {
				g.t = t
				for _, at := range gates {
					if at.service == "" || (at.method == http.MethodGet) != (tt.want == "wrong") {
						continue
					}
					r := g.request(at)
					query := r.URL.Query()
					query.Set("X-Amz-Expires", "30")
					r.URL.RawQuery = query.Encode()
					signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), g.keys["good"], r, g.sum(r), at.service, "us-east-1", time.Now().Add(tt.after))
					if err != nil {
						t.Fatal(err)
					}
					if r.URL, err = r.URL.Parse(signed); err != nil {
						t.Fatal(err)
					}
					g.refused(at, tt.want, r)
				}
			})
		}
	})
}

func (g *guarded) badTokens(t *testing.T) {
	for _, tt := range []struct{ name, header string }{
		{"of nobody", "Bearer phr_" + canary},
		{"changed in one letter", "Bearer " + g.tokens["changed in one letter"]},
		{"long-lived, of nobody", "Bearer " + g.tokens["long-lived, of nobody"]},
		{"of a domain, signed out", "Bearer " + g.tokens["of a domain, signed out"]},
		{"long-lived, revoked", "Bearer " + g.tokens["long-lived, revoked"]},
		{"of a domain, its user disabled since (epoch)", "Bearer " + g.tokens["of a domain, of a disabled user"]},
		{"long-lived, of a disabled user", "Bearer " + g.tokens["long-lived, of a disabled user"]},
		{"a session's, which only signs", "Bearer " + g.tokens["a session's"]},
		{"an access key's secret as password", basicCredential(g.keys["good"].AccessKeyID, g.keys["good"].SecretAccessKey)},
		// Those are no tokens to begin with.
		{"empty", "Bearer "},
		{"in the place of the user", basicCredential(g.tokens["good"], "")},
		{"in what is no base64", "Basic ???"},
		{"in a scheme of its own", "Digest " + g.tokens["good"]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g.t = t
			scheme, credential, _ := strings.Cut(tt.header, " ")
			isToken := scheme == "Bearer" && credential != "" || tt.name == "an access key's secret as password"
			for _, at := range gates {
				way := "wrong"
				if at.service != "" && (!at.bearer || !isToken) {
					way = "incomplete" // read as a signature, it lacks everything
				}
				r := g.request(at)
				r.Header.Set("Authorization", tt.header)
				g.refused(at, way, r)
			}
		})
	}
	t.Run("two that differ", func(t *testing.T) {
		g.t = t
		for _, at := range gates {
			r := g.request(at)
			r.Header["Authorization"] = []string{"Bearer " + g.tokens["good"], "Bearer " + g.tokens["good, long-lived"]}
			g.refused(at, "invalid", r)
		}
	})
	t.Run("of another domain", func(t *testing.T) {
		g.t = t
		for _, at := range gates {
			if !at.bearer {
				continue
			}
			before := g.changes()
			r := g.request(at)
			r.Header.Set("Authorization", "Bearer "+g.tokens["of another domain"])
			status, text := g.do(r)
			if denied := status == http.StatusForbidden || strings.Contains(text, "AccessDeniedException"); !denied || g.changes() != before {
				t.Errorf("%s: %d %.300s", at.name, status, text)
			}
		}
	})
}

// replays: a change counts once for each signature (reliability.md S7).
func (g *guarded) replays(t *testing.T) {
	g.t = t
	for _, at := range gates {
		if at.service == "" || at.name == "events" || at.name == "STS" {
			continue // nothing is changed there
		}
		r := g.request(at)
		g.sign(r, "good", at.service, "us-east-1", 0)
		again := r.Clone(t.Context())
		var err error
		if again.Body, err = r.GetBody(); err != nil {
			t.Fatal(err)
		}
		if status, text := g.do(r); status != http.StatusOK {
			t.Fatalf("%s: %d %s", at.name, status, text)
		}
		if at.name != tools.name {
			g.refused(at, "used", again)
			continue
		}
		before := g.changes()
		if status, text := g.do(again); status != http.StatusOK || !strings.Contains(text, "ThrottlingException") || g.changes() != before {
			t.Errorf("tools: %d %s", status, text)
		}
	}
}
