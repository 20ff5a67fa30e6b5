package e2e

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"
)

// maxResident is what the server may hold after the whole hostile suite, in KiB
// (npm.md case 16).
const maxResident = 256 << 10

// victim is a server under attack: one repository with one package, which must be all
// that it has afterwards.
type victim struct {
	*seedServer
	repo string
	size int64
}

func startVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{seedServer: startSeedServer(t)}
	v.repo = v.seedServer.repo(t)
	v.publish(t, v.repo, "innocent", "1.0.0")
	v.size = v.seedServer.size(t)
	return v
}

// unharmed fails unless the server still answers, holds what it held, and is as small as
// it should be.
func (v *victim) unharmed(t *testing.T) {
	t.Helper()
	out, err := v.api.ListPackages(t.Context(), &codeartifact.ListPackagesInput{Domain: aws.String(seedDomain), Repository: &v.repo})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Packages) != 1 || aws.ToString(out.Packages[0].Package) != "innocent" || len(v.versions(t, v.repo, "innocent", "")) != 1 {
		t.Errorf("something was stored: %+v", out.Packages)
	}
	if got := v.seedServer.size(t); got != v.size {
		t.Errorf("assetSizeBytes is %d, was %d", got, v.size)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	if err != nil {
		t.Logf("resident memory is not known here: %v", err)
		return
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil || kib > maxResident {
		t.Errorf("resident memory is %d KiB (%v), want at most %d", kib, err, maxResident)
	}
	if n := strings.Count(v.log.String(), "panic"); n != 0 {
		t.Errorf("the server panicked:\n%s", tail(v.log.String(), 4000))
	}
}

// refused fails unless an answer of the npm door is 4xx in npm's own shape.
func refused(t *testing.T, status int, body []byte) {
	t.Helper()
	var e struct{ Error string }
	if status < 400 || status > 499 || json.Unmarshal(body, &e) != nil || e.Error == "" {
		t.Errorf("%d %.300s, want 4xx with an error that npm prints", status, body)
	}
}

// entry is a member of a hostile archive.
type entry struct {
	name, body, link string
	kind             byte // tar.TypeReg if 0
}

// archiveOf packs entries, hostile ones too.
func archiveOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: 0o644, Size: int64(len(e.body))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// S25, S26, npm.md case 16: archives that do not hold what the document says, or that
// would harm who unpacks them.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	v := startVictim(t)
	p := npmPackage{Name: "hostile", Version: "1.0.0"}
	manifest := entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0"}`}
	good := p.tarball(t)
	zeros := strings.Repeat("\x00", 1<<20)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "package/zeros", Size: 256 << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	for range 256 {
		if _, err := io.WriteString(w, zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string][]byte{
		"of another name":             archiveOf(t, entry{name: "package/package.json", body: `{"name":"innocent","version":"1.0.0"}`}),
		"of another version":          archiveOf(t, entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.1"}`}),
		"with a name that climbs":     archiveOf(t, manifest, entry{name: "package/../../etc/passwd", body: "x"}),
		"with an absolute name":       archiveOf(t, manifest, entry{name: "/etc/passwd", body: "x"}),
		"with a backslash":            archiveOf(t, manifest, entry{name: `package\..\..\x`, body: "x"}),
		"with a symbolic link":        archiveOf(t, manifest, entry{name: "package/link", link: "/etc/passwd", kind: tar.TypeSymlink}),
		"with a hard link":            archiveOf(t, manifest, entry{name: "package/link", link: "/etc/passwd", kind: tar.TypeLink}),
		"with a device":               archiveOf(t, manifest, entry{name: "package/null", kind: tar.TypeChar}),
		"with a pipe":                 archiveOf(t, manifest, entry{name: "package/pipe", kind: tar.TypeFifo}),
		"with two manifests":          archiveOf(t, manifest, entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0","scripts":{"install":"x"}}`}),
		"with a link as manifest":     archiveOf(t, entry{name: "package/package.json", link: "/etc/passwd", kind: tar.TypeSymlink}),
		"without a manifest":          archiveOf(t, entry{name: "package/index.js", body: "x"}),
		"with a deeper manifest only": archiveOf(t, entry{name: "package/a/package.json", body: manifest.body}),
		"with a broken manifest":      archiveOf(t, entry{name: "package/package.json", body: `{"name":"hostile",`}),
		"with a manifest of 5 MiB":    archiveOf(t, entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0","x":"` + strings.Repeat("x", 5<<20) + `"}`}),
		"with a deep manifest":        archiveOf(t, entry{name: "package/package.json", body: `{"name":"hostile","version":"1.0.0","x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`}),
		"that is a bomb":              bomb.Bytes(),
		"that is no gzip":             []byte("just text"),
		"that is cut off":             good[:len(good)/2],
		"that is empty":               {},
		"that is an empty gzip":       archiveOf(t),
	} {
		t.Run(name, func(t *testing.T) {
			status, body := do(t, http.MethodPut, v.url(v.repo, p.Name), v.token, p.publishDoc(t, archive))
			refused(t, status, body)
		})
	}
	v.unharmed(t)
}

// S29, npm.md 4: documents that lie, repeat themselves, or are too much.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	v := startVictim(t)
	p := npmPackage{Name: "hostile", Version: "1.0.0"}
	good := p.tarball(t)
	type members = map[string]any
	for name, change := range map[string]func(doc, version, attachment members){
		"wrong length": func(_, _, a members) { a["length"] = len(good) + 1 },
		"wrong integrity": func(_, v, _ members) {
			v["dist"].(members)["integrity"] = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))
		},
		"wrong shasum":                  func(_, v, _ members) { v["dist"].(members)["shasum"] = strings.Repeat("0", 40) },
		"attachment that is not base64": func(_, _, a members) { a["data"] = "!!!!" },
		"attachment that is no text":    func(_, _, a members) { a["data"] = []int{1} },
		"attachment cut off":            func(_, _, a members) { a["data"] = a["data"].(string)[:41] },
		"two versions":                  func(d, v, _ members) { d["versions"].(members)["1.0.1"] = v },
		"two archives":                  func(d, _, a members) { d["_attachments"].(members)["hostile-1.0.1.tgz"] = a },
		"no version":                    func(d, _, _ members) { d["versions"] = members{} },
		"versions that are a list":      func(d, _, _ members) { d["versions"] = []string{"1.0.0"} },
		"another name":                  func(d, _, _ members) { d["name"] = "innocent" },
		"another name in the manifest":  func(_, v, _ members) { v["name"] = "innocent" },
		"another version as key":        func(d, v, _ members) { d["versions"] = members{"1.0.1": v} },
		"no name":                       func(d, _, _ members) { delete(d, "name") },
		"a tag that is a range":         func(d, _, _ members) { d["dist-tags"] = members{"1.x": "1.0.0"} },
		"an empty tag":                  func(d, _, _ members) { d["dist-tags"] = members{"": "1.0.0"} },
		"5 MiB of readme and more":      func(d, _, _ members) { d["extra"] = strings.Repeat("x", 5<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			doc := decode[members](t, p.publishDoc(t, good))
			attachment := doc["_attachments"].(members)["hostile-1.0.0.tgz"].(members)
			change(doc, doc["versions"].(members)["1.0.0"].(members), attachment)
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			status, body := do(t, http.MethodPut, v.url(v.repo, p.Name), v.token, text)
			refused(t, status, body)
		})
	}
	text := string(p.publishDoc(t, good))
	for name, doc := range map[string]string{
		"no JSON":                   "no JSON",
		"nothing":                   "",
		"null":                      "null",
		"a list":                    "[]",
		"cut off":                   text[:len(text)/2],
		"two documents":             text + text,
		"text behind it":            text + "x",
		"a name twice":              strings.Replace(text, `"name":`, `"name":"innocent","name":`, 1),
		"attachments twice":         strings.Replace(text, `"_attachments":`, `"_attachments":{},"_attachments":`, 1),
		"10,000 levels of objects":  strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
		"10,000 levels of lists":    strings.Replace(text, `"access":null`, `"access":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000), 1),
		"a number without an end":   `{"name":` + strings.Repeat("1", 100_000),
		"NUL characters":            strings.Repeat("\x00", 1000),
		"an UTF-16 byte order mark": "\xff\xfe" + text,
	} {
		t.Run(name, func(t *testing.T) {
			status, body := do(t, http.MethodPut, v.url(v.repo, p.Name), v.token, []byte(doc))
			refused(t, status, body)
		})
	}
	for _, c := range []npmPackage{
		{Name: "Hostile", Version: "1.0.0"}, {Name: "node_modules", Version: "1.0.0"}, {Name: "favicon.ico", Version: "1.0.0"}, {Name: ".hidden", Version: "1.0.0"},
		{Name: "_under", Version: "1.0.0"}, {Name: "a b", Version: "1.0.0"}, {Name: "a~b", Version: "1.0.0"}, {Name: "it's", Version: "1.0.0"},
		{Name: strings.Repeat("a", 215), Version: "1.0.0"}, {Name: "@Scope/a", Version: "1.0.0"}, {Name: "a\u202eb", Version: "1.0.0"}, {Name: "\u0430bc", Version: "1.0.0"},
		{Name: "hostile", Version: "1.0"}, {Name: "hostile", Version: "v1.0.0"}, {Name: "hostile", Version: "1.0.0.0"}, {Name: "hostile", Version: "01.0.0"},
		{Name: "hostile", Version: "99999999999999999999.0.0"}, {Name: "hostile", Version: "latest"}, {Name: "hostile", Version: "1.0.0-" + strings.Repeat("a", 300)},
	} {
		t.Run("name and version "+c.Name+"@"+c.Version, func(t *testing.T) {
			status, body := v.put(t, v.repo, c)
			refused(t, status, []byte(body))
		})
	}
	v.unharmed(t)
}

// exchange writes bytes to a connection of its own and reads the answer; end closes the
// sending half behind them. A connection that the server just closes has status 0.
func exchange(t *testing.T, address, request string, end bool) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	// The server may refuse before it has read everything: what counts is its answer.
	_, _ = io.WriteString(conn, request)
	if end {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() {
			t.Fatalf("no answer to %.100q", request)
		}
		return reply{}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, header: resp.Header, body: body}
}

// S1, S4, S5, S11: paths, framing, hosts and credentials, byte by byte as a client of the
// library never sends them.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	v := startVictim(t)
	address := strings.TrimPrefix(v.URL, "http://")
	bearer := "Authorization: Bearer " + v.token + "\r\n"
	base := "/npm/" + seedDomain + "/" + v.repo + "/"
	request := func(method, target, headers, body string) string {
		return method + " " + target + " HTTP/1.1\r\nHost: " + address + "\r\n" + headers + "\r\n" + body
	}
	p := npmPackage{Name: "hostile", Version: "1.0.0"}
	doc := string(p.publishDoc(t, p.tarball(t)))
	length := fmt.Sprintf("Content-Length: %d\r\n", len(doc))

	t.Run("paths", func(t *testing.T) {
		for _, path := range []string{
			"..", "%2e%2e", "%2e%2e/%2e%2e/x", "..%2f..%2fx", "%2e%2e%2f%2e%2e%2fx", "a%2fb%2fc", "a%5cb", `a\b`, "..%5c..%5cx", "a%00", "%00", "a;x=y", ";/../x", "a//b",
			"a/./b", "a/../b", "%E2%80%AEgpj.a", "a%E2%81%A6b", "a%0ab", "a%0d%0aX-Injected:1", "a%7fb", "a%C2%85b", "%ff%fe", "%252e%252e", "a%252fb", "%zz", "%", "a%2",
			"hostile.", "hostile%20", "hostile/-/..%2f..%2fx.tgz", "hostile/-/%2e%2e", "@scope%2f..%2fx", "@scope%2f%2e%2e", "@%2fx", "@scope%2f", strings.Repeat("a", 10_000),
			"hostile/-/" + strings.Repeat("a", 10_000) + ".tgz", strings.Repeat("a/", 1000), "-/package/%2e%2e/dist-tags/x", "a%23b", "a%3fb",
		} {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				headers, body := bearer, ""
				if method == "PUT" {
					headers, body = bearer+length+"Content-Type: application/json\r\n", doc
				}
				r := exchange(t, address, request(method, base+path, headers+"Connection: close\r\n", body), false)
				// Words that are no HTTP at all are refused below every door, in plain text.
				if r.status == http.StatusBadRequest && strings.HasPrefix(string(r.body), "400 Bad Request") {
					continue
				}
				if !t.Run("", func(t *testing.T) { refused(t, r.status, r.body) }) {
					t.Errorf("%s %.60q", method, path)
				}
				if r.header.Get("X-Injected") != "" || r.header.Get("Location") != "" {
					t.Errorf("%s %.60q: headers %v", method, path, r.header)
				}
			}
		}
	})
	t.Run("the path of another door or repository", func(t *testing.T) {
		for _, target := range []string{base + "../../../v1/domain", base + "%2e%2e/%2e%2e/%2e%2e/healthz", "/npm/../v1/domains", "/npm/" + seedDomain + "/..%2f" + v.repo + "/x",
			"/npm/" + seedDomain + "%2f" + v.repo + "/x", "/npm//" + v.repo + "/innocent", "/npm/d/" + seedDomain + "/" + v.repo + "/innocent", "/%6epm/" + seedDomain, "/nothing", "/.git/config", "/../../etc/passwd"} {
			if r := exchange(t, address, request("GET", target, bearer+"Connection: close\r\n", ""), false); r.status < 400 || r.status > 499 || strings.Contains(string(r.body), "1.0.0") {
				t.Errorf("%s: %d %s", target, r.status, r.body)
			}
		}
	})
	t.Run("framing", func(t *testing.T) {
		publish := func(headers, body string) string {
			return request("PUT", base+p.Name, bearer+"Content-Type: application/json\r\n"+headers, body)
		}
		for name, c := range map[string]struct {
			request string
			end     bool
		}{
			"a body shorter than announced":    {publish(fmt.Sprintf("Content-Length: %d\r\n", len(doc)+10), doc), true},
			"half a body":                      {publish(length, doc[:len(doc)/2]), true},
			"chunks that are cut off":          {publish("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s", len(doc), doc[:len(doc)/2])), true},
			"chunks without a last one":        {publish("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(doc), doc)), true},
			"a chunk with a size that is none": {publish("Transfer-Encoding: chunked\r\n", "zz\r\n"+doc), true},
			"two lengths":                      {publish(length+"Content-Length: 1\r\n", doc), false},
			"a signed length":                  {publish("Content-Length: +10\r\n", doc), false},
			"a negative length":                {publish("Content-Length: -1\r\n", doc), false},
			"a length beyond numbers":          {publish("Content-Length: 99999999999999999999\r\n", doc), false},
			"an unknown coding":                {publish("Transfer-Encoding: gzip, chunked\r\n", doc), false},
			"a length of 900 MB":               {publish("Content-Length: 900000000\r\n", doc), false},
			"a blank before the colon":         {request("GET", base+"innocent", "Authorization : Bearer "+v.token+"\r\n", ""), false},
			"no host":                          {"GET " + base + "innocent HTTP/1.1\r\n" + bearer + "\r\n", false},
			"two hosts":                        {request("GET", base+"innocent", "Host: other\r\n"+bearer, ""), false},
			"TRACE":                            {request("TRACE", base+"innocent", bearer, ""), false},
			"CONNECT":                          {request("CONNECT", address, bearer, ""), false},
			"a method that is none":            {request("STEAL", base+"innocent", bearer, ""), false},
			"a header of 70 KiB":               {request("GET", base+"innocent", bearer+"X-A: "+strings.Repeat("a", 70<<10)+"\r\n", ""), false},
			"2,000 headers":                    {request("GET", base+"innocent", bearer+strings.Repeat("X-A: b\r\n", 2000), ""), false},
			"a path of 100 KiB":                {request("GET", base+strings.Repeat("a", 100<<10), bearer, ""), false},
			"no HTTP":                          {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", true},
			"another version of HTTP":          {"GET / HTTP/3.7\r\nHost: " + address + "\r\n\r\n", false},
		} {
			t.Run(name, func(t *testing.T) {
				// 501 and 505 are what HTTP itself says about codings and versions; a
				// connection that just ends is an answer to who did not finish.
				if r := exchange(t, address, c.request, c.end); r.status != 0 && (r.status < 400 || r.status > 499) && r.status != http.StatusNotImplemented && r.status != http.StatusHTTPVersionNotSupported {
					t.Errorf("%d %s", r.status, r.body)
				} else if r.status == 0 && !c.end {
					t.Error("no answer")
				}
			})
		}
	})
	t.Run("a hundred headers are enough", func(t *testing.T) {
		for n, want := range map[int]int{90: http.StatusOK, 101: http.StatusRequestHeaderFieldsTooLarge, 200: http.StatusRequestHeaderFieldsTooLarge} {
			if r := exchange(t, address, request("GET", base+"innocent", bearer+strings.Repeat("X-A: b\r\n", n), ""), false); r.status != want {
				t.Errorf("%d headers: %d, want %d", n, r.status, want)
			}
		}
	})
	t.Run("hosts", func(t *testing.T) {
		for _, host := range []string{"evil.example", "evil.example:80", address + ".evil.example", "localhost.evil.example", "127.0.0.1:1", "user@" + address, "[::1", "codeartifact.us-west-2.amazonaws.com"} {
			r := exchange(t, address, "GET "+base+"innocent HTTP/1.1\r\nHost: "+host+"\r\n"+bearer+"X-Forwarded-Host: "+host+"\r\n\r\n", false)
			if r.status != http.StatusMisdirectedRequest && r.status != http.StatusBadRequest || strings.Contains(string(r.body), "tarball") {
				t.Errorf("%s: %d %s", host, r.status, r.body)
			}
		}
		// A peer that is no trusted proxy says nothing about the address.
		r := exchange(t, address, request("GET", base+"innocent", bearer+"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\n", ""), false)
		if r.status != http.StatusOK || strings.Contains(string(r.body), "evil.example") || strings.Contains(string(r.body), `"tarball":"https`) {
			t.Errorf("forwarded: %d %s", r.status, r.body)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		other := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("aws:"+v.registryToken(t, seedDomain))) + "\r\n"
		for name, c := range map[string]struct {
			query, headers string
			want           []int
		}{
			"a token in the query":      {"?token=" + v.token, "", []int{401}},
			"_authToken in the query":   {"?_authToken=" + v.token, "", []int{401}},
			"access_token in the query": {"?access_token=" + v.token, "", []int{401}},
			"a cookie":                  {"", "Cookie: token=" + v.token + "; session=" + v.token + "\r\n", []int{401}},
			"two credentials":           {"", bearer + other, []int{400}},
			"the same way, two tokens":  {"", bearer + "Authorization: Bearer x\r\n", []int{400}},
			"a good and an empty one":   {"", bearer + "Authorization: \r\n", []int{400, 401}},
			"no scheme that we know":    {"", "Authorization: Digest username=\"x\"\r\n", []int{400, 401}},
			"broken basic":              {"", "Authorization: Basic !!!\r\n", []int{400, 401}},
			"a changed token":           {"", "Authorization: Bearer " + v.token[:len(v.token)-2] + "AA\r\n", []int{401}},
			"a token of 60,000 bytes":   {"", "Authorization: Bearer " + strings.Repeat("a", 60_000) + "\r\n", []int{401, 431}},
		} {
			r := exchange(t, address, request("GET", base+"innocent"+c.query, c.headers, ""), false)
			found := false
			for _, want := range c.want {
				found = found || r.status == want
			}
			if !found || strings.Contains(string(r.body), "tarball") {
				t.Errorf("%s: %d %s, want %v", name, r.status, r.body, c.want)
			}
			if r.status == http.StatusUnauthorized && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: challenge %q", name, r.header.Get("WWW-Authenticate"))
			}
		}
		if strings.Contains(v.log.String(), v.token) {
			t.Error("a token is in the log")
		}
	})
	v.unharmed(t)
}

