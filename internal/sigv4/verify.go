package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/packhouse/packhouse"
)

// Key is a signing credential as the lookup returns it.
type Key struct {
	Secret       string
	SessionToken string // "" for long-lived keys
	Active       bool
	Principal    packhouse.Principal
}

// String names whose key it is, without the secret (S38).
func (k Key) String() string { return "key of " + k.Principal.ARN + " [redacted]" }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Verifier holds what is constant. Lookup returns ok=false for an unknown key.
type Verifier struct {
	Region  string
	Service string
	Now     func() time.Time // nil means time.Now
	Lookup  func(r *http.Request, accessKeyID, sessionToken string) (Key, bool, error)
	// Secure reports whether the request came over TLS (or a trusted proxy's TLS);
	// UNSIGNED-PAYLOAD is only taken there. nil means r.TLS != nil.
	Secure func(r *http.Request) bool
}

// Result is a verified request.
type Result struct {
	Principal packhouse.Principal
	KeyID     string
	// Hash identifies this signature, for the replay memory (S7).
	Hash [32]byte
	// Signed is when the request was signed.
	Signed time.Time
}

// Verify checks r, given its whole body (already bounded by the caller). For requests
// whose x-amz-content-sha256 is an input member, use VerifyStream. Errors are
// Unauthenticated with reasons "missing_token", "incomplete_signature",
// "invalid_signature" (also unknown and disabled keys, and a clock that is off) and
// "expired_token"; Invalid where a credential is given twice ("two_credentials"), where
// the query is malformed ("invalid_query"), where the body is not what was signed
// ("payload_mismatch") or signed in a way that is not taken
// ("unsupported_payload_mode"), and where a presigned request is no GET
// ("presigned_method"); and what Lookup returned.
//
// Source: reliability.md S6; codeartifact.md 1.1.
func (v *Verifier) Verify(r *http.Request, body []byte) (Result, error) {
	a, err := v.attempt(r)
	if err != nil {
		return Result{}, err
	}
	sum := sumOf(body)
	switch {
	case a.claim.presigned:
		if !a.signs(emptySum) {
			a.signs(unsignedPayload)
		}
		a.mismatch = len(body) > 0 // presigned requests have no body, whatever was signed
	case a.claim.payload == "":
		a.signs(sum)
	case a.claim.payload == unsignedPayload:
		if len(body) > 0 { // only uploads may leave their payload unsigned
			return Result{}, unsupportedPayload()
		}
		a.signs(unsignedPayload)
	default:
		// Where the header is an input member, one family of SDKs signs its value,
		// the other the hash of the real body.
		if !a.signs(a.claim.payload) {
			a.signs(sum)
		}
		a.mismatch = a.claim.payload != sum
	}
	return a.result()
}

// VerifyStream checks r before its body is read, trusting the x-amz-content-sha256
// header as payload hash: r.Body is then replaced and must be read to the end, where it
// fails with Invalid "payload_mismatch" instead of io.EOF if the payload is not what
// was signed. If the header is absent or does not match, spool receives the body and
// returns its SHA-256 in hex, which is tried second (codeartifact.md 1.1,
// PublishPackageVersion). needBody tells whether spool was used. A signed body that
// differs from the header is Invalid "payload_mismatch". UNSIGNED-PAYLOAD over a secure
// connection leaves the body unchecked: the caller needs a declared digest (S6). Other
// errors as for Verify, and spool's.
func (v *Verifier) VerifyStream(r *http.Request, spool func() (sha256hex string, err error)) (res Result, needBody bool, err error) {
	a, err := v.attempt(r)
	if err != nil {
		return Result{}, false, err
	}
	declared := a.claim.payload
	switch {
	case a.claim.presigned:
		if !a.signs(emptySum) {
			a.signs(unsignedPayload)
		}
		declared = emptySum
	case declared != "":
		a.signs(declared)
	}
	if a.signed || a.claim.presigned || declared == unsignedPayload {
		res, err = a.result()
		if err == nil && declared != unsignedPayload {
			r.Body = &checkedBody{body: r.Body, want: declared, hash: sha256.New()}
		}
		return res, false, err
	}
	sum, err := spool()
	if err != nil {
		return Result{}, true, err
	}
	a.signs(sum)
	a.mismatch = declared != "" && declared != sum
	res, err = a.result()
	return res, true, err
}

