package codeartifact

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestCase000_7: every status may be expected, and nothing else.
func TestCase000_7(t *testing.T) {
	d := newDoor(t)
	const target = "/v1/package/versions/delete?domain=test-domain&repository=test-repo&format=npm&package=test-package"
	for _, status := range []string{"Published", "Unfinished", "Unlisted", "Archived", "Disposed", "Deleted"} {
		if r := d.send(t, "POST", target, `{"versions":["4.0.0"],"expectedStatus":"`+status+`"}`); r.status != 200 {
			t.Errorf("%s: got %d %s", status, r.status, r.body)
		}
	}
	wantInvalid(t, d.send(t, "POST", target, `{"versions":["4.0.0"],"expectedStatus":"published"}`), "FIELD_VALIDATION_FAILED")
}

// TestCase000_9: every format of the service is a good value, and nothing else.
func TestCase000_9(t *testing.T) {
	d := newDoor(t)
	const target = "/v1/package/versions?domain=test-domain&repository=test-repo&package=test-package&format="
	for _, format := range sdkFormats() {
		if r := d.send(t, "POST", target+string(format), ""); r.status != 200 {
			t.Errorf("%s: got %d %s", format, r.status, r.body)
		}
	}
	wantInvalid(t, d.send(t, "POST", target+"foo", ""), "FIELD_VALIDATION_FAILED")
}

// TestCase000_12: the owner may be left out, and has twelve digits.
func TestCase000_12(t *testing.T) {
	d := newDoor(t)
	const target = "/v1/domain?domain=test-domain"
	without := d.send(t, "GET", target, "")
	_, given := d.service.last()
	with := d.send(t, "GET", target+"&domain-owner="+testAccount, "")
	_, givenToo := d.service.last()
	if without.status != 200 || without.body != with.body || given[1] != givenToo[1] {
		t.Errorf("got %d %s and %s, engine %v and %v", without.status, without.body, with.body, given, givenToo)
	}
	wantInvalid(t, d.send(t, "GET", target+"&domain-owner=12345", ""), "FIELD_VALIDATION_FAILED")
}

// TestCase000_13: a hundred versions at most.
func TestCase000_13(t *testing.T) {
	d := newDoor(t)
	const target = "/v1/package/versions/delete?domain=test-domain&repository=test-repo&format=npm&package=test-package"
	versions := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`"1.0.%d"`, i)
		}
		return `{"versions":[` + strings.Join(list, ",") + `]}`
	}
	if r := d.send(t, "POST", target, versions(100)); r.status != 200 {
		t.Errorf("100: got %d %s", r.status, r.body)
	}
	wantInvalid(t, d.send(t, "POST", target, versions(101)), "FIELD_VALIDATION_FAILED")
}

// TestCase001_29: every row answers an empty call itself.
func TestCase001_29(t *testing.T) {
	d := newDoor(t)
	for _, o := range operations() {
		r := d.request(t, o.method, o.path, "")
		got := exchange(t, signOver(t, r, hexSHA256("")))
		if o.name == "ListDomains" || o.name == "ListRepositories" {
			if got.status != 200 {
				t.Errorf("%s: got %d %s", o.name, got.status, got.body)
			}
			continue
		}
		wantInvalid(t, got, "FIELD_VALIDATION_FAILED")
	}
}

// TestCase003_3: exactly one of the two ways to name versions.
func TestCase003_3(t *testing.T) {
	d := newDoor(t)
	for _, body := range []string{"", "{}", `{"versions":["1"],"versionRevisions":{"1":"a"}}`, `{"versions":[],"versionRevisions":{}}`} {
		wantInvalid(t, d.send(t, "POST", copyTarget, body), "FIELD_VALIDATION_FAILED")
	}
	if len(d.service.calls) > 0 {
		t.Errorf("engine %v", d.service.calls)
	}
}

