package generic

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/format"
	"github.com/packhouse/packhouse/internal/httpx"
)

// The query of a signed link, which reads one file without credentials (generic.md 3).
const (
	queryExpires   = "exp" // seconds since 1970
	querySignature = "sig"
)

// defaultLinkLife is how long a link is good where nobody says.
const defaultLinkLife = 24 * time.Hour

// link is a signed link as it is answered.
type link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// sign makes a link to the file that the path names.
func (p protocol) sign(w http.ResponseWriter, r *format.Request) error {
	ref, err := p.assetOf(r)
	if err != nil {
		return err
	}
	life, invalid := linkLife(r.URL.Query())
	// Whoever may not read the file is told that first.
	signature, expires, err := p.house.SignLink(r.Context(), r.Who, ref, time.Now().Add(life))
	if err != nil {
		return err
	}
	if invalid != nil {
		return invalid
	}
	signed := url.Values{queryExpires: {strconv.FormatInt(expires.Unix(), 10)}, querySignature: {signature}}
	address := r.Base + escapePath(r.Var("ns")+"/"+r.Var("name")) + "/" + url.PathEscape(ref.Version) + "/" + escapePath(ref.Asset) + "?" + signed.Encode()
	w.Header().Set("Cache-Control", "no-store")
	return httpx.WriteJSON(w, http.StatusOK, link{address, expires})
}

// linkLife reads how long a link is to be good. The life is one to ask with also beside an
// error.
func linkLife(query url.Values) (time.Duration, error) {
	if query.Get("action") != "sign" {
		return defaultLinkLife, packhouse.Invalidf("invalid_action", "a file takes ?action=sign only")
	}
	s := query.Get("seconds")
	if s == "" {
		return defaultLinkLife, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return defaultLinkLife, packhouse.Invalidf("invalid_expiry", "seconds is how long the link is to be good, such as 3600")
	}
	return time.Duration(n) * time.Second, nil
}

// reader is who reads a file: whoever asks, or where that is nobody whoever signed the
// link.
func (p protocol) reader(r *format.Request, ref packhouse.AssetRef) (packhouse.Principal, error) {
	if !r.Who.IsAnonymous() {
		return r.Who, nil
	}
	expires, signature, err := parseLink(r.URL.Query())
	if err != nil {
		return r.Who, err
	}
	who, err := p.house.OpenLink(r.Context(), ref, expires, signature)
	if err == nil {
		httpx.RecordOf(r.Context()).Principal = who.ARN
	}
	return who, err
}

// parseLink reads the query of a link. Errors: Denied "invalid_link".
func parseLink(query url.Values) (expires time.Time, signature string, err error) {
	exp, sig := query[queryExpires], query[querySignature]
	if len(exp) == 1 && len(sig) == 1 {
		if n, err := strconv.ParseUint(exp[0], 10, 40); err == nil {
			return time.Unix(int64(n), 0), sig[0], nil
		}
	}
	return time.Time{}, "", packhouse.Deniedf("invalid_link", "The link is not whole.")
}