// attempt is one verification under way.
type attempt struct {
	request  *http.Request
	claim    *claim
	key      Key
	known    bool
	now      time.Time
	signed   bool // the signature was made with the key's secret
	mismatch bool // the body is not what was signed
}

// unknownSecret stands in for the secret of an unknown key, so that the work is the
// same. A signature made with it proves nothing: known stays false.
const unknownSecret = "0000000000000000000000000000000000000000"

func (v *Verifier) attempt(r *http.Request) (*attempt, error) {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	a := &attempt{request: r, now: now()}
	var err error
	if a.claim, err = readClaim(r); err != nil {
		return nil, err
	}
	if err := a.claim.check(v.Region, v.Service, a.now); err != nil {
		return nil, err
	}
	if err := v.checkPayloadMode(r, a.claim.payload); err != nil {
		return nil, err
	}
	a.key, a.known, err = v.Lookup(r, a.claim.keyID, a.claim.token)
	if err != nil {
		var known *packhouse.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, packhouse.Internal(err)
	}
	if !a.known {
		a.key = Key{Secret: unknownSecret}
	}
	return a, nil
}

func (v *Verifier) checkPayloadMode(r *http.Request, payload string) error {
	secure := r.TLS != nil
	if v.Secure != nil {
		secure = v.Secure(r)
	}
	if strings.HasPrefix(payload, "STREAMING-") || payload == unsignedPayload && !secure {
		return unsupportedPayload()
	}
	return nil
}

// signs reports whether the claimed signature is the key's over the request with that
// payload hash, and remembers a yes.
func (a *attempt) signs(payloadHash string) bool {
	want, err := a.sign(payloadHash)
	if err != nil {
		return false
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(a.claim.signature)) == 1 {
		a.signed = true
	}
	return a.signed
}

// sign signs the received request again, with exactly the headers that the claim names.
func (a *attempt) sign(payloadHash string) (signature string, err error) {
	c, r := a.claim, a.request
	again := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		URL:    &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
		Header: make(http.Header, len(c.headers)+2),
	}
	for _, name := range c.headers {
		switch {
		case name == "host":
		case name == "content-length":
			again.ContentLength = r.ContentLength
		case name == "x-amz-date" && !c.presigned: // the signer sets it
		default:
			// Keys stay in lower case: the signer would leave some canonical ones,
			// such as User-Agent, out.
			again.Header[name] = r.Header.Values(name)
		}
	}
	credentials := aws.Credentials{AccessKeyID: c.keyID, SecretAccessKey: a.key.Secret}
	// A signer of its own for each request: a signer remembers derived keys by key id,
	// not by secret.
	signer := v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableSessionToken = true // it is among the headers or in the query already
		o.DisableHeaderHoisting = true
	})
	if !c.presigned {
		err = signer.SignHTTP(context.Background(), credentials, again, payloadHash, c.service, c.region, c.at)
		_, signature, _ = strings.Cut(again.Header.Get("Authorization"), "Signature=")
		return signature, err
	}
	query := again.URL.Query()
	query.Del(querySignature)
	again.URL.RawQuery = query.Encode()
	signed, _, err := signer.PresignHTTP(context.Background(), credentials, again, payloadHash, c.service, c.region, c.at)
	_, signature, _ = strings.Cut(signed, querySignature+"=")
	return signature, err
}

// result says what came of it. One text serves every way in which a signature is not
// taken (S6).
func (a *attempt) result() (Result, error) {
	sameToken := subtle.ConstantTimeCompare([]byte(a.key.SessionToken), []byte(a.claim.token)) == 1
	switch {
	case !a.signed || !a.known || !a.key.Active || !sameToken:
		return Result{}, unauthenticated("invalid_signature", "The request signature does not match: check the access key, its secret and how the request is signed.")
	case !a.key.Principal.Expires.IsZero() && !a.now.Before(a.key.Principal.Expires):
		return Result{}, unauthenticated("expired_token", "The security token has expired.")
	case a.mismatch:
		return Result{}, payloadMismatch()
	}
	return Result{
		Principal: a.key.Principal,
		KeyID:     a.claim.keyID,
		Hash:      sha256.Sum256([]byte(a.claim.keyID + "\n" + a.claim.signature)),
		Signed:    a.claim.at,
	}, nil
}

func unauthenticated(reason, message string) error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: reason, Message: message}
}
