package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
)

// npmPackage is a version of an npm package, built from text.
type npmPackage struct {
	Name, Version string
	Manifest      map[string]any    // further members of package.json
	Files         map[string]string // further files of the archive
}

// manifest is the package.json.
func (p npmPackage) manifest() map[string]any {
	m := map[string]any{"name": p.Name, "version": p.Version}
	for k, v := range p.Manifest {
		m[k] = v
	}
	return m
}

// tarball builds the archive.
func (p npmPackage) tarball(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	pkg, err := json.Marshal(p.manifest())
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, body []byte) {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	add("package.json", pkg)
	for name, body := range p.Files {
		add(name, []byte(body))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dist is the dist member for an archive at a URL.
func dist(tgz []byte, url string) map[string]any {
	s512, s1 := sha512.Sum512(tgz), sha1.Sum(tgz)
	return map[string]any{
		"tarball": url, "shasum": hex.EncodeToString(s1[:]),
		"integrity": "sha512-" + base64.StdEncoding.EncodeToString(s512[:]),
	}
}

// publishDoc is the body of npm's publish request.
func (p npmPackage) publishDoc(t testing.TB, tgz []byte) []byte {
	t.Helper()
	m := p.manifest()
	file := fmt.Sprintf("%s-%s.tgz", p.Name, p.Version)
	m["_id"] = p.Name + "@" + p.Version
	m["dist"] = dist(tgz, "http://localhost/"+p.Name+"/-/"+file)
	doc, err := json.Marshal(map[string]any{
		"_id": p.Name, "name": p.Name, "access": nil,
		"dist-tags": map[string]string{"latest": p.Version},
		"versions":  map[string]any{p.Version: m},
		"_attachments": map[string]any{file: map[string]any{
			"content_type": "application/octet-stream", "length": len(tgz), "data": base64.StdEncoding.EncodeToString(tgz),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
