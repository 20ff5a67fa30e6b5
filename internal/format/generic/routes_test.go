package generic

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
)

func TestDeclaredHashes(t *testing.T) {
	md, s1, s2 := strings.Repeat("00", 16), strings.Repeat("00", 20), strings.Repeat("00", 32)
	const md64, sha64 = "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for _, tt := range []struct {
		name, header, value string
		want                packhouse.Hashes
		wantReason          string
	}{
		{name: "nothing is declared", header: "Accept", value: "*/*"},
		{name: "hex in either case", header: "X-Checksum-Sha256", value: strings.Repeat("0A", 32), want: packhouse.Hashes{SHA256: strings.Repeat("0a", 32)}},
		{name: "hex of another length", header: "X-Checksum-Sha256", value: md, wantReason: "invalid_digest"},
		{name: "no hex", header: "X-Checksum-Sha256", value: "sum", wantReason: "invalid_digest"},
		{name: "Content-MD5", header: "Content-MD5", value: md64, want: packhouse.Hashes{MD5: md}},
		{name: "Content-MD5 in hex", header: "Content-MD5", value: md, wantReason: "invalid_digest"},
		{name: "Digest with several sums", header: "Digest", value: "SHA-256=" + sha64 + ", sha=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", want: packhouse.Hashes{SHA1: s1, SHA256: s2}},
		{name: "Repr-Digest", header: "Repr-Digest", value: "sha-256=:" + sha64 + ":", want: packhouse.Hashes{SHA256: s2}},
		{name: "unknown algorithms are passed over", header: "Digest", value: "unixsum=30637", want: packhouse.Hashes{}},
		{name: "two values for one algorithm", header: "Digest", value: "md5=" + md64 + ",md5=AQAAAAAAAAAAAAAAAAAAAA==", wantReason: "digest_mismatch"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := declaredHashes(http.Header{http.CanonicalHeaderKey(tt.header): {tt.value}})
			if packhouse.ReasonOf(err) != tt.wantReason || err == nil && got != tt.want {
				t.Errorf("got %+v, %v, want %+v, %s", got, err, tt.want, tt.wantReason)
			}
		})
	}
}

