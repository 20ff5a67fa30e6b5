package codeartifact

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/codeartifact"
	"github.com/aws/aws-sdk-go-v2/service/codeartifact/types"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// wantTyped fails unless err is a typed error of the SDK.
func wantTyped[E error](t *testing.T, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Errorf("got %v, want a %v", err, reflect.TypeFor[E]())
	}
	return e
}

// TestErrorColumn is CodeArtifact's column of layout.md 5.8, as the wire shows it.
func TestErrorColumn(t *testing.T) {
	about := func(e *packhouse.Error) *packhouse.Error {
		e.Resource, e.ResourceID, e.Message = packhouse.ResourcePackage, "box", "said why"
		return e
	}
	kind := func(k packhouse.Kind, reason string) *packhouse.Error {
		return about(&packhouse.Error{Kind: k, Reason: reason})
	}
	const plainBody = `{"message":"said why"}`
	const resource = `{"message":"said why","resourceId":"box","resourceType":"package"}`
	reason := func(r string) string { return `{"message":"said why","reason":"` + r + `"}` }
	hidden := `{"message":"The server failed to answer this request; its log tells why under the request id."}`
	for _, tt := range []struct {
		err    error
		status int
		code   string
		body   string
		retry  string
	}{
		{kind(packhouse.KindInvalid, reasonParse), 400, "ValidationException", reason("CANNOT_PARSE"), ""},
		{kind(packhouse.KindInvalid, reasonConstraint), 400, "ValidationException", reason("FIELD_VALIDATION_FAILED"), ""},
		{kind(packhouse.KindInvalid, "encryption_key"), 400, "ValidationException", reason("ENCRYPTION_KEY_ERROR"), ""},
		{kind(packhouse.KindInvalid, "upstream_cycle"), 400, "ValidationException", reason("OTHER"), ""},
		{kind(packhouse.KindTooLarge, "body_too_large"), 400, "ValidationException", reason("OTHER"), ""},
		{kind(packhouse.KindUnsupported, "x"), 400, "ValidationException", reason("UNKNOWN_OPERATION"), ""},
		{kind(packhouse.KindUnauthenticated, "missing_token"), 403, "MissingAuthenticationTokenException", plainBody, ""},
		{kind(packhouse.KindUnauthenticated, "incomplete_signature"), 400, "IncompleteSignatureException", plainBody, ""},
		{kind(packhouse.KindUnauthenticated, "invalid_signature"), 403, "InvalidSignatureException", plainBody, ""},
		{kind(packhouse.KindUnauthenticated, "expired_token"), 403, "ExpiredTokenException", plainBody, ""},
		{kind(packhouse.KindDenied, "x"), 403, "AccessDeniedException", plainBody, ""},
		{kind(packhouse.KindNotFound, "x"), 404, "ResourceNotFoundException", resource, ""},
		{&packhouse.Error{Kind: packhouse.KindNotFound, Resource: "package-group", ResourceID: "/*", Message: "said why"}, 404,
			"ResourceNotFoundException", `{"message":"said why","resourceId":"/*"}`, ""},
		{kind(packhouse.KindConflict, "x"), 409, "ConflictException", resource, ""},
		{kind(packhouse.KindQuotaExceeded, "x"), 402, "ServiceQuotaExceededException", resource, ""},
		{&packhouse.Error{Kind: packhouse.KindThrottled, RetryAfter: 1500 * time.Millisecond, Message: "said why"}, 429, "ThrottlingException", plainBody, "2"},
		{kind(packhouse.KindUpstream, "x"), 500, "InternalServerException", plainBody, ""},
		{kind(packhouse.KindUpstreamTimeout, "x"), 500, "InternalServerException", plainBody, ""},
		{kind(packhouse.KindUnavailable, "x"), 503, "InternalServerException", plainBody, "5"},
		{kind(packhouse.KindDiskLow, "x"), 503, "InternalServerException", plainBody, "60"},
		{packhouse.Internal(errors.New("secret cause")), 500, "InternalServerException", hidden, ""},
		{errors.New("secret cause"), 500, "InternalServerException", hidden, ""},
		{fmt.Errorf("read: %w", context.Canceled), httpx.StatusClientGone, "InternalServerException", hidden, ""},
		{context.DeadlineExceeded, 503, "InternalServerException", hidden, ""},
		{fmt.Errorf("wrapped: %w", kind(packhouse.KindDenied, "x")), 403, "AccessDeniedException", plainBody, ""},
	} {
		t.Run(fmt.Sprint(packhouse.KindOf(tt.err), " ", packhouse.ReasonOf(tt.err)), func(t *testing.T) {
			d := newDoor(t)
			d.service.fail = tt.err
			r := d.send(t, "POST", "/v1/repository?domain=test-domain&repository=test-repo", "") // lists every error
			if r.status != tt.status || r.code() != tt.code || strings.TrimSpace(r.body) != tt.body || r.header.Get("Retry-After") != tt.retry {
				t.Errorf("got %d %s %s retry %q, want %d %s %s %q", r.status, r.code(), r.body, r.header.Get("Retry-After"),
					tt.status, tt.code, tt.body, tt.retry)
			}
			if r.header.Get("X-Amzn-Requestid") == "" || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", r.header)
			}
			if rec := d.told(); !errors.Is(rec.Err, tt.err) || rec.Op != "CreateRepository" || rec.Principal != caller.ARN || rec.Domain != "test-domain" {
				t.Errorf("the edge was told %+v", rec)
			}
		})
	}
}

