package generic

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

func TestContentRange(t *testing.T) {
	for text, want := range map[string][2]int64{
		"bytes 0-99/*": {0, 100}, "bytes 5-5/6": {5, 1}, "0-99": {0, 100}, "bytes 7-9": {7, 3},
		"bytes 0-4611686018427387903/*": {0, 1 << 62},
		"":                              {}, "bytes */100": {}, "bytes 9-7/*": {}, "bytes 5-6/6": {}, "bytes -5/*": {}, "items 0-1/2": {}, "bytes 0-1/x": {},
		"bytes 0-9223372036854775807/*": {}, "bytes +1-2/*": {}, "bytes 0-1, 3-4/*": {}, "bytes  0-1/*": {},
	} {
		from, size, err := parseContentRange(text)
		if (err == nil) != (want[1] != 0) || err == nil && [2]int64{from, size} != want {
			t.Errorf("%q: %d, %d, %v, want %v", text, from, size, err, want)
		}
	}
}

// uploads is a house with one upload of five bytes.
type uploads struct {
	house
	about   []byte
	aborted bool
	publish error
}

func (h *uploads) StartUpload(_ context.Context, _ packhouse.Principal, _ packhouse.PackageRef, about []byte) (format.UploadStatus, error) {
	h.about = about
	return format.UploadStatus{ID: "id", About: about}, nil
}

func (h *uploads) UploadStatus(context.Context, packhouse.Principal, format.UploadRef) (format.UploadStatus, error) {
	return format.UploadStatus{ID: "id", Offset: 5, About: h.about}, nil
}

func (h *uploads) AppendUpload(_ context.Context, _ packhouse.Principal, _ format.UploadRef, from int64, r io.Reader) (format.UploadStatus, error) {
	b, err := io.ReadAll(r)
	return format.UploadStatus{ID: "id", Offset: from + int64(len(b)), About: h.about}, err
}

func (h *uploads) FinishUpload(context.Context, packhouse.Principal, format.UploadRef) (format.Staged, error) {
	return staged{}, nil
}

func (h *uploads) AbortUpload(context.Context, packhouse.Principal, format.UploadRef) error {
	h.aborted = true
	return nil
}

func (h *uploads) Publish(_ context.Context, _ packhouse.Principal, p format.Publication) (format.Outcome, error) {
	h.got = &p
	return format.Outcome{}, h.publish
}

func uploadRequest(r *http.Request) *format.Request {
	return &format.Request{Request: r, Base: "http://packages.test/",
		Vars: map[string]string{"ns": "-", "name": "box", "version": "1.0", "path": "a b", "id": "id"}}
}

// What the start says holds at the end, and failures that may pass leave the upload alone.
func TestFinishKeepsWhatTheStartSaid(t *testing.T) {
	const sum = "0a0000000000000000000000000000000000000000000000000000000000000f"
	for _, tt := range []struct {
		name, query string
		said        http.Header
		publish     error
		wantReason  string
		wantAborted bool
	}{
		{name: "all is well", query: "?sha256=" + sum, wantAborted: true},
		{name: "the sum is missing", wantReason: "invalid_digest"},
		{name: "the sum is none", query: "?sha256=x", wantReason: "invalid_digest"},
		{name: "the start told of another sum", query: "?sha256=" + sum, said: http.Header{"X-Checksum-Sha256": {strings.Repeat("0", 64)}}, wantReason: "digest_mismatch"},
		{name: "the bytes are wrong for good", query: "?sha256=" + sum, publish: packhouse.Invalidf("digest_mismatch", "no"), wantReason: "digest_mismatch", wantAborted: true},
		{name: "the disk is full for now", query: "?sha256=" + sum, publish: &packhouse.Error{Kind: packhouse.KindDiskLow, Reason: "disk_full"}, wantReason: "disk_full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &uploads{house: house{heldErr: packhouse.NotFoundf(packhouse.ResourcePackage, "box", "none")}, publish: tt.publish}
			p := protocol{New(), h}
			start := httptest.NewRequest(http.MethodPost, "/", nil)
			for name, values := range tt.said {
				start.Header[name] = values
			}
			start.Header.Set(headerUnfinished, "true")
			w := httptest.NewRecorder()
			if err := p.startUpload(w, uploadRequest(start)); err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Get("Location"); w.Code != http.StatusAccepted || got != "http://packages.test/_uploads/-/box/id" || w.Header().Get(headerOffset) != "0" || w.Header().Get("Range") != "" {
				t.Errorf("start: %d, %v", w.Code, w.Header())
			}
			err := p.finishUpload(httptest.NewRecorder(), uploadRequest(httptest.NewRequest(http.MethodPut, "/"+tt.query, nil)))
			if packhouse.ReasonOf(err) != tt.wantReason || h.aborted != tt.wantAborted {
				t.Fatalf("finish: %v, aborted %v, want %q, %v", err, h.aborted, tt.wantReason, tt.wantAborted)
			}
			if err == nil && (!h.got.Unfinished || h.got.Version != "1.0" || h.got.Assets[0].Name != "a b" || h.got.Assets[0].Declared.SHA256 != sum) {
				t.Errorf("published %+v", h.got)
			}
		})
	}
}

// The offset is told beside every outcome of a piece.
func TestPieces(t *testing.T) {
	for _, tt := range []struct {
		name, body, piece string
		chunked           bool
		wantReason        string
		wantOffset        string
	}{
		{name: "a whole piece", body: "12345", piece: "bytes 5-9/*", wantOffset: "10"},
		{name: "another length than announced", body: "1234", piece: "bytes 5-9/*", wantReason: "invalid_range"},
		{name: "fewer bytes than announced", body: "1234", piece: "bytes 5-9/*", chunked: true, wantReason: "incomplete_body", wantOffset: "9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := protocol{New(), &uploads{about: []byte("{}")}}
			r := httptest.NewRequest(http.MethodPatch, "/", strings.NewReader(tt.body))
			if tt.chunked {
				r.ContentLength = -1
			}
			r.Header.Set("Content-Range", tt.piece)
			w := httptest.NewRecorder()
			err := p.appendUpload(w, uploadRequest(r))
			if packhouse.ReasonOf(err) != tt.wantReason || w.Header().Get(headerOffset) != tt.wantOffset {
				t.Errorf("%v, offset %q, want %q, %q", err, w.Header().Get(headerOffset), tt.wantReason, tt.wantOffset)
			}
		})
	}
}

// GET tells the state and where to go on.
func TestUploadState(t *testing.T) {
	w := httptest.NewRecorder()
	err := protocol{New(), &uploads{about: []byte(`{"file":"a"}`)}}.uploadStatus(w, uploadRequest(httptest.NewRequest(http.MethodGet, "/", nil)))
	want := `{"upload":"http://packages.test/_uploads/-/box/id","file":"a","offset":5,"expires":"` + time.Time{}.Format(time.RFC3339) + `"}`
	if err != nil || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Range") != "0-4" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v, %s, %v", err, w.Body, w.Header())
	}
}
