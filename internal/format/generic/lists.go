package generic

import (
	"bytes"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

type (
	versionList struct {
		Namespace string          `json:"namespace"`
		Name      string          `json:"name"`
		Versions  []listedVersion `json:"versions"`
		// Next is the version to go on after, "" at the end of the list.
		Next string `json:"next,omitempty"`
	}
	listedVersion struct {
		Version   string           `json:"version"`
		Status    packhouse.Status `json:"status"`
		Published time.Time        `json:"published"`
		Newest    bool             `json:"newest"`
	}
	fileList struct {
		Namespace string           `json:"namespace"`
		Name      string           `json:"name"`
		Version   string           `json:"version"`
		Status    packhouse.Status `json:"status"`
		Files     []listedFile     `json:"files"`
	}
	listedFile struct {
		File   string `json:"file"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
		SHA512 string `json:"sha512"`
		SHA1   string `json:"sha1"`
		MD5    string `json:"md5"`
	}
)

// maxListed bounds the versions of one list. A version has at most 150 files.
const maxListed = 1000

// versions lists the Published versions, lowest first, those after ?after= where it is
// given, which need not exist.
func (p protocol) versions(w http.ResponseWriter, r *format.Request) error {
	pkg, err := p.packageOf(r)
	if err != nil {
		return err
	}
	held, err := p.house.Held(r.Context(), r.Who, pkg, "")
	if err != nil {
		return err
	}
	list := published(held.Versions)
	newest := p.newest(list)
	answer := versionList{Namespace: pkg.Package.Namespace, Name: pkg.Package.Name, Versions: []listedVersion{}}
	after := r.URL.Query().Get("after")
	for _, v := range p.sorted(list) {
		if after != "" && p.Compare(v.Ref.Version, after) <= 0 {
			continue
		}
		if len(answer.Versions) == maxListed {
			answer.Next = answer.Versions[maxListed-1].Version
			break
		}
		answer.Versions = append(answer.Versions, listedVersion{v.Ref.Version, v.Status, v.Published.UTC(), v.Ref.Version == newest})
	}
	return writeList(w, r, "versions", answer)
}

// files lists the files of a version that can be downloaded.
func (p protocol) files(w http.ResponseWriter, r *format.Request) error {
	v, err := p.versionOf(r)
	if err != nil {
		return err
	}
	held, err := p.house.Held(r.Context(), r.Who, v.PackageRef, v.Version)
	if err != nil {
		return err
	}
	version := held.Versions[0]
	if err := withdrawn(version); err != nil {
		return err
	}
	answer := fileList{Namespace: v.Package.Namespace, Name: v.Package.Name, Version: v.Version, Status: version.Status, Files: []listedFile{}}
	for _, a := range version.Assets {
		h := a.Hashes
		answer.Files = append(answer.Files, listedFile{a.Name, a.Size, h.SHA256, h.SHA512, h.SHA1, h.MD5})
	}
	return writeList(w, r, "files", answer)
}

// writeList answers with a list: as the page of that name to browsers, as JSON to all
// others.
func writeList(w http.ResponseWriter, r *format.Request, page string, list any) error {
	h := w.Header()
	h.Set("Cache-Control", "private, max-age=0, must-revalidate")
	h.Set("Vary", "Accept")
	if wantsHTML(r.Header) {
		return writePage(w, r, page, list)
	}
	return httpx.WriteJSON(w, http.StatusOK, list)
}

// withdrawn refuses versions whose files are not given out.
func withdrawn(v format.HeldVersion) error {
	if v.Status != packhouse.Archived && v.Status != packhouse.Disposed {
		return nil
	}
	err := packhouse.NotFoundf(packhouse.ResourceVersion, v.Ref.Version, "version %s is %s", v.Ref.Version, v.Status)
	err.Reason = "version_archived"
	if v.Status == packhouse.Disposed {
		err.Reason = reasonDisposed
	}
	return err
}

// sum answers with the computed sum of the file that a name like "x.tar.gz.sha256" is
// beside, as sha256sum and its relatives write it; notFound where there is none.
func (p protocol) sum(w http.ResponseWriter, r *format.Request, ref packhouse.AssetRef, notFound error) error {
	ext := path.Ext(ref.Asset)
	name := strings.TrimSuffix(ref.Asset, ext)
	switch ext {
	case ".sha256", ".sha512", ".sha1", ".md5":
	default:
		return notFound
	}
	held, err := p.house.Held(r.Context(), r.Who, ref.PackageRef, ref.Version)
	if err != nil {
		return err
	}
	for _, a := range held.Versions[0].Assets {
		if a.Name != name {
			continue
		}
		text := map[string]string{".sha256": a.Hashes.SHA256, ".sha512": a.Hashes.SHA512, ".sha1": a.Hashes.SHA1, ".md5": a.Hashes.MD5}[ext] +
			"  " + path.Base(name) + "\n"
		return httpx.WriteAsset(w, r.Request, packhouse.Asset{}, &format.Content{Size: int64(len(text)), At: bytes.NewReader([]byte(text))},
			httpx.AssetOptions{ETag: etag(a.Hashes.SHA256 + ext), Attachment: path.Base(ref.Asset), ContentType: "text/plain; charset=utf-8"})
	}
	return notFound
}

// published returns the versions that lists show.
func published(list []format.HeldVersion) (out []format.HeldVersion) {
	for _, v := range list {
		if v.Status.Listed() {
			out = append(out, v)
		}
	}
	return out
}

// newest is the version that "latest" stands for: by semantic versioning when all
// versions read as such, pre-releases only where there is nothing else; by time
// otherwise. It returns "" for no versions. Source: generic.md 1, 8 case 11.
func (p protocol) newest(list []format.HeldVersion) string {
	var stable, all []format.HeldVersion
	for _, v := range list {
		parsed, err := semver.NewVersion(v.Ref.Version)
		if err != nil {
			return latestByTime(list)
		}
		all = append(all, v)
		if parsed.Prerelease() == "" {
			stable = append(stable, v)
		}
	}
	if len(stable) > 0 {
		all = stable
	}
	best := ""
	for _, v := range all {
		if best == "" || p.Compare(v.Ref.Version, best) > 0 {
			best = v.Ref.Version
		}
	}
	return best
}

// latestByTime is the version that was published last; of two at once the one whose
// text is higher.
func latestByTime(list []format.HeldVersion) string {
	best := list[0]
	for _, v := range list[1:] {
		if c := v.Published.Compare(best.Published); c > 0 || c == 0 && v.Ref.Version > best.Ref.Version {
			best = v
		}
	}
	return best.Ref.Version
}

// sorted orders versions by the format's order, lowest first.
func (p protocol) sorted(list []format.HeldVersion) []format.HeldVersion {
	slices.SortFunc(list, func(a, b format.HeldVersion) int { return p.Compare(a.Ref.Version, b.Ref.Version) })
	return list
}
