package identity

import (
	"context"
	"log/slog"
	"strings"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/authz"
	"github.com/packhouse/packhouse/internal/catalog"
)

// holder is one session of a principal. A key with a pointer costs an allocation per
// look, which principals without a session are spared.
type holder struct {
	id      int64
	session *packhouse.Session
}

// Policies returns the compiled identity policies of a principal, shared: its own, those
// of its groups, its tags, and what its session narrows them to. A principal with a
// stored document that cannot be read has no rights at all, for the document might deny
// (reliability.md S13). Errors: Unavailable.
func (s *Service) Policies(ctx context.Context, who packhouse.Principal) (*authz.Set, error) {
	if who.IsAnonymous() {
		return &authz.Set{}, nil
	}
	generation, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	if e, ok := s.kept(who); ok && e.generation == generation {
		return e.set, nil
	}
	// The closure holds the id alone: with who in it, who would be allocated at the top.
	id := who.ID
	var row catalog.PrincipalRow
	var rows []catalog.PolicyRow
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if row, err = tx.Principal(ctx, id); err != nil {
			return err
		}
		rows, err = tx.RightsOf(ctx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	set := &authz.Set{}
	if found {
		if set, err = rightsOf(row, rows, who.Session); err != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "stored policy cannot be read, its principal is denied everything",
				slog.String("principal", who.ARN), slog.Any("error", err))
			set = &authz.Set{}
		}
	}
	if e := (&policyEntry{generation, set}); who.Session == nil {
		s.policies.Set(who.ID, e)
	} else {
		s.narrowed.Set(holder{who.ID, who.Session}, e)
	}
	return set, nil
}

// kept returns the cached set of a principal or of its session.
func (s *Service) kept(who packhouse.Principal) (*policyEntry, bool) {
	if who.Session == nil {
		return s.policies.GetIfPresent(who.ID)
	}
	return s.narrowed.GetIfPresent(holder{who.ID, who.Session})
}

// UserID returns the identifier of a principal that policies know as aws:userid; a
// role's session has its name behind a colon. Errors: Unavailable.
func (s *Service) UserID(ctx context.Context, who packhouse.Principal) (string, error) {
	set, err := s.Policies(ctx, who)
	if err != nil {
		return "", err
	}
	return set.UserID, nil
}

// rightsOf compiles what a principal, or one session of it, may do.
func rightsOf(row catalog.PrincipalRow, rows []catalog.PolicyRow, session *packhouse.Session) (*authz.Set, error) {
	set, err := compile(rows)
	if err != nil {
		return nil, err
	}
	set.UserID = UniqueID(row)
	tags := row.Tags
	if session != nil {
		if session.Name != "" {
			set.UserID += ":" + session.Name
		}
		tags = append(tags[:len(tags):len(tags)], session.Tags...)
		for _, document := range session.Policies {
			policy, err := authz.ParseIdentity("session", []byte(document))
			if err != nil {
				return nil, err
			}
			set.Session = append(set.Session, policy)
		}
	}
	set.Tags = make(map[string]string, len(tags))
	for _, t := range tags { // a session's come last and win
		set.Tags[strings.ToLower(t.Key)] = t.Value
	}
	return set, nil
}
