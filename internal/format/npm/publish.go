package npm

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// bodyLimit is the size of a publish document with a tarball of asset bytes: base64 and
// room for the metadata and a signature bundle. Source: npm.md 4 step 1.
func bodyLimit(asset int64) int64 { return asset/3*4 + 16<<20 }

// put serves PUT {pkg}: a publish when the document has attachments, else a change of
// metadata.
func (p protocol) put(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return packhouse.Invalidf("invalid_encoding", "the document must not be sent with content encoding %s", coding)
	}
	limit := bodyLimit(p.Spec().MaxAsset)
	if r.ContentLength > limit {
		return bodyTooLarge(limit)
	}
	up := incoming{house: p.house, request: r, pkg: pkg}
	defer up.discard()
	place := documentPlace{ctx: r.Context()}
	defer place.leave()
	meta, err := splitDocument(&limitedBody{r: r.Body, left: limit, limit: limit}, &place, up.take)
	if err != nil {
		return err
	}
	doc := readObject(meta)
	if doc == nil {
		return invalidDocument("document is not an object")
	}
	if len(doc.object("_attachments")) == 0 {
		return p.changeMetadata(w, r, pkg, doc)
	}
	pub, err := up.publication(doc)
	if err != nil {
		return err
	}
	if _, err := p.house.Publish(r.Context(), r.Who, pub); err != nil {
		return publishError(err, pub.Version)
	}
	return done(w, http.StatusCreated)
}

// incoming is a publish while its document arrives.
type incoming struct {
	house   format.House
	request *format.Request
	pkg     packhouse.PackageRef
	content format.Staged // nil until the tarball has been read
	bundle  format.Staged // of the provenance; nil without one
}

func (up *incoming) discard() {
	for _, staged := range []format.Staged{up.content, up.bundle} {
		if staged != nil {
			staged.Discard()
		}
	}
}

// take stages the tarball, or the bundle of its provenance. The package is known from the
// path, so it need not wait for the rest of the document.
func (up *incoming) take(attachment string, data io.Reader) error {
	if !isTarball(attachment) {
		return up.takeBundle(data)
	}
	if up.content != nil {
		return oneTarball()
	}
	if err := checkNewName(up.pkg.Package); err != nil {
		return err
	}
	decoded := newAttachmentReader(data)
	defer decoded.release()
	var err error
	up.content, err = up.stage(decoded, 0)
	return err
}

func oneTarball() error { return invalidDocument("a publish carries exactly one tarball") }

// publication checks the document by npm.md 4 steps 2 to 4 and 7. The tarball itself is
// Inspect's.
func (up *incoming) publication(doc object) (format.Publication, error) {
	full := fullName(up.pkg.Package)
	fail := func(err error) (format.Publication, error) { return format.Publication{}, err }
	if got := doc.text("name"); got != full {
		return fail(invalidDocument("document has the name %q, not %q", got, full))
	}
	version, manifest, err := onlyVersion(doc)
	if err != nil {
		return fail(err)
	}
	m := readObject(manifest)
	if m.text("name") != full || m.text("version") != version {
		return fail(invalidDocument("manifest is of %q, not of %q", m.text("name")+"@"+m.text("version"), full+"@"+version))
	}
	if reason := badVersion(version); reason != "" {
		return fail(packhouse.Invalidf("invalid_version", "version %s", reason))
	}
	if err := up.checkAttachments(doc.object("_attachments"), version); err != nil {
		return fail(err)
	}
	tags, err := publishedTags(doc.object("dist-tags").texts(), version)
	if err != nil {
		return fail(err)
	}
	if readme := doc["readme"]; m.text("readme") == "" && len(readme) > 0 && readme[0] == '"' {
		manifest = replaceMembers(manifest, object{"readme": readme})
	}
	pub := format.Publication{Package: up.pkg, DisplayName: full, Version: version, Tags: tags, Manifest: manifest,
		Assets: []format.NewAsset{{Name: assetName, MediaType: "application/octet-stream", Content: up.content, Declared: declaredHashes(m.object("dist"))}}}
	if up.bundle != nil {
		pub.Assets = append(pub.Assets, format.NewAsset{Name: provenanceFile, MediaType: typeBundle, Content: up.bundle, Side: true})
	}
	if m.text("deprecated") != "" {
		pub.Overlay = makeOverlay(m["deprecated"])
	}
	if len(pub.Overlay) > packhouse.MaxOverlay {
		return fail(invalidDocument("deprecation text is too long"))
	}
	return pub, nil
}

