package npm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/archive"
	"github.com/packhouse/packhouse/internal/format"
)

// maxWarnings bounds what an odd package makes us say of it.
const maxWarnings = 20

// Inspect reads a version's tarball and returns its facts. For an upload the tarball has
// to be clean and to be the version that it is published as; dependencies, scripts and
// the like are the tarball's, whatever the client's document says ("manifest
// confusion"), with a warning where they differ. What was pulled through is kept as it
// is, and oddities only leave warnings.
//
// Errors: Invalid "invalid_archive", "invalid_document", "manifest_mismatch".
// Source: npm.md 4 step 5, 6; reliability.md S25, S26.
func (f Format) Inspect(ctx context.Context, up format.Upload) (packhouse.Facts, error) {
	in := inspection{up: up}
	for i := range up.Files {
		switch f := &up.Files[i]; {
		case !f.Side && f.Name == assetName && in.file.Name == "":
			in.file = *f
		case f.Side && f.Name == provenanceFile && in.provenance == nil:
			in.provenance = f
		default:
			return packhouse.Facts{}, packhouse.Invalidf("invalid_asset_name", "an npm version has one asset, %s", assetName)
		}
	}
	if in.file.Name == "" {
		return packhouse.Facts{}, packhouse.Invalidf("invalid_asset_name", "an npm version has one asset, %s", assetName)
	}
	content, err := in.readTarball(ctx)
	if err != nil {
		return packhouse.Facts{}, err
	}
	if up.Pulled {
		return in.pulledFacts(content), nil
	}
	return in.uploadedFacts(content)
}

type inspection struct {
	up         format.Upload
	file       format.UploadedFile
	provenance *format.UploadedFile // nil for none
	warnings   []string
}

func (in *inspection) warn(format string, args ...any) {
	if len(in.warnings) < maxWarnings {
		in.warnings = append(in.warnings, fmt.Sprintf(format, args...))
	}
}

// tarball is what is looked at in a package's archive.
type tarball struct {
	manifest      []byte // text of <dir>/package.json; nil without a readable one
	readme        string
	readmeName    string
	files         int
	unpackedBytes int64
	bindingGyp    bool
	shrinkwrap    bool
}

func (in *inspection) readTarball(ctx context.Context) (tarball, error) {
	var t tarball
	var o archive.Options
	if in.up.Pulled {
		o.Tolerate = func(e *archive.Error) { in.warn("tarball: %s", e) }
	}
	err := archive.WalkTarGz(ctx, in.file.Content, in.file.Size, o, func(e *archive.Entry) error { return in.visit(&t, e) })
	switch {
	case err == nil:
	case !archive.IsError(err) && packhouse.KindOf(err) != packhouse.KindInvalid:
		return t, err
	case in.up.Pulled:
		in.warn("tarball: %s", err)
		return t, nil
	case archive.IsError(err):
		return t, &packhouse.Error{Kind: packhouse.KindInvalid, Reason: "invalid_archive", Message: "tarball: " + archiveText(err), Err: err}
	default:
		return t, err
	}
	if t.manifest == nil && !in.up.Pulled {
		return t, packhouse.Invalidf("invalid_archive", "tarball: it has no package.json in its top folder")
	}
	return t, nil
}

func archiveText(err error) string {
	var e *archive.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return "it cannot be read"
}

// visit takes what it needs of an entry. Clients strip the first folder, whatever its
// name; only files right inside it are looked at.
func (in *inspection) visit(t *tarball, e *archive.Entry) error {
	if e.Dir {
		return nil
	}
	t.files++
	t.unpackedBytes += e.Size
	_, name, ok := strings.Cut(e.Name, "/")
	if !ok || strings.Contains(name, "/") {
		return nil
	}
	switch {
	case name == "package.json":
		if t.manifest != nil {
			return packhouse.Invalidf("invalid_archive", "tarball: it has package.json in two top folders")
		}
		text, err := e.ReadAll()
		if err != nil {
			return err
		}
		t.manifest = bytes.TrimPrefix(text, []byte("\uFEFF"))
	case name == "binding.gyp":
		t.bindingGyp = true
	case name == "npm-shrinkwrap.json":
		t.shrinkwrap = true
	case isReadme(name) && betterReadme(name, t.readmeName):
		text, err := readReadme(e)
		if err != nil {
			return err
		}
		t.readme, t.readmeName = text, name
	}
	return nil
}

func isReadme(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	return stem == "readme"
}

// betterReadme prefers Markdown, then the first in the alphabet, so that the archive's
// order does not matter.
func betterReadme(name, current string) bool {
	if current == "" {
		return true
	}
	markdown := func(s string) bool { return strings.HasSuffix(strings.ToLower(s), ".md") }
	if markdown(name) != markdown(current) {
		return markdown(name)
	}
	return name < current
}

// readReadme reads the beginning of a file, whatever its size.
func readReadme(e *archive.Entry) (string, error) {
	text, err := readAtMost(e, packhouse.MaxReadme)
	return cutText(string(text), packhouse.MaxReadme), err
}

// cutText makes a text valid UTF-8 of at most n bytes, cut between two characters.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// readmeText chooses the document's readme, else the tarball's. npm sends a sentence of
// its own where there is none.
func readmeText(document object, t tarball) string {
	readme := document.text("readme")
	if readme == "" || readme == "ERROR: No README data found!" {
		readme = t.readme
	}
	return cutText(readme, packhouse.MaxReadme)
}

