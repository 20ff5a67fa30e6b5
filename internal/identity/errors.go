package identity

import (
	"errors"
	"time"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

func isNotFound(err error) bool { return errors.Is(err, catalog.ErrNotFound) }

func unavailable(err error) error {
	return &packhouse.Error{
		Kind: packhouse.KindUnavailable, Reason: "identity_unavailable",
		Message: "The server cannot look up credentials at the moment.", RetryAfter: 5 * time.Second, Err: err,
	}
}

func invalidToken() error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "invalid_token", Message: "The token is not valid."}
}

func expiredToken() error {
	return &packhouse.Error{Kind: packhouse.KindUnauthenticated, Reason: "expired_token", Message: "The token has expired."}
}
