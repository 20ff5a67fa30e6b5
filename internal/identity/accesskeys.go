package identity

import (
	"context"
	"log/slog"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
	"github.com/packhouse/packhouse/internal/sigv4"
)

// AccessKey is the lookup for sigv4. Keys of disabled principals come back inactive.
// There are no temporary keys yet: sigv4 refuses a session token, whatever it is,
// because no key has one. Errors: Unavailable.
func (s *Service) AccessKey(ctx context.Context, id, _ string) (sigv4.Key, bool, error) {
	if !isAccessKeyID(id) {
		return sigv4.Key{}, false, nil
	}
	generation, err := s.current(ctx)
	if err != nil {
		return sigv4.Key{}, false, err
	}
	if e, ok := s.keys.GetIfPresent(id); ok && e.generation == generation {
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
	s.keys.Set(id, keyEntry{generation, key})
	return key, true, nil
}

// principal is the principal of a row, unlimited by a credential.
func principal(row catalog.PrincipalRow) packhouse.Principal {
	return packhouse.Principal{ID: row.ID, Account: row.Account, Kind: row.Kind, Name: row.Name, ARN: row.ARN}
}

// Policies returns the compiled identity policies of a principal, shared. A principal
// with a stored document that cannot be read has no rights at all, for the document
// might deny (reliability.md S13). Errors: Unavailable.
func (s *Service) Policies(ctx context.Context, who packhouse.Principal) (*authz.Set, error) {
	if who.IsAnonymous() {
		return &authz.Set{}, nil
	}
	generation, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if e, ok := s.policies.GetIfPresent(who.ID); ok && e.generation == generation {
		return e.set, nil
	}
	var rows []catalog.PolicyRow
	if _, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.PoliciesOf(ctx, who.ID)
		return err
	}); err != nil {
		return nil, err
	}
	set := &authz.Set{Identity: make([]*authz.Policy, 0, len(rows))}
	for _, row := range rows {
		document := row.Document
		if shipped, ok := authz.Managed(row.Name); ok {
			document = shipped // as this version of the server ships it
		}
		policy, err := authz.ParseIdentity(row.Name, []byte(document))
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "stored policy cannot be read, its principal is denied everything",
				slog.String("principal", who.ARN), slog.String("policy", row.Name), slog.Any("error", err))
			set = &authz.Set{}
			break
		}
		set.Identity = append(set.Identity, policy)
	}
	s.policies.Set(who.ID, policyEntry{generation, set})
	return set, nil
}