// TestCase003_15: the catalogue's literal command line, whose parameters stand behind
// a fragment mark and are never sent.
func TestCase003_15(t *testing.T) {
	d := newDoor(t)
	bare := func() *http.Request {
		r := d.request(t, "POST", "/v1/package/versions/copy", "")
		r.Header.Set("Accept", "application/json")
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	if r := exchange(t, bare()); r.status != 403 || r.code() != "MissingAuthenticationTokenException" {
		t.Errorf("unsigned: got %d %s %s", r.status, r.code(), r.body)
	}
	r := exchange(t, sign(t, bare(), ""))
	wantInvalid(t, r, "FIELD_VALIDATION_FAILED")
	for _, member := range []string{"domain", "sourceRepository", "destinationRepository", "format", "package"} {
		if !strings.Contains(r.body, "'"+member+"'") {
			t.Errorf("%s is not named in %s", member, r.body)
		}
	}
}

// TestCase003_16: the shape of answers is the model's, not the catalogue's.
func TestCase003_16(t *testing.T) {
	d := newDoor(t)
	r := d.send(t, "POST", copyTarget, `{"versions":["4.0.0","9.9.9"]}`)
	want := `{"successfulVersions":{"4.0.0":{"revision":"` + sampleRevision + `","status":"Published"}},` +
		`"failedVersions":{"9.9.9":{"errorCode":"NOT_FOUND","errorMessage":"Could not find version 9.9.9"}}}`
	if r.status != 200 || strings.TrimSpace(r.body) != want {
		t.Errorf("got %d %s, want %s", r.status, r.body, want)
	}
	r = d.send(t, "POST", copyTarget, `{`)
	wantInvalid(t, r, "CANNOT_PARSE")
	if strings.Contains(r.body, "success") || strings.Contains(r.body, "error\":") {
		t.Errorf("got %s", r.body)
	}
}

// TestWhatIsNoOperation: unknown calls are told so after the signature, whatever is
// wrong with the path; an old container client's path is a plain 404.
func TestWhatIsNoOperation(t *testing.T) {
	d := newDoor(t)
	for _, call := range []string{"GET /v1/nothing", "GET /v1/domains", "POST /v1/domain/", "POST /v1//domain", "POST /v1/%64omain",
		"PATCH /v1/domain", "DELETE /v1/repository/permissions/policy", "GET /v1/", "POST /v1/search"} {
		method, path, _ := strings.Cut(call, " ")
		wantInvalid(t, d.send(t, method, path, ""), "UNKNOWN_OPERATION")
		if r := exchange(t, d.request(t, method, path, "")); r.code() != "MissingAuthenticationTokenException" {
			t.Errorf("%s unsigned: got %d %s", call, r.status, r.code())
		}
	}
	if r := exchange(t, d.request(t, "GET", "/v1/search?q=x", "")); r.status != 404 || r.code() != "" {
		t.Errorf("search: got %d %s %s", r.status, r.code(), r.body)
	}
}

// TestRequestRules is codeartifact.md 1.1.
func TestRequestRules(t *testing.T) {
	d := newDoor(t)
	t.Run("a parameter given twice", func(t *testing.T) {
		wantInvalid(t, d.send(t, "GET", "/v1/domain?domain=test-domain&domain=other-domain", ""), "CANNOT_PARSE")
		wantInvalid(t, d.send(t, "GET", "/v1/domain?domain=test-domain&%64omain=test-domain", ""), "CANNOT_PARSE")
	})
	t.Run("a broken escape", func(t *testing.T) {
		r := d.request(t, "GET", "/v1/domain?domain=test-domain", "")
		r.URL.RawQuery = "domain=%zz"
		if got := exchange(t, signOver(t, r, hexSHA256(""))); got.status < 400 || got.status > 499 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("a revision's plus, slash and equals sign arrive", func(t *testing.T) {
		r := d.send(t, "GET", "/v1/package/version/asset?domain=test-domain&repository=test-repo&format=npm&package=x&version=1&asset=a&revision=Ciqe5%2F9%2Bs%3D", "")
		if _, given := d.service.last(); r.status != 200 || given[2] != "Ciqe5/9+s=" {
			t.Errorf("got %d, engine %v", r.status, given)
		}
	})
	t.Run("an empty value is not an absent one", func(t *testing.T) {
		wantInvalid(t, d.send(t, "GET", "/v1/domain?domain=test-domain&domain-owner=", ""), "FIELD_VALIDATION_FAILED")
	})
	t.Run("any Content-Type", func(t *testing.T) {
		r := d.request(t, "POST", copyTarget, `{"versions":["1"]}`)
		r.Header.Set("Content-Type", "text/html")
		if got := exchange(t, sign(t, r, `{"versions":["1"]}`)); got.status != 200 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("a namespace prefix needs a format", func(t *testing.T) {
		wantInvalid(t, d.send(t, "POST", "/v1/packages?domain=test-domain&repository=test-repo&namespace=a", ""), "FIELD_VALIDATION_FAILED")
	})
	t.Run("a body of more than 1 MiB", func(t *testing.T) {
		r := d.send(t, "POST", copyTarget, `{"x":"`+strings.Repeat("x", defaultMaxBody)+`"}`)
		wantInvalid(t, r, "OTHER")
	})
	t.Run("a request id", func(t *testing.T) {
		a, b := d.send(t, "GET", "/v1/nothing", ""), d.send(t, "GET", "/v1/domain?domain=test-domain", "")
		if ids := [2]string{a.header.Get("X-Amzn-Requestid"), b.header.Get("X-Amzn-Requestid")}; ids[0] == "" || ids[1] == "" || ids[0] == ids[1] {
			t.Errorf("got %q", ids)
		}
	})
}

// TestNothingSecretIsTold: a canary secret and a canary token are in no log line and
// no error (reliability.md S38).
func TestNothingSecretIsTold(t *testing.T) {
	d := newDoor(t)
	d.service.fail = io.ErrUnexpectedEOF
	r := sign(t, d.request(t, "POST", "/v1/authorization-token?domain=test-domain", ""), "")
	signature := r.Header.Get("Authorization")
	got := exchange(t, r)
	told := fmt.Sprintf("%+v %v", d.told(), d.logged)
	for _, canary := range []string{testSecret, signature[strings.LastIndexByte(signature, '=')+1:], "v4.local.token"} {
		if strings.Contains(got.body, canary) || strings.Contains(told, canary) {
			t.Errorf("%q is in %s or %s", canary, got.body, told)
		}
	}
	if !strings.Contains(told, "unexpected EOF") {
		t.Error("nothing was told, so nothing was tested")
	}
}
