package generic

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// headerOffset tells how many bytes of an upload are safe. The state of an upload has it
// and Range, as container clients read it.
const headerOffset = "Upload-Offset"

// uploadHeaders are the headers of a PUT that an upload keeps from its start to its end.
var uploadHeaders = []string{headerUnfinished, "If-Match", "If-None-Match", "X-Checksum-Sha256", "Content-Md5", "Digest", "Repr-Digest"}

// uploadPlan is what an upload becomes; it is kept beside the upload.
type uploadPlan struct {
	Version string      `json:"version"`
	File    string      `json:"file"`
	Header  http.Header `json:"header,omitempty"`
}

// uploadState is the answer about an upload.
type uploadState struct {
	Upload  string    `json:"upload"` // address
	File    string    `json:"file"`
	Offset  int64     `json:"offset"`
	Expires time.Time `json:"expires"`
}

// startUpload begins a file that comes in pieces. Headers mean what they mean with a PUT
// of the whole file, and are looked at now and again at the end.
func (p protocol) startUpload(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.assetOf(r)
	if err != nil {
		return err
	}
	up, err := uploadOf(ref, r.Header)
	if err != nil {
		return err
	}
	if _, err := p.admit(r, up); err != nil {
		return err
	}
	plan := uploadPlan{Version: ref.Version, File: ref.Asset, Header: http.Header{}}
	for _, name := range uploadHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			plan.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	about, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	status, err := p.house.StartUpload(r.Context(), r.Who, ref.PackageRef, about)
	if err != nil {
		return err
	}
	return p.writeUpload(w, r, http.StatusAccepted, status)
}

// uploadRef reads the upload that the path names.
func (p protocol) uploadRef(r *format.Request) (format.UploadRef, error) {
	pkg, err := p.packageOf(r)
	return format.UploadRef{Package: pkg, ID: r.Var("id")}, err
}

// uploadStatus tells how far an upload has come.
func (p protocol) uploadStatus(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.uploadRef(r)
	if err != nil {
		return err
	}
	status, err := p.house.UploadStatus(r.Context(), r.Who, ref)
	if err != nil {
		return err
	}
	return p.writeUpload(w, r, http.StatusOK, status)
}

// appendUpload takes in a piece.
func (p protocol) appendUpload(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.uploadRef(r)
	if err != nil {
		return err
	}
	// Who may not know of the upload learns nothing of what is wrong with the request.
	if _, err := p.house.UploadStatus(r.Context(), r.Who, ref); err != nil {
		return err
	}
	status, err := p.take(w, r, ref)
	if err != nil {
		return err
	}
	return p.writeUpload(w, r, http.StatusAccepted, status)
}

// take takes in the piece that a request carries. The offset is told with errors, too.
func (p protocol) take(w http.ResponseWriter, r *format.Request, ref format.UploadRef) (format.UploadStatus, error) {
	from, size, err := parseContentRange(r.Header.Get("Content-Range"))
	if err == nil && r.ContentLength >= 0 && r.ContentLength != size {
		err = packhouse.Invalidf("invalid_range", "Content-Range tells of %d bytes, but the body has %d", size, r.ContentLength)
	}
	if err != nil {
		return format.UploadStatus{}, err
	}
	status, err := p.house.AppendUpload(r.Context(), r.Who, ref, from, sizedBody{http.MaxBytesReader(w, r.Body, size), size})
	if status.ID != "" {
		setOffset(w.Header(), status.Offset)
	}
	if err == nil && status.Offset < from+size {
		err = packhouse.Invalidf("incomplete_body", "Content-Range tells of %d bytes, but %d arrived; they are kept", size, status.Offset-from)
	}
	return status, err
}

