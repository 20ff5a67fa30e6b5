package sigv4_test

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// mutant is a received request of which one field is changed.
type mutant struct {
	*rand.Rand
	r    *http.Request
	body string
}

// mutations each change one field; they may by chance leave its meaning as it was.
var mutations = map[string]func(*mutant){
	"method": func(m *mutant) {
		m.r.Method = []string{"GET", "POST", "PUT", "DELETE", "get"}[m.IntN(5)]
	},
	"host":  func(m *mutant) { m.r.Host = m.char(m.r.Host) },
	"path":  func(m *mutant) { m.target(m.char(m.r.URL.EscapedPath()), m.r.URL.RawQuery) },
	"query": func(m *mutant) { m.target(m.r.URL.EscapedPath(), m.char(m.r.URL.RawQuery)) },
	"an added parameter": func(m *mutant) {
		m.target(m.r.URL.EscapedPath(), m.r.URL.RawQuery+"&"+[]string{"domain=x", "x", "a=b;c", "X-Amz-Date=1", "%00=1"}[m.IntN(5)])
	},
	"a parameter left out": func(m *mutant) {
		pairs := strings.Split(m.r.URL.RawQuery, "&")
		i := m.IntN(len(pairs))
		m.target(m.r.URL.EscapedPath(), strings.Join(slices.Delete(pairs, i, i+1), "&"))
	},
	"a header's value": func(m *mutant) {
		name := m.header()
		m.r.Header.Set(name, m.char(m.r.Header.Get(name)))
	},
	"a header given twice": func(m *mutant) { name := m.header(); m.r.Header.Add(name, m.r.Header.Get(name)) },
	"a header left out":    func(m *mutant) { m.r.Header.Del(m.header()) },
	"an added x-amz header": func(m *mutant) {
		m.r.Header.Set([]string{"X-Amz-Meta-A", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "X-Amz-Target"}[m.IntN(4)], "1")
	},
	"the body": func(m *mutant) { m.body = m.char(m.body) },
	"a part of the credential": func(m *mutant) {
		value := m.r.Header.Get("Authorization")
		at := strings.IndexByte(value, '=') + 1
		end := strings.IndexByte(value, ',')
		if value == "" {
			return
		}
		m.r.Header.Set("Authorization", value[:at]+m.char(value[at:end])+value[end:])
	},
	"the signature": func(m *mutant) {
		value := m.r.Header.Get("Authorization")
		if value == "" {
			return
		}
		at := strings.LastIndexByte(value, '=') + 1
		m.r.Header.Set("Authorization", value[:at]+m.char(value[at:]))
	},
}

// char replaces, inserts or removes one character.
func (m *mutant) char(s string) string {
	const alphabet = "abcdefXYZ0123456789%+/=&;.-_~"
	c := string(alphabet[m.IntN(len(alphabet))])
	if s == "" {
		return c
	}
	i := m.IntN(len(s))
	return s[:i] + []string{c, c + s[i:i+1], ""}[m.IntN(3)] + s[i+1:]
}

func (m *mutant) header() string {
	var names []string
	for name := range m.r.Header {
		if name == "Content-Type" || name == "Authorization" || strings.HasPrefix(name, "X-Amz-") {
			names = append(names, name)
		}
	}
	if len(names) == 0 { // presigned: nothing but host is signed
		return "X-Amz-None"
	}
	slices.Sort(names)
	return names[m.IntN(len(names))]
}

// target sets the request line's target if a server could have read it.
func (m *mutant) target(path, query string) {
	if u, err := url.ParseRequestURI(path + "?" + query); err == nil && u.Host == "" {
		m.r.URL = u
	}
}

// meaning is all of a request that a handler may act on.
func meaning(r *http.Request, body string) any {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		query = url.Values{"malformed": {r.URL.RawQuery}}
	}
	for _, values := range query {
		slices.Sort(values) // repeated values are signed in sorted order
	}
	header := r.Header.Clone()
	if value := header.Get("Authorization"); value != "" { // blanks between its parts say nothing
		header.Set("Authorization", strings.ReplaceAll(value, ", ", ","))
	}
	return []any{r.Method, r.Host, r.URL.EscapedPath(), query, header, body}
}

// Source: reliability.md S6.
func TestNoMutationIsAccepted(t *testing.T) {
	const total = 100_000
	calls := []call{
		{method: "GET", target: "/v1/domain?domain=main&domain-owner=111122223333"},
		{method: "POST", target: "/v1/packages?domain=main&repository=store&next-token=a%2Bb%2Fc%3D%252a&q=a+b", body: `{"a":1}`, header: http.Header{"Content-Type": {"application/json"}}},
		{method: "POST", target: "/v1/package/version/publish?asset=a", body: "bytes", header: http.Header{"X-Amz-Content-Sha256": {sum("bytes")}}},
		{method: "GET", target: "/v1/a%2Fb?x=1", key: "ASIATEMPORARY", token: "tok/en+="},
		{method: "GET", target: "/v1/package/version/asset?asset=a", presign: time.Hour},
	}
	var wires [][]byte
	for _, c := range calls {
		var wire bytes.Buffer
		if err := c.sign(t).Write(&wire); err != nil {
			t.Fatal(err)
		}
		wires = append(wires, wire.Bytes())
	}
	names := make([]string, 0, len(mutations))
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			d := rand.New(rand.NewPCG(6, uint64(w)))
			v := verifier(signedAt)
			for n := 0; n < total/workers; {
				i := d.IntN(len(calls))
				r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wires[i])))
				if err != nil {
					t.Error(err)
					return
				}
				m := &mutant{Rand: d, r: r, body: calls[i].body}
				before := meaning(m.r, m.body)
				name := names[d.IntN(len(names))]
				mutations[name](m)
				if reflect.DeepEqual(before, meaning(m.r, m.body)) {
					continue
				}
				n++
				if res, err := v.Verify(m.r, []byte(m.body)); err == nil {
					t.Errorf("accepted as %v with %s changed: %s %s %v %q", res.KeyID, name, m.r.Method, m.r.URL, m.r.Header, m.body)
					return
				}
			}
		})
	}
	wg.Wait()
}
