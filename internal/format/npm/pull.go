package npm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

// Connections returns the one public registry. Source: codeartifact.md 3.3.
func (Format) Connections() []format.PublicConnection {
	return []format.PublicConnection{{Name: "public:npmjs", Store: "npm-store", Discover: discover}}
}

// discoverTimeout bounds the wait for npm to say what it is set to.
const discoverTimeout = 5 * time.Second

// discover asks npm for its registry. `packhouse login` points npm at Packhouse itself,
// so what it wrote is hidden from npm for this question. "" means no npm, or nothing
// set.
func discover(ctx context.Context) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", nil //nolint:nilerr // a machine without npm has nothing set
	}
	ctx, cancel := context.WithTimeout(ctx, discoverTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "config", "get", "registry") //nolint:gosec // the npm that the user's own PATH names
	cmd.WaitDelay = time.Second
	if config, ok := userConfigBeforeLogin(); ok {
		defer func() { _ = os.Remove(config) }()
		cmd.Env = append(os.Environ(), "NPM_CONFIG_USERCONFIG="+config, "npm_config_userconfig="+config)
	}
	out, err := cmd.Output()
	if err != nil {
		return "", nil //nolint:nilerr // an npm that does not answer says nothing
	}
	address := strings.TrimSpace(string(out))
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", nil //nolint:nilerr // "undefined", or anything else that is no address
	}
	return address, nil
}

// FetchIndex fetches the full document; the short one is made from it (npm.md 5).
func (Format) FetchIndex(ctx context.Context, get format.Getter, name packhouse.PackageName, prior format.Validators) (format.FetchedIndex, error) {
	path := url.PathEscape(name.Name)
	if name.Namespace != "" {
		path = "@" + url.PathEscape(name.Namespace) + "%2f" + path
	}
	answer, err := get.Get(ctx, path, http.Header{"Accept": {typeJSON}}, prior)
	if err != nil {
		return format.FetchedIndex{}, err
	}
	return format.FetchedIndex{Body: answer.Body, Validators: answer.Validators}, nil
}

// ReadIndex reads a public registry's document. Manifests point into body, and fragments
// are the manifests; see appendFragment. Versions that the control plane cannot name, that have no tarball, or that repeat
// another's key are left out. A document without versions, as an unpublished package
// leaves behind, yields an index without versions; one that does not say that it is about
// this package is none, so that a failing upstream's JSON never means "no versions".
//
// The text is checked once by encoding/json and then walked in place, three levels deep:
// no text is copied but addresses, digests and times.
//
// Errors: Upstream "invalid_document".
func (f Format) ReadIndex(name packhouse.PackageName, body []byte) (*format.RemoteIndex, error) {
	if !json.Valid(body) {
		return nil, upstreamDocument(name)
	}
	if at := skipSpace(body, 0); body[at] != '{' {
		return nil, upstreamDocument(name)
	}
	index := &format.RemoteIndex{DisplayName: fullName(name)}
	var (
		times    map[string]string
		versions []byte
		about    string
	)
	for m := range members(body) {
		switch key := string(m.key); {
		case key == "name":
			about = unquote(m.value)
		case key == "versions":
			versions = m.value
		case key == "time":
			times = texts(m.value)
		case key == "dist-tags":
			index.Tags = texts(m.value)
		case isHead(key):
			if len(index.Head) > 0 {
				index.Head = append(index.Head, ',')
			}
			index.Head = append(index.Head, m.text...)
		}
	}
	if about != fullName(name) {
		return nil, upstreamDocument(name)
	}
	index.Created, index.Modified = parseTime(times["created"]), parseTime(times["modified"])
	seen := map[string]struct{}{}
	for m := range members(versions) {
		version := string(m.key)
		v, ok := remoteVersion(version, m.value)
		key := withoutBuild(version)
		if _, twice := seen[key]; !ok || twice {
			continue
		}
		seen[key] = struct{}{}
		v.Published = parseTime(times[version])
		index.Versions = append(index.Versions, v)
	}
	return index, nil
}

func upstreamDocument(name packhouse.PackageName) error {
	return &packhouse.Error{Kind: packhouse.KindUpstream, Reason: "invalid_document", Resource: packhouse.ResourcePackage,
		ResourceID: fullName(name), Message: "upstream sent a document of " + fullName(name) + " that cannot be read"}
}

// remoteVersion reads one version's manifest in the public registry's own bytes.
func remoteVersion(version string, manifest []byte) (v format.RemoteVersion, ok bool) {
	if badVersion(version) != "" {
		return v, false
	}
	var deprecated, dist []byte
	for m := range members(manifest) {
		switch string(m.key) {
		case "deprecated":
			deprecated = m.value
		case "dist":
			dist = m.value
		}
	}
	var address, integrity, shasum string
	for m := range members(dist) {
		switch string(m.key) {
		case "tarball":
			address = unquote(m.value)
		case "integrity":
			integrity = unquote(m.value)
		case "shasum":
			shasum = unquote(m.value)
		}
	}
	if address == "" {
		return v, false
	}
	overlay := makeOverlay(deprecated)
	if len(overlay) > packhouse.MaxOverlay {
		overlay = nil
	}
	hashes := integrityHashes(integrity)
	if sum := strings.ToLower(shasum); len(sum) == 40 && isHex(sum) {
		hashes.SHA1 = sum
	}
	return format.RemoteVersion{
		Version: version, Status: packhouse.Published, Manifest: manifest, Overlay: overlay,
		Fragment: manifest,
		Assets:   []format.RemoteAsset{{Name: assetName, URL: address, Size: -1, Hashes: hashes, MediaType: "application/octet-stream"}},
	}, true
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