// TestErrorsAreListed: whatever the engine answers, an operation tells it by an error
// that the model lists for it, so that every client has a type for it (codeartifact.md
// 1.2). What says nothing about the request is the exception, and the domain that
// DeleteDomain did not find (1.6).
func TestErrorsAreListed(t *testing.T) {
	list, shapes := readModel(t)
	all := slices.Sorted(maps.Values(modelErrors))
	d := newDoor(t)
	for _, o := range list {
		t.Run(o.name, func(t *testing.T) {
			var missing []string
			for _, code := range all {
				if !slices.Contains(o.errors, code) {
					missing = append(missing, code)
				}
			}
			if !slices.Equal(unlisted[o.name], missing) {
				t.Errorf("unlisted %v, want %v", unlisted[o.name], missing)
			}
			for kind := range kinds {
				if kind == packhouse.KindUnauthenticated {
					continue // not modelled
				}
				d.service.fail = &packhouse.Error{Kind: kind, Reason: "x", Message: "said why", Resource: packhouse.ResourceDomain, ResourceID: "d"}
				r := d.sendModel(t, o, shapes, nil)
				exception := r.status >= 500 || r.status == 429 || o.name == "DeleteDomain" && r.status == 404
				if !slices.Contains(o.errors, r.code()) && !exception {
					t.Errorf("%s is told as %d %s", kind, r.status, r.code())
				}
				if r.code() == validationFailed && (r.status != 400 || r.member(t, "reason") == "" || r.member(t, "resourceId") != "") {
					t.Errorf("%s is told as %d %s", kind, r.status, r.body)
				}
			}
			d.service.fail = nil
		})
	}
	for name := range unlisted {
		if !slices.ContainsFunc(list, func(o modelOperation) bool { return o.name == name }) {
			t.Errorf("%s is no operation", name)
		}
	}
}

// TestErrorsAreTyped: the real client finds its own types and their members
// (codeartifact.md 5.4, case 15).
func TestErrorsAreTyped(t *testing.T) {
	d := newDoor(t)
	call := func(err error) error {
		d.service.fail = err
		_, got := d.client().CreateRepository(context.Background(), &sdk.CreateRepositoryInput{Domain: inDomain, Repository: inRepo})
		return got
	}
	conflict := wantTyped[*types.ConflictException](t, call(packhouse.Conflictf("repository_exists", packhouse.ResourceRepository, "test-repo", "It exists.")))
	if conflict != nil && (*conflict.ResourceId != "test-repo" || conflict.ResourceType != types.ResourceTypeRepository || *conflict.Message != "It exists.") {
		t.Errorf("got %+v", conflict)
	}
	throttled := wantTyped[*types.ThrottlingException](t, call(&packhouse.Error{Kind: packhouse.KindThrottled, RetryAfter: 3 * time.Second}))
	if throttled != nil && *throttled.RetryAfterSeconds != 3 {
		t.Errorf("retry after %d", *throttled.RetryAfterSeconds)
	}
	invalid := wantTyped[*types.ValidationException](t, call(packhouse.Invalidf("encryption_key", "no")))
	if invalid != nil && invalid.Reason != types.ValidationExceptionReasonEncryptionKeyError {
		t.Errorf("reason %s", invalid.Reason)
	}
	var api interface {
		error
		ErrorCode() string
	}
	if err := call(&packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "expired_token"}); !errors.As(err, &api) || api.ErrorCode() != "ExpiredTokenException" {
		t.Errorf("got %v", err)
	}
}
