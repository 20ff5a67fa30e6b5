package identity

import (
	"context"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// AccessKey is the lookup for sigv4. Keys of disabled principals come back inactive.
// Temporary keys have no row: their session token says all of them, also after it has
// expired, which is for sigv4 to refuse. Errors: Unauthenticated "unrecognized_client"
// for a session token that is not of this key or was revoked; Unavailable.
func (s *Service) AccessKey(ctx context.Context, id, sessionToken string) (sigv4.Key, bool, error) {
	if sessionToken != "" {
		return s.sessionKey(ctx, id, sessionToken)
	}
	if !isAccessKeyID(id) {
		return sigv4.Key{}, false, nil
	}
	generation, err := s.current(ctx)
	if err != nil {
		return sigv4.Key{}, false, err
	}
	if e, ok := s.keys.Get(id); ok && e.generation == generation {
		return e.key, true, nil
	}
	var row catalog.AccessKeyRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.AccessKey(ctx, id)
		return err
	})
	if !found || err != nil {
		return sigv4.Key{}, false, err
	}
	key := sigv4.Key{
		Secret:    row.Secret,
		Active:    row.Active && !row.Principal.Disabled,
		Principal: principal(row.Principal),
	}
	s.keys.Set(id, &keyEntry{generation, key})
	return key, true, nil
}

// principal is the principal of a row, unlimited by a credential.
func principal(row catalog.PrincipalRow) packhouse.Principal {
	return packhouse.Principal{ID: row.ID, Account: row.Account, Kind: row.Kind, Name: row.Name, ARN: row.ARN}
}
