package npm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// Provenance tells where and from what a version was built, in a bundle that the builder
// signed. It is kept beside the tarball and shown as it came; whether its signature is
// good is for clients to find out, who trust whom they trust.

const (
	provenanceFile = "provenance.sigstore.json"
	typeBundle     = "application/vnd.dev.sigstore.bundle+json"
	bundleSuffix   = ".sigstore" // of the attachment's name
	// maxBundle bounds a bundle, in bytes. Real ones have 10 to 30 KiB.
	maxBundle = 1 << 20
)

// takeBundle stages the provenance. Its data is the bundle's JSON text, not base64.
func (up *incoming) takeBundle(data io.Reader) error {
	if up.bundle != nil {
		return invalidProvenance("a publish carries at most one bundle")
	}
	var err error
	up.bundle, err = up.stage(data, maxBundle)
	return err
}

func invalidProvenance(text string, args ...any) error {
	return packhouse.Invalidf("invalid_provenance", "provenance: "+text, args...)
}

// checkProvenance checks that the bundle is about this version and this tarball, and
// returns what kind of statement it makes.
func (in *inspection) checkProvenance() (predicateType string, err error) {
	text := make([]byte, in.provenance.Size) // at most maxBundle
	if n, err := in.provenance.Content.ReadAt(text, 0); n < len(text) {
		return "", packhouse.Internal(err)
	}
	if checkJSON(text) != nil {
		return "", invalidProvenance("the bundle is not valid JSON")
	}
	payload, err := base64.StdEncoding.DecodeString(readObject(text).object("dsseEnvelope").text("payload"))
	if err != nil || len(payload) == 0 {
		return "", invalidProvenance("the bundle has no dsseEnvelope with a payload")
	}
	if checkJSON(payload) != nil {
		return "", invalidProvenance("the bundle's payload is not a statement in JSON")
	}
	statement := readObject(payload)
	subjects := list(statement["subject"])
	if len(subjects) != 1 {
		return "", invalidProvenance("the statement must have exactly one subject, not %d", len(subjects))
	}
	subject := readObject(subjects[0])
	if got, want := subject.text("name"), packageURL(in.up.Package, in.up.Version); got != want {
		return "", invalidProvenance("the statement is about %q, not about %q", got, want)
	}
	if got := subject.object("digest").text("sha512"); !strings.EqualFold(got, in.file.Hashes.SHA512) {
		return "", invalidProvenance("the statement is about another tarball: its sha512 is %q, this one's is %q", got, in.file.Hashes.SHA512)
	}
	if predicateType = statement.text("predicateType"); predicateType == "" {
		return "", invalidProvenance("the statement has no predicateType")
	}
	return predicateType, nil
}

// packageURL is a version's purl as npm spells it.
func packageURL(p packhouse.PackageName, version string) string {
	return "pkg:npm/" + strings.Replace(fullName(p), "@", "%40", 1) + "@" + version
}

// attestationsPath is where a version's attestations are, below the repository's or the
// public registry's base.
func attestationsPath(p packhouse.PackageName, version string) string {
	name := url.PathEscape(p.Name)
	if p.Namespace != "" {
		name = "@" + url.PathEscape(p.Namespace) + "%2f" + name
	}
	return "-/npm/v1/attestations/" + name + "@" + version
}

// attestation is one element of the registry's document of attestations.
type attestation struct {
	PredicateType string          `json:"predicateType"`
	Bundle        json.RawMessage `json:"bundle"`
}

// attestations serves what vouches for a version: the provenance that was published with
// it here, else the document of the public registry that it comes from, in its bytes.
func (p protocol) attestations(w http.ResponseWriter, r *format.Request) error {
	full, version, ok := cutVersion(r.Var("name"))
	if !ok || badVersion(version) != "" {
		return packhouse.NotFoundf(packhouse.ResourceVersion, r.Var("name"), "attestations are at NAME@VERSION")
	}
	name, err := p.canonicalFull(full)
	if err != nil {
		return err
	}
	pkg := packhouse.PackageRef{Repo: r.Repo, Package: name}
	ref := packhouse.AssetRef{VersionRef: pkg.At(version), Asset: provenanceFile}
	_, content, err := p.house.Asset(r.Context(), r.Who, ref)
	switch {
	case err == nil:
		return writeProvenance(w, content)
	case packhouse.KindOf(err) != packhouse.KindNotFound,
		packhouse.ReasonOf(err) == "version_archived", packhouse.ReasonOf(err) == "version_disposed":
		return err
	}
	documents, err := p.house.Beside(r.Context(), r.Who, format.Document{Repo: r.Repo, Format: ID, Package: name, Version: version,
		Path: attestationsPath(name, version), Lasting: true})
	if packhouse.KindOf(err) == packhouse.KindNotFound && err != nil {
		return packhouse.NotFoundf(packhouse.ResourceVersion, version, "%s@%s has no attestations", full, version)
	}
	if err != nil {
		return err
	}
	return writeDocument(w, documents[0].Body)
}

// cutVersion splits name@version.
func cutVersion(s string) (name, version string, ok bool) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// writeProvenance answers a bundle that was published here, in the registry's shape.
func writeProvenance(w http.ResponseWriter, content *format.Content) (err error) {
	defer func() { err = errors.Join(err, content.Close()) }()
	if content.At == nil || content.Size > maxBundle {
		return packhouse.Internal(errors.New("npm: a kept provenance is not a small stored file"))
	}
	text := make([]byte, content.Size)
	if n, err := content.At.ReadAt(text, 0); n < len(text) {
		return packhouse.Internal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(readObject(text).object("dsseEnvelope").text("payload"))
	if err != nil {
		return packhouse.Internal(err)
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string][]attestation{
		"attestations": {{PredicateType: readObject(payload).text("predicateType"), Bundle: text}}})
}
