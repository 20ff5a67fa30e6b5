package format

import (
	"context"
	"time"

	"github.com/packhouse/packhouse"
)

// Links is the part of House that lets somebody without credentials read one asset for a
// while.
type Links interface {
	// SignLink signs a link to an asset, which need not exist, for at most 7 days and no
	// longer than the credential that asks is good; it returns until when. Needs
	// ReadFromRepository. Errors: Invalid "invalid_expiry".
	SignLink(ctx context.Context, who packhouse.Principal, a packhouse.AssetRef, expires time.Time) (signature string, until time.Time, err error)
	// OpenLink returns who signed a link, limited to reading: that principal's rights
	// decide, as they are now. Errors: Denied "invalid_link", "expired_link".
	OpenLink(ctx context.Context, a packhouse.AssetRef, expires time.Time, signature string) (packhouse.Principal, error)
}
