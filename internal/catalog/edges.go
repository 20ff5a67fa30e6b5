package catalog

import (
	"context"
	"database/sql"
)

// The edges of the upstream graph, and external connections.

const selectUpstreams = `SELECT e.repository_id, e.upstream_id, u.name FROM upstreams e JOIN repositories u ON u.id = e.upstream_id`

const selectConnections = `SELECT c.repository_id, c.name FROM repository_connections c`

// fillEdges adds upstreams and connections to rows, with one statement each; both
// select in position order and take arg.
func (tx *Tx) fillEdges(ctx context.Context, rows []RepositoryRow, upstreams, connections string, arg int64) error {
	byID := make(map[int64]*RepositoryRow, len(rows))
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	err := tx.each(ctx, upstreams, []any{arg}, func(r *sql.Rows) (bool, error) {
		var from, to int64
		var name string
		if err := r.Scan(&from, &to, &name); err != nil {
			return false, err
		}
		if row := byID[from]; row != nil {
			row.UpstreamIDs, row.Upstreams = append(row.UpstreamIDs, to), append(row.Upstreams, name)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return tx.each(ctx, connections, []any{arg}, func(r *sql.Rows) (bool, error) {
		var from int64
		var name string
		if err := r.Scan(&from, &name); err != nil {
			return false, err
		}
		if row := byID[from]; row != nil {
			row.Connections = append(row.Connections, name)
		}
		return true, nil
	})
}

// Graph returns every repository of a domain with its edges, by name, for closures
// and cycle checks: at most 1,000 rows by quota.
func (tx *Tx) Graph(ctx context.Context, domainID int64) ([]RepositoryRow, error) {
	const q = selectRepositories + ` WHERE d.id = $1 AND r.domain_id = $1 AND d.deleted_at IS NULL AND r.deleted_at IS NULL ORDER BY r.name`
	const edges = selectUpstreams + ` JOIN repositories r ON r.id = e.repository_id
		WHERE r.domain_id = $1 AND r.deleted_at IS NULL ORDER BY e.repository_id, e.position`
	const connections = selectConnections + ` JOIN repositories r ON r.id = c.repository_id
		WHERE r.domain_id = $1 AND r.deleted_at IS NULL ORDER BY c.repository_id, c.position`
	rows, err := list(ctx, tx, q, []any{domainID}, scanRepository)
	if err != nil {
		return nil, err
	}
	return rows, tx.fillEdges(ctx, rows, edges, connections, domainID)
}

// ReplaceUpstreams sets a repository's direct upstreams, in search order.
func (tx *Tx) ReplaceUpstreams(ctx context.Context, repoID int64, upstreamIDs []int64) error {
	if err := tx.serialize(); err != nil {
		return err
	}
	const clear = `DELETE FROM upstreams WHERE repository_id = $1`
	if _, err := tx.exec(ctx, clear, repoID); err != nil || len(upstreamIDs) == 0 {
		return err
	}
	var args []any
	for i, id := range upstreamIDs {
		args = append(args, repoID, i, id)
	}
	q := `INSERT INTO upstreams (repository_id, position, upstream_id) VALUES ` + tuples(len(upstreamIDs), 3)
	_, err := tx.execOnce(ctx, q, args...)
	return err
}

// AddConnection adds an external connection behind those there are. Errors: ErrExists.
func (tx *Tx) AddConnection(ctx context.Context, repoID int64, name string) error {
	const q = `INSERT INTO repository_connections (repository_id, position, name)
		SELECT r.id, coalesce((SELECT max(c.position) + 1 FROM repository_connections c WHERE c.repository_id = r.id), 0), $2
		FROM repositories r WHERE r.id = $1 AND r.deleted_at IS NULL ON CONFLICT DO NOTHING`
	n, err := tx.exec(ctx, q, repoID, name)
	if err == nil && n == 0 {
		return ErrExists
	}
	return err
}

// RemoveConnection removes an external connection. Errors: ErrNotFound.
func (tx *Tx) RemoveConnection(ctx context.Context, repoID int64, name string) error {
	const q = `DELETE FROM repository_connections WHERE repository_id = $1 AND name = $2`
	return tx.execOne(ctx, q, repoID, name)
}