func onlyVersion(doc object) (version string, manifest json.RawMessage, err error) {
	versions := doc.object("versions")
	if len(versions) != 1 {
		return "", nil, invalidDocument("a publish carries exactly one version, not %d", len(versions))
	}
	for version, manifest = range versions {
	}
	if readObject(manifest) == nil {
		return "", nil, invalidDocument("version %q is not an object", version)
	}
	return version, manifest, nil
}

// checkAttachments compares what the document says of its one tarball with what came.
func (up *incoming) checkAttachments(attachments object, version string) error {
	if up.content == nil {
		return oneTarball()
	}
	for name, raw := range attachments {
		if !isTarball(name) {
			if want := fullName(up.pkg.Package) + "-" + version + bundleSuffix; name != want {
				return invalidDocument("attachment is called %q, not %q", name, want)
			}
			continue
		}
		file := tarballName(up.pkg.Package, version)
		if full := fullName(up.pkg.Package) + "-" + version + ".tgz"; name != full && name != file {
			return invalidDocument("attachment is called %q, not %q", name, full)
		}
		attachment := readObject(raw)
		if unquote(attachment["data"]) != "" || attachment["data"] == nil {
			return oneTarball()
		}
		if length := string(attachment["length"]); length != "" && length != "null" {
			if n, err := strconv.ParseInt(length, 10, 64); err != nil || n != up.content.Size() {
				return invalidDocument("attachment has %d bytes, but its length is given as %s", up.content.Size(), length)
			}
		}
	}
	return nil
}

// publishedTags are the tags that the document gives the version; what it says of other
// versions is not taken.
func publishedTags(tags map[string]string, version string) ([]string, error) {
	var out []string
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if tags[tag] != version {
			continue
		}
		if err := checkTag(tag); err != nil {
			return nil, err
		}
		out = append(out, tag)
	}
	return out, nil
}

// declaredHashes reads what a manifest's dist says of the tarball.
func declaredHashes(dist object) packhouse.Hashes {
	h := integrityHashes(dist.text("integrity"))
	if sum := dist.text("shasum"); sum != "" {
		h.SHA1 = strings.ToLower(sum)
	}
	return h
}

// integrityHashes reads a subresource integrity text, such as "sha512-{base64}"; of
// several hashes of one kind the first. Kinds that are not stored are left out.
func integrityHashes(integrity string) packhouse.Hashes {
	var h packhouse.Hashes
	for item := range strings.FieldsSeq(integrity) {
		kind, text, _ := strings.Cut(item, "-")
		text, _, _ = strings.Cut(text, "?")
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		field := map[string]*string{"sha512": &h.SHA512, "sha256": &h.SHA256, "sha1": &h.SHA1}[kind]
		if field != nil && *field == "" {
			*field = hex.EncodeToString(sum)
		}
	}
	return h
}

// limitedBody ends a body that is too long with TooLarge instead of a clean end, and one
// that is cut off with Invalid.
type limitedBody struct {
	r           io.Reader
	left, limit int64
}

// Read implements io.Reader.
func (l *limitedBody) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, bodyTooLarge(l.limit)
	}
	p = p[:min(int64(len(p)), l.left+1)]
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, bodyTooLarge(l.limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) { // net/http's word for a client that hung up
		err = packhouse.Invalidf("body_incomplete", "the document ended before all of it was read")
	}
	return n, err
}

func bodyTooLarge(limit int64) error {
	return &packhouse.Error{Kind: packhouse.KindTooLarge, Reason: "body_too_large",
		Message: "the document is larger than " + strconv.FormatInt(limit, 10) + " bytes"}
}
