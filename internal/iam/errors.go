package iam

import (
	"bytes"
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/httpx"
	"github.com/packhouse/packhouse/internal/identity"
)

// answer is an error's code and status on this API.
type answer struct {
	code   string
	status int
}

var (
	failed       = answer{"ServiceFailure", http.StatusInternalServerError}
	away         = answer{"ServiceUnavailable", http.StatusServiceUnavailable}
	wrong        = answer{"ValidationError", http.StatusBadRequest}
	accessDenied = answer{"AccessDenied", http.StatusForbidden}
	throttled    = answer{"Throttling", http.StatusBadRequest}
)

// kinds is this door's column of layout.md 5.8.
var kinds = map[packhouse.Kind]answer{
	packhouse.KindInternal:        failed,
	packhouse.KindInvalid:         wrong,
	packhouse.KindUnauthenticated: accessDenied,
	packhouse.KindDenied:          accessDenied,
	packhouse.KindNotFound:        {"NoSuchEntity", http.StatusNotFound},
	packhouse.KindConflict:        {"EntityAlreadyExists", http.StatusConflict},
	packhouse.KindQuotaExceeded:   {"LimitExceeded", http.StatusConflict},
	packhouse.KindTooLarge:        {"RequestEntityTooLarge", http.StatusRequestEntityTooLarge},
	packhouse.KindThrottled:       throttled,
	packhouse.KindUnsupported:     {"InvalidAction", http.StatusBadRequest},
	packhouse.KindUpstream:        failed,
	packhouse.KindUpstreamTimeout: failed,
	packhouse.KindUnavailable:     away,
	packhouse.KindDiskLow:         away,
}

// reasons are the codes that go before those of the kinds. Unknown keys and wrong
// secrets have one code and one text, so that nobody learns which keys exist
// (reliability.md S6); what a session token is, only its owner can know.
var reasons = map[string]answer{
	"missing_token":           {"MissingAuthenticationToken", http.StatusForbidden},
	"credentials_required":    {"MissingAuthenticationToken", http.StatusForbidden},
	"incomplete_signature":    {"IncompleteSignature", http.StatusBadRequest},
	"invalid_signature":       {"SignatureDoesNotMatch", http.StatusForbidden},
	"payload_mismatch":        {"SignatureDoesNotMatch", http.StatusForbidden},
	"unrecognized_client":     {"InvalidClientTokenId", http.StatusForbidden},
	"expired_token":           {"ExpiredToken", http.StatusForbidden},
	"invalid_identity_token":  {"InvalidIdentityToken", http.StatusBadRequest},
	"expired_identity_token":  {"ExpiredTokenException", http.StatusBadRequest},
	"idp_communication":       {"IDPCommunicationError", http.StatusBadRequest},
	"weak_password":           {"PasswordPolicyViolation", http.StatusBadRequest},
	"invalid_policy":          {"MalformedPolicyDocument", http.StatusBadRequest},
	"packed_policy_too_large": {"PackedPolicyTooLarge", http.StatusBadRequest},
	reasonParse:               {"MalformedQueryString", http.StatusBadRequest},
	identity.ReasonInUse:      {"DeleteConflict", http.StatusConflict},
}

type errorBody struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Error     struct {
		Type    string
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

// writeError answers with err; row is nil for unknown actions. Only here is a status
// chosen; the edge logs the cause.
func writeError(w http.ResponseWriter, row *operation, requestID string, err error) {
	var e *packhouse.Error
	if !errors.As(err, &e) {
		e = packhouse.Internal(err)
	}
	ans := kinds[e.Kind]
	if special, ok := reasons[e.Reason]; ok && e.Kind != packhouse.KindInternal {
		ans = special
	}
	body := errorBody{Namespace: iamService.namespace, RequestID: requestID}
	if row != nil {
		body.Namespace = row.service.namespace
	}
	body.Error.Type, body.Error.Code, body.Error.Message = "Sender", ans.code, e.Message
	if ans.status >= http.StatusInternalServerError {
		body.Error.Type = "Receiver"
	}
	if e.Kind == packhouse.KindInternal {
		ans.status = httpx.Status(e) // a client that hung up is no failure
		body.Error.Message = "The server failed to answer this request; its log tells why under the request id."
	}
	if ans == throttled || ans == away {
		httpx.SetRetryAfter(w.Header(), e)
	}
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).Encode(body); err != nil {
		panic("iam: an error cannot be encoded: " + err.Error()) // texts always can
	}
	write(w, ans.status, b.Bytes())
}
