package identity

import (
	"strconv"
	"time"

	"aidanwoods.dev/go-paseto"

	"github.com/packhouse/packhouse"
)

const (
	pageLife    = 24 * time.Hour
	claimCursor = "c"
)

// SealPage makes a page token out of a cursor, bound to the principal and the query;
// OpenPage opens it. Valid 24 h. It has no white space, and at most 2000 characters for
// cursors up to 1,300 bytes of plain text.
func (s *Service) SealPage(who packhouse.Principal, query, cursor string) string {
	t := paseto.NewToken()
	t.SetExpiration(time.Unix(0, s.clock()).Add(pageLife))
	t.SetString(claimCursor, cursor)
	return t.V4Encrypt(s.key, []byte(boundTo(who, query)))
}

// OpenPage opens what SealPage made for the same principal and query. Errors: Invalid
// "invalid_page_token", also when it is older than 24 h.
func (s *Service) OpenPage(who packhouse.Principal, query, token string) (cursor string, err error) {
	refused := packhouse.Invalidf("invalid_page_token", "The page token is not valid for this request, or has expired.")
	if len(token) > maxToken {
		return "", refused
	}
	t, ok := s.openSealed(token, boundTo(who, query))
	if !ok {
		return "", refused
	}
	expires, err := t.GetExpiration()
	if err != nil || s.clock() >= expires.UnixNano() {
		return "", refused
	}
	cursor, err = t.GetString(claimCursor)
	if err != nil {
		return "", refused
	}
	return cursor, nil
}

// boundTo is what a page token is only good for.
func boundTo(who packhouse.Principal, query string) string {
	return boundPage + "\x00" + strconv.FormatInt(who.ID, 10) + "\x00" + query
}
