package npm

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// changeMetadata serves PUT {pkg} without attachments: of the whole document that clients
// send, only the deprecation texts of versions that this repository holds are taken. A
// version that is not there is no wish to delete it. A star is a document of its own kind.
// Errors: Invalid "not_kept" where the only wish is an owner. Source: npm.md 4.
func (p protocol) changeMetadata(w http.ResponseWriter, r *format.Request, pkg packhouse.PackageRef, doc object) error {
	if isStar(doc) {
		return p.star(w, r, pkg, doc)
	}
	current, err := p.current(r, pkg)
	if err != nil {
		return err
	}
	changes, err := deprecations(current.object("versions"), doc.object("versions"))
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		if err := checkNotKept(current, doc); err != nil {
			return err
		}
		return done(w, http.StatusOK)
	}
	if err := p.house.Amend(r.Context(), r.Who, pkg, format.Amendments{Versions: changes}); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}

// checkNotKept refuses a document that would change what this registry does not keep per
// package: a client that was told of success would be misled. What a document leaves out
// it does not change.
func checkNotKept(current, wanted object) error {
	const key = "maintainers"
	if wanted[key] != nil && !equalNormal(normalMembers(current, key), normalMembers(wanted, key)) {
		return packhouse.Invalidf("not_kept", "this registry keeps no owners of packages: policies decide who may publish, so ask who administers them")
	}
	return nil
}

// normalMembers is normalValue with an empty list as nothing.
func normalMembers(m object, key string) any {
	v := normalValue(m, key)
	if items, ok := v.([]any); ok && len(items) == 0 {
		return nil
	}
	return v
}

// current reads the document that a client gets before a write.
func (p protocol) current(r *format.Request, pkg packhouse.PackageRef) (object, error) {
	doc, err := p.house.Document(r.Context(), r.Who,
		format.DocKey{Repo: r.Repo, Package: pkg.Package, Kind: kindWrite, Base: r.Base, Local: true})
	if err != nil {
		return nil, err
	}
	text, err := httpx.DocText(&doc)
	return readObject(text), err
}

// deprecations compares the deprecation texts of two documents' versions. A version
// without the member keeps its text, an empty text or false takes it away.
func deprecations(current, wanted object) ([]format.Amendment, error) {
	var out []format.Amendment
	for version, raw := range wanted {
		now, held := current[version]
		want := readObject(raw)["deprecated"]
		if !held || want == nil || want[0] != '"' && string(want) != "false" {
			continue
		}
		text := unquote(want)
		if readObject(now).text("deprecated") == text {
			continue
		}
		var overlay []byte
		if text != "" {
			overlay = makeOverlay(quote(text))
		}
		if len(overlay) > packhouse.MaxOverlay {
			return nil, invalidDocument("deprecation text of version %s is too long", version)
		}
		out = append(out, format.Amendment{Version: version, Overlay: &overlay})
	}
	return out, nil
}

// rewrite serves PUT {pkg}/-rev/{rev}, the first step of unpublishing a version: listed
// versions that the sent document leaves out are disposed of. A document without
// versions, such as a change of owners, leaves out nothing. Source: npm.md 4.
func (p protocol) rewrite(w http.ResponseWriter, r *format.Request) error {
	pkg, seq, err := p.revised(r)
	if err != nil {
		return err
	}
	place := documentPlace{ctx: r.Context()}
	defer place.leave()
	meta, err := splitDocument(&limitedBody{r: r.Body, left: maxMetadata, limit: maxMetadata}, &place, refuseAttachment)
	if err != nil {
		return err
	}
	doc := readObject(meta)
	if doc == nil {
		return invalidDocument("document is not an object")
	}
	current, err := p.current(r, pkg)
	if err != nil {
		return err
	}
	if current.text("_rev") != r.Var("rev") {
		return staleRevision()
	}
	held, wanted := current.object("versions"), doc.object("versions")
	changes, err := deprecations(held, wanted)
	if err != nil {
		return err
	}
	var removed []string
	if wanted != nil {
		removed = missing(held, wanted)
	}
	if wanted != nil && len(removed) == len(held) {
		return invalidDocument("document has none of the package's versions; delete the package to remove all of them")
	}
	if len(changes) == 0 && len(removed) == 0 {
		if err := checkNotKept(current, doc); err != nil {
			return err
		}
	}
	for _, version := range removed {
		changes = append(changes, format.Amendment{Version: version, Status: packhouse.Disposed})
	}
	if len(changes) > 0 {
		if err := p.house.Amend(r.Context(), r.Who, pkg, format.Amendments{Versions: changes, IfSeq: seq}); err != nil {
			return err
		}
	}
	if len(removed) > 0 {
		if err := p.moveTags(r, pkg, current.object("dist-tags").texts(), doc.object("dist-tags").texts(), wanted); err != nil {
			return err
		}
	}
	return done(w, http.StatusOK)
}

