package main

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
	"hash/fnv"
	"math/rand/v2"
)

// version is a version of a synthetic package. The same coordinates have the same bytes
// in every run.
type version struct {
	name, number string
	size         int // bytes of filler in the archive, which is a little larger
	dependencies map[string]string
}

func (v version) file() string { return v.name + "-" + v.number + ".tgz" }

// path is where a registry serves the archive, below its base.
func (v version) path() string { return v.name + "/-/" + v.file() }

// manifest is a package.json of ordinary size.
func (v version) manifest() map[string]any {
	deps := v.dependencies
	if deps == nil {
		deps = map[string]string{"bench-left": "^1.0.0", "bench-right": "~2.1.0", "bench-up": ">=3.0.0 <5", "bench-down": "4.x"}
	}
	return map[string]any{
		"name": v.name, "version": v.number, "license": "MIT", "main": "lib/index.js", "types": "lib/index.d.ts",
		"description":  "A synthetic package that is as long as the usual one and does nothing at all.",
		"author":       map[string]string{"name": "Some One", "email": "someone@example.com"},
		"repository":   map[string]string{"type": "git", "url": "git+https://git.example.com/bench/" + v.name + ".git"},
		"homepage":     "https://git.example.com/bench/" + v.name,
		"keywords":     []string{"bench", "synthetic", "package"},
		"scripts":      map[string]string{"test": "node test.js", "build": "node build.js"},
		"engines":      map[string]string{"node": ">=18"},
		"dependencies": deps,
		"devDependencies": map[string]string{"bench-test": "^9.0.0", "bench-lint": "^8.1.2", "bench-types": "^20.4.1",
			"bench-build": "^5.0.4", "bench-format": "^3.2.5", "bench-cover": "^1.0.0"},
	}
}

// archive builds the tarball: the manifest and filler that does not compress.
func (v version) archive() ([]byte, error) {
	pkg, err := json.Marshal(v.manifest())
	if err != nil {
		return nil, err
	}
	seed := fnv.New64a()
	fmt.Fprintf(seed, "%s %s", v.name, v.number)
	random := rand.NewChaCha8([32]byte(fmt.Appendf(make([]byte, 0, 32), "%032x", seed.Sum64())))
	filler := make([]byte, v.size)
	_, _ = random.Read(filler) // never fails

	b := bytes.NewBuffer(make([]byte, 0, v.size+v.size/1000+8<<10))
	z, err := gzip.NewWriterLevel(b, gzip.NoCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name string
		body []byte
	}{{"package/package.json", pkg}, {"package/lib/index.js", filler}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// published is the manifest as a registry shows it, with the archive's address below
// base and its hashes.
func (v version) published(archive []byte, base string) map[string]any {
	s512, s1 := sha512.Sum512(archive), sha1.Sum(archive)
	m := v.manifest()
	m["_id"] = v.name + "@" + v.number
	m["dist"] = map[string]any{
		"tarball": base + v.path(), "shasum": hex.EncodeToString(s1[:]),
		"integrity": "sha512-" + base64.StdEncoding.EncodeToString(s512[:]),
	}
	return m
}

// publishBody is what a client sends to publish the version.
func (v version) publishBody(archive []byte) ([]byte, error) {
	// Written by hand around the attachment: encoding/json would copy it twice more.
	versions, err := json.Marshal(map[string]any{v.number: v.published(archive, "http://localhost/")})
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(versions)+base64.StdEncoding.EncodedLen(len(archive))+1024)
	b = fmt.Appendf(b, `{"_id":%q,"name":%q,"dist-tags":{"latest":%q},"versions":%s,"access":null,"_attachments":{%q:{"content_type":"application/octet-stream","data":"`,
		v.name, v.name, v.number, versions, v.file())
	b = base64.StdEncoding.AppendEncode(b, archive)
	return fmt.Appendf(b, `","length":%d}}}`, len(archive)), nil
}