// codeartifact.md 3.8, S1: names that generic packages may not have, and bodies that are
// not what was announced.
func TestHostileGenericAssets(t *testing.T) {
	t.Parallel()
	v := startVictim(t)
	publish := func(pkg, version, asset string) error {
		_, err := v.asset(t.Context(), v.repo, pkg, version, asset, []byte("x"), false)
		return err
	}
	for _, name := range []string{"..", ".", "a/b", "../a", "/a", `a\b`, "a b", "a\x00b", "a\nb", "a\u202eb", "a\u2066b", "a%2fb", "a:b", "a*b", "a?b", "a#b", "a<b", `a"b`, "a|b", "a=b", "a$b", "a'b", "\ufeffa", strings.Repeat("a", 256)} {
		wantError[*types.ValidationException](t, publish("hostile", "1", name))
	}
	for _, name := range []string{"..", ".", "a/b", "a b", "a\x00", "a#b", "-a", "a\u202eb", strings.Repeat("a", 256)} {
		wantError[*types.ValidationException](t, publish(name, "1", "a.bin"))
		wantError[*types.ValidationException](t, publish("hostile", name+"/", "a.bin"))
	}
	for _, version := range []string{"a/b", "a b", "latest", "a\x00", "a#b", "a\u202eb", strings.Repeat("1", 256)} {
		wantError[*types.ValidationException](t, publish("hostile", version, "a.bin"))
	}
	const path = "/v1/package/version/publish?domain=test-domain&format=generic&namespace=my-ns&package=hostile&version=1&repository="
	for _, query := range []string{v.repo, v.repo + "&asset=a.bin&asset=b.bin", v.repo + "&asset=a.bin&unfinished=maybe", v.repo + "&asset=%ff", v.repo + "&asset=a%2", v.repo + "&asset=a.bin&repository=other"} {
		r := v.raw(t, "POST", path+query, "body", true)
		if r.status < 400 || r.status > 499 || r.header.Get("X-Amzn-Errortype") == "" {
			t.Errorf("%s: %d %v %s", query, r.status, r.header, r.body)
		}
	}
	v.unharmed(t)
}