// uploadedFacts judges a publish: what the tarball says counts.
func (in *inspection) uploadedFacts(t tarball) (packhouse.Facts, error) {
	if err := checkJSON(t.manifest); err != nil {
		return packhouse.Facts{}, packhouse.Invalidf("invalid_archive", "tarball: package.json: %s", err)
	}
	own := readObject(t.manifest)
	if own == nil {
		return packhouse.Facts{}, packhouse.Invalidf("invalid_archive", "tarball: package.json is not an object")
	}
	name := fullName(in.up.Package)
	if got := own.text("name"); got != name {
		return packhouse.Facts{}, packhouse.Invalidf("manifest_mismatch", "tarball: package.json has the name %q, not %q", got, name)
	}
	if got := own.text("version"); !sameVersion(got, in.up.Version) {
		return packhouse.Facts{}, packhouse.Invalidf("manifest_mismatch", "tarball: package.json has the version %q, not %q", got, in.up.Version)
	}
	document := t.manifest
	if len(in.up.Manifest) > 0 {
		if err := checkJSON(in.up.Manifest); err != nil {
			return packhouse.Facts{}, err
		}
		document = in.up.Manifest
	}
	claims, err := in.readClaims()
	if err != nil {
		return packhouse.Facts{}, err
	}
	effective := in.composeManifest(document, own, t, claims)
	facts := readFacts(in.up.Package, readObject(effective))
	facts.Readme = readmeText(readObject(document), t)
	readmeName := firstText(readObject(document).text("readmeFilename"), t.readmeName)
	facts.Manifest = canonicalManifest(effective)
	facts.Fragment = buildFragment(replaceMembers(effective, object{"dist": in.dist(t, claims.shown)}), readmeMembers(facts.Readme, readmeName))
	facts.FragmentVersion = fragmentVersion
	facts.Warnings = in.warnings
	return facts, nil
}

// composeManifest writes the version's object from the client's document: with the
// tarball's values where they decide what gets installed or run, and our own dist.
func (in *inspection) composeManifest(document []byte, own object, t tarball, c claims) []byte {
	sent := readObject(document)
	corrected := in.correct(sent, own)
	if t.shrinkwrap {
		corrected["_hasShrinkwrap"] = json.RawMessage("true")
	}
	if t.bindingGyp && !hasInstallScript(own["scripts"]) {
		corrected["hasInstallScript"] = json.RawMessage("true")
	}
	corrected["name"] = quote(fullName(in.up.Package))
	corrected["version"] = quote(in.up.Version)
	corrected["_id"] = quote(fullName(in.up.Package) + "@" + in.up.Version)
	corrected["dist"] = in.dist(t, c.kept)
	corrected["readme"] = nil // it is the package's, not the version's; see readmeMembers
	return replaceMembers(document, corrected)
}

// dist is what we computed of the stored bytes, and further members. Signatures that a
// client sends cannot be of any use: they are the registry's to make.
func (in *inspection) dist(t tarball, further []byte) []byte {
	b := fmt.Appendf(nil, `{"integrity":"%s","shasum":"%s","tarball":"","fileCount":%d,"unpackedSize":%d`,
		in.integrity(), in.file.Hashes.SHA1, t.files, t.unpackedBytes)
	return append(append(b, further...), '}')
}

// integrity is the tarball's digest as documents spell it.
func (in *inspection) integrity() string {
	sum, err := hex.DecodeString(in.file.Hashes.SHA512)
	if err != nil {
		return ""
	}
	return "sha512-" + base64.StdEncoding.EncodeToString(sum)
}

// sameVersion reports whether package.json names the version that is published. Clients
// strip a leading "v" and the build metadata when they make the document.
func sameVersion(got, want string) bool {
	return withoutBuild(strings.TrimLeft(strings.TrimSpace(got), "=v")) == withoutBuild(want)
}

// pulledFacts takes a version of the public registry as it is: the registry's manifest
// says what it is, the tarball what it depends on.
func (in *inspection) pulledFacts(t tarball) packhouse.Facts {
	own, manifest := validObject(t.manifest), in.up.Manifest
	if own == nil {
		in.warn("tarball: it has no readable package.json")
	} else if got := own.text("name") + "@" + own.text("version"); got != fullName(in.up.Package)+"@"+in.up.Version {
		in.warn("tarball: package.json is of %q", got)
	}
	if validObject(manifest) == nil {
		if manifest = t.manifest; own == nil {
			manifest = nil
		}
		manifest = replaceMembers(manifest, object{"name": quote(fullName(in.up.Package)), "version": quote(in.up.Version)})
	}
	said := readObject(manifest)
	facts := readFacts(in.up.Package, said)
	if own != nil {
		facts.Dependencies = dependencies(own)
	}
	facts.Readme = readmeText(said, t)
	facts.Warnings = in.warnings
	facts.Manifest = canonicalManifest(manifest)
	facts.FragmentVersion = fragmentVersion
	facts.Fragment = in.up.PulledFragment
	if isManifest(facts.Fragment) {
		facts.Fragment = buildFragment(facts.Fragment, nil)
	}
	if facts.Fragment == nil {
		if said["dist"] == nil {
			manifest = replaceMembers(manifest, object{"dist": in.dist(t, nil)})
		}
		facts.Fragment = buildFragment(manifest, readmeMembers(facts.Readme, t.readmeName))
	}
	return facts
}

// validObject reads an object out of text that nobody has checked; nil for anything else.
func validObject(text []byte) object {
	if !json.Valid(text) {
		return nil
	}
	return readObject(text)
}

func firstText(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