// parseContentRange reads the Content-Range of a piece: "bytes 0-99/*", with or without
// the size of the whole, or "0-99" as container clients spell it. Errors: Invalid
// "invalid_range".
func parseContentRange(s string) (from, size int64, err error) {
	refused := packhouse.Invalidf("invalid_range", `a piece of an upload needs Content-Range with its first and last byte, such as "bytes 0-99/*"`)
	text, total, _ := strings.Cut(s, "/")
	if unit, rest, ok := strings.Cut(text, " "); ok {
		if unit != "bytes" {
			return 0, 0, refused
		}
		text = rest
	}
	a, b, _ := strings.Cut(text, "-")
	first, errFirst := strconv.ParseUint(a, 10, 62)
	last, errLast := strconv.ParseUint(b, 10, 62)
	if errFirst != nil || errLast != nil || last < first {
		return 0, 0, refused
	}
	if total != "" && total != "*" {
		if n, err := strconv.ParseUint(total, 10, 62); err != nil || last >= n {
			return 0, 0, refused
		}
	}
	return int64(first), int64(last-first) + 1, nil
}

// finishUpload makes the upload's bytes the file, after taking in a last piece where
// there is one. The whole file's SHA-256 is asked for, because nobody else has seen all
// of it in one piece.
func (p protocol) finishUpload(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.uploadRef(r)
	if err != nil {
		return err
	}
	status, err := p.house.UploadStatus(r.Context(), r.Who, ref)
	if err != nil {
		return err
	}
	whole, err := declaredHashes(http.Header{"X-Checksum-Sha256": {r.URL.Query().Get("sha256")}})
	if err != nil || whole.SHA256 == "" {
		return packhouse.Invalidf("invalid_digest", "finishing an upload needs ?sha256= with the 64 hexadecimal digits of the whole file's SHA-256")
	}
	up, err := planned(ref, status.About, whole)
	if err != nil {
		return err
	}
	replaces, err := p.admit(r, up)
	if err != nil {
		return err
	}
	if r.ContentLength != 0 {
		if _, err := p.take(w, r, ref); err != nil {
			return err
		}
	}
	staged, err := p.house.FinishUpload(r.Context(), r.Who, ref)
	if err != nil {
		return err
	}
	err = p.publish(w, r, up, replaces, staged)
	if kind := packhouse.KindOf(err); err != nil && kind != packhouse.KindInvalid && kind != packhouse.KindConflict {
		return err // it may succeed when it is tried again
	}
	// What cannot be ended now expires.
	_ = p.house.AbortUpload(r.Context(), r.Who, ref)
	return err
}

// planned is the upload of the whole file, as it was announced and with its sum.
func planned(ref format.UploadRef, about []byte, whole packhouse.Hashes) (up upload, err error) {
	var plan uploadPlan
	if err := json.Unmarshal(about, &plan); err != nil {
		return up, packhouse.Internal(err)
	}
	up, err = uploadOf(packhouse.AssetRef{VersionRef: ref.Package.At(plan.Version), Asset: plan.File}, plan.Header)
	if err == nil && up.declared.SHA256 != "" && up.declared.SHA256 != whole.SHA256 {
		err = packhouse.Invalidf(reasonMismatch, "the upload was begun for a file with another SHA-256; nothing was stored")
	}
	up.declared.SHA256 = whole.SHA256
	return up, err
}

// abortUpload ends an upload without a file.
func (p protocol) abortUpload(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.uploadRef(r)
	if err != nil {
		return err
	}
	if err := p.house.AbortUpload(r.Context(), r.Who, ref); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeUpload answers with the state of an upload.
func (p protocol) writeUpload(w http.ResponseWriter, r *format.Request, code int, status format.UploadStatus) error {
	var plan uploadPlan
	if err := json.Unmarshal(status.About, &plan); err != nil {
		return packhouse.Internal(err)
	}
	address := r.Base + "_uploads/" + escapePath(r.Var("ns")+"/"+r.Var("name")) + "/" + url.PathEscape(status.ID)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Location", address)
	setOffset(h, status.Offset)
	return httpx.WriteJSON(w, code, uploadState{Upload: address, File: plan.File, Offset: status.Offset, Expires: status.Expires.UTC()})
}

// setOffset tells how far an upload has come. Nothing yet has no range.
func setOffset(h http.Header, offset int64) {
	h.Set(headerOffset, strconv.FormatInt(offset, 10))
	if offset > 0 {
		h.Set("Range", "0-"+strconv.FormatInt(offset-1, 10))
	}
}
