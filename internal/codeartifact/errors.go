package codeartifact

import (
	"errors"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
)

// answer is an error's code and status on this API.
type answer struct {
	code   string
	status int
}

var (
	validation = answer{validationFailed, http.StatusBadRequest}
	failed     = answer{internalServer, http.StatusInternalServerError}
	away       = answer{internalServer, http.StatusServiceUnavailable}
)

// kinds is CodeArtifact's column of layout.md 5.8.
var kinds = map[packhouse.Kind]answer{
	packhouse.KindInternal:        failed,
	packhouse.KindInvalid:         validation,
	packhouse.KindUnauthenticated: {"InvalidSignatureException", http.StatusForbidden},
	packhouse.KindDenied:          {accessDenied, http.StatusForbidden},
	packhouse.KindNotFound:        {resourceNotFound, http.StatusNotFound},
	packhouse.KindConflict:        {conflict, http.StatusConflict},
	packhouse.KindQuotaExceeded:   {quotaExceeded, http.StatusPaymentRequired},
	packhouse.KindTooLarge:        validation,
	packhouse.KindThrottled:       {throttling, http.StatusTooManyRequests},
	packhouse.KindUnsupported:     validation,
	packhouse.KindUpstream:        failed,
	packhouse.KindUpstreamTimeout: failed,
	packhouse.KindUnavailable:     away,
	packhouse.KindDiskLow:         away,
}

// credentialErrors are the codes of failed authentication, by reason; any other reason gets
// the code of its kind. The service would call an unknown key
// UnrecognizedClientException; here it is InvalidSignatureException like a wrong
// signature, so that nobody learns which keys exist (reliability.md S6). It is also the
// code at which SDKs look at the clock and try once more.
var credentialErrors = map[string]answer{
	"missing_token":        {"MissingAuthenticationTokenException", http.StatusForbidden},
	"incomplete_signature": {"IncompleteSignatureException", http.StatusBadRequest},
	"expired_token":        {"ExpiredTokenException", http.StatusForbidden},
	"unrecognized_client":  {"UnrecognizedClientException", http.StatusForbidden},
}

// validationReason returns the reason member of a ValidationException.
func validationReason(e *packhouse.Error) string {
	switch {
	case e.Kind == packhouse.KindUnsupported:
		return "UNKNOWN_OPERATION"
	case e.Reason == reasonParse:
		return "CANNOT_PARSE"
	case e.Reason == reasonConstraint:
		return "FIELD_VALIDATION_FAILED"
	case e.Reason == "encryption_key":
		return "ENCRYPTION_KEY_ERROR"
	}
	return "OTHER"
}

// resourceTypes are the values of the model's ResourceType; there is none for other
// things, and then the member is left out.
var resourceTypes = map[string]bool{
	packhouse.ResourceDomain: true, packhouse.ResourceRepository: true, packhouse.ResourcePackage: true,
	packhouse.ResourceVersion: true, packhouse.ResourceAsset: true,
}

// errorBody is the body of every error.
type errorBody struct {
	Message      string `json:"message"`
	Reason       string `json:"reason,omitempty"`
	ResourceID   string `json:"resourceId,omitempty"`
	ResourceType string `json:"resourceType,omitempty"`
}

// writeError answers with err; operation is "" where none was found. Only here is a
// status chosen; the edge logs the cause.
func writeError(w http.ResponseWriter, operation string, err error) {
	var e *packhouse.Error
	if !errors.As(err, &e) {
		e = packhouse.Internal(err)
	}
	ans := kinds[e.Kind]
	if special, ok := credentialErrors[e.Reason]; ok && e.Kind == packhouse.KindUnauthenticated {
		ans = special
	}
	ans = ans.listed(operation)
	body := errorBody{Message: e.Message}
	switch {
	case ans == validation:
		body.Reason = validationReason(e)
	case e.Kind == packhouse.KindNotFound, e.Kind == packhouse.KindConflict, e.Kind == packhouse.KindQuotaExceeded:
		body.ResourceID = e.ResourceID
		if resourceTypes[e.Resource] {
			body.ResourceType = e.Resource
		}
	case e.Kind == packhouse.KindInternal:
		ans.status = httpx.Status(e) // a client that hung up is no failure
		body.Message = "The server failed to answer this request; its log tells why under the request id."
	}
	h := w.Header()
	h.Set("X-Amzn-Errortype", ans.code)
	if ans.status == http.StatusTooManyRequests || ans == away {
		httpx.SetRetryAfter(h, e)
	}
	_ = httpx.WriteJSON(w, ans.status, body) // a client that hung up is no news
}