func refuseAttachment(string, io.Reader) error {
	return invalidDocument("attachments are published without a revision")
}

// missing lists what is in have but not in want.
func missing(have, want object) []string {
	var out []string
	for version := range have {
		if _, ok := want[version]; !ok {
			out = append(out, version)
		}
	}
	return out
}

// moveTags follows the client's choice for tags whose version was removed. Who may not
// change tags leaves them dangling: documents leave those out by themselves.
func (p protocol) moveTags(r *format.Request, pkg packhouse.PackageRef, before, after map[string]string, left object) error {
	for tag, version := range before {
		if _, stands := left[version]; stands {
			continue
		}
		change := format.TagChange{Tag: tag}
		if _, ok := left[after[tag]]; ok {
			change.Version = after[tag]
		} else if tag == defaultTag {
			continue // it cannot be removed; documents point it at the highest version
		}
		err := p.house.Tag(r.Context(), r.Who, pkg, change)
		switch packhouse.KindOf(err) {
		case packhouse.KindDenied, packhouse.KindNotFound:
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// revised reads the package and the revision of a path with -rev.
func (p protocol) revised(r *format.Request) (packhouse.PackageRef, int64, error) {
	pkg, err := p.packageOf(r)
	if err != nil {
		return pkg, 0, err
	}
	seq, err := parseRevision(r.Var("rev"))
	return pkg, seq, err
}

// unpublishAll serves DELETE {pkg}/-rev/{rev}: every version is disposed of, the
// package's record stays.
func (p protocol) unpublishAll(w http.ResponseWriter, r *format.Request) error {
	pkg, seq, err := p.revised(r)
	if err != nil {
		return err
	}
	all := format.Amendments{AllVersions: true, Status: packhouse.Disposed, IfSeq: seq}
	if err := p.house.Amend(r.Context(), r.Who, pkg, all); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}

// unpublishOne serves DELETE {pkg}/-/{file}/-rev/{rev}, the second step of unpublishing a
// version. The first has done the work, so a version that is gone is a success.
func (p protocol) unpublishOne(w http.ResponseWriter, r *format.Request) error {
	pkg, seq, err := p.revised(r)
	if err != nil {
		return err
	}
	version, ok := tarballVersion(pkg.Package, r.Var("file"))
	if !ok {
		return packhouse.NotFoundf(packhouse.ResourceAsset, r.Var("file"), "%s has no file of this name", fullName(pkg.Package))
	}
	one := format.Amendments{Versions: []format.Amendment{{Version: version, Status: packhouse.Disposed}}, IfSeq: seq}
	err = p.house.Amend(r.Context(), r.Who, pkg, one)
	if reason := packhouse.ReasonOf(err); reason == reasonStale || reason == format.ReasonSecondFactor {
		// Somebody changed the package between the steps, or the first step has used the
		// one-time code up. That matters only to a version that is still there.
		key := format.DocKey{Repo: r.Repo, Package: pkg.Package, Kind: kindVersion, Arg: version, Base: r.Base, Local: true}
		if _, gone := p.house.Document(r.Context(), r.Who, key); packhouse.KindOf(gone) == packhouse.KindNotFound {
			err = nil
		}
	}
	if err != nil && packhouse.KindOf(err) != packhouse.KindNotFound {
		return err
	}
	return done(w, http.StatusOK)
}

// maxTagBody bounds the body of a tag change: a version in quotes.
const maxTagBody = 4 << 10

// setTag serves PUT and POST of a dist-tag; the body is the version as a JSON string.
func (p protocol) setTag(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	tag := r.Var("tag")
	if err := checkTag(tag); err != nil {
		return err
	}
	body, err := httpx.ReadAll(r.Body, maxTagBody)
	if err != nil {
		return err
	}
	var version string
	if json.Unmarshal(body, &version) != nil {
		return invalidDocument("body is not a version in quotes")
	}
	if _, err := p.VersionKey(version); err != nil {
		return err
	}
	if err := p.house.Tag(r.Context(), r.Who, pkg, format.TagChange{Tag: tag, Version: version}); err != nil {
		return err
	}
	return done(w, http.StatusCreated)
}

func (p protocol) removeTag(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	tag := r.Var("tag")
	if tag == defaultTag {
		return packhouse.Invalidf("default_tag", "tag %s cannot be removed; point it at another version instead", tag)
	}
	if err := p.house.Tag(r.Context(), r.Who, pkg, format.TagChange{Tag: tag}); err != nil {
		return err
	}
	return done(w, http.StatusOK)
}
