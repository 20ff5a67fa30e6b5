package generic

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// protocol serves the routes with what the house offers.
type protocol struct {
	Format
	house format.House
}

// Routes returns the plain file protocol's table. Source: generic.md 1.
func (f Format) Routes(h format.House) []format.Route {
	p := protocol{f, h}
	get, put := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPut}
	del, post := []string{http.MethodDelete}, []string{http.MethodPost}
	const (
		read    = packhouse.ActionReadFromRepository
		publish = packhouse.ActionPublishPackageVersion
		remove  = packhouse.ActionDeletePackageVersions
		status  = packhouse.ActionUpdatePackageVersionsStatus
	)
	patch := []string{http.MethodPatch}
	const session = "/_uploads/{ns}/{name}/{id}" // no namespace begins like that
	return []format.Route{
		{Name: "upload-start", Methods: post, Pattern: "/{ns}/{name}/{version}/{path...}/uploads", Action: publish, Serve: p.startUpload},
		{Name: "upload-status", Methods: get, Pattern: session, Action: publish, Serve: p.uploadStatus},
		{Name: "upload-append", Methods: patch, Pattern: session, Action: publish, Serve: p.appendUpload},
		{Name: "upload-finish", Methods: put, Pattern: session, Action: publish, Serve: p.finishUpload},
		{Name: "upload-abort", Methods: del, Pattern: session, Action: publish, Serve: p.abortUpload},
		{Name: "versions", Methods: get, Pattern: "/{ns}/{name}", Action: read, Serve: p.versions},
		{Name: "versions", Methods: get, Pattern: "/{ns}/{name}/", Action: read, Serve: p.versions},
		{Name: "latest", Methods: get, Pattern: "/{ns}/{name}/latest", Action: read, Serve: p.latest},
		{Name: "latest", Methods: get, Pattern: "/{ns}/{name}/latest/", Action: read, Serve: p.latest},
		{Name: "latest-file", Methods: get, Pattern: "/{ns}/{name}/latest/{path...}", Action: read, Serve: p.latest},
		{Name: "files", Methods: get, Pattern: "/{ns}/{name}/{version}", Action: read, Serve: p.files},
		{Name: "files", Methods: get, Pattern: "/{ns}/{name}/{version}/", Action: read, Serve: p.files},
		{Name: "file", Methods: get, Pattern: "/{ns}/{name}/{version}/{path...}", Action: read, Linked: true, Serve: p.file},
		{Name: "publish-file", Methods: put, Pattern: "/{ns}/{name}/{version}/{path...}", Action: publish, Serve: p.put},
		{Name: "sign-file", Methods: post, Pattern: "/{ns}/{name}/{version}/{path...}", Action: read, Serve: p.sign},
		{Name: "publish-version", Methods: post, Pattern: "/{ns}/{name}/{version}", Action: status, Serve: p.finish},
		{Name: "remove-file", Methods: del, Pattern: "/{ns}/{name}/{version}/{path...}", Action: remove, Serve: p.remove},
		{Name: "remove-version", Methods: del, Pattern: "/{ns}/{name}/{version}", Action: remove, Serve: p.remove},
	}
}

// defaultNamespace is what "-" in an address stands for (generic.md 1).
const defaultNamespace = "default"

// packageOf reads the package that the path names.
func (p protocol) packageOf(r *format.Request) (packhouse.PackageRef, error) {
	namespace := r.Var("ns")
	if namespace == "-" {
		namespace = defaultNamespace
	}
	name, err := p.Canonical(namespace, r.Var("name"))
	return packhouse.PackageRef{Repo: r.Repo, Package: name}, err
}

// versionOf reads the version that the path names.
func (p protocol) versionOf(r *format.Request) (packhouse.VersionRef, error) {
	pkg, err := p.packageOf(r)
	if err != nil {
		return packhouse.VersionRef{}, err
	}
	_, err = p.VersionKey(r.Var("version"))
	return pkg.At(r.Var("version")), err
}

// assetOf reads the asset that the path names. Clients on some systems send names in
// decomposed form; they are the same names.
func (p protocol) assetOf(r *format.Request) (packhouse.AssetRef, error) {
	v, err := p.versionOf(r)
	if err != nil {
		return packhouse.AssetRef{}, err
	}
	name := norm.NFC.String(r.Var("path"))
	if reason := badAssetPath(name); reason != "" {
		return packhouse.AssetRef{}, packhouse.Invalidf("invalid_asset_name", "file path %s", reason)
	}
	return packhouse.AssetRef{VersionRef: v, Asset: name}, nil
}

