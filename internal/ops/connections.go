package ops

import (
	"context"
	"errors"
	"slices"

	"github.com/packhouse/packhouse"
	"github.com/packhouse/packhouse/internal/catalog"
)

// maxConnections is how many external connections a repository may have
// (codeartifact.md 1.6).
const maxConnections = 1

// AssociateConnection adds an external connection. Errors: NotFound (the repository;
// "connection_not_found" for an unknown name), Conflict "connection_exists",
// QuotaExceeded "connection_limit".
func (s *Service) AssociateConnection(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionAssociateExternalConnection, r); err != nil {
		return packhouse.Repository{}, err
	}
	return s.changeRepository(ctx, who, packhouse.ChangeConnectionAdded, r, func(tx *catalog.Tx, row *catalog.RepositoryRow) error {
		if _, ok := s.connections[name]; !ok {
			return connectionNotFound(name, "there is no external connection named %s", name)
		}
		if slices.Contains(row.Connections, name) {
			return connectionExists(r, name)
		}
		if len(row.Connections) >= maxConnections {
			return quotaExceeded("connection_limit", packhouse.ResourceRepository, r.Name,
				"repository %s has the external connection %s; at most %d is allowed", r.Name, row.Connections[0], maxConnections)
		}
		err := tx.AddConnection(ctx, row.ID, name)
		if errors.Is(err, catalog.ErrExists) {
			return connectionExists(r, name)
		}
		row.Connections = append(slices.Clone(row.Connections), name)
		return err
	})
}

// DisassociateConnection removes an external connection. Errors: NotFound (the
// repository; "connection_not_found").
func (s *Service) DisassociateConnection(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, name string) (packhouse.Repository, error) {
	if err := s.allowRepository(ctx, who, packhouse.ActionDisassociateExternalConnection, r); err != nil {
		return packhouse.Repository{}, err
	}
	return s.changeRepository(ctx, who, packhouse.ChangeConnectionRemoved, r, func(tx *catalog.Tx, row *catalog.RepositoryRow) error {
		err := tx.RemoveConnection(ctx, row.ID, name)
		if errors.Is(err, catalog.ErrNotFound) {
			return connectionNotFound(name, "repository %s has no external connection %s", r.Name, name)
		}
		row.Connections = slices.DeleteFunc(slices.Clone(row.Connections), func(c string) bool { return c == name })
		return err
	})
}

func connectionExists(r packhouse.RepoRef, name string) error {
	return packhouse.Conflictf("connection_exists", packhouse.ResourceRepository, r.Name,
		"repository %s already has the external connection %s", r.Name, name)
}

// connectionNotFound has no resource type: CodeArtifact has none for connections.
func connectionNotFound(name, text string, args ...any) error {
	err := packhouse.NotFoundf("", name, text, args...)
	err.Reason = "connection_not_found"
	return err
}
