package generic

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// headerUnfinished keeps a version open for further files.
const headerUnfinished = "X-Packhouse-Unfinished"

// uploadedFile is the answer to a PUT.
type uploadedFile struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	File    string `json:"file"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	SHA1    string `json:"sha1"`
	MD5     string `json:"md5"`
}

// sizedBody is a request body that knows its Content-Length.
type sizedBody struct {
	io.Reader
	size int64
}

func (b sizedBody) Size() int64 { return b.size }

// put publishes one file. Everything that can be refused without the body is refused
// before the first byte of it is read, so that a client that waits for 100 Continue does
// not send it in vain.
func (p protocol) put(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.assetOf(r)
	if err != nil {
		return err
	}
	up, err := uploadOf(ref, r.Header)
	if err != nil {
		return err
	}
	if r.Header.Get("Content-Range") != "" {
		return packhouse.Invalidf("partial_put", "a file is sent whole: Content-Range is not taken")
	}
	replaces, err := p.admit(r, up)
	if err != nil {
		return err
	}
	staged, err := p.house.Stage(r.Context(), r.Who, ref.PackageRef, sizedBody{r.Body, r.ContentLength}, 0)
	if err != nil {
		return err
	}
	return p.publish(w, r, up, replaces, staged)
}

// publish makes a file of bytes that have arrived.
func (p protocol) publish(w http.ResponseWriter, r *format.Request, up upload, replaces string, staged format.Staged) error {
	ref := up.ref
	out, err := p.house.Publish(r.Context(), r.Who, format.Publication{
		Package: ref.PackageRef, DisplayName: ref.Package.Name, Version: ref.Version, Unfinished: up.unfinished,
		Assets: []format.NewAsset{{Name: ref.Asset, MediaType: contentType(ref.Asset), Content: staged, Declared: up.declared, Replaces: replaces, Overwrite: !up.conditional()}},
	})
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if out.Repeated {
		if httpx.NoneMatch(up.header, etag(out.Asset.Digest.Hex())) { // somebody was quicker
			return preconditionFailed("file %s exists already", ref.Asset)
		}
		status = http.StatusOK
	}
	h := out.Asset.Hashes
	w.Header()["Etag"] = []string{etag(out.Asset.Digest.Hex())}
	return httpx.WriteJSON(w, status, uploadedFile{Name: ref.Package.Name, Version: ref.Version, File: ref.Asset,
		Size: out.Asset.Size, SHA256: out.Asset.Digest.Hex(), SHA1: h.SHA1, MD5: h.MD5})
}

// upload is what is known of a PUT before its body.
type upload struct {
	ref        packhouse.AssetRef
	declared   packhouse.Hashes
	unfinished bool
	header     http.Header
}

// uploadOf reads what the headers of a PUT say of it.
func uploadOf(ref packhouse.AssetRef, h http.Header) (up upload, err error) {
	up = upload{ref: ref, header: h}
	switch word := h.Get(headerUnfinished); strings.ToLower(word) {
	case "", "false":
	case "true":
		up.unfinished = true
	default:
		return up, packhouse.Invalidf("invalid_header", "%s is true or false", headerUnfinished)
	}
	up.declared, err = declaredHashes(h)
	return up, err
}

// admit decides what can be decided without the bytes, and returns the SHA-256 of those
// that If-Match lets the upload replace, "" for none. Publish decides again, with the
// package locked. To those who may not publish it tells nothing: Stage refuses them.
func (p protocol) admit(r *format.Request, up upload) (replaces string, err error) {
	mustExist := up.header.Get("If-Match") != ""
	held, err := p.house.Held(r.Context(), r.Who, up.ref.PackageRef, up.ref.Version)
	switch kind := packhouse.KindOf(err); {
	case err == nil && !held.Writer, err != nil && kind == packhouse.KindDenied:
		return "", nil
	case err != nil && kind == packhouse.KindNotFound:
		if mustExist && (packhouse.ReasonOf(err) == "package-version_not_found" || packhouse.ReasonOf(err) == "package_not_found") {
			return "", preconditionFailed("file %s does not exist", up.ref.Asset)
		}
		return "", nil
	case err != nil:
		return "", err
	}
	v := held.Versions[0]
	if v.Status == packhouse.Archived || v.Status == packhouse.Disposed {
		return "", packhouse.Conflictf("version_exists", packhouse.ResourceVersion, v.Ref.Version,
			"version %s exists with status %s; its number stays taken", v.Ref.Version, v.Status)
	}
	for _, a := range v.Assets {
		if a.Name == up.ref.Asset {
			return up.onto(held, a)
		}
	}
	switch {
	case mustExist:
		return "", preconditionFailed("file %s does not exist", up.ref.Asset)
	case v.Status != packhouse.Unfinished && !held.LateAssets:
		return "", packhouse.Conflictf("version_finished", packhouse.ResourceVersion, v.Ref.Version,
			"version %s is %s; files can be added only while it is Unfinished", v.Ref.Version, v.Status)
	}
	return "", nil
}

// conditional reports whether the upload depends on what is there.
func (u upload) conditional() bool {
	return u.header.Get("If-Match") != "" || u.header.Get("If-None-Match") != ""
}

// onto decides about an upload to a path that has a file.
func (u upload) onto(held format.Held, a packhouse.Asset) (replaces string, err error) {
	v := held.Versions[0]
	if httpx.NoneMatch(u.header, etag(a.Digest.Hex())) {
		return "", preconditionFailed("file %s exists already", a.Name)
	}
	differs := u.declared.SHA256 != "" && u.declared.SHA256 != a.Digest.Hex()
	if u.header.Get("If-Match") != "" && v.Status == packhouse.Unfinished {
		if !httpx.IfMatch(u.header, etag(a.Digest.Hex())) {
			return "", preconditionFailed("file %s has other bytes now: its ETag is %s", a.Name, etag(a.Digest.Hex()))
		}
		return a.Digest.Hex(), nil
	}
	overwrites := v.Status == packhouse.Unfinished && held.Overwrite
	switch {
	case overwrites && u.conditional():
		return a.Digest.Hex(), nil // the bytes that the condition was about
	case differs && !overwrites:
		return "", packhouse.Conflictf("version_exists", packhouse.ResourceVersion, v.Ref.Version,
			"version %s exists with other bytes in %s", v.Ref.Version, a.Name)
	}
	return "", nil
}

// declaredHashes reads what the client says of the body: X-Checksum-Sha256, Content-MD5
// (RFC 1864), Digest (RFC 3230) and Repr-Digest (RFC 9530). Algorithms that nobody here
// computes are passed over. Errors: Invalid "invalid_digest" for what cannot be a hash,
// "digest_mismatch" for two that contradict each other.
func declaredHashes(h http.Header) (packhouse.Hashes, error) {
	d := declaration{}
	if s := h.Get("X-Checksum-Sha256"); s != "" {
		sum, err := hex.DecodeString(strings.TrimSpace(s))
		d.add("sha-256", sum, err)
	}
	if s := h.Get("Content-MD5"); s != "" {
		d.addBase64("md5", s)
	}
	for _, name := range []string{"Digest", "Repr-Digest"} {
		for _, line := range h.Values(name) {
			for item := range strings.SplitSeq(line, ",") { // base64 has no commas
				algorithm, value, _ := strings.Cut(strings.TrimSpace(item), "=")
				if name == "Repr-Digest" {
					value = strings.TrimSuffix(strings.TrimPrefix(value, ":"), ":")
				}
				d.addBase64(algorithm, value)
			}
		}
	}
	return d.sums, d.err
}

// declaration gathers what a client declares.
type declaration struct {
	sums packhouse.Hashes
	err  error // the first
}

func (d *declaration) addBase64(algorithm, value string) {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	d.add(algorithm, sum, err)
}

func (d *declaration) add(algorithm string, sum []byte, err error) {
	field, size := &d.sums.SHA256, 32
	switch strings.ToLower(algorithm) {
	case "md5":
		field, size = &d.sums.MD5, 16
	case "sha", "sha-1":
		field, size = &d.sums.SHA1, 20
	case "sha-256":
	case "sha-512":
		field, size = &d.sums.SHA512, 64
	default:
		return
	}
	text := hex.EncodeToString(sum)
	switch {
	case d.err != nil:
	case err != nil || len(sum) != size:
		d.err = packhouse.Invalidf("invalid_digest", "the declared %s is not one", strings.ToUpper(algorithm))
	case *field != "" && *field != text:
		d.err = packhouse.Invalidf("digest_mismatch", "two different values are declared for %s; nothing was stored", strings.ToUpper(algorithm))
	default:
		*field = text
	}
}
