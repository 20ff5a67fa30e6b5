package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// signedRegistry makes a public registry vouch for its packages as the real one does:
// signatures by a key of its own, attestations, and audits in both shapes, which find
// something wrong with every package that is called "risky".
type signedRegistry struct {
	*npmRegistry
	private *ecdsa.PrivateKey
	public  []byte
	mu      sync.Mutex
	heard   []string // the questions of audits, decoded
}

func signRegistry(r *npmRegistry, fail func(string, ...any)) *signedRegistry {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail("%v", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		fail("%v", err)
	}
	s := &signedRegistry{npmRegistry: r, private: key, public: public}
	r.setFault("/-/npm/v1/keys", s.answer(map[string]any{"keys": []map[string]any{{
		"expires": nil, "keyid": s.keyID(), "keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256",
		"key": base64.StdEncoding.EncodeToString(public),
	}}}))
	r.setFault("/-/npm/v1/security/advisories/bulk", s.audit(bulkReport))
	for _, path := range []string{"/-/npm/v1/security/audits", "/-/npm/v1/security/audits/quick"} {
		r.setFault(path, s.audit(treeReport))
	}
	for name, versions := range r.packages {
		s.packument(name, versions)
	}
	return s
}

func (s *signedRegistry) keyID() string {
	sum := sha256.Sum256(s.public)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// answer serves a document, unless the registry is down.
func (s *signedRegistry) answer(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s.npmRegistry.mu.Lock()
		down := s.down
		s.npmRegistry.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			v = map[string]string{"error": "down"}
		}
		_ = json.NewEncoder(w).Encode(v)
	}
}

// packument serves a package with everything that vouches for it.
func (s *signedRegistry) packument(name string, versions []npmPackage) {
	all, times, latest := map[string]any{}, map[string]string{}, ""
	for _, p := range versions {
		tgz := s.archives["/"+name+"/-/"+archiveName(p)]
		d := dist(tgz, s.URL+"/"+name+"/-/"+archiveName(p))
		sum := sha256.Sum256([]byte(name + "@" + p.Version + ":" + d["integrity"].(string)))
		sig, _ := s.private.Sign(nil, sum[:], crypto.SHA256)
		d["signatures"] = []map[string]string{{"keyid": s.keyID(), "sig": base64.StdEncoding.EncodeToString(sig)}}
		path := "/-/npm/v1/attestations/" + strings.Replace(name, "/", "%2f", 1) + "@" + p.Version
		d["attestations"] = map[string]any{"url": s.URL + path, "provenance": map[string]string{"predicateType": predicate}}
		s.setFault(strings.Replace(path, "%2f", "/", 1), s.answer(map[string]any{"attestations": []any{
			map[string]any{"predicateType": predicate, "bundle": bundle(name, p.Version, tgz)}}}))
		m := p.manifest()
		m["dist"], m["_npmUser"], m["deprecated"] = d, map[string]string{"name": "someone", "email": "someone@example.com"}, "old"
		all[p.Version], latest = m, p.Version
		times[p.Version] = published.Format("2006-01-02T15:04:05.000Z")
	}
	times["created"], times["modified"] = times[latest], times[latest]
	s.setFault("/"+name, s.answer(map[string]any{"_id": name, "name": name, "versions": all, "time": times,
		"dist-tags": map[string]string{"latest": latest}}))
}

const predicate = "https://slsa.dev/provenance/v1"

// bundle is a provenance without a certificate: no client that checks it can believe it.
func bundle(name, version string, tgz []byte) map[string]any {
	sum := sha512.Sum512(tgz)
	statement, _ := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": map[string]any{},
		"subject": []any{map[string]any{"name": "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + version,
			"digest": map[string]string{"sha512": hex.EncodeToString(sum[:])}}},
	})
	return map[string]any{"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2",
		"dsseEnvelope": map[string]any{"payloadType": "application/vnd.in-toto+json",
			"payload": base64.StdEncoding.EncodeToString(statement), "signatures": []any{map[string]string{"sig": "c2ln", "keyid": ""}}}}
}

// audit reads a question, remembers it, and answers with report's.
func (s *signedRegistry) audit(report func(question map[string]any) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = z
		}
		text, _ := io.ReadAll(body)
		s.mu.Lock()
		s.heard = append(s.heard, string(text))
		s.mu.Unlock()
		var question map[string]any
		if err := json.Unmarshal(text, &question); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.answer(report(question))(w, r)
	}
}

