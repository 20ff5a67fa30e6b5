package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packhouse/packhouse/internal/client"
	"github.com/packhouse/packhouse/internal/sigv4"
)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// serve starts a server that verifies each call and answers with h.
func serve(t *testing.T, h http.HandlerFunc) client.Config {
	t.Helper()
	v := &sigv4.Verifier{Region: "eu-west-1", Service: "codeartifact",
		Lookup: func(_ *http.Request, id, _ string) (sigv4.Key, bool, error) {
			return sigv4.Key{Secret: secret, Active: true}, id == "AKIAEXAMPLE", nil
		}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if _, err := v.Verify(r, body); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		h(w, r)
	}))
	t.Cleanup(server.Close)
	return client.Config{Endpoint: server.URL, Region: "eu-west-1", AccessKeyID: "AKIAEXAMPLE", Secret: secret}
}

func TestCall(t *testing.T) {
	c, err := client.New(serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/v1/ok":
			_, _ = fmt.Fprintf(w, `{"method":%q,"token":%q,"body":%q,"type":%q}`, r.Method, r.URL.Query().Get("next-token"), body, r.Header.Get("Content-Type"))
		case "/v1/conflict":
			w.Header().Set("X-Amzn-ErrorType", "ns#ConflictException:http://x")
			w.Header().Set("X-Amzn-RequestId", "id")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"message":"There is one already.","reason":"OTHER"}`)
		case "/v1/redirect":
			http.Redirect(w, r, "/v1/ok", http.StatusFound)
		case "/v1/html":
			_, _ = io.WriteString(w, "<html>")
		case "/v1/empty":
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var got struct{ Method, Token, Body, Type string }
	if err := c.Call(ctx, "POST", "/v1/ok", url.Values{"next-token": {"a+b/=%2a ü"}}, map[string]int{"maxResults": 1}, &got); err != nil {
		t.Fatal(err)
	}
	if want := (struct{ Method, Token, Body, Type string }{"POST", "a+b/=%2a ü", `{"maxResults":1}`, "application/json"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := c.Call(ctx, "GET", "/v1/empty", nil, nil, &got); err != nil {
		t.Errorf("an empty answer: %v", err)
	}
	var refused *client.Error
	err = c.Call(ctx, "POST", "/v1/conflict", nil, nil, nil)
	if !errors.As(err, &refused) || *refused != (client.Error{Status: 409, Type: "ConflictException", Message: "There is one already.", Reason: "OTHER", RequestID: "id"}) {
		t.Errorf("error = %+v", err)
	}
	refused = nil
	if err = c.Call(ctx, "GET", "/v1/redirect", nil, nil, nil); !errors.As(err, &refused) || refused.Status != 302 || refused.Type != "" {
		t.Errorf("a redirect is not followed: %v", err)
	}
	if err := c.Call(ctx, "GET", "/v1/html", nil, nil, &got); err == nil {
		t.Error("HTML was decoded")
	}
}

func TestNewRefuses(t *testing.T) {
	good := client.Config{Endpoint: "http://h:1", Region: "r", AccessKeyID: "a", Secret: "s"}
	if _, err := client.New(good); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{"", "h:1", "ftp://h", "http://u:p@h", "http://h?x", ":"} {
		c := good
		c.Endpoint = endpoint
		if _, err := client.New(c); err == nil {
			t.Errorf("endpoint %q is accepted", endpoint)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, "aws", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("credentials", "# written by the server\n[default]\naws_access_key_id=no\n\n[packhouse]\naws_access_key_id = FILEKEY\naws_secret_access_key = a=b+c/\n[other]\naws_access_key_id = no\n")
	write("config", "[profile packhouse]\nregion = eu-west-1\nendpoint_url = http://file:1\n[profile x]\nregion = no\n")
	fromFile := client.Config{Endpoint: "http://file:1", Region: "eu-west-1", AccessKeyID: "FILEKEY", Secret: "a=b+c/"}
	for _, tt := range []struct {
		name string
		dir  string
		env  map[string]string
		want client.Config
		text string // in the error
	}{
		{name: "nothing set: the files", dir: dir, want: fromFile},
		{name: "a key for another service is not taken", dir: dir, env: map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_REGION": "x"}, want: fromFile},
		{name: "all in the environment", dir: "/nowhere", env: map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_REGION": "x", "PACKHOUSE_URL": "http://p", "AWS_ENDPOINT_URL_CODEARTIFACT": "http://e"},
			want: client.Config{Endpoint: "http://e", Region: "x", AccessKeyID: "A", Secret: "S"}},
		{name: "PACKHOUSE_URL is enough as an address", dir: "/nowhere", env: map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "PACKHOUSE_URL": "http://p"},
			want: client.Config{Endpoint: "http://p", Region: "us-east-1", AccessKeyID: "A", Secret: "S"}},
		{name: "only the address is set", dir: dir, env: map[string]string{"PACKHOUSE_URL": "http://p", "AWS_REGION": "x"},
			want: client.Config{Endpoint: "http://p", Region: "x", AccessKeyID: "FILEKEY", Secret: "a=b+c/"}},
		{name: "nothing anywhere", dir: "/nowhere", text: "no server is known: set PACKHOUSE_URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := client.Load(tt.dir, func(k string) string { return tt.env[k] })
			if tt.text != "" {
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("error = %v, want %q", err, tt.text)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("Load = %#v, %v", got, err)
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %#v %s", fromFile, fromFile, fromFile, fromFile); strings.Contains(text, fromFile.Secret) {
		t.Errorf("the secret is printed: %s", text)
	}
}
