package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// MaxLink is the longest life of a signed link.
const MaxLink = 7 * 24 * time.Hour

// SignLink makes the signature of a link to what, which is good until expires, in whole
// seconds. It ends earlier with the principal's other credentials (S9), which is why it
// names the principal. It has at most 64 characters of A-Z a-z 0-9 - _ and a dot. Errors:
// Invalid "invalid_expiry" if expires is past or more than MaxLink ahead; Denied for an
// anonymous or disabled principal; Unavailable.
func (s *Service) SignLink(ctx context.Context, who packhouse.Principal, what string, expires time.Time) (string, error) {
	now := time.Unix(0, s.clock())
	if !expires.After(now) || expires.Sub(now) > MaxLink {
		return "", packhouse.Invalidf("invalid_expiry", "A link is good for at most %d hours.", int(MaxLink.Hours()))
	}
	row, installation, found, err := s.linker(ctx, who.ID)
	switch {
	case err != nil:
		return "", err
	case !found || row.Disabled:
		return "", packhouse.Deniedf("denied", "The principal is disabled.")
	}
	return strconv.FormatInt(row.ID, 10) + "." + s.linkSum(row, installation, what, expires), nil
}

// OpenLink returns who signed a link, limited to reading. Errors: Denied "invalid_link"
// for whatever SignLink did not make of the same arguments, and when the principal is
// disabled or its tokens were ended; Denied "expired_link"; Unavailable.
func (s *Service) OpenLink(ctx context.Context, what string, expires time.Time, signature string) (packhouse.Principal, error) {
	refused := packhouse.Deniedf("invalid_link", "The link is not valid: it was changed, or whoever made it may not any more.")
	first, sum, _ := strings.Cut(signature, ".")
	id, err := strconv.ParseInt(first, 10, 64)
	if err != nil || len(sum) > base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return packhouse.Principal{}, refused
	}
	row, installation, found, err := s.linker(ctx, id)
	switch {
	case err != nil:
		return packhouse.Principal{}, err
	case !found || row.Disabled || !hmac.Equal([]byte(sum), []byte(s.linkSum(row, installation, what, expires))):
		return packhouse.Principal{}, refused
	case s.clock() >= expires.UnixNano():
		return packhouse.Principal{}, packhouse.Deniedf("expired_link", "The link has expired; ask for a new one.")
	}
	who := principal(row)
	who.Scope.ReadOnly, who.Expires = true, expires.UTC()
	return who, nil
}

// linker reads what a link's signature depends on.
func (s *Service) linker(ctx context.Context, id int64) (row catalog.PrincipalRow, installation catalog.Installation, found bool, err error) {
	found, err = s.view(ctx, func(tx *catalog.Tx) (err error) {
		if installation, err = tx.Installation(ctx); err != nil {
			return err
		}
		row, err = tx.Principal(ctx, id)
		return err
	})
	return row, installation, found, err
}

// linkSum authenticates a link. Numbers come first and what last, so that no two links
// have one text.
func (s *Service) linkSum(row catalog.PrincipalRow, installation catalog.Installation, what string, expires time.Time) string {
	mac := hmac.New(sha256.New, s.linkKey)
	for _, n := range []int64{row.ID, row.Epoch, installation.TokenEpoch, expires.Unix()} {
		mac.Write(append(strconv.AppendInt(nil, n, 10), 0))
	}
	mac.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
