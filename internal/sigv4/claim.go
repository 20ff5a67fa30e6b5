package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeLayout = "20060102T150405Z"

	// MaxSkew is how far the client's clock may be off (S6).
	MaxSkew = 5 * time.Minute
	// maxPresigned bounds the life of a presigned request (S6).
	maxPresigned = 7 * 24 * time.Hour

	maxAuthorization = 8 << 10 // bytes
	maxSignedHeaders = 100

	querySignature = "X-Amz-Signature"
)

// claim is what a request says about its signature; nothing of it is proved yet.
type claim struct {
	presigned bool
	keyID     string
	date      string // of the scope
	region    string
	service   string
	headers   []string // SignedHeaders: lower case, sorted, each once
	signature string   // 64 lower-case hexadecimal digits
	at        time.Time
	expires   time.Duration // presigned only
	token     string        // session token, "" for none
	payload   string        // x-amz-content-sha256, "" for none
}

// queryParameters are those of a presigned request, by their lower-case names.
var queryParameters = map[string]bool{
	"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-expires": true,
	"x-amz-signedheaders": true, "x-amz-signature": true, "x-amz-security-token": true,
}

// readClaim finds the one place where r carries its credential and reads it.
func readClaim(r *http.Request) (*claim, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		// A pair that cannot be decoded would be left out of the signed text, and so
		// could be added by anybody.
		return nil, packhouse.Invalidf("invalid_query", "The query string is malformed.")
	}
	inQuery := false
	for name := range query {
		inQuery = inQuery || queryParameters[strings.ToLower(name)]
	}
	headers := r.Header.Values("Authorization")
	var c *claim
	switch {
	case len(headers) > 1, len(headers) == 1 && inQuery:
		return nil, packhouse.Invalidf("two_credentials", "The request carries more than one credential.")
	case len(headers) == 1:
		c, err = readHeader(r, headers[0])
	case inQuery:
		c, err = readQuery(r, query)
	default:
		return nil, unauthenticated("missing_token", "The request carries no signature.")
	}
	if err != nil {
		return nil, err
	}
	return c, c.checkHeaders(r)
}

func incomplete(what string) error {
	return unauthenticated("incomplete_signature", "The request signature is incomplete: "+what+".")
}

// readHeader reads the form with an Authorization header.
func readHeader(r *http.Request, value string) (*claim, error) {
	rest, ok := strings.CutPrefix(value, algorithm+" ")
	if !ok || len(value) > maxAuthorization {
		return nil, incomplete("the Authorization header must begin with " + algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; !ok || twice {
			return nil, incomplete("the Authorization header must have Credential, SignedHeaders and Signature, once each")
		}
		parts[name] = value
	}
	if len(parts) != 3 {
		return nil, incomplete("the Authorization header must have Credential, SignedHeaders and Signature, once each")
	}
	c := &claim{signature: parts["Signature"]}
	var date string
	for _, h := range []struct {
		name  string
		value *string
		must  bool
	}{
		{"X-Amz-Date", &date, true}, {"X-Amz-Security-Token", &c.token, false}, {"X-Amz-Content-Sha256", &c.payload, false},
	} {
		values := r.Header.Values(h.name)
		if len(values) > 1 || h.must && len(values) == 0 {
			return nil, incomplete("there must be one " + h.name + " header")
		}
		if len(values) == 1 {
			*h.value = values[0]
		}
	}
	return c, c.read(parts["Credential"], parts["SignedHeaders"], date)
}

// readQuery reads the presigned form.
func readQuery(r *http.Request, query url.Values) (*claim, error) {
	get := func(name string) string {
		if values := query[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	for name, values := range query {
		if queryParameters[strings.ToLower(name)] && len(values) != 1 {
			return nil, incomplete(name + " is given more than once")
		}
	}
	// A token in the header beside one in the query is a second credential.
	if len(r.Header.Values("X-Amz-Security-Token")) > 0 {
		return nil, packhouse.Invalidf("two_credentials", "The request carries more than one credential.")
	}
	if r.Method != http.MethodGet {
		return nil, packhouse.Invalidf("presigned_method", "Only GET requests can be presigned.")
	}
	if get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be " + algorithm)
	}
	seconds, err := strconv.ParseUint(get("X-Amz-Expires"), 10, 32)
	life := time.Duration(seconds) * time.Second
	if err != nil || life == 0 || life > maxPresigned {
		return nil, incomplete("X-Amz-Expires must be from 1 to 604800 seconds")
	}
	c := &claim{presigned: true, expires: life, signature: get(querySignature), token: get("X-Amz-Security-Token")}
	return c, c.read(get("X-Amz-Credential"), get("X-Amz-SignedHeaders"), get("X-Amz-Date"))
}

// read takes apart what both forms have.
func (c *claim) read(credential, headers, date string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[0] == "" || scope[4] != terminator {
		return incomplete("the credential must be KEYID/DATE/REGION/SERVICE/" + terminator)
	}
	c.keyID, c.date, c.region, c.service = scope[0], scope[1], scope[2], scope[3]
	if !lowerHex(c.signature) {
		return incomplete("the signature must be 64 lower-case hexadecimal digits")
	}
	at, err := time.Parse(timeLayout, date)
	if err != nil || at.Format(timeLayout) != date { // Parse takes fractions as well
		return incomplete("the date must look like 20060102T150405Z")
	}
	c.at = at
	c.headers = strings.Split(headers, ";")
	if len(c.headers) > maxSignedHeaders || !slices.IsSorted(c.headers) || strings.ToLower(headers) != headers {
		return incomplete("SignedHeaders must be lower-case names in order")
	}
	if len(slices.Compact(slices.Clone(c.headers))) != len(c.headers) {
		return incomplete("SignedHeaders names a header twice")
	}
	return nil
}

func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}

// checkHeaders checks that what must be signed is, and that what is signed was sent.
func (c *claim) checkHeaders(r *http.Request) error {
	if !slices.Contains(c.headers, "host") {
		return incomplete("the host header must be signed")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(c.headers, name) {
			return incomplete("all x-amz-* headers must be signed")
		}
	}
	for _, name := range c.headers {
		switch {
		case name == "authorization":
			return incomplete("the Authorization header cannot be signed")
		case name == "host":
		case name == "content-length" && r.ContentLength >= 0:
		case len(r.Header.Values(name)) == 0:
			return incomplete("a signed header is missing")
		}
	}
	return nil
}

// check checks scope and time against ours.
func (c *claim) check(region, service string, now time.Time) error {
	switch {
	case c.date != c.at.Format("20060102"):
		return invalidScope("the date of the credential scope is not the request's")
	case c.region != region:
		return invalidScope("the credential scope must name region " + region)
	case c.service != service:
		return invalidScope("the credential scope must name service " + service)
	case c.at.Sub(now) > MaxSkew:
		return invalidScope("it is from the future; check the clock of the client (server time " + now.UTC().Format(timeLayout) + ")")
	case !c.presigned && now.Sub(c.at) > MaxSkew:
		return invalidScope("it is too old; check the clock of the client (server time " + now.UTC().Format(timeLayout) + ")")
	case c.presigned && now.Sub(c.at) >= c.expires:
		return invalidScope("the presigned request has expired, or a clock is wrong (server time " + now.UTC().Format(timeLayout) + ")")
	}
	return nil
}

func invalidScope(what string) error {
	return unauthenticated("invalid_signature", "The request signature is not valid here: "+what+".")
}
