package npm

import (
	"net/http"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// protocol serves the routes with what the house offers.
type protocol struct {
	Format
	house format.House
}

// Routes returns the protocol's table. What Packhouse does not have is
// answered by the last rows: 404 with an error that npm understands, at once, because npm
// then goes on. Source: npm.md 1.
func (f Format) Routes(h format.House) []format.Route {
	p := protocol{f, h}
	get, put, del := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPut}, []string{http.MethodDelete}
	all := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete}
	const (
		read    = packhouse.ActionReadFromRepository
		publish = packhouse.ActionPublishPackageVersion
		tag     = packhouse.ActionPutPackageMetadata
		dispose = packhouse.ActionDisposePackageVersions
	)
	return spelled(slices.Concat(p.loginRoutes(), p.tokenRoutes(), p.searchRoutes(), p.starRoutes(), []format.Route{
		{Name: "packument", Methods: get, Pattern: "/{@name}", Action: read, Serve: p.packument},
		{Name: "publish", Methods: put, Pattern: "/{@name}", Action: publish, Serve: p.put},
		{Name: "manifest", Methods: get, Pattern: "/{@name}/{version}", Action: read, Serve: p.manifest},
		{Name: "tarball", Methods: get, Pattern: "/{@name}/-/{@file}", Action: read, Serve: p.tarball},
		// A package is really called "-", and the row for unknown paths would hide it.
		{Name: "tarball", Methods: get, Pattern: "/-/-/{file}", Action: read, Serve: p.tarball},
		{Name: "rewrite", Methods: put, Pattern: "/{@name}/-rev/{rev}", Action: dispose, Serve: p.rewrite},
		{Name: "unpublish", Methods: del, Pattern: "/{@name}/-rev/{rev}", Action: dispose, Serve: p.unpublishAll},
		{Name: "unpublish-tarball", Methods: del, Pattern: "/{@name}/-/{@file}/-rev/{rev}", Action: dispose, Serve: p.unpublishOne},
		{Name: "dist-tags", Methods: get, Pattern: "/-/package/{@name}/dist-tags", Action: read, Serve: p.distTags},
		{Name: "dist-tag-set", Methods: []string{http.MethodPut, http.MethodPost}, Pattern: "/-/package/{@name}/dist-tags/{tag}", Action: tag, Serve: p.setTag},
		{Name: "dist-tag-remove", Methods: del, Pattern: "/-/package/{@name}/dist-tags/{tag}", Action: tag, Serve: p.removeTag},
		{Name: "ping", Methods: get, Pattern: "/-/ping", Action: read, Anonymous: true, Serve: ping},
		{Name: "whoami", Methods: get, Pattern: "/-/whoami", Action: read, Serve: whoami},
		{Name: "unknown", Methods: all, Pattern: "/-/{path...}", Action: read, Serve: notServed},
		// The same where a scoped name in one segment stands in the path.
		{Name: "unknown", Methods: all, Pattern: "/-/package/{@name}/{path...}", Action: read, Serve: notServed},
		{Name: "unknown", Methods: all, Pattern: "/-/npm/v1/oidc/token/exchange/package/{@name}", Action: read, Serve: notServed},
		{Name: "audit", Methods: []string{http.MethodPost}, Pattern: "/-/npm/v1/security/advisories/bulk", Action: read, Serve: p.bulkAudit},
		{Name: "audit-tree", Methods: []string{http.MethodPost}, Pattern: "/-/npm/v1/security/audits", Action: read, Serve: p.treeAudit("-/npm/v1/security/audits")},
		{Name: "audit-tree", Methods: []string{http.MethodPost}, Pattern: "/-/npm/v1/security/audits/quick", Action: read, Serve: p.treeAudit("-/npm/v1/security/audits/quick")},
		{Name: "keys", Methods: get, Pattern: "/" + keysPath, Action: read, Serve: p.keys},
		{Name: "attestations", Methods: get, Pattern: "/-/npm/v1/attestations/{@name}", Action: read, Serve: p.attestations},
		// npm 9 and 10 put the whole path of dist.attestations.url behind the base, so the
		// base's own path comes twice, in one of its three forms.
		{Name: "attestations", Methods: get, Pattern: "/npm/{repository}/-/npm/v1/attestations/{@name}", Action: read, Serve: p.attestations},
		{Name: "attestations", Methods: get, Pattern: "/npm/{domain}/{repository}/-/npm/v1/attestations/{@name}", Action: read, Serve: p.attestations},
		{Name: "attestations", Methods: get, Pattern: "/npm/d/{domain}/{repository}/-/npm/v1/attestations/{@name}", Action: read, Serve: p.attestations},
	}))
}