func TestNewest(t *testing.T) {
	for _, tt := range []struct {
		name, versions, want string // versions in the order of their publishing
	}{
		{name: "no versions"},
		{name: "numbers are not text", versions: "1.10.0 1.9.0", want: "1.10.0"},
		{name: "a pre-release is not the latest", versions: "1.9.0 1.10.0 2.0.0-rc1", want: "1.10.0"},
		{name: "unless there is nothing else", versions: "2.0.0-rc2 2.0.0-rc1", want: "2.0.0-rc2"},
		{name: "by time when one is not semantic", versions: "9.0.0 nightly_3 1.0.0", want: "1.0.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var list []format.HeldVersion
			for i, v := range strings.Fields(tt.versions) {
				list = append(list, held(v, packhouse.Published, time.Unix(int64(i), 0)))
			}
			if got := (protocol{}).newest(list); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func held(version string, status packhouse.Status, at time.Time) format.HeldVersion {
	v := format.HeldVersion{PackageVersion: packhouse.PackageVersion{Status: status, Published: at}}
	v.Ref.Version = version
	return v
}

func TestAssetPaths(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "a/b c/d+e~f@g": true, "é/中.txt": true, strings.Repeat("é", 255): true,
		"": false, "/a": false, "a/": false, "a//b": false, "../a": false, "a/./b": false, "a /b": false, `a\b`: false,
		"a\x00": false, "e\u0301": false, "a\xff": false, strings.Repeat("a", 256): false, "a\u202eb": false, "a%b": false,
	} {
		if got := badAssetPath(name); (got == "") != good {
			t.Errorf("%q: %q, want good: %v", name, got, good)
		}
	}
}

func TestErrors(t *testing.T) {
	conflict := packhouse.Conflictf(reasonFinished, packhouse.ResourceVersion, "1.0", "version 1.0 is Published")
	gone := packhouse.NotFoundf(packhouse.ResourceVersion, "1.0", "disposed")
	gone.Reason = reasonDisposed
	for _, tt := range []struct {
		name, agent, accept string
		err                 error
		wantStatus          int
		wantBody            string
	}{
		{name: "JSON for programs", agent: "x/1", err: conflict, wantStatus: 409,
			wantBody: `{"errors":[{"code":"version_finished","message":"version 1.0 is Published; to publish several files, send all but the last with X-Packhouse-Unfinished: true"}]}`},
		{name: "text for curl", agent: "curl/8.5", accept: "*/*", err: gone, wantStatus: 410, wantBody: "disposed"},
		{name: "text for wget", agent: "Wget/1.21", err: preconditionFailed("no"), wantStatus: 412, wantBody: "no"},
		{name: "JSON for curl that asks for it", agent: "curl/8.5", accept: "text/plain, application/problem+json", err: packhouse.Invalidf(reasonMismatch, "bad"),
			wantStatus: 422, wantBody: `{"errors":[{"code":"digest_mismatch","message":"bad"}]}`},
		{name: "our own faults stay here", agent: "x/1", err: errors.New("secret"), wantStatus: 500,
			wantBody: `{"errors":[{"code":"internal","message":"internal error"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPut, "/", nil)
			r.Header.Set("User-Agent", tt.agent)
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			New().WriteError(w, r, tt.err)
			if w.Code != tt.wantStatus || strings.TrimSpace(w.Body.String()) != tt.wantBody {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.wantStatus, tt.wantBody)
			}
		})
	}
}

// house holds one package: what is asked of it before the body is what counts here.
type house struct {
	format.House
	held     format.Held
	heldErr  error
	repeated bool
	got      *format.Publication
}

func (h *house) Held(context.Context, packhouse.Principal, packhouse.PackageRef, string) (format.Held, error) {
	return h.held, h.heldErr
}

func (h *house) Stage(_ context.Context, _ packhouse.Principal, _ packhouse.PackageRef, r io.Reader, _ int64) (format.Staged, error) {
	b, err := io.ReadAll(r)
	return staged{bytes.NewReader(b)}, err
}

func (h *house) Publish(_ context.Context, _ packhouse.Principal, p format.Publication) (format.Outcome, error) {
	h.got = &p
	return format.Outcome{Repeated: h.repeated}, nil
}

type staged struct{ *bytes.Reader }

func (s staged) Hashes() packhouse.Hashes { return packhouse.Hashes{} }
func (s staged) Discard()                 {}

// body notes that it was read.
type body struct{ read bool }

func (b *body) Read([]byte) (int, error) { b.read = true; return 0, io.EOF }

func TestPutDecidesBeforeTheBody(t *testing.T) {
	old := sha256.Sum256([]byte("old"))
	one := func(s packhouse.Status, writer bool) format.Held {
		v := held("1.0", s, time.Time{})
		v.Assets = []packhouse.Asset{{Name: "a", Digest: old}}
		return format.Held{Versions: []format.HeldVersion{v}, Writer: writer}
	}
	set := func(h format.Held, overwrite, late bool) format.Held {
		h.Overwrite, h.LateAssets = overwrite, late
		return h
	}
	none := packhouse.NotFoundf(packhouse.ResourcePackage, "box", "none")
	other := strings.Repeat("0", 64)
	tag := etag(hex.EncodeToString(old[:]))
	for _, tt := range []struct {
		name, path    string
		header, value string
		house         house
		wantReason    string // "" when the body is to be read
		wantReplaces  bool
	}{
		{name: "a new package", path: "a", house: house{heldErr: none}},
		{name: "a late file where they are taken", path: "b", house: house{held: set(one(packhouse.Published, true), false, true)}},
		{name: "a late file of an archived version", path: "b", house: house{held: set(one(packhouse.Archived, true), false, true)}, wantReason: "version_exists"},
		{name: "other bytes, by their sum", path: "a", header: "X-Checksum-Sha256", value: other, house: house{held: one(packhouse.Unfinished, true)}, wantReason: "version_exists"},
		{name: "other bytes where they are taken", path: "a", header: "X-Checksum-Sha256", value: other, house: house{held: set(one(packhouse.Unfinished, true), true, false)}},
		{name: "other bytes of a finished version", path: "a", header: "X-Checksum-Sha256", value: other, house: house{held: set(one(packhouse.Published, true), true, true)}, wantReason: "version_exists"},
		{name: "other bytes under a condition that holds", path: "a", header: "If-None-Match", value: `"x"`, house: house{held: set(one(packhouse.Unfinished, true), true, false)}, wantReplaces: true},
		{name: "other bytes under a condition that does not", path: "a", header: "If-Match", value: `"x"`, house: house{held: set(one(packhouse.Unfinished, true), true, false)}, wantReason: reasonPrecondition},
		{name: "a bad path", path: "a:b", wantReason: "invalid_asset_name"},
		{name: "a bad header", path: "a", header: headerUnfinished, value: "maybe", wantReason: "invalid_header"},
		{name: "a part of a file", path: "a", header: "Content-Range", value: "bytes 0-1/2", wantReason: "partial_put"},
		{name: "another file of a finished version", path: "b", house: house{held: one(packhouse.Published, true)}, wantReason: reasonFinished},
		{name: "any file of an archived version", path: "a", house: house{held: one(packhouse.Archived, true)}, wantReason: "version_exists"},
		{name: "nothing is told to readers", path: "b", house: house{held: one(packhouse.Published, false)}},
		{name: "the same path, unknown bytes", path: "a", house: house{held: one(packhouse.Published, true)}},
		{name: "the same path, other bytes by their sum", path: "a", header: "X-Checksum-Sha256", value: strings.Repeat("0", 64), house: house{held: one(packhouse.Published, true)}, wantReason: "version_exists"},
		{name: "only if it does not exist", path: "a", header: "If-None-Match", value: "*", house: house{held: one(packhouse.Unfinished, true)}, wantReason: reasonPrecondition},
		{name: "somebody was quicker", path: "a", header: "If-None-Match", value: "*", house: house{heldErr: none, repeated: true}, wantReason: reasonPrecondition},
		{name: "replace what is there", path: "a", header: "If-Match", value: tag, house: house{held: one(packhouse.Unfinished, true)}, wantReplaces: true},
		{name: "replace something else", path: "a", header: "If-Match", value: `"x"`, house: house{held: one(packhouse.Unfinished, true)}, wantReason: reasonPrecondition},
		{name: "replace one of several", path: "a", header: "If-Match", value: `"x", ` + tag, house: house{held: one(packhouse.Unfinished, true)}, wantReplaces: true},
		{name: "a weak tag matches no bytes (RFC 9110 13.1.1)", path: "a", header: "If-Match", value: "W/" + tag, house: house{held: one(packhouse.Unfinished, true)}, wantReason: reasonPrecondition},
		{name: "only if it is something else", path: "a", header: "If-None-Match", value: `"x", W/` + tag, house: house{held: one(packhouse.Unfinished, true)}, wantReason: reasonPrecondition},
		{name: "and it is", path: "a", header: "If-None-Match", value: `"x"`, house: house{held: one(packhouse.Unfinished, true)}},
		{name: "replace nothing", path: "a", header: "If-Match", value: "*", house: house{heldErr: none}, wantReason: reasonPrecondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &body{}
			r := httptest.NewRequest(http.MethodPut, "/", b)
			if tt.header != "" {
				r.Header.Set(tt.header, tt.value)
			}
			w := httptest.NewRecorder()
			err := protocol{New(), &tt.house}.put(w, &format.Request{Request: r,
				Vars: map[string]string{"ns": "-", "name": "box", "version": "1.0", "path": tt.path}})
			if packhouse.ReasonOf(err) != tt.wantReason {
				t.Fatalf("got %v, want %q", err, tt.wantReason)
			}
			wantRead := tt.wantReason == "" || tt.house.repeated
			if b.read != wantRead || (tt.house.got != nil) != wantRead {
				t.Fatalf("body read: %v, published %+v, want %v", b.read, tt.house.got, wantRead)
			}
			if a := tt.house.got; wantRead && a.Assets[0].Overwrite != (tt.header != "If-Match" && tt.header != "If-None-Match") {
				t.Errorf("overwrites: %v with %s", a.Assets[0].Overwrite, tt.header)
			}
			if wantRead && (tt.house.got.Package.Package.Namespace != "default" || (tt.house.got.Assets[0].Replaces != "") != tt.wantReplaces) {
				t.Errorf("published %+v", tt.house.got)
			}
		})
	}
}

func TestEncodedSlashIs400(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "/generic/main/repo/ns/box/1.0/a%2Fb", nil)
	w := httptest.NewRecorder()
	New().WriteError(w, r, packhouse.NotFoundf("path", "", "nothing"))
	if w.Code != http.StatusBadRequest {
		t.Errorf("got %d, want 400", w.Code)
	}
	r = httptest.NewRequest(http.MethodGet, "/generic/main/repo/a", nil)
	w = httptest.NewRecorder()
	New().WriteError(w, r, packhouse.NotFoundf("path", "", "nothing"))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d, want 404", w.Code)
	}
}