func (p protocol) file(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.assetOf(r)
	if err != nil {
		return err
	}
	if r.Who, err = p.reader(r, ref); err != nil {
		return err
	}
	asset, content, err := p.house.Asset(r.Context(), r.Who, ref)
	if packhouse.ReasonOf(err) == "asset_not_found" {
		return p.sum(w, r, ref, err)
	}
	if err != nil {
		return err
	}
	return httpx.WriteAsset(w, r.Request, asset, content, httpx.AssetOptions{
		ETag: etag(asset.Digest.Hex()), Immutable: !content.Unfinished,
		Attachment: path.Base(ref.Asset), ContentType: contentType(ref.Asset), Modified: content.Modified})
}

// etag is the entity tag of bytes with the SHA-256.
func etag(sha256 string) string { return `"sha256:` + sha256 + `"` }

// remove deletes the file that the path names, or the version when it names none.
func (p protocol) remove(w http.ResponseWriter, r *format.Request) error {
	v, err := p.versionOf(r)
	asset := ""
	if _, ok := r.Vars["path"]; ok && err == nil {
		var a packhouse.AssetRef
		a, err = p.assetOf(r)
		asset = a.Asset
	}
	if err != nil {
		return err
	}
	if err := p.house.Remove(r.Context(), r.Who, v, asset); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// finish makes an Unfinished version Published; one that is Published already is as
// asked.
func (p protocol) finish(w http.ResponseWriter, r *format.Request) error {
	v, err := p.versionOf(r)
	if err != nil {
		return err
	}
	if action := r.URL.Query().Get("action"); action != "publish" {
		return packhouse.Invalidf("invalid_action", "a version takes ?action=publish only")
	}
	held, err := p.house.Held(r.Context(), r.Who, v.PackageRef, v.Version)
	if err != nil {
		return err
	}
	if st := held.Versions[0].Status; st != packhouse.Unfinished && st != packhouse.Published {
		return packhouse.Conflictf("version_finished", packhouse.ResourceVersion, v.Version,
			"version %s is %s; only an Unfinished version can be published", v.Version, st)
	}
	err = p.house.Amend(r.Context(), r.Who, v.PackageRef, format.Amendments{IfSeq: held.Seq,
		Versions: []format.Amendment{{Version: v.Version, Status: packhouse.Published}}})
	if err != nil {
		return err
	}
	return httpx.WriteJSON(w, http.StatusOK, map[string]string{
		"name": v.Package.Name, "version": v.Version, "status": string(packhouse.Published)})
}

// latest leads to the highest Published version.
func (p protocol) latest(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	held, err := p.house.Held(r.Context(), r.Who, pkg, "")
	if err != nil {
		return err
	}
	version := p.newest(published(held.Versions))
	if version == "" {
		return packhouse.NotFoundf(packhouse.ResourceVersion, "latest", "package %s has no Published version", pkg.Package)
	}
	to := r.Base + url.PathEscape(r.Var("ns")) + "/" + url.PathEscape(pkg.Package.Name) + "/" + url.PathEscape(version) + "/"
	if file := r.Var("path"); file != "" {
		to += (&url.URL{Path: file}).EscapedPath()
	}
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
	return nil
}

// contentType is the type of a file by its name's extension. The table is fixed: what
// the machine has installed must not change answers.
func contentType(name string) string {
	if t, ok := types[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	return "application/octet-stream"
}

var types = map[string]string{
	".7z": "application/x-7z-compressed", ".bz2": "application/x-bzip2", ".csv": "text/csv; charset=utf-8",
	".gif": "image/gif", ".gz": "application/gzip", ".jar": "application/java-archive", ".jpeg": "image/jpeg",
	".jpg": "image/jpeg", ".json": "application/json", ".md": "text/markdown; charset=utf-8", ".pdf": "application/pdf",
	".png": "image/png", ".tar": "application/x-tar", ".tgz": "application/gzip", ".txt": "text/plain; charset=utf-8",
	".wasm": "application/wasm", ".webp": "image/webp", ".xz": "application/x-xz", ".yaml": "application/yaml",
	".yml": "application/yaml", ".zip": "application/zip", ".zst": "application/zstd",
}

// wantsText reports clients that show the body of an error as it is: curl and wget,
// unless they ask for JSON.
func wantsText(r *http.Request) bool {
	agent := r.UserAgent()
	if !strings.HasPrefix(agent, "curl/") && !strings.HasPrefix(agent, "Wget/") {
		return false
	}
	for t := range httpx.MediaTypes(r.Header) {
		if strings.HasSuffix(t, "json") {
			return false
		}
	}
	return true
}