// packageOf reads the package that the path names.
func (p protocol) packageOf(r *format.Request) (packhouse.PackageRef, error) {
	full := r.Var("name")
	if full == "" {
		full = "-" // the row without a variable
	}
	name, err := p.canonicalFull(full)
	return packhouse.PackageRef{Repo: r.Repo, Package: name}, err
}

func (p protocol) packument(w http.ResponseWriter, r *format.Request) error {
	kind := kindFull
	switch {
	case r.URL.Query().Get("write") == "true":
		kind = kindWrite
	case wantsAbbreviated(r.Header):
		kind = kindAbbreviated
	}
	return p.document(w, r, kind, "")
}

func (p protocol) manifest(w http.ResponseWriter, r *format.Request) error {
	arg := r.Var("version")
	if badVersion(arg) != "" && checkTag(arg) != nil {
		return packhouse.NotFoundf(packhouse.ResourceVersion, arg, "version not found: %s", arg)
	}
	return p.document(w, r, kindVersion, arg)
}

func (p protocol) distTags(w http.ResponseWriter, r *format.Request) error {
	return p.document(w, r, kindTags, "")
}

func (p protocol) document(w http.ResponseWriter, r *format.Request, kind, arg string) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	key := format.DocKey{Repo: r.Repo, Package: pkg.Package, Kind: kind, Arg: arg, Base: r.Base, Local: kind == kindWrite,
		Identity: !httpx.AcceptsGzip(r.Header)}
	if kind == kindTags {
		key.Base = ""
	}
	doc, err := p.house.Document(r.Context(), r.Who, key)
	if err != nil {
		return err
	}
	return httpx.WriteDoc(w, r.Request, &doc)
}

// wantsAbbreviated reports whether the client takes the short form, whatever else it
// takes. Source: npm.md 2.
func wantsAbbreviated(h http.Header) bool {
	for t, q := range httpx.MediaTypes(h) {
		if t == typeAbbreviated {
			return q > 0
		}
	}
	return false
}

func (p protocol) tarball(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	version, ok := tarballVersion(pkg.Package, r.Var("file"))
	if !ok {
		return packhouse.NotFoundf(packhouse.ResourceAsset, r.Var("file"), "%s has no file of this name", fullName(pkg.Package))
	}
	ref := packhouse.AssetRef{VersionRef: pkg.At(version), Asset: assetName}
	asset, content, err := p.house.Asset(r.Context(), r.Who, ref)
	if err != nil {
		return err
	}
	return httpx.WriteAsset(w, r.Request, asset, content, httpx.AssetOptions{
		Immutable: true, Attachment: tarballName(pkg.Package, version), ContentType: "application/octet-stream"})
}

func ping(w http.ResponseWriter, _ *format.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, struct{}{})
}

func whoami(w http.ResponseWriter, r *format.Request) error {
	return httpx.WriteJSON(w, http.StatusOK, map[string]string{"username": r.Who.Name})
}

func notServed(http.ResponseWriter, *format.Request) error {
	return &packhouse.Error{Kind: packhouse.KindUnsupported, Reason: "not_supported", Message: "this registry does not offer this endpoint"}
}

// done is the answer to a change that was made. npm does not read it; older clients look
// for ok.
func done(w http.ResponseWriter, status int) error {
	return httpx.WriteJSON(w, status, map[string]bool{"ok": true, "success": true})
}
