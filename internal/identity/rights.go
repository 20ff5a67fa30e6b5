package identity

import (
	"context"
	"fmt"
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
// of its groups, its permissions boundary, its tags, and what its session narrows them to. A principal with a
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
	var r rights
	found, err := s.view(ctx, func(tx *catalog.Tx) (err error) {
		if row, err = tx.Principal(ctx, id); err != nil {
			return err
		}
		r, err = readRights(ctx, tx, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	set := &authz.Set{}
	if found {
		if set, err = rightsOf(row, r, who.Session); err != nil {
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
		return s.policies.Get(who.ID)
	}
	return s.narrowed.Get(holder{who.ID, who.Session})
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

// rights are the documents that say what a principal may do.
type rights struct {
	policies []catalog.PolicyRow // its own and those of its groups
	boundary []catalog.PolicyRow // none or one
}

func readRights(ctx context.Context, tx *catalog.Tx, row catalog.PrincipalRow) (r rights, err error) {
	if r.policies, err = tx.RightsOf(ctx, row.ID); err != nil {
		return r, fmt.Errorf("read policies: %w", err)
	}
	if row.BoundaryID != 0 {
		limit, err := tx.PolicyByID(ctx, row.BoundaryID)
		if err != nil {
			return r, fmt.Errorf("read the permissions boundary: %w", err)
		}
		r.boundary = []catalog.PolicyRow{limit}
	}
	return r, nil
}

// compile reads the documents. Errors: Invalid "invalid_policy".
func (r rights) compile() (set *authz.Set, err error) {
	set = &authz.Set{}
	if set.Identity, err = compileAll(r.policies, authz.ParseIdentity); err != nil {
		return nil, err
	}
	set.Boundary, err = compileAll(r.boundary, authz.ParseBoundary)
	return set, err
}

func compileAll(rows []catalog.PolicyRow, parse func(name string, doc []byte) (*authz.Policy, error)) ([]*authz.Policy, error) {
	all := make([]*authz.Policy, 0, len(rows))
	for _, row := range rows {
		document := row.Document
		if shipped, ok := authz.Managed(row.Name); ok {
			document = shipped // as this version of the server ships it
		}
		policy, err := parse(row.Name, []byte(document))
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", row.Name, err)
		}
		all = append(all, policy)
	}
	return all, nil
}

// rightsOf compiles what a principal, or one session of it, may do.
func rightsOf(row catalog.PrincipalRow, r rights, session *packhouse.Session) (*authz.Set, error) {
	set, err := r.compile()
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
