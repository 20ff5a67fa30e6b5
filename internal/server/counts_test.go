package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/packhouse/packhouse/internal/archive/archivetest"
	"github.com/packhouse/packhouse/internal/client"
)

// sink is a client that takes everything and keeps nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header    { return s.header }
func (s *sink) WriteHeader(status int) { s.status = status }
func (s *sink) Write(p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

// warmServer is a server with one published package and nothing that runs beside its
// requests, so that what they cost can be counted.
func warmServer(t testing.TB) (s *Server, token string) {
	t.Helper()
	c := testConfig(t, nil)
	s, err := Build(t.Context(), c, Options{Log: slog.New(slog.NewJSONHandler(&sink{}, nil)), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.http.Serve(s.listener) }() // ends by Close below
	t.Cleanup(func() {
		_ = s.http.Close()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	conf, err := client.Load(c.DataDir, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	conf.Endpoint = s.URL
	api, err := client.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ AuthorizationToken string }
	for _, call := range []struct {
		path  string
		query url.Values
		in    any
	}{
		{"/v1/domain", url.Values{"domain": {"acme"}}, struct{}{}},
		{"/v1/repository", url.Values{"domain": {"acme"}, "repository": {"team"}}, struct{}{}},
		{"/v1/authorization-token", url.Values{"domain": {"acme"}}, nil},
	} {
		if err := api.Call(t.Context(), http.MethodPost, call.path, call.query, call.in, &answer); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(t, answer.AuthorizationToken, "box", "1.0.0")
	return s, answer.AuthorizationToken
}

// publish publishes a version of a package.
func (s *Server) publish(t testing.TB, token, name, version string) {
	t.Helper()
	manifest := map[string]any{"name": name, "version": version}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	tgz := archivetest.TarGz(t, archivetest.File{Name: "package/package.json", Body: string(text)})
	body, err := json.Marshal(map[string]any{
		"_id": name, "name": name, "dist-tags": map[string]string{"latest": version}, "versions": map[string]any{version: manifest},
		"_attachments": map[string]any{name + "-" + version + ".tgz": map[string]any{
			"data": base64.StdEncoding.EncodeToString(tgz), "length": len(tgz)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, s.request(http.MethodPut, name, token, bytes.NewReader(body)))
	if w.Code != http.StatusCreated {
		t.Fatalf("publish: %d %s", w.Code, w.Body)
	}
}

// request is a request for a path of the repository.
func (s *Server) request(method, path, token string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, fmt.Sprintf("/%s/acme/team/%s", s.rooms[0].Spec().ID, path), body)
	r.Host = s.Addr().String()
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// warmRequest is a request whose answer is in memory.
type warmRequest struct {
	name   string
	r      *http.Request
	status int
	most   float64 // allocations
}

// warmRequests are the requests that clients repeat most, each answered once already.
func warmRequests(t testing.TB, s *Server, token string) []warmRequest {
	t.Helper()
	get := func(path string, headers ...string) *http.Request {
		r := s.request(http.MethodGet, path, token, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	first := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(first, get("box", "Accept", "application/json"))
	rows := []warmRequest{
		{"packument", get("box", "Accept", "application/json"), http.StatusOK, 32},
		{"packument, abbreviated and compressed", get("box", "Accept", "application/vnd.npm.install-v1+json", "Accept-Encoding", "gzip"), http.StatusOK, 33},
		{"packument that the client has", get("box", "Accept", "application/json", "If-None-Match", first.Header().Get("Etag")), http.StatusNotModified, 30},
		{"small archive", get("box/-/box-1.0.0.tgz"), http.StatusOK, 50},
	}
	for _, q := range rows {
		w := &sink{header: http.Header{}}
		if s.http.Handler.ServeHTTP(w, q.r); w.status != q.status || q.status == http.StatusOK && w.bytes == 0 {
			t.Fatalf("%s: status %d with %d bytes, want %d", q.name, w.status, w.bytes, q.status)
		}
	}
	return rows
}

// TestWarmRequests: a warm GET runs no SQL and makes no more allocations than it does
// today, from the edge through the door and the room (performance.md, "Rules"). A change
// that adds one raises the number here and says why in its commit.
func TestWarmRequests(t *testing.T) {
	s, token := warmServer(t)
	for _, q := range warmRequests(t, s, token) {
		t.Run(q.name, func(t *testing.T) {
			w := &sink{header: http.Header{}}
			before := s.store.Catalog.Statements()
			n := testing.AllocsPerRun(200, func() {
				clear(w.header)
				s.http.Handler.ServeHTTP(w, q.r)
			})
			if ran := s.store.Catalog.Statements() - before; ran != 0 {
				t.Errorf("%d SQL statements in 201 requests, want none", ran)
			}
			if n > q.most && !underRace {
				t.Errorf("%.0f allocations, want at most %.0f", n, q.most)
			}
		})
	}
}

// TestPublishStatements: what a publish asks of the database does not grow, neither with
// changes of the code nor with the versions that the package has (performance.md 11, 13).
func TestPublishStatements(t *testing.T) {
	s, token := warmServer(t)
	statements := func(name, version string) int64 {
		before := s.store.Catalog.Statements()
		s.publish(t, token, name, version)
		return s.store.Catalog.Statements() - before
	}
	if n := statements("crate", "1.0.0"); n > 16 {
		t.Errorf("the first version of a package took %d statements, want at most 16", n)
	}
	second := statements("crate", "1.1.0")
	if second > 15 {
		t.Errorf("the second version of a package took %d statements, want at most 15", second)
	}
	for i := range 20 {
		s.publish(t, token, "crate", fmt.Sprintf("2.%d.0", i))
	}
	if n := statements("crate", "3.0.0"); n > second {
		t.Errorf("the 23rd version took %d statements, the second one %d", n, second)
	}
}

func BenchmarkWarm(b *testing.B) {
	s, token := warmServer(b)
	for _, q := range warmRequests(b, s, token) {
		b.Run(q.name, func(b *testing.B) {
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.http.Handler.ServeHTTP(w, q.r)
			}
		})
	}
}