func bulkReport(question map[string]any) any {
	found := map[string]any{}
	if _, ok := question["risky"]; ok {
		found["risky"] = []map[string]any{{"id": 1, "url": "https://example.com/advisory-1", "title": "Something is wrong", "severity": "high",
			"vulnerable_versions": "<2.0.0", "cwe": []string{}, "cvss": map[string]any{"score": 7, "vectorString": nil}}}
	}
	return found
}

func treeReport(question map[string]any) any {
	advisories, high := map[string]any{}, 0
	if text, _ := json.Marshal(question); bytes.Contains(text, []byte(`"risky":{`)) {
		high = 1
		advisories["1"] = map[string]any{"id": 1, "url": "https://example.com/advisory-1", "title": "Something is wrong", "severity": "high",
			"module_name": "risky", "vulnerable_versions": "<2.0.0", "patched_versions": ">=2.0.0", "overview": "", "recommendation": "",
			"github_advisory_id": "GHSA-0000-0000-0000", "cves": []string{}, "cwe": []string{}, "access": "public",
			"findings": []any{map[string]any{"version": "1.0.0", "paths": []string{"risky"}}}}
	}
	return map[string]any{"actions": []any{}, "advisories": advisories, "muted": []any{}, "metadata": map[string]any{
		"vulnerabilities": map[string]int{"info": 0, "low": 0, "moderate": 0, "high": high, "critical": 0},
		"dependencies":    1, "devDependencies": 0, "optionalDependencies": 0, "totalDependencies": 1}}
}

// cmdUpstreamSigned is upstream with a registry that vouches for its packages.
func cmdUpstreamSigned(ts *testscript.TestScript, neg bool, args []string) {
	cmdUpstream(ts, neg, args)
	st := state(ts)
	st.signed = signRegistry(st.upstream, ts.Fatalf)
}

// cmdUpstreamHeard tells how many questions of audits contained a text.
func cmdUpstreamHeard(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts).signed
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.heard {
		if strings.Contains(q, args[1]) {
			n++
		}
	}
	if (fmt.Sprint(n) == args[0]) == neg {
		ts.Fatalf("the upstream heard %d questions with %q, want %s:\n%s", n, args[1], args[0], strings.Join(s.heard, "\n"))
	}
}

// cmdPublishProvenance publishes name@version with a provenance, as npm does in a CI
// system, and prints the answer: publish-provenance repository name@version status
// [about name@version] [tampered].
func cmdPublishProvenance(ts *testscript.TestScript, _ bool, args []string) {
	at := strings.LastIndexByte(args[1], '@')
	p := npmPackage{Name: args[1][:at], Version: args[1][at+1:], Files: map[string]string{"index.js": "module.exports = 1"}}
	tgz := p.tarball(scriptTB{ts: ts})
	name, version, about := p.Name, p.Version, tgz
	if len(args) > 4 && args[3] == "about" {
		at := strings.LastIndexByte(args[4], '@')
		name, version = args[4][:at], args[4][at+1:]
	}
	if slices.Contains(args[3:], "tampered") {
		about = append(slices.Clone(tgz), 0)
	}
	var doc map[string]any
	ts.Check(json.Unmarshal(p.publishDoc(scriptTB{ts: ts}, tgz), &doc))
	text, err := json.Marshal(bundle(name, version, about))
	ts.Check(err)
	if slices.Contains(args[3:], "huge") {
		text = append(text, bytes.Repeat([]byte(" "), 2<<20)...)
	}
	doc["_attachments"].(map[string]any)[p.Name+"-"+p.Version+".sigstore"] = map[string]any{
		"content_type": "application/vnd.dev.sigstore.bundle+json;version=0.2", "data": string(text), "length": len(text)}
	body, err := json.Marshal(doc)
	ts.Check(err)
	s := state(ts).server
	domain, repo, _ := strings.Cut(args[0], "/")
	status, answer := do(scriptTB{ts: ts}, http.MethodPut, s.base("npm", domain, repo)+strings.Replace(p.Name, "/", "%2f", 1), ts.Getenv("TOKEN"), body)
	if fmt.Sprint(status) != args[2] {
		ts.Fatalf("publish of %s: %d %s, want %s", args[1], status, answer, args[2])
	}
	ts.Logf("%d %s", status, answer)
	ts.Check(os.WriteFile(ts.MkAbs("answer.txt"), answer, 0o600))
}
